"""The public API: what the command line does, as functions. `import hearlite` exposes it and loads nothing heavy before it is used.

Like a command, it may import every stage. Everything that is not named in `hearlite.__all__` may change between releases.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hearlite import audio
from hearlite.dataset import DEFAULT_LABELS, Clip, Dataset, Skipped, combine, load_dataset, read_clips
from hearlite.embed_dataset import BATCH, batched
from hearlite.embedder import Clips, Embedder, EmbedderInfo, Embeddings
from hearlite.errors import InputError, UsageError
from hearlite.run import Run, open_run
from hearlite.spec import AUDIO, AUROC_MARGIN, DISTILL_HOP_S, PRECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from hearlite.benchmarks.schema.results import Results

PathLike = str | Path


class Model:
    """An embedder of sounds: an exported file, the float32 student of a run, or a teacher.

    Attributes
    ----------
    info : EmbedderInfo
        Name, kind, dimension, licence and fingerprint.
    """

    sample_rate_hz = AUDIO.sample_rate_hz
    clip_s = AUDIO.clip_s

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.info: EmbedderInfo = embedder.info

    def __repr__(self) -> str:
        return f"<hearlite.Model {self.info.name}: {self.clip_s:g} s at {self.sample_rate_hz} Hz -> {self.dim} numbers>"

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.info.dim

    def embed(self, sound: PathLike | NDArray[Any], rate: int | None = None, *, hop_s: float = AUDIO.clip_s) -> Embeddings:
        """Embed a whole sound, window by window.

        Parameters
        ----------
        sound : str, Path or array
            A recording, or its samples `[n]`: mono, floating point in [-1, 1] or int16.
        rate : int
            Sampling rate of an array, in Hz; a file knows its own.
        hop_s : float
            Seconds between the starts of two windows of 2 s, at most 2. One more window ends where the sound ends.

        Returns
        -------
        float32 array `[windows, dim]`. A sound shorter than 2 s is padded with zeros, which costs accuracy.

        Raises
        ------
        InputError
            For a recording that cannot be read in full, and samples that are no sound.
        UsageError
            For an array without a rate or a file with one, and for a hop that would skip sound.
        """
        samples = _samples(sound, rate)
        starts = audio.clip_starts_s(recording_s=len(samples) / AUDIO.sample_rate_hz, hop_s=hop_s)
        pcm = audio.to_int16(np.stack([audio.cut(samples, start_s=start) for start in starts]))  # on int16's steps, as every clip of a dataset
        return self.embed_clips(audio.from_int16(pcm))

    def embed_clips(self, clips: Clips) -> Embeddings:
        """Embed windows that are cut already: float32 `[n, 32000]` in [-1, 1) -> float32 `[n, dim]`."""
        parts = [self._embedder.embed(clips[start : start + BATCH]) for start in range(0, len(clips), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)


def load(source: PathLike, *, threads: int | None = None) -> Model:
    """Open a model.

    Parameters
    ----------
    source : str or Path
        An exported .tflite (its manifest is verified where it lies beside the file), any other .tflite that takes a 16 kHz waveform, the folder of a
        finished run, or a teacher as on the command line: `spectral`, `hear:DIR`, `saved-model:DIR`, `tflite:FILE#OUTPUT`.
    threads : int, optional
        Of the network; by default 1 for a .tflite and TensorFlow's choice for others.

    Raises
    ------
    InputError
        For a file or folder that is not there, is damaged, or is no embedder.
    UsageError
        For text that names none of these.
    """
    from hearlite.bundle import manifest_path, open_bundle
    from hearlite.runtime import TfliteEmbedder
    from hearlite.teacher import open_teacher

    path = Path(source)
    if path.suffix == ".tflite" and not str(source).startswith(("tflite:", "saved-model:")):
        if manifest_path(path).is_file():
            return Model(open_bundle(path, threads=threads or 1)[0])
        return Model(TfliteEmbedder(path, threads=threads or 1))
    if path.is_dir():
        from hearlite.student import StudentEmbedder

        return Model(StudentEmbedder(open_run(path)))
    return Model(open_teacher(str(source), threads=threads))


def embed(
    data: PathLike | Dataset,
    *,
    model: Model | PathLike,
    labels: Sequence[str] = DEFAULT_LABELS,
    hop_s: float = AUDIO.clip_s,
    framing: str = "context",
) -> pa.Table:
    """Embed every clip of a folder, a manifest or a recording.

    Parameters
    ----------
    data : str, Path or Dataset
        As `load_dataset` takes or gives it; `labels`, `hop_s` and `framing` are for the former.
    model : Model, str or Path
        What `load` gives or takes.
    labels : sequence of str
        Columns of the manifest to carry along.
    hop_s : float
        Seconds between the windows of long sounds.
    framing : str
        What stands around an event shorter than 2 s: "context" or "zero-pad".

    Returns
    -------
    pyarrow.Table
        A row for each clip: `file`, `start_s`, `end_s` (of the clip), `subject`, `split`, `silent`, the label columns, and `embedding`, float32.
        `.to_pandas()` makes a DataFrame of it where pandas is installed. Recordings that cannot be read are left out with a warning.

    Raises
    ------
    InputError
        When the data cannot be read at all; see `load_dataset`.
    """
    import pyarrow as pa

    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), hop_s=hop_s, label_columns=tuple(labels), framing=framing)
    opened = model if isinstance(model, Model) else load(model)
    rows: list[Clip] = []
    vectors: list[Embeddings] = []
    skipped = [*dataset.skipped]
    for batch in batched(read_clips(dataset.clips), BATCH):
        skipped += [item for item in batch if isinstance(item, Skipped)]
        if clips := [item for item in batch if isinstance(item, Clip)]:
            rows += clips
            vectors.append(opened.embed_clips(audio.from_int16(np.stack([clip.pcm for clip in clips]))))
    if not rows:
        raise InputError(f"{dataset.name}: no clip could be read", skipped[0].reason if skipped else "")
    if skipped:
        listed = "; ".join(f"{item.file}: {item.reason}" for item in skipped[:3])
        warnings.warn(f"{len(skipped)} clips or recordings of {dataset.name} were left out: {listed}", stacklevel=2)
    columns: dict[str, Any] = {
        "file": [clip.ref.name for clip in rows],
        "start_s": [clip.ref.start_s for clip in rows],
        "end_s": [clip.ref.start_s + AUDIO.clip_s for clip in rows],
        "subject": [clip.ref.subject for clip in rows],
        "split": [clip.ref.split for clip in rows],
        "silent": [clip.silent for clip in rows],
    }
    columns |= {f"label:{name}" if name in columns else name: [clip.ref.label(name) for clip in rows] for name, _ in rows[0].ref.labels}
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(vectors).ravel(), pa.float32()), opened.dim)
    return pa.table(columns)


def distill(
    data: PathLike | Sequence[PathLike],
    *,
    run: PathLike,
    teacher: str = "spectral",
    size: str = "small",
    config: PathLike | None = None,
    steps: int | None = None,
    seed: int | None = None,
    records: PathLike | None = None,
    hop_s: float = DISTILL_HOP_S,
    events_only: bool = False,
) -> Run:
    """Train a student on recordings to give the teacher's embeddings; no labels are used. The same call resumes an interrupted run.

    Parameters
    ----------
    data : str, Path or a sequence of them
        Folders or manifests. Test subjects are left out.
    run : str or Path
        Folder of the run; a finished one is returned as it is.
    teacher : str
        As on the command line: `hear:DIR`, `tflite:FILE#OUTPUT`, `spectral`, ...
    size : str
        tiny, small or base.
    config, steps, seed
        A TOML file with training settings instead of the size's preset, and what replaces its `steps` and `seed`.
    records : str or Path, optional
        Folder of the record cache, to share it between runs; by default inside the run.
    hop_s : float
        Seconds between windows.
    events_only : bool
        Learn from the manifest's annotated events only.

    Raises
    ------
    InputError
        For data, a teacher or a machine that will not do; found out before training wherever that is possible.
    """
    from hearlite.distill.presets import load_preset
    from hearlite.distill.train import distill as run_distill
    from hearlite.teacher import open_teacher

    places = [data] if isinstance(data, (str, Path)) else list(data)
    dataset = combine([load_dataset(Path(place), hop_s=hop_s, events=events_only) for place in places])
    train = load_preset(size, teacher=teacher, config=None if config is None else Path(config), steps=steps, seed=seed)
    folder = None if records is None else Path(records)
    return run_distill(dataset, teacher=open_teacher(teacher), size=size, train=train, folder=Path(run), records_folder=folder)


def quantize(
    run: Run | PathLike,
    *,
    recipe: str = "auto",
    data: PathLike | Dataset | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    force: bool = False,
) -> Path:
    """Quantize a finished run, gated by its difference to the float32 student.

    Parameters
    ----------
    run : Run, str or Path
        What `distill` returned, or its folder.
    recipe : str
        One of hearlite's recipes, a .json file, or "auto": the first that passes its gate.
    data : str, Path or Dataset, optional
        Labelled recordings: gate the loss of AUROC too, on subjects that are not in test.
    labels, framing
        Of `data`, as for `embed`.
    force : bool
        Keep a file that fails its gate, marked as failed.

    Returns
    -------
    Path
        The folder of the recipe that was kept, with model.tflite and compare.json.

    Raises
    ------
    GateError
        When no recipe passes.
    """
    from hearlite.benchmarks.probes.quantization_loss import AurocLossProbe
    from hearlite.check import check_embedder, require
    from hearlite.distill.supply import Supply
    from hearlite.quantize import ptq
    from hearlite.quantize.recipe import AUTO, find_recipe
    from hearlite.runtime import TfliteEmbedder

    opened = _run(run)
    dataset = _labelled(data, labels, framing)
    quality = None if dataset is None else AurocLossProbe(dataset, tuple(labels))
    recipes = [find_recipe(name) for name in (AUTO if recipe == "auto" else (recipe,))]
    if recipe == "auto":
        attempts = ptq.quantize_auto(opened, recipes=recipes, force=force, training=Supply(opened), quality=quality)
        for reason in filter(None, (attempt.reason for attempt in attempts)):
            print(reason, file=sys.stderr)
        (chosen,) = (known for known in recipes if known.recipe == attempts[-1].recipe)
    else:
        (chosen,) = recipes
        ptq.quantize(opened, recipe=chosen, force=force, training=Supply(opened), quality=quality)
    file = opened.quantized(chosen.recipe) / "model.tflite"
    checks = check_embedder(TfliteEmbedder(file), precision=PRECISIONS[chosen.weights, chosen.activations])
    if not force:
        require(checks, what=str(file))
    return file.parent


def export(
    run: Run | PathLike,
    *,
    out: PathLike,
    recipes: Sequence[str] = (),
    classifier_data: PathLike | Dataset | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    force: bool = False,
) -> list[Path]:
    """Write self-contained .tflite files of a run, each with manifest, model card and NOTICE.

    Parameters
    ----------
    run : Run, str or Path
        What `distill` returned, or its folder.
    out : str or Path
        Folder for the files.
    recipes : sequence of str
        Recipes that the run was quantized by, or "float32"; by default the first that passed its gate, and float32.
    classifier_data : str, Path or Dataset, optional
        Labelled recordings: a classifier fitted to their training subjects becomes the file's second output.
    labels, framing
        Of `classifier_data`, as for `embed`.
    force : bool
        Write a file whose gate or checks failed, and replace files.

    Returns
    -------
    list of Path
        The .tflite files.

    Raises
    ------
    GateError
        When a file fails its checks.
    """
    from hearlite.benchmarks.probes.classifier_head import HeadProbe
    from hearlite.export.tflite import export_files
    from hearlite.quantize.recipe import AUTO

    opened = _run(run)
    dataset = _labelled(classifier_data, labels, framing)
    fit_head = None if dataset is None else HeadProbe(dataset, tuple(labels), heard=opened.spec.dataset.heard)
    return export_files(opened, to=Path(out), names=tuple(recipes), preferred=AUTO, fit_head=fit_head, force=force)


def benchmark(
    data: PathLike | Dataset,
    *,
    models: Sequence[PathLike],
    teacher: str,
    out: PathLike,
    labels: Sequence[str] = DEFAULT_LABELS,
    subgroups: Sequence[str] = (),
    hop_s: float = AUDIO.clip_s,
    framing: str = "context",
    margin: float = AUROC_MARGIN,
    seed: int = 0,
) -> Results:
    """Measure what exported files keep of their teacher: probes on frozen embeddings, subjects never shared between training and test.

    Parameters
    ----------
    data : str, Path or Dataset
        Labelled recordings.
    models : sequence of str or Path
        Exported .tflite files.
    teacher : str
        As on the command line.
    out : str or Path
        Folder for results.json and report.html.
    labels, subgroups : sequence of str
        Columns to make tasks of, and columns to compare groups in.
    hop_s, framing
        As for `embed`.
    margin : float
        AUROC that a model may lose and still count as non-inferior; set it before the run.
    seed : int
        Of folds and bootstrap.

    Returns
    -------
    Results
        What results.json holds.

    Raises
    ------
    InputError
        When the labels make no task, or a file was distilled on test subjects.
    """
    from hearlite.benchmarks.run import bench
    from hearlite.benchmarks.schema.io import read_results
    from hearlite.teacher import open_teacher

    columns = tuple(dict.fromkeys((*labels, *subgroups)))
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), hop_s=hop_s, framing=framing, label_columns=columns)
    files = [Path(model) for model in models]
    told = ["hearlite", "bench", dataset.name if isinstance(data, Dataset) else str(data), "--teacher", teacher, "--out", str(out)]
    told += [part for file in files for part in ("--model", str(file))] + [part for label in labels for part in ("--label", label)]
    bench(
        dataset,
        teacher=open_teacher(teacher),
        files=files,
        label_columns=tuple(labels),
        out=Path(out),
        command=shlex.join(told),
        seed=seed,
        framing=framing,
        subgroup_columns=tuple(subgroups),
        margin=margin,
    )
    return read_results(Path(out) / "results.json")


def _samples(sound: PathLike | NDArray[Any], rate: int | None) -> audio.Samples:
    if isinstance(sound, (str, Path)):
        if rate is not None:
            raise UsageError(f"rate is {rate} for the file {sound}", "leave it out: a file knows its own rate")
        return audio.read_recording(Path(sound))
    if rate is None:
        raise UsageError("an array has no sampling rate", "pass it: model.embed(samples, 44100)")
    return audio.from_array(sound, rate_hz=rate)


def _run(run: Run | PathLike) -> Run:
    return run if isinstance(run, Run) else open_run(Path(run))


def _labelled(data: PathLike | Dataset | None, labels: Sequence[str], framing: str) -> Dataset | None:
    if data is None or isinstance(data, Dataset):
        return data
    return load_dataset(Path(data), framing=framing, label_columns=tuple(labels))
