"""Score every subject by probes that were fitted to others, where there are too few subjects to set some aside.

K folds of whole subjects: a probe is fitted to K - 1 of them and scores the last. Its hyper-parameters, its threshold
and its calibration are chosen within those K - 1, on folds of their own. Scores of different probes have no common
unit, and their offset says how many positives each was fitted to. The more these were, the fewer are left to score, so
that useless embeddings would come out below 0.5 if the scores were pooled as they are. Each fold is therefore
standardized by the out-of-fold scores of the subjects that its probe was fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import fit_classifier
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.stats.calibration import fit_platt
from hearlite.benchmarks.stats.operating_point import choose_threshold


@dataclass(frozen=True)
class CrossValidation:
    """Which clips are scored, and in what folds."""

    folds: int
    scored: Bools  # [n]; the others, of subjects that a student has heard, are always fitted to
    groups: NDArray[Any]  # [n]; subjects whose recordings are copies of each other's are one, and share a fold


@dataclass(frozen=True)
class CrossFitted:
    """Scores of every scored clip by a probe that was not fitted to its subject."""

    scores: Floats  # [n], standardized within each fold
    above_threshold: Floats  # [n], less the threshold of the clip's fold
    probabilities: Floats  # [n], calibrated within each fold
    chosen: Mapping[str, float]  # medians of the hyper-parameters over the folds
    by_fold: tuple[Mapping[str, float], ...]
    unconverged: int


def outer_folds(labels: Bools, groups: NDArray[Any], scored: Bools, *, folds: int, seed: int) -> NDArray[np.intp]:
    """Assign the scored clips to folds of whole groups of subjects with balanced classes.

    Parameters
    ----------
    labels : bool array [n]
        Class of each labelled clip.
    groups : array [n]
        Group of subjects of each clip.
    scored : bool array [n]
        The clips to score.
    folds : int
        Number of folds; fewer if there are fewer groups.
    seed : int
        Seed of the assignment.

    Returns
    -------
    int array [n]
        Fold of each clip; -1 for those that are not scored.
    """
    table = np.full(len(labels), -1, dtype=np.intp)
    table[scored] = fold_table(labels[scored], groups[scored], seed=seed, folds=folds)
    return table


def cross_fit(
    kind: str, vectors: Floats, labels: Bools, groups: NDArray[Any], table: NDArray[np.intp], *, seed: int
) -> CrossFitted:
    """Fit a probe for each fold to all clips outside it, and score the clips in it.

    Parameters
    ----------
    kind : str
        One of CLASSIFIERS.
    vectors : array [n, dim]
        Embeddings of the labelled clips.
    labels : bool array [n]
        True for positive.
    groups : array [n]
        Group of subjects of each clip; the inner folds keep it whole too.
    table : int array [n]
        From `outer_folds`.
    seed : int
        Seed of probes and inner folds.

    Returns
    -------
    CrossFitted
        Of the scored clips, in their order.

    Raises
    ------
    InputError
        As `fit_classifier` does.
    """
    scores, above, probabilities = (np.zeros(len(labels)) for _ in range(3))
    chosen, unconverged = [], 0
    for fold in fold_numbers(table):
        inside, outside = table != fold, table == fold
        inner = fold_table(labels[inside], groups[inside], seed=seed)
        fit = fit_classifier(kind, vectors[inside], labels[inside], vectors[outside], folds=inner, seed=seed)
        usable = np.isfinite(fit.out_of_fold)  # a fold that leaves one class to train on has no scores
        held_out, truth = fit.out_of_fold[usable], labels[inside][usable]
        spread = float(held_out.std()) or 1.0
        scores[outside] = (fit.scores - held_out.mean()) / spread
        above[outside] = (fit.scores - choose_threshold(held_out, truth)) / spread
        probabilities[outside] = fit_platt(held_out, truth).probabilities(fit.scores)
        chosen.append(fit.chosen)
        unconverged += fit.unconverged
    scored = table >= 0
    medians = {name: float(np.median([values[name] for values in chosen])) for name in chosen[0]}
    return CrossFitted(scores[scored], above[scored], probabilities[scored], medians, tuple(chosen), unconverged)


def pooled(scores: Sequence[Floats], table: NDArray[np.intp]) -> Floats:
    """Standardize the scores of each fold by themselves and pool them, for probes without out-of-fold scores.

    Parameters
    ----------
    scores : sequence of array
        Scores of the clips of each fold.
    table : int array [n]
        From `outer_folds`.

    Returns
    -------
    array [n_scored]
    """
    found = np.zeros(len(table))
    for fold, values in zip(fold_numbers(table), scores, strict=True):
        found[table == fold] = (values - values.mean()) / (values.std() or 1.0)
    return found[table >= 0]


def fold_numbers(table: NDArray[np.intp]) -> list[int]:
    """Return the folds of a table from `outer_folds`, in rising order."""
    return [int(fold) for fold in np.unique(table) if fold >= 0]
