"""Embed a labelled dataset with several models, and make the tasks of its labels.

A dataset is refused if a model was trained on its test subjects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.tasks.binary import TEST_SPLIT, LeftOut, Task, binary_tasks, distinct_tasks
from hearlite.bundle import Manifest
from hearlite.data.dataset import ClipRef, Dataset
from hearlite.data.reading import reading_order
from hearlite.data.vector_parts import embed_parts
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.manifests.splits import subject_hash

TEACHER = "teacher"


@dataclass(frozen=True)
class Embedded:
    """Embeddings of every readable clip by each model, and counts of skipped and silent clips."""

    clips: tuple[ClipRef, ...]
    vectors: dict[str, NDArray[np.float32]]  # by model, [n, dim]
    skipped: int
    silent: dict[str, int]  # number of silent clips by recording


def require_disjoint_subjects(manifest: Manifest, dataset: Dataset) -> None:
    """Require that no test subject was used to distill the student or to fit its classifier head.

    Subjects are compared by the hashes in the manifest.

    Parameters
    ----------
    manifest : Manifest
        Manifest of the student.
    dataset : Dataset
        The dataset to test on.

    Raises
    ------
    InputError
        If a test subject was used.
    """
    for use, trained_subjects in (
        ("distilled on", manifest.dataset.trained_subjects),
        ("given a classifier head fitted to", manifest.head.trained_subjects if manifest.head else ()),
    ):
        leaking = sorted(test_subjects_seen_in_training(trained_subjects, dataset))
        if leaking:
            raise InputError(
                f"{manifest.name} was {use} {len(leaking)} of the test subjects, the first is {leaking[0]!r}",
                "use the split that it was made with: the same manifest, or a split column",
            )


def test_subjects_seen_in_training(trained_subjects: Sequence[str], dataset: Dataset) -> set[str]:
    """Return the test subjects whose hashes are among those of training subjects.

    Parameters
    ----------
    trained_subjects : sequence of str
        Hashes of the subjects that a model was trained on.
    dataset : Dataset
        The dataset to test on.

    Returns
    -------
    set of str
        Names of the test subjects.
    """
    hashes = frozenset(trained_subjects)
    return {clip.subject for clip in dataset.clips if clip.split == TEST_SPLIT and subject_hash(clip.subject) in hashes}


def embed_clips(dataset: Dataset, embedders: Mapping[str, Embedder], *, kept: Path | None = None) -> Embedded:
    """Decode each clip once and embed it with all models, in batches.

    Memory holds the vectors, not the audio.

    Parameters
    ----------
    dataset : Dataset
        Clips to embed.
    embedders : dict of str to Embedder
        Models by name.
    kept : Path, optional
        Folder for what is done, from `kept_parts`: the same call goes on from there. Without it nothing is kept.

    Returns
    -------
    Embedded
        Vectors of all clips that could be read, in reading order.

    Raises
    ------
    InputError
        If no clip can be read.
    """
    order = reading_order(dataset.clips)
    places: list[int] = []
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in embedders}
    silent: Counter[str] = Counter()
    skipped = 0
    for part in embed_parts(dataset, embedders, kept=kept):
        places += part.places
        skipped += len(part.skipped)
        silent.update(part.silent)
        for name, found in part.vectors.items():
            vectors[name].append(found)
    if not places:
        raise InputError(f"{dataset.name}: no clip could be read")
    joined = {name: np.concatenate(parts) for name, parts in vectors.items()}
    return Embedded(tuple(order[place] for place in places), joined, skipped, dict(silent))


def make_tasks(
    clips: Sequence[ClipRef],
    label_columns: Sequence[str],
    *,
    positives: Mapping[str, Sequence[str]],
    cross_validated: bool = False,
) -> tuple[tuple[Task, ...], tuple[LeftOut, ...]]:
    """Make the binary tasks of all label columns, each question once.

    Parameters
    ----------
    clips : sequence of ClipRef
        Labelled clips of all splits.
    label_columns : sequence of str
        Names of the label columns.
    positives : dict of str to sequence of str
        Positive values of each column, as in `Dataset.positives`; those of a column that it lacks are found from the
        clips.
    cross_validated : bool
        Whether probes are fitted to subjects of the test split, too, in folds: these must suffice then, and no others.

    Returns
    -------
    tasks : tuple of Task
        Tasks to run.
    left_out : tuple of LeftOut
        The others, with the reason.

    Raises
    ------
    InputError
        If there is no task; the message states why.
    """
    subjects, splits = [clip.subject for clip in clips], [clip.split for clip in clips]
    scored = np.asarray([split == TEST_SPLIT for split in splits], dtype=np.bool_) if cross_validated else None
    sets = [
        binary_tasks(
            [clip.label(column) for clip in clips],
            column=column,
            subjects=subjects,
            splits=splits,
            positives=positives.get(column),
            scored=scored,
        )
        for column in label_columns
    ]
    distinct = distinct_tasks([task for found in sets for task in found.tasks])
    tasks, left_out = distinct.tasks, (*(item for found in sets for item in found.left_out), *distinct.left_out)
    if not tasks:
        reasons = "; ".join(f"{item.name}: {item.reason}" for item in left_out[:3])
        raise InputError(
            f"no task in the label columns {', '.join(label_columns)}: {reasons}",
            "name another column with --label, or label more subjects",
        )
    return tasks, left_out
