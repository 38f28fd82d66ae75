"""Embed a labelled dataset by several models, and make the tasks of its labels.

Test subjects that a model was trained on are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, LeftOut, Task, binary_tasks, distinct_tasks
from hearlite.bundle import Manifest
from hearlite.data.dataset import ClipRef, Dataset, read_clips, subject_hash
from hearlite.data.embed import clip_batches
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.progress import progress

TEACHER = "teacher"


@dataclass(frozen=True)
class Embedded:
    """Every readable clip, its vector by each model, and what was skipped."""

    clips: tuple[ClipRef, ...]
    vectors: dict[str, NDArray[np.float32]]
    skipped: int
    silent: int


def require_disjoint_subjects(manifest: Manifest, dataset: Dataset) -> None:
    """Refuse test subjects that the student was distilled on, or its classifier fitted to.

    Subjects are compared by the hashes in the manifest.
    """
    for what, trained_subjects in (
        ("distilled on", manifest.dataset.trained_subjects),
        ("given a head by", manifest.head.trained_subjects if manifest.head else ()),
    ):
        leaking = sorted(test_subjects_seen_in_training(trained_subjects, dataset))
        if leaking:
            raise InputError(
                f"{manifest.name} was {what} {len(leaking)} of the test subjects, the first is {leaking[0]!r}",
                "use the split that it was made with: the same manifest, or a split column",
            )


def test_subjects_seen_in_training(trained_subjects: Sequence[str], dataset: Dataset) -> set[str]:
    """The test subjects whose hashes are among `trained_subjects`."""
    hashes = frozenset(trained_subjects)
    return {clip.subject for clip in dataset.clips if clip.split == TEST_SPLIT and subject_hash(clip.subject) in hashes}


def embed_clips(dataset: Dataset, embedders: Mapping[str, Embedder]) -> Embedded:
    """Decode each clip once and embed it by all models, in batches; memory holds the vectors, not the audio."""
    refs: list[ClipRef] = []
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in embedders}
    skipped = silent = done = 0
    with progress("embed", total=len(dataset.clips)) as advance:
        for clips, unread in clip_batches(read_clips(dataset.clips)):
            skipped += len(unread)
            silent += sum(clip.silent for clip in clips)
            refs += [clip.ref for clip in clips]
            if clips:
                audio = from_int16(np.stack([clip.pcm for clip in clips]))
                for name, embedder in embedders.items():
                    parts[name].append(embedder.embed(audio))
            done += len(clips) + sum(item.clips for item in unread)
            advance(done)
    if not refs:
        raise InputError(f"{dataset.name}: no clip could be read")
    return Embedded(tuple(refs), {name: np.concatenate(part) for name, part in parts.items()}, skipped, silent)


def make_tasks(clips: Sequence[ClipRef], label_columns: Sequence[str]) -> tuple[tuple[Task, ...], tuple[LeftOut, ...]]:
    """Return the binary tasks of all label columns, each question once.

    Raises InputError when there is none, saying why.
    """
    subjects, splits = [clip.subject for clip in clips], [clip.split for clip in clips]
    sets = [
        binary_tasks([clip.label(column) for clip in clips], column=column, subjects=subjects, splits=splits)
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
