"""How far a quantized file's embeddings are from its float32 file's, and which layer is to blame.

Measured through both files, never simulated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.errors import InputError
from hearlite.gate import Comparison, LayerLoss
from hearlite.quantize.tensor_tap import Stored, TensorTap, dequantize, short_name, tensors_by_name
from hearlite.tflite.graph import Graph
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import NETWORK_PREFIX

# a range of more deviations than this to one side is ruled by few values: 4 would hold a normal distribution's
_OUTLIER = 12.0
_MUCH = 0.05  # of a channel's variance lost in one tensor: own fault, whatever came in
_COARSE = 8.0  # steps in a deviation: below, rounding alone is at 27 dB


@dataclass(frozen=True)
class LayerComparison:
    """One tensor that both files hold, over all its values."""

    layer: str
    tensor: str
    snr_db: float
    cosine: float
    low: float  # of the float32 values
    high: float
    deviation: float  # of the median channel
    range_low: float  # that int8 covers; 0 and 0 where the tensor is float
    range_high: float
    outside: float  # share of float32 values beyond it
    steps: float  # int8 steps in a deviation, 0 where the tensor is float
    lost: float  # share of a channel's variance that this layer's own rounding and clipping takes, mean over channels
    cause: str

    def in_short(self) -> LayerLoss:
        """Return what the gate's result holds of it, rounded: it travels inside the file."""
        return LayerLoss(self.layer, round(self.snr_db, 2), float(f"{self.lost:.3g}"), self.cause)


def compare_files(reference: bytes, quantized: bytes, *, pcm: NDArray[np.int16]) -> Comparison:
    """Embed int16 `[n, clip_samples]` with both files and compare.

    Raises InputError for fewer than two clips: nothing is left of one centred.
    """
    if len(pcm) < 2:
        raise InputError(
            f"only {len(pcm)} validation clip to compare on",
            "put more recordings of other subjects into the split 'val'",
        )
    ours, theirs = (_embed(model, pcm) for model in (quantized, reference))
    mean = theirs.mean(axis=0)
    return compare_embeddings(theirs - mean, ours - mean)


def compare_embeddings(reference: NDArray[np.float32], other: NDArray[np.float32]) -> Comparison:
    """Compare two centred `[n, dim]`."""
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (reference * other).sum(axis=1) / np.maximum(norms, 1e-12)
    noise = float(((reference - other) ** 2).sum())
    return Comparison(
        clips=len(reference),
        centred_cosine=float(cosines.mean()),
        centred_cosine_p5=float(np.percentile(cosines, 5)),
        snr_db=float(10.0 * np.log10(float((reference**2).sum()) / max(noise, 1e-30))),
    )


def compare_layers(reference: bytes, quantized: bytes, *, pcm: NDArray[np.int16]) -> tuple[LayerComparison, ...]:
    """Every tensor behind the frontend that has the same name in both joined files, in order of execution.

    `reference` is the float32 file that was quantized: after equalisation and refit, if the recipe has them, or
    channels would not be comparable.
    """
    graph, theirs, ours = Graph(reference), tensors_by_name(reference), tensors_by_name(quantized)
    skipped = {node.output for node in Graph(quantized).nodes if node.name in ("QUANTIZE", "DEQUANTIZE")}
    names = [
        name for name in theirs if name.startswith(NETWORK_PREFIX) and name in ours and ours[name].index not in skipped
    ]
    names.sort(key=lambda name: theirs[name].index)
    weights = _weight_errors(graph, Graph(quantized))
    sums = {name: _Sums(ours[name], weights.get(name, 0.0)) for name in names}
    float_probe, int8_probe = (
        TensorTap(reference, [theirs[name].index for name in names]),
        TensorTap(quantized, [ours[name].index for name in names]),
    )
    for clip in from_int16(pcm):
        wanted, found = float_probe(clip[None]), int8_probe(clip[None])
        for name in names:
            sums[name].add(wanted[theirs[name].index], dequantize(found[ours[name].index], ours[name]))
    return tuple(sums[name].result(name) for name in names)


class _Sums:
    """Running sums, by channel, over one tensor's float32 values x and what the quantized file has instead."""

    def __init__(self, stored: Stored, weight_error: float) -> None:
        self.stored, self.weight_error = stored, weight_error
        self.rows, self.outside, self.low, self.high = 0, 0, np.inf, -np.inf
        self.total, self.square, self.other, self.product, self.error, self.rounded, self.clipped = (
            np.zeros(1) for _ in range(7)
        )
        self.range = ((-128 - stored.zero_point) * stored.scale, (127 - stored.zero_point) * stored.scale)

    def add(self, values: NDArray[np.float32], found: NDArray[np.float64]) -> None:
        x, y = (array.reshape(-1, array.shape[-1]).astype(np.float64) for array in (values, found))
        self.rows += len(x)
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        self.total, self.square, self.other = (
            self.total + x.sum(axis=0),
            self.square + (x * x).sum(axis=0),
            self.other + (y * y).sum(axis=0),
        )
        self.product, self.error = self.product + (x * y).sum(axis=0), self.error + ((x - y) ** 2).sum(axis=0)
        if self.stored.scale:
            inside = np.clip(x, *self.range)
            self.clipped = self.clipped + ((x - inside) ** 2).sum(axis=0)
            self.rounded = self.rounded + (
                (inside - np.round(inside / self.stored.scale) * self.stored.scale) ** 2
            ).sum(axis=0)
            self.outside += int(
                ((x < self.range[0] - self.stored.scale) | (x > self.range[1] + self.stored.scale)).sum()
            )

    def result(self, name: str) -> LayerComparison:
        error, square = max(float(self.error.sum()), 1e-30), float(self.square.sum())
        variance = np.maximum(self.square / self.rows - (self.total / self.rows) ** 2, 0.0)
        # By channel: beside one loud channel, noise that drowns all others would not show.
        by_channel = (self.rounded + self.clipped) / self.rows / np.maximum(variance, 1e-30)
        lost = (
            float(np.minimum(by_channel[variance > 1e-9 * variance.max()], 1.0).mean()) + self.weight_error
            if variance.max() > 0.0
            else 0.0
        )
        shares = [
            float(value) / error for value in (self.rounded.sum(), self.clipped.sum(), self.weight_error * square)
        ]
        deviation, scale = float(np.sqrt(np.median(variance))), self.stored.scale
        return LayerComparison(
            layer=short_name(name.removeprefix(NETWORK_PREFIX)),
            tensor=name,
            snr_db=float(10.0 * np.log10(max(square, 1e-30) / error)),
            cosine=float(self.product.sum() / max(np.sqrt(square * float(self.other.sum())), 1e-30)),
            low=self.low,
            high=self.high,
            deviation=deviation,
            range_low=self.range[0] if scale else 0.0,
            range_high=self.range[1] if scale else 0.0,
            outside=self.outside / (self.rows * len(variance)),
            steps=deviation / scale if scale else 0.0,
            lost=lost,
            cause=self._cause(*shares, lost=lost, deviation=deviation),
        )

    def _cause(self, rounding: float, clipping: float, weights: float, *, lost: float, deviation: float) -> str:
        """Return the likely cause, unless most of the error came in from outside.

        The first three are shares of the error.
        """
        if not self.stored.scale and not self.weight_error:
            return "weights: of this layer and those before, activations are float"
        if rounding + clipping + weights < 0.5 and lost < _MUCH:
            return "accumulated: it comes from the layers before"
        if clipping >= max(rounding, weights):
            return f"range clipped: {self.outside / (self.rows * len(self.total)):.2%} of the values lie outside"
        if weights > rounding:
            return f"weights: rounding them to int8 moves them by {np.sqrt(self.weight_error):.1%}"
        reach = max(abs(self.range[0]), abs(self.range[1])) / max(deviation, 1e-30)
        if reach > _OUTLIER:
            return f"range too wide: outliers reach {reach:.0f} deviations of the median channel"
        steps = deviation / self.stored.scale
        return f"few levels used: a deviation is {steps:.1f} steps" if steps < _COARSE else "rounding to 256 levels"


def _weight_errors(reference: Graph, quantized: Graph) -> dict[str, float]:
    """Return the relative squared error of the weights that make a tensor, by its name.

    For layers whose int8 weights both files hold.
    """
    ours = {quantized.tensor_name(node.output): node for node in quantized.layers}
    errors = {}
    for node in reference.layers:
        name = reference.tensor_name(node.output)
        if name in ours and (stored := quantized.dequantized(ours[name].weights)) is not None:
            weights = reference.constant(node.weights).astype(np.float64)
            stored = stored.reshape(weights.shape)  # of another shape where patches are channels
            errors[name] = float(((weights - stored) ** 2).sum() / max((weights**2).sum(), 1e-30))
    return errors


def _embed(model: bytes, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    runner = TfliteModel(model)
    return np.concatenate([next(iter(runner.run(from_int16(clip[None])).values())) for clip in pcm])
