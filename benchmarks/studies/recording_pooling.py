"""Compare ways to pool the clips of a record with a single clip of it.

    hearlite study recording-pooling DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out pooling

A record is a row of the manifest: a whole recording, as `hearlite import sprsound-records` lists them, or a long event;
its label is predicted, by teacher and students. Clips are pooled by mean, maximum and learned attention. Every method
is fitted to training subjects alone. AUROCs are of records, one score each, so all methods answer the same question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.probes.multiple_instance import (
    ClipBags,
    fit_attention,
    group_clips,
    group_recordings,
    recording_lengths,
)
from hearlite.benchmarks.report.dot_plot import write_dots
from hearlite.benchmarks.report.format import auroc_text, difference_text, tasks_text
from hearlite.benchmarks.schema.baselines import DURATION
from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Owners, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import (
    BootstrapAurocs,
    bootstrap_aurocs,
    mean_over_tasks,
    paired_means,
    scored,
)
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    EmbeddedDataset,
    StudyOptions,
    dataset_facts,
    model_dots,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, LeftOut, Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-pooling/1"
SINGLE = "single clip"
METHODS = {
    SINGLE: "one clip of the record, drawn at random, by a probe of all training clips; mean over the draws",
    "first clip": "a probe of the first clips alone",
    "mean embedding": "a probe of each record's mean embedding",
    "max embedding": "a probe of each record's largest value in each dimension",
    "attention": "a probe of a weighted mean embedding, its weights learned on training subjects",
    "mean score": "the mean of the single clip probe's scores of all clips",
    "max score": "the largest of these scores: one positive clip is enough",
}
_PICKS = 20  # random clips of each record; their mean settles to 0.002 of AUROC


@dataclass(frozen=True)
class PooledFigures:
    """The AUROC of one model by one method, and paired differences, null without a counterpart."""

    model: str
    auroc: Estimate
    to_single_clip: Estimate  # less that of SINGLE by the same model
    to_teacher: Estimate  # less the teacher's by the same method


@dataclass(frozen=True)
class MethodRow:
    """Every model by one method."""

    method: str  # one of METHODS
    models: tuple[PooledFigures, ...]


@dataclass(frozen=True)
class RecordCounts:
    """The labelled records of a task on one side of the split."""

    records: int
    positive: int
    subjects: int


@dataclass(frozen=True)
class PooledTask:
    """One task by every method."""

    name: str
    train: RecordCounts
    test: RecordCounts
    attention_penalty: dict[str, float | None]  # by model; null is the plain mean, which attention chose
    rows: tuple[MethodRow, ...]


@dataclass(frozen=True)
class Pooled:
    """Means over tasks, and the tasks."""

    mean: tuple[MethodRow, ...]
    tasks: tuple[PooledTask, ...]


@dataclass(frozen=True)
class RecordFacts:
    """The records of a dataset, labelled or not."""

    train: int
    test: int
    test_subjects: int
    median_clips: float  # of a record
    most_clips: int
    of_one_clip: int  # records


@dataclass(frozen=True)
class PoolingMeasurements(Pooled):
    """The measured part of results.json."""

    records: RecordFacts
    left_out: tuple[LeftOut, ...]  # tasks


@dataclass(frozen=True)
class PoolingResults(PoolingMeasurements, StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    methods: dict[str, str]  # METHODS


def scores_by_method(
    train: ClipBags, labels: Bools, test: ClipBags, *, folds: Owners, seed: int
) -> tuple[dict[str, Floats], float]:
    """Score the test records by every method of METHODS.

    Parameters
    ----------
    train, test
        Embeddings of the clips by record.
    labels, folds
        Of the training records, [training records]; a clip is in its record's fold.
    seed
        Of the random clips.

    Returns
    -------
    tuple[dict[str, Floats], float]
        Scores by method, [records], of SINGLE [picks, records]; and the penalty that attention chose.
    """
    by_clip = fit_probe(train.values, labels[train.subject_index], test.values, folds=folds[train.subject_index]).scores
    picks = np.random.default_rng(seed).integers(test.counts, size=(_PICKS, len(test.counts)))
    mean = fit_probe(train.mean(), labels, test.mean(), folds=folds)
    attention = fit_attention(train, labels, test, folds=folds, mean=mean)
    scores = {
        SINGLE: by_clip[test.starts + picks],
        "first clip": fit_probe(train.values[train.starts], labels, test.values[test.starts], folds=folds).scores,
        "mean embedding": mean.scores,
        "max embedding": fit_probe(train.maxima(train.values), labels, test.maxima(test.values), folds=folds).scores,
        "attention": attention.scores,
        "mean score": test.sums(by_clip) / test.counts,
        "max score": test.maxima(by_clip),
    }
    return scores, attention.chosen["attention penalty"]


def pooling(
    models: Mapping[str, ClipBags],
    tasks: Sequence[Task],
    subjects: Any,
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> Pooled:
    """Return the AUROC of every method and model, on every task and as means over them.

    The same random clips are drawn for all models.

    Parameters
    ----------
    models
        Embeddings of the clips by record, the teacher's first.
    tasks
        Over the records.
    subjects, tested
        Subject of each record, and the mask of test records, [records].
    seed
        Of folds, draws and bootstrap.
    samples
        Bootstrap replicates.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    aurocs, penalties = [], []
    with progress("pooling", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            inside, outside = (np.flatnonzero(task.labelled & side) for side in (~tested, tested))
            labels = task.labels[inside]
            folds = fold_table(labels, subjects[inside], seed=seed)
            scores, chosen = {}, {}
            for model, bags in models.items():
                by_method, chosen[model] = scores_by_method(
                    bags.take(inside), labels, bags.take(outside), folds=folds, seed=seed
                )
                scores.update({_key(model, method): values for method, values in by_method.items()})
            penalties.append({model: None if math.isinf(penalty) else penalty for model, penalty in chosen.items()})
            aurocs.append(bootstrap_aurocs(scores, task.labels[outside], subject_index[task.labelled[tested]], draws))
            advance(done)
    by_task = tuple(
        PooledTask(
            name=task.name,
            train=_counts(task, subjects, task.labelled & ~tested),
            test=_counts(task, subjects, task.labelled & tested),
            attention_penalty=penalty,
            rows=_rows(item, list(models)),
        )
        for task, item, penalty in zip(tasks, aurocs, penalties, strict=True)
    )
    return Pooled(_rows(mean_over_tasks(aurocs), list(models)), by_task)


def _key(model: str, method: str) -> str:
    return f"{model}: {method}"


def _rows(aurocs: BootstrapAurocs, models: Sequence[str]) -> tuple[MethodRow, ...]:
    reference, *others = models
    estimates = {
        item.model: item.auroc for item in scored(aurocs, reference=_key(reference, SINGLE), margin=AUROC_MARGIN)
    }
    pairs = [(_key(model, method), _key(model, SINGLE)) for model in models for method in METHODS if method != SINGLE]
    pairs += [(_key(model, method), _key(reference, method)) for model in others for method in METHODS]
    differences = {(pair.model, pair.to): pair.difference for pair in paired_means(pairs, aurocs, margin=AUROC_MARGIN)}
    rows = []
    for method in METHODS:
        cells = []
        for model in models:
            key = _key(model, method)
            to_single, to_reference = (
                differences.get((key, to), Estimate()) for to in (_key(model, SINGLE), _key(reference, method))
            )
            cells.append(PooledFigures(model, estimates[key], to_single, to_reference))
        rows.append(MethodRow(method, tuple(cells)))
    return tuple(rows)


def _counts(task: Task, subjects: Any, side: Bools) -> RecordCounts:
    return RecordCounts(int(side.sum()), int(task.labels[side].sum()), len(set(subjects[side].tolist())))


def study(
    found: EmbeddedDataset, label_columns: Sequence[str], *, seed: int, samples: int = SAMPLES
) -> PoolingMeasurements:
    """Group a dataset's clips by record and measure every method.

    Parameters
    ----------
    found
        The embedded dataset.
    label_columns
        Columns that tasks are made of.
    seed
        Of folds, draws and bootstrap.
    samples
        Bootstrap replicates.

    Raises
    ------
    InputError
        No record has two clips, or there is no task.
    """
    records, of_clip = group_recordings(found.clips)
    counts = np.bincount(of_clip)
    if counts.max() < 2:
        raise InputError(
            f"{found.dataset.name}: all {len(records)} records are one clip each",
            "pooling needs whole recordings or longer events",
        )
    tasks, left_out = make_tasks(records, label_columns, positives=found.dataset.positives)
    subjects = np.asarray([item.subject for item in records])
    tested = np.asarray([item.split == TEST_SPLIT for item in records], dtype=np.bool_)
    facts = RecordFacts(
        train=int((~tested).sum()),
        test=int(tested.sum()),
        test_subjects=len(set(subjects[tested].tolist())),
        median_clips=float(np.median(counts)),
        most_clips=int(counts.max()),
        of_one_clip=int((counts == 1).sum()),
    )
    # Duration is a baseline because a longer record has more chances of a high score.
    vectors = {**found.vectors, DURATION: recording_lengths(records, of_clip)[of_clip]}
    models = {name: group_clips(values, of_clip) for name, values in vectors.items()}
    pooled = pooling(models, tasks, subjects, tested, seed=seed, samples=samples)
    return PoolingMeasurements(pooled.mean, pooled.tasks, facts, tuple(left_out))


@study_command(labels=True)
def command(options: StudyOptions) -> None:
    """Pool the clips of DATA's records, against single clips; writes results, a table and a plot."""
    embedded = options.embed()
    results = PoolingResults(
        **vars(provenance(SCHEMA, embedded.models, seed=options.seed)),
        dataset=dataset_facts(embedded.dataset, framing=options.framing),
        methods=METHODS,
        **vars(study(embedded, options.label_columns, seed=options.seed)),
    )
    write_plot(results, options.out / "pooling.svg")
    write_study(options.out, results, table(results))


def table(results: PoolingResults) -> str:
    """Render Markdown: a line for each method, of the mean over tasks."""
    models = [item.model for item in results.mean[0].models]
    head = [
        f"{models[0]} | less its single clip",
        *(f"{name} | less its single clip | less the teacher's" for name in models[1:]),
    ]
    lines = [f"| pooling | {' | '.join(head)} |", f"|---|{'---|' * (3 * len(models) - 1)}"]
    for row in results.mean:
        cells = []
        for number, item in enumerate(row.models):
            cells += [auroc_text(item.auroc), difference_text(item.to_single_clip)]
            cells += [difference_text(item.to_teacher)] if number else []
        lines.append(f"| {row.method} | {' | '.join(cells)} |")
    facts = results.records
    chosen = [penalty for task in results.tasks for penalty in task.attention_penalty.values()]
    caption = (
        f"Mean AUROC of records over {tasks_text(results.tasks)}: {facts.test} in test, of {facts.test_subjects}"
        f" subjects, with {facts.median_clips:g} clips in the median and {facts.most_clips} at most. 95 % intervals"
        f" over test subjects; differences are paired. Attention kept the plain mean in {chosen.count(None)} of"
        f" {len(chosen)} probes."
    )
    return "\n".join([*lines, "", caption, "", *(f"- {name}: {text}" for name, text in results.methods.items())]) + "\n"


def write_plot(results: PoolingResults, path: Path) -> None:
    """Draw the mean AUROC by method, models side by side, as .svg or .png by the ending of `path`."""
    series = [
        model_dots(item.model, [row.models[number].auroc for row in results.mean], results.models)
        for number, item in enumerate(results.mean[0].models)
    ]
    facts = results.records
    title = f"{results.dataset.name}: {facts.test} test records of {facts.test_subjects} subjects"
    groups = [(row.method, "one clip" if row.method.endswith(" clip") else "all clips") for row in results.mean]
    write_dots(series, groups, path, xlabel="mean AUROC over tasks, by record, 95 % interval", title=title, line=0.5)
