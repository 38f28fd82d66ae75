"""int8 weights with float32 arithmetic: a small file that computes as the float one does.

Weights lie behind DEQUANTIZE, folded by delegates at load.

Written into the flatbuffer directly: TensorFlow's converter has no such mode, and ai-edge-quantizer pins its own
LiteRT.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlite.tflite.graph import Graph

STEPS = 127  # of int8, symmetric: -128 is never used, as TFLite asks of weights
_VERSION = 5  # of DEQUANTIZE with a scale per channel


def weight_only(network: bytes) -> bytes:
    """Return a float32 network with int8 weights in its convolutions and linear layers.

    Per output channel.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = Graph(network)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _VERSION
    graph.model.operatorCodes.append(code)
    operators = []
    for weights, axis in dict.fromkeys((node.weights, node.output_axis) for node in graph.layers):
        tensors, buffers = graph.graph.tensors, graph.model.buffers
        quantized, scales = quantize_weights(graph.constant(weights), axis=axis)
        stored, buffer, operator = schema.TensorT(), schema.BufferT(), schema.OperatorT()
        stored.name, stored.shape, stored.type = (
            bytes(tensors[weights].name or b"") + b"/int8",
            tensors[weights].shape,
            schema.TensorType.INT8,
        )
        stored.quantization = schema.QuantizationParametersT()
        stored.quantization.scale, stored.quantization.zeroPoint = scales, np.zeros(len(scales), np.int64)
        stored.quantization.quantizedDimension = axis
        buffer.data = np.frombuffer(quantized.tobytes(), np.uint8)
        stored.buffer = len(buffers)
        tensors[weights].buffer = 0  # by the format's convention the empty buffer: now the operator's output
        operator.opcodeIndex = len(graph.model.operatorCodes) - 1
        operator.inputs, operator.outputs = [len(tensors)], [weights]
        operator.builtinOptionsType, operator.builtinOptions = (
            schema.BuiltinOptions.DequantizeOptions,
            schema.DequantizeOptionsT(),
        )
        tensors.append(stored)
        buffers.append(buffer)
        operators.append(operator)
    graph.graph.operators = operators + list(graph.graph.operators)
    graph.drop_unused_buffers()
    return graph.save()


def quantize_weights(weights: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 values and their scales `[channels]`, symmetric around 0, one scale for each index of `axis`."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.maximum(np.abs(weights).max(axis=others) / STEPS, np.finfo(np.float32).tiny).astype(np.float32)
    shape = [1] * weights.ndim
    shape[axis] = -1
    return np.clip(np.round(weights / scales.reshape(shape)), -STEPS, STEPS).astype(np.int8), scales
