"""Write an exported file as ONNX beside its .tflite, if both say the same of the same sounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite import __version__
from hearlite.audio.clips import from_int16
from hearlite.bundle import Manifest, open_bundle
from hearlite.embedders.self_test import check_signals
from hearlite.errors import GateError, InputError
from hearlite.files import write_bytes
from hearlite.onnx.session import OnnxModel
from hearlite.onnx.translate import to_onnx
from hearlite.tflite.interpreter import TfliteModel

METADATA = "hearlite_manifest"  # key of the .onnx file's metadata, with the manifest as JSON
# Distance of an embedding to the .tflite's, of its length. In float32 only the order of sums differs. Of int8, values
# half way between two steps are rounded to either: at most 0.02 over hearlite-small and -tiny and these sounds.
FLOAT_TOLERANCE, INT8_TOLERANCE = 1e-4, 0.05


@dataclass(frozen=True)
class Parity:
    """How far the embeddings of two files are apart, over a few sounds."""

    median: float  # distance, of the embedding's length
    worst: float
    score: float  # largest difference of a score; 0 without a head
    tolerance: float  # for `worst`


def write_onnx(model: Path, out: Path, *, overwrite: bool = False) -> tuple[Path, Parity]:
    """Write NAME.onnx for NAME.tflite: the same input, outputs and numbers, for onnxruntime.

    Parameters
    ----------
    model : Path
        A .tflite that hearlite exported, with its manifest beside it.
    out : Path
        Folder for the file and its NOTICE.
    overwrite : bool
        Replace a file that is there and different.

    Returns
    -------
    Path and Parity
        The .onnx, and how it agrees with the .tflite.

    Raises
    ------
    InputError
        When the .tflite or its manifest can't be read, an operator is not translated, or another file is there.
    GateError
        When the two disagree; nothing is written then.
    MissingExtraError
        When `onnx` or `onnxruntime` is not installed.
    """
    _, manifest = open_bundle(model)
    metadata = {
        METADATA: manifest.inside().decode(),
        "licence": manifest.licence,
        "notice": manifest.notice,
        "tflite_sha256": manifest.tflite_sha256,
    }
    content = to_onnx(model.read_bytes(), metadata=metadata, producer_version=__version__)
    parity = compare(model, content, manifest)
    if not parity.worst <= parity.tolerance:
        raise GateError(
            f"{model.name}: its embeddings in ONNX are {parity.worst:.3g} of their length from those of the .tflite,"
            f" {parity.tolerance:g} is allowed",
            "report it with the file",
        )
    path = out / f"{model.stem}.onnx"
    if path.is_file() and path.read_bytes() != content and not overwrite:
        raise InputError(f"{path} exists and is different", "name another folder, or pass --overwrite")
    write_bytes(path, content)
    notice = model.with_name(f"{model.stem}.NOTICE.txt")
    if notice.is_file() and notice.parent.resolve() != out.resolve():
        write_bytes(out / notice.name, notice.read_bytes())
    return path, parity


def compare(model: Path | bytes, content: bytes, manifest: Manifest) -> Parity:
    """Return how far a .tflite and an .onnx are apart on the sounds of the self-test."""
    lite, onnx = TfliteModel(model), OnnxModel(content)
    distances, scores = [], [0.0]
    for pcm in check_signals().values():
        clip = from_int16(pcm)[None]
        expected, found = lite.run(clip), onnx.run(clip)
        length = float(np.linalg.norm(expected[manifest.output]))
        difference = float(np.linalg.norm(found[manifest.output] - expected[manifest.output]))
        distances.append(difference / length if length else difference)
        if manifest.head is not None:
            scores.append(float(np.abs(found[manifest.head.output] - expected[manifest.head.output]).max()))
    tolerance = FLOAT_TOLERANCE if manifest.precision == "f32" else INT8_TOLERANCE
    return Parity(float(np.median(distances)), max(distances), max(scores), tolerance)
