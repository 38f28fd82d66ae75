"""The interface shared by teachers, float students, .tflite files and baselines."""

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
    """Description of an embedder. `fingerprint` changes whenever its embeddings could."""

    name: str  # as the user wrote it, such as "spectral" or "hear:/data/hear"
    kind: str  # spectral | saved-model | hear | tflite | embeddings | fake | student
    dim: int
    licence: str  # SPDX id or a short text; "unknown" if it is not recorded
    fingerprint: str  # sha256, in hexadecimal, of what defines the embedder (files, constants)
    surrogate_note: str = ""  # which network stands in for HeAR, first line of every report; "" for HeAR itself
    notice: str = ""  # text that must travel with anything derived from it


class Embedder(Protocol):
    """Anything that turns 2 s clips into vectors."""

    @property
    def info(self) -> EmbedderInfo:
        """Name, kind, dimension, licence and fingerprint."""
        ...

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`.

        A clip's vector never depends on the other clips in the batch.
        """
        ...


def as_clips(clips: NDArray[np.generic]) -> Clips:
    """Check that `clips` are finite float32 `[n, clip_samples]` and return them.

    HeAR silently accepts other lengths and returns a plausible vector, so lengths are checked here. Raises InputError
    for another shape or dtype and for samples that are not finite.
    """
    if clips.ndim != 2 or clips.shape[1] != AUDIO.clip_samples:
        raise InputError(
            f"clips have shape {list(clips.shape)}",
            f"expected [n, {AUDIO.clip_samples}] ({AUDIO.clip_s:g} s at {AUDIO.sample_rate_hz} Hz)",
        )
    if clips.dtype != np.float32:
        raise InputError(
            f"clips have dtype {clips.dtype}",
            "expected float32 in [-1, 1); use hearlite.audio.from_int16 for PCM",
        )
    if not np.isfinite(clips).all():
        raise InputError("clips hold NaN or infinite samples", "remove them before embedding")
    return np.asarray(clips, dtype=np.float32)


def digest(constants: dict[str, object]) -> str:
    """Return the sha256 of constants that JSON can hold, in hexadecimal, for a fingerprint."""
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()
