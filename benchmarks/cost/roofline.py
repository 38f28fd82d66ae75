"""What this processor can do at most: multiply-accumulates a second, measured through the runtime that runs the models, and bytes a second."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from hearlite.benchmarks.cost.latency import file_candidate, time_rounds
from hearlite.benchmarks.schema.cost import Ceiling
from hearlite.flatbuffer import save

# Matrix products as 1 x 1 convolutions, [positions, channels] by [channels, channels], from inside the L2 cache to beyond: the best one counts.
_POSITIONS = (16, 32)  # height and width
_CHANNELS = (256, 384, 1024)
_RUNS = 20
_SMALLEST_COPY = 1 << 16  # bytes; below, the call itself is what takes time
_COPIED = 1 << 28  # bytes a measurement of bandwidth moves in all
_TRIES = 5


def measure_ceiling(*, runs: int = _RUNS, channels: tuple[int, ...] = _CHANNELS) -> Ceiling:
    """The best rate of all shapes and calls, one thread: what a slow moment of the machine can only understate."""
    rates: dict[str, float] = {}
    for precision in ("int8", "float32"):
        models = {count: convolution(count, int8=precision == "int8") for count in channels}
        shape = {count: (1, *_POSITIONS, count) for count in channels}
        candidates = [file_candidate(str(count), model, threads=1, input_shape=shape[count]) for count, model in models.items()]
        best_s = np.nanmin(time_rounds(candidates, runs=runs).times_ms, axis=0) / 1e3
        rates[precision] = max(_POSITIONS[0] * _POSITIONS[1] * count**2 / seconds for count, seconds in zip(channels, best_s, strict=True))
    what = f"1 x 1 convolutions of {_POSITIONS[0] * _POSITIONS[1]} positions, {', '.join(map(str, channels))} channels; the fastest of {runs} calls"
    return Ceiling(candidates[0].runtime, rates["int8"], rates["float32"], what)


def bandwidth(working_set: int) -> float:
    """Bytes a second, read and written together, of copying within `working_set` bytes: what the cache that holds a model gives one thread."""
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
    """A .tflite of one 1 x 1 convolution, float32 [1, height, width, channels] in and out; with `int8`, quantized inside as hearlite's files are."""
    from ai_edge_litert import schema_py_generated as schema

    kinds, ops = schema.TensorType, schema.BuiltinOperator
    builder = _Graph(schema)
    shape = [1, *_POSITIONS, channels]
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (channels, 1, 1, channels)).astype(np.int8)
    outside = builder.tensor("audio", shape, kinds.FLOAT32)
    if int8:
        given = builder.tensor("given", shape, kinds.INT8, scales=[0.01])
        kernel = builder.tensor("kernel", list(weights.shape), kinds.INT8, weights, scales=[0.01] * channels, axis=0)
        bias = builder.tensor("bias", [channels], kinds.INT32, np.zeros(channels, np.int32), scales=[1e-4] * channels, axis=0)
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


class _Graph:
    """The schema's objects, put together by hand: no converter, so no TensorFlow."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name: str, shape: list[int], kind: int, data: Any = None, *, scales: list[float] | None = None, axis: int = 0) -> int:
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), np.asarray(shape, np.int32), kind, 0
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scales:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = np.asarray(scales, np.float32), np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int) -> None:
        entry, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, 3 if code == self.schema.BuiltinOperator.CONV_2D else 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes), inputs, [output]
        if code == self.schema.BuiltinOperator.CONV_2D:
            operator.builtinOptionsType = self.schema.BuiltinOptions.Conv2DOptions
            operator.builtinOptions = self.schema.Conv2DOptionsT()
            operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
            operator.builtinOptions.dilationHFactor = operator.builtinOptions.dilationWFactor = 1
        self.model.operatorCodes.append(entry)
        self.graph.operators.append(operator)

    def finish(self, given: int, result: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [given], [result]
        self.model.subgraphs = [self.graph]
        return save(self.model)
