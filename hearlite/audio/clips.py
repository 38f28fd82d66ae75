"""Two-second clips of a recording: where they start, cut or padded, as float32 in [-1, 1) and as int16."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Samples = NDArray[np.float32]  # [samples] mono at AUDIO.sample_rate_hz, nominally in [-1, 1)


def from_int16(pcm: NDArray[np.int16]) -> Samples:
    """int16 PCM of any shape -> float32 in [-1, 1): x / full scale. Raises InputError for another dtype."""
    if pcm.dtype != np.int16:
        raise InputError(f"PCM has dtype {pcm.dtype}", "expected int16")
    return pcm.astype(np.float32) / np.float32(AUDIO.pcm_full_scale)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """float32 of any shape -> int16 PCM: x * full scale, rounded half to even, clipped to the int16 range. Raises
    InputError for NaN or inf.
    """
    if not np.isfinite(samples).all():
        raise InputError("samples hold NaN or infinite values", "remove them before converting to int16")
    limits = np.iinfo(np.int16)
    pcm: NDArray[np.int16] = np.clip(
        np.rint(samples * np.float32(AUDIO.pcm_full_scale)), limits.min, limits.max
    ).astype(np.int16)
    return pcm


def is_silent(samples: Samples) -> bool:
    """Whether nothing was recorded: the peak, or the range around a constant offset, is below one int16 step."""
    step = 1 / AUDIO.pcm_full_scale
    return samples.size == 0 or bool(np.abs(samples).max() < step or np.ptp(samples) < step)


def clip_starts_s(
    *, recording_s: float, start_s: float | None = None, end_s: float | None = None, hop_s: float = AUDIO.clip_s
) -> list[float]:
    """Where the clips of a recording, or of an event [start_s, end_s) in it, start, in seconds.

    A clip every `hop_s` while it fits, and one more that ends where the sound ends, so that all of it is covered. A
    recording shorter than a clip gives [0.0]. An event shorter than a clip gives ONE clip, centred on it and shifted to
    stay in the recording: real context instead of zeros, because zeros tell a classifier how long the event was. Raises
    InputError for bounds without sound between them, UsageError for a hop that would skip sound.
    """
    rate_hz, clip = AUDIO.sample_rate_hz, AUDIO.clip_samples
    if not 1 <= hop_s * rate_hz <= clip:
        raise UsageError(f"hop_s is {hop_s:g}", f"use 0 < hop_s <= {AUDIO.clip_s:g}: a longer hop would skip sound")
    _check_bounds(recording_s=recording_s, start_s=start_s, end_s=end_s)
    recording, hop = (
        round(recording_s * rate_hz),
        round(hop_s * rate_hz),
    )  # samples, so that windows tile without rounding drift
    first = 0 if start_s is None else round(start_s * rate_hz)
    end = recording if end_s is None else min(recording, round(end_s * rate_hz))
    if end - first <= clip:
        centred = (first + end - clip) // 2
        return [max(0, min(centred, recording - clip)) / rate_hz]
    starts = list(range(first, end - clip + 1, hop))
    if starts[-1] + clip < end:
        starts.append(end - clip)
    return [start / rate_hz for start in starts]


def cut(samples: Samples, *, start_s: float) -> Samples:
    """The clip of `samples` that starts at `start_s`: float32 `[clip_samples]`, zeros after the recording's end. Raises
    InputError outside of it.
    """
    return cut_event_zero_padded(samples, start_s=start_s, end_s=start_s + AUDIO.clip_s)


def cut_event_zero_padded(samples: Samples, *, start_s: float, end_s: float) -> Samples:
    """The event [start_s, end_s) alone, at most its first 2 s, zeros after it: float32 `[clip_samples]`. Raises
    InputError as `clip_starts_s` does.

    The framing of several published benchmarks, kept to show what it leaks: the zeros give away the event's duration.
    `clip_starts_s` and `cut` are the framing to use.
    """
    _check_bounds(recording_s=len(samples) / AUDIO.sample_rate_hz, start_s=start_s, end_s=end_s)
    first = round(start_s * AUDIO.sample_rate_hz)
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
