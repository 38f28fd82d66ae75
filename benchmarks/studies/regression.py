"""Predict a column of numbers, such as FEV1/FVC, and compare the errors with that of the mean.

    hearlite study regression DATA --target fev1_fvc --teacher hear:DIR --model FILE.tflite --out regression

DATA is any manifest with a column of numbers. `hearlite study synthetic-spirometry FOLDER` writes a synthetic one to
try the study on. A row of the manifest is one sample: the mean embedding of its clips. The error is the mean absolute
error (MAE); a model whose error is not below that of predicting the training subjects' mean has found nothing about the
number in the sound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.probes.folds import regression_fold_table
from hearlite.benchmarks.probes.multiple_instance import group_clips, group_recordings
from hearlite.benchmarks.probes.regressors import (
    REGRESSORS,
    RegressionFigures,
    fit_regressor,
    regression_figures,
    weighted_regression,
)
from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.benchmarks.report.format import NOTHING, difference_text
from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Floats, Owners, bootstrap_weights, difference_interval
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
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, LeftOut
from hearlite.benchmarks.tasks.regression import RegressionTask, regression_tasks
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.writing import replacing

SCHEMA = "hearlite-regression/1"
MEAN, *PROBES = REGRESSORS


@dataclass(frozen=True)
class RegressionRow(RegressionFigures):
    """One model by one probe; differences of MAE are paired, and null without a counterpart."""

    model: str  # "" for the mean
    probe: str  # one of REGRESSORS
    to_mean: Estimate  # MAE less that of the mean
    to_teacher: Estimate  # MAE less the teacher's by the same probe


@dataclass(frozen=True)
class TargetResult:
    """One column of numbers. Counts are of samples and subjects."""

    name: str
    train_subjects: int
    test_subjects: int
    train: int
    test: int
    truth: tuple[float, ...]  # of the test samples, in the column's own unit
    predicted: dict[str, list[float]]  # by "MODEL PROBE", of the first probe alone, for the plot
    rows: tuple[RegressionRow, ...]


@dataclass(frozen=True)
class RegressionResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    left_out: tuple[LeftOut, ...]  # columns
    targets: tuple[TargetResult, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of the manifest: their mean embeddings and subjects."""

    vectors: dict[str, Floats]  # by model, the teacher's first, [n, dim]
    subjects: Any  # [n]
    tested: Any  # [n]


def regression(
    task: RegressionTask, samples: Samples, *, probes: Sequence[str], seed: int, replicates: int = SAMPLES
) -> TargetResult:
    """Fit every model and probe to one target, the mean first.

    Parameters
    ----------
    task
        The target, [n].
    samples
        The embeddings, [n, dim].
    probes
        Some of PROBES.
    seed
        Of folds, probes and bootstrap.
    replicates
        Bootstrap replicates.

    Returns
    -------
    TargetResult
        MAE, R2 and correlation on test subjects, and paired differences of MAE.
    """
    inside, outside = (np.flatnonzero(task.labelled & side) for side in (~samples.tested, samples.tested))
    targets, truth = task.values[inside], task.values[outside]
    people, subject_index = np.unique(samples.subjects[outside], return_inverse=True)
    folds = regression_fold_table(targets, samples.subjects[inside], seed=seed)
    predicted: dict[tuple[str, str], Floats] = {}
    for model, values in samples.vectors.items():
        for probe in probes if predicted else (MEAN, *probes):
            fit = fit_regressor(probe, values[inside], targets, values[outside], folds=folds, seed=seed)
            predicted["" if probe == MEAN else model, probe] = fit.scores
    draws = bootstrap_weights(len(people), samples=replicates, seed=seed)
    replicated = weighted_regression(np.stack(list(predicted.values())), truth, subject_index, draws)
    drawn = dict(zip(predicted, replicated.mae, strict=True))
    rows = []
    for (model, probe), scores in predicted.items():
        to_mean, to_teacher = (
            _gap(predicted, drawn, (model, probe), other, truth, subject_index)
            for other in (("", MEAN), (TEACHER, probe))
        )
        figures = regression_figures(scores, truth, subject_index, draws)
        rows.append(RegressionRow(**vars(figures), model=model, probe=probe, to_mean=to_mean, to_teacher=to_teacher))
    return TargetResult(
        name=task.name,
        train_subjects=len(set(samples.subjects[inside].tolist())),
        test_subjects=len(people),
        train=len(inside),
        test=len(outside),
        truth=tuple(truth.tolist()),
        predicted={
            f"{model} {probe}": scores.tolist() for (model, probe), scores in predicted.items() if probe == probes[0]
        },
        rows=tuple(rows),
    )


def _gap(
    predicted: Mapping[Any, Floats],
    drawn: Mapping[Any, Floats],
    one: Any,
    other: Any,
    truth: Floats,
    subject_index: Owners,
) -> Estimate:
    """Return the MAE of one less that of the other, paired; null if the same or not measured."""
    if one == other or other not in predicted or (one[0] == "" and other[0]):
        return Estimate()
    gap = float(np.mean(np.abs(predicted[one] - truth)) - np.mean(np.abs(predicted[other] - truth)))
    bounds = difference_interval(
        gap, drawn[one] - drawn[other], degrees_of_freedom=float(max(1, len(np.unique(subject_index)) - 1))
    )
    return Estimate(gap, *(bounds or (None, None)))


def collect_samples(
    found: EmbeddedDataset, targets: Sequence[str]
) -> tuple[Samples, list[RegressionTask], list[LeftOut]]:
    """Return the samples of a dataset, its targets, and the columns that cannot be one.

    Raises
    ------
    InputError
        No column can be a target; the message says why.
    """
    records, of_clip = group_recordings(found.clips)
    subjects, splits = [item.subject for item in records], [item.split for item in records]
    sets = [
        regression_tasks([item.label(name) for item in records], column=name, subjects=subjects, splits=splits)
        for name in targets
    ]
    tasks, left_out = [task for item in sets for task in item.tasks], [out for item in sets for out in item.left_out]
    if not tasks:
        raise InputError(
            f"no target: {'; '.join(f'{item.name}: {item.reason}' for item in left_out)}",
            "name another column with --target",
        )
    vectors = {model: group_clips(values, of_clip).mean() for model, values in found.vectors.items()}
    return Samples(vectors, np.asarray(subjects), np.asarray(splits) == TEST_SPLIT), tasks, left_out


def table(targets: Sequence[TargetResult], *, synthetic: bool) -> str:
    """Render Markdown: a table for each target, a line for each model and probe, the mean first."""
    parts = []
    for target in targets:
        lines = [
            (
                f"**{target.name}**: {target.test} test samples of {target.test_subjects} subjects,"
                f" {target.train_subjects} to train on."
            ),
            "",
            "| model | probe | MAE | R2 | correlation | MAE less the mean's | MAE less the teacher's |",
            f"|{7 * '---|'}",
        ]
        for row in target.rows:
            named = [row.model or "mean of training samples", row.probe if row.model else ""]
            cells = [
                unit_text(row.mae),
                difference_text(row.r2),
                difference_text(row.pearson),
                unit_text(row.to_mean),
                unit_text(row.to_teacher),
            ]
            lines.append(f"| {' | '.join([*named, *cells])} |")
        parts.append("\n".join(lines))
    caption = (
        "MAE is in the column's own unit; smaller is better. 95 % intervals over test subjects; differences are paired."
    )
    warning = " Synthetic recordings: these figures say nothing about people." if synthetic else ""
    return "\n\n".join(parts) + f"\n\n{caption}{warning}\n"


def unit_text(estimate: Estimate) -> str:
    """Format an estimate in a column's own unit, whose scale is unknown: four significant digits."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return NOTHING
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def write_plot(targets: Sequence[TargetResult], path: Path) -> None:
    """Draw predicted over measured, a row of panels for each target; a useless model draws a flat cloud."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "axes.grid.axis": "both", "axes.spines.left": True}):
        columns = max(len(target.predicted) for target in targets)
        figure = Figure(figsize=(3.2 * columns, 3.3 * len(targets)), layout="constrained", facecolor="white")
        for target, panels in zip(targets, figure.subplots(len(targets), columns, squeeze=False), strict=True):
            ends = [min(target.truth), max(target.truth)]
            for number, (axes, (name, values)) in enumerate(zip(panels, target.predicted.items(), strict=True)):
                axes.plot(ends, ends, color="0.7", linewidth=1.0)
                axes.plot(
                    target.truth,
                    values,
                    linestyle="",
                    marker="o",
                    markersize=3,
                    alpha=0.6,
                    color=COLOURS[number % len(COLOURS)],
                )
                axes.set(title=name, xlabel=f"{target.name}, measured", ylabel="predicted")
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None})


@study_command()
@click.option("--target", "targets", multiple=True, required=True, help="Column of numbers; may be repeated.")
@click.option(
    "--probe",
    "probes",
    type=click.Choice(PROBES),
    multiple=True,
    default=PROBES[:1],
    show_default=True,
    help="May be repeated.",
)
def command(options: StudyOptions, targets: tuple[str, ...], probes: tuple[str, ...]) -> None:
    """Predict numbers of DATA from embeddings, beside the mean; writes results, a table and a plot."""
    embedded = options.embed(targets)
    samples, tasks, left_out = collect_samples(embedded, targets)
    measured = []
    with progress("regression", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            measured.append(regression(task, samples, probes=probes, seed=options.seed))
            advance(done)
    results = RegressionResults(
        **vars(provenance(SCHEMA, embedded.models, seed=options.seed)),
        dataset=dataset_facts(embedded.dataset, framing=options.framing),
        left_out=tuple(left_out),
        targets=tuple(measured),
    )
    write_plot(results.targets, options.out / "regression.svg")
    write_study(options.out, results, table(results.targets, synthetic=results.dataset.synthetic))
