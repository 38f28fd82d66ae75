"""Make folds of whole subjects, the same for every model, and a paper's clip-wise split, which leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.bootstrap import Floats
from hearlite.errors import InputError

FOLDS = 3
PAPER_TEST_SHARE = 0.2  # Ehtesham et al. 2025, arXiv:2504.20124: 80/20, stratified by clip
_BANDS = 4  # of a regression target; they are balanced over folds as classes are


def fold_table(labels: NDArray[Any], subjects: NDArray[Any], *, seed: int, folds: int = FOLDS) -> NDArray[np.intp]:
    """Assign training clips to validation folds of whole subjects with balanced classes.

    The folds depend on labels, subjects and seed only, never on a model.

    Parameters
    ----------
    labels : array [n_train]
        Class of each training clip.
    subjects : array [n_train]
        Subject of each training clip.
    seed : int
        Seed of the assignment.
    folds : int
        Number of folds; fewer if there are fewer subjects.

    Returns
    -------
    int array [n_train]
        Validation fold of each clip.
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
    """Assign training clips to validation folds of whole subjects with balanced regression targets.

    The quarters of the subjects' mean targets are balanced over the folds, as `fold_table` balances classes.

    Parameters
    ----------
    targets : array [n_train]
        Target of each training clip.
    subjects : array [n_train]
        Subject of each training clip.
    seed : int
        Seed of the assignment.
    folds : int
        Number of folds; fewer if there are fewer subjects.

    Returns
    -------
    int array [n_train]
        Validation fold of each clip.
    """
    subject_index = np.unique(subjects, return_inverse=True)[1]
    means = np.bincount(subject_index, weights=targets) / np.bincount(subject_index)
    bands = np.searchsorted(np.quantile(means, np.linspace(0, 1, _BANDS + 1)[1:-1]), means)
    few = np.bincount(bands)[bands] < folds  # a band of fewer subjects than folds can't be balanced
    bands[few] = _BANDS
    return fold_table(bands[subject_index], subjects, seed=seed, folds=folds)


def clip_wise_split(labels: NDArray[Any], *, seed: int) -> NDArray[np.bool_]:
    """Select the clips that a paper would test on: a fifth of each class, drawn clip by clip.

    This split LEAKS subjects; show its figures only with the word LEAKING.

    Parameters
    ----------
    labels : array [n]
        Class of each clip.
    seed : int
        Seed of the draw.

    Returns
    -------
    bool array [n]
        True for test clips.

    Raises
    ------
    InputError
        If a class has fewer than two clips.
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
    """Assign training clips to the folds that go with `clip_wise_split`: each clip is its own subject.

    These folds leak as that split does.

    Parameters
    ----------
    labels : array [n_train]
        Class of each training clip.
    seed : int
        Seed of the assignment.
    folds : int
        Number of folds.

    Returns
    -------
    int array [n_train]
        Validation fold of each clip.
    """
    return fold_table(labels, np.arange(len(labels)), seed=seed, folds=folds)
