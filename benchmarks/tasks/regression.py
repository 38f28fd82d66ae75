"""Make regression probe tasks from columns of numbers, such as fev1_fvc.

The user names the columns; none is ever guessed to hold numbers.
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
    """A regression task: a number for each labelled clip of a column."""

    column: str
    values: NDArray[np.float64]  # [n], in the column's own unit; 0 where not `labelled`
    labelled: NDArray[np.bool_]  # [n]; false where the column is empty

    @property
    def name(self) -> str:
        """Return the column."""
        return self.column


@dataclass(frozen=True)
class RegressionSet:
    """The task of a column, or the reason why there is none."""

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
    """Make the task of predicting the numbers of a column.

    The task needs more than one value in training: there is nothing to learn from a constant.

    Parameters
    ----------
    values : sequence of str [n]
        Number of each clip, in the column's own unit; "" means not labelled.
    column : str
        Name of the column.
    subjects : sequence of str [n]
        Subject of each clip.
    splits : sequence of str [n]
        Split of each clip: train, val or test.
    min_subjects : int
        Labelled subjects that the task needs, both in training (train and val) and in test.

    Returns
    -------
    RegressionSet
        One task, or none and the reason.

    Raises
    ------
    InputError
        If the sequences differ in length, a split is unknown, a subject is in test and in training, or a value is
        not a finite number.
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
    """Return the reason if the column cannot be a task, else ""."""
    if not labelled.any():
        return "no labelled clip"
    people, tested = np.asarray(subjects, dtype=object), np.asarray(splits, dtype=object) == TEST_SPLIT
    for side, inside in ((TRAIN_SPLITS[0], ~tested), (TEST_SPLIT, tested)):
        count = len(set(people[inside & labelled]))
        if count < min_subjects:
            return f"{count} labelled subjects in {side}, needs {min_subjects}"
    trained = np.unique(numbers[labelled & ~tested])
    return f"one value only in train ({trained[0]:g})" if len(trained) == 1 else ""
