"""Linear probes on frozen embeddings: the same folds, test clips and bootstrap draws for every model, so that their differences mean something.

Intervals say how the figures would vary with other test subjects; the probe itself is fitted once, on the training subjects.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.auroc import auroc, excess_ratio, weighted_aurocs
from hearlite.benchmarks.bootstrap import Floats, interval, subject_multiplicities
from hearlite.benchmarks.delong import delong_interval
from hearlite.benchmarks.folds import fold_table
from hearlite.benchmarks.logistic import MAX_ITER, SELECTION_TOL, Fitted, fit_probe, regularisation_path
from hearlite.benchmarks.schema import ROC_POINTS, Counts, Curve, Estimate, ProbeResults, Score, TaskResult
from hearlite.benchmarks.sweep import roc_curve
from hearlite.benchmarks.tasks import MIN_SUBJECTS, TEST_SPLIT, Task, check_splits
from hearlite.errors import InputError, UsageError
from hearlite.progress import progress

PERMUTED = "permuted labels"  # name of the baseline whose training labels are shuffled: it must come out near 0.5
_PERMUTATIONS = 5  # one alone wanders: a random direction of a wide embedding may point along the labels


def run_probes(
    models: Mapping[str, NDArray[Any]],
    tasks: Sequence[Task],
    subjects: Sequence[str],
    splits: Sequence[str],
    *,
    reference: str,
    seed: int,
    samples: int = 2000,
) -> ProbeResults:
    """Every model on every task: AUROC on the test subjects, its 95 % interval, and what it keeps of the reference.

    Parameters
    ----------
    models : embeddings [n, dim] by name; a duration baseline is one more model, of one column.
    tasks : what `binary_tasks` returned; subjects, splits : [n].
    reference : the model that differences and excess ratios are to: the teacher. A probe of its embeddings with permuted training labels is added.
    seed : of folds, permutations and bootstrap. samples : bootstrap replicates, each ONE draw of subjects for all models and tasks.

    Raises InputError for embeddings that are not finite or not [n, dim], for a subject on two sides and for no task; UsageError for an unknown
    reference.
    """
    check_splits(subjects, splits)
    if not tasks:
        raise InputError("no task to probe", f"label at least {MIN_SUBJECTS} subjects of each class in train and in test")
    arrays = _checked(models, n=len(subjects), reference=reference)
    bench = _bench(arrays, np.asarray(subjects, dtype=str), np.asarray(splits, dtype=str), reference=reference, seed=seed, samples=samples)
    results: list[TaskResult] = []
    notes: list[str] = []
    total = np.zeros((len(arrays) + 1, samples))  # of the AUROCs over tasks, by model and replicate
    with progress("probes", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            result, drawn, task_notes = _probe_task(task, bench)
            results.append(result)
            notes += task_notes
            total += drawn
            advance(done)
    means = {score.model: _mean([task.scores[row].auroc.value for task in results]) for row, score in enumerate(results[0].scores)}
    dropped = int(np.isnan(total[0]).sum())
    if dropped:
        notes.append(f"{dropped} of {samples} bootstrap replicates lack a class in some task and are left out of the mean over tasks")
    return ProbeResults(tuple(results), _compare(means, total / len(tasks), reference=reference), reference, samples, seed, tuple(notes))


@dataclass(frozen=True)
class _Bench:
    """What every task shares."""

    models: dict[str, Floats]
    subjects: NDArray[np.str_]  # [n]
    tested: NDArray[np.bool_]  # [n]
    owners: NDArray[np.intp]  # [n], column in `multiplicities` of a test clip's subject; -1 in training
    multiplicities: NDArray[np.uint16]  # [samples, test subjects]
    reference: str
    seed: int


def _bench(models: dict[str, Floats], subjects: NDArray[np.str_], splits: NDArray[np.str_], *, reference: str, seed: int, samples: int) -> _Bench:
    tested = splits == TEST_SPLIT
    owners = np.full(len(subjects), -1, dtype=np.intp)
    people, owners[tested] = np.unique(subjects[tested], return_inverse=True)
    return _Bench(models, subjects, tested, owners, subject_multiplicities(len(people), samples=samples, seed=seed), reference, seed)


def _probe_task(task: Task, bench: _Bench) -> tuple[TaskResult, Floats, list[str]]:
    """One task: its result, the bootstrap replicates [models + 1, samples], the permuted baseline last, and notes."""
    inside, outside = np.flatnonzero(task.labelled & ~bench.tested), np.flatnonzero(task.labelled & bench.tested)
    train, test = task.labels[inside], task.labels[outside]
    folds = fold_table(train, bench.subjects[inside], seed=bench.seed)
    fitted = {name: fit_probe(values[inside], train, values[outside], folds=folds) for name, values in bench.models.items()}
    c = fitted[bench.reference].chosen["C"]
    permuted = _permuted_scores(bench.models[bench.reference], train, inside=inside, outside=outside, c=c, seed=[bench.seed, _crc(task.name)])
    observed = {name: auroc(fit.scores, test) for name, fit in fitted.items()} | {PERMUTED: _mean([auroc(scores, test) for scores in permuted])}
    drawn = weighted_aurocs(np.stack([*(fit.scores for fit in fitted.values()), *permuted]), test, bench.owners[outside], bench.multiplicities)
    drawn = np.concatenate([drawn[: len(fitted)], drawn[len(fitted) :].mean(axis=0, keepdims=True)])
    compared = _compare(observed, drawn, reference=bench.reference)
    scores = tuple(_with_probe(score, fitted[score.model], test) if score.model in fitted else score for score in compared)
    counts = [_counts(task.labels[side], bench.subjects[side]) for side in (inside, outside)]
    result = TaskResult(task.name, task.column, task.positive, counts[0], counts[1], int(np.isnan(drawn[0]).sum()), scores)
    notes = [f"{task.name}, {name}: {fit.unconverged} fits stopped after {MAX_ITER} iterations" for name, fit in fitted.items() if fit.unconverged]
    return result, drawn, notes


def _permuted_scores(
    values: Floats, labels: NDArray[np.bool_], *, inside: NDArray[np.intp], outside: NDArray[np.intp], c: float, seed: list[int]
) -> list[Floats]:
    """Test scores of probes whose training labels are permuted over clips, at the C of the real one."""
    rng = np.random.default_rng(seed)
    return [
        regularisation_path(values[inside], rng.permutation(labels), values[outside], grid=(c,), tol=SELECTION_TOL)[0][0]
        for _ in range(_PERMUTATIONS)
    ]


def _compare(observed: Mapping[str, float], drawn: Floats, *, reference: str) -> tuple[Score, ...]:
    """AUROC, difference and excess ratio of every model, with intervals from the paired replicates [models, samples], in the order of `observed`."""
    row = list(observed).index(reference)
    at_chance = (interval(drawn[row]) or (0.0,))[0] <= 0.5  # then a ratio to it means nothing
    scores = []
    for replicates, (name, value) in zip(drawn, observed.items(), strict=True):
        if name == reference:
            scores.append(Score(name, _estimate(value, replicates), difference=Estimate(), excess_ratio=Estimate()))
            continue
        difference = _estimate(value - observed[reference], replicates - drawn[row])
        ratio = Estimate()
        if not at_chance:
            ratio = _estimate(float(excess_ratio(np.array(value), np.array(observed[reference]))), excess_ratio(replicates, drawn[row]))
        scores.append(Score(name, _estimate(value, replicates), difference=difference, excess_ratio=ratio))
    return tuple(scores)


def _with_probe(score: Score, fit: Fitted, test: NDArray[np.bool_]) -> Score:
    """The score with what only a single task has: the chosen C, DeLong's interval and the curve."""
    curve = Curve(*(tuple(np.round(rates, 4).tolist()) for rates in roc_curve(fit.scores, test, points=ROC_POINTS)))
    independent = Estimate(score.auroc.value, *delong_interval(fit.scores, test))
    return dataclasses.replace(score, c=fit.c, roc=curve, delong=independent)


def _estimate(value: float, replicates: Floats) -> Estimate:
    low, high = interval(replicates) or (None, None)
    return Estimate(float(value), low, high)


def _counts(labels: NDArray[np.bool_], subjects: NDArray[np.str_]) -> Counts:
    return Counts(int(labels.sum()), int((~labels).sum()), len(set(subjects[labels])), len(set(subjects[~labels])))


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean(np.asarray(values, dtype=np.float64)))


def _crc(name: str) -> int:
    return zlib.crc32(name.encode(errors="surrogatepass"))


def _checked(models: Mapping[str, NDArray[Any]], *, n: int, reference: str) -> dict[str, Floats]:
    """The embeddings as float64. Raises InputError or UsageError for what can't be probed."""
    if reference not in models:
        raise UsageError(f"reference is {reference!r}", f"use one of {', '.join(models)}")
    if PERMUTED in models:
        raise UsageError(f"a model is called {PERMUTED!r}", "that name is the baseline's; use another")
    arrays = {}
    for name, values in models.items():
        if values.ndim != 2 or len(values) != n or values.shape[1] == 0:
            raise InputError(f"embeddings of {name!r} have shape {list(values.shape)}", f"expected [{n}, dim], one row per clip")
        arrays[name] = np.asarray(values, dtype=np.float64)
        broken = int((~np.isfinite(arrays[name]).all(axis=1)).sum())
        if broken:
            raise InputError(f"embeddings of {name!r} hold NaN or infinity for {broken} of {n} clips", "a model that returns them can't be measured")
    return arrays
