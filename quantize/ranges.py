"""The range of a tensor's values that int8's 256 steps cover: min-max, percentile or least error.

From histograms of float activations.

A wide range makes coarse steps for everything, a narrow one clips the largest values. Linear bottlenecks have long
tails (a batch norm's output has a deviation of 1 and reaches 10), so their extremes, seen in one clip of a thousand,
cost every clip half a bit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.quantize.tensor_tap import TensorTap
from hearlite.tflite.graph import Graph

METHODS = ("minmax", "percentile", "mse")
BINS = 2_048  # eight a step of int8 over the full range
STEPS = 255  # of int8
_GRID = 64  # candidates for each end of a range that "mse" tries


@dataclass(frozen=True)
class Activation:
    """What one tensor of the float network did over all calibration images."""

    index: int
    name: str
    low: float
    high: float
    counts: NDArray[np.float64]  # [BINS], over low ... high; zeros where histograms were not asked for
    relative: NDArray[np.float64]  # [BINS], the same with every image's values weighted by 1 / their sum of squares
    channel_peak: NDArray[np.float64]  # [channels], greatest magnitude


def measure(
    network: bytes,
    images: Sequence[NDArray[np.float32]],
    *,
    tensors: Collection[int] | None = None,
    histograms: bool = True,
) -> tuple[Activation, ...]:
    """Measure activations of a float32 `network` over images float32 `[frames, mels, 1]`.

    All, or those of `tensors`, in a pass for extremes and one to count.
    """
    graph = Graph(network)
    tensors = graph.activations if tensors is None else tensors
    extremes: dict[int, _Extremes] = {index: _Extremes() for index in tensors}
    probe = TensorTap(network, tensors)
    for image in images:
        for index, values in probe(image[None]).items():
            extremes[index].add(values)
    counted = {index: _Counts(extremes[index].low, extremes[index].high) for index in tensors}
    for image in images if histograms else ():
        for index, values in probe(image[None]).items():
            counted[index].add(values)
    found = []
    for index in tensors:
        seen = extremes[index]
        found.append(
            Activation(
                index,
                graph.tensor_name(index),
                seen.low,
                seen.high,
                counted[index].counts,
                counted[index].relative,
                seen.peak,
            )
        )
    return tuple(found)


def choose_range(activation: Activation, *, method: str, percentile: float) -> tuple[float, float]:
    """(low, high) to quantize by one of METHODS, always with 0 inside: zero padding and ReLU6's zeros must be exact."""
    low, high = activation.low, activation.high
    if method == "percentile":
        low, high = _percentile(activation, percentile)
    elif method == "mse":
        low, high = _least_error(activation)
    return min(low, 0.0), max(high, 0.0)


def _percentile(activation: Activation, percentile: float) -> tuple[float, float]:
    """Return the range that leaves (100 - percentile) / 2 % of the values out at either end (arXiv:2004.09602)."""
    share = np.cumsum(activation.counts) / activation.counts.sum()
    tail = (1.0 - percentile / 100.0) / 2.0
    width = (activation.high - activation.low) / BINS
    first, last = int(np.searchsorted(share, tail, side="right")), int(np.searchsorted(share, 1.0 - tail))
    return activation.low + width * first, activation.low + width * (last + 1)


def _least_error(activation: Activation) -> tuple[float, float]:
    """Return the range with the least expected squared error, over a grid of both ends.

    step**2 / 12 inside and the distance squared outside.

    Relative to each image's own level: an embedding is compared by its direction. A clip that is mostly zeros drives
    some features to ten times their usual level (measured); counted by plain squares, one such clip in sixteen takes
    three bits from all others.
    """
    width = (activation.high - activation.low) / BINS
    values = activation.low + width * (np.arange(BINS) + 0.5)
    lows = np.linspace(activation.low, 0.0, _GRID, endpoint=False) if activation.low < 0.0 else np.zeros(1)
    highs = np.linspace(activation.high, 0.0, _GRID, endpoint=False) if activation.high > 0.0 else np.zeros(1)
    below = ((np.maximum(lows[:, None] - values, 0.0) ** 2) * activation.relative).sum(axis=1)
    above = ((np.maximum(values - highs[:, None], 0.0) ** 2) * activation.relative).sum(axis=1)
    step = (highs[None, :] - lows[:, None]) / STEPS
    error = below[:, None] + above[None, :] + activation.relative.sum() * step**2 / 12.0
    row, column = np.unravel_index(int(error.argmin()), error.shape)
    return float(lows[row]), float(highs[column])


class _Extremes:
    """Running extremes of one tensor."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.peak: Any = 0.0  # [channels] after the first

    def add(self, values: NDArray[Any]) -> None:
        rows = values.reshape(-1, values.shape[-1])
        low, high = rows.min(axis=0), rows.max(axis=0)
        self.low, self.high = min(self.low, float(low.min())), max(self.high, float(high.max()))
        self.peak = np.maximum(self.peak, np.maximum(np.abs(low), np.abs(high)).astype(np.float64))


class _Counts:
    """Running histogram of one tensor."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.scale = low, BINS / max(high - low, 1e-30)
        self.counts, self.relative = np.zeros(BINS), np.zeros(BINS)

    def add(self, values: NDArray[Any]) -> None:
        bins = ((values.ravel() - np.float32(self.low)) * np.float32(self.scale)).astype(np.int32)
        counts = np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)
        self.counts += counts
        self.relative += counts / max(float((values.astype(np.float64) ** 2).sum()), 1e-12)
