"""Fit the way from a student's embedding to its teacher's coordinates, on subjects that the student didn't learn from.

A student knows a few dozen principal directions of its teacher well and adds noise along the rest. A classifier of the
teacher may weigh such a direction heavily, so that it fails on the plain way back (targets.npz), and works when each
direction is first multiplied by its reliability (Efron and Morris 1975: shrinkage towards the mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.data.records import gather_examples, read_records
from hearlite.data.targets import Targets
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.run import Run
from hearlite.tflite.coordinates import TeacherCoordinates, append_linear, hartley_matrix

Floats = NDArray[np.float64]
MAX_CLIPS = 4_000  # of validation subjects: more change the fit by less than its rounding
MIN_SUBJECTS = 5  # as for a task: with fewer, the folds would be single subjects
FOLDS = 5
# Directions with the largest share of the explained variance, until this share is reached: the rest is below the
# rounding of int8.
KEPT_SHARE = 0.9995
_BATCH = 256  # clips at a time: 33 MB of audio


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Two linear layers: embedding e -> up @ (down @ e) + mean."""

    down: Floats  # [k, dim]
    up: Floats  # [teacher's dim, k]
    mean: Floats  # [teacher's dim]

    def __call__(self, vectors: NDArray[np.float32]) -> Floats:
        """Return embeddings `[n, dim]` in the teacher's coordinates."""
        mapped: Floats = np.asarray(vectors, dtype=np.float64) @ self.down.T @ self.up.T + self.mean
        return mapped


def in_teacher_coordinates(content: bytes, embedder: Embedder, run: Run) -> tuple[bytes, TeacherCoordinates]:
    """Return a file with its embedding in the teacher's coordinates, and what to say of it in the manifest.

    Parameters
    ----------
    content : bytes
        A .tflite of the run, float32 or quantized.
    embedder : Embedder
        The same, opened.
    run : Run
        The run that it comes from, with its records.

    Returns
    -------
    tuple of bytes and TeacherCoordinates

    Raises
    ------
    InputError
        When the run's records lack validation clips of MIN_SUBJECTS subjects.
    """
    vectors, teacher, subjects = _validation(embedder, run)
    targets = Targets.load(run.targets)
    mapping, described = fit(vectors, teacher, subjects, targets)
    return append_linear(content, down=mapping.down, up=mapping.up, mean=mapping.mean), described


def fit(
    vectors: NDArray[np.float32], teacher: NDArray[np.float32], subjects: NDArray[np.str_], targets: Targets
) -> tuple[LinearMap, TeacherCoordinates]:
    """Fit the reliability of every principal direction.

    Parameters
    ----------
    vectors : array [n, dim]
        The student's embeddings.
    teacher : array [n, dim]
        The teacher's of the same clips.
    subjects : array [n]
        Subject of each clip; none that the student learned from.
    targets : Targets
        The student's, from its run.

    Returns
    -------
    tuple of LinearMap and TeacherCoordinates
    """
    student, known = principal(vectors, targets), principal(targets.forward(teacher), targets)
    reliability = slopes(student, known)
    gained = reliability**2 * (student**2).mean(axis=0)
    order = np.argsort(-gained)
    enough = int(np.searchsorted(np.cumsum(gained[order]), KEPT_SHARE * gained.sum())) + 1
    kept = np.sort(order[:enough])
    # down: to the kept directions, shrunk, and spread over coordinates that vary alike.
    spread = hartley_matrix(len(kept))
    down = spread @ (reliability[kept, None] * targets.rotation[kept].astype(np.float64))
    up = (spread @ targets.rotation[kept].astype(np.float64) @ targets.inverse).T
    mapping = LinearMap(down, up, targets.mean.astype(np.float64))
    return mapping, TeacherCoordinates(
        directions=len(kept),
        reliability=float(reliability[kept].mean()),
        clips=len(vectors),
        subjects=len(np.unique(subjects)),
        explained=_explained(_cross_fitted(student, known, subjects), known),
        explained_unshrunk=_explained(student, known),
    )


def principal(vectors: NDArray[np.float32], targets: Targets) -> Floats:
    """Return embeddings or targets `[n, dim]` along the teacher's principal directions, the largest first."""
    turned: Floats = np.asarray(vectors, dtype=np.float64) @ targets.rotation.T.astype(np.float64)
    return turned


def slopes(student: Floats, known: Floats) -> Floats:
    """Return the slope of the teacher on the student along each direction `[dim]`, between 0 and 1."""
    power = (student**2).sum(axis=0)
    slope = (student * known).sum(axis=0) / np.where(power > 0, power, 1.0)
    clipped: Floats = np.clip(slope, 0.0, 1.0)
    return clipped


def _cross_fitted(student: Floats, known: Floats, subjects: NDArray[np.str_]) -> Floats:
    """Return the shrunk student, each clip by slopes of other subjects."""
    people, index = np.unique(subjects, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(people))[index] % FOLDS
    shrunk = np.empty_like(student)
    for number in range(FOLDS):
        outside = fold == number
        shrunk[outside] = student[outside] * slopes(student[~outside], known[~outside])
    return shrunk


def _explained(found: Floats, known: Floats) -> float:
    return float(1.0 - ((found - known) ** 2).sum() / (known**2).sum())


def _validation(embedder: Embedder, run: Run) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.str_]]:
    """Return embeddings, teacher vectors and subjects of validation clips."""
    records = read_records(run.records)
    places = [(shard, int(row)) for shard, rows in enumerate(records.rows("val", clips=MAX_CLIPS)) for row in rows]
    subjects = np.asarray([records.shards[shard].subjects[row] for shard, row in places], dtype=str)
    if len(np.unique(subjects)) < MIN_SUBJECTS:
        raise InputError(
            f"{run.folder}: its records have {len(np.unique(subjects))} validation subjects",
            f"the teacher's coordinates need at least {MIN_SUBJECTS}; export without --coordinates teacher, or distill"
            " with more subjects",
        )
    pcm, teacher = gather_examples(records, places)
    parts = [embedder.embed(from_int16(pcm[start : start + _BATCH])) for start in range(0, len(pcm), _BATCH)]
    return np.concatenate(parts), teacher, subjects
