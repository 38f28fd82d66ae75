"""Compute DeLong's AUROC variance and paired test, for independent or subject-clustered clips.

The variance is that of DeLong et al. (1988, doi:10.2307/2531595), in O(n log n) as in Sun and Xu (2014,
doi:10.1109/LSP.2014.2337313); for clustered clips it is that of Obuchowski (1997, doi:10.2307/2533958). If every
clip is its own subject, Obuchowski's variance equals DeLong's, so there is a single code path.

DeLong's statistic is taken to be normal, as published. The clustered one may rest on a dozen subjects and is taken
to follow Student's t with the degrees of freedom of the bootstrap's intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import checked_scores, wins
from hearlite.benchmarks.stats.bootstrap import (
    LEVEL,
    Bools,
    Bounds,
    Floats,
    Owners,
    degrees_of_freedom,
    t_quantile,
    t_tail,
)
from hearlite.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """Result of a paired test of two AUROCs on the same clips."""

    first: float
    second: float
    difference: float  # first - second
    standard_error: float
    z: float
    p: float  # two-sided, for the hypothesis that the AUROCs are equal
    low: float  # interval of the difference
    high: float


def paired_delong(
    first: NDArray[Any],
    second: NDArray[Any],
    labels: NDArray[Any],
    *,
    subjects: NDArray[Any] | None = None,
    level: float = LEVEL,
) -> PairedTest:
    """Test the difference of two AUROCs on the same clips by DeLong's test.

    With `subjects` the test is Obuchowski's (1997), which allows the clips of a subject to depend on each other.
    Without it clips are assumed independent, and the interval is too narrow if a subject has several.

    Parameters
    ----------
    first, second : array [n]
        Scores of the two models.
    labels : array [n]
        True for positive.
    subjects : array [n], optional
        Subject of each clip.
    level : float
        Confidence level of the interval, in (0, 1).

    Returns
    -------
    PairedTest
        If both models rank all pairs alike, the standard error is 0 and p is 1.

    Raises
    ------
    InputError
        As `auroc` does, and if a class has fewer than two subjects (without `subjects`, fewer than two clips).
    """
    (one, labels), (two, _) = checked_scores(first, labels), checked_scores(second, labels)
    subject_index = _owners(labels, subjects)
    values, covariance = auroc_covariance([one, two], labels, subject_index)
    difference = float(values[0] - values[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    # A variance as small as this is a rounding residue.
    deviation = math.sqrt(variance) if variance > 1e-12 * float(np.trace(covariance)) else 0.0
    z = difference / deviation if deviation else math.copysign(math.inf, difference) if difference else 0.0
    dof = _freedom(labels, subject_index, subjects)
    half = t_quantile((1 + level) / 2, dof) * deviation
    p = 2 * t_tail(abs(z), dof)
    return PairedTest(
        float(values[0]), float(values[1]), difference, deviation, z, p, difference - half, difference + half
    )


def delong_interval(
    scores: NDArray[Any], labels: NDArray[Any], *, subjects: NDArray[Any] | None = None, level: float = LEVEL
) -> Bounds:
    """Compute the confidence interval of one AUROC, clipped to [0, 1].

    It is DeLong's for independent clips, and Obuchowski's (1997) with `subjects`. Without `subjects` it is too
    narrow if a subject has several clips.

    Parameters
    ----------
    scores : array [n]
        Scores of the model.
    labels : array [n]
        True for positive.
    subjects : array [n], optional
        Subject of each clip.
    level : float
        Confidence level, in (0, 1).

    Returns
    -------
    (float, float)
        Lower and upper bound.

    Raises
    ------
    InputError
        As `paired_delong` does.
    """
    scores, labels = checked_scores(scores, labels)
    subject_index = _owners(labels, subjects)
    values, covariance = auroc_covariance([scores], labels, subject_index)
    half = t_quantile((1 + level) / 2, _freedom(labels, subject_index, subjects)) * math.sqrt(
        max(0.0, float(covariance[0, 0]))
    )
    return max(0.0, float(values[0]) - half), min(1.0, float(values[0]) + half)


def auroc_covariance(scores_by_model: list[Floats], labels: Bools, subject_index: Owners) -> tuple[Floats, Floats]:
    """Compute the AUROCs of several models and their covariance.

    Clips are assumed to depend on each other within a subject only. Each clip's structural component (the share of
    clips of the other class that it beats), less its expectation, is summed by subject. Squares and products of
    these sums over positives, over negatives and across the two estimate the covariance (Obuchowski 1997,
    equations 3 and 6).

    Parameters
    ----------
    scores_by_model : list of float array [n]
        Checked scores of each model.
    labels : bool array [n]
        True for positive.
    subject_index : int array [n]
        Subject of each clip, numbered from 0; at least two subjects per class.

    Returns
    -------
    aurocs : array [models]
    covariance : array [models, models]
    """
    subjects = int(subject_index.max()) + 1
    positive, negative = int(labels.sum()), int((~labels).sum())
    values, of_positives, of_negatives = [], [], []
    for scores in scores_by_model:
        beaten = sum(wins(scores, labels)) / 2 / negative  # [positives], V10 of DeLong et al.
        beaten_by = 1 - sum(wins(scores, ~labels)) / 2 / positive  # [negatives], V01
        value = float(np.mean(beaten))
        values.append(value)
        of_positives.append(np.bincount(subject_index[labels], weights=beaten - value, minlength=subjects) / positive)
        of_negatives.append(
            np.bincount(subject_index[~labels], weights=beaten_by - value, minlength=subjects) / negative
        )
    tens, ones = np.stack(of_positives), np.stack(of_negatives)  # [models, subjects]
    counts = [
        len(np.unique(subject_index[labels])),
        len(np.unique(subject_index[~labels])),
        len(np.unique(subject_index)),
    ]
    small = [count / (count - 1) for count in counts]
    cross = tens @ ones.T
    return np.asarray(values), small[0] * tens @ tens.T + small[1] * ones @ ones.T + small[2] * (cross + cross.T)


def _freedom(labels: Bools, subject_index: Owners, subjects: NDArray[Any] | None) -> float:
    """Return the degrees of freedom of the variance.

    With subjects these are those of the bootstrap's intervals, since a variance from few subjects is imprecise;
    without, they are infinite, since clips are assumed to be many.
    """
    return math.inf if subjects is None else degrees_of_freedom(labels, subject_index)


def _owners(labels: Bools, subjects: NDArray[Any] | None) -> Owners:
    """Return the subject of each clip as a number, and require two subjects in each class."""
    subject_index = (
        np.arange(len(labels)) if subjects is None else np.unique(np.asarray(subjects), return_inverse=True)[1]
    )
    if subject_index.shape != labels.shape:
        raise InputError(f"{len(subject_index)} subjects for {len(labels)} clips", "expected one per clip")
    counts = [len(np.unique(subject_index[side])) for side in (labels, ~labels)]
    if min(counts) < 2:
        of = "clips" if subjects is None else "subjects"
        raise InputError(f"{counts[0]} positive and {counts[1]} negative {of}", "DeLong's variance needs two of each")
    return np.asarray(subject_index, dtype=np.intp)
