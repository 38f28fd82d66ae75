"""Change test clips as another recorder, room, distance or cut would, one change at a time.

Each change has a known size. A condition is a function of the clip alone: its random numbers are seeded by the clip's
content and the kind of change, so the noise of all SNRs is one noise at several levels. Gain comes twice: as at a
microphone, rounded to int16 steps and clipped, which loses sound, and in floating point, which loses nothing. All else
is turned down rather than clipped, and filters keep the clip's rms, so that no condition changes two things at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.acoustics import (
    DEVICE_TAPS,
    FLAT_BELOW_HZ,
    HIGH_PASS_ORDER,
    LOW_PASS_ORDER,
    TILT_PIVOT_HZ,
    coloured_noise,
)
from hearlite.audio.clips import from_int16
from hearlite.data.reading import Clip, clip_id
from hearlite.errors import UsageError
from hearlite.spec import AUDIO, AugmentSpec

Pcm = NDArray[np.int16]
Floats = NDArray[np.float64]
Response = Callable[[Floats], NDArray[Any]]  # from Hz [bins] to complex or real factors [bins]

TELEPHONE_HZ = (300.0, 3_400.0)  # ITU-T G.712, the pass band of a telephone channel
_NOISE_SLOPES = {"white noise": 0.0, "pink noise": 1.0}  # power falls as f^-slope
_FFT_STEP = 4_096  # lengths are multiples of it: few, and of small factors
_EPSILON = 1e-9  # of an int16 step: keeps silence from being divided by


@dataclass(frozen=True)
class Condition:
    """One change of the test clips."""

    name: str
    kind: str
    amount: float | None  # in the unit of the kind: dB, ms, s, Hz or dB an octave; None for a kind without a size
    source: str  # of the amount


@dataclass(frozen=True, eq=False)
class Perturbed:
    """A changed clip, and the side effects of the change."""

    pcm: Pcm  # [clip_samples]
    clipped: int = 0  # samples beyond int16
    missing: int = 0  # samples beyond the recording's ends: zeros
    scale: float = 1.0  # in floating point, after the recorder

    @property
    def audio(self) -> NDArray[np.float32]:
        """The models' input, float32 `[clip_samples]`; beyond [-1, 1) only if `scale` puts it there."""
        return from_int16(self.pcm) * np.float32(self.scale)


_GOAL, _JUDGED = "hearlite's requirement: -30 to +10 dB", "heuristic, no published source"
_GAINS_DB = (-30.0, -20.0, -10.0, 10.0)
CONDITIONS = (
    *(
        Condition(f"float gain {db:+g} dB", "float gain", db, f"{_GOAL}; nothing is rounded or clipped")
        for db in _GAINS_DB
    ),
    *(
        Condition(f"gain {db:+g} dB", "gain", db, f"{_GOAL}, at the microphone: rounded to int16 steps and clipped")
        for db in _GAINS_DB
    ),
    *(
        Condition(f"shift {ms:+g} ms", "shift", ms, "hearlite's requirement: +-200 ms")
        for ms in (-200.0, -100.0, 100.0, 200.0)
    ),
    Condition(
        "event alone",
        "padding",
        None,
        "the framing of benchmarks that zero-pad short events; clips without an event stay as they are",
    ),
    Condition("first 1.0 s", "padding", 1.0, f"{_JUDGED}: half a clip, as at the end of a recording"),
    Condition("telephone band", "telephone", None, "ITU-T G.712: 300–3400 Hz"),
    Condition("low-pass 2 kHz", "low-pass", 2_000.0, "half the 4 kHz rate of electronic stethoscopes in ICBHI 2017"),
    Condition("high-pass 200 Hz", "high-pass", 200.0, f"{_JUDGED}: a rumble filter or a small microphone"),
    *(
        Condition(f"tilt {db:+g} dB/octave", "tilt", db, "pre-emphasis left in, or undone twice: 6 dB an octave")
        for db in (-6.0, 6.0)
    ),
    Condition(
        "device response",
        "device",
        0.0,
        "tail as strong as the direct sound (0 dB), the strongest of distill/augment.py; decay 0.3–3 ms",
    ),
    *(
        Condition(f"{colour} {snr:g} dB", colour, snr, f"{_JUDGED}: SNR by rms")
        for colour in _NOISE_SLOPES
        for snr in (20.0, 10.0, 5.0, 0.0)
    ),
)
# Seconds around a clip that `read_clips` must return, too.
REACH_S = max(abs(item.amount or 0.0) for item in CONDITIONS if item.kind == "shift") / 1_000


def chosen(only: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of these names or kinds, in the order of CONDITIONS; all if `only` is empty.

    Raises
    ------
    UsageError
        One of `only` is neither a name nor a kind.
    """
    known = {word for item in CONDITIONS for word in (item.name, item.kind)}
    unknown = [name for name in only if name not in known]
    if unknown:
        kinds = dict.fromkeys(item.kind for item in CONDITIONS)
        names = ", ".join(item.name for item in CONDITIONS)
        raise UsageError(f"no condition {unknown[0]!r}", f"use a kind ({', '.join(kinds)}) or a name ({names})")
    return tuple(item for item in CONDITIONS if not only or {item.name, item.kind} & set(only))


def perturb(clip: Clip, condition: Condition) -> Perturbed:
    """Return the clip under a condition.

    Shifts and filters use `clip.context`, the real sound around the clip, as far as there is any, so clips must be read
    with REACH_S.

    Raises
    ------
    UsageError
        The condition is of an unknown kind, or lacks the amount that its kind needs.
    """
    kind, amount = condition.kind, condition.amount
    rng = np.random.default_rng(list(hashlib.sha256(f"{clip_id(clip.pcm)}/{kind}".encode()).digest()))
    if kind == "padding":
        return Perturbed(
            _event_alone(clip)
            if amount is None
            else _kept(clip.pcm, first=0, samples=round(amount * AUDIO.sample_rate_hz))
        )
    if kind == "telephone":
        low_hz, high_hz = TELEPHONE_HZ
        return _filtered(clip, lambda hz: _high_pass(hz, low_hz) * _low_pass(hz, high_hz))
    if amount is None:
        raise UsageError(f"condition {condition.name!r} has no amount", f"kind {kind!r} needs one")
    if kind == "gain":
        return _gain(clip.pcm, gain_db=amount)
    if kind == "float gain":
        return Perturbed(clip.pcm, scale=10.0 ** (amount / 20.0))
    if kind == "shift":
        return _shift(clip, later=round(amount / 1_000 * AUDIO.sample_rate_hz))
    if kind in _NOISE_SLOPES:
        return Perturbed(_with_noise(clip.pcm, rng, slope=_NOISE_SLOPES[kind], snr_db=amount))
    responses: dict[str, Response] = {
        "low-pass": lambda hz: _low_pass(hz, amount),
        "high-pass": lambda hz: _high_pass(hz, amount),
        "tilt": lambda hz: 10.0 ** (amount / 20.0 * np.log2(np.maximum(hz, FLAT_BELOW_HZ) / TILT_PIVOT_HZ)),
        "device": lambda hz: np.fft.rfft(_device_impulse(rng, tail_db=amount), 2 * (len(hz) - 1)),
    }
    if kind not in responses:
        raise UsageError(
            f"condition {condition.name!r} is of kind {kind!r}",
            f"use one of {', '.join(dict.fromkeys(c.kind for c in CONDITIONS))}",
        )
    return _filtered(clip, responses[kind])


def _gain(pcm: Pcm, *, gain_db: float) -> Perturbed:
    limits = np.iinfo(np.int16)
    louder = np.rint(pcm * 10.0 ** (gain_db / 20.0))
    return Perturbed(
        np.clip(louder, limits.min, limits.max).astype(np.int16),
        int(np.sum((louder < limits.min) | (louder > limits.max))),
    )


def _shift(clip: Clip, *, later: int) -> Perturbed:
    """Move the clip `later` samples on in the recording, or back if negative; zeros beyond the recording."""
    first, samples = clip.start + later, len(clip.pcm)
    moved = clip.context[max(0, first) : max(0, first + samples)]
    before = min(max(0, -first), samples)
    return Perturbed(np.pad(moved, (before, samples - before - len(moved))), missing=samples - len(moved))


def _event_alone(clip: Clip) -> Pcm:
    """Cut the clip as the framing "zero-pad" does; one without an event, or full of it, stays as it is."""
    ref, rate_hz = clip.ref, AUDIO.sample_rate_hz
    if ref.event_start_s is None or ref.event_end_s is None:
        return clip.pcm.copy()
    first = max(0, round(ref.event_start_s * rate_hz) - round(ref.start_s * rate_hz))
    return _kept(clip.pcm, first=first, samples=round((ref.event_end_s - ref.event_start_s) * rate_hz))


def _kept(pcm: Pcm, *, first: int, samples: int) -> Pcm:
    """Keep `samples` of a clip from `first` on, zeros after them; all of a clip that has no more."""
    kept = pcm if samples >= len(pcm) else pcm[first : first + samples]
    return np.pad(kept, (0, len(pcm) - len(kept)))


def _filtered(clip: Clip, response: Response) -> Perturbed:
    """Filter the clip and its context, without their mean, and keep the clip's rms."""
    samples = len(clip.pcm)
    around = clip.context - clip.context.mean()
    # Zeros after the context take the filter's tail, so that nothing wraps around.
    length = -(-(len(around) + DEVICE_TAPS) // _FFT_STEP) * _FFT_STEP
    hz = np.fft.rfftfreq(length, 1.0 / AUDIO.sample_rate_hz)
    filtered = np.fft.irfft(np.fft.rfft(around, length) * response(hz), length)[clip.start : clip.start + samples]
    return Perturbed(_to_int16(filtered * (clip.pcm.std() / max(filtered.std(), _EPSILON))))


def _low_pass(hz: Floats, cut_hz: float) -> NDArray[np.complex128]:
    return _butterworth(np.asarray(1j * hz / cut_hz, dtype=np.complex128), order=LOW_PASS_ORDER)


def _high_pass(hz: Floats, cut_hz: float) -> NDArray[np.complex128]:
    return _butterworth(cut_hz / (1j * np.maximum(hz, 1.0)), order=HIGH_PASS_ORDER)  # below 1 Hz nothing is left anyway


def _butterworth(s: NDArray[np.complex128], *, order: int) -> NDArray[np.complex128]:
    """Evaluate the analogue prototype at `s` = j f / cut-off.

    Its poles are on the left half of the unit circle, so the filter is causal, as a recorder's is.
    """
    response = np.ones_like(s)
    for pole in np.exp(1j * np.pi * (2 * np.arange(order) + order + 1) / (2 * order)):
        response /= s - pole
    return response


def _device_impulse(rng: np.random.Generator, *, tail_db: float) -> Floats:
    """Draw a device's impulse response: the direct sound, then decaying noise.

    The energy of the noise is `tail_db` over that of the direct sound. After Morocutti et al. 2023, arXiv:2305.07499,
    with noise in place of recorded responses.
    """
    low_s, high_s = AugmentSpec().device_decay_s
    decay_s = np.exp(rng.uniform(np.log(low_s), np.log(high_s)))
    tail = rng.standard_normal(DEVICE_TAPS) * np.exp(-np.arange(DEVICE_TAPS) / AUDIO.sample_rate_hz / decay_s)
    impulse: Floats = 10.0 ** (tail_db / 20.0) * tail / np.sqrt(np.sum(tail**2))
    impulse[0] += 1.0
    return impulse


def _with_noise(pcm: Pcm, rng: np.random.Generator, *, slope: float, snr_db: float) -> Pcm:
    """Add Gaussian noise, `snr_db` below `pcm` by rms without means; silence has no SNR and stays."""
    noise = coloured_noise(rng, len(pcm), slope=slope)
    noise -= noise.mean()
    return _to_int16(pcm + noise * (pcm.std() / noise.std() * 10.0 ** (-snr_db / 20.0)))


def _to_int16(samples: Floats) -> Pcm:
    """Round to int16 steps; samples that would clip are turned down instead."""
    room = (AUDIO.pcm_full_scale - 1) / max(float(np.abs(samples).max()), 1.0)
    return np.asarray(np.rint(samples * min(1.0, room)), dtype=np.int16)
