"""A float32 network as an int8 one without training: ranges from calibration images, bottlenecks equalised, biases corrected, the head refitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.convert import quantize_calibrated
from hearlite.quantize.bias import mean_errors, subtract
from hearlite.quantize.equalize import equalize
from hearlite.quantize.graph import Graph
from hearlite.quantize.ranges import Activation, choose_range, measure
from hearlite.quantize.refit import find_head, refit
from hearlite.spec import QuantSpec

BIAS_CLIPS = 64  # a channel's mean needs few: every clip holds hundreds of its values


@dataclass(frozen=True)
class Quantized:
    """An int8 network and the float32 one that it follows: after equalisation, which is the same function, and refit, which nearly is."""

    network: bytes
    rounded_from: bytes


def quantize_static(network: bytes, images: Sequence[NDArray[np.float32]], *, recipe: QuantSpec) -> Quantized:
    """int8 x int8, weights per channel, by `recipe`; `images` float32 `[frames, mels, 1]` of calibration clips."""
    equalized = equalize(network, measure(network, images, histograms=False)) if recipe.equalize else network
    ranges = _ranges(measure(equalized, images), recipe)
    quantized, rounded_from, errors = quantize_calibrated(equalized, ranges), equalized, {}
    if recipe.correct_bias:
        errors = mean_errors(equalized, quantized, images[:: max(1, len(images) // BIAS_CLIPS)])
        quantized = quantize_calibrated(subtract(equalized, errors), ranges)
    if recipe.refit_ridge:
        rounded_from = refit(equalized, quantized, images, ridge=recipe.refit_ridge)
        ranges |= _ranges(measure(rounded_from, images, tensors=find_head(Graph(rounded_from)).outputs), recipe)
        quantized = quantize_calibrated(subtract(rounded_from, errors), ranges)
    return Quantized(quantized, rounded_from)


def _ranges(seen: Sequence[Activation], recipe: QuantSpec) -> dict[int, tuple[float, float]]:
    return {activation.index: choose_range(activation, method=recipe.ranges, percentile=recipe.percentile) for activation in seen}
