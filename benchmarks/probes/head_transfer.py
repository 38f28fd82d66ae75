"""Apply the teacher's own probe, unchanged, to the embeddings of students.

People hold classifiers that were fitted to the teacher's embeddings. Retention, for which a probe is fitted to each
student, does not say what such a classifier does on a student: a logistic regression that scored 0.883 on the teacher
scored 0.62 on a student that kept 0.85 by a probe of its own, because the student's error lay along directions that
vary little and that the classifier weighs heavily.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import refit
from hearlite.benchmarks.probes.cross_validation import fold_numbers, pooled
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.bundle import Manifest
from hearlite.embedders.base import EmbedderInfo
from hearlite.tflite.coordinates import read_inverse


def in_teacher_space(model: Path, manifest: Manifest, vectors: NDArray[Any], *, teacher: EmbedderInfo) -> Floats | None:
    """Return a file's embeddings in its teacher's coordinates.

    Parameters
    ----------
    model : Path
        The .tflite.
    manifest : Manifest
        Its manifest.
    vectors : array [n, dim]
        Its embeddings.
    teacher : EmbedderInfo
        The teacher whose probes shall be applied.

    Returns
    -------
    array [n, teacher.dim] or None
        None for a student of another teacher, and for a file in coordinates of its own without its .inverse.npz.
    """
    if manifest.teacher.fingerprint != teacher.fingerprint or manifest.dim != teacher.dim:
        return None
    values: Floats = np.asarray(vectors, dtype=np.float64)
    if manifest.coordinates is not None:
        return values
    found = read_inverse(model, dim=manifest.dim)
    return None if found is None else values @ found.inverse + found.mean


def transferred(
    kind: str,
    chosen: Mapping[str, float],
    teacher: Floats,
    labels: Bools,
    students: Mapping[str, Floats],
    *,
    seed: int,
) -> dict[str, Floats]:
    """Fit the teacher's probe and score the students' test clips.

    Parameters
    ----------
    kind : str
        One of CLASSIFIERS.
    chosen : dict of str to float
        Hyper-parameters that cross-validation chose for the teacher.
    teacher : array [n_train, dim]
        The teacher's embeddings of the training clips.
    labels : bool array [n_train]
        True for positive.
    students : dict of str to array [n_test, dim]
        The students' embeddings of the test clips, in the teacher's coordinates.
    seed : int
        Seed of the probe.

    Returns
    -------
    dict of str to array [n_test]
        Scores by student.
    """
    if not students:
        return {}
    scores = refit(kind, chosen, teacher, labels, np.concatenate(list(students.values())), seed=seed)
    return dict(zip(students, np.split(scores, len(students)), strict=True))


def cross_transferred(
    kind: str,
    by_fold: tuple[Mapping[str, float], ...],
    teacher: Floats,
    labels: Bools,
    students: Mapping[str, Floats],
    table: NDArray[np.intp],
    *,
    seed: int,
) -> dict[str, Floats]:
    """Do the same with cross-validation: `table` is from `outer_folds`, all arrays are over the labelled clips.

    Returns the scores of the scored clips, standardized within each fold.
    """
    by_model: dict[str, list[Floats]] = {name: [] for name in students}
    for fold, chosen in zip(fold_numbers(table), by_fold, strict=True):
        inside, outside = table != fold, table == fold
        found = transferred(
            kind,
            chosen,
            teacher[inside],
            labels[inside],
            {name: values[outside] for name, values in students.items()},
            seed=seed,
        )
        for name, scores in found.items():
            by_model[name].append(scores)
    return {name: pooled(scores, table) for name, scores in by_model.items()}
