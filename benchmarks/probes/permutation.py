"""Compute a baseline that must come out near 0.5: probes trained on shuffled labels.

They are fitted to the reference model's embeddings, with training labels shuffled over clips.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from hearlite.benchmarks.probes.classifiers import refit
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
    rng = np.random.default_rng([seed, zlib.crc32(task.encode(errors="surrogatepass"))])
    scores = [refit(kind, chosen, train, rng.permutation(labels), test, seed=seed) for _ in range(_PERMUTATIONS)]
    drawn = weighted_aurocs(np.stack(scores), truth, subject_index, subject_weights)
    picked = rng.integers(_PERMUTATIONS, size=drawn.shape)
    return float(np.mean([auroc(row, truth) for row in scores])), np.take_along_axis(drawn, picked, axis=0).mean(axis=0)
