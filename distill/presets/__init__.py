"""Training settings by name: one TOML file each in this folder. A size without a file has TrainSpec's defaults."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hearlite.errors import UsageError
from hearlite.serialization import load_toml
from hearlite.spec import STUDENTS, TrainSpec

FOLDER = Path(__file__).parent


def load_preset(
    name: str, *, teacher: str = "", config: Path | None = None, steps: int | None = None, seed: int | None = None
) -> TrainSpec:
    """Return the preset `name`, or the user's `config` file, with `steps` and `seed` replaced where given.

    For a `teacher` whose vectors were computed elsewhere there is one view of each clip: it knows no other.
    """
    preset = FOLDER / f"{name}.toml"
    known = sorted({path.stem for path in FOLDER.glob("*.toml")} | set(STUDENTS))
    if config is None and name not in known:
        raise UsageError(f"preset is {name!r}", f"use one of {', '.join(known)}")
    train = load_toml(TrainSpec, config or preset) if config or preset.is_file() else TrainSpec()
    if teacher.startswith("embeddings:"):
        train = dataclasses.replace(train, views=1)
    return dataclasses.replace(
        train, steps=train.steps if steps is None else steps, seed=train.seed if seed is None else seed
    )
