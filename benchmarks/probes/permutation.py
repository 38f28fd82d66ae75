"""The baseline that must come out near 0.5: probes of shuffled training labels.

They are fitted to the reference's embeddings; labels are shuffled over clips.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from hearlite.benchmarks.probes.classifiers import refit
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Multiplicities, Owners

_PERMUTATIONS = 5  # one alone wanders: a random direction of a wide embedding may point along the labels


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
    """(mean AUROC over the permutations, its replicates [samples]).

    Parameters: `train` [n_train, dim], `labels` [n_train]; `test` [n_test, dim], `truth` and `subject_index` [n_test];
    `subject_weights` [samples, subjects]; `kind` and hyper-parameters of the real probe; `task`'s name and `seed` make
    the permutations. Other permutations would give another baseline, so they are drawn with replacement in every
    replicate, as subjects are.
    """
    rng = np.random.default_rng([seed, zlib.crc32(task.encode(errors="surrogatepass"))])
    scores = [refit(kind, chosen, train, rng.permutation(labels), test, seed=seed) for _ in range(_PERMUTATIONS)]
    drawn = weighted_aurocs(np.stack(scores), truth, subject_index, subject_weights)
    picked = rng.integers(_PERMUTATIONS, size=drawn.shape)
    return float(np.mean([auroc(row, truth) for row in scores])), np.take_along_axis(drawn, picked, axis=0).mean(axis=0)
