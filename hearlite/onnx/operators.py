"""What each TFLite operator that hearlite's files use is in ONNX.

OPERATORS is the one list. Sums of int8 operators are written as float32 between DequantizeLinear and QuantizeLinear
(QDQ), with the scales of the .tflite; onnxruntime makes int8 kernels of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.onnx.graph import GraphWriter, Quantization, Value

_RELU, _RELU6 = 1, 3  # of ActivationFunctionType
_ACTIVATIONS = {0: (-np.inf, np.inf), _RELU: (0.0, np.inf), 2: (-1.0, 1.0), _RELU6: (0.0, 6.0)}
_SAME = 0  # of Padding
_UINT8 = (0, 255)


@dataclass(frozen=True)
class Operation:
    """A TFLite operator with what it reads and what it is to write."""

    name: str
    inputs: tuple[Value | None, ...]  # None: a constant, or left out
    constants: tuple[NDArray[Any] | None, ...]  # one for each input
    weights: tuple[Quantization | None, ...]  # of int8 and int32 constants
    options: Any
    output: Value  # shape and quantization


Write = Callable[[GraphWriter, Operation], None]


def _layout(operation: Operation) -> bool:
    """Return whether all inputs are computed, of rank 4 and at hand with channels first."""
    return all(value is not None and bool(value.first) for value in operation.inputs)


def _real(graph: GraphWriter, operation: Operation, index: int, *, first: bool = False) -> str:
    """Return the name of an input's float32 values, in TFLite's order or with channels first."""
    value = operation.inputs[index]
    if value is None:
        constant = operation.constants[index]
        if constant is None:
            raise InputError(f"{operation.name} lacks input {index}", "the file is damaged")
        if operation.weights[index] is not None and constant.dtype == np.int8:
            return graph.dequantized(graph.constant(constant), operation.weights[index])  # type: ignore[arg-type]
        if first and constant.ndim == 4:
            constant = constant.transpose(0, 3, 1, 2)
        return graph.constant(constant)
    name = graph.first(value) if first else graph.last(value)
    return name if value.quantization is None else graph.dequantized(name, value.quantization)


def _done(graph: GraphWriter, operation: Operation, name: str, *, first: bool = False) -> None:
    """Write the fused activation and the quantization of an output, and say where it is."""
    output = operation.output
    low, high = _activation(operation)
    if output.quantization is not None:
        scale, zero = float(output.quantization.scale[0]), int(output.quantization.zero_point[0])
        # Of no use where uint8 ends there as well, within half a step; onnxruntime makes no int8 kernel around a Clip.
        least, most = ((limit - zero) * scale for limit in _UINT8)
        low, high = (low if low > least + scale / 2 else -np.inf), (high if high < most - scale / 2 else np.inf)
    if (low, high) != _ACTIVATIONS[0]:
        limits = [graph.constant(np.asarray(limit, np.float32)) if np.isfinite(limit) else "" for limit in (low, high)]
        name = graph.node("Clip", [name, *limits])
    if output.quantization is not None:
        name = graph.quantized(name, output.quantization)
    output.last, output.first = ("", name) if first else (name, "")


def _activation(operation: Operation) -> tuple[float, float]:
    kind = getattr(operation.options, "fusedActivationFunction", 0) or 0
    if kind not in _ACTIVATIONS:
        raise InputError(f"{operation.name} has the fused activation {kind}", "expected none, ReLU, ReLU1 or ReLU6")
    return _ACTIVATIONS[kind]


def _elementwise(kind: str) -> Write:
    def write(graph: GraphWriter, operation: Operation) -> None:
        first = _layout(operation)
        names = [_real(graph, operation, index, first=first) for index in range(len(operation.inputs))]
        _done(graph, operation, graph.node(kind, names), first=first)

    return write


def _square(graph: GraphWriter, operation: Operation) -> None:
    name = _real(graph, operation, 0)
    _done(graph, operation, graph.node("Mul", [name, name]))


def _squared_difference(graph: GraphWriter, operation: Operation) -> None:
    name = graph.node("Sub", [_real(graph, operation, 0), _real(graph, operation, 1)])
    _done(graph, operation, graph.node("Mul", [name, name]))


def _softmax(graph: GraphWriter, operation: Operation) -> None:
    name = _real(graph, operation, 0)
    if operation.options.beta != 1.0:
        name = graph.node("Mul", [name, graph.constant(np.asarray(operation.options.beta, np.float32))])
    _done(graph, operation, graph.node("Softmax", [name], axis=-1))


def _reduce(kind: str) -> Write:
    def write(graph: GraphWriter, operation: Operation) -> None:
        rank = len(_value(operation, 0).shape)
        axes = [int(axis) % rank for axis in np.atleast_1d(_constant(operation, 1))]
        keep = bool(operation.options.keepDims)
        # Over height and width of what a convolution left: no need to move the channels.
        first = bool(_value(operation, 0).first) and sorted(axes) == [1, 2]
        places = [axis + 1 for axis in axes] if first else axes
        name = _real(graph, operation, 0, first=first)
        if kind == "ReduceSum":  # which takes its axes as an input since opset 13
            name = graph.node(kind, [name, graph.constant(np.asarray(places, np.int64))], keepdims=int(keep))
        else:
            name = graph.node(kind, [name], axes=places, keepdims=int(keep))
        _done(graph, operation, name, first=first and keep)

    return write


def _reshape(graph: GraphWriter, operation: Operation) -> None:
    _moved(graph, operation, "Reshape", graph.constant(np.asarray(operation.output.shape, np.int64)))


def _transpose(graph: GraphWriter, operation: Operation) -> None:
    _moved(graph, operation, "Transpose", perm=[int(axis) for axis in _constant(operation, 1)])


def _moved(graph: GraphWriter, operation: Operation, kind: str, *inputs: str, **attributes: Any) -> None:
    """Write an operator that leaves values as they are, int8 as well."""
    if _value(operation, 0).quantization is None or _same(_value(operation, 0), operation.output):
        operation.output.last = graph.node(kind, [graph.last(_value(operation, 0)), *inputs], **attributes)
    else:
        _done(graph, operation, graph.node(kind, [_real(graph, operation, 0), *inputs], **attributes))


def _same(given: Value, output: Value) -> bool:
    one, other = given.quantization, output.quantization
    return (
        one is not None
        and other is not None
        and bool(one.scale[0] == other.scale[0] and one.zero_point[0] == other.zero_point[0])
    )


def _gather(graph: GraphWriter, operation: Operation) -> None:
    if getattr(operation.options, "batchDims", 0):
        raise InputError("GATHER has batch dimensions", "expected none")
    places = graph.constant(_constant(operation, 1).astype(np.int64))
    _moved(graph, operation, "Gather", places, axis=int(operation.options.axis))


def _strided_slice(graph: GraphWriter, operation: Operation) -> None:
    options, shape = operation.options, _value(operation, 0).shape
    if options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask or getattr(options, "offset", False):
        raise InputError("STRIDED_SLICE adds or removes axes", "expected one that keeps them")
    begin, end, stride = (_constant(operation, index).astype(np.int64).copy() for index in (1, 2, 3))
    for axis, (step, size) in enumerate(zip(stride, shape, strict=True)):
        if options.beginMask >> axis & 1:
            begin[axis] = 0 if step > 0 else size - 1
        if options.endMask >> axis & 1:
            end[axis] = size if step > 0 else -size - 1
    if all(step == 1 for step in stride) and not begin.any() and all(end >= np.asarray(shape)):
        operation.output.last = graph.last(_value(operation, 0))
        return
    _moved(graph, operation, "Slice", *map(graph.constant, (begin, end, np.arange(len(shape)), stride)))


def _concatenation(graph: GraphWriter, operation: Operation) -> None:
    names = [_real(graph, operation, index) for index in range(len(operation.inputs))]
    _done(graph, operation, graph.node("Concat", names, axis=int(operation.options.axis)))


def _batch_matmul(graph: GraphWriter, operation: Operation) -> None:
    names = []
    for index, swap in enumerate((operation.options.adjX, operation.options.adjY)):
        given, name = operation.inputs[index], _real(graph, operation, index)
        if swap:
            rank = len(given.shape if given is not None else _constant(operation, index).shape)
            name = graph.node("Transpose", [name], perm=[*range(rank - 2), rank - 1, rank - 2])
        names.append(name)
    _done(graph, operation, graph.node("MatMul", names))


def _fully_connected(graph: GraphWriter, operation: Operation) -> None:
    given, weights = _value(operation, 0), _constant(operation, 1)
    name = _real(graph, operation, 0)
    columns = weights.shape[1]
    keep = bool(getattr(operation.options, "keepNumDims", False)) and len(given.shape) != 2
    if not keep and given.shape != (given.shape[0], columns):
        rows = int(np.prod(given.shape)) // columns
        name = graph.node("Reshape", [name, graph.constant(np.asarray([rows, columns], np.int64))])
    bias = _bias(graph, operation)
    if weights.dtype == np.int8 and given.quantization is None:
        name = _hybrid(graph, name, weights, operation.weights[1])
        name = graph.node("Add", [name, bias]) if bias else name
    elif keep:
        # A constant that is stored as it is multiplied: turned once, here, not for every window.
        name = graph.node("MatMul", [name, graph.constant(weights.T)])
        name = graph.node("Add", [name, bias]) if bias else name
    else:
        name = graph.node("Gemm", [name, _real(graph, operation, 1), *filter(None, [bias])], transB=1)
    _done(graph, operation, name)


def _hybrid(graph: GraphWriter, name: str, weights: NDArray[Any], spread: Quantization | None) -> str:
    """Write a product with int8 weights: the other factor is quantized when it is known, as TFLite's kernels do."""
    if spread is None:
        raise InputError("FULLY_CONNECTED has int8 weights without scales", "the file is damaged")
    values, scale, zero = graph.nodes_of("DynamicQuantizeLinear", [name], 3)
    product = graph.node("MatMulInteger", [values, graph.constant(weights.T), zero])
    factor = graph.node(
        "Mul", [scale, graph.constant(spread.scale if spread.scale.size > 1 else spread.scale.reshape(()))]
    )
    return graph.node("Mul", [graph.node("Cast", [product], to=graph.onnx.TensorProto.FLOAT), factor])


def _bias(graph: GraphWriter, operation: Operation) -> str:
    """Return the name of the float32 bias of a layer; "" without one. An int32 one has the scale of the product."""
    if len(operation.constants) < 3 or operation.constants[2] is None:
        return ""
    bias, spread = operation.constants[2], operation.weights[2]
    if bias.dtype != np.int32:
        return graph.constant(bias)
    given, weights = _value(operation, 0).quantization, operation.weights[1]
    if given is None or weights is None:
        raise InputError(f"{operation.name} has an int32 bias without scales", "the file is damaged")
    scale = (weights.scale * given.scale[0]).astype(np.float32)
    return graph.dequantized(
        graph.constant(bias), Quantization(scale, np.zeros(scale.shape, np.int32), 0 if spread is None else spread.axis)
    )


def _convolution(graph: GraphWriter, operation: Operation) -> None:
    options, given = operation.options, _value(operation, 0)
    weights, spread = _constant(operation, 1), operation.weights[1]
    groups = 1
    if operation.name == "DEPTHWISE_CONV_2D":
        groups = given.shape[3]
        weights, axis = weights.transpose(3, 0, 1, 2), 0  # [1, h, w, out] -> [out, 1, h, w]
    else:
        groups = given.shape[3] // weights.shape[3]
        weights, axis = weights.transpose(0, 3, 1, 2), 0  # [out, h, w, in] -> [out, in, h, w]
    kernel, strides = weights.shape[2:], (int(options.strideH), int(options.strideW))
    dilations = (int(options.dilationHFactor), int(options.dilationWFactor))
    pads = _pads(given.shape[1:3], kernel, strides, dilations, same=options.padding == _SAME)
    name = graph.constant(weights)
    if weights.dtype == np.int8:
        if spread is None:
            raise InputError(f"{operation.name} has int8 weights without scales", "the file is damaged")
        name = graph.dequantized(name, Quantization(spread.scale, spread.zero_point, axis))
    inputs = [_real(graph, operation, 0, first=True), name, *filter(None, [_bias(graph, operation)])]
    result = graph.node(
        "Conv",
        inputs,
        kernel_shape=list(kernel),
        strides=list(strides),
        dilations=list(dilations),
        pads=pads,
        group=groups,
    )
    _done(graph, operation, result, first=True)


def _pads(
    size: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], dilations: tuple[int, int], *, same: bool
) -> list[int]:
    """Return what is padded before and after height and width: of an odd sum TFLite puts the larger part after."""
    before, after = [], []
    for length, width, step, gap in zip(size, kernel, strides, dilations, strict=True):
        total = max(0, (-(-length // step) - 1) * step + (width - 1) * gap + 1 - length) if same else 0
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


def _space_to_depth(graph: GraphWriter, operation: Operation) -> None:
    """Write blocks as channels, by moving values: onnxruntime has no SpaceToDepth of int8."""
    value, block = _value(operation, 0), int(operation.options.blockSize)
    batch, height, width, channels = value.shape
    split = np.asarray([batch, height // block, block, width // block, block, channels], np.int64)
    name = graph.node("Reshape", [graph.last(value), graph.constant(split)])
    name = graph.node("Transpose", [name], perm=[0, 2, 4, 5, 1, 3])  # channels first, for the convolution behind it
    shape = np.asarray([batch, block * block * channels, height // block, width // block], np.int64)
    operation.output.first = graph.node("Reshape", [name, graph.constant(shape)])


def _pad(graph: GraphWriter, operation: Operation) -> None:
    widths = _constant(operation, 1).astype(np.int64)
    name = graph.node("Pad", [_real(graph, operation, 0), graph.constant(widths.T.ravel())])
    _done(graph, operation, name)


def _quantize(graph: GraphWriter, operation: Operation) -> None:
    value = _value(operation, 0)
    first = bool(value.first)
    _done(graph, operation, _real(graph, operation, 0, first=first), first=first)


def _value(operation: Operation, index: int) -> Value:
    value = operation.inputs[index] if index < len(operation.inputs) else None
    if value is None:
        raise InputError(f"{operation.name} has a constant as input {index}", "expected a tensor that is computed")
    return value


def _constant(operation: Operation, index: int) -> NDArray[Any]:
    constant = operation.constants[index] if index < len(operation.constants) else None
    if constant is None:
        raise InputError(f"{operation.name} computes its input {index}", "expected a constant")
    return constant


OPERATORS: dict[str, Write] = {
    "ABS": _elementwise("Abs"),
    "ADD": _elementwise("Add"),
    "BATCH_MATMUL": _batch_matmul,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": _quantize,
    "DIV": _elementwise("Div"),
    "EXP": _elementwise("Exp"),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "LOG": _elementwise("Log"),
    "LOGISTIC": _elementwise("Sigmoid"),
    "MAXIMUM": _elementwise("Max"),
    "MEAN": _reduce("ReduceMean"),
    "MINIMUM": _elementwise("Min"),
    "MUL": _elementwise("Mul"),
    "NEG": _elementwise("Neg"),
    "PAD": _pad,
    "POW": _elementwise("Pow"),
    "QUANTIZE": _quantize,
    "REDUCE_MAX": _reduce("ReduceMax"),
    "REDUCE_MIN": _reduce("ReduceMin"),
    "RELU": _elementwise("Relu"),
    "RESHAPE": _reshape,
    "ROUND": _elementwise("Round"),
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SQRT": _elementwise("Sqrt"),
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": _squared_difference,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _elementwise("Sub"),
    "SUM": _reduce("ReduceSum"),
    "TANH": _elementwise("Tanh"),
    "TRANSPOSE": _transpose,
}
