"""What happens to a probe that was fitted to clean clips when the test clips reach the models changed: teacher and
students side by side.

    python -m hearlite.benchmarks.studies.robustness.study DATA --teacher hear:DIR --model FILE.tflite --label COLUMN
    --out robustness

Every probe is fitted once, on the clean clips of train and val, as `hearlite bench` fits it; only test clips are
changed (perturbations.py). What a model gave is kept below --out, so a run that was killed goes on with the next model.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.studies.inputs import (
    data_argument,
    dataset_facts,
    framing_option,
    labels_option,
    models_option,
    open_models,
    out_option,
    provenance,
    seed_option,
)
from hearlite.benchmarks.studies.robustness.perturbations import chosen
from hearlite.benchmarks.studies.robustness.report import table, write_plot
from hearlite.benchmarks.studies.robustness.scores import Design, design, score
from hearlite.benchmarks.studies.robustness.verdicts import SAMPLES, summarize
from hearlite.data.dataset import load_dataset
from hearlite.embedders.base import Embedder
from hearlite.errors import UsageError
from hearlite.files import write_bytes, write_json

SCHEMA = "hearlite-robustness/1"
DEFAULT_MARGIN = 0.01  # AUROC that a student may lose beyond the teacher; judgement, set before any run


def robustness(
    plan: Design, *, embedders: Mapping[str, Embedder], margin: float, out: Path, about: dict[str, Any]
) -> dict[str, Any]:
    """Score every model, the teacher first, and write `out`/results.json, table.md and robustness.svg; returns the
    results.
    """
    scored = {name: score(plan, embedder=embedder, folder=out / "scores") for name, embedder in embedders.items()}
    found = summarize(scored, plan, reference=TEACHER, margin=margin)
    results = {**about, "margin": margin, **found}
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    write_plot(results, out / "robustness.svg")
    return results


@click.command()
@data_argument
@click.option("--teacher", required=True, help="As for 'hearlite bench'; it must embed clips that it has not seen.")
@models_option
@labels_option
@click.option("--only", multiple=True, help="Name or kind of a condition; may be repeated. Default: all.")
@click.option(
    "--margin", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), default=DEFAULT_MARGIN, show_default=True
)
@framing_option
@seed_option
@out_option
def command(
    data: Path,
    teacher: str,
    models: tuple[Path, ...],
    label_columns: tuple[str, ...],
    only: tuple[str, ...],
    margin: float,
    framing: str,
    seed: int,
    out: Path,
) -> None:
    """Change DATA's test clips in known ways and see what probes fitted to clean clips still find; writes results, a
    table and a plot.
    """
    conditions = chosen(only)
    dataset = load_dataset(data, label_columns=label_columns, framing=framing)
    opened = open_models(teacher, models, (dataset,))
    if opened.embedders[TEACHER].info.kind == "embeddings":
        raise UsageError(
            f"teacher is {teacher!r}, which only knows the clips that it was made of",
            "name the model itself: changed clips are new",
        )
    plan, unused = design(dataset, label_columns=label_columns, conditions=conditions, seed=seed)
    about = {
        **provenance(SCHEMA, opened, seed=seed, samples=SAMPLES),
        "machine": device(),
        "versions": {name: version(name) for name in ("hearlite", "numpy", "scikit-learn", "ai-edge-litert")},
        "dataset": {**dataset_facts(dataset, framing=framing), **unused},
    }
    results = robustness(plan, embedders=opened.embedders, margin=margin, out=out, about=about)
    click.echo(table(results), nl=False)
