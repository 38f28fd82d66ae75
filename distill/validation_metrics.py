"""How much of the teacher a student keeps, on clips of subjects that it did not learn from and without any label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlite.data.targets import Targets
from hearlite.errors import InputError

PROBES = (
    256  # their mean varies with the seed by 0.0012, with 64 by 0.0025 (512 dimensions, variances falling as k^-1.5)
)
SHRINK = 0.1  # of the mean variance, added to each: as the whitened loss does
MIN_CLIPS = 3  # two always correlate perfectly

Floats = NDArray[np.float32]


def probe_directions(targets: Targets, *, seed: int = 0) -> Floats:
    """`[dim, PROBES]`: targets times this are the scores of random linear probes of the teacher.

    A probe draws a Gaussian direction in the shrunk-whitened PCA space of the teacher's own vectors, x -> (x /
    sqrt(variance + shrink)) . g. That is where a regularised linear probe behind a StandardScaler looks: at small
    directions too, but not at those that are all noise. The space is that of the teacher's coordinates whatever the
    normalisation of the targets, so runs that differ in it can be compared.
    """
    to_teacher = (targets.rotation @ targets.inverse).astype(
        np.float64
    )  # from the targets' PCA axes to the teacher's centred coordinates
    variances, axes = np.linalg.eigh(to_teacher.T @ (targets.eigenvalues[:, None] * to_teacher))
    scale = 1.0 / np.sqrt(np.maximum(variances, 0.0) + SHRINK * variances.mean())
    directions = (axes * scale) @ np.random.default_rng(seed).standard_normal((len(scale), PROBES))
    return np.asarray(targets.inverse @ directions, dtype=np.float32)


def random_probe_correlation(predicted: Floats, wanted: Floats, *, directions: Floats) -> float:
    """Return the mean Pearson correlation of random probes' scores on student and teacher.

    `predicted` and `wanted`, both `[n, dim]`.

    What training stops by. What users do with an embedding is to fit a linear probe, whose AUROC no scale or offset of
    its score moves, and Pearson's r is blind to just these. The centred cosine isn't what they do: four fifths of it
    are the dozen largest directions, and it goes on rising while the small ones, which tasks read, get worse. A probe
    whose score is constant counts as 0. Raises InputError for fewer than MIN_CLIPS.
    """
    if len(wanted) < MIN_CLIPS:
        raise InputError(
            f"{len(wanted)} clips of validation subjects",
            f"at least {MIN_CLIPS} are needed, hundreds are better: put more subjects in split 'val'",
        )
    ours, theirs = (np.asarray(values, dtype=np.float64) @ directions for values in (predicted, wanted))
    ours, theirs = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    norms = np.linalg.norm(ours, axis=0) * np.linalg.norm(theirs, axis=0)
    return float(np.mean((ours * theirs).sum(axis=0) / np.maximum(norms, 1e-12)))


def mean_cosine(a: Floats, b: Floats) -> float:
    """Mean cosine of the rows of two centred `[n, dim]`."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-12)))
