r"""Train a probe on each dataset and test it on all of them: a matrix of AUROCs for each model.

    hearlite study cross-dataset DATA_A DATA_B --teacher hear:DIR --model FILE.tflite \
        --label COLUMN --positive VALUE --out transfer

The diagonal holds the figures of `hearlite bench`. Off the diagonal, microphones, rooms and people differ between
training and test, so a probe that relied on them does worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.report.format import auroc_text
from hearlite.benchmarks.schema.study import ModelAuroc, StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Owners, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, scored
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    EmbeddedDataset,
    StudyOptions,
    dataset_facts,
    embedded_by,
    open_models,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS
from hearlite.errors import InputError, UsageError
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-transfer/1"


@dataclass(frozen=True)
class TransferRow:
    """Every model, trained on one dataset and tested on one."""

    train: str  # name of a dataset
    test: str
    models: tuple[ModelAuroc, ...]


@dataclass(frozen=True)
class TransferResults(StudyProvenance):
    """The whole of results.json."""

    datasets: tuple[StudyDataset, ...]
    task: str  # COLUMN=VALUE
    rows: tuple[TransferRow, ...]


@dataclass(frozen=True, eq=False)
class Side:
    """The labelled training or test clips of a dataset."""

    vectors: Mapping[str, Floats]  # by model, [n, dim]
    labels: Bools  # [n]
    subject_index: Owners  # [n], number of the clip's subject on this side


def sides(found: EmbeddedDataset, *, column: str, positive: str) -> tuple[Side, Side]:
    """Return the training and the test side of a dataset.

    Parameters
    ----------
    found
        The embedded dataset.
    column, positive
        Label column, and its value that is the positive class.

    Raises
    ------
    InputError
        A class has fewer than MIN_SUBJECTS subjects on a side.
    """
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
) -> tuple[TransferRow, ...]:
    """Return the AUROC of each model for every pair of a training and a test dataset.

    Parameters
    ----------
    datasets
        Training and test side by name.
    reference
        The model that differences are to.
    seed
        Of folds and bootstrap.
    samples
        Bootstrap replicates; subjects of the tested dataset are drawn.
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
            aurocs = bootstrap_aurocs(scores, test.labels, test.subject_index, draws)
            models = scored(aurocs, reference=reference, margin=AUROC_MARGIN)
            rows.append(
                TransferRow(
                    source, target, tuple(ModelAuroc(item.model, item.auroc, item.difference) for item in models)
                )
            )
    return tuple(rows)


def table(rows: Sequence[TransferRow]) -> str:
    """Render Markdown: a matrix for each model, training datasets down and test datasets across."""
    names = list(dict.fromkeys(row.test for row in rows))
    parts = []
    for number, model in enumerate(item.model for item in rows[0].models):
        cells = {(row.train, row.test): auroc_text(row.models[number].auroc) for row in rows}
        lines = [f"**{model}**\n", f"| trained on, tested on | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        lines += [f"| {source} | {' | '.join(cells[source, target] for target in names)} |" for source in names]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n\nAUROC, 95 % intervals over the tested subjects.\n"


@study_command(several=True)
@click.option("--label", "column", default=DEFAULT_LABELS[0], show_default=True, help="Column that all datasets have.")
@click.option("--positive", required=True, help="Value of that column that is the positive class.")
def command(options: StudyOptions, column: str, positive: str) -> None:
    """Train probes on each of DATA and test them on all; writes results and a table."""
    loaded = options.load((column,))
    if len({dataset.name for dataset in loaded}) < max(2, len(loaded)):
        raise UsageError(
            f"datasets: {', '.join(dataset.name for dataset in loaded)}", "name two or more, each with its own name"
        )
    opened = open_models(options.teacher, options.models, loaded)
    datasets = {
        dataset.name: sides(embedded_by(dataset, opened), column=column, positive=positive) for dataset in loaded
    }
    results = TransferResults(
        **vars(provenance(SCHEMA, opened, seed=options.seed)),
        datasets=tuple(dataset_facts(item, framing=options.framing) for item in loaded),
        task=f"{column}={positive}",
        rows=matrix(datasets, reference=TEACHER, seed=options.seed),
    )
    write_study(options.out, results, table(results.rows))
