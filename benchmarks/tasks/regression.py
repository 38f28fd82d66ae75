"""Regression probe tasks: a column of numbers named by the user, such as fev1_fvc.

A column is never guessed to be one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, TEST_SPLIT, TRAIN_SPLITS, LeftOut, check_splits
from hearlite.errors import InputError


@dataclass(frozen=True)
class RegressionTask:
    """A number for each labelled clip of a column."""

    column: str
    values: NDArray[np.float64]  # [n], in the column's own unit; 0 where not `labelled`
    labelled: NDArray[np.bool_]  # [n]; false where the column is empty

    @property
    def name(self) -> str:
        """Return the column."""
        return self.column


@dataclass(frozen=True)
class RegressionSet:
    """What a column gives: a task to run, or why there is none."""

    tasks: tuple[RegressionTask, ...]
    left_out: tuple[LeftOut, ...]


def regression_tasks(
    values: Sequence[str],
    *,
    column: str,
    subjects: Sequence[str],
    splits: Sequence[str],
    min_subjects: int = MIN_SUBJECTS,
) -> RegressionSet:
    """Return the task of predicting a column's number. An empty value means not labelled.

    It needs `min_subjects` labelled subjects in train (train and val) and in test, and more than one value in train: a
    constant has nothing to learn.
    Raises InputError when the three sequences differ in length, a split is unknown, a subject is in test and in
    training, or a value is no finite number.
    """
    check_splits(subjects, splits)
    if len(values) != len(subjects):
        raise InputError(
            f"column {column!r} has {len(values)} values for {len(subjects)} clips",
            "expected one per clip, empty if unknown",
        )
    texts = [str(value).strip() for value in values]
    labelled = np.asarray([text != "" for text in texts], dtype=bool)
    numbers = np.asarray([_number(text, column=column) if text else 0.0 for text in texts], dtype=np.float64)
    reason = _unusable(numbers, labelled=labelled, subjects=subjects, splits=splits, min_subjects=min_subjects)
    if reason:
        return RegressionSet((), (LeftOut(column, reason),))
    return RegressionSet((RegressionTask(column, numbers, labelled),), ())


def _number(text: str, *, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            f"column {column!r} holds {text!r}",
            "a regression target needs finite numbers, or nothing where it is unknown",
        )
    return number


def _unusable(
    numbers: NDArray[np.float64],
    *,
    labelled: NDArray[np.bool_],
    subjects: Sequence[str],
    splits: Sequence[str],
    min_subjects: int,
) -> str:
    """Why the column can't be a task, or ""."""
    if not labelled.any():
        return "no labelled clip"
    people, tested = np.asarray(subjects, dtype=object), np.asarray(splits, dtype=object) == TEST_SPLIT
    for side, inside in ((TRAIN_SPLITS[0], ~tested), (TEST_SPLIT, tested)):
        count = len(set(people[inside & labelled]))
        if count < min_subjects:
            return f"{count} labelled subjects in {side}, needs {min_subjects}"
    trained = np.unique(numbers[labelled & ~tested])
    return f"one value only in train ({trained[0]:g})" if len(trained) == 1 else ""
