"""Measure the effect of each piece of the distillation recipe.

    hearlite study ablation DATA --teacher hear:DIR --list recipe --size tiny --seed 0 --seed 1 --out ablation

Every variant is trained with every seed and probed; the table has one row for each. Each run has a folder below --out;
the record cache is shared where the views are the same. Killed and run again, it goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.experiments.ablation_table import (
    AblationRow,
    Probed,
    TrainingFigures,
    mean_auroc,
    probe,
    summarize,
    table,
)
from hearlite.benchmarks.experiments.variants import Variant, load_variants, require_listed
from hearlite.benchmarks.schema.study import StudyDataset, StudyRun, study_run
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import dataset_facts
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.records import Views, write_records
from hearlite.embedders.base import Embedder, EmbedderInfo
from hearlite.embedders.open import open_teacher
from hearlite.files import read_json, write_bytes, write_json
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.names import FRAMINGS
from hearlite.run import Run
from hearlite.serialization import to_dict
from hearlite.spec import STUDENTS, TrainSpec, student_spec

SCHEMA = "hearlite-ablation/2"


@dataclass(frozen=True)
class AblationAbout(StudyRun):
    """The part of results.json that is known before anything is trained."""

    machine: str
    teacher: EmbedderInfo
    size: str  # of the students: tiny, small or base
    train: TrainSpec  # of the recipe that the variants change
    dataset: StudyDataset


@dataclass(frozen=True)
class AblationResults(AblationAbout):
    """The whole of results.json."""

    teacher_auroc: Estimate  # mean over tasks
    variants: tuple[AblationRow, ...]


def train_variant(
    sounds: Dataset, variant: Variant, *, teacher: Embedder, size: str, train: TrainSpec, seed: int, out: Path
) -> tuple[Run, TrainingFigures]:
    """Train one variant with one seed, or read its run if it is finished.

    Parameters
    ----------
    sounds
        The recordings to train on.
    variant
        Changes of the recipe.
    teacher
        The model to distill.
    size
        Of the student where the variant names none: tiny, small or base.
    train
        The recipe.
    seed
        Of the training.
    out
        For the run folder and the record cache, which variants with the same views share.

    Returns
    -------
    tuple[Run, TrainingFigures]
        The finished run, and its validation and time.
    """
    from hearlite.distill.train import distill_student

    student, spec = variant.specs(
        student_spec(variant.size or size, embedding_dim=teacher.info.dim), dataclasses.replace(train, seed=seed)
    )
    records = write_views(sounds, spec, teacher=teacher, out=out)
    folder = out / f"{variant.name}-s{seed}"
    spent = folder / "minutes.json"
    before, began = (read_json(spent)["minutes"] if spent.is_file() else 0.0), time.monotonic()
    finished = (folder / "weights.npz").is_file()
    try:
        run = distill_student(
            sounds, teacher=teacher, student=student, train=spec, folder=folder, records_folder=records
        )
    finally:
        if not finished and folder.is_dir():
            write_json(spent, {"minutes": before + (time.monotonic() - began) / 60.0})
    metrics = read_json(run.metrics)
    minutes = read_json(spent)["minutes"] if spent.is_file() else 0.0
    return run, TrainingFigures(metrics["val_random_probe_correlation"], metrics["steps"], minutes)


def write_views(sounds: Dataset, train: TrainSpec, *, teacher: Embedder, out: Path) -> Path:
    """Write the record cache of a recipe unless it is there, and return its folder, one below `out` for all views."""
    views = Views(train.views, spec=train.view)
    folder = out / f"records-{hashlib.sha256(json.dumps(to_dict(views)).encode()).hexdigest()[:8]}"
    write_records(sounds, teacher=teacher, folder=folder, views=views)
    return folder


def ablate(
    sounds: Dataset,
    labelled: Dataset,
    *,
    variants: Sequence[Variant],
    teacher: Embedder,
    size: str,
    train: TrainSpec,
    seeds: Sequence[int],
    label_columns: Sequence[str],
    out: Path,
    about: AblationAbout,
) -> list[AblationRow]:
    """Train and probe every variant and seed that is not finished yet.

    `out`/results.json and `out`/table.md are written again after every variant.

    Parameters
    ----------
    sounds
        The recordings to train on.
    labelled
        The labelled clips to probe on.
    variants
        Changes of the recipe; differences are to the first.
    teacher
        The model to distill.
    size
        Of the students: tiny, small or base.
    train
        The recipe.
    seeds
        Of the training, for every variant.
    label_columns
        Columns that tasks are made of.
    out
        For runs, record caches and results.
    about
        Provenance of the results.

    Returns
    -------
    list[AblationRow]
        One for each variant.
    """
    import tf_keras

    from hearlite.student import StudentEmbedder

    for variant in variants:  # report mistakes in the list before hours of training
        variant.specs(student_spec(variant.size or size, embedding_dim=teacher.info.dim), train)
    of_teacher = probe(labelled, embedder=teacher, label_columns=label_columns, path=out / "teacher.npz")
    teacher_auroc = mean_auroc(of_teacher)
    rows: list[AblationRow] = []
    first: list[Probed] | None = None
    for variant in variants:
        tf_keras.backend.clear_session()  # the graphs of the variants before
        runs = [
            train_variant(sounds, variant, teacher=teacher, size=size, train=train, seed=seed, out=out)
            for seed in seeds
        ]
        probed = [
            probe(
                labelled,
                embedder=StudentEmbedder(run),
                label_columns=label_columns,
                path=run.folder / f"probes-{labelled.name}.npz",
            )
            for run, _ in runs
        ]
        rows.append(summarize(variant, probed, [figures for _, figures in runs], teacher=of_teacher, first=first))
        first = first or probed
        results = AblationResults(**vars(about), teacher_auroc=teacher_auroc, variants=tuple(rows))
        write_json(out / "results.json", to_dict(results))
        write_bytes(out / "table.md", table(rows).encode())
    return rows


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--teacher", required=True, help="As for 'hearlite distill'.")
@click.option(
    "--list",
    "variants",
    default="recipe",
    show_default=True,
    help="A list in benchmarks/experiments/lists, or a .toml.",
)
@click.option(
    "--only", multiple=True, help="Name of a variant to train beside the first; may be repeated. Default: all."
)
@click.option("--size", type=click.Choice(list(STUDENTS)), default="tiny", show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Instead of the size's preset.")
@click.option(
    "--seed", "seeds", type=click.IntRange(0), multiple=True, default=(0,), show_default=True, help="May be repeated."
)
@click.option(
    "--hop",
    "hop_s",
    type=float,
    default=1.0,
    show_default=True,
    help="Seconds between the starts of training clips.",
)
@click.option("--label", "label_columns", multiple=True, default=DEFAULT_LABELS, show_default=True)
@click.option("--framing", type=click.Choice(FRAMINGS), default="context", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def command(
    data: Path,
    teacher: str,
    variants: str,
    only: tuple[str, ...],
    size: str,
    steps: int | None,
    seeds: tuple[int, ...],
    hop_s: float,
    label_columns: tuple[str, ...],
    framing: str,
    out: Path,
) -> None:
    """Train every variant of a list on DATA and probe it on DATA's labels; writes results and a table.

    Subjects never cross the split. Killed and run again, it goes on.
    """
    from hearlite.distill.presets import load_preset

    every = load_variants(variants)
    require_listed(only, every)
    opened, train = open_teacher(teacher), load_preset(size, steps=steps)
    labelled = load_dataset(data, framing=framing, label_columns=label_columns)
    about = AblationAbout(
        **vars(study_run(SCHEMA)),
        machine=device(),
        teacher=opened.info,
        size=size,
        train=train,
        dataset=dataset_facts(labelled, framing=framing),
    )
    chosen = [variant for i, variant in enumerate(every) if not only or not i or variant.name in only]
    sounds = load_dataset(data, hop_s=hop_s, events=False)
    rows = ablate(
        sounds,
        labelled,
        variants=chosen,
        teacher=opened,
        size=size,
        train=train,
        seeds=seeds,
        label_columns=label_columns,
        out=out,
        about=about,
    )
    click.echo(table(rows), nl=False)
