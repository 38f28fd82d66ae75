"""Measure the calibration of a probe's probabilities on the test subjects.

Scores become probabilities by Platt scaling, fitted to out-of-fold scores of TRAINING clips. The figures are the
Brier score (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2), the reliability curve, and the
expected calibration error of the positive class, in ten bins of equal width (Naeini et al. 2015, AAAI) and of
equal mass (Nixon et al. 2019, arXiv:1904.01685).
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
_NEWTON_STEPS = 100  # the limit of Lin, Lin and Weng; a handful suffice
_GRADIENT = 1e-10  # gradient of the mean log-loss at which Newton's method stops


@dataclass(frozen=True)
class Platt:
    """A fitted Platt scaling.

    The probability of the positive class is 1 / (1 + exp(-(slope * score + intercept))).
    """

    slope: float
    intercept: float

    def probabilities(self, scores: NDArray[Any]) -> Floats:
        """Convert scores `[n]` to probabilities `[n]` in (0, 1)."""
        return _sigmoid(self.slope * np.asarray(scores, dtype=np.float64) + self.intercept)


def fit_platt(scores: NDArray[Any], labels: NDArray[Any]) -> Platt:
    """Fit Platt scaling by Newton's method.

    The model is Platt's (1999), the algorithm that of Lin, Lin and Weng (2007, doi:10.1007/s10994-007-5018-6). As
    in Platt's paper, targets lie slightly inside 0 and 1, so that separable scores have a finite slope.

    Parameters
    ----------
    scores : array [n]
        OUT-OF-FOLD scores of training clips.
    labels : array [n]
        True for positive.

    Returns
    -------
    Platt
        Slope and intercept on the scale of `scores`.

    Raises
    ------
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    values, truth = checked_scores(scores, labels)
    positive, negative = int(truth.sum()), int((~truth).sum())
    targets = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    middle, scale = float(values.mean()), float(values.std()) or 1.0
    slope, intercept = _newton((values - middle) / scale, targets)
    return Platt(slope / scale, intercept - slope * middle / scale)


def brier(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute the Brier score: the mean squared difference of probability and label.

    Parameters
    ----------
    probabilities : array [n]
        Probabilities of the positive class, in [0, 1].
    labels : array [n]
        True for positive.

    Returns
    -------
    float
        0 is perfect; always predicting the share p of positives scores p (1 - p).

    Raises
    ------
    InputError
        If there is no clip, the shapes differ, or a probability lies outside [0, 1].
    """
    values, truth = _checked(probabilities, labels)
    return float(np.mean((values - truth) ** 2))


def expected_calibration_error(
    probabilities: NDArray[Any], labels: NDArray[Any], *, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Compute the expected calibration error of the positive class.

    This is the mean over clips of |share of positives - mean probability| in the clip's bin. It is never negative,
    so noise alone makes it positive.

    Parameters
    ----------
    probabilities : array [n]
        Probabilities of the positive class, in [0, 1].
    labels : array [n]
        True for positive.
    bins : int
        Number of bins.
    equal_mass : bool
        Use bins of equally many clips (Nixon et al. 2019) instead of equal width (Naeini et al. 2015).

    Returns
    -------
    float
        Calibration error in [0, 1].

    Raises
    ------
    InputError
        If there is no clip, the shapes differ, or a probability lies outside [0, 1].
    """
    values, truth = _checked(probabilities, labels)
    bin_of = _bins(values, bins=bins, equal_mass=equal_mass)
    return float(np.abs(np.bincount(bin_of, weights=truth - values)).sum() / len(values))


def reliability_curve(
    probabilities: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Reliability:
    """Compute the reliability curve in ten bins of equal width.

    Each bin has its mean probability and its share of positives with an interval over subjects; empty bins are
    left out.

    Parameters
    ----------
    probabilities : array [n]
        Probabilities of the positive class, in [0, 1].
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.

    Returns
    -------
    Reliability
        The bins in rising order of probability.

    Raises
    ------
    InputError
        If there is no clip, the shapes differ, or a probability lies outside [0, 1].
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
    """Return (predicted, observed, low, high, clips) of one bin."""
    observed, subjects = float(truth[inside].mean()), len(np.unique(subject_index[inside]))
    positive, clips = weighted_sums(np.stack([truth & inside, inside], axis=1), subject_index, subject_weights).T
    drawn = np.divide(positive, clips, out=np.full(len(clips), np.nan), where=clips > 0)
    bounds = rate_interval(observed, drawn, degrees_of_freedom=subjects - 1, trials=subjects) if subjects > 1 else None
    return (float(values[inside].mean()), observed, *(bounds or (None, None)), int(inside.sum()))


def calibration(
    probabilities: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Calibration:
    """Compute the Brier score, both calibration errors and the reliability curve of one model.

    Parameters
    ----------
    probabilities : array [n]
        Probabilities of the positive class for the test clips, in [0, 1].
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.

    Returns
    -------
    Calibration
        All figures with intervals over subjects.

    Raises
    ------
    InputError
        If there is no clip, the shapes differ, or a probability lies outside [0, 1].
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

    Noise alone makes the error positive, so replicates lie above the observed value and a percentile interval
    could never include a true error of 0. The lower bound is therefore the value minus the most that noise can
    add: the upper bound of the summed absolute deviations of the replicates' bins from the observed bins. By the
    triangle inequality, no sum of absolute values changes by more. The upper bound is that of the replicates
    themselves. Both bounds err on the wide side.
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
    """Return (slope, intercept) that minimise the cross-entropy of standardized scores to `targets`.

    A step is halved as long as it increases the cross-entropy.
    """
    columns = np.stack([scores, np.ones_like(scores)], axis=1)
    weights = np.array([0.0, math.log(float(targets.mean()) / (1 - float(targets.mean())))])
    loss = _cross_entropy(columns @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        guess = _sigmoid(columns @ weights)
        gradient = columns.T @ (guess - targets) / len(scores)
        if np.abs(gradient).max() < _GRADIENT:
            break
        hessian = (columns * (guess * (1 - guess))[:, None]).T @ columns / len(scores)
        hessian += 1e-12 * np.eye(2)  # keeps it invertible for a constant score, whose slope is undetermined
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
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)), dtype=np.float64)  # cannot overflow at either end


def _bins(probabilities: Floats, *, bins: int, equal_mass: bool) -> NDArray[np.intp]:
    """Return the bin of each clip.

    Bins of equal width are [0, 0.1), [0.1, 0.2) ... [0.9, 1].
    """
    inner = np.quantile(probabilities, np.arange(1, bins) / bins) if equal_mass else np.arange(1, bins) / bins
    return np.searchsorted(inner, probabilities, side="right")


def _checked(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools]:
    """Validate probabilities and labels, `[n]` each, and convert them to float64 and bool."""
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=bool)
    if values.ndim != 1 or values.shape != truth.shape or not values.size:
        raise InputError(
            f"probabilities have shape {list(values.shape)} and labels {list(truth.shape)}",
            "expected one of each per clip",
        )
    if not ((values >= 0) & (values <= 1)).all():  # NaN fails this too
        raise InputError("probabilities outside 0 to 1", "scale scores with fit_platt first")
    return values, truth
