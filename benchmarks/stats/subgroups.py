"""Compute the AUROC of each subgroup of a metadata column, and the largest gap.

A column may be sex, age band, device or site. Only pairs of clips within a group are compared. A group with too few
subjects of a class is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import auroc, checked_scores, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    LEVEL,
    Floats,
    Multiplicities,
    Owners,
    degrees_of_freedom,
    disjoint_pairs,
    rate_interval,
)
from hearlite.benchmarks.stats.estimates import Counts, Estimate, Subgroup, Subgroups
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, LeftOut
from hearlite.errors import InputError

_USABLE = 0.5  # share of replicates in which every group must have both classes


def subgroup_aurocs(
    scores: NDArray[Any],
    labels: NDArray[Any],
    subject_index: Owners,
    subject_weights: Multiplicities,
    values: Sequence[str],
    *,
    column: str,
    min_subjects: int = MIN_SUBJECTS,
) -> Subgroups:
    """Compute the AUROC of each group with its interval, and the gap between the best and the worst group.

    A subject may be in several groups (for example, recorded with two devices). All groups share the draws of
    subjects, so the interval of the gap accounts for this.

    Parameters
    ----------
    scores : array [n]
        Scores of the test clips.
    labels : array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate; use the draws of the AUROC.
    values : sequence of str [n]
        Group of each clip; "" if unknown, which belongs to no group.
    column : str
        Name of the metadata column.
    min_subjects : int
        Subjects of each class that a group needs.

    Returns
    -------
    Subgroups
        Groups in the order of their names; the gap is None with fewer than two groups.

    Raises
    ------
    InputError
        If a score is NaN or infinite, a class is missing, or there is not one label and value per clip.
    """
    checked, truth = checked_scores(scores, labels)
    if len(values) != len(checked):
        raise InputError(
            f"column {column!r} has {len(values)} values for {len(checked)} clips",
            "expected one per clip, empty if unknown",
        )
    names = np.asarray([str(value).strip() for value in values], dtype=object)
    groups, left_out, drawn = [], [], []
    for name in sorted(set(names) - {""}):
        inside = np.asarray(names == name, dtype=bool)
        counts = _counts(truth[inside], subject_index[inside])
        few = min(counts.positive_subjects, counts.negative_subjects)
        if few < min_subjects:
            kind = "positive" if counts.positive_subjects == few else "negative"
            left_out.append(LeftOut(f"{column}={name}", f"{few} {kind} subjects in test, needs {min_subjects}"))
            continue
        drawn.append(weighted_aurocs(checked[None, inside], truth[inside], subject_index[inside], subject_weights)[0])
        groups.append(
            Subgroup(name, counts, _estimate(checked[inside], truth[inside], subject_index[inside], drawn[-1]))
        )
    gap, p, order = _gap(groups, np.array(drawn))
    best, worst = (groups[order[-1]].value, groups[order[0]].value) if gap.value is not None else ("", "")
    return Subgroups(column, tuple(groups), gap, p, best, worst, tuple(left_out))


def _gap(groups: list[Subgroup], drawn: Floats) -> tuple[Estimate, float | None, list[int]]:
    """Return the gap with its interval, its p-value, and the groups in rising order of AUROC.

    `drawn` holds the replicates, `[groups, samples]`.

    The largest of several differences is never negative: noise alone produces one, and replicates lie above it.
    But the error of no gap exceeds the largest error among all differences of two groups, whose distribution is
    that of the replicates minus the observed AUROCs (simultaneous intervals, as for Tukey's range: Hochberg and
    Tamhane 1987). `p` is the share of replicates in which that error is at least as large as the gap; it is below
    0.05 if the 95 % interval excludes 0.
    """
    aurocs = np.asarray([group.auroc.value for group in groups], dtype=np.float64)
    order = [int(index) for index in np.argsort(aurocs, kind="stable")]
    if len(groups) < 2:
        return Estimate(), None, order
    value = float(aurocs[order[-1]] - aurocs[order[0]])
    together = drawn[:, np.isfinite(drawn).all(axis=0)]
    if together.shape[1] < _USABLE * drawn.shape[1]:
        return Estimate(value), None, order
    fewest = np.asarray([min(group.clips.positive_subjects, group.clips.negative_subjects) for group in groups])
    widening = np.sqrt(fewest / np.maximum(fewest - 1, 1))[
        :, None
    ]  # the variance of replicates is (n - 1) / n too small
    errors = np.ptp((together - aurocs[:, None]) * widening, axis=0)
    p = (1 + int(np.sum(errors >= value))) / (1 + len(errors))
    largest = float(np.quantile(errors, LEVEL))
    return Estimate(value, max(0.0, value - largest), min(1.0, value + largest)), p, order


def _estimate(scores: Floats, labels: NDArray[np.bool_], subject_index: Owners, replicates: Floats) -> Estimate:
    value = auroc(scores, labels)
    design = degrees_of_freedom(labels, subject_index), disjoint_pairs(labels, subject_index)
    bounds = rate_interval(value, replicates, degrees_of_freedom=design[0], trials=design[1])
    return Estimate(value, *bounds) if bounds else Estimate(value)


def _counts(labels: NDArray[np.bool_], subject_index: Owners) -> Counts:
    return Counts(
        int(labels.sum()),
        int((~labels).sum()),
        len(np.unique(subject_index[labels])),
        len(np.unique(subject_index[~labels])),
    )
