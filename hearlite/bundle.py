"""A bundle: one .tflite, its manifest (.json), model card (.md), NOTICE and the way back to the teacher's coordinates
(.inverse.npz).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.embedders.base import EmbedderInfo
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.files import read_arrays, read_json, sha256_of, write_arrays, write_bytes, write_json
from hearlite.gate import GateResult
from hearlite.run import DatasetInfo
from hearlite.self_test import GOLDEN_SIGNAL, TOLERANCE, CheckResult, check_signals
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import AUDIO, AudioSpec, StudentSpec
from hearlite.tflite.classifier import Head, require_fused
from hearlite.tflite.model_file import FILE_IDENTIFIER, read_metadata, summarize

SCHEMA = "hearlite-manifest/1"
METADATA_NAME = "hearlite_manifest"
_OUTSIDE = ("tflite_sha256", "golden_embedding")  # not in the copy inside the file: they depend on it


@dataclass(frozen=True)
class Metric:
    """One figure about the file, and what it was measured on."""

    name: str
    value: float
    on: str


@dataclass(frozen=True)
class Manifest:
    """Everything an app or a reader needs to use the file rightly. An app refuses a manifest that it doesn't match."""

    schema: str
    hearlite: str  # version that wrote it
    name: str  # of the .tflite, without folder
    size: str
    precision: str  # one of spec.PRECISION_NAMES
    signature: str
    input: str  # float32 [1, clip_samples] in [-1, 1)
    output: str  # float32 [1, dim]
    dim: int
    audio: AudioSpec
    student: StudentSpec
    teacher: EmbedderInfo
    licence: str
    notice: str
    dataset: DatasetInfo
    recipe: str  # "" for float32
    calibration_sha256: str  # "" for float32
    gate_passed: bool
    metrics: tuple[Metric, ...]
    parameters: int
    macs: int
    golden_signal: str
    golden_embedding: tuple[float, ...]
    quantization: GateResult | None = None  # None for float32: what quantization cost, against which limits
    golden_tolerance: float | None = (
        None  # largest distance from golden_embedding, of its length; None before manifests said it
    )
    head: Head | None = None  # None: the embedding is the only output
    tflite_sha256: str = ""  # "" in the copy inside the file, which can't know it

    def inside(self) -> bytes:
        """The copy that is stored in the .tflite: without the golden embedding and the hash, which depend on the
        file.
        """
        data = {key: value for key, value in to_dict(self).items() if key not in _OUTSIDE}
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


def manifest_path(model: Path) -> Path:
    return model.with_suffix(".json")


def _read(model: Path) -> bytes:
    """Raises InputError for a file that is missing or no .tflite, before anything is said of its manifest."""
    try:
        content = model.read_bytes()
    except OSError as error:
        raise InputError(f"{model}: {error.strerror or error}", "name a .tflite file") from error
    if content[4:8] != FILE_IDENTIFIER:
        raise InputError(
            f"{model}: not a .tflite file: its bytes 4 to 8 are not {FILE_IDENTIFIER.decode()!r}",
            "name one that 'hearlite export' wrote",
        )
    return content


def write_bundle(
    model: Path, content: bytes, manifest: Manifest, *, texts: Mapping[str, str], targets: Path, overwrite: bool = False
) -> None:
    """Write all files of a bundle; `texts` are further files by name suffix. Raises InputError when another file of
    that name is there.
    """
    if model.exists() and not overwrite and hashlib.sha256(content).hexdigest() != sha256_of(model):
        raise InputError(
            f"{model} is there already and differs", "choose another folder, or pass --overwrite to replace it"
        )
    for suffix, text in texts.items():
        write_bytes(model.with_name(model.stem + suffix), text.encode())
    arrays = read_arrays(targets)
    write_arrays(model.with_name(f"{model.stem}.inverse.npz"), {name: arrays[name] for name in ("mean", "inverse")})
    write_bytes(model, content)
    write_json(
        manifest_path(model), {**to_dict(manifest), "tflite_sha256": hashlib.sha256(content).hexdigest()}
    )  # last: it vouches for the rest


def read_manifest(model: Path) -> Manifest:
    """The manifest beside a .tflite, verified: schema, known fields, and the file's hash. Raises InputError."""
    path, content = manifest_path(model), _read(model)
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
    if manifest.precision not in TOLERANCE:
        raise InputError(f"{path}: precision is {manifest.precision!r}", f"this version knows {', '.join(TOLERANCE)}")
    if manifest.audio != AUDIO:
        raise InputError(f"{path}: its audio is {manifest.audio}", f"this version feeds {AUDIO}")
    if manifest.head is not None:
        manifest.head.require_valid(where=str(path))
    if hashlib.sha256(content).hexdigest() != manifest.tflite_sha256:
        raise InputError(
            f"{model}: its sha256 is not the manifest's",
            "the two files belong to different exports, or the .tflite is damaged",
        )
    own = {
        key: value for key, value in data.items() if key not in _OUTSIDE
    }  # as it was written: this version may know more fields
    if read_metadata(content, METADATA_NAME) != json.dumps(own, ensure_ascii=False).encode():
        raise InputError(
            f"{path}: it is not what {model.name} says of itself", "the manifest was edited; export the file again"
        )
    if manifest.head is not None:
        require_fused(content, manifest.head, where=str(model))
    return manifest


def open_bundle(model: Path, *, threads: int = 1) -> tuple[TfliteEmbedder, Manifest]:
    """An exported file as an Embedder that knows its teacher and licence, and its manifest."""
    manifest = read_manifest(model)
    embedder = TfliteEmbedder(model, output=manifest.output, threads=threads, name=manifest.name)
    embedder.info = dataclasses.replace(
        embedder.info, licence=manifest.licence, surrogate_note=manifest.teacher.surrogate_note, notice=manifest.notice
    )
    return embedder, manifest


def distinct_names(manifests: Sequence[Manifest]) -> list[str]:
    """The names of files; those of one name, as two int8 recipes give, with the recipe behind it."""
    count = Counter(manifest.name for manifest in manifests)
    return [f"{item.name} ({item.recipe or 'float32'})" if count[item.name] > 1 else item.name for item in manifests]


def check_scores(model: Path, manifest: Manifest) -> tuple[CheckResult, ...]:
    """Whether a head gives the golden signal's scores; nothing without a head. One score may differ by as much as the
    golden embedding may.
    """
    if manifest.head is None:
        return ()
    clip = from_int16(check_signals()[GOLDEN_SIGNAL][None])
    found = TfliteEmbedder(model, output=manifest.head.output).embed(clip)[0]
    worst, tolerance = (
        float(np.abs(found - np.asarray(manifest.head.golden_scores)).max()),
        TOLERANCE[manifest.precision],
    )
    return (CheckResult("golden scores", worst <= tolerance, f"largest difference {worst:.2g}, allowed {tolerance:g}"),)


def describe(model: Path) -> dict[str, object]:
    """What `hearlite info` prints of any .tflite file: operators and sizes, and the manifest's main facts when it has
    one.
    """
    content = _read(model)
    try:
        summary = summarize(content)
    except InputError as error:
        raise InputError(f"{model}: {error.message}", error.hint) from error
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
            "head": [
                f"{label.name}: out-of-fold AUROC {label.auroc:.3f}, threshold {label.threshold:.3g}"
                for label in manifest.head.labels
            ]
            if manifest.head
            else None,
            "metrics": [f"{metric.name}: {metric.value:.4f} on {metric.on}" for metric in manifest.metrics],
        }
    return facts
