"""One training of a search for students, and its judgement by clips that the student has not heard.

It runs in a process of its own, which the search starts; everything it is given can be sent there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.experiments.ablation import train_variant
from hearlite.benchmarks.experiments.ablation_table import Probed, arrays_of, probe_vectors, probed_of
from hearlite.benchmarks.experiments.search_table import Fidelity, Trial
from hearlite.benchmarks.experiments.variants import Variant
from hearlite.benchmarks.probes.embeddings import TEACHER, Embedded, embed_clips
from hearlite.data.dataset import Dataset
from hearlite.embedders.base import Clips, Embedder, EmbedderInfo, Embeddings
from hearlite.errors import InputError
from hearlite.files import read_arrays, read_json, write_arrays, write_json
from hearlite.run import Run
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import QuantSpec, StudentSpec, TrainSpec, student_spec

_PROTOCOL = 2  # raise it whenever the figures of a finished training change, so that they are computed again
# Of the int8 file that shows whether a shape survives rounding: a quarter of what `hearlite quantize` takes.
_CALIBRATION_CLIPS, _COMPARED_CLIPS = 128, 128
_VALIDATION_CLIPS = 2_048


@dataclass(frozen=True)
class Search:
    """What all trainings of a search share. Processes get it as it is, so it holds no model."""

    sounds: Dataset  # to train on
    left_out: tuple[Dataset, ...]  # to judge by, none of whose subjects is trained on
    label_columns: tuple[str, ...]
    teacher: EmbedderInfo
    size: str  # of the students of candidates that name none
    train: TrainSpec
    out: Path

    def specs(self, candidate: Variant, *, seed: int = 0) -> tuple[StudentSpec, TrainSpec]:
        """Return the student and the recipe of a candidate."""
        student = student_spec(candidate.size or self.size, embedding_dim=self.teacher.dim)
        return candidate.specs(student, dataclasses.replace(self.train, seed=seed))

    def folder(self, candidate: Variant, seed: int) -> Path:
        """Return the run folder of a candidate and seed."""
        return self.out / f"{candidate.name}-s{seed}"

    def teacher_file(self, dataset: Dataset) -> Path:
        """Return the path of the teacher's vectors of a left-out dataset (.npz)."""
        return self.out / f"teacher-{dataset.name}.npz"

    def teacher_probes(self, dataset: Dataset) -> Probed | None:
        """Return the AUROCs of the teacher's probes on a left-out dataset; None if its labels make no task."""
        arrays = read_arrays(self.teacher_file(dataset))
        return probed_of(arrays) if "aurocs" in arrays else None

    def student_probes(self, candidate: Variant, seed: int, dataset: Dataset) -> Probed:
        """Return those of a student that was judged."""
        return probed_of(read_arrays(_probe_file(self.folder(candidate, seed), dataset)))

    def key(self, *more: Any) -> str:
        """Return the hash of what all figures depend on, and of `more`."""
        places = [[item.name, item.sha256, item.labels_sha256, len(item.clips)] for item in self.left_out]
        parts = [_PROTOCOL, self.sounds.sha256, self.teacher.fingerprint, places, self.label_columns, *more]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class _Recorded:
    """A teacher whose vectors are all in the record cache."""

    info: EmbedderInfo

    def embed(self, clips: Clips) -> Embeddings:
        raise InputError(f"{len(clips)} clips are missing from the records", "run the search again")


def embed_left_out(search: Search, teacher: Embedder) -> None:
    """Embed each left-out dataset by the teacher and probe it, unless that is done."""
    for dataset in search.left_out:
        path, key = search.teacher_file(dataset), search.key(dataset.name)
        if path.is_file() and str(read_arrays(path)["key"]) == key:
            continue
        embedded = embed_clips(dataset, {TEACHER: teacher})
        arrays = {"key": np.asarray(key), "clips": _clip_ids(embedded), "vectors": embedded.vectors[TEACHER]}
        try:
            arrays |= arrays_of(_probed(search, dataset, embedded, TEACHER))
        except InputError as error:
            click.echo(f"{dataset.name}: no retention of AUROC: {error}", err=True)
        write_arrays(path, arrays)


def _probed(search: Search, dataset: Dataset, embedded: Embedded, model: str) -> Probed:
    return probe_vectors(
        embedded.vectors[model], embedded.clips, positives=dataset.positives, label_columns=search.label_columns
    )


def _probe_file(folder: Path, dataset: Dataset) -> Path:
    return folder / f"probes-{dataset.name}.npz"


def _clip_ids(embedded: Embedded) -> NDArray[Any]:
    return np.asarray([f"{clip.name} {clip.start_s}" for clip in embedded.clips])


def try_candidate(search: Search, candidate: Variant, seed: int) -> Trial:
    """Train one candidate with one seed and judge it, or read what was found.

    Figures are kept in search.json of its run folder, AUROCs of probes beside it.
    """
    import tf_keras

    folder = search.folder(candidate, seed)
    key = search.key(*(to_dict(spec) for spec in search.specs(candidate, seed=seed)))
    known = _read_trial(folder, key)
    if known is not None:
        return known
    tf_keras.backend.clear_session()  # the graphs of the trainings before
    run, figures = train_variant(
        search.sounds,
        candidate,
        teacher=_Recorded(search.teacher),
        size=search.size,
        train=search.train,
        seed=seed,
        out=search.out,
    )
    trial = Trial(
        key=key,
        validation=_validate(search, run),
        left_out=tuple(_judge(search, run, dataset) for dataset in search.left_out),
        int8_centred_cosine=_int8_cosine(run),
        steps=int(figures.steps),
        minutes=figures.minutes,
    )
    write_json(folder / "search.json", to_dict(trial))
    return trial


def _read_trial(folder: Path, key: str) -> Trial | None:
    path = folder / "search.json"
    if not path.is_file():
        return None
    data = read_json(path)
    return from_dict(Trial, data, where=str(path)) if isinstance(data, dict) and data.get("key") == key else None


def _judge(search: Search, run: Run, dataset: Dataset) -> Fidelity:
    """Compare a student with its teacher on all clips of a left-out dataset; its probes are written beside the run."""
    from hearlite.student import StudentEmbedder

    of_teacher = read_arrays(search.teacher_file(dataset))
    embedded = embed_clips(dataset, {"": StudentEmbedder(run)})
    if not np.array_equal(_clip_ids(embedded), of_teacher["clips"]):
        raise InputError(f"{dataset.name}: its recordings have changed", "use another --out")
    if "aurocs" in of_teacher:
        write_arrays(_probe_file(run.folder, dataset), arrays_of(_probed(search, dataset, embedded, "")))
    return fidelity(dataset.name, run, embedded.vectors[""], of_teacher["vectors"])


def _validate(search: Search, run: Run) -> Fidelity:
    """Compare a student with its teacher on clips of validation subjects."""
    from hearlite.data.records import read_records, sample_examples
    from hearlite.student import StudentEmbedder

    pcm, vectors = sample_examples(read_records(run.records), "val", clips=_VALIDATION_CLIPS, seed=0)
    return fidelity(search.sounds.name, run, StudentEmbedder(run).embed(from_int16(pcm)), vectors)


def fidelity(name: str, run: Run, student: Embeddings, teacher: Embeddings) -> Fidelity:
    """Compare a student with its teacher in a frame of these very clips, the same for every run.

    The frame of a run's own targets depends on its training clips and their views, so cosines in it can't be compared.

    Parameters
    ----------
    name
        Of the clips' dataset.
    run
        The student's.
    student
        Its embeddings `[n, dim]`.
    teacher
        The teacher's of the same clips.
    """
    from hearlite.data.targets import Targets, fit_targets
    from hearlite.distill.validation_metrics import mean_cosine, probe_directions, random_probe_correlation

    frame = fit_targets(teacher, normalisation="centred")
    found, wanted = frame.forward(Targets.load(run.targets).backward(student)), frame.forward(teacher)
    return Fidelity(
        name,
        mean_cosine(found, wanted),
        random_probe_correlation(found, wanted, directions=probe_directions(frame)),
    )


def _int8_cosine(run: Run) -> float:
    """Return the mean centred cosine of a run's int8 file to its float32 one on clips of validation subjects."""
    from hearlite.data.records import read_records, sample_examples
    from hearlite.quantize.build import build
    from hearlite.quantize.calibrate import choose_calibration
    from hearlite.quantize.compare import compare_files
    from hearlite.student import load_network
    from hearlite.tflite.convert import convert_frontend, convert_network, join_frontend

    records, frontend = read_records(run.records), convert_frontend(run.spec.student.frontend)
    calibration = choose_calibration(records, clips=_CALIBRATION_CLIPS, seed=0)
    made = build(run, QuantSpec(), pcm=calibration.pcm, training=None)
    plain = convert_network(load_network(run.spec.student, run.weights))
    pcm = sample_examples(records, "val", clips=_COMPARED_CLIPS, seed=0)[0]
    files = [join_frontend(frontend, network) for network in (plain, made.network)]
    return compare_files(*files, pcm=pcm).centred_cosine
