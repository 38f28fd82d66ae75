"""The one interface that teacher, float student, int8 file and baselines share: benchmarks can't tell them apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.spec import AUDIO

Clips = NDArray[np.float32]  # [n, clip_samples] in [-1, 1)
Embeddings = NDArray[np.float32]  # [n, dim]


@dataclass(frozen=True)
class EmbedderInfo:
    """Who made an embedding. `fingerprint` changes whenever the embedding of a clip could."""

    name: str  # as a user wrote it, e.g. "spectral", "hear:/data/hear"
    kind: str  # spectral | saved-model | hear | tflite | embeddings | fake
    dim: int
    licence: str  # SPDX id or a short text; "unknown" when nobody said
    fingerprint: str  # sha256 hex of what defines it (files, constants)
    surrogate_note: str = ""  # why this is not HeAR, shown in the first line of every report; "" for HeAR itself
    notice: str = ""  # text that must travel with anything derived from it


class Embedder(Protocol):
    """Anything that turns 2 s clips into vectors."""

    @property
    def info(self) -> EmbedderInfo: ...

    def embed(self, clips: Clips) -> Embeddings:
        """float32 `[n, clip_samples]` in [-1, 1) -> float32 `[n, dim]`. A clip's vector never depends on its neighbours
        in the batch.
        """
        ...


def as_clips(clips: NDArray[np.generic]) -> Clips:
    """`clips` as a checked float32 `[n, clip_samples]`. Raises InputError for another shape, dtype or non-finite
    samples.

    HeAR silently accepts other lengths and returns a plausible vector, so lengths are checked here.
    """
    if clips.ndim != 2 or clips.shape[1] != AUDIO.clip_samples:
        raise InputError(
            f"clips have shape {list(clips.shape)}",
            f"expected [n, {AUDIO.clip_samples}] ({AUDIO.clip_s:g} s at {AUDIO.sample_rate_hz} Hz)",
        )
    if clips.dtype != np.float32:
        raise InputError(
            f"clips have dtype {clips.dtype}",
            "expected float32 in [-1, 1); use hearlite.audio.decode.from_int16 for PCM",
        )
    if not np.isfinite(clips).all():
        raise InputError("clips hold NaN or infinite samples", "remove them before embedding")
    return np.asarray(clips, dtype=np.float32)


def digest(constants: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()
