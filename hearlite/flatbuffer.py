"""Reading and joining .tflite flatbuffers: what a file is made of, and how a float frontend and an int8 network become one graph.

The schema comes with ai-edge-litert (schema_py_generated), so no TensorFlow is needed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearlite.errors import InputError

FILE_IDENTIFIER = b"TFL3"
WEIGHT_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV")
_DAMAGED = ("the .tflite file is cut or damaged", "copy it again, or export it again")


@dataclass(frozen=True)
class Op:
    """One operator: its builtin name (or the custom op's), tensor types and shapes of input 0, weights (if any) and output 0."""

    name: str
    custom: bool
    input_type: str
    weight_type: str  # "" when input 1 is not a constant
    weight_channels: int  # number of weight scales: 0 float, 1 per tensor, more: per channel
    output_type: str
    macs: int
    output_name: str


@dataclass(frozen=True)
class Summary:
    """What a .tflite file holds, read from its flatbuffer."""

    ops: tuple[Op, ...]
    parameters: int  # elements of constant float, float16 and int8 tensors with more than one dimension, frontend tables included
    network_parameters: int  # those of convolutions and linear layers behind the frontend, biases not counted
    macs: int
    network_macs: int  # behind the frontend

    def counts(self) -> Counter[str]:
        return Counter(f"{op.name}:{op.output_type}" for op in self.ops)

    def not_builtin(self) -> list[str]:
        return sorted({op.name for op in self.ops if op.custom})


def load(data: bytes) -> Any:
    """The model as a mutable ModelT. Raises InputError when `data` is no readable .tflite with one subgraph."""
    from ai_edge_litert import schema_py_generated as schema

    if len(data) < 8 or data[4:8] != FILE_IDENTIFIER:
        raise InputError("not a .tflite file: its bytes 4 to 8 are not 'TFL3'", "pass a file that 'hearlite export' or a TFLite converter wrote")
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        for buffer in model.buffers:
            if buffer.offset > 1 and buffer.size > 1:  # large buffers may lie behind the flatbuffer
                if buffer.offset + buffer.size > len(data):
                    raise ValueError("a buffer ends beyond the file")
                buffer.data = np.frombuffer(data[buffer.offset : buffer.offset + buffer.size], np.uint8)
                buffer.offset = buffer.size = 0
    except Exception as error:  # a cut or hostile flatbuffer fails in struct, numpy or by recursion, with many types
        raise InputError(*_DAMAGED) from error
    if not model.subgraphs or len(model.subgraphs) != 1:
        raise InputError(f"the .tflite file has {len(model.subgraphs or [])} subgraphs", "hearlite handles files with one")
    return model


def save(model: Any) -> bytes:
    """The file. Equal vectors are stored once: int8 models repeat a zero of 8 bytes for every channel of every weight and bias, 8 % of their size."""
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        def CreateNumpyVector(self, x: Any) -> Any:  # the generated schema packs every numeric vector with it
            key = (x.dtype.str, x.tobytes())
            if key not in stored:
                stored[key] = super().CreateNumpyVector(x)
            return stored[key]

    stored: dict[tuple[str, bytes], Any] = {}
    builder = Builder(1 << 20)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def join(first: bytes, second: bytes, *, signature: str, input_name: str, output_name: str) -> bytes:
    """One graph that feeds `first`'s only output to `second`'s only input, with one named signature.

    Quantizing the network alone and joining keeps the frontend float32 exactly; asking a converter to skip part of a graph loses accuracy
    (measured centred cosine 0.992 joined, 0.965 - 0.974 by the converters' own selective modes).
    """
    a, b = load(first), load(second)
    graph, tail = a.subgraphs[0], b.subgraphs[0]
    border_out, border_in = graph.outputs[0], tail.inputs[0]
    left, right = graph.tensors[border_out], tail.tensors[border_in]
    shapes = [np.asarray(tensor.shape).tolist() for tensor in (left, right)]  # plain numbers, for the message
    if len(graph.outputs) != 1 or len(tail.inputs) != 1 or shapes[0] != shapes[1] or left.type != right.type:
        raise InputError(f"cannot join: {shapes[0]} type {left.type} does not fit {shapes[1]} type {right.type}")
    buffers, codes = len(a.buffers), len(a.operatorCodes)
    a.buffers += b.buffers
    a.operatorCodes += b.operatorCodes
    remap = {-1: -1}
    for index, tensor in enumerate(tail.tensors):
        if index == border_in:
            remap[index] = border_out
            continue
        tensor.buffer += buffers
        tensor.name = b"network/" + (tensor.name or b"")
        remap[index] = len(graph.tensors)
        graph.tensors.append(tensor)
    for operator in tail.operators:
        operator.opcodeIndex += codes
        operator.inputs = [remap[int(i)] for i in operator.inputs]
        operator.outputs = [remap[int(i)] for i in operator.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [remap[int(i)] for i in operator.intermediates]
        graph.operators.append(operator)
    graph.outputs = [remap[int(i)] for i in tail.outputs]
    graph.name = b"main"
    _name_signature(a, signature=signature, input_name=input_name, output_name=output_name)
    a.description = b"hearlite"
    a.metadata, a.metadataBuffer = None, None  # the converters' own notes speak of the halves
    return save(a)


def frontend_of(data: bytes, *, input_name: str, output_name: str) -> bytes:
    """The frontend alone of a model that `join` made: audio -> image, by the very operators and constants of that file. Raises InputError."""
    model = load(data)
    graph = model.subgraphs[0]
    count = next((index for index, operator in enumerate(graph.operators) if _behind_frontend(graph, operator)), 0)
    given = {int(i) for operator in graph.operators[:count] for i in operator.outputs}
    border = sorted(given & {int(i) for operator in graph.operators[count:] for i in operator.inputs})
    if len(border) != 1:
        raise InputError(f"{len(border)} tensors go from the frontend to the network", "expected one; pass a file that 'hearlite export' wrote")
    graph.operators, graph.outputs = graph.operators[:count], border
    kept = sorted(given | {int(i) for operator in graph.operators for i in operator.inputs if i >= 0})
    remap = {-1: -1} | {old: new for new, old in enumerate(kept)}
    graph.tensors = [graph.tensors[index] for index in kept]
    graph.inputs, graph.outputs = ([remap[int(i)] for i in side] for side in (graph.inputs, graph.outputs))
    for operator in graph.operators:
        operator.inputs, operator.outputs = ([remap[int(i)] for i in side] for side in (operator.inputs, operator.outputs))
    read = {int(tensor.buffer) for tensor in graph.tensors}
    for index, buffer in enumerate(model.buffers):
        if index not in read:
            buffer.data = None
    model.metadata = None
    _name_signature(model, signature="frontend", input_name=input_name, output_name=output_name)
    return save(model)


def add_metadata(data: bytes, name: str, content: bytes) -> bytes:
    """The same model with `content` stored as metadata entry `name`, replacing an older one of that name."""
    from ai_edge_litert import schema_py_generated as schema

    model = load(data)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [old for old in model.metadata or [] if old.name != entry.name] + [entry]
    return save(model)


def read_metadata(data: bytes, name: str) -> bytes | None:
    """The content of metadata entry `name`, None when there is none."""
    model = load(data)
    for entry in model.metadata or []:
        if entry.name == name.encode() and 0 <= entry.buffer < len(model.buffers):
            content = model.buffers[entry.buffer].data
            return None if content is None else bytes(bytearray(content))
    return None


def summarize(data: bytes) -> Summary:
    """Operators, parameters and multiply-accumulates of a .tflite file."""
    from ai_edge_litert import schema_py_generated as schema

    model = load(data)
    types = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    graph = model.subgraphs[0]
    try:
        ops = tuple(_op(model, graph, operator, types, names) for operator in graph.operators)
        behind = [_behind_frontend(graph, operator) for operator in graph.operators]
        sizes = {int(t.buffer): math.prod(int(n) for n in t.shape) for t in graph.tensors if _is_constant(model, t) and len(t.shape) > 1}
        network = {
            int(graph.tensors[o.inputs[1]].buffer) for o, op, tail in zip(graph.operators, ops, behind, strict=True) if tail and op.weight_type
        }
    except (IndexError, TypeError, KeyError, AttributeError) as error:
        raise InputError(*_DAMAGED) from error
    return Summary(
        ops=ops,
        parameters=sum(sizes.values()),
        network_parameters=sum(sizes.get(buffer, 0) for buffer in network),
        macs=sum(op.macs for op in ops),
        network_macs=sum(op.macs for op, tail in zip(ops, behind, strict=True) if tail),
    )


def _behind_frontend(graph: Any, operator: Any) -> bool:
    return bytes(graph.tensors[operator.outputs[0]].name or b"").startswith(b"network/")


def _op(model: Any, graph: Any, operator: Any, types: dict[int, str], names: dict[int, str]) -> Op:
    code = model.operatorCodes[operator.opcodeIndex]
    builtin = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
    custom = builtin == "CUSTOM"
    tensors = [graph.tensors[i] for i in operator.inputs if i >= 0]
    output = graph.tensors[operator.outputs[0]]
    weight = tensors[1] if builtin in WEIGHT_OPS and len(tensors) > 1 and _is_constant(model, tensors[1]) else None
    scales = None if weight is None or weight.quantization is None else weight.quantization.scale
    return Op(
        name=(code.customCode or b"").decode(errors="replace") if custom else builtin,
        custom=custom,
        input_type=types[tensors[0].type] if tensors else "",
        weight_type="" if weight is None else types[weight.type],
        weight_channels=0 if scales is None else len(scales),
        output_type=types[output.type],
        macs=_macs(builtin, tensors, output),
        output_name=bytes(output.name or b"").decode(errors="replace"),
    )


def _macs(name: str, tensors: list[Any], output: Any) -> int:
    if name == "CONV_2D":  # weights [out, kernel_h, kernel_w, in]
        return math.prod(int(n) for n in output.shape) * math.prod(int(n) for n in tensors[1].shape[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights [1, kernel_h, kernel_w, out]
        return math.prod(int(n) for n in output.shape) * math.prod(int(n) for n in tensors[1].shape[1:3])
    if name in ("FULLY_CONNECTED", "BATCH_MATMUL"):
        return math.prod(int(n) for n in output.shape) * int(tensors[0].shape[-1])
    return 0


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _name_signature(model: Any, *, signature: str, input_name: str, output_name: str) -> None:
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = signature.encode(), 0
    for name, index, attribute in ((input_name, graph.inputs[0], "inputs"), (output_name, graph.outputs[0], "outputs")):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), int(index)
        setattr(definition, attribute, [entry])
        graph.tensors[index].name = name.encode()
    model.signatureDefs = [definition]
