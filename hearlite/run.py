"""The run folder, which distill writes and quantize and export read; they need nothing else.

spec.json      student, training, teacher and data as requested; compared on resume, never edited
targets.npz    mean, projection and inverse of the teacher's coordinates
state.npz      checkpoint of an unfinished training
weights.npz    the finished network, float32, by variable name; its presence means that distillation is finished
history.csv    one row per checkpoint
metrics.json   figures on validation subjects
heard.npz      fingerprints of the recordings of training and validation subjects (hearlite/data/duplicates.py)
records/       clips and teacher vectors (or elsewhere, see spec.json)
<recipe>/      one folder per quantization: recipe.json, calibration.json, compare.json (figures, limits, gate result,
               layers; hearlite/gate.py) and, where the gate passed or a failure was allowed, model.tflite
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlite.embedders.base import EmbedderInfo
from hearlite.errors import InputError
from hearlite.files import read_json, write_json
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import StudentSpec, TrainSpec

SCHEMA = "hearlite-run/1"


@dataclass(frozen=True)
class DatasetInfo:
    """The recordings that a run was trained on. The hash covers the clips, their subjects and splits."""

    name: str
    sha256: str
    train_clips: int
    train_subjects: int
    synthetic: bool
    trained_subjects: tuple[str, ...] = ()  # hashes of training and validation subjects; none may be a test subject


@dataclass(frozen=True)
class RunSpec:
    """The settings of a run, stored in its spec.json."""

    student: StudentSpec
    train: TrainSpec
    teacher: EmbedderInfo
    dataset: DatasetInfo
    records: str  # folder of the record cache, relative to the run folder if inside it


@dataclass(frozen=True)
class Run:
    """A run folder: its settings, and the paths of its files.

    Attributes
    ----------
    folder : Path
        The run folder.
    spec : RunSpec
        The settings it was started with.
    """

    folder: Path
    spec: RunSpec

    @property
    def targets(self) -> Path:
        """Mean, projection and inverse of the teacher's coordinates (.npz)."""
        return self.folder / "targets.npz"

    @property
    def state(self) -> Path:
        """Checkpoint of an unfinished training (.npz)."""
        return self.folder / "state.npz"

    @property
    def weights(self) -> Path:
        """The finished float32 network (.npz)."""
        return self.folder / "weights.npz"

    @property
    def history(self) -> Path:
        """Training history (.csv), one row per checkpoint."""
        return self.folder / "history.csv"

    @property
    def metrics(self) -> Path:
        """Figures on validation subjects (.json)."""
        return self.folder / "metrics.json"

    @property
    def heard(self) -> Path:
        """Fingerprints of the recordings that the run learns from (.npz); missing in runs of 0.1."""
        return self.folder / "heard.npz"

    @property
    def records(self) -> Path:
        """Folder of the record cache."""
        return self.folder / self.spec.records

    def quantized(self, recipe: str) -> Path:
        """Return the folder of the quantization by `recipe`."""
        return self.folder / recipe


def create_run(folder: Path, spec: RunSpec) -> Run:
    """Create a run folder, or open it to resume a run with the same settings.

    Raises
    ------
    InputError
        When the folder holds a run with other settings.
    """
    path = folder / "spec.json"
    expected = {"schema": SCHEMA, **to_dict(spec)}
    if path.exists():
        stored = _completed(read_json(path), where=str(path))
        if stored != expected:
            raise InputError(
                f"{folder} holds a run with other settings: {_difference(stored, expected)}",
                "choose another --run, or the same settings to resume",
            )
    else:
        write_json(path, expected)
    return Run(folder, spec)


def open_run(folder: Path, *, finished: bool = True) -> Run:
    """Open an existing run folder.

    Raises
    ------
    InputError
        When there is no run in it, or `finished` is true and its distillation is not.
    """
    path = folder / "spec.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a run folder: it has no spec.json", "make one with: hearlite distill")
    data = read_json(path)
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise InputError(f"{path}: its schema is not {SCHEMA}", "it was written by another version of hearlite")
    run = Run(folder, from_dict(RunSpec, data, where=str(path)))
    if finished and not run.weights.is_file():
        raise InputError(
            f"{folder}: its distillation is not finished", "run the same 'hearlite distill' again to resume it"
        )
    return run


def read_metrics(run: Run) -> dict[str, float]:
    """Read the figures that a run's distillation ended with.

    Raises
    ------
    InputError
        When the file is missing or holds anything but numbers, or lacks those that other stages read.
    """
    data = read_json(run.metrics, hint="distill the run again")
    if not isinstance(data, dict) or not all(type(value) in (int, float) for value in data.values()):
        raise InputError(f"{run.metrics}: it is no table of numbers", "distill the run again")
    if missing := {"val_centred_cosine", "val_clips"} - set(data):
        raise InputError(f"{run.metrics}: it lacks {sorted(missing)[0]}", "distill the run again")
    return data


def _completed(stored: Any, *, where: str) -> Any:
    """Return a stored spec with settings that did not exist when it was written, at the defaults they stand for."""
    if not isinstance(stored, dict) or stored.get("schema") != SCHEMA:
        return stored
    rest = {key: value for key, value in stored.items() if key != "schema"}
    try:
        return {"schema": SCHEMA, **to_dict(from_dict(RunSpec, rest, where=where))}
    except InputError:  # of another version, or edited: shown as it is
        return stored


def _difference(stored: Any, expected: Any, where: str = "") -> str:
    """Describe the first difference between two specs, for an error message."""
    if isinstance(stored, dict) and isinstance(expected, dict):
        for key in {**stored, **expected}:
            if stored.get(key) != expected.get(key):
                return _difference(stored.get(key), expected.get(key), f"{where}.{key}".lstrip("."))
    return f"{where} is {stored!r} there and {expected!r} now"
