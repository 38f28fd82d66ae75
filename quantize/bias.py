"""Bias correction by data (Nagel et al. 2019, arXiv:1906.04721, section 4.2): the mean error of each channel, measured through the int8 file.

Rounded weights and clipped activations shift a channel's mean, and shifts add up over layers where errors without a mean average out. Convolution by
convolution in the order of execution, so that each correction sees the ones before it. The int8 file only has other int32 biases then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.graph import Graph, Probe, tensors_by_name

Means = dict[str, NDArray[np.float64]]  # of channels, by the name of the tensor


def mean_errors(network: bytes, quantized: bytes, images: Sequence[NDArray[np.float32]]) -> Means:
    """What to subtract from the bias of each convolution, by the name of its output; both files are of the same float32 `network`."""
    float_tensors, int8_tensors = tensors_by_name(network), tensors_by_name(quantized)
    graph = Graph(quantized)
    layers = [node for node in graph.layers if "CONV" in node.name and node.bias >= 0 and graph.tensor_name(node.output) in float_tensors]
    names = [graph.tensor_name(node.output) for node in layers]
    wanted = _means(network, images, {name: float_tensors[name].index for name in names})
    errors: Means = {}
    for node, name in zip(layers, names, strict=True):
        found = _means(graph.save(), images, {name: node.output})[name]
        errors[name] = (found - int8_tensors[name].zero_point) * int8_tensors[name].scale - wanted[name]
        graph.shift_int32(node.bias, -errors[name])
    return errors


def subtract(network: bytes, errors: Mapping[str, NDArray[np.float64]]) -> bytes:
    """The float32 `network` with those errors taken off the biases of its convolutions, to be quantized again."""
    graph = Graph(network)
    for node in graph.layers:
        if graph.tensor_name(node.output) in errors and node.bias >= 0:
            graph.set_constant(node.bias, graph.constant(node.bias) - errors[graph.tensor_name(node.output)])
    return graph.save()


def _means(model: bytes, images: Sequence[NDArray[np.float32]], tensors: Mapping[str, int]) -> Means:
    """Mean of each channel, as stored."""
    probe = Probe(model, tensors.values())
    sums: Means = {}
    for image in images:
        seen = probe(image[None])
        for name, index in tensors.items():
            sums[name] = sums.get(name, np.zeros(1)) + seen[index].reshape(-1, seen[index].shape[-1]).mean(axis=0, dtype=np.float64)
    return {name: total / len(images) for name, total in sums.items()}
