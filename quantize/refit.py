"""Refit the embedding's linear layers to what the int8 trunk really computes.

Closed form, no labels, no cost at run time.

The int8 trunk's pooled features differ from the float ones by a part that is linear in them (shifted means, shrunk
ranges). Ridge regression of the float embedding on the int8 features, which are read out of the int8 file itself, takes
that part out again. It starts from the trained weights: the penalty is on the change, so few clips change little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.quantize.tensor_tap import TensorTap, dequantize, tensors_by_name
from hearlite.tflite.graph import Graph, Node


@dataclass(frozen=True)
class TailLayers:
    """The linear layers that sum up to the network's output."""

    layers: tuple[Node, ...]
    biased: Node | None  # the one whose bias is fitted; None where all biases were 0 and the converter left them out
    outputs: tuple[int, ...]  # tensors that these weights change: the layers' own and the sums


def find_head(graph: Graph) -> TailLayers:
    """Return the linear layers that make the output.

    Raises InputError when it is not a sum of linear layers.
    """
    makers = {node.output: node for node in graph.nodes}
    pending, layers, outputs = [int(graph.graph.outputs[0])], [], []
    while pending:
        outputs.append(pending.pop())
        node = makers.get(outputs[-1])
        if node is not None and node.name == "ADD" and len(node.inputs) == 2:
            pending += node.inputs
        elif node is not None and node.name == "FULLY_CONNECTED" and node.weights >= 0 and not node.activated:
            layers.append(node)
        else:
            raise InputError(
                "the network's output is not a sum of linear layers, so it has no head to refit",
                "use a recipe without refit and float_sums",
            )
    layers.sort(key=lambda node: node.output)
    biased = next((node for node in layers if node.bias >= 0), None)
    return TailLayers(tuple(layers), biased, tuple(outputs))


def refit(
    network: bytes,
    quantized: bytes,
    images: Sequence[NDArray[np.float32]],
    *,
    ridge: float,
    wanted: bytes | None = None,
) -> bytes:
    """Return `network` with the head that fits the trunk of its int8 file `quantized` best to `wanted`.

    Float32, to be quantized again.

    `wanted` is another float32 network with one output, or None for `network` itself. `ridge` is the penalty on the
    change of weights, relative to the features' mean variance. All take images float32 `[1, frames, mels, 1]`.
    """
    graph = Graph(network)
    head = find_head(graph)
    if head.biased is None:
        raise InputError("no linear layer of the head has a bias", "use a recipe without refit")
    outputs, features = _outputs(wanted or network, images), pooled_features(network, quantized, images)
    now = np.concatenate([graph.constant(node.weights) for node in head.layers], axis=1).T.astype(
        np.float64
    )  # [width, dim]
    missing = outputs - (features @ now + graph.constant(head.biased.bias))
    shares = 1.0 / np.maximum(
        ((outputs - outputs.mean(axis=0)) ** 2).sum(axis=1, keepdims=True), 1e-12
    )  # relative errors: cosines are what counts
    shares /= shares.sum()
    mean, gap = (shares * features).sum(axis=0), (shares * missing).sum(axis=0)
    centred = features - mean
    gram = centred.T @ (shares * centred)
    gram[np.diag_indices_from(gram)] += ridge * np.diag(gram).mean()
    change = np.linalg.solve(gram, centred.T @ (shares * (missing - gap)))
    start = 0
    for node in head.layers:
        weights = graph.constant(node.weights)  # [dim, width of this layer]
        rows = weights.shape[1]
        graph.set_constant(node.weights, weights + change[start : start + rows].T)
        start += rows
    graph.set_constant(head.biased.bias, graph.constant(head.biased.bias) + gap - mean @ change)
    return graph.save()


def _outputs(network: bytes, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return the float embedding, `[n, dim]`."""
    index = int(Graph(network).graph.outputs[0])
    probe = TensorTap(network, (index,))
    return np.asarray([probe(image[None])[index].reshape(-1) for image in images], dtype=np.float64)


def pooled_features(network: bytes, quantized: bytes, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return what the last linear layers of `network` read in its int8 file, side by side, `[n, width]`."""
    graph, found = Graph(network), tensors_by_name(quantized)
    names = [graph.tensor_name(node.inputs[0]) for node in find_head(graph).layers]
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"the int8 file has no tensor {missing[0]!r}, which the float file has", "quantize that float file again"
        )
    tensors = [found[name] for name in names]
    probe = TensorTap(quantized, [tensor.index for tensor in tensors])
    rows = []
    for image in images:
        seen = probe(image[None])
        rows.append(np.concatenate([dequantize(seen[tensor.index], tensor).reshape(-1) for tensor in tensors]))
    return np.asarray(rows)
