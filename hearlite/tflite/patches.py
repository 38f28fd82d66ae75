"""Rewrite int8 convolutions that cut their input into patches as 1x1 convolutions, which run faster.

A kernel that moves by its own size reads every value once. int8 kernels multiply channels by the eight or sixteen, and
a stem's input has one: as channels, the values of a patch fill them. The weights stay the same bytes, for they lie in
the order of the patch's values. Measured on x86 (Zen 3): patches of 4 x 4 on 160 x 64 values save 5 of 26 us, whole
frames by the four 24 of 38 us; in float32 SPACE_TO_DEPTH costs 4 us more than it saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hearlite.tflite.model_file import load, save, tensor_name
from hearlite.tflite.structure import operator_name

_SUFFIX = b";patches"  # ends the name of the tensor that holds patches


def patches_as_channels(network: bytes) -> bytes:
    """Return the same network with each int8 patch convolution behind SPACE_TO_DEPTH or RESHAPE, as a 1x1 one.

    Square patches take SPACE_TO_DEPTH, patches of whole frames RESHAPE, which moves nothing. Convolutions that overlap,
    pad, cut patches of another shape or read floats stay as they are; a network without patches stays byte for byte.

    Parameters
    ----------
    network : bytes
        A .tflite of any precision.

    Returns
    -------
    bytes
        A .tflite that computes the same, to the bit.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = load(network)
    graph = model.subgraphs[0]
    operators = []
    for operator in graph.operators:
        patch = _patch(model, graph, operator, schema=schema)
        if patch is not None:
            operators.append(_cut(model, graph, operator, patch, schema=schema))
        operators.append(operator)
    if len(operators) == len(graph.operators):
        return network
    graph.operators = operators
    return save(model)


def _patch(model: Any, graph: Any, operator: Any, *, schema: Any) -> tuple[int, int] | None:
    """Return the patch (height, width) that a convolution reads, None for one that is not to be rewritten."""
    if operator_name(model, operator) != "CONV_2D" or graph.tensors[operator.inputs[0]].type != schema.TensorType.INT8:
        return None
    _, height, width, channels = (int(n) for n in graph.tensors[operator.inputs[0]].shape)
    _, *kernel, read = (int(n) for n in graph.tensors[operator.inputs[1]].shape)
    options = operator.builtinOptions
    if (
        kernel == [1, 1]
        or kernel != [options.strideH, options.strideW]
        or (options.dilationHFactor, options.dilationWFactor) != (1, 1)
        or height % kernel[0]
        or width % kernel[1]
        or read != channels  # grouped
    ):
        return None
    return (kernel[0], kernel[1]) if kernel[0] == kernel[1] or kernel[1] == width else None


def _cut(model: Any, graph: Any, operator: Any, patch: tuple[int, int], *, schema: Any) -> Any:
    """Return an operator that makes patches, and make the convolution behind it a 1x1 one that reads them."""
    source = graph.tensors[operator.inputs[0]]
    batch, height, width, channels = (int(n) for n in source.shape)
    shape = [batch, height // patch[0], width // patch[1], patch[0] * patch[1] * channels]
    patches = schema.TensorT()
    patches.name, patches.type, patches.buffer = tensor_name(source).encode() + _SUFFIX, source.type, 0
    patches.shape, patches.quantization = np.asarray(shape, np.int32), source.quantization
    graph.tensors.append(patches)
    cut = schema.OperatorT()
    if patch[0] == patch[1]:
        code, version = schema.BuiltinOperator.SPACE_TO_DEPTH, 2  # 1 knows no int8
        cut.builtinOptionsType = schema.BuiltinOptions.SpaceToDepthOptions
        cut.builtinOptions = schema.SpaceToDepthOptionsT()
        cut.builtinOptions.blockSize = patch[0]
    else:
        code, version = schema.BuiltinOperator.RESHAPE, 1
        cut.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        cut.builtinOptions = schema.ReshapeOptionsT()
        cut.builtinOptions.newShape = np.asarray(shape, np.int32)
    entry = schema.OperatorCodeT()
    entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, version
    cut.opcodeIndex, cut.inputs, cut.outputs = len(model.operatorCodes), [operator.inputs[0]], [len(graph.tensors) - 1]
    model.operatorCodes.append(entry)
    operator.inputs = [len(graph.tensors) - 1, *(int(index) for index in operator.inputs[1:])]
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    weights = graph.tensors[operator.inputs[1]]  # [out, height, width, in]: one row of values for each output
    weights.shape = np.asarray([int(weights.shape[0]), 1, 1, shape[-1]], np.int32)
    return cut
