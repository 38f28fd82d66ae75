"""What limits a model on this processor: the roofline of compute and memory.

Multiply-accumulates a second are measured through the runtime that runs the models, and bytes a second by copying
(Williams et al. 2009, doi:10.1145/1498765.1498785).
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from hearlite.benchmarks.cost.latency import file_candidate, time_rounds
from hearlite.benchmarks.cost.stage_profile import FRONTEND
from hearlite.benchmarks.schema.cost import Ceiling, Footprint, Latency, Profile, RooflineBound
from hearlite.benchmarks.schema.cost_text import COMPUTE, MEMORY, OVERHEAD, limit_text
from hearlite.tflite.builder import GraphBuilder

# Matrix products as 1 x 1 convolutions, [positions, channels] by [channels, channels], from inside the L2 cache to
# beyond: the best one counts.
_POSITIONS = (16, 32)  # height and width
_CHANNELS = (256, 384, 1024)
_RUNS = 20
_SMALLEST_COPY = 1 << 16  # bytes; below, the call itself is what takes time
_COPIED = 1 << 28  # bytes a measurement of bandwidth moves in all
_TRIES = 5


def measure_ceiling(*, runs: int = _RUNS, channels: tuple[int, ...] = _CHANNELS) -> Ceiling:
    """Return the best rate of all shapes and calls on one thread.

    A slow moment of the machine can only understate it.
    """
    rates: dict[str, float] = {}
    for precision in ("int8", "float32"):
        models = {count: convolution(count, int8=precision == "int8") for count in channels}
        shape = {count: (1, *_POSITIONS, count) for count in channels}
        candidates = [
            file_candidate(str(count), model, threads=1, input_shape=shape[count]) for count, model in models.items()
        ]
        best_s = np.nanmin(time_rounds(candidates, runs=runs).times_ms, axis=0) / 1e3
        rates[precision] = max(
            _POSITIONS[0] * _POSITIONS[1] * count**2 / seconds for count, seconds in zip(channels, best_s, strict=True)
        )
    what = (
        f"1 x 1 convolutions of {_POSITIONS[0] * _POSITIONS[1]} positions, {', '.join(map(str, channels))} channels;"
        f" the fastest of {runs} calls"
    )
    return Ceiling(candidates[0].runtime, rates["int8"], rates["float32"], what)


def bandwidth(working_set: int) -> float:
    """Return bytes a second, read and written together, of copying within `working_set` bytes.

    This is what the cache that holds a model gives one thread.
    """
    size = max(working_set // 2, _SMALLEST_COPY)
    source, target = np.ones(size, dtype=np.uint8), np.empty(size, dtype=np.uint8)
    repeats = max(1, _COPIED // (2 * size) // _TRIES)
    np.copyto(target, source)
    best_s = min(_copy_s(target, source, repeats=repeats) for _ in range(_TRIES))
    return 2 * size * repeats / best_s


def _copy_s(target: Any, source: Any, *, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        np.copyto(target, source)
    return time.perf_counter() - start


def convolution(channels: int, *, int8: bool) -> bytes:
    """Return a .tflite of one 1 x 1 convolution, float32 `[1, height, width, channels]` in and out.

    With `int8`, quantized inside as hearlite's files are.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds, ops = schema.TensorType, schema.BuiltinOperator
    builder = GraphBuilder(schema)
    shape = [1, *_POSITIONS, channels]
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (channels, 1, 1, channels)).astype(np.int8)
    outside = builder.tensor("audio", shape, kinds.FLOAT32)
    if int8:
        given = builder.tensor("given", shape, kinds.INT8, scales=[0.01])
        kernel = builder.tensor("kernel", list(weights.shape), kinds.INT8, weights, scales=[0.01] * channels, axis=0)
        bias = builder.tensor(
            "bias", [channels], kinds.INT32, np.zeros(channels, np.int32), scales=[1e-4] * channels, axis=0
        )
        made = builder.tensor("made", shape, kinds.INT8, scales=[0.1])
        result = builder.tensor("embedding", shape, kinds.FLOAT32)
        builder.operator(ops.QUANTIZE, [outside], given)
        builder.operator(ops.CONV_2D, [given, kernel, bias], made)
        builder.operator(ops.DEQUANTIZE, [made], result)
    else:
        kernel = builder.tensor("kernel", list(weights.shape), kinds.FLOAT32, weights.astype(np.float32) / 127)
        bias = builder.tensor("bias", [channels], kinds.FLOAT32, np.zeros(channels, np.float32))
        result = builder.tensor("embedding", shape, kinds.FLOAT32)
        builder.operator(ops.CONV_2D, [outside, kernel, bias], result)
    return builder.finish(outside, result)


_NEAR = 0.5  # a bound that explains half of the time is what limits a model; a good kernel rarely passes 0.9 of either


def roofline_bound(
    model: Footprint,
    row: Latency,
    *,
    ceiling: Ceiling,
    profile: Profile | None,
    bandwidth_bytes_per_s: float | None = None,
) -> RooflineBound:
    """Return the least time that arithmetic and memory allow, next to the measured one.

    The bandwidth is measured unless it is given.
    """
    speed = bandwidth_bytes_per_s or bandwidth(model.weight_bytes + model.activation_peak_bytes)
    compute_ms = 1e3 * (
        model.int8_macs / ceiling.int8_macs_per_s + (model.macs - model.int8_macs) / ceiling.float32_macs_per_s
    )
    memory_ms = 1e3 * model.moved_bytes / speed
    frontend = next((part.share for part in profile.stages if part.name == FRONTEND), None) if profile else None
    fractions = {COMPUTE: compute_ms / row.median_ms, MEMORY: memory_ms / row.median_ms}
    nearest = max(fractions, key=lambda bound: fractions[bound])
    bound = nearest if fractions[nearest] >= _NEAR else OVERHEAD
    found = RooflineBound(
        model=model.name,
        median_ms=row.median_ms,
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        bandwidth_bytes_per_s=speed,
        fraction_of_peak=fractions[COMPUTE],
        frontend_share=frontend,
        bound=bound,
        text="",
    )
    return dataclasses.replace(found, text=limit_text(found, profile))
