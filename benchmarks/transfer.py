"""Does what a probe learned on one dataset hold on another? Every dataset trains a probe, and all of them test it: a matrix for each model.

    python -m hearlite.benchmarks.transfer DATA_A DATA_B --teacher hear:DIR --model FILE.tflite --label COLUMN --positive VALUE --out transfer

On the diagonal are the figures of `hearlite bench`. Beside it microphones, rooms and people change, and what was learned of those no longer helps.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.bench import TEACHER, embed_clips, require_unheard
from hearlite.benchmarks.bootstrap import Bools, Floats, Owners, subject_multiplicities
from hearlite.benchmarks.comparisons import scored
from hearlite.benchmarks.folds import fold_table
from hearlite.benchmarks.formats import auroc_text
from hearlite.benchmarks.logistic import fit_probe
from hearlite.benchmarks.paper_protocol import replicated
from hearlite.benchmarks.schema import Score
from hearlite.benchmarks.study import run_module
from hearlite.benchmarks.tasks import MIN_SUBJECTS, TEST_SPLIT
from hearlite.bundle import open_bundle
from hearlite.dataset import DEFAULT_LABELS, FRAMINGS, Dataset, load_dataset
from hearlite.embedder import Embedder
from hearlite.errors import InputError, UsageError
from hearlite.files import write_bytes, write_json
from hearlite.spec import AUROC_MARGIN, to_dict
from hearlite.teacher import open_teacher

SCHEMA = "hearlite-transfer/1"
SAMPLES = 2_000  # bootstrap replicates


@dataclass(frozen=True, eq=False)
class Side:
    """The labelled training or test clips of a dataset."""

    vectors: Mapping[str, Floats]  # by model, [n, dim]
    labels: Bools  # [n]
    owners: Owners  # [n], number of the clip's subject on this side


def sides(dataset: Dataset, embedders: Mapping[str, Embedder], *, column: str, positive: str) -> tuple[Side, Side]:
    """(train, test) of a dataset. Raises InputError when a class has fewer than MIN_SUBJECTS subjects on a side."""
    embedded = embed_clips(dataset, embedders)
    values = np.asarray([clip.label(column) for clip in embedded.clips], dtype=object)
    tested = np.asarray([clip.split == TEST_SPLIT for clip in embedded.clips])
    subjects = np.asarray([clip.subject for clip in embedded.clips])
    found = []
    for name, inside in (("train", ~tested), ("test", tested)):
        clips = np.flatnonzero(inside & (values != ""))
        labels = np.asarray(values[clips] == positive, dtype=bool)
        few = min(len(set(subjects[clips][side].tolist())) for side in (labels, ~labels))
        if few < MIN_SUBJECTS:
            hint = f"its values of {column!r}: {', '.join(sorted(set(values) - {''})) or 'none'}"
            raise InputError(f"{dataset.name}: a class of {few} subjects in {name}, needs {MIN_SUBJECTS}", hint)
        vectors = {model: rows[clips].astype(np.float64) for model, rows in embedded.vectors.items()}
        found.append(Side(vectors, labels, np.unique(subjects[clips], return_inverse=True)[1]))
    return found[0], found[1]


def matrix(datasets: Mapping[str, tuple[Side, Side]], *, reference: str, seed: int, samples: int = SAMPLES) -> list[dict[str, Any]]:
    """For every dataset that trains and every one that tests: each model's AUROC, and its difference to `reference`, over the tested subjects."""
    rows = []
    for source, (train, _) in datasets.items():
        folds = fold_table(train.labels, train.owners, seed=seed)
        lengths = np.cumsum([len(test.labels) for _, test in datasets.values()])[:-1]
        by_model = {}
        for model, vectors in train.vectors.items():
            everything = np.concatenate([test.vectors[model] for _, test in datasets.values()])
            by_model[model] = np.split(fit_probe(vectors, train.labels, everything, folds=folds).scores, lengths)
        for index, (target, (_, test)) in enumerate(datasets.items()):
            draws = subject_multiplicities(int(test.owners.max()) + 1, samples=samples, seed=seed)
            scores = {model: parts[index] for model, parts in by_model.items()}
            found = scored(replicated(scores, test.labels, test.owners, draws), reference=reference, margin=AUROC_MARGIN)
            rows.append({"train": source, "test": target, "models": [_row(score) for score in found]})
    return rows


def _row(score: Score) -> dict[str, Any]:
    return {"model": score.model, "auroc": to_dict(score.auroc), "difference": to_dict(score.difference), "text": auroc_text(score.auroc)}


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a matrix for each model, trained on by tested on."""
    rows = results["rows"]
    names = list(dict.fromkeys(row["test"] for row in rows))
    parts = []
    for number, model in enumerate(item["model"] for item in rows[0]["models"]):
        cells = {(row["train"], row["test"]): row["models"][number]["text"] for row in rows}
        lines = [f"**{model}**\n", f"| trained on, tested on | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        lines += [f"| {source} | {' | '.join(cells[source, target] for target in names)} |" for source in names]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n\nAUROC, 95 % intervals over the tested subjects.\n"


@click.command()
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--teacher", required=True, help="As for 'hearlite bench'.")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="An exported .tflite.")
@click.option("--label", "column", default=DEFAULT_LABELS[0], show_default=True, help="Column that all datasets have.")
@click.option("--positive", required=True, help="Value of that column that is told from all others.")
@click.option("--framing", type=click.Choice(FRAMINGS), default="context", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of folds and bootstrap.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json and table.md.")
def command(data: Sequence[Path], teacher: str, model: Path, column: str, positive: str, framing: str, seed: int, out: Path) -> None:
    """Train probes on each of DATA and test them on all; writes results and a table."""
    loaded = [load_dataset(path, label_columns=(column,), framing=framing) for path in data]
    if len({dataset.name for dataset in loaded}) < max(2, len(loaded)):
        raise UsageError(f"datasets: {', '.join(dataset.name for dataset in loaded)}", "name two or more, each with its own name")
    student, manifest = open_bundle(model)
    for dataset in loaded:
        require_unheard(manifest, dataset)
    embedders: dict[str, Embedder] = {TEACHER: open_teacher(teacher), manifest.name: student}
    datasets = {dataset.name: sides(dataset, embedders, column=column, positive=positive) for dataset in loaded}
    results = {
        "schema": SCHEMA,
        "command": shlex.join(["python", "-m", "hearlite.benchmarks.transfer", *sys.argv[1:]]),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "datasets": [{"name": item.name, "sha256": item.sha256, "labels_sha256": item.labels_sha256, "framing": framing} for item in loaded],
        "teacher": to_dict(embedders[TEACHER].info),
        "model": {"name": manifest.name, "sha256": manifest.tflite_sha256},
        "task": f"{column}={positive}",
        "samples": SAMPLES,
        "seed": seed,
        "rows": matrix(datasets, reference=TEACHER, seed=seed),
    }
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)


if __name__ == "__main__":
    run_module(command)
