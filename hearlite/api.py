"""The public API: what the command line does, as functions. `import hearlite` exposes it, loading nothing heavy.

Like a command it may import every stage. What is not in `hearlite.__all__` may change between releases.
"""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hearlite import audio
from hearlite.data.dataset import Clip, Dataset, combine, load_dataset, read_clips
from hearlite.data.embed import clip_batches
from hearlite.data.manifest import DEFAULT_LABELS
from hearlite.embedders.base import Embeddings
from hearlite.errors import InputError
from hearlite.model import Model, PathLike, load
from hearlite.run import Run, open_run
from hearlite.spec import AUDIO, AUROC_MARGIN, DISTILL_HOP_S, PRECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from hearlite.benchmarks.schema.results import Results


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
        A row for each clip: `file`, `start_s`, `end_s` (of the clip), `subject`, `split`, `silent`, the label columns,
        and `embedding`, float32.
        `.to_pandas()` makes a DataFrame of it where pandas is installed. Recordings that cannot be read are left out
        with a warning.

    Raises
    ------
    InputError
        When the data cannot be read at all; see `load_dataset`.
    """
    import pyarrow as pa

    dataset = (
        data
        if isinstance(data, Dataset)
        else load_dataset(Path(data), hop_s=hop_s, label_columns=tuple(labels), framing=framing)
    )
    opened = model if isinstance(model, Model) else load(model)
    rows: list[Clip] = []
    vectors: list[Embeddings] = []
    skipped = [*dataset.skipped]
    for clips, unread in clip_batches(read_clips(dataset.clips)):
        skipped += unread
        if clips:
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
    columns |= {
        f"label:{name}" if name in columns else name: [clip.ref.label(name) for clip in rows]
        for name, _ in rows[0].ref.labels
    }
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(
        pa.array(np.concatenate(vectors).ravel(), pa.float32()), opened.dim
    )
    return pa.table(columns)


def distill(
    data: PathLike | Dataset | Sequence[PathLike],
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
    ray_workers: int = 0,
) -> Run:
    """Train a student on recordings to give the teacher's embeddings; no labels are used. The same call resumes an
    interrupted run.

    Parameters
    ----------
    data : str, Path or a sequence of them, or a Dataset
        Folders or manifests. Test subjects are left out. `hop_s` and `events_only` are not for a Dataset, which is cut
        already.
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
    ray_workers : int
        Make the records by this many Ray actors; 0: in this process.

    Raises
    ------
    InputError
        For data, a teacher or a machine that will not do; found out before training wherever that is possible.
    """
    from hearlite.distill.distribute import strategy
    from hearlite.distill.presets import load_preset
    from hearlite.distill.train import distill as run_distill
    from hearlite.embedders.open import open_teacher

    if isinstance(data, Dataset):
        dataset = data
    else:
        places = [data] if isinstance(data, (str, Path)) else data
        dataset = combine([load_dataset(Path(place), hop_s=hop_s, events=events_only) for place in places])
    train = load_preset(size, teacher=teacher, config=None if config is None else Path(config), steps=steps, seed=seed)
    folder, cache = Path(run), None if records is None else Path(records)
    if "TF_CONFIG" in os.environ:  # several processes: TensorFlow must know before a teacher uses it
        strategy()
    if ray_workers and not (folder / "weights.npz").is_file():
        from hearlite.data.cluster import write_records_on_ray
        from hearlite.data.records import Views

        views = Views(train.views, spec=train.view)
        write_records_on_ray(
            dataset, teacher=teacher, folder=cache or folder / "records", views=views, actors=ray_workers
        )
    return run_distill(
        dataset, teacher=open_teacher(teacher), size=size, train=train, folder=folder, records_folder=cache
    )


def quantize(
    run: Run | PathLike,
    *,
    recipe: str = "auto",
    data: PathLike | Dataset | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    allow_failed_gate: bool = False,
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
    allow_failed_gate : bool
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
    from hearlite.benchmarks.probes.quantization_loss import QuantizationProbe
    from hearlite.distill.replay import TrainingReplay
    from hearlite.embedders.tflite import TfliteEmbedder
    from hearlite.quantize import pipeline as ptq
    from hearlite.quantize.recipe import AUTO, find_recipe
    from hearlite.self_test import check_embedder, require

    opened = _run(run)
    dataset = _labelled(data, labels, framing)
    quality = None if dataset is None else QuantizationProbe(dataset, tuple(labels))
    recipes = [find_recipe(name) for name in (AUTO if recipe == "auto" else (recipe,))]
    if recipe == "auto":
        attempts = ptq.quantize_auto(
            opened,
            recipes=recipes,
            allow_failed_gate=allow_failed_gate,
            training=TrainingReplay(opened),
            quality=quality,
        )
        for reason in filter(None, (attempt.reason for attempt in attempts)):
            print(reason, file=sys.stderr)
        (chosen,) = (known for known in recipes if known.recipe == attempts[-1].recipe)
    else:
        (chosen,) = recipes
        ptq.quantize(
            opened, recipe=chosen, allow_failed_gate=allow_failed_gate, training=TrainingReplay(opened), quality=quality
        )
    file = opened.quantized(chosen.recipe) / "model.tflite"
    checks = check_embedder(TfliteEmbedder(file), precision=PRECISIONS[chosen.weights, chosen.activations])
    if not allow_failed_gate:
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
    overwrite: bool = False,
    allow_failed_gate: bool = False,
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
    overwrite : bool
        Replace files that exist and differ.
    allow_failed_gate : bool
        Write a file whose gate or checks failed, marked as failed.

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
    fit_head = (
        None
        if dataset is None
        else HeadProbe(dataset, tuple(labels), trained_subjects=opened.spec.dataset.trained_subjects)
    )
    return export_files(
        opened,
        to=Path(out),
        names=tuple(recipes),
        preferred=AUTO,
        fit_head=fit_head,
        overwrite=overwrite,
        allow_failed_gate=allow_failed_gate,
    )


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
    """Measure what exported files keep of their teacher: probes on frozen embeddings, subjects never shared between
    training and test.

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
    from hearlite.embedders.open import open_teacher

    columns = tuple(dict.fromkeys((*labels, *subgroups)))
    dataset = (
        data
        if isinstance(data, Dataset)
        else load_dataset(Path(data), hop_s=hop_s, framing=framing, label_columns=columns)
    )
    files = [Path(model) for model in models]
    told = [
        "hearlite",
        "bench",
        dataset.name if isinstance(data, Dataset) else str(data),
        "--teacher",
        teacher,
        "--out",
        str(out),
    ]
    told += [part for file in files for part in ("--model", str(file))] + [
        part for label in labels for part in ("--label", label)
    ]
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


def _run(run: Run | PathLike) -> Run:
    return run if isinstance(run, Run) else open_run(Path(run))


def _labelled(data: PathLike | Dataset | None, labels: Sequence[str], framing: str) -> Dataset | None:
    if data is None or isinstance(data, Dataset):
        return data
    return load_dataset(Path(data), framing=framing, label_columns=tuple(labels))
