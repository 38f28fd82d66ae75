"""Parts of a .tflite file as files of their own, to be measured: what its first operators cost, and its network without the frontend."""

from __future__ import annotations

from typing import Any

from hearlite.errors import InputError
from hearlite.flatbuffer import load, save


def cut(data: bytes, *, first: int = 0, last: int | None = None) -> bytes:
    """Operators `first` to `last` (exclusive; None: to the end). Inputs are what they read, outputs what later operators or the file's user reads.

    Raises InputError for a range that holds no operator.
    """
    model = load(data)
    graph = model.subgraphs[0]
    kept, later = graph.operators[first:last], graph.operators[last:] if last is not None else []
    if not kept:
        raise InputError(f"operators {first} to {last} of {len(graph.operators)}", "name at least one that is there")
    read = [int(i) for operator in kept for i in operator.inputs if i >= 0]
    made = [int(i) for operator in kept for i in operator.outputs]
    wanted = {int(i) for operator in later for i in operator.inputs} | {int(i) for i in graph.outputs}
    graph.inputs = [i for i in dict.fromkeys(read) if i not in made and not _is_constant(model, graph.tensors[i])]
    graph.outputs = [i for i in made if i in wanted]
    graph.operators = kept
    _drop_unused(model, sorted({*read, *made}))
    model.metadata = model.metadataBuffer = model.signatureDefs = None
    return save(model)


def network_of(data: bytes) -> bytes:
    """The network of an exported file: image -> embedding. Raises InputError for a file that hearlite didn't join."""
    graph = load(data).subgraphs[0]
    first = [i for i, operator in enumerate(graph.operators) if bytes(graph.tensors[operator.outputs[0]].name or b"").startswith(b"network/")]
    if not first:
        raise InputError("the file has no network behind a frontend", "name a file that 'hearlite export' or 'hearlite quantize' wrote")
    return cut(data, first=first[0])


def _drop_unused(model: Any, used: list[int]) -> None:
    """Keep the tensors `used` and their buffers only; buffer 0 is the empty one."""
    graph = model.subgraphs[0]
    new = {-1: -1, **{old: index for index, old in enumerate(used)}}
    graph.tensors = [graph.tensors[i] for i in used]
    graph.inputs, graph.outputs = [new[i] for i in graph.inputs], [new[i] for i in graph.outputs]
    for operator in graph.operators:
        operator.inputs = [new[int(i)] for i in operator.inputs]
        operator.outputs = [new[int(i)] for i in operator.outputs]
        operator.intermediates = None
    buffers = {0: model.buffers[0]}
    for tensor in graph.tensors:
        buffers.setdefault(tensor.buffer, model.buffers[tensor.buffer])
    places = {old: index for index, old in enumerate(buffers)}
    for tensor in graph.tensors:
        tensor.buffer = places[tensor.buffer]
    model.buffers = list(buffers.values())


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
