"""Reference models for every benchmark of cost: published encoders' architectures, SHAPE ONLY.

Their weights are random.

What they cost is real, what they embed is not. Built once by TensorFlow into the user's cache folder: python -m
hearlite.benchmarks.cost.reference_models NAME ...
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.benchmarks.cost.child_processes import tied
from hearlite.benchmarks.cost.footprint import footprint
from hearlite.benchmarks.schema.cost import SHAPE_ONLY, Footprint
from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.files import cache_folder
from hearlite.spec import AUDIO
from hearlite.writing import replacing

HEAR, HEAR_S, FRILL, MN04, MN10 = (
    "hear-shape",
    "hear-s-shape",
    "frill-shape",
    "efficientat-mn04-shape",
    "efficientat-mn10-shape",
)
_MADE = 1  # part of the file's name: raise it when a network below changes
_IMAGE_IN = "takes its spectrogram: the time of its own frontend is not in"


@dataclass(frozen=True)
class Shape:
    """A peer's architecture."""

    name: str
    audio_s: float  # that a call takes in
    parameters: int  # as published, or counted from the published geometry
    source: str
    note: str = ""


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            HEAR, AUDIO.clip_s, 303_200_000, "ViT-L of google/hear's model card and arXiv:2403.02522, with its frontend"
        ),
        Shape(
            HEAR_S,
            AUDIO.clip_s,
            21_628_000,
            "ViT-S/16 (arXiv:2012.12877, table 1) behind HeAR's frontend, as the public HeAR-s distills HeAR into",
            "without HeAR-s' convolutions between tokens",
        ),
        Shape(
            FRILL,
            0.96,
            10_120_000,
            "arXiv:2011.04609: MobileNetV3 Small, width 2, 96 x 64 log mel in, bottleneck 2048, no quantization",
            _IMAGE_IN,
        ),
        Shape(
            MN04,
            10.0,
            983_000,
            "github.com/fschmid56/EfficientAT, mn04_as: MobileNetV3 Large, width 0.4, 128 x 1000 mel of 10 s in",
            _IMAGE_IN,
        ),
        Shape(
            MN10,
            10.0,
            4_880_000,
            "github.com/fschmid56/EfficientAT, mn10_as: MobileNetV3 Large, width 1, 128 x 1000 mel of 10 s in",
            _IMAGE_IN,
        ),
    )
}


def shape_path(name: str, *, folder: Path | None = None) -> Path:
    """Where a shape's file is or will be. Raises UsageError for an unknown name."""
    if name not in SHAPES:
        raise UsageError(f"peer is {name!r}", f"use one of {', '.join(SHAPES)}, or --peer FILE.tflite")
    return (folder or cache_folder("peers")) / f"{name}-{_MADE}.tflite"


def shape_file(name: str, *, folder: Path | None = None) -> Path:
    """Return the shape's .tflite, built if it isn't there.

    In a process of its own, because converting the largest needs 12 GB.

    Raises UsageError for an unknown name, MissingExtraError without TensorFlow, InputError when the build fails.
    """
    path = shape_path(name, folder=folder)
    if path.is_file():
        return path
    done = subprocess.run(
        tied([sys.executable, "-m", "hearlite.benchmarks.cost.reference_models", "--to", str(path), name]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == MissingExtraError.exit_code:
        raise MissingExtraError(f"building {name}", "tensorflow", "train")
    if not path.is_file():
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise InputError(
            f"{name} could not be built: {why[:300]}", "the largest one needs 12 GB of memory and 1.3 GB of disk"
        )
    return path


def shape_footprint(name: str, *, folder: Path | None = None) -> Footprint:
    """Return what a shape's file costs by its own account, labelled SHAPE_ONLY."""
    shape = SHAPES[name]
    note = SHAPE_ONLY + (f"; {shape.note}" if shape.note else "")
    return footprint(
        shape_file(name, folder=folder), name=name, kind="shape", audio_s=shape.audio_s, note=note, source=shape.source
    )


def main(arguments: Sequence[str]) -> None:
    """Build the named shapes, or with `--to PATH NAME` one of them to a path."""
    try:
        from hearlite.benchmarks.cost.reference_networks import build
    except ModuleNotFoundError as error:
        raise MissingExtraError("building peers", "tensorflow", "train") from error
    to = Path(arguments[1]) if arguments[:1] == ["--to"] else None
    for name in arguments[2:] if to else arguments:
        path = to or shape_path(name)
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_bytes(build(name))
        print(f"{path}: {path.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    from hearlite.errors import HearliteError

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    try:
        main(sys.argv[1:])
    except HearliteError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
