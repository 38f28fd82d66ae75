"""How a study takes its inputs: the options that studies share, recordings embedded by teacher and students, and where
its figures come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import TEACHER, embed_clips, require_disjoint_subjects
from hearlite.benchmarks.schema.baselines import SPECTRAL
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.bundle import Manifest, open_bundle
from hearlite.data.dataset import ClipRef, Dataset, load_dataset
from hearlite.data.manifest import DEFAULT_LABELS
from hearlite.embedders.base import Embedder
from hearlite.embedders.open import open_teacher
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.errors import UsageError
from hearlite.files import write_bytes, write_json
from hearlite.names import FRAMINGS
from hearlite.provenance import command_line, now
from hearlite.serialization import to_dict

data_argument = click.argument("data", type=click.Path(path_type=Path))
teacher_option = click.option("--teacher", required=True, help="As for 'hearlite bench'.")
models_option = click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="An exported .tflite; may be repeated.",
)
labels_option = click.option(
    "--label", "label_columns", multiple=True, default=DEFAULT_LABELS, show_default=True, help="May be repeated."
)
framing_option = click.option("--framing", type=click.Choice(FRAMINGS), default="context", show_default=True)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of folds, draws and bootstrap."
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json, table.md and plots."
)


@dataclass(frozen=True)
class Models:
    """Who is compared: the teacher first, named TEACHER, then the exported files by their names."""

    embedders: dict[str, Embedder]
    manifests: tuple[Manifest, ...]


@dataclass(frozen=True, eq=False)
class EmbeddedDataset:
    """A dataset as its models hear it, clip by clip."""

    dataset: Dataset
    models: Models
    clips: tuple[ClipRef, ...]  # the readable ones
    vectors: dict[str, Floats]  # by model, the teacher's first, [n, dim]

    @cached_property
    def subjects(self) -> NDArray[np.str_]:
        """[n]"""
        return np.asarray([clip.subject for clip in self.clips])

    @cached_property
    def tested(self) -> Bools:
        """[n], which clips are of test subjects."""
        return np.asarray([clip.split == TEST_SPLIT for clip in self.clips], dtype=np.bool_)

    def column(self, name: str) -> NDArray[Any]:
        """The values of a label column, strings [n]."""
        return np.asarray([clip.label(name) for clip in self.clips], dtype=object)


def open_models(teacher: str, paths: Sequence[Path], datasets: Sequence[Dataset]) -> Models:
    """Raises UsageError for two files of one name, InputError for one that is no bundle or was distilled on a test
    subject of `datasets`.
    """
    opened = [open_bundle(path) for path in paths]
    for _, manifest in opened:
        if sum(other.name == manifest.name for _, other in opened) > 1:
            raise UsageError(f"two models have the name {manifest.name}", "study runs of one size by two calls")
        for dataset in datasets:
            require_disjoint_subjects(manifest, dataset)
    embedders: dict[str, Embedder] = {TEACHER: open_teacher(teacher)}
    embedders.update((manifest.name, embedder) for embedder, manifest in opened)
    return Models(embedders, tuple(manifest for _, manifest in opened))


def embed_data(
    data: Path,
    *,
    teacher: str,
    models: Sequence[Path],
    label_columns: Sequence[str],
    framing: str,
    baseline: bool = False,
) -> EmbeddedDataset:
    """Load the recordings and embed every clip once by all models, and by the spectral baseline where it is asked
    for.
    """
    dataset = load_dataset(data, label_columns=label_columns, framing=framing)
    opened = open_models(teacher, models, (dataset,))
    return embedded_by(dataset, opened, baseline=baseline)


def embedded_by(dataset: Dataset, models: Models, *, baseline: bool = False) -> EmbeddedDataset:
    """Every readable clip by all models, float64."""
    extra: dict[str, Embedder] = (
        {SPECTRAL: SpectralTeacher()} if baseline and models.embedders[TEACHER].info.kind != SPECTRAL else {}
    )
    found = embed_clips(dataset, {**models.embedders, **extra})
    return EmbeddedDataset(
        dataset, models, found.clips, {name: values.astype(np.float64) for name, values in found.vectors.items()}
    )


def provenance(schema: str, models: Models, *, seed: int, samples: int) -> dict[str, Any]:
    """What every study's results.json starts with."""
    return {
        "schema": schema,
        "command": command_line(),
        "created": now(),
        "teacher": to_dict(models.embedders[TEACHER].info),
        "models": [
            {"name": item.name, "sha256": item.tflite_sha256, "precision": item.precision} for item in models.manifests
        ],
        "seed": seed,
        "samples": samples,
    }


def dataset_facts(dataset: Dataset, *, framing: str) -> dict[str, Any]:
    """What was measured on."""
    return {
        "name": dataset.name,
        "sha256": dataset.sha256,
        "labels_sha256": dataset.labels_sha256,
        "synthetic": dataset.synthetic,
        "framing": framing,
    }


def write_study(out: Path, results: Mapping[str, Any], text: str) -> None:
    """Write results.json and table.md, and print the table."""
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", text.encode())
    click.echo(text, nl=False)
