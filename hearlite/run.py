"""A run folder: the only hand-over between distill, quantize and export, and all that the latter two need.

- `spec.json`: what was asked for (student, training, teacher, data); compared on resume, never edited
- `targets.npz`: mean, projection and inverse of the teacher's coordinates
- `state.npz`: checkpoint of an unfinished training
- `weights.npz`: the finished network, float32, by variable name; its presence means that distillation is done
- `history.csv`: one row for each checkpoint
- `metrics.json`: figures on validation subjects
- `records/`: clips and teacher vectors (or elsewhere, see `spec.json`)
- `<recipe>/`: one folder for each quantization, with `recipe.json`, `calibration.json`, `compare.json` (figures,
  limits, verdict, layers; see hearlite/gate.py) and, where the gate was passed or failed files were allowed,
  `model.tflite`
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
    """Which recordings a run learned from. The hash covers the clips, their subjects and splits."""

    name: str
    sha256: str
    train_clips: int
    train_subjects: int
    synthetic: bool
    trained_subjects: tuple[
        str, ...
    ] = ()  # hashes of the training and validation subjects, who can be no test subjects


@dataclass(frozen=True)
class RunSpec:
    student: StudentSpec
    train: TrainSpec
    teacher: EmbedderInfo
    dataset: DatasetInfo
    records: str  # folder, relative to the run when it lies inside


@dataclass(frozen=True)
class Run:
    """Paths of a run folder, and its spec."""

    folder: Path
    spec: RunSpec

    @property
    def targets(self) -> Path:
        return self.folder / "targets.npz"

    @property
    def state(self) -> Path:
        return self.folder / "state.npz"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.npz"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def records(self) -> Path:
        return self.folder / self.spec.records

    def quantized(self, recipe: str) -> Path:
        return self.folder / recipe


def create_run(folder: Path, spec: RunSpec) -> Run:
    """A new run folder, or the same one again for resuming. Raises InputError when it belongs to another spec."""
    path = folder / "spec.json"
    wanted = {"schema": SCHEMA, **to_dict(spec)}
    if path.exists():
        found = read_json(path)
        if found != wanted:
            raise InputError(
                f"{folder} holds a run with other settings: {_difference(found, wanted)}",
                "choose another --run, or the same settings to resume",
            )
    else:
        write_json(path, wanted)
    return Run(folder, spec)


def open_run(folder: Path, *, finished: bool = True) -> Run:
    """An existing run. Raises InputError when there is none, or when it must be `finished` and isn't."""
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


def _difference(found: Any, wanted: Any, where: str = "") -> str:
    """The first place in which two specs differ, for an error that says what to change."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in {**found, **wanted}:
            if found.get(key) != wanted.get(key):
                return _difference(found.get(key), wanted.get(key), f"{where}.{key}".lstrip("."))
    return f"{where} is {found!r} there and {wanted!r} now"
