"""An ONNX graph while it is written: names of values, their layout, and constants.

Values of rank 4 are kept as the operator before left them: convolutions of ONNX want channels first, those of TFLite
want them last. Where an operator needs the other order, a Transpose is written, once for each value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, MissingExtraError

# 13 has weights with a scale for each channel; 17 is read by every release of onnxruntime since 1.12 (2022), its web
# and React Native builds among them, and the IR version by as many.
OPSET, IR_VERSION = 17, 8
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def require_onnx() -> Any:
    """Return the package `onnx`; raises MissingExtraError without it."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("ONNX", "onnx", "onnx") from error
    return onnx


@dataclass(frozen=True)
class Quantization:
    """How integers stand for real values: real = scale * (value - zero_point), per tensor or along an axis."""

    scale: NDArray[np.float32]  # [1] or [channels]
    zero_point: NDArray[Any]  # as many: int8 of weights, uint8 of what is computed
    axis: int  # of the channels


@dataclass
class Value:
    """A tensor that an operator has computed."""

    shape: tuple[int, ...]  # in TFLite's order
    last: str = ""  # name of it with channels last, TFLite's order; "": not written yet
    first: str = ""  # name of it with channels first
    quantization: Quantization | None = None  # uint8; None: float32


class GraphWriter:
    """Collects the nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.onnx = require_onnx()
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self._names = 0

    def constant(self, values: NDArray[Any], name: str = "constant", *, shared: bool = True) -> str:
        """Return the name of a constant; equal ones are stored once, unless they are not `shared`."""
        array = np.asarray(values, order="C")  # ascontiguousarray would make a list of a scalar
        told = f"{array.dtype} {array.shape}".encode() + array.tobytes()
        key = f"{name}_{hashlib.sha256(told).hexdigest()[:16]}"
        if not shared:
            self._names += 1
            key += f"_{self._names}"
        if key not in self.initializers:
            self.initializers[key] = self.onnx.numpy_helper.from_array(array, key)
        return key

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Write a node with one output, and return the output's name."""
        return self.nodes_of(kind, inputs, 1, **attributes)[0]

    def nodes_of(self, kind: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Write a node with several outputs, and return their names."""
        self._names += 1
        name = f"{kind}_{self._names}"
        outputs = [name if index == 0 else f"{name}_{index}" for index in range(count)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), outputs, name=name, **attributes))
        return outputs

    def last(self, value: Value) -> str:
        """Return the name of a value in TFLite's order."""
        if not value.last:
            value.last = self.node("Transpose", [value.first], perm=TO_CHANNELS_LAST)
        return value.last

    def first(self, value: Value) -> str:
        """Return the name of a value of rank 4 with channels first."""
        if not value.first:
            if len(value.shape) != 4:
                raise InputError(
                    f"a convolution reads a tensor of shape {list(value.shape)}", "expected four dimensions"
                )
            value.first = self.node("Transpose", [value.last], perm=TO_CHANNELS_FIRST)
        return value.first

    def dequantized(self, name: str, quantization: Quantization) -> str:
        """Return the name of the float32 values of quantized ones."""
        scalar = quantization.scale.size == 1
        scale = quantization.scale.reshape(()) if scalar else quantization.scale
        zero = quantization.zero_point.reshape(()) if scalar else quantization.zero_point
        # Not shared: onnxruntime's session.x64quantprecision replaces those of weights, and fails at the second time.
        inputs = [name, self.constant(scale, "scale"), self.constant(zero, "zero_point", shared=scalar)]
        return self.node("DequantizeLinear", inputs, **({} if scalar else {"axis": quantization.axis}))

    def quantized(self, name: str, quantization: Quantization) -> str:
        """Return the name of the uint8 values of float32 ones."""
        scale, zero = quantization.scale.reshape(()), quantization.zero_point.reshape(())
        return self.node("QuantizeLinear", [name, self.constant(scale, "scale"), self.constant(zero, "zero_point")])
