"""The self-test of an embedding model.

It is the same after distilling, quantizing and exporting, and on a device. The model embeds signals that are computed
from formulas, so that any implementation can reproduce them; `check_embedder` lists the properties that the embeddings
must have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.embedders.base import Embedder, Embeddings
from hearlite.errors import GateError
from hearlite.spec import AUDIO

GOLDEN_SIGNAL = "chirp"
# Largest allowed distance between two embeddings, relative to their length, by precision. Float kernels of different
# CPUs differ by 1e-6. In one window of fifty that moves a value of the image across the edge of an int8 step, and the
# embedding is then off by up to 0.057 (measured in Chromium).
TOLERANCE = {"f32": 1e-3, "f16": 1e-3, "w8": 1e-3, "d8": 0.1, "i8": 0.1}


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check, with its figures as text."""

    name: str
    passed: bool
    detail: str


def check_signals() -> dict[str, NDArray[np.int16]]:
    """Return the test signals by name, int16 `[clip_samples]` each.

    All come from formulas; the noise is a 32-bit linear congruential generator (Numerical Recipes).
    """
    full = AUDIO.pcm_full_scale
    t = np.arange(AUDIO.clip_samples) / AUDIO.sample_rate_hz
    state, noise = np.uint64(1), np.empty(AUDIO.clip_samples)
    for i in range(AUDIO.clip_samples):
        state = (state * np.uint64(1_664_525) + np.uint64(1_013_904_223)) & np.uint64(0xFFFFFFFF)
        noise[i] = float(state) / 2**31 - 1.0
    swell = np.sin(np.pi * t / AUDIO.clip_s) ** 2
    signals = {
        "silence": np.zeros_like(t),
        "noise": 0.1 * noise,
        "quiet_noise": 2.0 / full * noise,
        "tone": 0.5 * np.sin(2 * np.pi * 440.0 * t),
        "chirp": swell * (0.5 * np.sin(2 * np.pi * (100.0 * t + 700.0 * t**2)) + 0.02 * noise),  # 100–2900 Hz
        "clipped": 4.0 * np.sin(2 * np.pi * 200.0 * t),
        "extremes": np.where(np.arange(AUDIO.clip_samples) % 2, 1.0, -1.0),
        "offset": 0.6 + 0.05 * noise,
    }
    return {
        name: np.clip(np.round(full * signal), -full, full - 1).astype(np.int16) for name, signal in signals.items()
    }


def golden_embedding(embedder: Embedder) -> list[float]:
    """Return the embedding of GOLDEN_SIGNAL, for the manifest."""
    return [float(value) for value in embedder.embed(from_int16(check_signals()[GOLDEN_SIGNAL][None]))[0]]


def check_embedder(
    embedder: Embedder, *, precision: str, golden: Sequence[float] | None = None
) -> tuple[CheckResult, ...]:
    """Run the self-test and return the outcome of every check.

    Embeddings must be finite, the same alone and in a batch, repeatable, unchanged at half the gain, different for
    different signals, and equal to the golden embedding. If they are not finite, no other check runs.

    Parameters
    ----------
    embedder : Embedder
        The model to check.
    precision : str
        A key of spec.PRECISION_NAMES, such as "i8"; sets the tolerance.
    golden : sequence of float, optional
        The manifest's embedding of GOLDEN_SIGNAL; without it that check is left out.

    Returns
    -------
    tuple of CheckResult
    """
    signals = check_signals()
    clips = from_int16(np.stack(list(signals.values())))
    vectors = embedder.embed(clips)
    tolerance = TOLERANCE[precision]
    finite = bool(np.isfinite(vectors).all()) and vectors.shape == (len(clips), embedder.info.dim)
    results = [CheckResult("finite", finite, f"shape {list(vectors.shape)} for {', '.join(signals)}")]
    if not finite:
        return tuple(results)
    alone = np.concatenate([embedder.embed(clip[None]) for clip in clips])
    results.append(_equal("alone and in a batch", vectors, alone, tolerance=tolerance))
    results.append(_equal("repeatable", vectors, embedder.embed(clips), tolerance=0.0))
    loud = [index for index, name in enumerate(signals) if name not in ("silence", "quiet_noise")]
    results.append(
        _equal("half the gain", vectors[loud], embedder.embed(clips[loud] * np.float32(0.5)), tolerance=tolerance)
    )
    spread = float(
        np.linalg.norm(vectors[loud] - vectors[loud].mean(axis=0), axis=1).min()
        / max(float(np.linalg.norm(vectors[loud], axis=1).mean()), 1e-12)
    )
    results.append(
        CheckResult(
            "signals differ",
            spread > 0.05,
            f"least relative distance from the mean embedding {spread:.3f}, must exceed 0.05",
        )
    )
    if golden is not None:
        row = list(signals).index(GOLDEN_SIGNAL)
        results.append(
            _equal(
                "golden embedding", np.asarray(golden, np.float32)[None], vectors[row : row + 1], tolerance=tolerance
            )
        )
    return tuple(results)


def require(results: Sequence[CheckResult], *, what: str) -> None:
    """Raise GateError if any check failed; its message names `what` and the failed checks."""
    failed = [f"{result.name} ({result.detail})" for result in results if not result.passed]
    if failed:
        raise GateError(
            f"{what} fails {len(failed)} of {len(results)} checks: {'; '.join(failed)}",
            "the model is damaged or was not trained for long enough",
        )


def _equal(name: str, expected: Embeddings, actual: Embeddings, *, tolerance: float) -> CheckResult:
    if expected.shape != actual.shape:
        return CheckResult(name, False, f"shape {list(actual.shape)}, expected {list(expected.shape)}")
    length = np.maximum(np.linalg.norm(expected, axis=1), 1e-6)
    worst = float((np.linalg.norm(expected - actual, axis=1) / length).max())
    return CheckResult(name, worst <= tolerance, f"largest relative difference {worst:.2g}, allowed {tolerance:g}")
