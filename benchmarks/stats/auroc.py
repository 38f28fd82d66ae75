"""Area under the ROC curve, its subject-clustered bootstrap, and retention of a reference's AUROC above chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners, bootstrap_weights
from hearlite.errors import InputError

_CHUNK_ELEMENTS = (
    1 << 20
)  # of the replicates x clips arrays: 8 MiB each, which a cache may still hold; 64 rows at 10 000 clips were fastest


def auroc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Probability that a positive clip scores higher than a negative one, ties counted half; in O(n log n).

    Parameters: `scores` [n], any finite numbers; `labels` [n], true for positive. Raises InputError for NaN, other
    shapes or one class alone.
    """
    scores, labels = checked_scores(scores, labels)
    below, above = wins(scores, labels)
    return float(np.sum(below + above) / 2 / labels.sum() / (~labels).sum())


def weighted_aurocs(
    scores_by_model: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Floats:
    """Return the AUROC of every model in every replicate, `[models, samples]`.

    NaN in a replicate that lacks a class, for all models alike.

    Parameters: `scores_by_model` [models, n]; `labels` [n]; `subject_index` [n], the column of each clip's subject in
    `subject_weights` [samples, subjects]. A clip counts as often as its subject was drawn: sorted scores and cumulative
    weights, no resampled arrays.
    """
    result = np.full((len(scores_by_model), len(subject_weights)), np.nan)
    rows = max(1, _CHUNK_ELEMENTS // max(1, len(labels)))
    for model, row_of_scores in enumerate(scores_by_model):
        scores, labels = checked_scores(row_of_scores, labels)
        ascending = np.sort(scores[~labels])
        owners_of_negative = subject_index[~labels][np.argsort(scores[~labels], kind="stable")]
        owners_of_positive = subject_index[labels]
        below, above = (np.searchsorted(ascending, scores[labels], side=side) for side in ("left", "right"))  # type: ignore[call-overload]
        for start in range(0, len(subject_weights), rows):
            drawn = subject_weights[start : start + rows].astype(np.float64)
            negatives = np.zeros((len(drawn), len(ascending) + 1))  # drawn negatives that score lower than the k-th
            np.cumsum(drawn[:, owners_of_negative], axis=1, out=negatives[:, 1:])
            positives = drawn[:, owners_of_positive]
            won = np.einsum("ij,ij->i", positives, negatives[:, below] + negatives[:, above]) / 2
            pairs = positives.sum(axis=1) * negatives[:, -1]
            np.divide(won, pairs, out=result[model, start : start + rows], where=pairs > 0)
    return result


def clustered_bootstrap(
    scores_by_model: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any], *, samples: int = 2000, seed: int
) -> Floats:
    """Return bootstrap replicates of the AUROC of several models, `[models, samples]`.

    They are paired: column k is ONE draw of subjects for all models.

    Subjects are drawn with replacement, with all their clips (Field and Welsh 2007, cluster bootstrap). A replicate
    without both classes is NaN; count them with `np.isnan`. Parameters: `scores_by_model` [models, n], `labels` [n],
    `subjects` [n]. Raises InputError as `auroc` does.
    """
    names, subject_index = np.unique(np.asarray(subjects), return_inverse=True)
    return weighted_aurocs(
        np.atleast_2d(scores_by_model), labels, subject_index, bootstrap_weights(len(names), samples=samples, seed=seed)
    )


def retention(student: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """Return (student - 0.5) / (reference - 0.5): the share of the reference's AUROC above chance.

    Element by element; NaN where the reference is not above chance.
    """
    student, reference = np.asarray(student, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    ratio = np.full(np.broadcast(student, reference).shape, np.nan)
    np.divide(student - 0.5, reference - 0.5, out=ratio, where=reference > 0.5)
    return ratio


def wins(scores: Floats, labels: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each positive, the negatives below it and those not above it: their mean counts ties half."""
    ascending = np.sort(scores[~labels])
    return np.searchsorted(ascending, scores[labels], side="left"), np.searchsorted(
        ascending, scores[labels], side="right"
    )


def checked_scores(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools]:
    """Return scores as float64 and labels as bool, `[n]` each.

    Raises InputError for other shapes, for NaN or infinity and for one class alone.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise InputError(
            f"scores have shape {list(scores.shape)} and labels {list(labels.shape)}", "expected one of each per clip"
        )
    if not np.isfinite(scores).all():
        raise InputError(
            f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are NaN or infinite",
            "an AUROC needs finite scores",
        )
    if labels.all() or not labels.any():
        raise InputError(
            f"all {len(labels)} clips are {'positive' if labels.any() else 'negative'}", "an AUROC needs both classes"
        )
    return scores, labels
