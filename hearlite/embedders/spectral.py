"""Statistics of HeAR's spectrogram: a baseline for networks, and a teacher that runs anywhere."""

from __future__ import annotations

import numpy as np

from hearlite.audio.frontend import frontend_numpy
from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips, digest
from hearlite.serialization import to_dict
from hearlite.spec import HEAR_FRONTEND

_SPECTRAL_CHUNK = 8  # clips: 200 frames x 201 bins x 8 in float64 stay in the cache


class SpectralTeacher:
    """A surrogate teacher that needs no files: statistics of log1p of HeAR's mel-PCEN image.

    Per mel band these are the mean, the standard deviation, the maximum and the mean absolute difference between
    frames, `4 * mels` = 512 values. Like HeAR, it is insensitive to gain. Nothing is trained.
    """

    def __init__(self) -> None:
        self.info = EmbedderInfo(
            name="spectral",
            kind="spectral",
            dim=4 * HEAR_FRONTEND.mels,
            licence="Apache-2.0",
            fingerprint=digest(
                {
                    "spectral": 1,
                    "statistics": ["mean", "std", "max", "mean_abs_diff"],
                    "frontend": to_dict(HEAR_FRONTEND),
                }
            ),
            surrogate_note="spectral is a stand-in for HeAR: fixed statistics of its spectrogram, not a neural network",
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, 4 * mels]`."""
        clips = as_clips(clips)
        embeddings = np.empty((len(clips), self.info.dim), dtype=np.float32)
        for i in range(0, len(clips), _SPECTRAL_CHUNK):
            image = np.log1p(frontend_numpy(clips[i : i + _SPECTRAL_CHUNK], spec=HEAR_FRONTEND))  # [n, frames, mels]
            statistics = (
                image.mean(axis=1),
                image.std(axis=1),
                image.max(axis=1),
                np.abs(np.diff(image, axis=1)).mean(axis=1),
            )
            embeddings[i : i + _SPECTRAL_CHUNK] = np.concatenate(statistics, axis=1)
        return embeddings
