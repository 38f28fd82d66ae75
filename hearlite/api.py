"""The public API: the stages of the command line as Python functions.

`import hearlite` exposes these functions without importing anything heavy; each imports what it needs when it is
called. Names that are not in `hearlite.__all__` may change between releases. Like the commands, this module may import
every stage.

Training, quantizing and exporting need TensorFlow (`pip install "hearlite[train]"`) and raise ModuleNotFoundError
without it. Benchmarking and embedding need it only for models that are SavedModels or runs.
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
from hearlite.data.dataset import Dataset, combine, load_dataset
from hearlite.data.embed import clip_batches
from hearlite.data.reading import Clip, read_clips
from hearlite.embedders.base import Embeddings
from hearlite.errors import InputError, UsageError
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.model import Model, PathLike, load
from hearlite.models.registry import find_model
from hearlite.names import COORDINATES
from hearlite.run import Run, open_run
from hearlite.spec import AUDIO, AUROC_MARGIN, DISTILL_HOP_S, PRECISIONS, student_spec
from hearlite.text import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from hearlite.benchmarks.schema.results import Results
    from hearlite.events.personal import PersonalHead


def embed(
    data: PathLike | Dataset,
    *,
    model: Model | PathLike,
    labels: Sequence[str] = DEFAULT_LABELS,
    hop_s: float = AUDIO.clip_s,
    framing: str = "context",
) -> pa.Table:
    """Embed every 2 s clip of a folder, a manifest or a recording.

    Parameters
    ----------
    data : str, Path or Dataset
        A folder of recordings, a manifest CSV or one recording, or a Dataset from `load_dataset`. A Dataset is already
        cut into clips, so `labels`, `hop_s` and `framing` have no effect on it.
    model : Model, str or Path
        A model from `load`, or anything that `load` accepts.
    labels : sequence of str
        Label columns of the manifest to copy into the table.
    hop_s : float
        Seconds between the starts of two clips of a long sound, above 0 and at most 2.
    framing : str
        Padding of annotated events shorter than 2 s: "context" takes the surrounding sound, "zero-pad" zeros.

    Returns
    -------
    pyarrow.Table
        One row per clip: `file`, `start_s` and `end_s` (of the clip, in seconds), `subject`, `split`, `silent`, the
        label columns, and `embedding` (float32 `[dim]`). A label column whose name is one of these is called
        `label:NAME`. `.to_pandas()` converts the table where pandas is installed.

    Warns
    -----
    UserWarning
        When clips or recordings could not be read and were left out.

    Raises
    ------
    InputError
        When no clip can be read, the manifest is invalid (see `load_dataset`), or the model cannot be opened.
    UsageError
        When `framing`, `hop_s` or the model's name is not allowed.
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


def listen(
    data: PathLike,
    *,
    model: Model | PathLike,
    journal: PathLike | None = None,
) -> pa.Table:
    """Find events, such as coughs, in recordings of any length.

    Parameters
    ----------
    data : str or Path
        A folder of recordings, a manifest CSV or one recording.
    model : Model, str or Path
        A file with events, from `load` or anything that `load` accepts.
    journal : str or Path, optional
        A file to keep what is found while it runs; the same call goes on from there, and removes it in the end.

    Returns
    -------
    pyarrow.Table
        One row per event: `file`, `label`, `start_s`, `end_s` and `peak_s` (seconds from the recording's start), and
        `score`, the highest, in [0, 1].

    Warns
    -----
    UserWarning
        When recordings could not be read and were left out.

    Raises
    ------
    InputError
        When no recording can be read, or the file has no events.
    """
    from hearlite.data.listen import listen_to
    from hearlite.events.formats import as_table

    opened = model if isinstance(model, Model) else load(model)
    kept = None if journal is None else Path(journal)
    found = listen_to(Path(data), opened.scorer(), made_by=opened.info.fingerprint, journal=kept)
    if not found.heard:
        raise InputError(f"{data}: no recording could be read", found.skipped[0].reason if found.skipped else "")
    if found.skipped:
        listed = "; ".join(f"{item.file}: {item.reason}" for item in found.skipped[:3])
        warnings.warn(f"{len(found.skipped)} recordings of {data} were left out: {listed}", stacklevel=2)
    if kept is not None:
        kept.unlink(missing_ok=True)
    return as_table(found.heard)


def enroll(
    examples: PathLike | Sequence[PathLike],
    *,
    label: str,
    model: Model | PathLike,
    others: PathLike | Sequence[PathLike] = (),
    threshold: float | None = None,
    out: PathLike | None = None,
) -> PersonalHead:
    """Fit a head for one's own sound to a few recordings of it, without changing the model.

    Parameters
    ----------
    examples : str, Path or sequence of them
        3 to 100 recordings with one example each, or folders of them. What surrounds the loudest part is taken.
    label : str
        Name of the sound.
    model : Model, str or Path
        From `load`, or anything that `load` accepts.
    others : str, Path or sequence of them
        Recordings of what it must not be taken for, or folders of them. Without any the head is the cosine to the
        examples' mean, with them a logistic regression, which is surer.
    threshold : float, optional
        Score at which an event begins, in (0, 1); by default the one that tells held-out examples best.
    out : str or Path, optional
        Where to write the head as JSON.

    Returns
    -------
    PersonalHead
        For `Model.personalized`; `found` and `mistaken` say how it does on examples that it was fitted without.

    Warns
    -----
    UserWarning
        When there are no other sounds, or too many to take all.

    Raises
    ------
    InputError
        When a recording can't be read or is silent.
    UsageError
        When there are too few examples or too many.
    """
    from hearlite.data.enroll import enroll_recordings
    from hearlite.events.personal import write_head

    opened = model if isinstance(model, Model) else load(model)
    places = [[item] if isinstance(item, (str, Path)) else item for item in (examples, others)]
    own, foreign = ([Path(place) for place in several] for several in places)
    head, notes = enroll_recordings(
        own, foreign, embed=opened.embed_clips, model=opened.info.fingerprint, label=label, threshold=threshold
    )
    for note in notes:
        warnings.warn(note, stacklevel=2)
    if out is not None:
        write_head(Path(out), head)
    return head


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
    allow_duplicates: bool = False,
) -> Run:
    """Train a student to reproduce the teacher's embeddings of recordings.

    No labels are used, and test subjects are left out. The same call resumes an interrupted run.

    Parameters
    ----------
    data : str, Path, sequence of str or Path, or Dataset
        Folders of recordings or manifest CSVs, or a Dataset from `load_dataset`. A Dataset is already cut into clips,
        so `hop_s` and `events_only` have no effect on it.
    run : str or Path
        Folder of the run. A finished run is returned as it is.
    teacher : str
        `spectral`, `hear:DIR`, `saved-model:DIR`, `tflite:FILE[#OUTPUT]` or `embeddings:FILE.parquet`, as on the
        command line. "spectral" computes statistics of HeAR's spectrogram and needs no files.
    size : str
        "tiny", "small" or "base".
    config : str or Path, optional
        TOML file with training settings; by default the preset of the size.
    steps : int, optional
        Number of training steps, at least 1; overrides the config or preset.
    seed : int, optional
        Random seed, at least 0; overrides the config or preset.
    records : str or Path, optional
        Folder of the record cache (clips with their teacher vectors), to share it between runs; by default inside
        `run`.
    hop_s : float
        Seconds between the starts of two clips, above 0 and at most 2.
    events_only : bool
        Train on the manifest's annotated events only, instead of on whole recordings.
    ray_workers : int
        Number of Ray actors that compute the records; 0 computes them in this process.
    allow_duplicates : bool
        Go on although equal recordings are in test and in training.

    Returns
    -------
    Run
        The finished run, to pass to `quantize` and `export`.

    Raises
    ------
    InputError
        When the data or the teacher cannot be used, this machine cannot train the student, or `run` holds a run with
        other settings. Checked before training starts wherever possible.
    UsageError
        When `teacher`, `size`, `hop_s` or a training setting is not allowed.
    MissingExtraError
        When the teacher or `ray_workers` needs a package that is not installed.
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
    if "TF_CONFIG" in os.environ:  # several processes: set TensorFlow up before a teacher uses it
        strategy()
    opened, heard = open_teacher(teacher), None
    if ray_workers and not (folder / "weights.npz").is_file():
        from hearlite.data.cluster import write_records_on_ray
        from hearlite.data.records import Views
        from hearlite.distill.preflight import fingerprint_heard, require_feasible

        place = cache or folder / "records"
        student = student_spec(size, embedding_dim=opened.info.dim)
        require_feasible(dataset, student=student, train=train, records=place)  # before the workers spend hours
        heard = fingerprint_heard(dataset, folder=folder, allow_duplicates=allow_duplicates)
        views = Views(train.views, spec=train.view)
        write_records_on_ray(dataset, teacher=teacher, folder=place, views=views, actors=ray_workers)
    return run_distill(
        dataset,
        teacher=opened,
        size=size,
        train=train,
        folder=folder,
        records_folder=cache,
        heard=heard,
        allow_duplicates=allow_duplicates,
    )


def quantize(
    run: Run | PathLike,
    *,
    recipe: str = "auto",
    data: PathLike | Dataset | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    allow_failed_gate: bool = False,
    allow_duplicates: bool = False,
) -> Path:
    """Quantize a finished run and check the result against the float32 student.

    The quality gate compares the embeddings of both and, with `data`, the AUROC of probes fitted to them.

    Parameters
    ----------
    run : Run, str or Path
        A run from `distill`, or its folder.
    recipe : str
        Name of one of hearlite's recipes, path of a .json recipe, or "auto" for the first recipe that passes its gate.
        With "auto", the reasons why earlier recipes failed are printed to stderr.
    data : str, Path or Dataset, optional
        Labelled recordings (folder, manifest CSV or Dataset): the gate then limits the AUROC drop too, measured on
        subjects that are not in the test split.
    labels : sequence of str
        Label columns of `data`; each becomes one or more probe tasks.
    framing : str
        Padding of events shorter than 2 s in `data`, "context" or "zero-pad"; no effect on a Dataset.
    allow_failed_gate : bool
        Keep a file that fails its gate or self-test, marked as failed.
    allow_duplicates : bool
        Go on although equal recordings of `data` are in test and in training.

    Returns
    -------
    Path
        Folder of the kept recipe, with model.tflite and compare.json.

    Raises
    ------
    GateError
        When no recipe passes its gate, or the file fails its self-test.
    InputError
        When `run` is not a finished run, or `data` cannot be used.
    UsageError
        When the recipe is unknown.
    """
    from hearlite.benchmarks.probes.quantization_loss import QuantizationProbe
    from hearlite.data.copies import refuse_copies
    from hearlite.data.duplicates import fingerprint_recordings
    from hearlite.distill.replay import TrainingReplay
    from hearlite.embedders.self_test import check_embedder, require
    from hearlite.embedders.tflite import TfliteEmbedder
    from hearlite.quantize import pipeline as ptq
    from hearlite.quantize.recipe import AUTO, find_recipe

    opened = _run(run)
    dataset = _labelled(data, labels, framing)
    if dataset is not None:
        refuse_copies(dataset, fingerprint_recordings(dataset), allowed=allow_duplicates)
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
            print(printable(reason), file=sys.stderr)
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
    coordinates: str = COORDINATES[0],
    corpus: str = "",
    classifier_data: PathLike | Dataset | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    steps: Sequence[str] = (),
    events: str = "",
    event_classes: PathLike | None = None,
    event_labels: PathLike | Sequence[PathLike] = (),
    licence: str = "",
    notice: str = "",
    overwrite: bool = False,
    allow_failed_gate: bool = False,
) -> list[Path]:
    """Write self-contained .tflite files of a run, each with a manifest, model card and NOTICE.

    Every file contains the frontend: it takes 2 s of 16 kHz audio and outputs an embedding.

    Parameters
    ----------
    run : Run, str or Path
        A run from `distill`, or its folder.
    out : str or Path
        Folder for the files; created if missing.
    recipes : sequence of str
        Recipes that the run was quantized with, or "float32". By default the first recipe that passed its gate, and
        float32.
    coordinates : str
        "student", or "teacher": then existing classifiers of the teacher's embeddings take those of the file. What the
        student knows of each of the teacher's principal directions is measured on the run's validation subjects.
    corpus : str
        With the teacher's coordinates, of a run on several datasets: the name of the one whose classifiers shall fit.
    classifier_data : str, Path or Dataset, optional
        Labelled recordings. A linear classifier is fitted to their training subjects and becomes the second output of
        each file, `scores`.
    labels : sequence of str
        Label columns of `classifier_data`.
    framing : str
        Padding of events shorter than 2 s in `classifier_data`, "context" or "zero-pad"; no effect on a Dataset.
    steps : sequence of str
        Outputs over time, ten or so a window: "scores" of the classifier, "embedding", or both.
    events : str
        A network that scores events in sound, `tflite:FILE#OUTPUT` or `saved-model:DIR`: YAMNet, HeAR's event detectors
        or your own. A head of events is fitted to what it hears in the run's clips, without labels, and the file says
        when they begin and end (`Model.find_events`, `hearlite.listen`).
    event_classes : str or Path, optional
        A TOML file that says which of that network's outputs are which class; known for YAMNet and HeAR's.
    event_labels : str, Path or sequence of them
        Labelled recordings that the run was distilled on, column `label`: what it says is in them counts beside what
        the network hears, which may miss coughs that were recorded by telephone, for one.
    licence, notice : str
        Of the teacher, where it says nothing of its terms itself, as a .tflite file does not. They hold for the files.
    overwrite : bool
        Replace files that exist and have different content.
    allow_failed_gate : bool
        Write a file whose gate or self-test failed, marked as failed.

    Returns
    -------
    list of Path
        The .tflite files.

    Raises
    ------
    GateError
        When a file failed its gate or fails its self-test.
    InputError
        When `run` is not a finished run, was not quantized with a named recipe, a different file exists and
        `overwrite` is false, or `classifier_data` cannot be used, or for the teacher's coordinates there are too few
        validation subjects.
    UsageError
        When `coordinates` are neither, `corpus` is unknown or has no effect, nothing says which classes the scores of
        `events` are, or events come with a classifier or the teacher's coordinates.
    """
    from hearlite.benchmarks.probes.classifier_head import HeadProbe
    from hearlite.data.duplicates import training_fingerprints
    from hearlite.export.adapted_head import adapt_head as adapt
    from hearlite.export.event_scorer import EventScorer
    from hearlite.export.tflite import Terms, export_files
    from hearlite.quantize.recipe import AUTO

    opened = _run(run)
    if notice and not licence:
        raise UsageError("a notice has no licence", "name the teacher's licence, too")
    terms = Terms(licence, notice) if licence else None
    if events:
        if classifier_data is not None or coordinates != COORDINATES[0]:
            raise UsageError(
                "a file has one head, and events are found in the student's own coordinates",
                "export events without a classifier and without the teacher's coordinates",
            )
        places = [event_labels] if isinstance(event_labels, (str, Path)) else event_labels
        labelled = [load_dataset(Path(place), hop_s=DISTILL_HOP_S, label_columns=("label",)) for place in places]
        return adapt(
            EventScorer(events, classes=None if event_classes is None else Path(event_classes), labelled=labelled),
            opened,
            to=Path(out),
            names=tuple(recipes),
            preferred=AUTO,
            steps=tuple(steps),
            terms=terms,
            overwrite=overwrite,
            allow_failed_gate=allow_failed_gate,
        )
    if event_classes is not None or event_labels:
        raise UsageError(
            "classes and labels of events have no effect without events", "name the network that scores them"
        )
    dataset = _labelled(classifier_data, labels, framing)
    fitted_to = None if dataset is None else training_fingerprints(dataset)
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
        coordinates=coordinates,
        corpus=corpus,
        fit_head=fit_head,
        fitted_to=fitted_to,
        steps=tuple(steps),
        terms=terms,
        overwrite=overwrite,
        allow_failed_gate=allow_failed_gate,
    )


def adapt_head(
    head: Any,
    *,
    run: Run | PathLike,
    out: PathLike,
    recipes: Sequence[str] = (),
    labels: Sequence[str] = (),
    trusted: Sequence[str] = (),
    overwrite: bool = False,
    allow_failed_gate: bool = False,
) -> list[Path]:
    """Export files of a run with a classifier of the teacher's embeddings, fitted to the student without labels.

    The head scores the teacher's vectors in the run's records, and a linear classifier of the file's own embeddings of
    the same clips is fitted to these scores. It becomes the second output of `..._head.tflite`, `scores`. How well it
    agrees with the head on validation subjects stands in manifest and model card.

    Parameters
    ----------
    head : str, Path or estimator
        A fitted classifier of scikit-learn, or anything with `classes_` and `decision_function` or `predict_proba`; or
        a file: a linear head as .json (hearlite-head/1), the folder of a SavedModel, or a .skops.
    run : Run, str or Path
        A run from `distill` with the teacher whose embeddings the head takes, or its folder. Its records are needed.
    out : str or Path
        Folder for the files; created if missing.
    recipes : sequence of str
        Recipes that the run was quantized with, or "float32". By default the first recipe that passed its gate, and
        float32.
    labels : sequence of str
        Names of the scores in place of the head's own, in the order of its outputs; one for a classifier of two
        classes, whose second class is scored.
    trusted : sequence of str
        Types of scikit-learn in a .skops that skops doesn't know to be safe, such as the trees of a forest.
    overwrite : bool
        Replace files that exist and have different content.
    allow_failed_gate : bool
        Write a file whose gate or self-test failed, marked as failed.

    Returns
    -------
    list of Path
        The .tflite files.

    Raises
    ------
    GateError
        When a file failed its gate or fails its self-test.
    InputError
        When the head can't be read, takes embeddings of another dimension, outputs NaN or says the same of every clip,
        `run` is not a finished run with its records, or a different file exists and `overwrite` is false.
    UsageError
        When `head` is an object that is no fitted classifier, or `labels` are not as many as its outputs.
    MissingExtraError
        When skops is needed and not installed.
    """
    from hearlite.export.adapted_head import adapt_head as adapt
    from hearlite.export.foreign_head import read_head
    from hearlite.quantize.recipe import AUTO

    return adapt(
        read_head(head, labels=labels, trusted=trusted),
        _run(run),
        to=Path(out),
        names=tuple(recipes),
        preferred=AUTO,
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
    folds: int = 0,
    allow_duplicates: bool = False,
) -> Results:
    """Measure how much of the teacher's quality exported files retain.

    Classifiers ("probes") are fitted to the frozen embeddings of training subjects and scored on test subjects; no
    subject is in both.

    Parameters
    ----------
    data : str, Path or Dataset
        Labelled recordings: a folder, a manifest CSV or a Dataset from `load_dataset`, loaded with the columns named
        in `labels` and `subgroups`.
    models : sequence of str or Path
        Exported .tflite files, or names of models.
    teacher : str
        The teacher to compare with, named as for `distill`.
    out : str or Path
        Folder for results.json and report.html.
    labels : sequence of str
        Label columns; each becomes one or more probe tasks.
    subgroups : sequence of str
        Metadata columns, such as sex or device, whose groups are compared with each other.
    hop_s : float
        Seconds between the starts of two clips, above 0 and at most 2; no effect on a Dataset.
    framing : str
        Padding of events shorter than 2 s, "context" or "zero-pad". For a Dataset, pass the framing it was loaded with:
        it is recorded in the results.
    margin : float
        AUROC in (0, 0.5) that a model may lose against the teacher and still count as non-inferior. Choose it before
        the run.
    seed : int
        Seed of the folds and the bootstrap.
    folds : int
        Number of folds, 2 to 20, to cross-validate by subject: all subjects are scored whom no model was made from,
        each by probes that were fitted to others. 0 scores the subjects of the test split.
    allow_duplicates : bool
        Go on although test recordings are equal to some that trained probes or files; the results say so.

    Returns
    -------
    Results
        The content of results.json.

    Raises
    ------
    InputError
        When the labels define no task, a file is not an exported bundle, a file was distilled on test subjects or on
        their recordings, or equal recordings are in test and in training.
    UsageError
        When the teacher's name or the number of folds is not allowed.
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
    files = [find_model(model) for model in models]
    command = [
        "hearlite",
        "bench",
        dataset.name if isinstance(data, Dataset) else str(data),
        "--teacher",
        teacher,
        "--out",
        str(out),
    ]
    command += [part for model in models for part in ("--model", str(model))]
    command += [part for label in labels for part in ("--label", label)]
    bench(
        dataset,
        teacher=open_teacher(teacher),
        files=files,
        label_columns=tuple(labels),
        out=Path(out),
        command=shlex.join(command),
        seed=seed,
        framing=framing,
        subgroup_columns=tuple(subgroups),
        margin=margin,
        log=lambda line: print(printable(line), file=sys.stderr),
        folds=folds,
        allow_duplicates=allow_duplicates,
    )
    return read_results(Path(out) / "results.json")


def to_onnx(model: PathLike, *, out: PathLike, overwrite: bool = False) -> Path:
    """Write an exported file as ONNX, for onnxruntime on any platform.

    Parameters
    ----------
    model : str or Path
        A .tflite that hearlite exported, or the name of a model.
    out : str or Path
        Folder for the .onnx.
    overwrite : bool
        Replace a file that is there and different.

    Returns
    -------
    Path
        The .onnx: the same input, outputs, weights and scales. Both were run on a few sounds and compared.

    Raises
    ------
    InputError
        When the file can't be read, an operator is not translated, or another file is there.
    GateError
        When the two files disagree.
    MissingExtraError
        When `onnx` or `onnxruntime` is not installed.
    """
    from hearlite.onnx.write import write_onnx

    return write_onnx(find_model(model), Path(out), overwrite=overwrite)[0]


def _run(run: Run | PathLike) -> Run:
    return run if isinstance(run, Run) else open_run(Path(run))


def _labelled(data: PathLike | Dataset | None, labels: Sequence[str], framing: str) -> Dataset | None:
    if data is None or isinstance(data, Dataset):
        return data
    return load_dataset(Path(data), framing=framing, label_columns=tuple(labels))
