"""Does what a probe learned on one dataset hold on another? Every dataset trains a probe, and all of them test it: a
matrix for each model.

    python -m hearlite.benchmarks.studies.cross_dataset DATA_A DATA_B --teacher hear:DIR --model FILE.tflite \\
        --label COLUMN --positive VALUE --out transfer

On the diagonal are the figures of `hearlite bench`. Beside it microphones, rooms and people change, and what was
learned of those no longer helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.report.format import auroc_text
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Owners, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, scored
from hearlite.benchmarks.stats.estimates import Score
from hearlite.benchmarks.studies.inputs import (
    EmbeddedDataset,
    dataset_facts,
    embedded_by,
    framing_option,
    models_option,
    open_models,
    out_option,
    provenance,
    seed_option,
    teacher_option,
    write_study,
)
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS
from hearlite.data.dataset import load_dataset
from hearlite.data.manifest import DEFAULT_LABELS
from hearlite.errors import InputError, UsageError
from hearlite.serialization import to_dict
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-transfer/1"
SAMPLES = 2_000  # bootstrap replicates


@dataclass(frozen=True, eq=False)
class Side:
    """The labelled training or test clips of a dataset."""

    vectors: Mapping[str, Floats]  # by model, [n, dim]
    labels: Bools  # [n]
    subject_index: Owners  # [n], number of the clip's subject on this side


def sides(found: EmbeddedDataset, *, column: str, positive: str) -> tuple[Side, Side]:
    """(train, test) of a dataset. Raises InputError when a class has fewer than MIN_SUBJECTS subjects on a side."""
    values, subjects, both = found.column(column), found.subjects, []
    for name, inside in (("train", ~found.tested), ("test", found.tested)):
        clips = np.flatnonzero(inside & (values != ""))
        labels = np.asarray(values[clips] == positive, dtype=bool)
        few = min(len(set(subjects[clips][side].tolist())) for side in (labels, ~labels))
        if few < MIN_SUBJECTS:
            hint = f"its values of {column!r}: {', '.join(sorted(set(values) - {''})) or 'none'}"
            raise InputError(f"{found.dataset.name}: a class of {few} subjects in {name}, needs {MIN_SUBJECTS}", hint)
        vectors = {model: rows[clips] for model, rows in found.vectors.items()}
        both.append(Side(vectors, labels, np.unique(subjects[clips], return_inverse=True)[1]))
    return both[0], both[1]


def matrix(
    datasets: Mapping[str, tuple[Side, Side]], *, reference: str, seed: int, samples: int = SAMPLES
) -> list[dict[str, Any]]:
    """For every dataset that trains and every one that tests: each model's AUROC, and its difference to `reference`,
    over the tested subjects.
    """
    rows = []
    for source, (train, _) in datasets.items():
        folds = fold_table(train.labels, train.subject_index, seed=seed)
        lengths = np.cumsum([len(test.labels) for _, test in datasets.values()])[:-1]
        by_model = {}
        for model, vectors in train.vectors.items():
            everything = np.concatenate([test.vectors[model] for _, test in datasets.values()])
            by_model[model] = np.split(fit_probe(vectors, train.labels, everything, folds=folds).scores, lengths)
        for index, (target, (_, test)) in enumerate(datasets.items()):
            draws = bootstrap_weights(int(test.subject_index.max()) + 1, samples=samples, seed=seed)
            scores = {model: parts[index] for model, parts in by_model.items()}
            found = scored(
                bootstrap_aurocs(scores, test.labels, test.subject_index, draws),
                reference=reference,
                margin=AUROC_MARGIN,
            )
            rows.append({"train": source, "test": target, "models": [_row(score) for score in found]})
    return rows


def _row(score: Score) -> dict[str, Any]:
    return {
        "model": score.model,
        "auroc": to_dict(score.auroc),
        "difference": to_dict(score.difference),
        "text": auroc_text(score.auroc),
    }


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
@teacher_option
@models_option
@click.option("--label", "column", default=DEFAULT_LABELS[0], show_default=True, help="Column that all datasets have.")
@click.option("--positive", required=True, help="Value of that column that is told from all others.")
@framing_option
@seed_option
@out_option
def command(
    data: Sequence[Path],
    teacher: str,
    models: tuple[Path, ...],
    column: str,
    positive: str,
    framing: str,
    seed: int,
    out: Path,
) -> None:
    """Train probes on each of DATA and test them on all; writes results and a table."""
    loaded = [load_dataset(path, label_columns=(column,), framing=framing) for path in data]
    if len({dataset.name for dataset in loaded}) < max(2, len(loaded)):
        raise UsageError(
            f"datasets: {', '.join(dataset.name for dataset in loaded)}", "name two or more, each with its own name"
        )
    opened = open_models(teacher, models, loaded)
    datasets = {
        dataset.name: sides(embedded_by(dataset, opened), column=column, positive=positive) for dataset in loaded
    }
    results = {
        **provenance(SCHEMA, opened, seed=seed, samples=SAMPLES),
        "datasets": [dataset_facts(item, framing=framing) for item in loaded],
        "task": f"{column}={positive}",
        "rows": matrix(datasets, reference=TEACHER, seed=seed),
    }
    write_study(out, results, table(results))
