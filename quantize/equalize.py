"""Cross-layer equalisation of linear streams (Nagel et al. 2019, arXiv:1906.04721).

The channels of a tensor share one int8 scale, so they are evened out.

Dividing a channel by s where it is made and multiplying by s where it is read changes nothing, as long as everything
between is linear in that channel: additions and means. ReLU6 is not (min(6, x / s) * s is not min(6, x)), so only the
linear bottlenecks between blocks take part: project convolutions, the residual sums and the pools that read them, the
expand convolutions and linear layers behind. That is exact, for every input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.ranges import Activation
from hearlite.tflite.graph import Graph, Node

_LARGEST = 8.0  # no channel is scaled by more: a silent one must not blow up a weight


@dataclass(frozen=True)
class Stream:
    """Tensors that must be scaled together, the layers that make them and those that read them."""

    tensors: frozenset[int]
    makers: tuple[Node, ...]
    readers: tuple[Node, ...]


def linear_streams(graph: Graph) -> tuple[Stream, ...]:
    """Return the streams of a network that can be rescaled exactly.

    Nothing in them is activated, an input or an output of the network.
    """
    groups = {index: frozenset({index}) for index in graph.activations}
    for node in graph.nodes:
        if node.name in ("ADD", "MEAN"):
            union = frozenset().union(groups[node.output], *(groups[index] for index in node.inputs))
            groups |= dict.fromkeys(union, union)
    ends = {int(index) for index in (*graph.graph.inputs, *graph.graph.outputs)}
    streams = []
    for tensors in dict.fromkeys(groups.values()):
        made = [node for node in graph.nodes if node.output in tensors]
        read = [node for node in graph.nodes if node.weights >= 0 and tensors & set(node.inputs)]
        through = [
            node
            for node in graph.nodes
            if tensors & set(node.inputs) and node.weights < 0 and node.name not in ("ADD", "MEAN")
        ]
        if (
            through
            or not read
            or tensors & ends
            or any(node.activated or (node.weights < 0 and node.name not in ("ADD", "MEAN")) for node in made)
        ):
            continue
        streams.append(Stream(tensors, tuple(node for node in made if node.weights >= 0), tuple(read)))
    return tuple(streams)


def equalize(network: bytes, activations: Sequence[Activation]) -> bytes:
    """Return the same function with the channels of every linear stream half way to one range.

    In logarithms: the other half is the weights' share.
    """
    graph = Graph(network)
    peaks = {activation.index: activation.channel_peak for activation in activations}
    for stream in linear_streams(graph):
        peak = np.max(np.stack([peaks[index] for index in stream.tensors]), axis=0)
        read = read_peak(graph, stream.readers)
        scales = _scales(peak, np.ones_like(peak) if read is None else read)
        for node in stream.makers:
            graph.scale(node.weights, 1.0 / scales, axis=node.output_axis)
            if node.bias >= 0:
                graph.scale(node.bias, 1.0 / scales, axis=0)
        for node in stream.readers:
            graph.scale(node.weights, scales, axis=-1)
    return graph.save()


def _scales(peak: NDArray[np.float64], read: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divisors `[channels]`: sqrt(range of the channel / range of the weights that read it), around 1."""
    ratio = np.maximum(peak, 1e-6 * peak.max() + 1e-30) / np.maximum(read, 1e-6 * read.max() + 1e-30)
    scales = np.sqrt(ratio)
    centred: NDArray[np.float64] = scales / np.exp(np.log(scales).mean())
    return centred.clip(1.0 / _LARGEST, _LARGEST)


def read_peak(graph: Graph, readers: Sequence[Node]) -> NDArray[np.float64] | None:
    """Return the greatest magnitude `[channels]` of the weights that read each channel.

    Each row by its own range, since scales are per output channel.

    None where depthwise convolutions alone read: those have a scale for each channel.
    """
    peaks = []
    for node in readers:
        weights = np.abs(graph.constant(node.weights)).astype(np.float64)
        if node.name != "DEPTHWISE_CONV_2D":
            weights = weights / np.maximum(weights.max(axis=tuple(range(1, weights.ndim)), keepdims=True), 1e-30)
            peaks.append(weights.max(axis=tuple(range(weights.ndim - 1))))
    return np.asarray(np.max(peaks, axis=0)) if peaks else None
