"""Test probes of clean clips on test clips that are changed in known ways.

    hearlite study robustness DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out robustness

Students stand beside the teacher. Every probe is fitted once, on the clean clips of train and val, as `hearlite bench`
fits it; only test clips are changed (perturbations.py). The scores of each model are kept below --out, so a run that
was killed goes on with the next model.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import click

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.studies.inputs import (
    StudyOptions,
    dataset_facts,
    open_models,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.studies.robustness.perturbations import chosen
from hearlite.benchmarks.studies.robustness.report import table, write_plot
from hearlite.benchmarks.studies.robustness.results import RobustnessAbout, RobustnessDataset, RobustnessResults
from hearlite.benchmarks.studies.robustness.scores import Design, design, score
from hearlite.benchmarks.studies.robustness.verdicts import summarize
from hearlite.embedders.base import Embedder
from hearlite.errors import UsageError

SCHEMA = "hearlite-robustness/1"
# AUROC that a student may lose beyond the teacher, set before any run. Heuristic, no published source.
DEFAULT_MARGIN = 0.01


def robustness(
    plan: Design, *, embedders: Mapping[str, Embedder], margin: float, out: Path, about: RobustnessAbout
) -> RobustnessResults:
    """Score every model and write `out`/results.json, table.md and robustness.svg.

    Parameters
    ----------
    plan
        The clips, tasks and conditions.
    embedders
        Models by name, the teacher first, named TEACHER.
    margin
        AUROC that a student may lose beyond the teacher.
    out
        Folder for the results; scores are kept in `out`/scores.
    about
        Provenance of the results.
    """
    scored = {name: score(plan, embedder=embedder, folder=out / "scores") for name, embedder in embedders.items()}
    summary = summarize(scored, plan, reference=TEACHER, margin=margin)
    results = RobustnessResults(**vars(about), **vars(summary), margin=margin)
    write_study(out, results, table(results))
    write_plot(results, out / "robustness.svg")
    return results


@study_command(labels=True)
@click.option("--only", multiple=True, help="Name or kind of a condition; may be repeated. Default: all.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=DEFAULT_MARGIN,
    show_default=True,
    help="AUROC that a student may lose beyond the teacher.",
)
def command(options: StudyOptions, only: tuple[str, ...], margin: float) -> None:
    """Test probes of clean clips on changed test clips of DATA; writes results, a table and a plot.

    The teacher must be a model: stored embeddings are of unchanged clips.
    """
    conditions = chosen(only)
    (dataset,) = options.load(options.label_columns)
    opened = open_models(options.teacher, options.models, (dataset,))
    if opened.embedders[TEACHER].info.kind == "embeddings":
        raise UsageError(
            f"teacher is {options.teacher!r}, which only has the embeddings of unchanged clips",
            "name the model itself, which can embed changed ones",
        )
    plan, unusable = design(dataset, label_columns=options.label_columns, conditions=conditions, seed=options.seed)
    about = RobustnessAbout(
        **vars(provenance(SCHEMA, opened, seed=options.seed)),
        machine=device(),
        versions={name: version(name) for name in ("hearlite", "numpy", "scikit-learn", "ai-edge-litert")},
        dataset=RobustnessDataset(**vars(dataset_facts(dataset, framing=options.framing)), **vars(unusable)),
    )
    robustness(plan, embedders=opened.embedders, margin=margin, out=options.out, about=about)
