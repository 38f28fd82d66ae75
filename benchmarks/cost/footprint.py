"""What a .tflite file costs by its own account: parameters, multiply-accumulates, bytes moved, memory.

Nothing is run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.schema.cost import Footprint
from hearlite.errors import InputError
from hearlite.files import sha256_of
from hearlite.spec import AUDIO
from hearlite.tflite.model_file import is_constant, load, read_tflite, summarize, tensor_type

# Bytes of an element by TensorType of the TFLite schema.
_BYTES = {
    "FLOAT64": 8,
    "INT64": 8,
    "UINT64": 8,
    "COMPLEX64": 8,
    "FLOAT32": 4,
    "INT32": 4,
    "UINT32": 4,
    "FLOAT16": 2,
    "BFLOAT16": 2,
    "INT16": 2,
}


def footprint(
    path: Path, *, name: str, kind: str, audio_s: float | None = None, note: str = "", source: str = "", size: str = ""
) -> Footprint:
    """Read `path`. `audio_s`: seconds of sound that a call takes in, needed where the input is no waveform.

    Raises InputError for a file that can't be read, doesn't take one float32 array of a fixed shape, or whose input
    duration is unknown.
    """
    content = read_tflite(path)
    counted, model = summarize(content, where=str(path)), load(content, where=str(path))
    shape = input_shape(model, label=str(path))
    if audio_s is None and math.prod(shape) != shape[-1]:
        raise InputError(
            f"{path} takes {list(shape)}, which is no waveform", "only files that take raw sound can be measured here"
        )
    weights, moved, peak = traffic(model)
    return Footprint(
        name=name,
        kind=kind,
        file=path.name,
        sha256=sha256_of(path),
        bytes=len(content),
        parameters=counted.parameters,
        macs=counted.macs,
        int8_macs=sum(op.macs for op in counted.ops if op.weight_type == "INT8" or op.input_type == "INT8"),
        frontend_macs=counted.macs - counted.network_macs if counted.network_macs else 0,
        audio_s=shape[-1] / AUDIO.sample_rate_hz if audio_s is None else audio_s,
        input_shape=shape,
        weight_bytes=weights,
        moved_bytes=moved,
        activation_peak_bytes=peak,
        note=note,
        source=source,
        size=size,
    )


def input_shape(model: Any, *, label: str) -> tuple[int, ...]:
    """Of the only input. Raises InputError when there are others, or it is not float32, or its shape is free."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    inputs = [graph.tensors[index] for index in graph.inputs]
    signed = inputs[0].shapeSignature if len(inputs) == 1 else None
    shape = (
        tuple(int(size) for size in (inputs[0].shape if signed is None or not len(signed) else signed))
        if len(inputs) == 1
        else ()
    )
    if not shape or min(shape) < 1 or inputs[0].type != schema.TensorType.FLOAT32:
        raise InputError(
            f"{label} has {len(inputs)} inputs, or one that is not float32 of a fixed shape",
            "export it for one clip of sound",
        )
    return shape


def traffic(model: Any) -> tuple[int, int, int]:
    """Return bytes of constants, bytes moved in a call, and the peak of activations alive at once.

    An alias (RESHAPE) counts as a copy.
    """
    graph = model.subgraphs[0]
    size = [_tensor_bytes(tensor) for tensor in graph.tensors]
    constant = [is_constant(model, tensor) for tensor in graph.tensors]
    last_read = {int(index): step for step, op in enumerate(graph.operators) for index in op.inputs if index >= 0}
    last_read |= {int(index): len(graph.operators) for index in graph.outputs}
    alive = {int(index) for index in graph.inputs}
    moved, peak = 0, sum(size[index] for index in alive)
    for step, op in enumerate(graph.operators):
        inputs, outputs = {int(index) for index in op.inputs if index >= 0}, {int(index) for index in op.outputs}
        moved += sum(size[index] for index in inputs | outputs)
        alive |= outputs
        peak = max(peak, sum(size[index] for index in alive))
        alive = {index for index in alive if last_read.get(index, -1) > step}
    stored = {int(tensor.buffer): size[index] for index, tensor in enumerate(graph.tensors) if constant[index]}
    return sum(stored.values()), moved, peak


def _tensor_bytes(tensor: Any) -> int:
    return (
        int(np.prod(tensor.shape, dtype=np.int64)) * _BYTES.get(tensor_type(tensor), 1)
        if tensor.shape is not None
        else 0
    )
