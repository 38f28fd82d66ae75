"""A probe as a yes-or-no test: a threshold chosen on out-of-fold TRAINING scores, applied to test subjects.

A threshold chosen on the test clips would flatter every figure here. Scores at or above it are positive.
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

RULES = {  # how a threshold is chosen
    "youden": "the largest sensitivity + specificity, which no share of positives changes (Youden 1950)",
    "f1": "the largest F1 of the positive class",
}


def choose_threshold(scores: NDArray[Any], labels: NDArray[Any], *, rule: str = "youden") -> float:
    """Return the best threshold on training clips: halfway between two neighbouring scores.

    Of equals the highest.

    Parameters: OUT-OF-FOLD scores of training clips, [n]; their labels; `rule`, one of RULES. Raises UsageError for
    another rule, InputError as `auroc` does.
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
    return float(
        middle if middle > falling[best + 1] else falling[best]
    )  # neighbouring floats have nothing between them


def operating_point(
    scores: NDArray[Any],
    labels: NDArray[Any],
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    threshold: float,
) -> OperatingPoint:
    """Confusion and rates of the test clips at a threshold, with intervals over subjects.

    Parameters: `scores`, `labels`, `subject_index` [n]; `subject_weights` [samples, subjects], those of the AUROC;
    `threshold` from `choose_threshold`. A subject counts in a rate where it has a clip that does: sensitivity has as
    many degrees of freedom as there are subjects with a positive, - 1.
    Raises InputError as `auroc` does.
    """
    values, truth = checked_scores(scores, labels)
    if not math.isfinite(threshold):
        raise InputError(f"threshold is {threshold}", "use one that choose_threshold gave")
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
    """AUPRC and the sensitivity at a specificity, with intervals over subjects; parameters as of `operating_point`."""
    values, truth = checked_scores(scores, labels)
    drawn = weighted_sweep(values[None], truth, subject_index, subject_weights, specificity=specificity)
    pairs, dof = disjoint_pairs(truth, subject_index), degrees_of_freedom(truth, subject_index)
    area = estimate_rate(average_precision(values, truth), drawn.average_precision[0], dof=dof, trials=pairs)
    sensitivity = estimate_rate(
        sensitivity_at(values, truth, specificity=specificity), drawn.sensitivity[0], dof=dof, trials=pairs
    )
    return SweepFigures(area, float(truth.mean()), sensitivity, specificity)


def estimate_rate(value: float, replicates: Floats, *, dof: float, trials: int) -> Estimate:
    """`rate_interval` as an Estimate; null where the figure is not defined."""
    if not math.isfinite(value):
        return Estimate()
    bounds = rate_interval(value, replicates, degrees_of_freedom=dof, trials=trials)
    return Estimate(value, *bounds) if bounds else Estimate(value)


def _rates(cells: Floats) -> Floats:
    """Return sensitivity, specificity, accuracy, balanced accuracy and F1, `[rows, 5]`.

    Of TP, FP, FN, TN, `[rows, 4]`; NaN where nothing is to be divided.
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
