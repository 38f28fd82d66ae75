"""Calibration of a probe's probabilities: Brier score, calibration error and reliability on test.

After Platt scaling, fitted to out-of-fold TRAINING scores.

Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; expected calibration error: Naeini et al. 2015 (AAAI)
for the positive class, in ten bins of equal width, and of equal mass as Nixon et al. 2019, arXiv:1904.01685.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import checked_scores
from hearlite.benchmarks.stats.bootstrap import (
    Bools,
    Floats,
    Multiplicities,
    Owners,
    difference_interval,
    interval,
    rate_interval,
    weighted_sums,
)
from hearlite.benchmarks.stats.estimates import Calibration, Estimate, Reliability
from hearlite.errors import InputError

BINS = 10
_NEWTON_STEPS = 100  # Lin, Lin and Weng's; a handful suffice
_GRADIENT = 1e-10  # of the mean log-loss, where Newton stops


@dataclass(frozen=True)
class Platt:
    """Probability of the positive class = 1 / (1 + exp(-(slope x score + intercept)))."""

    slope: float
    intercept: float

    def probabilities(self, scores: NDArray[Any]) -> Floats:
        """[n] in (0, 1) from scores [n]."""
        return _sigmoid(self.slope * np.asarray(scores, dtype=np.float64) + self.intercept)


def fit_platt(scores: NDArray[Any], labels: NDArray[Any]) -> Platt:
    """Slope and intercept of Platt 1999 by Newton's method (Lin, Lin and Weng 2007, doi:10.1007/s10994-007-5018-6).

    Parameters: OUT-OF-FOLD scores of training clips, [n], and their labels. Targets are Platt's, slightly inside 0 and
    1, so that separable scores have a finite slope. Raises InputError as `auroc` does.
    """
    values, truth = checked_scores(scores, labels)
    positive, negative = int(truth.sum()), int((~truth).sum())
    targets = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    middle, scale = float(values.mean()), float(values.std()) or 1.0
    slope, intercept = _newton((values - middle) / scale, targets)
    return Platt(slope / scale, intercept - slope * middle / scale)


def brier(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the mean squared difference of probability and label.

    0 is perfect; p (1 - p) is what the share p of positives alone reaches.
    """
    values, truth = _checked(probabilities, labels)
    return float(np.mean((values - truth) ** 2))


def expected_calibration_error(
    probabilities: NDArray[Any], labels: NDArray[Any], *, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Return the mean over clips of |share of positives - mean probability| of the clip's bin.

    Never negative, so noise alone is above 0.
    """
    values, truth = _checked(probabilities, labels)
    bin_of = _bins(values, bins=bins, equal_mass=equal_mass)
    return float(np.abs(np.bincount(bin_of, weights=truth - values)).sum() / len(values))


def reliability_curve(
    probabilities: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Reliability:
    """Return mean probability and share of positives in bins of equal width.

    With the share's interval over subjects; empty bins are left out.
    """
    values, truth = _checked(probabilities, labels)
    bin_of = _bins(values, bins=BINS, equal_mass=False)
    points = [
        _reliability_point(bin_of == number, values, truth, subject_index, subject_weights)
        for number in np.unique(bin_of)
    ]
    predicted, observed, low, high, clips = zip(*points, strict=True)
    return Reliability(predicted, observed, low, high, clips)


def _reliability_point(
    inside: Bools, values: Floats, truth: Bools, subject_index: Owners, subject_weights: Multiplicities
) -> tuple[float, float, float | None, float | None, int]:
    """(predicted, observed, low, high, clips) of one bin."""
    observed, subjects = float(truth[inside].mean()), len(np.unique(subject_index[inside]))
    positive, clips = weighted_sums(np.stack([truth & inside, inside], axis=1), subject_index, subject_weights).T
    drawn = np.divide(positive, clips, out=np.full(len(clips), np.nan), where=clips > 0)
    bounds = rate_interval(observed, drawn, degrees_of_freedom=subjects - 1, trials=subjects) if subjects > 1 else None
    return (float(values[inside].mean()), observed, *(bounds or (None, None)), int(inside.sum()))


def calibration(
    probabilities: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Calibration:
    """Return all figures of one model on its test clips, with intervals over subjects.

    Parameters `[n]` each, `subject_weights` `[samples, subjects]`.
    """
    values, truth = _checked(probabilities, labels)
    dof = max(1, len(np.unique(subject_index)) - 1)
    squared = np.stack([np.ones(len(values)), (values - truth) ** 2], axis=1)
    drawn = weighted_sums(squared, subject_index, subject_weights)
    score = brier(values, truth)
    low, high = difference_interval(score, drawn[:, 1] / drawn[:, 0], degrees_of_freedom=dof) or (None, None)
    clipped = Estimate(score, None if low is None else max(0.0, low), None if high is None else min(1.0, high))
    ece, ece_equal_mass = (
        _binned_error(values, truth, subject_index, subject_weights, equal_mass=equal_mass)
        for equal_mass in (False, True)
    )
    return Calibration(clipped, ece, ece_equal_mass, reliability_curve(values, truth, subject_index, subject_weights))


def _binned_error(
    values: Floats, truth: Bools, subject_index: Owners, subject_weights: Multiplicities, *, equal_mass: bool
) -> Estimate:
    """Return an expected calibration error with its interval.

    Noise alone makes it positive, so replicates lie above it and their percentiles hold no true 0.

    Its lower end is therefore the value less what noise adds at most: the magnitudes of the bins' deviations from what
    was observed, summed, since no sum of magnitudes moves by more (triangle inequality). The upper end is the
    replicates' own. Both err to the wide side.
    """
    bin_of = _bins(values, bins=BINS, equal_mass=equal_mass)
    gaps = np.where(bin_of[:, None] == np.arange(BINS), (truth - values)[:, None], 0.0)  # [n, bins]
    sums = weighted_sums(np.concatenate([gaps, np.ones((len(values), 1))], axis=1), subject_index, subject_weights)
    by_bin = sums[:, :-1] / sums[:, -1:]
    value = expected_calibration_error(values, truth, equal_mass=equal_mass)
    dof = max(1, len(np.unique(subject_index)) - 1)
    noise = interval(np.abs(by_bin - gaps.mean(axis=0)).sum(axis=1), degrees_of_freedom=dof)
    bounds = interval(np.abs(by_bin).sum(axis=1), degrees_of_freedom=dof)
    return Estimate(value, max(0.0, value - noise[1]), max(value, bounds[1])) if noise and bounds else Estimate(value)


def _newton(scores: Floats, targets: Floats) -> tuple[float, float]:
    """Return (slope, intercept) with the least cross-entropy to `targets`, of standardized scores.

    Steps are halved while they make it worse.
    """
    columns = np.stack([scores, np.ones_like(scores)], axis=1)
    weights = np.array([0.0, math.log(float(targets.mean()) / (1 - float(targets.mean())))])
    loss = _cross_entropy(columns @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        guess = _sigmoid(columns @ weights)
        gradient = columns.T @ (guess - targets) / len(scores)
        if np.abs(gradient).max() < _GRADIENT:
            break
        hessian = (columns * (guess * (1 - guess))[:, None]).T @ columns / len(scores) + 1e-12 * np.eye(
            2
        )  # a constant score has no slope
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while size > 1e-10 and (found := _cross_entropy(columns @ (weights - size * step), targets)) > loss:
            size /= 2
        if size <= 1e-10:
            break
        weights, loss = weights - size * step, found
    return float(weights[0]), float(weights[1])


def _cross_entropy(logits: Floats, targets: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)), dtype=np.float64)  # no overflow at either end


def _bins(probabilities: Floats, *, bins: int, equal_mass: bool) -> NDArray[np.intp]:
    """Return the bin of each clip. Equal width: [0, 0.1), [0.1, 0.2) ... [0.9, 1]."""
    inner = np.quantile(probabilities, np.arange(1, bins) / bins) if equal_mass else np.arange(1, bins) / bins
    return np.searchsorted(inner, probabilities, side="right")


def _checked(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools]:
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=bool)
    if values.ndim != 1 or values.shape != truth.shape or not values.size:
        raise InputError(
            f"probabilities have shape {list(values.shape)} and labels {list(truth.shape)}",
            "expected one of each per clip",
        )
    if not ((values >= 0) & (values <= 1)).all():  # NaN is outside, too
        raise InputError("probabilities outside 0 to 1", "scale scores with fit_platt first")
    return values, truth
