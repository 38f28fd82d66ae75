"""Compare self-training on unlabelled subjects with a probe of the labelled ones alone.

    hearlite study self-training DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out semi_supervised

The question is whether recordings without labels help where labels are few, for teacher and students. A part of the
training subjects keeps its labels, the others lose theirs. In self-training a probe labels their clips, in rounds: of
each class only its surest share, in the proportion that the labelled clips have (class-balanced self-training, Zou et
al. 2018, arXiv:1810.07911: by confidence alone the frequent class would take everything). A subject is labelled or
unlabelled, never both; test subjects are neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe, regularisation_path
from hearlite.benchmarks.report.dot_plot import write_dots
from hearlite.benchmarks.report.format import auroc_text, difference_text, tasks_text
from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, mean_over_tasks, paired_means, scored
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    StudyOptions,
    dataset_facts,
    model_dots,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.studies.label_efficiency import draw_subset
from hearlite.benchmarks.tasks.binary import LeftOut, Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-semi-supervised/2"
SHARES = (0.25, 0.1, 0.05)  # of the training subjects that keep their labels
DRAWS = 5  # of each share
# Of the unlabelled clips that are taken. Zou et al. go from 20 to 50 %; in simulated clusters that was worse than no
# self-training: the half that a linear probe is surest of lies far along its own direction, right or wrong, and teaches
# it nothing.
ROUNDS = (0.2, 0.5, 0.8)
SUPERVISED, SELF_TRAINED = "supervised", "self-trained"


@dataclass(frozen=True)
class SelfTrainingGain:
    """Mean AUROC over tasks of one model with and without self-training."""

    model: str
    supervised: Estimate
    self_trained: Estimate
    gain: Estimate  # self-trained less supervised, paired
    pseudo_labels_right: float | None  # share of the clips that the last round took; None where it took none


@dataclass(frozen=True)
class SelfTrainingRow:
    """Every model, with one share of the training subjects labelled."""

    share: float
    subjects: float  # labelled ones, mean over parts
    parts: int  # of all tasks
    parts_left_out: int  # no two folds with both classes
    models: tuple[SelfTrainingGain, ...]


@dataclass(frozen=True)
class SelfTrainingResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    tasks: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    draws: int  # of each share
    rounds: tuple[float, ...]  # ROUNDS
    test_subjects: int
    rows: tuple[SelfTrainingRow, ...]


@dataclass(frozen=True)
class _Part:
    """One usable draw of one task."""

    scores: dict[str, Floats]  # of the test clips, by _key(model, method)
    right: dict[str, float]  # share of right pseudo-labels by model
    subjects: int  # labelled


def self_train(
    labelled: Floats, labels: Bools, unlabelled: Floats, test: Floats, *, c: float
) -> tuple[Floats, Bools, Bools]:
    """Train a probe on labelled clips and, in rounds, on its own labels of unlabelled ones.

    Every round labels anew all clips that it takes, so an early error can be taken back.

    Parameters
    ----------
    labelled, unlabelled, test
        Embeddings, [n, dim] each.
    labels
        Of the labelled clips.
    c
        Inverse regularisation that the labelled subjects chose; pseudo-labels choose nothing.

    Returns
    -------
    tuple[Floats, Bools, Bools]
        Test scores [n_test]; and of the last round, the pseudo-labels of the unlabelled clips and the mask of those
        that were taken, [n_unlabelled] each.
    """
    positives = float(labels.mean()) * len(unlabelled)
    train, targets, both = labelled, labels, np.concatenate([unlabelled, test])
    for share in (*ROUNDS, None):
        ((scores, _),) = regularisation_path(train, targets, both, grid=(c,))
        if share is None:
            break
        order = np.argsort(scores[: len(unlabelled)], kind="stable")
        pseudo, taken = np.zeros((2, len(unlabelled)), dtype=bool)
        most = order[len(order) - round(share * positives) :]
        taken[most] = taken[order[: round(share * (len(unlabelled) - positives))]] = True
        pseudo[most] = True
        train, targets = np.concatenate([labelled, unlabelled[taken]]), np.concatenate([labels, pseudo[taken]])
    return scores[len(unlabelled) :], pseudo, taken


def semi_supervised(
    models: Mapping[str, Floats],
    tasks: Sequence[Task],
    subjects: Any,
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> tuple[SelfTrainingRow, ...]:
    """Return the mean AUROC over tasks, supervised and self-trained, for each share of SHARES.

    An AUROC is the mean over DRAWS parts; a part of a task without both classes in two folds is left out and counted.

    Parameters
    ----------
    models
        Embeddings [n, dim] by model, the teacher's first.
    tasks
        Over the same n clips.
    subjects, tested
        Subject of each clip, and the mask of test clips, [n].
    seed
        Of folds, draws and bootstrap.
    samples
        Bootstrap replicates.

    Raises
    ------
    InputError
        No part of a task can be probed.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("self-training", total=len(SHARES)) as advance:
        for done, share in enumerate(SHARES, start=1):
            by_task = [_parts(models, task, subjects, tested, share=share, seed=seed) for task in tasks]
            of_tasks = []
            for task, parts in zip(tasks, by_task, strict=True):
                scores = {key: np.stack([part.scores[key] for part in parts]) for key in parts[0].scores}
                of_tasks.append(
                    bootstrap_aurocs(
                        scores, task.labels[task.labelled & tested], subject_index[task.labelled[tested]], draws
                    )
                )
            means = mean_over_tasks(of_tasks)
            aurocs = {
                item.model: item.auroc
                for item in scored(means, reference=_key(next(iter(models)), SUPERVISED), margin=AUROC_MARGIN)
            }
            gains = paired_means(
                [(_key(model, SELF_TRAINED), _key(model, SUPERVISED)) for model in models], means, margin=AUROC_MARGIN
            )
            every = [part for parts in by_task for part in parts]
            of_models = tuple(
                SelfTrainingGain(
                    model=model,
                    supervised=aurocs[_key(model, SUPERVISED)],
                    self_trained=aurocs[_key(model, SELF_TRAINED)],
                    gain=gain.difference,
                    pseudo_labels_right=_mean([part.right[model] for part in every if model in part.right]),
                )
                for model, gain in zip(models, gains, strict=True)
            )
            rows.append(
                SelfTrainingRow(
                    share=share,
                    subjects=float(np.mean([part.subjects for part in every])),
                    parts=len(every),
                    parts_left_out=DRAWS * len(tasks) - len(every),
                    models=of_models,
                )
            )
            advance(done)
    return tuple(rows)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _parts(
    models: Mapping[str, Floats], task: Task, subjects: Any, tested: Bools, *, share: float, seed: int
) -> list[_Part]:
    """Fit the probes of each usable draw of one task."""
    inside, outside = np.flatnonzero(task.labelled & ~tested), np.flatnonzero(task.labelled & tested)
    parts = []
    for draw in range(DRAWS):
        drawn = draw_subset(task.labels[inside], subjects[inside], share=share, draw=draw, seed=seed)
        known, hidden = inside[drawn], inside[~drawn]
        labels, folds = task.labels[known], fold_table(task.labels[known], subjects[known], seed=seed)
        scores: dict[str, Floats] = {}
        right: dict[str, float] = {}
        try:
            for model, values in models.items():
                alone = fit_probe(values[known], labels, values[outside], folds=folds)
                trained, pseudo, taken = self_train(
                    values[known], labels, values[hidden], values[outside], c=alone.chosen["C"]
                )
                scores |= {_key(model, SUPERVISED): alone.scores, _key(model, SELF_TRAINED): trained}
                if taken.any():
                    right[model] = float(np.mean(pseudo[taken] == task.labels[hidden][taken]))
        except InputError:  # no fold has both classes on both sides
            continue
        parts.append(_Part(scores, right, len(set(subjects[known].tolist()))))
    if not parts:
        raise InputError(
            f"{task.name}: {100 * share:g} % of the training subjects can't be probed", "label more training subjects"
        )
    return parts


def _key(model: str, method: str) -> str:
    return f"{model}: {method}"


def table(results: SelfTrainingResults) -> str:
    """Render Markdown: a line for each share, the methods and the gain of each model."""
    models = [item.model for item in results.rows[0].models]
    head = " | ".join(f"{name}, {SUPERVISED} | {SELF_TRAINED} | gain" for name in models)
    lines = [f"| labelled training subjects | {head} |", f"|---|{'---|' * (3 * len(models))}"]
    for row in results.rows:
        cells = []
        for item in row.models:
            cells += [auroc_text(item.supervised), auroc_text(item.self_trained), difference_text(item.gain)]
        lines.append(f"| {100 * row.share:.0f} % ({row.subjects:.0f}) | {' | '.join(cells)} |")
    caption = (
        f"Mean AUROC over {tasks_text(results.tasks)} on all {results.test_subjects} test subjects, and over"
        f" {results.draws} draws of labelled subjects. 95 % intervals over test subjects; gains are paired: same"
        " subjects and C."
    )
    return "\n".join([*lines, "", caption]) + "\n"


def write_plot(results: SelfTrainingResults, path: Path) -> None:
    """Draw the gain by share of labelled subjects, as .svg or .png by the ending of `path`."""
    series = [
        model_dots(item.model, [row.models[number].gain for row in results.rows], results.models)
        for number, item in enumerate(results.rows[0].models)
    ]
    write_dots(
        series,
        [(f"{100 * row.share:.0f} % ({row.subjects:.0f})", "") for row in results.rows],
        path,
        xlabel="mean AUROC of self-training less that of the labelled subjects alone",
        title=f"{results.dataset.name}: labelled training subjects; {results.test_subjects} test subjects",
        line=0.0,
    )


@study_command(labels=True)
def command(options: StudyOptions) -> None:
    """Hide most of DATA's training labels and self-train; writes results, a table and a plot."""
    embedded = options.embed()
    tasks, left_out = make_tasks(embedded.clips, options.label_columns, positives=embedded.dataset.positives)
    results = SelfTrainingResults(
        **vars(provenance(SCHEMA, embedded.models, seed=options.seed)),
        dataset=dataset_facts(embedded.dataset, framing=options.framing),
        tasks=tuple(task.name for task in tasks),
        left_out=tuple(left_out),
        draws=DRAWS,
        rounds=ROUNDS,
        test_subjects=len(set(embedded.subjects[embedded.tested].tolist())),
        rows=semi_supervised(embedded.vectors, tasks, embedded.subjects, embedded.tested, seed=options.seed),
    )
    write_plot(results, options.out / "semi_supervised.svg")
    write_study(options.out, results, table(results))
