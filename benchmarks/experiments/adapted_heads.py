"""Heads of the teacher's embeddings, adapted to a student without labels, beside heads fitted to it with labels.

    hearlite study adapted-heads DATA --teacher T --model FILE --run RUN --probe forest --probe mlp --out OUT

For each task and kind of probe, a classifier is fitted to the teacher's embeddings of DATA's training subjects. It is
adapted to each file as `hearlite adapt-head` does, by the records of the file's run and without a label, and scores the
embeddings that the file has of test subjects. Beside it stands the same kind of probe, fitted to the file's embeddings
with labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from hearlite.benchmarks.probes.classifiers import fit_classifier, fitted_pipeline
from hearlite.benchmarks.probes.embeddings import TEACHER, make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.report.format import auroc_text, difference_text
from hearlite.benchmarks.schema.results import CLASSIFIERS
from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import BootstrapAurocs, bootstrap_aurocs, mean_over_tasks, scored
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    EmbeddedDataset,
    StudyOptions,
    dataset_facts,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.tasks.binary import Task
from hearlite.errors import UsageError
from hearlite.export.adapted_head import HeadAdapter
from hearlite.export.foreign_head import read_head
from hearlite.progress import progress
from hearlite.run import Run, open_run
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-adapted-heads/1"
_ADAPTED, _OWN = "adapted", "own"


@dataclass(frozen=True)
class AdaptedHead:
    """One kind of probe on one file, mean over tasks."""

    probe: str  # one of CLASSIFIERS
    model: str
    teacher: Estimate  # AUROC of the teacher's probe on the teacher's embeddings
    own: Estimate  # of a probe that was fitted to the file's embeddings, with labels
    adapted: Estimate  # of the teacher's probe, adapted to the file without labels
    difference: Estimate  # adapted less own, paired


@dataclass(frozen=True)
class AdaptedHeadResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    tasks: tuple[str, ...]
    rows: tuple[AdaptedHead, ...]


def adapt_all(
    found: EmbeddedDataset,
    tasks: Sequence[Task],
    runs: Mapping[str, tuple[Path, Run]],
    *,
    probes: Sequence[str],
    seed: int,
    samples: int = SAMPLES,
) -> tuple[AdaptedHead, ...]:
    """Return each kind of probe on each file.

    Parameters
    ----------
    found
        The embedded dataset.
    tasks
        Over its clips.
    runs
        File and run by the name of the model.
    probes
        Kinds, of CLASSIFIERS.
    seed
        Of folds, probes and bootstrap.
    samples
        Bootstrap replicates.
    """
    people, owners = np.unique(found.subjects[found.tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("adapted heads", total=len(probes) * len(tasks)) as advance:
        for number, probe in enumerate(probes):
            by_task = []
            for done, task in enumerate(tasks):
                scores = _scores(found, task, runs, probe=probe, seed=seed)
                side = task.labelled & found.tested
                by_task.append(bootstrap_aurocs(scores, task.labels[side], owners[task.labelled[found.tested]], draws))
                advance(number * len(tasks) + done + 1)
            rows += [_row(mean_over_tasks(by_task), probe, model) for model in runs]
    return tuple(rows)


def _scores(
    found: EmbeddedDataset, task: Task, runs: Mapping[str, tuple[Path, Run]], *, probe: str, seed: int
) -> dict[str, Floats]:
    """Return the scores of a task's test clips: by the teacher, and by each file's own and adapted heads."""
    side, train = task.labelled & found.tested, task.labelled & ~found.tested
    labels, teacher = task.labels[train], found.vectors[TEACHER]
    folds = fold_table(labels, found.subjects[train], seed=seed)
    fitted = fit_classifier(probe, teacher[train], labels, teacher[side], folds=folds, seed=seed)
    scores = {TEACHER: fitted.scores}
    head = read_head(fitted_pipeline(probe, fitted.chosen, teacher[train], labels, seed=seed))
    for model, (path, run) in runs.items():
        vectors = found.vectors[model]
        adapted = HeadAdapter(head, run, seed=seed)(path.read_bytes())
        scores[f"{model} {_ADAPTED}"] = vectors[side] @ adapted.weights[0] + adapted.bias[0]
        own = fit_classifier(probe, vectors[train], labels, vectors[side], folds=folds, seed=seed)
        scores[f"{model} {_OWN}"] = own.scores
    return scores


def _row(aurocs: BootstrapAurocs, probe: str, model: str) -> AdaptedHead:
    own, adapted = f"{model} {_OWN}", f"{model} {_ADAPTED}"
    by_name = {item.model: item for item in scored(aurocs, reference=own, margin=AUROC_MARGIN)}
    return AdaptedHead(
        probe,
        model,
        teacher=by_name[TEACHER].auroc,
        own=by_name[own].auroc,
        adapted=by_name[adapted].auroc,
        difference=by_name[adapted].difference,
    )


def table(rows: Sequence[AdaptedHead]) -> str:
    """Render Markdown: a row for each kind of probe and file."""
    lines = [
        "| probe | file | on the teacher | fitted to the file, with labels | adapted to it, without | difference |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.probe} | {row.model} | {auroc_text(row.teacher)} | {auroc_text(row.own)} | {auroc_text(row.adapted)} |"
        f" {difference_text(row.difference)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n\nMean AUROC over tasks, 95 % intervals over test subjects.\n"


@study_command(labels=True)
@click.option(
    "--run",
    "runs",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Run of each --model, in order.",
)
@click.option(
    "--probe",
    "probes",
    type=click.Choice(CLASSIFIERS),
    multiple=True,
    default=("logistic", "forest", "mlp"),
    show_default=True,
    help="Kind of head; may be repeated.",
)
def command(options: StudyOptions, runs: tuple[Path, ...], probes: tuple[str, ...]) -> None:
    """Adapt heads of the teacher's embeddings to files without labels, and compare with heads fitted with labels."""
    if len(runs) != len(options.models):
        raise UsageError(f"{len(options.models)} files and {len(runs)} runs", "name the --run of each --model")
    found = options.embed()
    tasks, _ = make_tasks(found.clips, options.label_columns, positives=found.dataset.positives)
    by_name = {
        manifest.name: (path, open_run(run))
        for manifest, path, run in zip(found.models.manifests, options.models, runs, strict=True)
    }
    results = AdaptedHeadResults(
        **vars(provenance(SCHEMA, found.models, seed=options.seed)),
        dataset=dataset_facts(found.dataset, framing=options.framing),
        tasks=tuple(task.name for task in tasks),
        rows=adapt_all(found, tasks, by_name, probes=probes, seed=options.seed),
    )
    write_study(options.out, results, table(results.rows))
