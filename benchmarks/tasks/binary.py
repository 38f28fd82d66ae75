"""Binary probe tasks from a column of labels.

What can't be a task is listed with the reason, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError

TRAIN_SPLITS = ("train", "val")  # the probe selects by cross-validation within both
TEST_SPLIT = "test"
MIN_SUBJECTS = (
    5  # of each class on each side: fewer leave a bootstrap replicate without a class too often (e^-5 = 0.7 % at 5)
)
_POSITIVE_WORDS = frozenset({"1", "1.0", "true", "yes", "positive", "pos", "present"})


@dataclass(frozen=True)
class Task:
    """Positive clips against the other labelled clips of a column."""

    column: str
    positive: str  # the label value that counts as positive
    labels: NDArray[np.bool_]  # [n]; meaningful where `labelled`
    labelled: NDArray[np.bool_]  # [n]; false where the column is empty

    @property
    def name(self) -> str:
        """Return `column=positive`."""
        return f"{self.column}={self.positive}"


@dataclass(frozen=True)
class LeftOut:
    """A task that was not run, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class TaskSet:
    """What a column gives: the tasks to run, and those left out."""

    tasks: tuple[Task, ...]
    left_out: tuple[LeftOut, ...]


def binary_tasks(
    label_values: Sequence[str],
    *,
    column: str,
    subjects: Sequence[str],
    splits: Sequence[str],
    min_subjects: int = MIN_SUBJECTS,
) -> TaskSet:
    """Return one task for each value of a column against its other values.

    A column of two values makes one task, not two mirrored ones.

    Of two values the positive one is the one that says so ("1", "true", "yes", "positive"), else the rarer. An empty
    value means not labelled. A task needs `min_subjects` subjects with a positive and with a negative clip, in train
    (train and val) and in test.
    Raises InputError when the three sequences differ in length or a split is unknown.
    """
    check_splits(subjects, splits)
    if len(label_values) != len(subjects):
        raise InputError(
            f"column {column!r} has {len(label_values)} values for {len(subjects)} clips",
            "expected one per clip, empty if unknown",
        )
    values = np.asarray([str(value).strip() for value in label_values], dtype=object)
    labelled = np.asarray(values != "", dtype=bool)
    counts = {value: int(np.sum(values == value)) for value in sorted(set(values[labelled]))}
    if len(counts) < 2:
        reason = f"one value only ({next(iter(counts))!r})" if counts else "no labelled clip"
        return TaskSet((), (LeftOut(column, reason),))
    tasks: list[Task] = []
    left_out: list[LeftOut] = []
    for positive in [_positive_of_two(counts)] if len(counts) == 2 else counts:
        task = Task(column, positive, np.asarray(values == positive, dtype=bool), labelled)
        reason = _too_few(
            task,
            subjects=np.asarray(subjects, dtype=object),
            splits=np.asarray(splits, dtype=object),
            min_subjects=min_subjects,
        )
        if reason:
            left_out.append(LeftOut(task.name, reason))
        else:
            tasks.append(task)
    return TaskSet(tuple(tasks), tuple(left_out))


def distinct_tasks(tasks: Sequence[Task]) -> TaskSet:
    """Return one task of those that ask the same of the same clips.

    Columns may repeat each other, as "normal" of one and "abnormal" of another do.

    Of two, the one of a column of two values stays, which was made to be asked; else the first. Counted twice, it would
    weigh twice in every mean.
    """
    two_valued = {task.column for task in tasks if sum(other.column == task.column for other in tasks) == 1}
    kept: list[Task] = []
    left_out: list[LeftOut] = []
    for task in sorted(tasks, key=lambda task: task.column not in two_valued):
        twin = next((other for other in kept if _same_question(task, other)), None)
        if twin:
            left_out.append(LeftOut(task.name, f"it asks the same of the same clips as {twin.name}"))
        else:
            kept.append(task)
    return TaskSet(tuple(task for task in tasks if any(task is other for other in kept)), tuple(left_out))


def check_splits(subjects: Sequence[str] | NDArray[Any], splits: Sequence[str] | NDArray[Any]) -> None:
    """Check lengths and splits, and that no test subject is also trained on.

    Raises InputError.
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
    ours, theirs = one.labels[one.labelled], other.labels[other.labelled]
    return bool(np.array_equal(ours, theirs) or np.array_equal(ours, ~theirs))


def _positive_of_two(counts: dict[str, int]) -> str:
    says_so = [value for value in counts if value.casefold() in _POSITIVE_WORDS]
    return says_so[0] if len(says_so) == 1 else min(counts, key=lambda value: (counts[value], value))


def _too_few(task: Task, *, subjects: NDArray[Any], splits: NDArray[Any], min_subjects: int) -> str:
    """Why the task has too few subjects, or ""."""
    for side, inside in (("train", splits != TEST_SPLIT), (TEST_SPLIT, splits == TEST_SPLIT)):
        for kind, members in (("positive", task.labels), ("negative", ~task.labels)):
            count = len(set(subjects[inside & members & task.labelled]))
            if count < min_subjects:
                return f"{count} {kind} subjects in {side}, needs {min_subjects}"
    return ""
