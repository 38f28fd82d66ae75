"""Write what Python makes of examples of one's own sound, for the Kotlin core to repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.events.personal import fit_head, write_head
from hearlite.files import write_json

DIM = 24  # more than the points of the smallest case has, as a real embedding
CASES = {  # name: examples, other recordings, windows of each of these
    "cosine": (3, 0, 0),
    "few": (3, 5, 2),
    "one-long": (4, 1, 30),
    "many": (10, 40, 3),
}


def write_vectors(folder: Path) -> None:
    """Write `personal.json` and a head for each case: examples, others, new embeddings and their scores."""
    rng, cases = np.random.default_rng(0), {}
    for name, (examples, others, windows) in CASES.items():
        own = [_recording(rng, 3, 2.0) for _ in range(examples)]
        foreign = [_recording(rng, windows, 0.0) for _ in range(others)]
        head = fit_head(own, foreign, label="mine", model="m")
        new = np.concatenate([_recording(rng, 3, 2.0), _recording(rng, 3, 0.0)])
        write_head(folder / f"personal.{name}.json", head)
        cases[name] = {
            "examples": [item.tolist() for item in own],
            "others": [item.tolist() for item in foreign],
            "new": new.tolist(),
            "scores": head.scores(new).tolist(),
        }
    write_json(folder / "personal.json", cases)


def _recording(rng: np.random.Generator, windows: int, towards: float) -> NDArray[np.float32]:
    middle = rng.normal(0, 1, DIM)
    middle[:4] += towards
    return (middle + rng.normal(0, 0.2, (windows, DIM))).astype(np.float32)
