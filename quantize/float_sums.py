"""Add up an int8 network's embedding in float32: its pools and linear layers, behind the int8 trunk.

An embedding is the sum of a linear layer for each tap. In int8 every term is rounded by its own range, and the terms
cancel each other in part, so the sum's rounding error is mostly theirs. Here the features are dequantized before they
are averaged over time, and a linear layer multiplies its int8 weights by an input that it rounds in each call, to that
input's own range (LiteRT calls it hybrid), with a float32 result. Each reads a vector, so this costs next to nothing.

The weights have one scale a layer, all that older runtimes take, and are rounded one input at a time: the error of each
is made good by those that follow, as far as the features are correlated (GPTQ, Frantar et al. 2022, arXiv:2210.17323).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.refit import TailLayers, find_head
from hearlite.tflite.builder import INT8_STEPS, add_hybrid_linear, add_operator, add_tensor
from hearlite.tflite.graph import Graph, Node
from hearlite.tflite.model_file import load, save, tensor_name
from hearlite.tflite.parts import drop_unused

Floats = NDArray[np.float64]
_DEQUANTIZE_INT8 = 2  # the first version of DEQUANTIZE that reads int8
_TIME_AND_FREQUENCY = (1, 2)  # axes of features [n, time, frequency, channels]
# Added to the features' variances, as a share of their mean, so that a few hundred clips suffice; from 0.001 to 1 the
# result hardly differs (measured).
_DAMPING = 0.1


def with_float_sums(quantized: bytes, network: bytes, *, features: Floats | None = None) -> bytes:
    """Replace the last linear layers of an int8 network by those of a float32 one, which add up in float32.

    Parameters
    ----------
    quantized : bytes
        An int8 network .tflite with float32 input and output.
    network : bytes
        The float32 network that it was made from, or one that differs from it in its last linear layers only.
    features : array [clips, width], optional
        What these layers read, side by side, to round their weights for; by default each weight is rounded by itself.

    Returns
    -------
    bytes
        The int8 network; its tensors have the names that those of `network` have.

    Raises
    ------
    InputError
        When the output of `network` is not a sum of linear layers.
    """
    graph, model = Graph(network), load(quantized)
    head, target = find_head(graph), model.subgraphs[0]
    layers = _rounded(graph, head, features)
    there = {tensor_name(tensor): index for index, tensor in enumerate(target.tensors)}
    pools = {node.output: node for node in graph.nodes if node.name == "MEAN"}
    names, behind, trunk = {graph.tensor_name(index) for index in pools}, set[int](), []
    for operator in target.operators:
        output = int(operator.outputs[0])
        if tensor_name(target.tensors[output]) in names or behind & {int(index) for index in operator.inputs}:
            behind.add(output)
        else:
            trunk.append(operator)
    target.operators = trunk
    terms = {}
    for node, layer in zip(head.layers, layers, strict=True):
        pooled = _pool(model, graph, pools[node.inputs[0]], there=there)
        terms[node.output] = add_hybrid_linear(
            model, pooled, layer.weights, name=graph.tensor_name(node.output), bias=layer.bias, scale=layer.scale
        )
    for node in graph.nodes:  # the sums, in order of execution
        if node.output in head.outputs and node.output not in terms:
            summed = [terms[index] for index in node.inputs]
            terms[node.output] = _sum(model, summed, name=graph.tensor_name(node.output))
    target.outputs = [terms[int(graph.graph.outputs[0])]]
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    used = {int(i) for operator in target.operators for i in (*operator.inputs, *operator.outputs) if i >= 0}
    drop_unused(model, sorted(used))
    return save(model)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A linear layer with weights `[out, in]` that are whole multiples of `scale`."""

    weights: Floats
    scale: float
    bias: Floats | None


def _rounded(graph: Graph, head: TailLayers, features: Floats | None) -> list[_Layer]:
    """Return the layers, rounded; what rounding moves on the average clip is taken out of the bias."""
    weights = [graph.constant(node.weights).astype(np.float64) for node in head.layers]
    scales = [float(np.abs(values).max()) / INT8_STEPS or 1.0 for values in weights]
    wide = np.concatenate(weights, axis=1)  # [out, width]
    steps = np.concatenate([np.full(values.shape[1], scale) for values, scale in zip(weights, scales, strict=True)])
    biased = head.biased or head.layers[0]
    bias = np.zeros(len(wide)) if head.biased is None else graph.constant(head.biased.bias).astype(np.float64)
    if features is None:
        found = round_weights(wide, np.eye(len(steps)), steps=steps)
    else:
        centred = features - features.mean(axis=0)
        found = round_weights(wide, centred.T @ centred / len(centred), steps=steps)
        bias = bias + (wide - found) @ features.mean(axis=0)
    ends = np.cumsum([values.shape[1] for values in weights])[:-1]
    return [
        _Layer(values, scale, bias if node is biased else None)
        for node, values, scale in zip(head.layers, np.split(found, ends, axis=1), scales, strict=True)
    ]


def round_weights(weights: Floats, covariance: Floats, *, steps: Floats) -> Floats:
    """Round a linear layer's weights so that its outputs change least, by GPTQ.

    Parameters
    ----------
    weights : array [out, in]
        The layer.
    covariance : array [in, in]
        Of what it reads.
    steps : array [in]
        Rounded weights are whole multiples of their column's step, up to INT8_STEPS.

    Returns
    -------
    array [out, in]
        The rounded weights.
    """
    damped = covariance + _DAMPING * np.diag(covariance).mean() * np.eye(len(covariance))
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T  # upper triangular
    left, found = weights.astype(np.float64).copy(), np.empty_like(weights, dtype=np.float64)
    for index, step in enumerate(steps):
        found[:, index] = np.clip(np.rint(left[:, index] / step), -INT8_STEPS, INT8_STEPS) * step
        error = (left[:, index] - found[:, index]) / spread[index, index]
        left[:, index + 1 :] -= np.outer(error, spread[index, index + 1 :])
    return found


def _pool(model: Any, graph: Graph, pool: Node, *, there: Mapping[str, int]) -> int:
    """Append the mean of int8 features over time and frequency in float32, and return its index."""
    from ai_edge_litert import schema_py_generated as schema

    features, name = there[graph.tensor_name(pool.inputs[0])], graph.tensor_name(pool.output)
    shape = [int(size) for size in model.subgraphs[0].tensors[features].shape]
    wide = add_tensor(model, f"{name}/features", shape)
    axes = add_tensor(model, f"{name}/axes", [2], np.array(_TIME_AND_FREQUENCY))
    pooled = add_tensor(model, name, [shape[0], shape[-1]])
    kinds, mean = schema.BuiltinOptions, schema.ReducerOptionsT()
    add_operator(
        model,
        schema.BuiltinOperator.DEQUANTIZE,
        [features],
        wide,
        schema.DequantizeOptionsT(),
        kinds.DequantizeOptions,
        version=_DEQUANTIZE_INT8,
    )
    add_operator(model, schema.BuiltinOperator.MEAN, [wide, axes], pooled, mean, kinds.ReducerOptions)
    return pooled


def _sum(model: Any, terms: list[int], *, name: str) -> int:
    from ai_edge_litert import schema_py_generated as schema

    result = add_tensor(model, name, [int(size) for size in model.subgraphs[0].tensors[terms[0]].shape])
    options = schema.AddOptionsT()
    add_operator(model, schema.BuiltinOperator.ADD, terms, result, options, schema.BuiltinOptions.AddOptions)
    return result
