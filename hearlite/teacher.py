"""What a student learns from: HeAR itself, a peer network, vectors computed elsewhere, or a stand-in. All are Embedders.

`open_teacher` is the only way in for commands; distillation and benchmarks see the interface in embedder.py and can't tell teachers apart.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from hearlite.embedder import Clips, Embedder, EmbedderInfo, Embeddings, as_clips
from hearlite.errors import UsageError
from hearlite.frontend import frontend_numpy
from hearlite.runtime import TfliteEmbedder
from hearlite.saved_model import HearTeacher, SavedModelTeacher
from hearlite.spec import HEAR_EMBEDDING_DIM, HEAR_FRONTEND, to_dict

KINDS = {
    "spectral": "statistics of HeAR's spectrogram, no network",
    "fake[:DIM[:SEED]]": "a seeded random projection, for tests",
    "hear:DIR": "Google's HeAR, the gated SavedModel",
    "saved-model:DIR": "another SavedModel that takes 2 s waveforms",
    "tflite:FILE[#OUTPUT]": "a .tflite file that takes a waveform",
    "embeddings:FILE.parquet": "vectors that hearlite embed wrote",
}
_SPECTRAL_CHUNK = 8  # clips: 200 frames x 201 bins x 8 in float64 stay in the cache
_MAX_FAKE_DIM = 8192
_FAKE_SEGMENTS, _FAKE_BANDS, _FAKE_HIDDEN = 20, 24, 64  # 100 ms each; equally wide; enough for a non-linear but learnable map


def open_teacher(text: str, *, threads: int | None = None) -> Embedder:
    """The teacher that `text` names, one of KINDS. `threads` is for the networks; None leaves TensorFlow's choice, and 1 for a .tflite.

    Raises UsageError for an unknown kind or a malformed one, and what the teachers raise.
    """
    kind, colon, rest = text.partition(":")
    if text == "spectral":
        return SpectralTeacher()
    if kind == "fake" and (rest or not colon):
        return _fake(rest, text=text)
    if kind == "hear" and rest:
        return HearTeacher(rest, threads=threads)
    if kind == "saved-model" and rest:
        return SavedModelTeacher(rest, threads=threads)
    if kind == "tflite" and rest:
        path, _, output = rest.partition("#")
        return TfliteEmbedder(path, output=output or None, threads=threads or 1)
    if kind == "embeddings" and rest:
        from hearlite.embeddings_file import EmbeddingsTeacher  # pyarrow takes a quarter of a second to load

        return EmbeddingsTeacher(rest)
    raise _malformed(text)


class SpectralTeacher:
    """A stand-in that anyone may use: per mel band the mean, standard deviation, maximum and mean absolute frame-to-frame difference of
    log1p of HeAR's mel-PCEN image. It hears gain no more than HeAR does; nothing is trained.
    """

    def __init__(self) -> None:
        self.info = EmbedderInfo(
            name="spectral",
            kind="spectral",
            dim=4 * HEAR_FRONTEND.mels,
            licence="Apache-2.0",
            fingerprint=_digest({"spectral": 1, "statistics": ["mean", "std", "max", "mean_abs_diff"], "frontend": to_dict(HEAR_FRONTEND)}),
            standin="spectral is a stand-in for HeAR: fixed statistics of its spectrogram, not a neural network",
        )

    def embed(self, clips: Clips) -> Embeddings:
        """float32 `[n, clip_samples]` in [-1, 1) -> float32 `[n, 4 * mels]`."""
        clips = as_clips(clips)
        embeddings = np.empty((len(clips), self.info.dim), dtype=np.float32)
        for i in range(0, len(clips), _SPECTRAL_CHUNK):
            image = np.log1p(frontend_numpy(clips[i : i + _SPECTRAL_CHUNK], spec=HEAR_FRONTEND))  # [n, frames, mels]
            statistics = (image.mean(axis=1), image.std(axis=1), image.max(axis=1), np.abs(np.diff(image, axis=1)).mean(axis=1))
            embeddings[i : i + _SPECTRAL_CHUNK] = np.concatenate(statistics, axis=1)
        return embeddings


class FakeTeacher:
    """A teacher that costs nothing, for tests: log levels over time and frequency through a seeded random layer, tanh and another."""

    def __init__(self, dim: int = HEAR_EMBEDDING_DIM, *, seed: int = 0) -> None:
        if not 1 <= dim <= _MAX_FAKE_DIM or seed < 0:
            raise UsageError(f"fake teacher with dim {dim} and seed {seed}", f"use 1 <= dim <= {_MAX_FAKE_DIM} and seed >= 0")
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
            fingerprint=_digest({"fake": 1, "dim": dim, "seed": seed, "layers": [features, _FAKE_HIDDEN]}),
            standin=f"{name} stands in for HeAR: a random projection for tests, its vectors mean nothing",
        )

    def embed(self, clips: Clips) -> Embeddings:
        """float32 `[n, clip_samples]` in [-1, 1) -> float32 `[n, dim]`."""
        clips = as_clips(clips)
        rows = [np.tanh(_levels(clip) @ self._first) @ self._second for clip in clips]
        return np.asarray(rows, dtype=np.float32).reshape(len(clips), self.info.dim)


def _levels(clip: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log RMS of each 100 ms and each band of a clip, relative to the clip's own level."""
    centred = clip.astype(np.float64) - clip.mean(dtype=np.float64)
    levelled = centred / (np.sqrt(np.mean(centred**2)) + 1e-8)
    power = np.abs(np.fft.rfft(levelled)[1:]) ** 2 / clip.size
    levels = [np.mean(part) for part in (*np.array_split(levelled**2, _FAKE_SEGMENTS), *np.array_split(power, _FAKE_BANDS))]
    return np.asarray(np.log(np.asarray(levels) + 1e-3))


def _fake(parameters: str, *, text: str) -> FakeTeacher:
    parts = [part for part in parameters.split(":") if parameters]
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise _malformed(text)
    dim = int(parts[0]) if parts else HEAR_EMBEDDING_DIM
    return FakeTeacher(dim, seed=int(parts[1]) if len(parts) == 2 else 0)


def _malformed(text: str) -> UsageError:
    return UsageError(f"teacher is {text!r}", "use one of " + ", ".join(f"{kind} ({what})" for kind, what in KINDS.items()))


def _digest(constants: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()
