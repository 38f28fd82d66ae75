"""The inputs and outputs that all studies share: options, embeddings, provenance and files.

A study is a click command made by `study_command`, which parses the shared options into `StudyOptions`. Teacher and
students embed each clip once (`EmbeddedDataset`); all probes of a study are fitted to these embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import TEACHER, embed_clips, require_disjoint_subjects
from hearlite.benchmarks.probes.heard import find_heard
from hearlite.benchmarks.report.dot_plot import Dots
from hearlite.benchmarks.report.svg import MARKERS
from hearlite.benchmarks.schema.baselines import DURATION, SPECTRAL
from hearlite.benchmarks.schema.study import StudyDataset, StudyModel, StudyProvenance, StudyRun, study_run
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.bundle import Manifest, open_bundle
from hearlite.data.dataset import ClipRef, Dataset, load_dataset
from hearlite.data.duplicates import fingerprint_recordings
from hearlite.embedders.base import Embedder
from hearlite.embedders.open import open_teacher
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.errors import UsageError
from hearlite.files import write_bytes, write_json
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.manifests.options import DEFAULT_OPTIONS, ManifestOptions, manifest_options, unlabelled_manifest_options
from hearlite.models.option import MODEL
from hearlite.names import FRAMINGS
from hearlite.serialization import to_dict

SAMPLES = 2_000  # bootstrap replicates behind every interval of a study

data_argument = click.argument("data", type=click.Path(path_type=Path))
several_data_argument = click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
teacher_option = click.option("--teacher", required=True, help="As for 'hearlite bench'.")
models_option = click.option(
    "--model",
    "models",
    type=MODEL,
    multiple=True,
    required=True,
    help="An exported .tflite, or the name of a model; may be repeated.",
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
    """The models that are compared: first the teacher, named TEACHER, then the exported files."""

    embedders: dict[str, Embedder]
    manifests: tuple[Manifest, ...]  # of the exported files


@dataclass(frozen=True, eq=False)
class EmbeddedDataset:
    """A dataset and the embeddings of its clips by every model."""

    dataset: Dataset
    models: Models
    clips: tuple[ClipRef, ...]  # the readable ones
    vectors: dict[str, Floats]  # by model, the teacher's first, [n, dim]

    @cached_property
    def subjects(self) -> NDArray[np.str_]:
        """The subject of each clip, [n]."""
        return np.asarray([clip.subject for clip in self.clips])

    @cached_property
    def tested(self) -> Bools:
        """A mask of the clips of test subjects, [n]."""
        return np.asarray([clip.split == TEST_SPLIT for clip in self.clips], dtype=np.bool_)

    def column(self, name: str) -> NDArray[Any]:
        """Return the values of a label column, strings [n]."""
        return np.asarray([clip.label(name) for clip in self.clips], dtype=object)


@dataclass(frozen=True)
class StudyOptions:
    """The options that all studies share, as a user gave them."""

    data: tuple[Path, ...]  # one dataset, or several where the study takes them
    teacher: str
    models: tuple[Path, ...]
    label_columns: tuple[str, ...]  # empty for a study that names its columns itself
    framing: str
    seed: int
    out: Path
    manifest: ManifestOptions = DEFAULT_OPTIONS

    def load(self, label_columns: Sequence[str]) -> list[Dataset]:
        """Load each dataset with these label columns."""
        return [
            load_dataset(path, label_columns=label_columns, framing=self.framing, options=self.manifest)
            for path in self.data
        ]

    def embed(self, label_columns: Sequence[str] | None = None, *, baseline: bool = False) -> EmbeddedDataset:
        """Load the only dataset and embed it by all models.

        Parameters
        ----------
        label_columns
            Columns to load; those of `--label` if None.
        baseline
            Whether to embed by the spectral baseline, too.
        """
        (path,) = self.data
        return embed_data(
            path,
            teacher=self.teacher,
            models=self.models,
            label_columns=self.label_columns if label_columns is None else label_columns,
            framing=self.framing,
            baseline=baseline,
            options=self.manifest,
        )


def study_command(*, labels: bool = False, several: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Make a click command of a function that takes `StudyOptions` and the study's own options.

    The shared options are DATA and how to read it, --teacher, --model, --seed and --out. Those of the study itself are
    click decorators below this one; they follow in `--help`.

    Parameters
    ----------
    labels
        Whether the command has `--label`, which may be repeated.
    several
        Whether DATA may be several datasets; such a study names its positive class by itself.
    """
    shared = (
        several_data_argument if several else data_argument,
        teacher_option,
        models_option,
        *((labels_option,) if labels else ()),
        unlabelled_manifest_options if several else manifest_options,
        framing_option,
        seed_option,
        out_option,
    )

    def decorate(run: Callable[..., None]) -> click.Command:
        @wraps(run)
        def parsed(
            *,
            data: Path | tuple[Path, ...],
            teacher: str,
            models: tuple[Path, ...],
            framing: str,
            seed: int,
            out: Path,
            manifest: ManifestOptions,
            label_columns: tuple[str, ...] = (),
            **own: Any,
        ) -> None:
            paths = data if isinstance(data, tuple) else (data,)
            run(StudyOptions(paths, teacher, models, label_columns, framing, seed, out, manifest), **own)

        for option in reversed(shared):
            parsed = option(parsed)
        return click.command()(parsed)

    return decorate


def open_models(teacher: str, paths: Sequence[Path], datasets: Sequence[Dataset]) -> Models:
    """Open the teacher and the exported files.

    Parameters
    ----------
    teacher
        As for `hearlite bench`.
    paths
        Exported .tflite files.
    datasets
        Datasets with test subjects that no model may have been distilled on.

    Raises
    ------
    UsageError
        Two files have the same name.
    InputError
        A file is no bundle, or was distilled on a test subject of `datasets` or on a recording of one.
    """
    opened = [open_bundle(path) for path in paths]
    for _, manifest in opened:
        if sum(other.name == manifest.name for _, other in opened) > 1:
            raise UsageError(f"two models have the name {manifest.name}", "run the study once for each of them")
        for dataset in datasets:
            require_disjoint_subjects(manifest, dataset)
    for dataset in datasets if any(manifest.heard_sha256 for _, manifest in opened) else ():
        fingerprints = fingerprint_recordings(dataset)
        for path, (_, manifest) in zip(paths, opened, strict=True):
            find_heard(path, manifest, dataset, fingerprints).require_allowed(allowed=False, optional=False)
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
    options: ManifestOptions = DEFAULT_OPTIONS,
) -> EmbeddedDataset:
    """Load a dataset and embed every clip once by all models.

    Parameters
    ----------
    data
        A manifest, or a folder that holds one.
    teacher, models
        As for `open_models`.
    label_columns
        Columns of the manifest to load.
    framing
        Of events shorter than a clip, one of FRAMINGS.
    baseline
        Whether to embed by the spectral baseline, too.
    options
        How to read the manifest.
    """
    dataset = load_dataset(data, label_columns=label_columns, framing=framing, options=options)
    opened = open_models(teacher, models, (dataset,))
    return embedded_by(dataset, opened, baseline=baseline)


def embedded_by(dataset: Dataset, models: Models, *, baseline: bool = False) -> EmbeddedDataset:
    """Embed every readable clip by all models, float64, and with `baseline` by the spectral one, too."""
    extra: dict[str, Embedder] = (
        {SPECTRAL: SpectralTeacher()} if baseline and models.embedders[TEACHER].info.kind != SPECTRAL else {}
    )
    embedded = embed_clips(dataset, {**models.embedders, **extra})
    vectors = {name: values.astype(np.float64) for name, values in embedded.vectors.items()}
    return EmbeddedDataset(dataset, models, embedded.clips, vectors)


def provenance(schema: str, models: Models, *, seed: int, samples: int = SAMPLES) -> StudyProvenance:
    """Return the provenance of a study that compares `models`; its results.json starts with it."""
    return StudyProvenance(
        **vars(study_run(schema)),
        teacher=models.embedders[TEACHER].info,
        models=tuple(StudyModel(item.name, item.tflite_sha256, item.precision) for item in models.manifests),
        seed=seed,
        samples=samples,
    )


def dataset_facts(dataset: Dataset, *, framing: str) -> StudyDataset:
    """Return the facts about a dataset that results.json holds."""
    return StudyDataset(dataset.name, dataset.sha256, dataset.labels_sha256, dataset.synthetic, framing)


def write_study(out: Path, results: StudyRun, text: str) -> None:
    """Write results.json and table.md, and print the table."""
    write_json(out / "results.json", to_dict(results))
    write_bytes(out / "table.md", text.encode())
    click.echo(text, nl=False)


def model_dots(
    model: str, estimates: Sequence[Estimate], models: Sequence[StudyModel], *, label: str | None = None
) -> Dots:
    """Return the dots of one model for `write_dots`, with the marker of its kind.

    Parameters
    ----------
    model
        Name of the model; one that is not among `models` is the teacher or a baseline.
    estimates
        One for each group of dots.
    models
        The exported files of the study.
    label
        For the legend; the model's name if None.
    """
    kinds: Mapping[str, str] = {DURATION: "baseline", **{item.name: item.precision for item in models}}
    figures = [to_dict(estimate) for estimate in estimates]
    return Dots(label or model, MARKERS[kinds.get(model, "teacher")], figures)
