"""Make tasks among the subjects of train and val only.

They serve what must not use the test subjects: a quantization gate, or a classifier that ships with a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, LeftOut, Task, binary_tasks
from hearlite.data.dataset import ClipRef
from hearlite.errors import InputError


def training_tasks(
    clips: Sequence[ClipRef], columns: Sequence[str], *, positives: Mapping[str, Sequence[str]]
) -> tuple[Task, ...]:
    """Make the binary tasks of label columns among training clips.

    Parameters
    ----------
    clips : sequence of ClipRef
        Clips of the train and val splits, without those of the test split.
    columns : sequence of str
        Label columns.
    positives : dict of str to sequence of str
        Positive values of each column, as in `Dataset.positives`.

    Returns
    -------
    tuple of Task
        Tasks with at least MIN_SUBJECTS subjects of each class.

    Raises
    ------
    InputError
        If there is no such task.
    """
    subjects, splits = np.asarray([clip.subject for clip in clips]), [clip.split for clip in clips]
    tasks, left_out = list[Task](), list[LeftOut]()
    for column in columns:
        values = [clip.label(column) for clip in clips]
        # min_subjects=0: binary_tasks would count test subjects too, and there are none.
        found = binary_tasks(
            values,
            column=column,
            subjects=list(subjects),
            splits=splits,
            min_subjects=0,
            positives=positives.get(column),
        )
        left_out += found.left_out
        for task in found.tasks:
            few = min(len(set(subjects[task.labelled & side])) for side in (task.labels, ~task.labels))
            if few < MIN_SUBJECTS:
                left_out.append(
                    LeftOut(task.name, f"a class of {few} training and validation subjects, needs {MIN_SUBJECTS}")
                )
            else:
                tasks.append(task)
    if not tasks:
        reasons = "; ".join(f"{item.name}: {item.reason}" for item in left_out[:3])
        raise InputError(
            f"no task in the label columns {', '.join(columns)}: {reasons}",
            "name another column with --label, or label more training subjects",
        )
    return tuple(tasks)
