"""Make channels behind a ReLU6 louder where they never come near 6.

All of a tensor's channels share one int8 scale, and quiet ones drown in it.

Equalisation (quantize/equalize.py) leaves activated tensors alone, for ReLU6 does not commute with a scale. It does
where a channel stays below its ceiling: relu6(g x) = g relu6(x) as long as g x <= 6. Such a channel is multiplied where
it is made and divided where it is read. Whatever exceeds what was seen in calibration is cut there, which is what an
int8 range does too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.equalize import read_peak
from hearlite.quantize.ranges import Activation
from hearlite.tflite.graph import Graph

CEILING = 6.0
_MARGIN = 1.05  # above the calibration's peak
_LARGEST = 8.0  # no channel is multiplied by more: a silent one must not blow up a weight
_LEVELS = 2.0  # an activation has 255 steps above 0, a weight 127


def fill_headroom(network: bytes, activations: Sequence[Activation]) -> bytes:
    """Return the same function on the calibration clips, with activated tensors filled up to 6.

    Channel by channel.

    A tensor takes part when convolutions alone read it. Depthwise ones lose nothing, their weights have a scale for
    each channel; others give up precision of the weights that read the channel, and meet half way.
    """
    graph = Graph(network)
    peaks = {activation.index: activation.channel_peak for activation in activations}
    for maker in graph.layers:
        readers = [node for node in graph.nodes if maker.output in node.inputs]
        if not maker.activated or maker.output in graph.graph.outputs or any(node.weights < 0 for node in readers):
            continue
        gain = _gain(peaks[maker.output], read_peak(graph, readers))
        graph.scale(maker.weights, gain, axis=maker.output_axis)
        if maker.bias >= 0:
            graph.scale(maker.bias, gain, axis=0)
        for node in readers:
            graph.scale(node.weights, 1.0 / gain, axis=-1)
    return graph.save()


def _gain(peak: NDArray[np.float64], read: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return factors `[channels]`, 1 to _LARGEST, that take none above the ceiling.

    As many levels for the activation as for the weights that read it.
    """
    most: NDArray[np.float64] = np.clip(CEILING / np.maximum(peak * _MARGIN, 1e-9), 1.0, _LARGEST)
    if read is None:
        return most
    even: NDArray[np.float64] = np.sqrt(read * CEILING / np.maximum(peak, 1e-9) / _LEVELS).clip(1.0, most)
    return even
