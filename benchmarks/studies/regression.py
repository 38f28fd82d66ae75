"""Numbers instead of classes, such as FEV1/FVC: mean absolute error of probes of teacher and students beside that of
predicting the mean.

    python -m hearlite.benchmarks.studies.regression DATA --target fev1_fvc --teacher hear:DIR --model FILE.tflite --out
    regression

DATA is any manifest with a column of numbers. `python -m hearlite.benchmarks.datasets.synthetic_spirometry FOLDER`
writes a synthetic one to try it on. A row of the manifest is one sample: the mean embedding of its clips. Whatever
doesn't beat the mean of the training subjects has heard nothing of the number.
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
from hearlite.benchmarks.probes.regressors import REGRESSORS, fit_regressor, regression_figures, weighted_regression
from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.benchmarks.stats.bootstrap import Floats, Owners, bootstrap_weights, difference_interval
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    EmbeddedDataset,
    data_argument,
    dataset_facts,
    embed_data,
    framing_option,
    models_option,
    out_option,
    provenance,
    seed_option,
    teacher_option,
    write_study,
)
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, LeftOut
from hearlite.benchmarks.tasks.regression import RegressionTask, regression_tasks
from hearlite.errors import InputError
from hearlite.files import replacing
from hearlite.progress import progress
from hearlite.serialization import to_dict

SCHEMA = "hearlite-regression/1"
SAMPLES = 2_000  # bootstrap replicates
MEAN, *PROBES = REGRESSORS


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of the manifest: mean embeddings by model, the teacher's first, and whose they are."""

    vectors: dict[str, Floats]  # [n, dim]
    subjects: Any  # [n]
    tested: Any  # [n]


def regression(
    task: RegressionTask, samples: Samples, *, probes: Sequence[str], seed: int, replicates: int = SAMPLES
) -> dict[str, Any]:
    """One target: every model by every probe of `probes`, after the mean: MAE, R2 and correlation on test subjects, and
    paired differences of MAE.
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
    drawn = dict(
        zip(
            predicted,
            weighted_regression(np.stack(list(predicted.values())), truth, subject_index, draws).mae,
            strict=True,
        )
    )
    rows = []
    for (model, probe), scores in predicted.items():
        figures = regression_figures(scores, truth, subject_index, draws)
        others = {"to_mean": ("", MEAN), "to_teacher": (TEACHER, probe)}
        gaps = {
            name: _gap(predicted, drawn, (model, probe), other, truth, subject_index) for name, other in others.items()
        }
        rows.append(
            {"model": model, "probe": probe, **to_dict(figures), **{name: to_dict(gap) for name, gap in gaps.items()}}
        )
    counts = {
        "train_subjects": len(set(samples.subjects[inside].tolist())),
        "test_subjects": len(people),
        "train": len(inside),
        "test": len(outside),
    }
    shown = {f"{model} {probe}": scores.tolist() for (model, probe), scores in predicted.items() if probe == probes[0]}
    return {"name": task.name, **counts, "truth": truth.tolist(), "predicted": shown, "rows": rows}


def _gap(
    predicted: Mapping[Any, Floats],
    drawn: Mapping[Any, Floats],
    one: Any,
    other: Any,
    truth: Floats,
    subject_index: Owners,
) -> Estimate:
    """MAE of one less that of the other, paired; null of itself and where the other was not measured."""
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
    """Raises InputError when no column can be a target, saying why."""
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


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a table for each target, a line for each model and probe, the mean first."""
    parts = []
    for target in results["targets"]:
        lines = [
            (
                f"**{target['name']}**: {target['test']} test samples of {target['test_subjects']} subjects,"
                f" {target['train_subjects']} to train on."
            ),
            "",
        ]
        lines += [
            "| model | probe | MAE | R2 | correlation | MAE less the mean's | MAE less the teacher's |",
            f"|{7 * '---|'}",
        ]
        for row in target["rows"]:
            cells = [_text(row[name]) for name in ("mae", "r2", "pearson", "to_mean", "to_teacher")]
            named = [row["model"] or "mean of training samples", row["probe"] if row["model"] else ""]
            lines.append(f"| {' | '.join([*named, *cells])} |")
        parts.append("\n".join(lines))
    said = (
        "MAE is in the column's own unit; smaller is better. 95 % intervals over test subjects; differences are paired."
    )
    synthetic = (
        " Synthetic recordings: these figures say nothing about people." if results["dataset"]["synthetic"] else ""
    )
    return "\n\n".join(parts) + f"\n\n{said}{synthetic}\n"


def _text(estimate: Mapping[str, float | None]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    return "–" if value is None or low is None or high is None else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Predicted over measured, a row of panels for each target; a model that knows nothing draws a flat cloud."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    targets = results["targets"]
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both", "axes.spines.left": True}):
        columns = max(len(target["predicted"]) for target in targets)
        figure = Figure(figsize=(3.2 * columns, 3.3 * len(targets)), layout="constrained", facecolor="white")
        for target, panels in zip(targets, figure.subplots(len(targets), columns, squeeze=False), strict=True):
            ends = [min(target["truth"]), max(target["truth"])]
            for number, (axes, (name, values)) in enumerate(zip(panels, target["predicted"].items(), strict=True)):
                axes.plot(ends, ends, color="0.7", linewidth=1.0)
                axes.plot(
                    target["truth"],
                    values,
                    linestyle="",
                    marker="o",
                    markersize=3,
                    alpha=0.6,
                    color=COLOURS[number % len(COLOURS)],
                )
                axes.set(title=name, xlabel=f"{target['name']}, measured", ylabel="predicted")
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None})


@click.command()
@data_argument
@teacher_option
@models_option
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
@framing_option
@seed_option
@out_option
def command(
    data: Path,
    teacher: str,
    models: tuple[Path, ...],
    targets: tuple[str, ...],
    probes: tuple[str, ...],
    framing: str,
    seed: int,
    out: Path,
) -> None:
    """Predict a column of numbers of DATA from embeddings, beside the mean; writes results, a table and a plot."""
    found = embed_data(data, teacher=teacher, models=models, label_columns=targets, framing=framing)
    samples, tasks, left_out = collect_samples(found, targets)
    measured = []
    with progress("regression", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            measured.append(regression(task, samples, probes=probes, seed=seed))
            advance(done)
    results = {
        **provenance(SCHEMA, found.models, seed=seed, samples=SAMPLES),
        "dataset": dataset_facts(found.dataset, framing=framing),
        "left_out": [to_dict(item) for item in left_out],
        "targets": measured,
    }
    write_plot(results, out / "regression.svg")
    write_study(out, results, table(results))
