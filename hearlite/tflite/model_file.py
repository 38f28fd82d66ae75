"""Read, write and summarize .tflite flatbuffers, and their metadata entries.

The schema is part of ai-edge-litert (schema_py_generated), so TensorFlow is not needed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.errors import InputError
from hearlite.files import read_content
from hearlite.tflite.operator_rules import require_runnable
from hearlite.tflite.structure import UnsoundError, enumeration, operator_name, require_bounded, require_sound

FILE_IDENTIFIER = b"TFL3"
NETWORK_PREFIX = "network/"  # starts the names of all tensors behind the frontend, see parts.py
WEIGHT_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV")
_DAMAGED_HINT = "copy it again, or export it again"


@dataclass(frozen=True)
class Op:
    """One operator, with the types of input 0, its weights (if any) and output 0."""

    name: str  # of the builtin operator, such as CONV_2D, or of the custom op
    custom: bool
    input_type: str
    weight_type: str  # "" when it has no constant weights
    weight_channels: int  # number of weight scales: 0: float, 1: per tensor, more: per channel
    output_type: str
    macs: int  # multiply-accumulates
    output_name: str


@dataclass(frozen=True)
class Summary:
    """Operators and sizes of a .tflite file, read from its flatbuffer."""

    ops: tuple[Op, ...]
    # Elements of constant float, float16 and int8 tensors with more than one dimension, frontend tables included.
    parameters: int
    network_parameters: int  # only of convolutions and linear layers behind the frontend, without biases
    macs: int  # multiply-accumulates
    network_macs: int  # only behind the frontend

    def counts(self) -> Counter[str]:
        """Count operators by `NAME:OUTPUT_TYPE`."""
        return Counter(f"{op.name}:{op.output_type}" for op in self.ops)

    def not_builtin(self) -> list[str]:
        """Return the names of custom operators."""
        return sorted({op.name for op in self.ops if op.custom})


def read_tflite(path: Path) -> bytes:
    """Read a .tflite from disk and check that it is sound, as `load_any` does.

    Raises InputError, which names the file.
    """
    content = read_content(path, hint="name a .tflite file")
    load_any(content, where=str(path))
    return content


def load(data: bytes, *, where: str = "the .tflite file") -> Any:
    """Read a .tflite as a mutable ModelT.

    Raises InputError, which starts with `where`, unless it is sound, as `load_any` says, and has one subgraph.
    """
    model = load_any(data, where=where)
    if len(model.subgraphs) != 1:
        raise InputError(f"{where} has {len(model.subgraphs)} subgraphs", "hearlite handles files with one")
    return model


def load_any(data: bytes, *, where: str) -> Any:
    """Read a .tflite with any number of subgraphs as a mutable ModelT.

    Every index and size in it is then in range, and its operators are such that their kernels stay inside their
    tensors, as far as that can be told without running them.

    Parameters
    ----------
    data : bytes
        The file.
    where : str
        Its name, for messages.

    Raises
    ------
    InputError
        When it is no .tflite, is damaged, or would crash a runtime.
    """
    from ai_edge_litert import schema_py_generated as schema

    if len(data) < 8 or data[4:8] != FILE_IDENTIFIER:
        raise InputError(
            f"{where} is not a .tflite file: its bytes 4 to 8 are not {FILE_IDENTIFIER.decode()!r}",
            "pass a file that 'hearlite export' or a TFLite converter wrote",
        )
    try:
        root = schema.Model.GetRootAs(bytearray(data), 0)
        require_bounded(root, size=len(data))
        model = schema.ModelT.InitFromObj(root)
        model.buffers = model.buffers or []
        for buffer in model.buffers:
            if buffer.offset > 1 and buffer.size > 1:  # large buffers may lie behind the flatbuffer
                if buffer.offset + buffer.size > len(data):
                    raise ValueError("a buffer ends beyond the file")
                buffer.data = np.frombuffer(data[buffer.offset : buffer.offset + buffer.size], np.uint8)
                buffer.offset = buffer.size = 0
        if not model.subgraphs:
            raise UnsoundError("it has no subgraph")
        require_sound(model)
        require_runnable(model)
    except UnsoundError as error:
        raise InputError(f"{where} is damaged: {error}", _DAMAGED_HINT) from error
    except Exception as error:  # a truncated or hostile flatbuffer raises many types, from struct, numpy and recursion
        raise InputError(f"{where} is truncated or damaged", _DAMAGED_HINT) from error
    return model


def save(model: Any) -> bytes:
    """Write a ModelT as a .tflite, storing equal vectors once.

    int8 models otherwise repeat a zero of 8 bytes for every channel of every weight and bias, 8 % of their size.
    """
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


def add_metadata(data: bytes, name: str, content: bytes) -> bytes:
    """Return a .tflite with `content` added as metadata entry `name`, replacing an entry of that name."""
    from ai_edge_litert import schema_py_generated as schema

    model = load(data)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [old for old in model.metadata or [] if old.name != entry.name] + [entry]
    return save(model)


def read_metadata(data: bytes, name: str, *, where: str = "the .tflite file") -> bytes | None:
    """Return the content of metadata entry `name`, None if there is none."""
    model = load(data, where=where)
    for entry in model.metadata or []:
        if entry.name == name.encode() and 0 <= entry.buffer < len(model.buffers):
            content = model.buffers[entry.buffer].data
            return None if content is None else bytes(bytearray(content))
    return None


def summarize(data: bytes, *, where: str = "the .tflite file") -> Summary:
    """Return the operators and sizes of a .tflite. Raises InputError, which starts with `where`, if it is damaged."""
    model = load(data, where=where)
    graph = model.subgraphs[0]
    try:
        ops = tuple(_op(model, graph, operator) for operator in graph.operators)
        behind = [behind_frontend(graph, operator) for operator in graph.operators]
        sizes = {
            int(t.buffer): math.prod(int(n) for n in t.shape)
            for t in graph.tensors
            if is_constant(model, t) and len(t.shape) > 1
        }
        network = {
            int(graph.tensors[o.inputs[1]].buffer)
            for o, op, tail in zip(graph.operators, ops, behind, strict=True)
            if tail and op.weight_type
        }
    except (IndexError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{where} is truncated or damaged", _DAMAGED_HINT) from error
    return Summary(
        ops=ops,
        parameters=sum(sizes.values()),
        network_parameters=sum(sizes.get(buffer, 0) for buffer in network),
        macs=sum(op.macs for op in ops),
        network_macs=sum(op.macs for op, tail in zip(ops, behind, strict=True) if tail),
    )


def tensor_name(tensor: Any) -> str:
    """Return the name of a TensorT."""
    return bytes(tensor.name or b"").decode(errors="replace")


def tensor_type(tensor: Any) -> str:
    """Return the type of a TensorT, such as FLOAT32 or INT8."""
    return enumeration("TensorType")[tensor.type]


def is_constant(model: Any, tensor: Any) -> bool:
    """Return whether a tensor has a buffer with data."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def behind_frontend(graph: Any, operator: Any) -> bool:
    """Return whether an operator belongs to the network, not the frontend, of a file joined by hearlite."""
    return tensor_name(graph.tensors[operator.outputs[0]]).startswith(NETWORK_PREFIX)


def _op(model: Any, graph: Any, operator: Any) -> Op:
    code = model.operatorCodes[operator.opcodeIndex]
    builtin = operator_name(model, operator)
    custom = builtin == "CUSTOM"
    tensors = [graph.tensors[i] for i in operator.inputs if i >= 0]
    output = graph.tensors[operator.outputs[0]]
    weight = tensors[1] if builtin in WEIGHT_OPS and len(tensors) > 1 and is_constant(model, tensors[1]) else None
    scales = None if weight is None or weight.quantization is None else weight.quantization.scale
    return Op(
        name=(code.customCode or b"").decode(errors="replace") if custom else builtin,
        custom=custom,
        input_type=tensor_type(tensors[0]) if tensors else "",
        weight_type="" if weight is None else tensor_type(weight),
        weight_channels=0 if scales is None else len(scales),
        output_type=tensor_type(output),
        macs=_macs(builtin, tensors, output),
        output_name=tensor_name(output),
    )


def _macs(name: str, tensors: list[Any], output: Any) -> int:
    if name == "CONV_2D":  # weights [out, kernel_h, kernel_w, in]
        return math.prod(int(n) for n in output.shape) * math.prod(int(n) for n in tensors[1].shape[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights [1, kernel_h, kernel_w, out]
        return math.prod(int(n) for n in output.shape) * math.prod(int(n) for n in tensors[1].shape[1:3])
    if name in ("FULLY_CONNECTED", "BATCH_MATMUL"):
        return math.prod(int(n) for n in output.shape) * int(tensors[0].shape[-1])
    return 0
