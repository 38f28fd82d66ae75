"""AUROC within each subgroup of a metadata column (sex, age band, device, site), and the largest gap.

Only pairs of clips within a group are compared. A group is left out, with the reason, where it has too few subjects of
a class.
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

_USABLE = 0.5  # of the replicates: those in which every group has both classes


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
    """AUROC of each group with its interval, and the gap between the best and the worst.

    Parameters: `scores`, `labels`, `subject_index`, `values` [n], test clips; "" in `values` is unknown and in no
    group; `subject_weights` [samples, subjects], those of the AUROC. A subject may be in several groups (two devices);
    draws are shared, so the gap knows it.
    Raises InputError as `auroc` does, and for another number of values.
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
    """(gap, p, groups in rising order of AUROC), of replicates [groups, samples].

    The largest of differences is never negative: noise alone makes one, and replicates lie above it. But no gap is
    wrong by more than the largest error among all differences of two groups, whose distribution is that of the
    replicates less the observed AUROCs (simultaneous intervals, as Tukey's range: Hochberg and Tamhane 1987). `p` is
    the share of replicates in which that error is as large as the gap: below 0.05 where the 95 % interval leaves 0 out.
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
    errors = np.ptp(
        (together - aurocs[:, None]) * np.sqrt(fewest / np.maximum(fewest - 1, 1))[:, None], axis=0
    )  # replicates of n vary by (n - 1) / n
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
