"""A float32 network as an int8 one without training.

Ranges come from calibration images, channels are evened out before, and the head is refitted after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.equalize import equalize
from hearlite.quantize.float_sums import with_float_sums
from hearlite.quantize.headroom import fill_headroom
from hearlite.quantize.ranges import Activation, choose_range, measure
from hearlite.quantize.refit import find_head, pooled_features, refit
from hearlite.spec import QuantSpec, Range
from hearlite.tflite.convert import quantize_calibrated
from hearlite.tflite.graph import Graph


@dataclass(frozen=True)
class Quantized:
    """An int8 network and the float32 one that it follows.

    After equalisation, which is the same function, and refit, which nearly is.
    """

    network: bytes
    rounded_from: bytes


def quantize_static(network: bytes, images: Sequence[NDArray[np.float32]], *, recipe: QuantSpec) -> Quantized:
    """int8 x int8, weights per channel, by `recipe`; `images` float32 `[frames, mels, 1]` of calibration clips."""
    return round_network(
        even_channels(network, images) if recipe.equalize else network, images, recipe=recipe, wanted=network
    )


def round_network(
    equalized: bytes, images: Sequence[NDArray[np.float32]], *, recipe: QuantSpec, wanted: bytes
) -> Quantized:
    """Return the same without equalisation; the head is refitted to the float32 network's `wanted`."""
    ranges = choose_ranges(measure(equalized, images), recipe)
    quantized = quantize_calibrated(equalized, ranges)
    if recipe.float_sums:
        summed, network = with_float_sums(quantized, equalized), equalized
        if recipe.refit_ridge:
            network = refit(equalized, summed, images, ridge=recipe.refit_ridge, wanted=wanted)
        features = pooled_features(equalized, summed, images)
        return Quantized(with_float_sums(quantized, network, features=features), network)
    if not recipe.refit_ridge:
        return Quantized(quantized, equalized)
    refitted = refit(equalized, quantized, images, ridge=recipe.refit_ridge, wanted=wanted)
    ranges |= choose_ranges(measure(refitted, images, tensors=find_head(Graph(refitted)).outputs), recipe)
    return Quantized(quantize_calibrated(refitted, ranges), refitted)


def even_channels(network: bytes, images: Sequence[NDArray[np.float32]]) -> bytes:
    """Return the same function with channels that share an int8 scale brought nearer to each other."""
    filled = fill_headroom(network, measure(network, images, histograms=False))
    return equalize(filled, measure(filled, images, histograms=False))


def choose_ranges(seen: Sequence[Activation], recipe: QuantSpec) -> dict[int, Range]:
    """Return what `recipe` chooses for each tensor, by its index."""
    return {
        activation.index: choose_range(activation, method=recipe.ranges, percentile=recipe.percentile)
        for activation in seen
    }
