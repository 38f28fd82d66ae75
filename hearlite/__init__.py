"""Distill, quantize, export and benchmark small health-acoustic embedders.

::

    model = hearlite.load("hearlite_small_2s_i8.tflite")
    vectors = model.embed("cough.wav")
    table = hearlite.embed("recordings/", model=model)

A research tool, never a diagnostic. The names in `__all__` are the public API; each is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearlite.api import adapt_head as adapt_head
    from hearlite.api import benchmark as benchmark
    from hearlite.api import distill as distill
    from hearlite.api import embed as embed
    from hearlite.api import enroll as enroll
    from hearlite.api import export as export
    from hearlite.api import listen as listen
    from hearlite.api import quantize as quantize
    from hearlite.api import to_onnx as to_onnx
    from hearlite.data.dataset import Dataset as Dataset
    from hearlite.data.dataset import load_dataset as load_dataset
    from hearlite.errors import HearliteError as HearliteError
    from hearlite.manifests.options import ManifestOptions as ManifestOptions
    from hearlite.model import Model as Model
    from hearlite.model import load as load
    from hearlite.run import Run as Run

__version__ = "0.2.0"

_HOMES = {
    "Dataset": "hearlite.data.dataset",
    "HearliteError": "hearlite.errors",
    "ManifestOptions": "hearlite.manifests.options",
    "Model": "hearlite.model",
    "Run": "hearlite.run",
    "adapt_head": "hearlite.api",
    "benchmark": "hearlite.api",
    "embed": "hearlite.api",
    "enroll": "hearlite.api",
    "listen": "hearlite.api",
    "load": "hearlite.model",
    "load_dataset": "hearlite.data.dataset",
    "to_onnx": "hearlite.api",
}
_STAGES = ("distill", "export", "quantize")  # callable packages, see hearlite/callable_module.py

__all__ = sorted(("__version__", *_HOMES, *_STAGES))


def __getattr__(name: str) -> Any:
    if name in _STAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
