"""The tensors inside a .tflite, read while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.tflite.graph import Graph
from hearlite.tflite.interpreter import interpreter_with_tensors


def short_name(tensor: str) -> str:
    """Return the layer's name in hearlite/student.py of a tensor's name in a file.

    `network/block1_project_bn/FusedBatchNormV3;network/block1_project/Conv2D` -> `block1_project`.
    """
    parts = [part for part in tensor.split(";")[-1].split("/") if part and part not in ("network", "student")]
    return parts[0] if parts else tensor


class TensorTap:
    """Runs a one-input .tflite and shows tensors inside it, as stored."""

    def __init__(self, model: bytes, tensors: Iterable[int]) -> None:
        self._interpreter = interpreter_with_tensors(model)
        self._entry = self._interpreter.get_input_details()[0]["index"]
        self._tensors = tuple(tensors)

    def __call__(self, item: NDArray[np.float32]) -> dict[int, NDArray[Any]]:
        """Return the tensors by index, for one input `[1, ...]`."""
        self._interpreter.set_tensor(self._entry, item)
        self._interpreter.invoke()
        return {index: self._interpreter.get_tensor(index) for index in self._tensors}


@dataclass(frozen=True)
class Stored:
    """How a tensor of a file is stored: index, and scale and zero point (0.0 and 0 when it is float)."""

    index: int
    scale: float
    zero_point: int


def tensors_by_name(model: bytes) -> dict[str, Stored]:
    """Every tensor of a .tflite that is one operator's output or an input, by name."""
    graph = Graph(model)
    found = {}
    for index in graph.activations:
        quantization = graph.graph.tensors[index].quantization
        scaled = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
        scale, zero = (float(quantization.scale[0]), int(quantization.zeroPoint[0])) if scaled else (0.0, 0)
        found[graph.tensor_name(index)] = Stored(index, scale, zero)
    return found


def dequantize(values: NDArray[Any], tensor: Stored) -> NDArray[np.float64]:
    """float64 values of what a file stores."""
    wide = values.astype(np.float64)
    return (wide - tensor.zero_point) * tensor.scale if tensor.scale else wide
