"""What happens to a probe that was fitted to clean clips when the test clips reach the models changed: teacher and students side by side.

    python -m hearlite.benchmarks.robustness DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out robustness

Every probe is fitted once, on the clean clips of train and val, as `hearlite bench` fits it; only test clips are changed (benchmarks/perturb.py).
What a model gave is kept below --out, so a run that was killed goes on with the next model.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.bench import TEACHER, require_unheard
from hearlite.benchmarks.latency import device
from hearlite.benchmarks.perturb import chosen
from hearlite.benchmarks.robustness_plot import write_plot
from hearlite.benchmarks.robustness_scores import Design, design, score
from hearlite.benchmarks.robustness_table import table
from hearlite.benchmarks.robustness_verdicts import SAMPLES, summarize
from hearlite.benchmarks.study import run_module
from hearlite.bundle import Manifest, open_bundle
from hearlite.dataset import DEFAULT_LABELS, FRAMINGS, Dataset, load_dataset
from hearlite.embedder import Embedder
from hearlite.errors import UsageError
from hearlite.files import write_bytes, write_json
from hearlite.spec import to_dict
from hearlite.teacher import open_teacher

SCHEMA = "hearlite-robustness/1"
DEFAULT_MARGIN = 0.01  # AUROC that a student may lose beyond the teacher; judgement, set before any run


def robustness(plan: Design, *, embedders: Mapping[str, Embedder], margin: float, out: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Score every model, the teacher first, and write `out`/results.json, table.md and robustness.svg; returns the results."""
    scored = {name: score(plan, embedder=embedder, folder=out / "scores") for name, embedder in embedders.items()}
    found = summarize(scored, plan, reference=TEACHER, margin=margin)
    results = {"schema": SCHEMA, **about, "seed": plan.seed, "samples": SAMPLES, "margin": margin, **found}
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    write_plot(results, out / "robustness.svg")
    return results


def open_models(paths: Sequence[Path], dataset: Dataset) -> dict[str, tuple[Embedder, Manifest]]:
    """The exported files by name. Raises InputError for one that has heard test subjects, UsageError for two of one name."""
    opened: dict[str, tuple[Embedder, Manifest]] = {}
    for path in paths:
        embedder, manifest = open_bundle(path)
        if manifest.name in opened:
            raise UsageError(f"two models have the name {manifest.name}", "study runs of one size by two calls")
        require_unheard(manifest, dataset)
        opened[manifest.name] = embedder, manifest
    return opened


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--teacher", required=True, help="As for 'hearlite bench'; it must embed clips that it has not seen.")
@click.option("--model", "models", type=click.Path(path_type=Path), multiple=True, required=True, help="An exported .tflite; may be repeated.")
@click.option("--label", "label_columns", multiple=True, default=DEFAULT_LABELS, show_default=True, help="May be repeated.")
@click.option("--only", multiple=True, help="Name or kind of a condition; may be repeated. Default: all.")
@click.option("--margin", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), default=DEFAULT_MARGIN, show_default=True)
@click.option("--framing", type=click.Choice(FRAMINGS), default="context", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of folds and bootstrap.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
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
    """Change DATA's test clips in known ways and see what probes fitted to clean clips still find; writes results, a table and a plot."""
    conditions = chosen(only)
    dataset = load_dataset(data, label_columns=label_columns, framing=framing)
    opened = open_models(models, dataset)
    of_teacher = open_teacher(teacher)
    if of_teacher.info.kind == "embeddings":
        raise UsageError(f"teacher is {teacher!r}, which only knows the clips that it was made of", "name the model itself: changed clips are new")
    plan, unused = design(dataset, label_columns=label_columns, conditions=conditions, seed=seed)
    about = {
        "command": shlex.join(["python", "-m", "hearlite.benchmarks.robustness", *sys.argv[1:]]),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": device(),
        "versions": {name: version(name) for name in ("hearlite", "numpy", "scikit-learn", "ai-edge-litert")},
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "labels_sha256": dataset.labels_sha256,
            "synthetic": dataset.synthetic,
            "framing": framing,
            **unused,
        },
        "teacher": to_dict(of_teacher.info),
        "models": [{"name": name, "sha256": item.tflite_sha256, "precision": item.precision} for name, (_, item) in opened.items()],
    }
    embedders: dict[str, Embedder] = {TEACHER: of_teacher, **{name: embedder for name, (embedder, _) in opened.items()}}
    results = robustness(plan, embedders=embedders, margin=margin, out=out, about=about)
    click.echo(table(results), nl=False)


if __name__ == "__main__":
    run_module(command)
