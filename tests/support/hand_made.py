"""Build models of a few operators by hand, without TensorFlow."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hearlite.tflite.builder import GraphBuilder

F32, I32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
OPS = schema.BuiltinOperator


def convolution() -> bytes:
    """Return input [1, 8, 8, 2] -> CONV_2D with 4 channels -> RELU."""
    builder = GraphBuilder(schema)
    given = builder.tensor("in", [1, 8, 8, 2], F32)
    weights = builder.tensor("weights", [4, 3, 3, 2], F32, np.ones((4, 3, 3, 2), np.float32))
    bias = builder.tensor("bias", [4], F32, np.zeros(4, np.float32))
    made = builder.tensor("made", [1, 8, 8, 4], F32)
    out = builder.tensor("out", [1, 8, 8, 4], F32)
    builder.operator(OPS.CONV_2D, [given, weights, bias], made)
    builder.operator(OPS.RELU, [made], out)
    return builder.finish(given, out)


def with_constant(code: int, shape: list[int], values: list[int], result: list[int], *more: list[int]) -> bytes:
    """Return input `shape` -> an operator with int32 constants -> output `result`."""
    builder = GraphBuilder(schema)
    given, out = builder.tensor("in", shape, F32), builder.tensor("out", result, F32)
    parts = [
        builder.tensor(f"c{i}", [len(part)], I32, np.asarray(part, "<i4")) for i, part in enumerate((values, *more))
    ]
    builder.operator(code, [given, *parts], out)
    return builder.finish(given, out)


def embedder(*, samples: int = 32_000, dim: int = 4) -> bytes:
    """Return a waveform [1, samples] -> FULLY_CONNECTED -> embedding [1, dim]."""
    builder = GraphBuilder(schema)
    weights = np.random.default_rng(0).normal(0.0, 0.01, (dim, samples)).astype(np.float32)
    given, out = builder.tensor("audio", [1, samples], F32), builder.tensor("embedding", [1, dim], F32)
    constant = builder.tensor("weights", [dim, samples], F32, weights)
    builder.operator(OPS.FULLY_CONNECTED, [given, constant], out)
    return builder.finish(given, out)
