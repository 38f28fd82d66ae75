"""Check the structure of a .tflite before anything runs it: counts, indices, sizes, and the order of operators.

The flatbuffer verifier of the runtimes checks offsets inside the file, not what the numbers in it mean. An interpreter
that follows a tensor index of -1 or reads a constant shorter than its shape crashes, and takes the process with it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

# More than any model of audio has: BERT-large has 3 000 operators, a ViT-L about 2 500.
_MOST = {"SubgraphsLength": 64, "OperatorCodesLength": 100_000, "BuffersLength": 1_000_000, "MetadataLength": 1_000}
_MOST_SIGNATURES, _MOST_TENSORS, _MOST_OPERATORS, _MOST_LISTED = 100, 200_000, 100_000, 10_000
_HIGHEST_RANK = 8  # of a tensor; the kernels of TFLite handle at most 6, and 8 in a few
_LARGEST_TENSOR = 1 << 31  # bytes; a flatbuffer holds no more
_CONTROL = {  # operators that run other subgraphs, and the fields of their options with the subgraphs' indices
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
    "CALL": ("subgraph",),
    "CALL_ONCE": ("initSubgraphIndex",),
}
# Operators that may lack an input (index -1), and the first one that they may lack.
_OPTIONAL = {
    "CONV_2D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2,
    "CONV_3D": 2,
    "CONV_3D_TRANSPOSE": 3,
    "TRANSPOSE_CONV": 3,
    "SVDF": 3,
    "LSTM": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "BIDIRECTIONAL_SEQUENCE_RNN": 1,
    "CUSTOM": 0,
}
_BITS = {
    "FLOAT32": 32, "FLOAT16": 16, "BFLOAT16": 16, "FLOAT64": 64, "INT32": 32, "UINT32": 32, "INT64": 64, "UINT64": 64,
    "INT16": 16, "UINT16": 16, "INT8": 8, "UINT8": 8, "BOOL": 8, "COMPLEX64": 64, "COMPLEX128": 128, "INT4": 4,
}  # fmt: skip
_UNSIZED = ("STRING", "RESOURCE", "VARIANT")


class UnsoundError(Exception):
    """What is wrong with a model, in words."""


def require_bounded(root: Any, *, size: int) -> None:
    """Check the counts of a flatbuffer's lists before they are read.

    Lists may overlap in a flatbuffer, so that a file of 80 kB can describe billions of entries.

    Parameters
    ----------
    root : schema.Model
        The model, unread.
    size : int
        Bytes of the file.

    Raises
    ------
    UnsoundError
        When a list is longer than any that a model needs, or all together need more memory than the file explains.
    """
    for name, most in _MOST.items():
        _at_most(getattr(root, name)(), most, what=name.removesuffix("Length"))
    _at_most(root.SignatureDefsLength(), _MOST_SIGNATURES, what="signatures")
    listed = 0  # bytes of names and entries of lists
    for signature in (root.SignatureDefs(index) for index in range(root.SignatureDefsLength())):
        for count in (signature.InputsLength(), signature.OutputsLength()):
            _at_most(count, _MOST_LISTED, what="inputs or outputs of a signature")
            listed += count
    for graph in (root.Subgraphs(index) for index in range(root.SubgraphsLength())):
        _at_most(graph.TensorsLength(), _MOST_TENSORS, what="tensors")
        _at_most(graph.OperatorsLength(), _MOST_OPERATORS, what="operators")
        listed += graph.TensorsLength() + graph.OperatorsLength()
        for tensor in (graph.Tensors(index) for index in range(graph.TensorsLength())):
            if tensor.Sparsity() is not None or not tensor.VariantTensorsIsNone() or tensor.ExternalBuffer():
                raise UnsoundError("a tensor is sparse, of variants or stored outside the file")
            listed += len(tensor.Name() or b"")
            # A file that stores equal names once needs more than its size, but not many times.
            if listed > 64 * size:
                raise UnsoundError(f"its lists need more than {listed} bytes, and the file has {size}")
    if root.ExternalBuffersLength() or root.ExternalBufferGroupsLength():
        raise UnsoundError("it refers to buffers in other files")


def require_sound(model: Any) -> None:
    """Check every index and size of a ModelT whose constants are all read.

    Raises
    ------
    UnsoundError
        For the first one that is out of range, with the tensor or operator that has it.
    """
    for place, code in enumerate(model.operatorCodes or []):
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        if builtin not in enumeration("BuiltinOperator"):
            raise UnsoundError(f"operator code {place} is {builtin}, which this version does not know")
    for entry in model.metadata or []:
        _in_range(entry.buffer, len(model.buffers), what="the buffer of a metadata entry")
    for graph in model.subgraphs or []:
        _require_sound_graph(model, graph)
    for definition in model.signatureDefs or []:
        _in_range(definition.subgraphIndex, len(model.subgraphs or []), what="the subgraph of a signature")
        tensors = model.subgraphs[definition.subgraphIndex].tensors or []
        for item in (*(definition.inputs or []), *(definition.outputs or [])):
            _in_range(item.tensorIndex, len(tensors), what="the tensor of a signature")
    _require_no_recursion(model)


@functools.cache
def enumeration(name: str) -> dict[int, str]:
    """Return an enumeration of the schema, such as BuiltinOperator: its names by value."""
    from ai_edge_litert import schema_py_generated as schema

    return {value: key for key, value in vars(getattr(schema, name)).items() if isinstance(value, int)}


def operator_name(model: Any, operator: Any) -> str:
    """Return the name of a builtin operator, such as CONV_2D, or CUSTOM."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Codes above 127 are in the newer field only.
    return enumeration("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def integers(values: Any) -> list[int]:
    """Return a vector of the schema, which is None or 0 where it is absent, as a list of int."""
    return [] if values is None or isinstance(values, int) else [int(value) for value in values]


def data_bytes(model: Any, tensor: Any) -> int:
    """Return the number of bytes of a tensor's constant value; 0 for a tensor that is computed."""
    data = model.buffers[tensor.buffer].data
    return 0 if data is None or isinstance(data, int) else len(data)


def described(operator: int, name: str) -> str:
    """Name an operator in an error."""
    return f"operator {operator} ({name})"


def _require_sound_graph(model: Any, graph: Any) -> None:
    graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
    graph.inputs, graph.outputs = integers(graph.inputs), integers(graph.outputs)
    for index, tensor in enumerate(graph.tensors):
        _require_sound_tensor(model, tensor, what=f"tensor {index}")
    for index in (*graph.inputs, *graph.outputs):
        _in_range(index, len(graph.tensors), what="an input or output of the model")
    if len(set(graph.inputs)) != len(graph.inputs) or any(data_bytes(model, graph.tensors[i]) for i in graph.inputs):
        raise UnsoundError("an input of the model is there twice, or is a constant")
    known = {index for index, tensor in enumerate(graph.tensors) if _needs_no_operator(model, tensor)} | {*graph.inputs}
    for place, operator in enumerate(graph.operators):
        _in_range(operator.opcodeIndex, len(model.operatorCodes or []), what=f"the code of operator {place}")
        name = operator_name(model, operator)
        what = described(place, name)
        operator.inputs, operator.outputs = integers(operator.inputs), integers(operator.outputs)
        for index in integers(operator.intermediates):
            _in_range(index, len(graph.tensors), what=f"an intermediate tensor of {what}", lowest=-1)
        for index in operator.outputs:
            _in_range(index, len(graph.tensors), what=f"an output of {what}")
            if data_bytes(model, graph.tensors[index]) or index in operator.inputs:
                raise UnsoundError(f"{what} would overwrite a constant or its own input")
        for position, index in enumerate(operator.inputs):
            optional = position >= _OPTIONAL.get(name, len(operator.inputs))
            _in_range(index, len(graph.tensors), what=f"input {position} of {what}", lowest=-1 if optional else 0)
            if index >= 0 and index not in known:
                raise UnsoundError(f"{what} reads tensor {index} before anything computes it")
        known.update(operator.outputs)
    if not known.issuperset(graph.outputs):
        raise UnsoundError("an output of the model is computed by no operator")


def _needs_no_operator(model: Any, tensor: Any) -> bool:
    """Return whether a tensor is a constant, has state, or holds nothing."""
    return bool(
        data_bytes(model, tensor)
        or tensor.isVariable
        or 0 in integers(tensor.shape)
        or enumeration("TensorType")[tensor.type] in ("RESOURCE", "VARIANT")
    )


def _require_sound_tensor(model: Any, tensor: Any, *, what: str) -> None:
    _in_range(tensor.buffer, len(model.buffers), what=f"the buffer of {what}")
    kind = enumeration("TensorType").get(tensor.type)
    if kind is None or (kind not in _BITS and kind not in _UNSIZED):
        raise UnsoundError(f"{what} has type {tensor.type}, which this version does not know")
    shape, signature = integers(tensor.shape), integers(tensor.shapeSignature)
    if len(shape) > _HIGHEST_RANK or any(length < 0 for length in shape):
        raise UnsoundError(f"{what} has shape {shape[: _HIGHEST_RANK + 1]}")
    if signature and (len(signature) != len(shape) or any(length < -1 for length in signature)):
        raise UnsoundError(f"{what} has shape {shape} and the signature {signature[: _HIGHEST_RANK + 1]}")
    if kind in _BITS:
        needed = (math.prod(shape) * _BITS[kind] + 7) // 8
        if needed > _LARGEST_TENSOR:
            raise UnsoundError(f"{what} has shape {shape}, {needed} bytes")
        stored = data_bytes(model, tensor)
        if stored and stored != needed:
            raise UnsoundError(f"{what} has shape {shape}, {needed} bytes, but its constant has {stored}")
    elif kind == "STRING" and data_bytes(model, tensor):
        raise UnsoundError(f"{what} is constant text")  # its lengths are offsets of their own, which nothing checks
    if tensor.quantization is not None:
        _require_sound_scales(tensor.quantization, shape, what=what)


def _require_sound_scales(quantization: Any, shape: list[int], *, what: str) -> None:
    scales = [] if _absent(quantization.scale) else [float(value) for value in quantization.scale]
    zeros = integers(quantization.zeroPoint)
    if quantization.detailsType:
        raise UnsoundError(f"{what} is quantized in a way that this version does not know")
    if not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise UnsoundError(f"{what} has a scale that is negative or not finite")
    if not all(-(1 << 31) <= zero < 1 << 31 for zero in zeros):
        raise UnsoundError(f"{what} has a zero point beyond int32")
    if len(zeros) not in (0, len(scales)) and scales:
        raise UnsoundError(f"{what} has {len(scales)} scales and {len(zeros)} zero points")
    axis = quantization.quantizedDimension
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        raise UnsoundError(f"{what} has shape {shape} and {len(scales)} scales along axis {axis}")


def _require_no_recursion(model: Any) -> None:
    """Refuse operators that run a subgraph that is not there, or one that runs them again."""
    graphs = model.subgraphs or []
    calls: list[set[int]] = []
    for graph in graphs:
        called: set[int] = set()
        for place, operator in enumerate(graph.operators):
            name = operator_name(model, operator)
            for field in _CONTROL.get(name, ()):
                index = getattr(operator.builtinOptions, field, -1)
                _in_range(index, len(graphs), what=f"a subgraph of {described(place, name)}")
                called.add(int(index))
            if operator.builtinOptions2Type and not name.startswith("STABLEHLO"):
                raise UnsoundError(f"{described(place, name)} has options of another operator")
            if name.startswith("STABLEHLO"):
                raise UnsoundError(f"{described(place, name)} is not an operator of TFLite")
        calls.append(called)
    for _ in graphs:  # each pass extends the calls by one level; a subgraph that reaches itself is a recursion
        calls = [called | {deeper for index in called for deeper in calls[index]} for called in calls]
    if any(index in called for index, called in enumerate(calls)):
        raise UnsoundError("a subgraph runs itself")


def _absent(values: Any) -> bool:
    return values is None or isinstance(values, int)


def _at_most(count: int, most: int, *, what: str) -> None:
    if count > most:
        raise UnsoundError(f"it has {count} {what}, more than {most}")


def _in_range(index: int, count: int, *, what: str, lowest: int = 0) -> None:
    if not lowest <= index < count:
        raise UnsoundError(f"{what} has index {index}, allowed: {lowest} to {count - 1}")
