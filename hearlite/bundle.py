"""Read, write and describe bundles: an exported .tflite file with the files that belong to it.

These are the manifest (.json), model card (.md), NOTICE, and for an embedding in coordinates of its own the mean and
matrix that map it back to the teacher's (.inverse.npz). Fingerprints of the recordings that a student was made from
(.heard.npz) stand beside it for whoever measures the file; an app does not need them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.data.duplicates import Fingerprints
from hearlite.embedders.base import EmbedderInfo
from hearlite.embedders.self_test import GOLDEN_SIGNAL, TOLERANCE, CheckResult, check_signals
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.events.detector import EventRules
from hearlite.files import read_arrays, read_json, sha256_of, write_arrays, write_bytes, write_json
from hearlite.gate import GateResult
from hearlite.run import DatasetInfo
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import AUDIO, AudioSpec, StudentSpec
from hearlite.tflite.classifier import Head, require_fused
from hearlite.tflite.coordinates import TeacherCoordinates, inverse_path
from hearlite.tflite.model_file import read_metadata, read_tflite, summarize
from hearlite.tflite.steps import Steps
from hearlite.writing import locked

SCHEMA = "hearlite-manifest/1"
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")  # in Python, Kotlin, Swift, Dart and JavaScript alike
# Of the files of a bundle, after the stem that they share. The first three are always there.
SUFFIXES = (".tflite", ".json", ".NOTICE.txt", ".md", ".inverse.npz", ".heard.npz")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
METADATA_NAME = "hearlite_manifest"
_OUTSIDE = ("tflite_sha256", "golden_embedding")  # not in the copy inside the .tflite, as they depend on the file


@dataclass(frozen=True)
class Metric:
    """One figure about the file, with a description of the data it was measured on."""

    name: str
    value: float
    on: str


@dataclass(frozen=True)
class Manifest:
    """Everything that an app or a reader needs to use the file correctly.

    An app should refuse a manifest whose audio or signature it does not support.
    """

    schema: str  # "hearlite-manifest/1"
    hearlite: str  # version of hearlite that wrote it
    name: str  # of the .tflite, without folder
    size: str  # of the student: a key of spec.STUDENTS
    precision: str  # one of spec.PRECISION_NAMES
    signature: str  # of the .tflite, to call it by
    input: str  # name in the signature; float32 [1, clip_samples] in [-1, 1)
    output: str  # name in the signature; float32 [1, dim]
    dim: int  # of the embedding
    audio: AudioSpec  # what the input must be
    student: StudentSpec
    teacher: EmbedderInfo  # what the student was distilled from
    licence: str  # the teacher's, which the file inherits
    notice: str  # the teacher's, to be shown by an app
    dataset: DatasetInfo  # what the student was distilled on
    recipe: str  # "" for float32
    calibration_sha256: str  # "" for float32
    gate_passed: bool  # the quality gate of quantization, and the self-test
    metrics: tuple[Metric, ...]
    parameters: int
    macs: int  # multiply-accumulates for one clip
    golden_signal: str  # the sound of golden.wav, which `hearlite export --platform` writes
    golden_embedding: tuple[float, ...]  # what this file makes of it, for a self-test on the device
    quantization: GateResult | None = None  # result of the quality gate; None for float32
    # Largest allowed distance from golden_embedding, relative to its length; None in manifests of older versions.
    golden_tolerance: float | None = None
    head: Head | None = None  # None: the embedding is the only output
    coordinates: TeacherCoordinates | None = None  # None: the embedding has coordinates of its own
    steps: Steps | None = None  # outputs over time; None: there are none
    events: EventRules | None = None  # how scores over time become events; None: the head is not one of events
    # Of NAME.heard.npz, fingerprints of all recordings that the file was made from; "": not known.
    heard_sha256: str = ""
    tflite_sha256: str = ""  # "" in the copy inside the file, whose hash depends on that copy

    def require_valid(self, *, where: str, file_name: str) -> None:
        """Raise InputError for values that have the right type but are not valid.

        Names that become code in an app's snippet must be identifiers, and `name` must be the file's own.

        Parameters
        ----------
        where : str
            The manifest, for messages.
        file_name : str
            Name of the .tflite beside it, without folder.
        """
        names = {"signature": self.signature, "input": self.input, "output": self.output}
        if self.head is not None:
            self.head.require_valid(where=where)
            names["head.output"] = self.head.output
        if self.coordinates is not None:
            self.coordinates.require_valid(where=where)
        if self.steps is not None:
            self.steps.require_valid(where=where)
            names |= {
                f"steps.{key}": name
                for key, name in (("embedding", self.steps.embedding), ("scores", self.steps.scores))
                if name
            }
        if self.events is not None:
            self._require_events(self.events, where=where)
        for field, name in names.items():
            if not IDENTIFIER.fullmatch(name):
                raise InputError(
                    f"{where}: {field} is {name!r:.80}", "expected an identifier: up to 64 letters, digits and _"
                )
        if not FILE_NAME.fullmatch(self.name) or self.name != file_name:
            raise InputError(
                f"{where}: name is {self.name!r:.200}, and the file is called {file_name!r:.200}",
                "give the file its name from the export again, of letters, digits and . _ -",
            )
        if self.precision not in TOLERANCE:
            raise InputError(
                f"{where}: precision is {self.precision!r:.80}", f"this version supports {', '.join(TOLERANCE)}"
            )
        if self.audio != AUDIO:
            raise InputError(f"{where}: its audio is {self.audio}", f"this version supports only {AUDIO}")
        if self.dim < 1 or len(self.golden_embedding) != self.dim:
            raise InputError(f"{where}: dim is {self.dim} and golden_embedding has {len(self.golden_embedding)} values")
        if min(self.parameters, self.macs) < 0 or (self.golden_tolerance or 0.0) > 1:
            raise InputError(
                f"{where}: parameters is {self.parameters}, macs {self.macs}, golden_tolerance {self.golden_tolerance}",
                "counts can't be negative, and a tolerance is relative: at most 1",
            )

    def _require_events(self, events: EventRules, *, where: str) -> None:
        events.require_valid(where=where)
        labels = [label.name for label in self.head.labels] if self.head else []
        if labels != [item.label for item in events.classes] or self.steps is None or not self.steps.scores:
            raise InputError(
                f"{where}: it has rules for events of {', '.join(item.label for item in events.classes)!r:.500}",
                "expected a head with the same labels, and its scores over time",
            )
        if events.step_s != self.steps.step_s:
            raise InputError(f"{where}: steps are {self.steps.step_s} s, those of events {events.step_s} s")

    def inside(self) -> bytes:
        """Return the JSON copy that is stored in the .tflite.

        It lacks the golden embedding and the hash, which depend on the file.
        """
        data = {key: value for key, value in to_dict(self).items() if key not in _OUTSIDE}
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


def manifest_path(model: Path) -> Path:
    """Return the path of the manifest that belongs to a .tflite file."""
    return model.with_suffix(".json")


def heard_path(model: Path) -> Path:
    """Return the path of the fingerprints that belong to a .tflite file."""
    return model.with_name(f"{model.stem}.heard.npz")


def read_heard(model: Path, manifest: Manifest) -> Fingerprints | None:
    """Return the fingerprints of all recordings that a file was made from.

    Returns None where they are not known: for files of version 0.1, and where the .heard.npz is no longer beside the
    file.

    Raises
    ------
    InputError
        When the .heard.npz is not the one that the manifest names, or damaged.
    """
    path = heard_path(model)
    if not manifest.heard_sha256 or not path.is_file():
        return None
    if sha256_of(path) != manifest.heard_sha256:
        raise InputError(f"{path}: its sha256 is not the manifest's", "it belongs to another export, or is damaged")
    return Fingerprints.load(path)


def write_bundle(
    model: Path,
    content: bytes,
    manifest: Manifest,
    *,
    texts: Mapping[str, str],
    targets: Path,
    heard: bytes = b"",
    overwrite: bool = False,
) -> None:
    """Write all files of a bundle, the manifest last.

    Parameters
    ----------
    model : Path
        The .tflite to write; the other files are named after it.
    content : bytes
        The .tflite flatbuffer.
    manifest : Manifest
        Its manifest; the hash is filled in here.
    texts : mapping of str to str
        Further text files by the suffix of their name, such as ".md".
    targets : Path
        The run's targets.npz, from which `mean` and `inverse` are copied for a file in coordinates of its own.
    heard : bytes
        Content of the .heard.npz; empty if it is not known what the student has heard.
    overwrite : bool
        Replace a .tflite of the same name and different content.

    Raises
    ------
    InputError
        When such a file exists and `overwrite` is false, or another process is writing in its folder.
    """
    with locked(model.parent, output=model):
        if model.exists() and not overwrite and hashlib.sha256(content).hexdigest() != sha256_of(model):
            raise InputError(
                f"{model} is there already and differs", "choose another folder, or pass --overwrite to replace it"
            )
        for suffix, text in texts.items():
            write_bytes(model.with_name(model.stem + suffix), text.encode())
        if manifest.coordinates is None:
            arrays = read_arrays(targets)
            if missing := {"mean", "inverse"} - set(arrays):
                raise InputError(f"{targets}: it lacks {sorted(missing)[0]}", "distill the run again")
            write_arrays(inverse_path(model), {name: arrays[name] for name in ("mean", "inverse")})
        if heard:
            write_bytes(heard_path(model), heard)
        write_bytes(model, content)
        # Last, so that a manifest is there only if all other files are.
        write_json(manifest_path(model), {**to_dict(manifest), "tflite_sha256": hashlib.sha256(content).hexdigest()})


def read_manifest(model: Path) -> Manifest:
    """Return the verified manifest beside a .tflite file.

    Checks its schema and fields, the hash of the .tflite, and that it equals the copy inside the file.

    Raises
    ------
    InputError
        When either file is missing or damaged, or the two do not belong together.
    """
    path, content = manifest_path(model), read_tflite(model)
    if not path.is_file():
        raise InputError(
            f"{model}: its manifest {path.name} is missing",
            "keep the .json beside the .tflite that 'hearlite export' wrote",
        )
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: its schema is not {SCHEMA}", "it was written by another version, or is not a hearlite manifest"
        )
    manifest = from_dict(Manifest, data, where=str(path))
    manifest.require_valid(where=str(path), file_name=model.name)
    if hashlib.sha256(content).hexdigest() != manifest.tflite_sha256:
        raise InputError(
            f"{model}: its sha256 is not the manifest's",
            "the two files belong to different exports, or the .tflite is damaged",
        )
    # From the JSON as it was written, not from the dataclass: this version may have more fields.
    inside = {key: value for key, value in data.items() if key not in _OUTSIDE}
    if read_metadata(content, METADATA_NAME, where=str(model)) != json.dumps(inside, ensure_ascii=False).encode():
        raise InputError(
            f"{path}: it differs from the copy inside {model.name}", "the manifest was edited; export the file again"
        )
    if manifest.head is not None:
        require_fused(content, manifest.head, where=str(model))
    return manifest


def open_bundle(model: Path, *, threads: int = 1) -> tuple[TfliteEmbedder, Manifest]:
    """Open an exported file as an Embedder with the licence and notes of its manifest.

    Parameters
    ----------
    model : Path
        The .tflite file, with its manifest beside it.
    threads : int
        Number of CPU threads, at least 1.

    Returns
    -------
    tuple of TfliteEmbedder and Manifest

    Raises
    ------
    InputError
        When the bundle is missing, damaged or inconsistent.
    """
    manifest = read_manifest(model)
    embedder = TfliteEmbedder(model, output=manifest.output, threads=threads, name=manifest.name)
    embedder.info = dataclasses.replace(
        embedder.info, licence=manifest.licence, surrogate_note=manifest.teacher.surrogate_note, notice=manifest.notice
    )
    return embedder, manifest


def distinct_names(manifests: Sequence[Manifest]) -> list[str]:
    """Return the names of files, with the recipe appended where several files share a name.

    Files of one run by two int8 recipes do.
    """
    count = Counter(manifest.name for manifest in manifests)
    return [f"{item.name} ({item.recipe or 'float32'})" if count[item.name] > 1 else item.name for item in manifests]


def check_scores(model: Path, manifest: Manifest) -> tuple[CheckResult, ...]:
    """Check that a classifier head outputs the manifest's scores for the golden signal.

    A score may differ by as much as the golden embedding may. Returns () for a file without a head.
    """
    if manifest.head is None:
        return ()
    clip = from_int16(check_signals()[GOLDEN_SIGNAL][None])
    scores = TfliteEmbedder(model, output=manifest.head.output).embed(clip)[0]
    if len(scores) != len(manifest.head.golden_scores):
        return (CheckResult("golden scores", False, "the manifest has none"),)
    worst = float(np.abs(scores - np.asarray(manifest.head.golden_scores)).max())
    tolerance = TOLERANCE[manifest.precision]
    return (CheckResult("golden scores", worst <= tolerance, f"largest difference {worst:.2g}, allowed {tolerance:g}"),)


def describe(model: Path) -> dict[str, object]:
    """Return the facts that `hearlite info` prints about any .tflite file.

    These are its operators and sizes and, if a manifest is beside it, the manifest's main fields.

    Raises
    ------
    InputError
        When the file is missing or damaged, or its manifest does not match it.
    """
    content = read_tflite(model)
    summary = summarize(content, where=str(model))
    facts: dict[str, object] = {
        "file": str(model),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": summary.parameters,
        "macs": summary.macs,
        "ops": dict(sorted(summary.counts().items())),
        "not builtin": summary.not_builtin(),
    }
    if manifest_path(model).is_file():
        manifest = read_manifest(model)
        facts |= {
            "size": manifest.size,
            "precision": manifest.precision,
            "teacher": manifest.teacher.name,
            "stand-in": manifest.teacher.surrogate_note,
            "licence": manifest.licence,
            "recipe": manifest.recipe,
            "gate passed": manifest.gate_passed,
            "network macs": summary.network_macs,
            "head": [label.summary() for label in manifest.head.labels] if manifest.head else None,
            "metrics": [f"{metric.name}: {metric.value:.4f} on {metric.on}" for metric in manifest.metrics],
        }
    return facts
