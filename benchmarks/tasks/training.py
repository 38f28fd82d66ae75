"""Tasks among the subjects of train and val alone.

For what must not see the test subjects: a gate, or a classifier that ships.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, LeftOut, Task, binary_tasks
from hearlite.data.dataset import ClipRef
from hearlite.errors import InputError


def training_tasks(clips: Sequence[ClipRef], columns: Sequence[str]) -> tuple[Task, ...]:
    """Return the binary tasks of all label columns, among clips without those of the test split.

    Raises InputError when there is none with MIN_SUBJECTS subjects of each class.
    """
    subjects, splits = np.asarray([clip.subject for clip in clips]), [clip.split for clip in clips]
    tasks, left_out = list[Task](), list[LeftOut]()
    for column in columns:
        values = [clip.label(column) for clip in clips]
        found = binary_tasks(
            values, column=column, subjects=list(subjects), splits=splits, min_subjects=0
        )  # its own count looks at test too
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
