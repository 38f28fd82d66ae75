"""Area under the ROC curve with intervals: DeLong's for independent clips, a subject-clustered bootstrap for everything else.

Clips of one subject resemble each other, so the number of subjects, not of clips, says how sure an AUROC is: resample subjects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVEL = 0.95  # of every interval that hearlite reports
_CHUNK_ELEMENTS = 1 << 20  # of the replicates x clips arrays: 8 MiB each, which a cache may still hold; 64 rows at 10 000 clips were fastest
_USABLE = 0.5  # an interval from fewer of the replicates would describe only the lucky ones


def auroc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Probability that a positive clip scores higher than a negative one, ties counted half; in O(n log n).

    Parameters: `scores` [n], any finite numbers; `labels` [n], true for positive. Raises InputError for NaN, other shapes or one class alone.
    """
    scores, labels = _checked(scores, labels)
    below, above = _wins(scores, labels)
    return float(np.sum(below + above) / 2 / labels.sum() / (~labels).sum())


def roc_curve(scores: NDArray[Any], labels: NDArray[Any], *, points: int = 101) -> tuple[Floats, Floats]:
    """(false positive rates, true positive rates), from (0, 0) to (1, 1): at most `points` corners of the curve, evenly spaced along it."""
    scores, labels = _checked(scores, labels)
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.append(0, np.cumsum(labels[order])[last_of_tie]) / labels.sum()
    false = np.append(0, np.cumsum(~labels[order])[last_of_tie]) / (~labels).sum()
    along = np.searchsorted(true + false, np.linspace(0.0, true[-1] + false[-1], points))
    kept = np.unique(np.clip(along, 0, len(true) - 1)) if len(true) > points else np.arange(len(true))
    return false[kept], true[kept]


def delong_interval(scores: NDArray[Any], labels: NDArray[Any], *, level: float = LEVEL) -> tuple[float, float]:
    """Interval of one AUROC for INDEPENDENT clips, clipped to [0, 1]; too narrow when subjects have several clips.

    DeLong's variance by midranks in O(n log n): Sun and Xu 2014, doi:10.1109/LSP.2014.2337313. Needs two clips of each class.
    Raises InputError as `auroc` does.
    """
    scores, labels = _checked(scores, labels)
    positive, negative = int(labels.sum()), int((~labels).sum())
    if min(positive, negative) < 2:
        raise InputError(f"{positive} positive and {negative} negative clips", "DeLong's variance needs two of each")
    wins_of_positive = sum(_wins(scores, labels)) / 2 / negative  # [positive], structural components V10
    wins_of_negative = 1 - sum(_wins(scores, ~labels)) / 2 / positive  # [negative], V01
    deviation = math.sqrt(float(np.var(wins_of_positive, ddof=1) / positive + np.var(wins_of_negative, ddof=1) / negative))
    middle = float(np.mean(wins_of_positive))
    half = NormalDist().inv_cdf((1 + level) / 2) * deviation
    return max(0.0, middle - half), min(1.0, middle + half)


def subject_multiplicities(subjects: int, *, samples: int, seed: int) -> NDArray[np.uint16]:
    """How often each subject is drawn in each bootstrap replicate, [samples, subjects]; every row sums to `subjects`."""
    if samples < 1:
        raise UsageError(f"samples is {samples}", "use 1 or more; 2000 for a 95 % interval")
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(subjects, size=subjects), minlength=subjects).astype(np.uint16) for _ in range(samples)])


def weighted_aurocs(scores_by_model: NDArray[Any], labels: NDArray[Any], owners: NDArray[np.intp], multiplicities: NDArray[np.uint16]) -> Floats:
    """AUROC of every model in every replicate, [models, samples]; NaN in a replicate that lacks a class (for all models alike).

    Parameters: `scores_by_model` [models, n]; `labels` [n]; `owners` [n], the column of each clip's subject in `multiplicities`
    [samples, subjects]. A clip counts as often as its subject was drawn: sorted scores and cumulative weights, no resampled arrays.
    """
    result = np.full((len(scores_by_model), len(multiplicities)), np.nan)
    rows = max(1, _CHUNK_ELEMENTS // max(1, len(labels)))
    for model, row_of_scores in enumerate(scores_by_model):
        scores, labels = _checked(row_of_scores, labels)
        ascending = np.sort(scores[~labels])
        owners_of_negative = owners[~labels][np.argsort(scores[~labels], kind="stable")]
        owners_of_positive = owners[labels]
        below, above = (np.searchsorted(ascending, scores[labels], side=side) for side in ("left", "right"))  # type: ignore[call-overload]
        for start in range(0, len(multiplicities), rows):
            drawn = multiplicities[start : start + rows].astype(np.float64)
            negatives = np.zeros((len(drawn), len(ascending) + 1))  # drawn negatives that score lower than the k-th
            np.cumsum(drawn[:, owners_of_negative], axis=1, out=negatives[:, 1:])
            positives = drawn[:, owners_of_positive]
            wins = np.einsum("ij,ij->i", positives, negatives[:, below] + negatives[:, above]) / 2
            pairs = positives.sum(axis=1) * negatives[:, -1]
            np.divide(wins, pairs, out=result[model, start : start + rows], where=pairs > 0)
    return result


def clustered_bootstrap(scores_by_model: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any], *, samples: int = 2000, seed: int) -> Floats:
    """Bootstrap replicates of the AUROC of several models, [models, samples], paired: column k is ONE draw of subjects for all models.

    Subjects are drawn with replacement, with all their clips (Field and Welsh 2007, cluster bootstrap). A replicate without both classes is NaN;
    count them with `np.isnan`. Parameters: `scores_by_model` [models, n], `labels` [n], `subjects` [n]. Raises InputError as `auroc` does.
    """
    names, owners = np.unique(np.asarray(subjects), return_inverse=True)
    return weighted_aurocs(np.atleast_2d(scores_by_model), labels, owners, subject_multiplicities(len(names), samples=samples, seed=seed))


def interval(samples: NDArray[Any] | Sequence[float], *, level: float = LEVEL) -> tuple[float, float] | None:
    """Percentile interval of bootstrap replicates; NaN replicates are left out. None where fewer than half are left."""
    values = np.asarray(samples, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.size < _USABLE * values.size:
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def excess_ratio(student: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """(student - 0.5) / (reference - 0.5) element by element: the share of the reference's AUROC above chance. NaN where that is not above it."""
    student, reference = np.asarray(student, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    ratio = np.full(np.broadcast(student, reference).shape, np.nan)
    return np.divide(student - 0.5, reference - 0.5, out=ratio, where=reference > 0.5)


def _wins(scores: Floats, labels: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each positive, the negatives below it and those not above it: their mean counts ties half."""
    ascending = np.sort(scores[~labels])
    return np.searchsorted(ascending, scores[labels], side="left"), np.searchsorted(ascending, scores[labels], side="right")


def _checked(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools]:
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise InputError(f"scores have shape {list(scores.shape)} and labels {list(labels.shape)}", "expected one of each per clip")
    if not np.isfinite(scores).all():
        raise InputError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are NaN or infinite", "an AUROC needs finite scores")
    if labels.all() or not labels.any():
        raise InputError(f"all {len(labels)} clips are {'positive' if labels.any() else 'negative'}", "an AUROC needs both classes")
    return scores, labels
