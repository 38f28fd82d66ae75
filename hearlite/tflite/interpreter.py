"""Run .tflite files with LiteRT or tf.lite.

Other modules use this one instead of importing an interpreter. For the runtime of older phones see
benchmarks/cost/legacy_runtime.py.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.text import brief
from hearlite.tflite.model_file import load_any, read_tflite
from hearlite.tflite.trial import require_trial

Runtime = Literal["litert", "tf"]
RUNTIMES: tuple[Runtime, ...] = ("litert", "tf")


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model."""

    name: str
    index: int
    shape: tuple[int, ...]  # -1: free length
    dtype: np.dtype[Any]
    scale: float  # 0.0: not quantized
    zero_point: int

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype} {list(self.shape)}"

    def dequantize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Convert the tensor's values to float32: (q - zero_point) * scale, or a cast if it is not quantized."""
        if not self.scale:
            return np.asarray(values, dtype=np.float32)
        return ((values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)).astype(np.float32)


class TfliteModel:
    """A .tflite model opened in an interpreter.

    A file is checked and tried in a process of its own first (model_file.py, trial.py), so that a hostile one can't end
    this process. Content is taken as made by this process: it is checked, but not tried.

    Inputs and outputs have the names of the file's signature, or tensor names if it has none.

    Parameters
    ----------
    model : str, Path or bytes
        The file, or its content.
    threads : int
        Number of CPU threads, at least 1.
    runtime : str
        One of RUNTIMES.

    Attributes
    ----------
    label : str
        The path, for messages.
    sha256 : str
        Hash of the content, in hexadecimal.
    inputs, outputs : tuple of Tensor
        Description of inputs and outputs.

    Raises
    ------
    InputError
        When the file cannot be read or opened, or crashes or hangs LiteRT; the message names it.
    UsageError
        When the runtime is unknown or `threads` is below 1.
    MissingExtraError
        When the runtime is not installed.
    """

    def __init__(self, model: str | Path | bytes, *, threads: int = 1, runtime: Runtime = "litert") -> None:
        if threads < 1:
            raise UsageError(f"threads is {threads}", "use 1 or more")
        self.label = "model in memory" if isinstance(model, bytes) else str(model)
        content = model if isinstance(model, bytes) else read_tflite(Path(model))
        if isinstance(model, bytes):
            load_any(content, where=self.label)
        else:
            require_trial(content, where=self.label)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.runtime = runtime
        interpreter_class = _interpreter_class(runtime)
        try:
            self._interpreter = interpreter_class(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.label}: {runtime} can't open the model: {brief(error)}",
                "export it with builtin ops for this runtime",
            ) from error
        self.inputs, self.outputs = _named_tensors(self._interpreter)

    def resize(self, shape: tuple[int, ...]) -> None:
        """Set the shape of the only input, fixing its free dimensions. Raises InputError if it cannot."""
        try:
            self._interpreter.resize_tensor_input(self._input().index, shape, strict=True)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.label}: input {self._input()} can't become {list(shape)}: {brief(error)}"
            ) from error
        self.inputs, self.outputs = _named_tensors(self._interpreter)

    def run(self, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Run a model with one input.

        Parameters
        ----------
        array : numpy.ndarray
            The input, with the dtype and shape of `inputs[0]`.

        Returns
        -------
        dict of str to numpy.ndarray
            Every output by name, not dequantized.

        Raises
        ------
        InputError
            When the model has several inputs, the array does not fit, or the model fails.
        """
        expected = self._input()
        if array.dtype != expected.dtype or not _fits(array.shape, expected.shape):
            raise InputError(f"{self.label}: got {array.dtype} {list(array.shape)} for input {expected}")
        try:
            self._interpreter.set_tensor(expected.index, array)
            self._interpreter.invoke()
            return {output.name: self._interpreter.get_tensor(output.index) for output in self.outputs}
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{self.label}: {self.runtime} can't run the model: {brief(error)}") from error

    def _input(self) -> Tensor:
        if len(self.inputs) != 1:
            raise InputError(f"{self.label} has {len(self.inputs)} inputs ({listed(self.inputs)})", "expected one")
        return self.inputs[0]


def interpreter_with_tensors(model: bytes) -> Any:
    """Open a model in a LiteRT interpreter whose every tensor can be read after a call.

    It has no delegates, because they hide the tensors between operators that they fuse.
    """
    module = importlib.import_module("ai_edge_litert.interpreter")
    resolver = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = module.Interpreter(
        model_content=model,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=resolver,
    )
    interpreter.allocate_tensors()
    return interpreter


def _interpreter_class(runtime: Runtime) -> Any:
    if runtime not in RUNTIMES:
        raise UsageError(f"runtime is {runtime!r}", f"use one of {', '.join(RUNTIMES)}")
    try:
        if runtime == "tf":
            return importlib.import_module("tensorflow").lite.Interpreter
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ModuleNotFoundError as error:
        if runtime == "litert":
            raise  # a dependency of hearlite itself: the installation is broken
        raise MissingExtraError(f"runtime {runtime!r}", "tensorflow", "train") from error


def _named_tensors(interpreter: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return inputs and outputs of the primary subgraph, named by its signature if it has one."""
    sides = {"inputs": interpreter.get_input_details(), "outputs": interpreter.get_output_details()}
    names = {side: [(detail["name"], detail) for detail in details] for side, details in sides.items()}
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        signed = {"inputs": runner.get_input_details(), "outputs": runner.get_output_details()}
        if all({_key(d) for d in signed[side].values()} == {_key(d) for d in sides[side]} for side in sides):
            names = {side: list(details.items()) for side, details in signed.items()}
            break
    return tuple(_tensor(*item) for item in names["inputs"]), tuple(_tensor(*item) for item in names["outputs"])


def _key(detail: dict[str, Any]) -> tuple[int, str]:
    return int(detail["index"]), str(detail["name"])


def _tensor(name: str, detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    shape = tuple(
        int(size) for size in (detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"])
    )
    return Tensor(name, int(detail["index"]), shape, np.dtype(detail["dtype"]), float(scale), int(zero_point))


def _fits(shape: tuple[int, ...], allowed: tuple[int, ...]) -> bool:
    return len(shape) == len(allowed) and all(want in (-1, size) for size, want in zip(shape, allowed, strict=True))


def listed(tensors: Iterable[Tensor]) -> str:
    """Return tensors as a comma-separated list, for messages."""
    return ", ".join(str(tensor) for tensor in tensors)
