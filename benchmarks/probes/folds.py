"""Folds of whole subjects, the same for every model, and the clip-wise split of a paper, which leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.bootstrap import Floats
from hearlite.errors import InputError

FOLDS = 3
PAPER_TEST_SHARE = 0.2  # Ehtesham et al. 2025, arXiv:2504.20124: 80/20, stratified by clip
_BANDS = 4  # of a regression target, balanced over folds as classes are


def fold_table(labels: NDArray[Any], subjects: NDArray[Any], *, seed: int, folds: int = FOLDS) -> NDArray[np.intp]:
    """Return the validation fold of every training clip, `[n_train]`: whole subjects, classes balanced.

    Made of labels, subjects and seed alone, never of a model.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    table = np.zeros(len(labels), dtype=np.intp)
    splitter = StratifiedGroupKFold(n_splits=min(folds, len(set(subjects))), shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(
        splitter.split(np.zeros(len(labels)), labels, groups=np.unique(subjects, return_inverse=True)[1])
    ):
        table[held_out] = fold
    return table


def regression_fold_table(
    targets: Floats, subjects: NDArray[Any], *, seed: int, folds: int = FOLDS
) -> NDArray[np.intp]:
    """Return the validation folds of a regression, `[n_train]`, as `fold_table` does.

    The quarters of the subjects' mean targets are balanced over the folds. `targets` `[n_train]`.
    """
    subject_index = np.unique(subjects, return_inverse=True)[1]
    means = np.bincount(subject_index, weights=targets) / np.bincount(subject_index)
    bands = np.searchsorted(np.quantile(means, np.linspace(0, 1, _BANDS + 1)[1:-1]), means)
    few = np.bincount(bands)[bands] < folds  # a band of fewer subjects than folds can't be balanced
    bands[few] = _BANDS
    return fold_table(bands[subject_index], subjects, seed=seed, folds=folds)


def clip_wise_split(labels: NDArray[Any], *, seed: int) -> NDArray[np.bool_]:
    """Return which clips a paper would test on, `[n]`: a fifth of each class, drawn clip by clip.

    It LEAKS subjects; show its figures only with the word LEAKING.

    Raises InputError when a class has fewer than two clips.
    """
    tested = np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng(seed)
    for value in np.unique(labels).tolist():
        clips = np.flatnonzero(labels == value)
        if len(clips) < 2:
            raise InputError(f"class {value!r} has {len(clips)} clip", "a clip-wise split needs two of each")
        tested[rng.permutation(clips)[: max(1, round(PAPER_TEST_SHARE * len(clips)))]] = True
    return tested


def clip_wise_folds(labels: NDArray[Any], *, seed: int, folds: int = FOLDS) -> NDArray[np.intp]:
    """Return the fold table that belongs to `clip_wise_split`: every clip is a subject of its own.

    It leaks as that does.
    """
    return fold_table(labels, np.arange(len(labels)), seed=seed, folds=folds)
