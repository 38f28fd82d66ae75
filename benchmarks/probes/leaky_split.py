"""Measure a paper's clip-wise 80/20 split beside the leak-free one. Every clip-wise figure LEAKS.

Ehtesham et al. 2025, arXiv:2504.20124, split by clip: subjects are both in training and in test, so a probe may
recognise a person instead of a disease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import fit_classifier
from hearlite.benchmarks.probes.folds import clip_wise_folds, clip_wise_split
from hearlite.benchmarks.schema.results import Leaking
from hearlite.benchmarks.stats.bootstrap import (
    Bools,
    Floats,
    Multiplicities,
    Owners,
    bootstrap_weights,
    difference_interval,
    rate_interval,
)
from hearlite.benchmarks.stats.comparisons import BootstrapAurocs, TaskScores, bootstrap_aurocs
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.tasks.binary import Task
from hearlite.progress import progress


def leaking_aurocs(
    tasks: Sequence[Task],
    leak_free: Sequence[TaskScores],
    models: Mapping[str, Floats],
    subjects: NDArray[np.str_],
    tested: Bools,
    *,
    kind: str,
    samples: int,
    seed: int,
) -> list[tuple[BootstrapAurocs, BootstrapAurocs]]:
    """Compute the LEAKING and the leak-free AUROCs of every task on the same draws of all subjects.

    Parameters
    ----------
    tasks : sequence of Task
        Binary tasks.
    leak_free : sequence of TaskScores
        For each task, the scores of its leak-free test clips.
    models : dict of str to array [n, dim]
        Embeddings of all clips by model.
    subjects : array [n]
        Subject of each clip.
    tested : bool array [n]
        True for the test clips of the leak-free split.
    kind : str
        One of CLASSIFIERS.
    samples : int
        Number of bootstrap replicates.
    seed : int
        Seed of draws, split, folds and probes.

    Returns
    -------
    list of (BootstrapAurocs, BootstrapAurocs)
        For each task, the leaking and the leak-free AUROCs.

    Raises
    ------
    InputError
        As `clip_wise_split` and `fit_classifier` do.
    """
    people, subject_index = np.unique(subjects, return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    found = []
    with progress("clip-wise probes, which LEAK", total=len(tasks)) as advance:
        for done, (task, clean) in enumerate(zip(tasks, leak_free, strict=True), start=1):
            clips, outside = np.flatnonzero(task.labelled), np.flatnonzero(task.labelled & tested)
            inputs = {name: values[clips] for name, values in models.items()}
            leaking = clip_wise_aurocs(inputs, task.labels[clips], subject_index[clips], draws, kind=kind, seed=seed)
            found.append((leaking, bootstrap_aurocs(clean.scores, clean.labels, subject_index[outside], draws)))
            advance(done)
    return found


def clip_wise_aurocs(
    models: Mapping[str, Floats],
    labels: Bools,
    subject_index: Owners,
    subject_weights: Multiplicities,
    *,
    kind: str,
    seed: int,
) -> BootstrapAurocs:
    """Compute the LEAKING AUROC of every model on one task.

    Probes are fitted to four fifths of the clips and tested on the others, which are of the same subjects.

    Parameters
    ----------
    models : dict of str to array [n, dim]
        Embeddings of the labelled clips by model.
    labels : bool array [n]
        True for positive.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.
    kind : str
        One of CLASSIFIERS.
    seed : int
        Seed of split, folds and probes.

    Returns
    -------
    BootstrapAurocs
        AUROCs on the clip-wise test clips.

    Raises
    ------
    InputError
        As `clip_wise_split` and `fit_classifier` do.
    """
    tested = clip_wise_split(labels, seed=seed)
    folds = clip_wise_folds(labels[~tested], seed=seed)
    scores = {
        name: fit_classifier(kind, values[~tested], labels[~tested], values[tested], folds=folds, seed=seed).scores
        for name, values in models.items()
    }
    return bootstrap_aurocs(scores, labels[tested], subject_index[tested], subject_weights)


def leaking_beside(leaking: BootstrapAurocs, leak_free: BootstrapAurocs) -> tuple[Leaking, ...]:
    """Compute how much the clip-wise AUROC of every model exceeds the leak-free one.

    Both come from the same draws, so the interval of the gap accounts for the subjects that they share.

    Parameters
    ----------
    leaking, leak_free : BootstrapAurocs
        AUROCs of the same models.

    Returns
    -------
    tuple of Leaking
        For each model, the leaking AUROC and the gap, with intervals.
    """
    found = []
    for model, value in leaking.observed.items():
        drawn: NDArray[np.float64] = leaking.row(model)
        bounds = rate_interval(value, drawn, degrees_of_freedom=leaking.dof, trials=leaking.trials)
        gap = value - leak_free.observed[model]
        dof = min(leaking.dof, leak_free.dof)
        gap_bounds = difference_interval(gap, drawn - leak_free.row(model), degrees_of_freedom=dof)
        found.append(
            Leaking(model, Estimate(value, *(bounds or (None, None))), Estimate(gap, *(gap_bounds or (None, None))))
        )
    return tuple(found)
