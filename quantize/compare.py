"""How far an int8 file's embeddings are from its float32 file's, measured through both files, never simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.runtime import TfliteModel


@dataclass(frozen=True)
class Comparison:
    """Centred: the float32 mean is subtracted from both, since raw cosines of embeddings are near 1 whatever happens."""

    clips: int
    centred_cosine: float  # mean over clips
    centred_cosine_p5: float  # 5th percentile
    snr_db: float  # power of the centred float32 embeddings over that of the difference


def compare_files(reference: bytes, quantized: bytes, *, pcm: NDArray[np.int16]) -> Comparison:
    """Embed int16 `[n, clip_samples]` with both files and compare."""
    ours, theirs = (_embed(model, pcm) for model in (quantized, reference))
    mean = theirs.mean(axis=0)
    return compare_embeddings(theirs - mean, ours - mean)


def compare_embeddings(reference: NDArray[np.float32], other: NDArray[np.float32]) -> Comparison:
    """Compare two centred `[n, dim]`."""
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (reference * other).sum(axis=1) / np.maximum(norms, 1e-12)
    noise = float(((reference - other) ** 2).sum())
    return Comparison(
        clips=len(reference),
        centred_cosine=float(cosines.mean()),
        centred_cosine_p5=float(np.percentile(cosines, 5)),
        snr_db=float(10.0 * np.log10(float((reference**2).sum()) / max(noise, 1e-30))),
    )


def _embed(model: bytes, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    runner = TfliteModel(model)
    return np.concatenate([next(iter(runner.run(from_int16(clip[None])).values())) for clip in pcm])
