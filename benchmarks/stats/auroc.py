"""Compute the AUROC, its subject-clustered bootstrap, and the retention of a reference's AUROC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners, bootstrap_weights
from hearlite.errors import InputError

# Elements of a [replicates, clips] array held at once: 8 MiB each, which may still fit in a cache. 64 rows at 10 000
# clips were the fastest.
_CHUNK_ELEMENTS = 1 << 20


def auroc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute the area under the ROC curve (AUROC) in O(n log n).

    The AUROC is the probability that a random positive clip scores higher than a random negative one, with
    ties counted as one half (the Mann-Whitney statistic divided by its number of pairs).

    Parameters
    ----------
    scores : array [n]
        Any finite numbers; higher means more likely positive.
    labels : array [n]
        True for positive.

    Returns
    -------
    float
        AUROC in [0, 1].

    Raises
    ------
    InputError
        If a score is NaN or infinite, the arrays are not one-dimensional or differ in shape, or a class is missing.
    """
    scores, labels = checked_scores(scores, labels)
    below, above = wins(scores, labels)
    return float(np.sum(below + above) / 2 / labels.sum() / (~labels).sum())


def weighted_aurocs(
    scores_by_model: NDArray[Any], labels: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> Floats:
    """Compute the AUROC of each model in each bootstrap replicate.

    A clip counts as often as its subject was drawn. The computation uses sorted scores and cumulative weights
    instead of resampled arrays.

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

    Returns
    -------
    array [models, samples]
        AUROC in [0, 1]; NaN, for all models alike, in a replicate that lacks a class.

    Raises
    ------
    InputError
        As `auroc` does.
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
            negatives = np.zeros((len(drawn), len(ascending) + 1))  # column k: drawn negatives below the k-th
            np.cumsum(drawn[:, owners_of_negative], axis=1, out=negatives[:, 1:])
            positives = drawn[:, owners_of_positive]
            won = np.einsum("ij,ij->i", positives, negatives[:, below] + negatives[:, above]) / 2
            pairs = positives.sum(axis=1) * negatives[:, -1]
            np.divide(won, pairs, out=result[model, start : start + rows], where=pairs > 0)
    return result


def clustered_bootstrap(
    scores_by_model: NDArray[Any], labels: NDArray[Any], subjects: NDArray[Any], *, samples: int = 2000, seed: int
) -> Floats:
    """Draw paired bootstrap replicates of the AUROC of several models.

    Subjects are drawn with replacement together with all their clips (cluster bootstrap, Field and Welsh 2007),
    so clips of one subject may depend on each other but subjects are assumed independent. The replicates are
    paired: column k is a single draw of subjects, shared by all models.

    Parameters
    ----------
    scores_by_model : array [models, n] or [n]
        Finite scores of the clips.
    labels : array [n]
        True for positive.
    subjects : array [n]
        Subject of each clip.
    samples : int
        Number of replicates.
    seed : int
        Seed of the draws.

    Returns
    -------
    array [models, samples]
        AUROC of each replicate; NaN in a replicate without both classes (count these with `np.isnan`).

    Raises
    ------
    InputError
        As `auroc` does.
    UsageError
        If `samples` is below 1.
    """
    names, subject_index = np.unique(np.asarray(subjects), return_inverse=True)
    return weighted_aurocs(
        np.atleast_2d(scores_by_model), labels, subject_index, bootstrap_weights(len(names), samples=samples, seed=seed)
    )


def retention(student: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """Compute the retention: the share of a reference's above-chance AUROC that a student keeps.

    Retention is (student - 0.5) / (reference - 0.5), element by element.

    Parameters
    ----------
    student, reference : array
        AUROCs in [0, 1], of shapes that broadcast against each other.

    Returns
    -------
    array
        Retention in the broadcast shape; NaN where the reference is not above chance.
    """
    student, reference = np.asarray(student, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    ratio = np.full(np.broadcast(student, reference).shape, np.nan)
    np.divide(student - 0.5, reference - 0.5, out=ratio, where=reference > 0.5)
    return ratio


def wins(scores: Floats, labels: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Count, for each positive, the negatives that score below it and those that do not score above it.

    The mean of the two counts gives ties the weight of one half.

    Parameters
    ----------
    scores : float array [n]
        Checked scores.
    labels : bool array [n]
        True for positive.

    Returns
    -------
    below, not_above : int array [positives]
        Counts in [0, negatives], in the order of the positives.
    """
    ascending = np.sort(scores[~labels])
    return np.searchsorted(ascending, scores[labels], side="left"), np.searchsorted(
        ascending, scores[labels], side="right"
    )


def checked_scores(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools]:
    """Validate scores and labels, and convert them to float64 and bool.

    Parameters
    ----------
    scores, labels : array [n]
        Scores and labels of the clips; labels are true for positive.

    Returns
    -------
    scores : float64 array [n]
    labels : bool array [n]

    Raises
    ------
    InputError
        If the shapes are not `[n]` or differ, a score is NaN or infinite, or a class is missing.
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
