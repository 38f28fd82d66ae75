"""Edit the weights of a float32 network in its flatbuffer.

Keras is not involved: the network that is edited is the one that ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.tflite.model_file import is_constant, load, save, tensor_name
from hearlite.tflite.structure import operator_name

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Shapes of weights: [out, h, w, in], [1, h, w, out], [out, in].
_OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


@dataclass(frozen=True)
class Node:
    """An operator with the indices of its tensors."""

    name: str
    inputs: tuple[int, ...]  # without constants
    output: int
    weights: int  # -1: not one of LAYERS
    bias: int  # -1: none
    activated: bool  # has a fused activation such as ReLU6

    @property
    def output_axis(self) -> int:
        """Axis of the weights that corresponds to output channels."""
        return _OUTPUT_AXIS[self.name]


class Graph:
    """A float32 network as written by the converter, opened for editing."""

    def __init__(self, network: bytes) -> None:
        self.model = load(network)
        self.graph = self.model.subgraphs[0]
        self.nodes = tuple(self._node(operator) for operator in self.graph.operators)

    @property
    def layers(self) -> tuple[Node, ...]:
        """Convolutions and linear layers with constant weights."""
        return tuple(node for node in self.nodes if node.weights >= 0)

    @property
    def activations(self) -> tuple[int, ...]:
        """Indices of all activations: the inputs and every operator's output."""
        return tuple(sorted({*map(int, self.graph.inputs), *(node.output for node in self.nodes)}))

    def tensor_name(self, index: int) -> str:
        """Return the name of a tensor."""
        return tensor_name(self.graph.tensors[index])

    def constant(self, index: int) -> NDArray[np.float32]:
        """Return a copy of a float32 constant."""
        tensor = self.graph.tensors[index]
        data = bytes(bytearray(self.model.buffers[tensor.buffer].data))
        return np.frombuffer(data, dtype=np.float32).reshape([int(n) for n in tensor.shape]).copy()

    def dequantized(self, index: int) -> NDArray[np.float64] | None:
        """Return the dequantized values of an int8 constant, None for any other tensor."""
        tensor = self.graph.tensors[index]
        data = self.model.buffers[tensor.buffer].data
        if data is None or tensor.quantization is None or tensor.quantization.scale is None:
            return None
        values = (
            np.frombuffer(bytes(bytearray(data)), dtype=np.int8)
            .reshape([int(n) for n in tensor.shape])
            .astype(np.float64)
        )
        shape = [1] * values.ndim
        shape[tensor.quantization.quantizedDimension] = -1
        return values * np.asarray(tensor.quantization.scale, dtype=np.float64).reshape(shape)

    def set_constant(self, index: int, values: NDArray[Any]) -> None:
        """Replace a float32 constant by values of the same shape; tensors that share its buffer keep theirs.

        Raises InputError for another shape.
        """
        from ai_edge_litert import schema_py_generated as schema

        tensor = self.graph.tensors[index]
        if list(values.shape) != [int(n) for n in tensor.shape]:
            raise InputError(
                f"constant {self.tensor_name(index)} is {np.asarray(tensor.shape).tolist()}, not {list(values.shape)}"
            )
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype=np.float32).tobytes(), np.uint8)
        if sum(other.buffer == tensor.buffer for other in self.graph.tensors) > 1:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        else:
            self.model.buffers[tensor.buffer] = buffer

    def scale(self, index: int, factors: NDArray[Any], *, axis: int) -> None:
        """Multiply a constant by factors along one axis."""
        values = self.constant(index)
        shape = [1] * values.ndim
        shape[axis] = -1
        self.set_constant(index, values * factors.reshape(shape).astype(np.float32))

    def drop_unused_buffers(self) -> None:
        """Empty the buffers that no tensor and no metadata uses, so that they take no space in the file."""
        used = {int(tensor.buffer) for tensor in self.graph.tensors} | {
            int(entry.buffer) for entry in self.model.metadata or []
        }
        for index, buffer in enumerate(self.model.buffers):
            if index not in used:
                buffer.data = None

    def save(self) -> bytes:
        """Return the network as a .tflite."""
        return save(self.model)

    def _node(self, operator: Any) -> Node:
        name = operator_name(self.model, operator)
        inputs = [int(i) for i in operator.inputs]
        layer = name in LAYERS and self._is_constant(inputs[1])
        return Node(
            name=name,
            inputs=tuple(i for i in inputs if i >= 0 and not self._is_constant(i)),
            output=int(operator.outputs[0]),
            weights=inputs[1] if layer else -1,
            bias=inputs[2] if layer and len(inputs) > 2 else -1,
            activated=bool(getattr(operator.builtinOptions, "fusedActivationFunction", 0)),
        )

    def _is_constant(self, index: int) -> bool:
        return index >= 0 and is_constant(self.model, self.graph.tensors[index])
