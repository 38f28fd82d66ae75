"""Evaluate probes on frozen embeddings, with the same folds, test clips and draws for every model.

Sharing these is what makes differences between models meaningful. Intervals describe how the figures would vary with
other test subjects; the probe itself is fitted once, on the training subjects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import fit_classifier
from hearlite.benchmarks.probes.cross_validation import CrossValidation, cross_fit, outer_folds
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.head_transfer import cross_transferred, transferred
from hearlite.benchmarks.probes.leaky_split import leaking_aurocs, leaking_beside
from hearlite.benchmarks.probes.permutation import cross_validated_baseline, permuted_baseline
from hearlite.benchmarks.probes.score_details import detailed, with_details
from hearlite.benchmarks.schema.baselines import PERMUTED
from hearlite.benchmarks.schema.results import ProbeResults, TaskResult
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import (
    BootstrapAurocs,
    Pair,
    TaskScores,
    bootstrap_aurocs,
    effective_sample,
    head_transfers,
    mean_over_tasks,
    paired_by_task,
    paired_means,
    scored,
)
from hearlite.benchmarks.stats.estimates import Counts, Score
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, TEST_SPLIT, Task, check_splits
from hearlite.errors import InputError, UsageError
from hearlite.progress import progress
from hearlite.spec import AUROC_MARGIN


def run_probes(
    models: Mapping[str, NDArray[Any]],
    tasks: Sequence[Task],
    subjects: Sequence[str],
    splits: Sequence[str],
    *,
    reference: str,
    seed: int,
    float_of: Mapping[str, str] | None = None,
    subgroups: Mapping[str, Sequence[str]] | None = None,
    margin: float = AUROC_MARGIN,
    probe: str = "logistic",
    clip_wise: bool = False,
    cross_validation: CrossValidation | None = None,
    in_teacher_space: Mapping[str, NDArray[Any]] | None = None,
    samples: int = 2000,
) -> ProbeResults:
    """Score every model on every task: AUROC on test subjects with its interval, retention and a verdict.

    Parameters
    ----------
    models : dict of str to array
        Embeddings `[n, dim]` by name; a duration baseline is one more model, with a single column.
    tasks : sequence of Task
        Tasks from `binary_tasks`.
    subjects, splits : sequence of str
        Subject and split of each clip, `[n]`.
    reference : str
        The model that differences and retention are relative to: the teacher. A probe of its embeddings with permuted
        training labels is added as a baseline.
    seed : int
        Seed of folds, probes, permutations and bootstrap.
    float_of : dict of str to str, optional
        For each quantized file, its float32 file, with which it is compared too.
    subgroups : dict of str to sequence of str, optional
        Metadata columns, `[n]` values each, "" for unknown; the AUROC is computed for each group.
    margin : float
        Largest acceptable AUROC drop, set before the run, in (0, 0.5).
    probe : str
        One of CLASSIFIERS.
    clip_wise : bool
        Also measure with a paper's clip-wise split, which LEAKS, and the gap to the leak-free figures.
    cross_validation : CrossValidation, optional
        Score these clips in folds, each by a probe that was fitted to other subjects, instead of those of the test
        split.
    in_teacher_space : dict of str to array, optional
        Embeddings `[n, dim of the reference]` of some of the models in the reference's coordinates: its probe is
        applied to them, too.
    samples : int
        Number of bootstrap replicates, each a single draw of subjects for all models and tasks.

    Returns
    -------
    ProbeResults
        Results of every task, their mean, and paired comparisons.

    Raises
    ------
    InputError
        If embeddings are not finite or not `[n, dim]`, a subject is in test and in training, or there is no task.
    UsageError
        If `reference` is unknown, `margin` is out of range, or a clip-wise split is to be cross-validated.
    """
    if clip_wise and cross_validation:
        raise UsageError("the paper's protocol has no folds", "leave out --protocol paper or --folds")
    check_splits(subjects, splits)
    if not tasks:
        raise InputError(
            "no task to probe", f"label at least {MIN_SUBJECTS} subjects of each class in train and in test"
        )
    arrays = _checked(models, n=len(subjects), reference=reference)
    moved = {name: np.asarray(values, dtype=np.float64) for name, values in (in_teacher_space or {}).items()}
    people, sides = np.asarray(subjects, dtype=str), np.asarray(splits, dtype=str)
    tested_clips = cross_validation.scored if cross_validation else sides == TEST_SPLIT
    bench = _bench(
        arrays,
        moved,
        people,
        tested_clips,
        cross_validation,
        subgroups=subgroups or {},
        reference=reference,
        probe=probe,
        seed=seed,
        samples=samples,
    )
    results: list[TaskResult] = []
    tested: list[TaskScores] = []
    notes: list[str] = []
    with progress("probes", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            result, scores, task_notes = _probe_task(task, bench, margin=margin)
            results.append(result)
            tested.append(scores)
            notes += task_notes
            advance(done)
    pairs: list[Pair] = [*((name, reference) for name in arrays if name != reference), *(float_of or {}).items()]
    compared = paired_by_task(pairs, tested, margin=margin)
    means = mean_over_tasks([task.aurocs for task in tested])
    dropped = int(np.isnan(means.drawn[0]).sum())
    if dropped:
        notes.append(
            f"{dropped} of {samples} bootstrap replicates lack a class in some task and are left out of the mean over"
            " tasks"
        )
    leaking = (
        leaking_aurocs(tasks, tested, arrays, people, bench.tested, kind=probe, samples=samples, seed=seed)
        if clip_wise
        else []
    )
    by_task = [leaking_beside(*pair) for pair in leaking] or [()] * len(tasks)
    carried = [task.transferred for task in tested if task.transferred is not None]
    return ProbeResults(
        tasks=tuple(
            dataclasses.replace(
                item,
                comparisons=pair,
                leaking=leak,
                head_transfer=head_transfers(scores.transferred, scores.aurocs, reference=reference, margin=margin),
            )
            for item, scores, pair, leak in zip(results, tested, compared, by_task, strict=True)
        ),
        summary=scored(means, reference=reference, margin=margin),
        comparisons=paired_means(pairs, means, margin=margin),
        reference=reference,
        replicates=samples,
        margin=margin,
        probe=probe,
        leaking=leaking_beside(*(mean_over_tasks(side) for side in zip(*leaking, strict=True))) if leaking else (),
        seed=seed,
        notes=tuple(notes),
        head_transfer=head_transfers(
            mean_over_tasks(carried) if carried else None, means, reference=reference, margin=margin
        ),
    )


@dataclass(frozen=True)
class _Bench:
    """Everything that all tasks share."""

    models: dict[str, Floats]
    moved: dict[str, Floats]  # some of them in the reference's coordinates
    subjects: NDArray[np.str_]  # [n]
    tested: NDArray[np.bool_]  # [n]
    subject_index: NDArray[np.intp]  # [n]: column in `subject_weights` of a test clip's subject; -1 for training clips
    subject_weights: NDArray[np.uint16]  # [samples, test subjects]
    subgroups: dict[str, NDArray[Any]]  # by column, [n]
    reference: str
    probe: str
    seed: int
    cross_validation: CrossValidation | None


def _bench(
    models: dict[str, Floats],
    moved: dict[str, Floats],
    subjects: NDArray[np.str_],
    tested: NDArray[np.bool_],
    cross_validation: CrossValidation | None,
    *,
    subgroups: Mapping[str, Sequence[str]],
    reference: str,
    probe: str,
    seed: int,
    samples: int,
) -> _Bench:
    subject_index = np.full(len(subjects), -1, dtype=np.intp)
    people, subject_index[tested] = np.unique(subjects[tested], return_inverse=True)
    drawn = bootstrap_weights(len(people), samples=samples, seed=seed)
    columns = {column: np.asarray(values, dtype=object) for column, values in subgroups.items()}
    return _Bench(
        models, moved, subjects, tested, subject_index, drawn, columns, reference, probe, seed, cross_validation
    )


def _probe_task(task: Task, bench: _Bench, *, margin: float) -> tuple[TaskResult, TaskScores, list[str]]:
    """Return one task's result without comparisons, the scores that comparisons need, and notes.

    The permuted baseline comes last and has no scores.
    """
    inside, outside = np.flatnonzero(task.labelled & ~bench.tested), np.flatnonzero(task.labelled & bench.tested)
    train, test, subject_index = task.labels[inside], task.labels[outside], bench.subject_index[outside]
    if bench.cross_validation:
        return _cross_validate(task, bench, bench.cross_validation, margin=margin)
    folds = fold_table(train, bench.subjects[inside], seed=bench.seed)
    fitted = {
        name: fit_classifier(bench.probe, values[inside], train, values[outside], folds=folds, seed=bench.seed)
        for name, values in bench.models.items()
    }
    probed = {name: fit.scores for name, fit in fitted.items()}
    known = bench.models[bench.reference]
    baseline, of_baseline = permuted_baseline(
        known[inside],
        train,
        known[outside],
        test,
        subject_index=subject_index,
        subject_weights=bench.subject_weights,
        kind=bench.probe,
        chosen=fitted[bench.reference].chosen,
        task=task.name,
        seed=bench.seed,
    )
    observed = {name: auroc(scores, test) for name, scores in probed.items()} | {PERMUTED: baseline}
    drawn = np.concatenate(
        [
            weighted_aurocs(np.stack(list(probed.values())), test, subject_index, bench.subject_weights),
            of_baseline[None],
        ]
    )
    aurocs = BootstrapAurocs(observed, drawn, *effective_sample(test, subject_index))
    scores = scored(aurocs, reference=bench.reference, margin=margin)
    groups = {column: values[outside].tolist() for column, values in bench.subgroups.items()}
    scores = tuple(
        (
            detailed(score, fitted[score.model], train, test, subject_index, bench.subject_weights, subgroups=groups)
            if score.model in fitted
            else score
        )
        for score in scores
    )
    result = _result(task, bench, inside, outside, drawn, scores)
    notes = _unconverged(task, {name: fit.unconverged for name, fit in fitted.items()})
    carried = transferred(
        bench.probe,
        fitted[bench.reference].chosen,
        known[inside],
        train,
        {name: values[outside] for name, values in bench.moved.items()},
        seed=bench.seed,
    )
    return result, _task_scores(probed, carried, test, subject_index, bench, aurocs), notes


def _cross_validate(
    task: Task, bench: _Bench, by: CrossValidation, *, margin: float
) -> tuple[TaskResult, TaskScores, list[str]]:
    """Return what `_probe_task` returns, for scores by folds."""
    clips = np.flatnonzero(task.labelled)
    labels, groups, scored_clips = task.labels[clips], by.groups[clips], by.scored[clips]
    table = outer_folds(labels, groups, scored_clips, folds=by.folds, seed=bench.seed)
    fitted = {
        name: cross_fit(bench.probe, values[clips], labels, groups, table, seed=bench.seed)
        for name, values in bench.models.items()
    }
    outside = clips[scored_clips]
    test, subject_index = task.labels[outside], bench.subject_index[outside]
    baseline, of_baseline = cross_validated_baseline(
        bench.models[bench.reference][clips],
        labels,
        table,
        subject_index=subject_index,
        subject_weights=bench.subject_weights,
        kind=bench.probe,
        chosen=fitted[bench.reference].by_fold,
        task=task.name,
        seed=bench.seed,
    )
    probed = {name: fit.scores for name, fit in fitted.items()}
    observed = {name: auroc(scores, test) for name, scores in probed.items()} | {PERMUTED: baseline}
    of_models = weighted_aurocs(np.stack(list(probed.values())), test, subject_index, bench.subject_weights)
    drawn = np.concatenate([of_models, of_baseline[None]])
    aurocs = BootstrapAurocs(observed, drawn, *effective_sample(test, subject_index))
    groups_of = {column: values[outside].tolist() for column, values in bench.subgroups.items()}
    scores = tuple(
        with_details(
            score,
            fit.chosen,
            fit.scores,
            (fit.above_threshold, 0.0),
            fit.probabilities,
            test,
            subject_index,
            bench.subject_weights,
            subgroups=groups_of,
        )
        if (fit := fitted.get(score.model))
        else score
        for score in scored(aurocs, reference=bench.reference, margin=margin)
    )
    result = _result(task, bench, clips, outside, drawn, scores)
    notes = _unconverged(task, {name: fit.unconverged for name, fit in fitted.items()})
    carried = cross_transferred(
        bench.probe,
        fitted[bench.reference].by_fold,
        bench.models[bench.reference][clips],
        labels,
        {name: values[clips] for name, values in bench.moved.items()},
        table,
        seed=bench.seed,
    )
    return result, _task_scores(probed, carried, test, subject_index, bench, aurocs), notes


def _task_scores(
    probed: Mapping[str, Floats],
    carried: Mapping[str, Floats],
    test: Bools,
    subject_index: NDArray[np.intp],
    bench: _Bench,
    aurocs: BootstrapAurocs,
) -> TaskScores:
    moved = bootstrap_aurocs(carried, test, subject_index, bench.subject_weights) if carried else None
    return TaskScores(probed, test, subject_index, aurocs, moved)


def _result(
    task: Task,
    bench: _Bench,
    inside: NDArray[np.intp],
    outside: NDArray[np.intp],
    drawn: Floats,
    scores: tuple[Score, ...],
) -> TaskResult:
    train, test = (_counts(task.labels[side], bench.subjects[side]) for side in (inside, outside))
    return TaskResult(task.name, task.column, task.positive, train, test, int(np.isnan(drawn[0]).sum()), scores)


def _unconverged(task: Task, counts: Mapping[str, int]) -> list[str]:
    return [
        f"{task.name}, {name}: {count} fits stopped before they converged" for name, count in counts.items() if count
    ]


def _counts(labels: NDArray[np.bool_], subjects: NDArray[np.str_]) -> Counts:
    return Counts(int(labels.sum()), int((~labels).sum()), len(set(subjects[labels])), len(set(subjects[~labels])))


def _checked(models: Mapping[str, NDArray[Any]], *, n: int, reference: str) -> dict[str, Floats]:
    """Return the embeddings as float64.

    Raises InputError or UsageError if they cannot be probed.
    """
    if reference not in models:
        raise UsageError(f"reference is {reference!r}", f"use one of {', '.join(models)}")
    if PERMUTED in models:
        raise UsageError(f"a model is called {PERMUTED!r}", "this name is reserved for the baseline; use another")
    arrays = {}
    for name, values in models.items():
        if values.ndim != 2 or len(values) != n or values.shape[1] == 0:
            raise InputError(
                f"embeddings of {name!r} have shape {list(values.shape)}", f"expected [{n}, dim], one row per clip"
            )
        arrays[name] = np.asarray(values, dtype=np.float64)
        broken = int((~np.isfinite(arrays[name]).all(axis=1)).sum())
        if broken:
            raise InputError(
                f"embeddings of {name!r} hold NaN or infinity for {broken} of {n} clips",
                "a model that returns them can't be measured",
            )
    return arrays
