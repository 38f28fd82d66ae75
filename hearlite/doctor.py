"""`hearlite doctor`: what is installed, what that allows, and whether the runtime works here."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

PACKAGES = {
    "numpy": "everything",
    "ai-edge-litert": "bench, embed, check, info: running .tflite files",
    "soundfile": "reading recordings",
    "soxr": "resampling",
    "scikit-learn": "bench: probes",
    "tensorflow": "distill, quantize, export (extra: train)",
    "tf-keras": "distill, quantize, export (extra: train)",
    "tensorflow-model-optimization": "quantization-aware training (extra: train)",
    "tflite-runtime": "compatibility check with older phones' runtime (extra: compat)",
}


def examine() -> list[dict[str, str]]:
    """Rows of {what, found, allows}."""
    rows = [
        {"what": "python", "found": platform.python_version(), "allows": "3.10 - 3.13; tested on 3.11"},
        {"what": "cores", "found": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()), "allows": ""},
        {"what": "free disk", "found": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB", "allows": "a record cache takes about 45 KB a clip"},
    ]
    rows += [{"what": package, "found": _version(package), "allows": allows} for package, allows in PACKAGES.items()]
    return [*rows, {"what": "runtime test", "found": _runtime(), "allows": "running .tflite files"}]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _runtime() -> str:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except Exception as error:  # a broken wheel fails with anything from ImportError to SystemError
        return f"fails: {type(error).__name__}: {error}"
    return f"ok ({Interpreter.__module__})"
