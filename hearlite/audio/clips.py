"""Cut recordings into 2 s clips, padding where needed, and convert between int16 and float32."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Samples = NDArray[np.float32]  # [samples] mono at AUDIO.sample_rate_hz, nominally in [-1, 1)


def from_int16(pcm: NDArray[np.int16]) -> Samples:
    """Convert int16 PCM of any shape to float32 in [-1, 1), as x / 32768.

    Raises InputError for another dtype.
    """
    if pcm.dtype != np.int16:
        raise InputError(f"PCM has dtype {pcm.dtype}", "expected int16")
    return pcm.astype(np.float32) / np.float32(AUDIO.pcm_full_scale)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Convert float32 samples of any shape to int16 PCM.

    The result is x * 32768, rounded half to even and clipped to the int16 range. Raises InputError for NaN or infinity.
    """
    if not np.isfinite(samples).all():
        raise InputError("samples hold NaN or infinite values", "remove them before converting to int16")
    limits = np.iinfo(np.int16)
    pcm: NDArray[np.int16] = np.clip(
        np.rint(samples * np.float32(AUDIO.pcm_full_scale)), limits.min, limits.max
    ).astype(np.int16)
    return pcm


def is_silent(samples: Samples) -> bool:
    """Return whether the peak, or the range around a constant offset, is below one int16 step."""
    step = 1 / AUDIO.pcm_full_scale
    return samples.size == 0 or bool(np.abs(samples).max() < step or np.ptp(samples) < step)


def clip_starts_s(
    *, recording_s: float, start_s: float | None = None, end_s: float | None = None, hop_s: float = AUDIO.clip_s
) -> list[float]:
    """Return the start times of the clips that cover a recording, or an event in it.

    Clips follow each other every `hop_s` while they fit, and one more ends where the sound ends, so that all of it is
    covered. A recording shorter than a clip has one clip, at 0. An event shorter than a clip has ONE clip, centred on
    it and shifted to stay in the recording: real context instead of zeros, because zeros reveal to a classifier how
    long the event was.

    Parameters
    ----------
    recording_s : float
        Length of the recording, in seconds.
    start_s, end_s : float, optional
        The event, in seconds; by default the whole recording. An end after the recording's is cut to it.
    hop_s : float
        Seconds between two starts, above 0 and at most 2.

    Returns
    -------
    list of float
        Start times in seconds, ascending.

    Raises
    ------
    InputError
        When there is no sound between the bounds.
    UsageError
        When the hop is longer than a clip and would skip sound, or shorter than a sample.
    """
    rate_hz, clip = AUDIO.sample_rate_hz, AUDIO.clip_samples
    if not 1 <= hop_s * rate_hz <= clip:
        raise UsageError(f"hop_s is {hop_s:g}", f"use 0 < hop_s <= {AUDIO.clip_s:g}: a longer hop would skip sound")
    _check_bounds(recording_s=recording_s, start_s=start_s, end_s=end_s)
    # In whole samples, so that clips follow each other without rounding drift.
    recording, hop = round(recording_s * rate_hz), round(hop_s * rate_hz)
    first = 0 if start_s is None else round(start_s * rate_hz)
    end = recording if end_s is None else min(recording, round(end_s * rate_hz))
    if end - first <= clip:
        centred = (first + end - clip) // 2
        return [max(0, min(centred, recording - clip)) / rate_hz]
    starts = list(range(first, end - clip + 1, hop))
    if starts[-1] + clip < end:
        starts.append(end - clip)
    return [start / rate_hz for start in starts]


def cut(samples: Samples, *, start_s: float, before: int = 0) -> Samples:
    """Return the clip of `samples` that starts at `start_s` seconds, float32 `[clip_samples]`.

    Zeros follow the recording's end. `before` samples of the recording lie before `samples`. Raises InputError when the
    start lies outside the recording.
    """
    return cut_event_zero_padded(samples, start_s=start_s, end_s=start_s + AUDIO.clip_s, before=before)


def cut_event_zero_padded(samples: Samples, *, start_s: float, end_s: float, before: int = 0) -> Samples:
    """Return an event alone, padded with zeros to a clip, float32 `[clip_samples]`.

    Several published benchmarks cut clips like this. It is kept to show what it leaks: the zeros reveal the event's
    duration. Use `clip_starts_s` and `cut` instead.

    Parameters
    ----------
    samples : numpy.ndarray
        The recording, or a part of it that holds the event, float32 `[samples]` at 16 kHz.
    start_s, end_s : float
        The event in seconds from the recording's start; only its first 2 s are used.
    before : int
        Number of samples of the recording before `samples`.

    Returns
    -------
    numpy.ndarray
        float32 `[clip_samples]`.

    Raises
    ------
    InputError
        When the bounds are not finite, are in the wrong order or lie outside the recording.
    """
    _check_bounds(recording_s=(before + len(samples)) / AUDIO.sample_rate_hz, start_s=start_s, end_s=end_s)
    first = round(start_s * AUDIO.sample_rate_hz) - before
    length = min(AUDIO.clip_samples, round((end_s - start_s) * AUDIO.sample_rate_hz))
    clip = np.zeros(AUDIO.clip_samples, dtype=np.float32)
    sound = samples[first : first + length]
    clip[: len(sound)] = sound
    return clip


def _check_bounds(*, recording_s: float, start_s: float | None, end_s: float | None) -> None:
    start_s, end_s = 0.0 if start_s is None else start_s, recording_s if end_s is None else end_s
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s >= 0):
        raise InputError(f"an event goes from {start_s} s to {end_s} s", "use finite times from 0 s on")
    if start_s >= recording_s:
        raise InputError(
            f"an event starts at {start_s:g} s, but its recording is {recording_s:g} s long", "check its times and file"
        )
    if end_s <= start_s:
        raise InputError(f"an event goes from {start_s:g} s to {end_s:g} s", "its end must come after its start")
