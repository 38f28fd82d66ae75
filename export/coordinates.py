"""Fit the way from a student's embedding to its teacher's coordinates, on subjects that the student didn't learn from.

A student knows a few dozen principal directions of its teacher well and adds noise along the rest. A classifier of the
teacher may weigh such a direction heavily, so that it fails on the plain way back (targets.npz), and works when each
direction is first multiplied by its reliability (Efron and Morris 1975: shrinkage towards the mean).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.data.records import gather_examples, read_records
from hearlite.data.targets import Targets
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError, UsageError
from hearlite.run import Run
from hearlite.text import listed
from hearlite.tflite.coordinates import TeacherCoordinates, append_linear, hartley_matrix

Floats = NDArray[np.float64]
MAX_CLIPS = 4_000  # of validation subjects: more change the fit by less than its rounding
MIN_SUBJECTS = 5  # as for a task: with fewer, the folds would be single subjects
FOLDS = 5
# Directions with the largest share of the explained variance, until this share is reached: the rest is below the
# rounding of int8.
KEPT_SHARE = 0.9995
_NAMED = 10  # datasets in a message
_BATCH = 256  # clips at a time: 33 MB of audio


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Two linear layers: embedding e -> up @ (down @ e + shift) + mean."""

    down: Floats  # [k, dim]
    shift: Floats  # [k]
    up: Floats  # [teacher's dim, k]
    mean: Floats  # [teacher's dim]

    def __call__(self, vectors: NDArray[np.float32]) -> Floats:
        """Return embeddings `[n, dim]` in the teacher's coordinates."""
        hidden = np.asarray(vectors, dtype=np.float64) @ self.down.T + self.shift
        mapped: Floats = hidden @ self.up.T + self.mean
        return mapped


def in_teacher_coordinates(
    content: bytes, embedder: Embedder, run: Run, *, corpus: str = ""
) -> tuple[bytes, TeacherCoordinates]:
    """Return a file with its embedding in the teacher's coordinates, and what to say of it in the manifest.

    Parameters
    ----------
    content : bytes
        A .tflite of the run, float32 or quantized.
    embedder : Embedder
        The same, opened.
    run : Run
        The run that it comes from, with its records.
    corpus : str
        The dataset, of several that the run was distilled on, whose classifiers shall fit; "" for all.

    Returns
    -------
    tuple of bytes and TeacherCoordinates

    Raises
    ------
    InputError
        When the run's records lack validation clips of MIN_SUBJECTS subjects.
    UsageError
        When the run was not distilled on `corpus`.
    """
    vectors, teacher, subjects = _validation(embedder, run, corpus=corpus)
    found, described = fit(vectors, teacher, subjects, Targets.load(run.targets))
    content = append_linear(content, down=found.down, shift=found.shift, up=found.up, mean=found.mean)
    return content, dataclasses.replace(described, corpus=corpus)


def fit(
    vectors: NDArray[np.float32], teacher: NDArray[np.float32], subjects: NDArray[np.str_], targets: Targets
) -> tuple[LinearMap, TeacherCoordinates]:
    """Fit the reliability of every principal direction of the teacher's vectors.

    The directions are those of these very clips. On clips of several corpora the largest ones tell the corpora apart,
    which a student does well, and hide how little it knows of what varies within one: a head of lung sounds then
    scored 0.69 on a student, with the directions of lung sounds 0.85.

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
    plain, wanted = targets.backward(vectors).astype(np.float64), teacher.astype(np.float64)
    ours, theirs = plain.mean(axis=0), wanted.mean(axis=0)
    axes = np.linalg.eigh(np.cov(wanted, rowvar=False))[1][:, ::-1]  # [dim, dim], the largest first
    student, known = (plain - ours) @ axes, (wanted - theirs) @ axes
    reliability = slopes(student, known)
    gained = reliability**2 * (student**2).mean(axis=0)
    order = np.argsort(-gained)
    enough = int(np.searchsorted(np.cumsum(gained[order]), KEPT_SHARE * gained.sum())) + 1
    kept = axes[:, np.sort(order[:enough])]
    shrink = reliability[np.sort(order[:enough])]
    # Spread over coordinates that vary nearly alike, because they are rounded together.
    spread = hartley_matrix(enough)
    project = spread @ (shrink[:, None] * kept.T)  # [k, teacher's dim]
    found = LinearMap(
        down=project @ targets.inverse.T,
        shift=project @ (targets.mean - ours),
        up=kept @ spread.T,
        mean=theirs,
    )
    return found, TeacherCoordinates(
        corpus="",
        directions=enough,
        reliability=float(shrink.mean()),
        clips=len(vectors),
        subjects=len(np.unique(subjects)),
        explained=_explained(_cross_fitted(student, known, subjects), known),
        explained_unshrunk=_explained(student, known),
    )


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


def _validation(
    embedder: Embedder, run: Run, *, corpus: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.str_]]:
    """Return embeddings, teacher vectors and subjects of validation clips."""
    records = read_records(run.records)
    corpora = sorted({name for shard in records.shards for name in shard.corpora} - {""})
    if corpus and corpus not in corpora:
        raise UsageError(
            f"corpus is {corpus!r}, and {run.folder} was distilled on {listed(corpora, _NAMED) or 'a single dataset'}",
            "name one of several datasets, or none",
        )
    places = [
        (shard, int(row))
        for shard, rows in enumerate(records.rows("val"))
        for row in rows
        if corpus in ("", records.shards[shard].corpora[row])
    ][:MAX_CLIPS]
    subjects = np.asarray([records.shards[shard].subjects[row] for shard, row in places], dtype=str)
    if len(np.unique(subjects)) < MIN_SUBJECTS:
        raise InputError(
            f"{run.folder}: its records have {len(np.unique(subjects))} validation subjects"
            + (f" of {corpus}" if corpus else ""),
            f"the teacher's coordinates need at least {MIN_SUBJECTS}; export without --coordinates teacher, or distill"
            " with more subjects",
        )
    pcm, teacher = gather_examples(records, places)
    parts = [embedder.embed(from_int16(pcm[start : start + _BATCH])) for start in range(0, len(pcm), _BATCH)]
    return np.concatenate(parts), teacher, subjects
