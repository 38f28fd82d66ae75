"""A random projection as a teacher, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips, digest
from hearlite.errors import UsageError
from hearlite.spec import HEAR_EMBEDDING_DIM

_MAX_FAKE_DIM = 8192
_FAKE_SEGMENTS = 20  # of 100 ms
_FAKE_BANDS = 24  # of equal width
_FAKE_HIDDEN = 64  # enough for a mapping that is not linear but can be learned


class FakeTeacher:
    """A teacher for tests that costs almost nothing: a small random network on log levels.

    The levels of a clip over time and frequency pass through a random layer, tanh and a second random layer.

    Parameters
    ----------
    dim : int
        Dimension of the vectors, 1 to 8192.
    seed : int
        Seed of the random layers, at least 0.

    Raises
    ------
    UsageError
        When a number is out of range.
    """

    def __init__(self, dim: int = HEAR_EMBEDDING_DIM, *, seed: int = 0) -> None:
        if not 1 <= dim <= _MAX_FAKE_DIM or seed < 0:
            raise UsageError(
                f"fake teacher with dim {dim} and seed {seed}", f"use 1 <= dim <= {_MAX_FAKE_DIM} and seed >= 0"
            )
        features = _FAKE_SEGMENTS + _FAKE_BANDS
        rng = np.random.default_rng(seed)
        self._first = rng.standard_normal((features, _FAKE_HIDDEN)) / np.sqrt(features)
        self._second = rng.standard_normal((_FAKE_HIDDEN, dim)) / np.sqrt(_FAKE_HIDDEN)
        name = f"fake:{dim}:{seed}"
        self.info = EmbedderInfo(
            name=name,
            kind="fake",
            dim=dim,
            licence="Apache-2.0",
            fingerprint=digest({"fake": 1, "dim": dim, "seed": seed, "layers": [features, _FAKE_HIDDEN]}),
            surrogate_note=f"{name} stands in for HeAR: a random projection for tests, its vectors mean nothing",
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`."""
        clips = as_clips(clips)
        rows = [np.tanh(_levels(clip) @ self._first) @ self._second for clip in clips]
        return np.asarray(rows, dtype=np.float32).reshape(len(clips), self.info.dim)


def _levels(clip: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the log RMS of each 100 ms and each band of a clip, relative to the clip's own level."""
    centred = clip.astype(np.float64) - clip.mean(dtype=np.float64)
    levelled = centred / (np.sqrt(np.mean(centred**2)) + 1e-8)
    power = np.abs(np.fft.rfft(levelled)[1:]) ** 2 / clip.size
    levels = [
        np.mean(part) for part in (*np.array_split(levelled**2, _FAKE_SEGMENTS), *np.array_split(power, _FAKE_BANDS))
    ]
    return np.asarray(np.log(np.asarray(levels) + 1e-3))
