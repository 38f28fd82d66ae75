"""Compute a baseline that must come out near 0.5: probes trained on shuffled labels.

They are fitted to the reference model's embeddings, with training labels shuffled over clips.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import refit
from hearlite.benchmarks.probes.cross_validation import pooled
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners

_PERMUTATIONS = 5  # one alone is too variable: a random direction of a wide embedding may align with the labels


def permuted_baseline(
    train: Floats,
    labels: Bools,
    test: Floats,
    truth: Bools,
    *,
    subject_index: Owners,
    subject_weights: Multiplicities,
    kind: str,
    chosen: Mapping[str, float],
    task: str,
    seed: int,
) -> tuple[float, Floats]:
    """Compute the mean AUROC of probes that are trained on permuted labels, with its replicates.

    Other permutations would make another baseline, so permutations are drawn with replacement in every replicate,
    as subjects are.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : bool array [n_train]
        Their labels, which are permuted.
    test : array [n_test, dim]
        Embeddings of the test clips.
    truth : bool array [n_test]
        Their labels.
    subject_index : int array [n_test]
        Column in `subject_weights` of each test clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.
    kind : str
        Kind of the real probe, one of CLASSIFIERS.
    chosen : dict of str to float
        Hyper-parameters of the real probe.
    task : str
        Name of the task, part of the permutations' seed.
    seed : int
        Seed of permutations, probes and draws of permutations.

    Returns
    -------
    value : float
        Mean AUROC over the permutations.
    replicates : array [samples]
        Bootstrap replicates of it.
    """
    rng = _rng(task, seed=seed)
    scores = [refit(kind, chosen, train, rng.permutation(labels), test, seed=seed) for _ in range(_PERMUTATIONS)]
    return _averaged(scores, truth, subject_index, subject_weights, rng)


def cross_validated_baseline(
    vectors: Floats,
    labels: Bools,
    table: NDArray[np.intp],
    *,
    subject_index: Owners,
    subject_weights: Multiplicities,
    kind: str,
    chosen: Sequence[Mapping[str, float]],
    task: str,
    seed: int,
) -> tuple[float, Floats]:
    """Compute the same by cross-validation: in each fold, the labels of the clips outside it are permuted.

    Parameters
    ----------
    vectors : array [n, dim]
        Embeddings of the labelled clips.
    labels : bool array [n]
        Their labels.
    table : int array [n]
        Fold of each clip, from `outer_folds`.
    subject_index : int array [n_scored]
        Column in `subject_weights` of each scored clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.
    kind : str
        Kind of the real probe, one of CLASSIFIERS.
    chosen : sequence of dict of str to float
        Hyper-parameters of the real probe in each fold.
    task : str
        Name of the task, part of the permutations' seed.
    seed : int
        Seed of permutations, probes and draws of permutations.

    Returns
    -------
    value : float
        Mean AUROC over the permutations.
    replicates : array [samples]
        Bootstrap replicates of it.
    """
    rng = _rng(task, seed=seed)
    scores = []
    for _ in range(_PERMUTATIONS):
        parts = [
            refit(
                kind,
                settings,
                vectors[table != fold],
                rng.permutation(labels[table != fold]),
                vectors[table == fold],
                seed=seed,
            )
            for fold, settings in enumerate(chosen)
        ]
        scores.append(pooled(parts, table))
    return _averaged(scores, labels[table >= 0], subject_index, subject_weights, rng)


def _rng(task: str, *, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(task.encode(errors="surrogatepass"))])


def _averaged(
    scores: Sequence[Floats],
    truth: Bools,
    subject_index: Owners,
    subject_weights: Multiplicities,
    rng: np.random.Generator,
) -> tuple[float, Floats]:
    drawn = weighted_aurocs(np.stack(scores), truth, subject_index, subject_weights)
    picked = rng.integers(_PERMUTATIONS, size=drawn.shape)
    return float(np.mean([auroc(row, truth) for row in scores])), np.take_along_axis(drawn, picked, axis=0).mean(axis=0)
