"""Make binary probe tasks from a column of labels.

A value that cannot become a task is listed with the reason, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.manifests.labels import choose_positive

TRAIN_SPLITS = ("train", "val")  # the probe is trained on both, and selected by cross-validation within them
TEST_SPLIT = "test"
# Subjects of each class on each side of the split. With fewer, bootstrap replicates lack a class too often: at 5,
# e^-5 = 0.7 % of them do.
MIN_SUBJECTS = 5


@dataclass(frozen=True)
class Task:
    """A binary task: clips with one value of a column against its other labelled clips."""

    column: str
    positive: str  # the label value that counts as positive
    labels: NDArray[np.bool_]  # [n]; true for positive, meaningful where `labelled`
    labelled: NDArray[np.bool_]  # [n]; false where the column is empty

    @property
    def name(self) -> str:
        """Return `column=positive`."""
        return f"{self.column}={self.positive}"


@dataclass(frozen=True)
class LeftOut:
    """A task that was not run, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class TaskSet:
    """Tasks to run, and those left out."""

    tasks: tuple[Task, ...]
    left_out: tuple[LeftOut, ...]


def binary_tasks(
    label_values: Sequence[str],
    *,
    column: str,
    subjects: Sequence[str],
    splits: Sequence[str],
    min_subjects: int = MIN_SUBJECTS,
    positives: Sequence[str] | None = None,
    scored: NDArray[np.bool_] | None = None,
) -> TaskSet:
    """Make a task for each positive value of a column, against its other values.

    Parameters
    ----------
    label_values : sequence of str [n]
        Label of each clip; "" means not labelled.
    column : str
        Name of the column.
    subjects : sequence of str [n]
        Subject of each clip.
    splits : sequence of str [n]
        Split of each clip: train, val or test.
    min_subjects : int
        Subjects with a positive and subjects with a negative clip that a task needs, both in training (train and
        val) and in test.
    positives : sequence of str, optional
        The positive values, as in `Dataset.positives`, so that commands that use different clips of a dataset ask the
        same. By default they are found from these clips: one of two values (see `hearlite.manifests.labels`), or each
        of more.
    scored : bool array [n], optional
        The clips that cross-validation scores. Subjects are then counted among these, whatever their splits.

    Returns
    -------
    TaskSet
        Tasks in the order of their values, and those left out with the reason.

    Raises
    ------
    InputError
        If the sequences differ in length, a split is unknown, or a subject is in test and in training.
    """
    check_splits(subjects, splits)
    tested = np.asarray([split == TEST_SPLIT for split in splits], dtype=bool)
    sides = {"train": ~tested, TEST_SPLIT: tested} if scored is None else {"those to score": scored}
    if len(label_values) != len(subjects):
        raise InputError(
            f"column {column!r} has {len(label_values)} values for {len(subjects)} clips",
            "expected one per clip, empty if unknown",
        )
    values = np.asarray([str(value).strip() for value in label_values], dtype=object)
    labelled = np.asarray(values != "", dtype=bool)
    counts = {value: int(np.sum(values == value)) for value in sorted(set(values[labelled]))}
    if positives is None:
        positives = [choose_positive(counts)[0]] if len(counts) == 2 else list(counts)
    if len(counts) < 2:
        reason = f"one value only ({next(iter(counts))!r})" if counts else "no labelled clip"
        return TaskSet((), (LeftOut(column, reason),))
    tasks: list[Task] = []
    left_out: list[LeftOut] = []
    for positive in positives:
        task = Task(column, positive, np.asarray(values == positive, dtype=bool), labelled)
        reason = _too_few(
            task,
            subjects=np.asarray(subjects, dtype=object),
            sides=sides,
            min_subjects=min_subjects,
        )
        if reason:
            left_out.append(LeftOut(task.name, reason))
        else:
            tasks.append(task)
    return TaskSet(tuple(tasks), tuple(left_out))


def distinct_tasks(tasks: Sequence[Task]) -> TaskSet:
    """Keep one of several tasks that have the same labels, or the opposite ones, on the same clips.

    Columns may repeat each other, as "normal" in one and "abnormal" in another do. Counted twice, such a task would
    weigh twice in every mean. The task of a column with two values is kept, since such a column is meant as a
    binary question; otherwise the first is.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks of all columns, over the same clips.

    Returns
    -------
    TaskSet
        Kept tasks in the order given, and the others with the task that they repeat.
    """
    two_valued = {task.column for task in tasks if sum(other.column == task.column for other in tasks) == 1}
    kept: list[Task] = []
    left_out: list[LeftOut] = []
    for task in sorted(tasks, key=lambda task: task.column not in two_valued):
        twin = next((other for other in kept if _same_question(task, other)), None)
        if twin:
            left_out.append(LeftOut(task.name, f"it asks the same question about the same clips as {twin.name}"))
        else:
            kept.append(task)
    return TaskSet(tuple(task for task in tasks if any(task is other for other in kept)), tuple(left_out))


def check_splits(subjects: Sequence[str] | NDArray[Any], splits: Sequence[str] | NDArray[Any]) -> None:
    """Validate the splits, and that no test subject is used in training.

    Parameters
    ----------
    subjects, splits : sequence of str [n]
        Subject and split of each clip.

    Raises
    ------
    InputError
        If the lengths differ, a split is none of train, val and test, or a subject is in test and in training.
    """
    if len(subjects) != len(splits):
        raise InputError(f"{len(subjects)} subjects for {len(splits)} splits", "expected one of each per clip")
    unknown = sorted(set(splits) - {*TRAIN_SPLITS, TEST_SPLIT})
    if unknown:
        raise InputError(f"split is {unknown[0]!r}", f"use one of {', '.join((*TRAIN_SPLITS, TEST_SPLIT))}")
    tested = {subject for subject, split in zip(subjects, splits, strict=True) if split == TEST_SPLIT}
    leaked = sorted(tested & {subject for subject, split in zip(subjects, splits, strict=True) if split != TEST_SPLIT})
    if leaked:
        raise InputError(
            f"subject {leaked[0]!r} is in {TEST_SPLIT} and in training",
            "keep every subject on one side; split by subject, not by clip",
        )


def _same_question(one: Task, other: Task) -> bool:
    if not np.array_equal(one.labelled, other.labelled):
        return False
    labels, other_labels = one.labels[one.labelled], other.labels[other.labelled]
    return bool(np.array_equal(labels, other_labels) or np.array_equal(labels, ~other_labels))


def _too_few(task: Task, *, subjects: NDArray[Any], sides: Mapping[str, NDArray[np.bool_]], min_subjects: int) -> str:
    """Return the reason if the task has too few subjects, else ""."""
    for side, inside in sides.items():
        for kind, members in (("positive", task.labels), ("negative", ~task.labels)):
            count = len(set(subjects[inside & members & task.labelled]))
            if count < min_subjects:
                return f"{count} {kind} subjects in {side}, needs {min_subjects}"
    return ""
