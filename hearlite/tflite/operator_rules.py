"""Check what the kernels of operators take for granted: shapes of weights, lengths of biases, ranges of constants.

These are the operators in which a wrong number was seen to crash LiteRT or TFLite, or to write beyond a buffer. What no
rule covers is found by a trial (trial.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hearlite.tflite.structure import UnsoundError, data_bytes, described, enumeration, integers, operator_name

_MOST_PADDED = 1 << 31  # elements
# The inputs and outputs that each kernel reads without asking how many there are.
_LEAST_INPUTS = {
    "ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "MAXIMUM": 2, "MINIMUM": 2, "POW": 2, "SQUARED_DIFFERENCE": 2,
    "CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "BATCH_MATMUL": 2, "TRANSPOSE_CONV": 3,
    "GATHER": 2, "GATHER_ND": 2, "PAD": 2, "PADV2": 3, "MIRROR_PAD": 2, "SLICE": 3, "STRIDED_SLICE": 4, "TRANSPOSE": 2,
    "MEAN": 2, "SUM": 2, "REDUCE_MAX": 2, "REDUCE_MIN": 2, "REDUCE_PROD": 2, "EXPAND_DIMS": 2, "TILE": 2, "SPLIT": 2,
    "SPLIT_V": 3, "SELECT": 3, "SELECT_V2": 3, "WHERE": 1, "EMBEDDING_LOOKUP": 2, "PRELU": 2, "RANGE": 3, "FILL": 2,
    "RFFT2D": 2, "RESIZE_BILINEAR": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "REVERSE_V2": 2, "CUMSUM": 2, "ARG_MAX": 2,
    "ARG_MIN": 2, "TOPK_V2": 2, "ONE_HOT": 4, "BROADCAST_TO": 2, "DYNAMIC_UPDATE_SLICE": 3, "REVERSE_SEQUENCE": 2,
    "BATCH_TO_SPACE_ND": 3, "SPACE_TO_BATCH_ND": 3, "SCATTER_ND": 3, "SEGMENT_SUM": 2, "MATRIX_SET_DIAG": 2,
    "SPARSE_TO_DENSE": 4, "LSTM": 20, "UNIDIRECTIONAL_SEQUENCE_LSTM": 20, "SVDF": 5,
}  # fmt: skip
_NO_INPUT = ("CALL_ONCE", "VAR_HANDLE", "CUSTOM", "IF", "WHILE", "CALL")
_BIAS_TYPES = {"FLOAT32": ("FLOAT32",), "INT8": ("INT32",), "UINT8": ("INT32",), "INT16": ("INT32", "INT64")}


class _Context:
    """An operator with its tensors, as the rules read them."""

    def __init__(self, model: Any, graph: Any, operator: Any, *, what: str) -> None:
        self._model, self._graph, self._operator, self.what = model, graph, operator, what

    @property
    def options(self) -> Any:
        return self._operator.builtinOptions

    def given(self, position: int) -> bool:
        inputs = self._operator.inputs
        return position < len(inputs) and inputs[position] >= 0

    def tensor(self, position: int) -> Any:
        return self._graph.tensors[self._operator.inputs[position]]

    def shape(self, position: int) -> list[int]:
        return integers(self.tensor(position).shape)

    def fixed(self, position: int) -> bool:
        """Return whether the shape of an input stays as it is whatever the inputs of the model are."""
        return not any(-1 in integers(self._graph.tensors[index].shapeSignature) for index in self._graph.inputs) and (
            -1 not in integers(self.tensor(position).shapeSignature)
        )

    def output_shape(self) -> list[int]:
        return integers(self._graph.tensors[self._operator.outputs[0]].shape)

    def kind(self, position: int) -> str:
        return enumeration("TensorType")[self.tensor(position).type]

    def constant(self, position: int) -> list[int] | None:
        """Return the values of an integer constant; None for any other tensor."""
        dtype = {"INT32": "<i4", "INT64": "<i8", "INT16": "<i2", "UINT32": "<u4"}.get(self.kind(position))
        if dtype is None or not data_bytes(self._model, self.tensor(position)):
            return None
        data = bytes(bytearray(self._model.buffers[self.tensor(position).buffer].data))
        return [int(value) for value in np.frombuffer(data, dtype)]

    def require(self, right: bool, wrong: str) -> None:
        if not right:
            raise UnsoundError(f"{self.what}: {wrong}")


def require_runnable(model: Any) -> None:
    """Check the operators of a ModelT that passed `structure.require_sound`.

    Raises
    ------
    UnsoundError
        For the first operator whose kernel would read or write beyond a tensor, with what is wrong.
    """
    for graph in model.subgraphs or []:
        for place, operator in enumerate(graph.operators):
            name = operator_name(model, operator)
            found = _Context(model, graph, operator, what=described(place, name))
            least = _LEAST_INPUTS.get(name, 0 if name in _NO_INPUT else 1)
            found.require(len(operator.inputs) >= least, f"it has {len(operator.inputs)} inputs of {least}")
            found.require(bool(operator.outputs) or not (name in _RULES or name in _LEAST_INPUTS), "it has no output")
            if name in _RULES:
                _RULES[name](found)


def _convolution(op: _Context) -> None:
    shape, weights = op.shape(0), op.shape(1)
    op.require(len(shape) == len(weights) == 4 and min(weights) > 0, f"input is {shape}, weights are {weights}")
    op.require(shape[3] > 0 and shape[3] % weights[3] == 0, f"input is {shape}, weights are {weights}")
    op.require(weights[0] % (shape[3] // weights[3]) == 0, f"{weights[0]} channels in {shape[3] // weights[3]} groups")
    _strides(op, "strideH", "strideW", "dilationHFactor", "dilationWFactor")
    _channels(op, 2, weights[0])


def _depthwise(op: _Context) -> None:
    shape, weights = op.shape(0), op.shape(1)
    op.require(len(shape) == len(weights) == 4 and min(weights) > 0, f"input is {shape}, weights are {weights}")
    op.require(weights[0] == 1 and shape[3] > 0, f"input is {shape}, weights are {weights}")
    op.require(weights[3] % shape[3] == 0, f"input is {shape}, weights are {weights}")
    multiplier = op.options.depthMultiplier if hasattr(op.options, "depthMultiplier") else 0
    op.require(multiplier in (0, weights[3] // shape[3]), f"depth multiplier is {multiplier}")  # 0: not stored
    _strides(op, "strideH", "strideW", "dilationHFactor", "dilationWFactor")
    _channels(op, 2, weights[3])


def _linear(op: _Context) -> None:
    shape, weights = op.shape(0), op.shape(1)
    op.require(len(weights) == 2 and min(weights) > 0, f"weights are {weights}")
    op.require(math.prod(shape) % weights[1] == 0, f"input is {shape}, weights are {weights}")
    op.require(getattr(op.options, "weightsFormat", 0) == 0, "its weights are shuffled")
    _channels(op, 2, weights[0])


def _transposed_convolution(op: _Context) -> None:
    weights, shape = op.shape(1), op.shape(2)
    op.require(len(weights) == len(shape) == 4 and min(weights) > 0, f"weights are {weights}, input is {shape}")
    op.require(weights[3] == shape[3], f"weights are {weights}, input is {shape}")
    sizes = op.constant(0)
    op.require(sizes is None or (len(sizes) == 4 and min(sizes) > 0), f"output shape is {sizes}")
    op.require(sizes is None or math.prod(sizes) < _MOST_PADDED, f"output shape is {sizes}")
    _strides(op, "strideH", "strideW")
    _channels(op, 3, weights[0])


def _pool(op: _Context) -> None:
    op.require(len(op.shape(0)) == 4, f"input is {op.shape(0)}")
    _strides(op, "strideH", "strideW", "filterHeight", "filterWidth")


def _strides(op: _Context, *fields: str) -> None:
    sizes = {field: getattr(op.options, field, 0) for field in fields}
    # 2^15 is longer than any clip has frames, and products of two such numbers stay below int32.
    op.require(all(1 <= value <= 1 << 15 for value in sizes.values()), f"its options are {sizes}")


def _channels(op: _Context, position: int, channels: int) -> None:
    """Check the bias, at input `position`, and the number of channels of the output."""
    if op.given(position):
        shape = op.shape(position)
        op.require(math.prod(shape) == channels, f"bias has shape {shape} for {channels} channels")
        types = _BIAS_TYPES.get(op.kind(position - 2))
        if op.kind(position - 1) in ("FLOAT16", "INT4", "INT8") and op.kind(position - 2) == "FLOAT32":
            types = ("FLOAT32", "FLOAT16")  # weights that are widened, or an input that is quantized at run time
        op.require(types is None or op.kind(position) in types or position == 3, f"bias is {op.kind(position)}")
    result = op.output_shape()
    op.require(not result or result[-1] == channels or not op.fixed(0), f"output is {result} for {channels} channels")


def _reshape(op: _Context) -> None:
    sizes = op.constant(1) if op.given(1) else integers(getattr(op.options, "newShape", None))
    if sizes:
        op.require(min(sizes) >= -1 and sizes.count(-1) <= 1 and len(sizes) <= 8, f"new shape is {sizes[:9]}")
        count, known = math.prod(op.shape(0)), math.prod(size for size in sizes if size >= 0)
        fits = count == known if -1 not in sizes else known > 0 and count % known == 0
        op.require(fits or not op.fixed(0), f"{op.shape(0)} can't become {sizes}")


def _slice(op: _Context) -> None:
    shape, begin, size = op.shape(0), op.constant(1), op.constant(2)
    for values in (begin, size):
        op.require(values is None or len(values) == len(shape), f"begin is {begin}, size {size} of {shape}")
    if begin is not None and size is not None and op.fixed(0):
        inside = all(
            0 <= first <= length and count >= -1 and first + max(count, 0) <= length
            for first, count, length in zip(begin, size, shape, strict=True)
        )
        op.require(inside, f"begin is {begin}, size {size} of {shape}")


def _strided_slice(op: _Context) -> None:
    parts = [op.constant(position) for position in (1, 2, 3)]
    lengths = {len(part) for part in parts if part is not None}
    op.require(len(lengths) <= 1 and max(lengths, default=0) <= 8, f"begin, end and strides are {parts}")
    op.require(parts[2] is None or all(0 < abs(stride) <= 1 << 20 for stride in parts[2]), f"strides are {parts[2]}")
    limit = 1 << 31
    op.require(all(-limit <= v < limit for part in parts if part for v in part), f"begin, end and strides are {parts}")


def _gather(op: _Context) -> None:
    shape, places = op.shape(0), op.constant(1)
    axis, batch = getattr(op.options, "axis", 0), getattr(op.options, "batchDims", 0)
    op.require(-len(shape) <= axis < len(shape), f"axis is {axis} of {shape}")
    op.require(abs(batch) <= len(op.shape(1)) and batch <= axis % max(len(shape), 1), f"batch dimensions are {batch}")
    if places and op.fixed(0):
        op.require(min(places) >= 0 and max(places) < shape[axis], f"indices go beyond axis {axis} of {shape}")


def _pad(op: _Context) -> None:
    shape, padding = op.shape(0), op.constant(1)
    if padding is not None:
        op.require(len(padding) == 2 * len(shape) and min(padding, default=0) >= 0, f"padding is {padding} of {shape}")
        padded = [length + sum(padding[2 * i : 2 * i + 2]) for i, length in enumerate(shape)]
        op.require(math.prod(padded) < _MOST_PADDED, f"padding is {padding} of {shape}")


def _transpose(op: _Context) -> None:
    order, rank = op.constant(1), len(op.shape(0))
    right = order is None or sorted(place % rank if rank else place for place in order) == list(range(rank))
    op.require(right and (order is None or all(-rank <= p < rank for p in order)), f"order is {order} of {rank} axes")


def _reduce(op: _Context) -> None:
    rank, axes = len(op.shape(0)), op.constant(1)
    op.require(axes is None or all(-max(rank, 1) <= a < max(rank, 1) for a in axes), f"axes are {axes} of {rank}")


def _one_axis(op: _Context) -> None:
    rank, axis = len(op.shape(0)), getattr(op.options, "axis", 0)
    op.require(-rank <= axis < rank, f"axis is {axis} of {op.shape(0)}")


def _expand(op: _Context) -> None:
    rank, axis = len(op.shape(0)), op.constant(1)
    op.require(axis is None or (len(axis) == 1 and -rank - 1 <= axis[0] <= rank), f"axis is {axis} of {op.shape(0)}")


def _squeeze(op: _Context) -> None:
    rank, axes = len(op.shape(0)), integers(getattr(op.options, "squeezeDims", None))
    op.require(len(axes) <= 8 and all(-rank <= axis < rank for axis in axes), f"axes are {axes[:9]} of {op.shape(0)}")


def _tile(op: _Context) -> None:
    shape, times = op.shape(0), op.constant(1)
    if times is not None:
        op.require(len(times) == len(shape) and min(times, default=0) >= 0, f"it repeats {shape} {times} times")
        op.require(math.prod(shape) * math.prod(times) < _MOST_PADDED, f"it repeats {shape} {times} times")


def _new_shape(op: _Context, position: int) -> None:
    sizes = op.constant(position)
    op.require(sizes is None or (len(sizes) <= 8 and min(sizes, default=0) >= 0), f"shape is {sizes}")
    op.require(sizes is None or math.prod(sizes) < _MOST_PADDED, f"shape is {sizes}")


def _resize(op: _Context) -> None:
    sizes = op.constant(1)
    op.require(sizes is None or (len(sizes) == 2 and min(sizes) > 0), f"size is {sizes}")
    op.require(sizes is None or math.prod(sizes) * math.prod(op.shape(0)) < _MOST_PADDED, f"size is {sizes}")


def _product(op: _Context) -> None:
    left, right = op.shape(0), op.shape(1)
    op.require(min(len(left), len(right)) >= 2, f"inputs are {left} and {right}")
    inner = left[-2 if getattr(op.options, "adjX", False) else -1], right[-1 if getattr(op.options, "adjY", 0) else -2]
    op.require(inner[0] == inner[1] or not (op.fixed(0) and op.fixed(1)), f"inputs are {left} and {right}")


def _split(op: _Context) -> None:
    axis, shape, parts = op.constant(0), op.shape(1), getattr(op.options, "numSplits", 0)
    op.require(parts > 0, f"it splits into {parts}")
    rank = len(shape)
    op.require(axis is None or (len(axis) == 1 and -rank <= axis[0] < rank), f"axis is {axis} of {shape}")
    op.require(axis is None or shape[axis[0]] % parts == 0, f"it splits axis {axis} of {shape} into {parts}")


_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL", "REVERSE_V2")
_RULES: dict[str, Callable[[_Context], None]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _linear,
    "TRANSPOSE_CONV": _transposed_convolution,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "L2_POOL_2D": _pool,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "GATHER": _gather,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "TRANSPOSE": _transpose,
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "CONCATENATION": _one_axis,
    "UNPACK": _one_axis,
    "EXPAND_DIMS": _expand,
    "SQUEEZE": _squeeze,
    "TILE": _tile,
    "FILL": lambda op: _new_shape(op, 0),
    "BROADCAST_TO": lambda op: _new_shape(op, 1),
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "BATCH_MATMUL": _product,
    "SPLIT": _split,
}
