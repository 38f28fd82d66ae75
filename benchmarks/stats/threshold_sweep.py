"""Compute figures of a threshold sweep: ROC curve, average precision, sensitivity at a specificity.

Clips of equal score pass a threshold together, so only the ends of ties are points of the curves. Nothing is
interpolated between them, which would overstate precision (Davis and Goadrich 2006, doi:10.1145/1143844.1143874).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import checked_scores
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners

SPECIFICITY = 0.95  # at which sensitivity is reported: one false alarm in twenty negative clips
_CHUNK_ELEMENTS = 1 << 20  # of a [replicates, clips] array, as in auroc.py


@dataclass(frozen=True)
class Sweep:
    """Replicates of both figures, `[models, samples]`; NaN where a replicate lacks a class."""

    average_precision: Floats
    sensitivity: Floats


def roc_curve(scores: NDArray[Any], labels: NDArray[Any], *, points: int = 101) -> tuple[Floats, Floats]:
    """Compute the ROC curve from (0, 0) to (1, 1).

    Parameters
    ----------
    scores : array [n]
        Finite scores.
    labels : array [n]
        True for positive.
    points : int
        Largest number of corners to keep, evenly spaced along the curve.

    Returns
    -------
    false_positive_rates, true_positive_rates : array [corners]
        Rising rates in [0, 1].

    Raises
    ------
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    scores, labels = checked_scores(scores, labels)
    order, last_of_tie = _descending(scores)
    true = np.append(0, np.cumsum(labels[order])[last_of_tie]) / labels.sum()
    false = np.append(0, np.cumsum(~labels[order])[last_of_tie]) / (~labels).sum()
    along = np.searchsorted(true + false, np.linspace(0.0, true[-1] + false[-1], points))
    kept = np.unique(np.clip(along, 0, len(true) - 1)) if len(true) > points else np.arange(len(true))
    return false[kept], true[kept]


def average_precision(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute the area under the precision-recall curve as the mean precision at the positives' ranks.

    The chance level is the share of positives.

    Parameters
    ----------
    scores : array [n]
        Finite scores.
    labels : array [n]
        True for positive.

    Returns
    -------
    float
        Average precision in [0, 1].

    Raises
    ------
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    return float(weighted_sweep(np.atleast_2d(scores), labels, *_once(labels)).average_precision[0, 0])


def sensitivity_at(scores: NDArray[Any], labels: NDArray[Any], *, specificity: float = SPECIFICITY) -> float:
    """Compute the largest sensitivity of any threshold that keeps a given specificity.

    Parameters
    ----------
    scores : array [n]
        Finite scores.
    labels : array [n]
        True for positive.
    specificity : float
        Share of negatives that must score below the threshold, in [0, 1].

    Returns
    -------
    float
        Sensitivity in [0, 1]; 0 if a tie leaves no such threshold.

    Raises
    ------
    InputError
        If a score is NaN or infinite, the shapes differ, or a class is missing.
    """
    return float(
        weighted_sweep(np.atleast_2d(scores), labels, *_once(labels), specificity=specificity).sensitivity[0, 0]
    )


def weighted_sweep(
    scores_by_model: NDArray[Any],
    labels: NDArray[Any],
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    specificity: float = SPECIFICITY,
) -> Sweep:
    """Compute average precision and sensitivity at a specificity of each model in each replicate.

    Parameters
    ----------
    scores_by_model : array [models, n]
        Finite scores of the clips.
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each replicate, from `bootstrap_weights`.
    specificity : float
        Share of negatives that must score below the threshold, in [0, 1].

    Returns
    -------
    Sweep
        Both figures; NaN where a replicate lacks a class.

    Raises
    ------
    InputError
        As `auroc` does.
    """
    result = Sweep(*(np.full((len(scores_by_model), len(subject_weights)), np.nan) for _ in range(2)))
    rows = max(1, _CHUNK_ELEMENTS // max(1, len(labels)))
    for model, row_of_scores in enumerate(scores_by_model):
        scores, checked = checked_scores(row_of_scores, labels)
        order, last_of_tie = _descending(scores)
        for start in range(0, len(subject_weights), rows):
            drawn = subject_weights[start : start + rows].astype(np.float64)[:, subject_index[order]]
            true, false = _passing(drawn, checked[order], last_of_tie)
            chunk = slice(start, start + len(drawn))
            result.average_precision[model, chunk] = _mean_precision(true, false)
            result.sensitivity[model, chunk] = _sensitivity(true, false, specificity=specificity)
    return result


def _descending(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the order of falling scores, and the positions in it that end a tie."""
    order = np.argsort(-scores, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)


def _passing(drawn: Floats, labels: Bools, last_of_tie: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the drawn positives and negatives that pass each threshold, `[replicates, thresholds]`.

    `drawn` holds the weights of the clips, `[replicates, n]`, in falling order of score.
    """
    true = np.cumsum(drawn * labels, axis=1)[:, last_of_tie]
    return true, np.cumsum(drawn, axis=1)[:, last_of_tie] - true


def _mean_precision(true: Floats, false: Floats) -> Floats:
    defined = (true[:, -1] > 0) & (false[:, -1] > 0)
    passing = true + false
    precision = np.divide(true, passing, out=np.zeros_like(true), where=passing > 0)
    found = np.einsum("ij,ij->i", np.diff(true, axis=1, prepend=0.0), precision)
    return np.asarray(np.divide(found, true[:, -1], out=np.full(len(true), np.nan), where=defined))


def _sensitivity(true: Floats, false: Floats, *, specificity: float) -> Floats:
    defined = (true[:, -1] > 0) & (false[:, -1] > 0)
    # `false` rises along a row. Rounding must not cost a clip, hence 1e-9.
    allowed = np.sum(false <= (1 - specificity) * false[:, -1:] + 1e-9, axis=1)
    best = np.where(allowed > 0, np.take_along_axis(true, np.maximum(allowed - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    return np.asarray(np.divide(best, true[:, -1], out=np.full(len(true), np.nan), where=defined))


def _once(labels: NDArray[Any]) -> tuple[Owners, Multiplicities]:
    """Return draws in which every clip counts once, so that the only replicate is the figure itself."""
    return np.zeros(len(labels), dtype=np.intp), np.ones((1, 1), dtype=np.uint16)
