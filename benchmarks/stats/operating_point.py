"""Evaluate a probe as a yes-or-no test at a threshold chosen on out-of-fold TRAINING scores.

A threshold chosen on the test clips would flatter every figure here. Scores at or above the threshold are positive.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import checked_scores
from hearlite.benchmarks.stats.bootstrap import (
    Floats,
    Multiplicities,
    Owners,
    degrees_of_freedom,
    disjoint_pairs,
    rate_interval,
    weighted_sums,
)
from hearlite.benchmarks.stats.estimates import Confusion, Estimate, OperatingPoint, SweepFigures
from hearlite.benchmarks.stats.threshold_sweep import SPECIFICITY, average_precision, sensitivity_at, weighted_sweep
from hearlite.errors import InputError, UsageError

RULES = {  # criteria for choosing a threshold
    "youden": "the largest sensitivity + specificity, independent of the share of positives (Youden 1950)",
    "f1": "the largest F1 of the positive class",
}


def choose_threshold(scores: NDArray[Any], labels: NDArray[Any], *, rule: str = "youden") -> float:
    """Choose the best threshold on training clips, halfway between two neighbouring scores.

    If several are equally good, the highest is returned.

    Parameters
    ----------
    scores : array [n]
        OUT-OF-FOLD scores of training clips.
    labels : array [n]
        True for positive.
    rule : str
        The criterion, one of RULES.

    Returns
    -------
    float
        Threshold; scores at or above it are positive.

    Raises
    ------
    UsageError
        If `rule` is unknown.
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    if rule not in RULES:
        raise UsageError(f"threshold rule is {rule!r}", f"use one of {', '.join(RULES)}")
    values, truth = checked_scores(scores, labels)
    order = np.argsort(-values, kind="stable")
    falling = values[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    true = np.cumsum(truth[order])[last_of_tie]
    false = last_of_tie + 1 - true
    if rule == "youden":
        gain = true / truth.sum() - false / (~truth).sum()
    else:
        gain = 2 * true / (truth.sum() + last_of_tie + 1)  # 2 TP / (2 TP + FN + FP)
    best = last_of_tie[int(np.argmax(gain))]
    if best == len(falling) - 1:
        return float(falling[-1])  # everything is positive
    middle = (falling[best] + falling[best + 1]) / 2
    # Adjacent floats have no number between them.
    return float(middle if middle > falling[best + 1] else falling[best])


def operating_point(
    scores: NDArray[Any],
    labels: NDArray[Any],
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    threshold: float,
) -> OperatingPoint:
    """Compute the confusion matrix and rates of the test clips at a threshold.

    Intervals are over subjects. A subject counts towards a rate if one of its clips does: sensitivity, for
    instance, has as many degrees of freedom as there are subjects with a positive clip, minus one.

    Parameters
    ----------
    scores : array [n]
        Scores of the test clips.
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate; use the draws of the AUROC.
    threshold : float
        As from `choose_threshold`.

    Returns
    -------
    OperatingPoint
        Sensitivity, specificity, accuracy, balanced accuracy and F1 with intervals.

    Raises
    ------
    InputError
        If a score or the threshold is NaN or infinite, the shapes differ, or a class is missing.
    """
    values, truth = checked_scores(scores, labels)
    if not math.isfinite(threshold):
        raise InputError(f"threshold is {threshold}", "use one that choose_threshold returned")
    positive = values >= threshold
    cells = np.stack([truth & positive, ~truth & positive, truth & ~positive, ~truth & ~positive], axis=1)
    counts = cells.sum(axis=0)
    observed, drawn = (
        _rates(counts[None].astype(np.float64)),
        _rates(weighted_sums(cells, subject_index, subject_weights)),
    )
    sides = [len(np.unique(subject_index[side])) for side in (truth, ~truth, np.ones(len(truth), dtype=bool))]
    pairs, dof = disjoint_pairs(truth, subject_index), degrees_of_freedom(truth, subject_index)
    # sensitivity, specificity, accuracy, balanced accuracy, F1: (degrees of freedom, independent trials)
    designs = [*((max(1, subjects - 1), subjects) for subjects in sides), (dof, pairs), (dof, pairs)]
    figures = [
        estimate_rate(float(observed[0, column]), drawn[:, column], dof=design[0], trials=design[1])
        for column, design in enumerate(designs)
    ]
    return OperatingPoint(threshold, Confusion(*counts.tolist()), *figures)


def sweep_figures(
    scores: NDArray[Any],
    labels: NDArray[Any],
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    specificity: float = SPECIFICITY,
) -> SweepFigures:
    """Compute the average precision, and the sensitivity at a specificity, with intervals over subjects.

    Parameters
    ----------
    scores : array [n]
        Scores of the test clips.
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate; use the draws of the AUROC.
    specificity : float
        Specificity to keep, in [0, 1].

    Returns
    -------
    SweepFigures
        Both figures, the prevalence and the specificity.

    Raises
    ------
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    values, truth = checked_scores(scores, labels)
    drawn = weighted_sweep(values[None], truth, subject_index, subject_weights, specificity=specificity)
    pairs, dof = disjoint_pairs(truth, subject_index), degrees_of_freedom(truth, subject_index)
    area = estimate_rate(average_precision(values, truth), drawn.average_precision[0], dof=dof, trials=pairs)
    sensitivity = estimate_rate(
        sensitivity_at(values, truth, specificity=specificity), drawn.sensitivity[0], dof=dof, trials=pairs
    )
    return SweepFigures(area, float(truth.mean()), sensitivity, specificity)


def estimate_rate(value: float, replicates: Floats, *, dof: float, trials: int) -> Estimate:
    """Return a figure in [0, 1] as an Estimate with the bounds of `rate_interval`.

    Parameters
    ----------
    value : float
        Observed figure; NaN if undefined.
    replicates : array [samples]
        Bootstrap replicates of the figure.
    dof : float
        Degrees of freedom of the t quantile.
    trials : int
        Number of independent comparisons, used where `value` is 0 or 1.

    Returns
    -------
    Estimate
        All None if `value` is undefined; bounds None if too few replicates are finite.
    """
    if not math.isfinite(value):
        return Estimate()
    bounds = rate_interval(value, replicates, degrees_of_freedom=dof, trials=trials)
    return Estimate(value, *bounds) if bounds else Estimate(value)


def _rates(cells: Floats) -> Floats:
    """Return sensitivity, specificity, accuracy, balanced accuracy and F1, `[rows, 5]`.

    `cells` holds TP, FP, FN and TN, `[rows, 4]`. A rate whose denominator is 0 is NaN.
    """
    true, false, missed, passed = cells.T
    over = [
        (true, true + missed),
        (passed, passed + false),
        (true + passed, cells.sum(axis=1)),
        (2 * true, 2 * true + false + missed),
    ]
    sensitivity, specificity, accuracy, f1 = (
        np.divide(top, down, out=np.full(len(cells), np.nan), where=down > 0) for top, down in over
    )
    return np.stack([sensitivity, specificity, accuracy, (sensitivity + specificity) / 2, f1], axis=1)
