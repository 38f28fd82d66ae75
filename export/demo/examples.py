"""Synthetic sounds for the demo's page: some to try, others, embedded once, as landmarks.

They are computed from equations: nobody breathed or coughed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import clip_starts_s, cut, from_int16, to_int16
from hearlite.audio.synth import CLASSES, DEVICES, draw_subject, recording
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.export.package import wav_bytes
from hearlite.spec import AUDIO

PER_CLASS = 8  # landmarks: 72 points can still be told apart on a phone
_DURATION_S = 4.0
_HEADSET = next(
    device for device in DEVICES if device.sample_rate_hz == AUDIO.sample_rate_hz
)  # no resampling between the two sides


@dataclass(frozen=True)
class Landmarks:
    """Where known sounds lie.

    All respiratory sounds lie on one side of a teacher's world, so cosines are taken from the middle of the examples.
    """

    labels: tuple[str, ...]  # [n]
    mean: NDArray[np.float32]  # [dim], of the examples' embeddings
    directions: NDArray[
        np.float32
    ]  # [n, dim]: embeddings less the mean, of length 1: a dot product is a centred cosine
    axes: NDArray[np.float32]  # [2, dim]: the first principal components of the directions
    shares: tuple[float, float]  # of the directions' squared length on each axis


def sound(label: str, number: int) -> tuple[NDArray[np.int16], float, float]:
    """Return a sound of class `label` by made-up subject `number`, and where it starts and ends.

    int16 `[samples]` at 16 kHz, and seconds.
    """
    rng = np.random.default_rng([CLASSES.index(label), number])
    heard, start_s, end_s = recording(
        label, rng=rng, subject=draw_subject(rng), device=_HEADSET, duration_s=_DURATION_S
    )
    return to_int16(heard.astype(np.float32)), start_s, end_s


def wav(label: str) -> bytes:
    """Return a sound to try, as 16-bit WAV, of a subject that is not among the landmarks."""
    return wav_bytes(sound(label, PER_CLASS)[0])


def landmarks(embedder: Embedder) -> Landmarks:
    """Embed PER_CLASS sounds of every class.

    Raises InputError for a model that gives them all the same embedding.
    """
    labels = [label for label in CLASSES for _ in range(PER_CLASS)]
    clips = np.stack([_clip(*sound(label, index % PER_CLASS)) for index, label in enumerate(labels)])
    embeddings = embedder.embed(clips).astype(np.float64)
    mean = embeddings.mean(axis=0)
    centred = embeddings - mean
    directions = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    _, singular, axes = np.linalg.svd(directions, full_matrices=False)
    total = float((singular**2).sum())
    if total <= 0.0:
        raise InputError(
            f"{embedder.info.name} gives one embedding for {len(labels)} different sounds",
            "the model is damaged: hearlite check FILE",
        )
    return Landmarks(
        labels=tuple(labels),
        mean=mean.astype(np.float32),
        directions=directions.astype(np.float32),
        axes=axes[:2].astype(np.float32),
        shares=(float(singular[0] ** 2 / total), float(singular[1] ** 2 / total)),
    )


def _clip(pcm: NDArray[np.int16], start_s: float, end_s: float) -> NDArray[np.float32]:
    samples = from_int16(pcm)
    (first,) = clip_starts_s(
        recording_s=len(samples) / AUDIO.sample_rate_hz, start_s=start_s, end_s=min(end_s, start_s + AUDIO.clip_s)
    )
    return cut(samples, start_s=first)
