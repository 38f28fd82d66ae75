"""Augmentation, of two kinds: what only the student hears, and what teacher and student both hear.

- `Augment` (TensorFlow, in the training graph) changes the student's clip and image while the target stays that of the clean clip: the student
  learns not to care about the device. Every draw is a function of (seed, step, row), so a resumed training sees the same views.
- `shared_view` (NumPy, when records are made) makes another clip whose own teacher vector is its target. Nothing there needs to keep a label,
  so it may change anything (function matching, Beyer et al. 2022, arXiv:2106.05237).

A device is one complex response per clip on a coarse grid of frequencies: tilt, band limits and impulse response are multiplied there, and
noise is added to the spectrum, so that all of it shares one rfft and one irfft. Longer than 200 lines because both kinds share ranges and reasons.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Range = tuple[float, float]
Pcm = NDArray[np.int16]

_TILT_PIVOT_HZ = 1_000.0  # where a tilt is 0 dB, as on audio equalisers
_FLAT_BELOW_HZ = 50.0  # tilt and noise colour stop here: the students' bands begin at 60 Hz, and brown noise would put its power below
_LOW_PASS_ORDER = 4  # Butterworth magnitude, 24 dB an octave: an anti-alias filter
_HIGH_PASS_ORDER = 2  # 12 dB an octave: a microphone's vent and coupling
_DEVICE_TAPS = 256  # 16 ms; a decay of 3 ms is 46 dB down there
_DEVICE_TAIL_DB = (-15.0, 0.0)  # the tail's energy over the direct sound's, uniform: a ripple of 1 - 5 dB rms (measured)
_COARSE = 16  # spectrum bins per bin of a response (8 Hz): so short a tail is smooth in between
_MIXSTYLE_FLOOR = 1e-6  # added to the variance, arXiv:2104.02008
_DB = math.log(10.0) / 20.0  # nepers


@dataclass(frozen=True)
class AugmentSpec:
    """What only the student hears. 0 switches a part off; defaults are the recommended values, judgement where no source is named.

    Gain matters although the frontend removes it: clipping and the steps of int16 come after it.
    """

    gain_db: float = 20.0  # uniform in +- this
    peak_dbfs: Range = (-50.0, 6.0)  # where gain stops: a quieter clip is all steps, a louder one a square wave, and the target is the clean one's
    dc_offset: float = 0.01  # of full scale, uniform in +- this; shows only where it makes clipping one-sided, the frontend removes the rest
    tilt_db_per_octave: float = 2.0  # uniform in +- this: up to 6 dB at 8 kHz
    low_pass_p: float = 0.2
    low_pass_hz: Range = (1_500.0, 7_500.0)  # log-uniform: from a stethoscope to wide-band speech
    high_pass_p: float = 0.3
    high_pass_hz: Range = (20.0, 300.0)  # log-uniform: up to the telephone band, ITU-T G.712
    device_p: float = 0.6  # of a random device impulse response; measured ones: Morocutti et al., arXiv:2305.07499
    device_decay_s: Range = (0.000_3, 0.003)  # log-uniform time constant of its tail
    noise_p: float = 0.3
    noise_snr_db: Range = (5.0, 40.0)  # uniform; the colour is uniform between white and brown
    mixstyle_p: float = 0.4  # Freq-MixStyle, Schmid et al. DCASE 2022; these two values are usual in DCASE's task 1
    mixstyle_alpha: float = 0.3  # of Beta(alpha, alpha)
    mask_share: float = 0.2  # the largest masked share of the mel bands; SpecAugment, arXiv:1904.08779

    def __post_init__(self) -> None:
        for field in fields(self):
            value, positive = getattr(self, field.name), field.name.endswith(("_hz", "_s"))
            if isinstance(value, tuple):
                if not (all(map(math.isfinite, value)) and value[0] <= value[1] and (value[0] > 0 or not positive)):
                    raise UsageError(f"{field.name} is {value}", f"use (low, high) with low <= high{', above 0' if positive else ''}")
            elif not 0 <= value <= (1 if field.name.endswith(("_p", "_share")) else 1e3):
                raise UsageError(f"{field.name} is {value}", "use 0 or more, for a probability or a share at most 1; 0 is off")
        if self.mixstyle_p and not self.mixstyle_alpha:
            raise UsageError("mixstyle_alpha is 0", "use more, or mixstyle_p = 0 to switch it off")


class _Draw(IntEnum):
    """One stream of random numbers each."""

    WAVEFORM, TAIL, NOISE, IMAGE, BETA_A, BETA_B = range(6)


class Augment:
    """The student's own views of a batch. Row i depends on (seed, step, i) and its own clip alone, but for MixStyle's partner."""

    def __init__(self, spec: AugmentSpec, *, seed: int) -> None:
        self.spec, self.seed = spec, seed

    def waveform(self, clips: Any, *, step: Any) -> Any:
        """float32 `[n, samples]` in [-1, 1) -> the same as another device would record it, on the int16 grid. `step`: integer or scalar tensor.

        The order is that of a recording: sound through tilt, band limits and device, its noise, gain, offset, clipping, int16 steps.
        """
        spec = self.spec
        filtered = bool(spec.tilt_db_per_octave or spec.low_pass_p or spec.high_pass_p or spec.device_p)
        if not (filtered or spec.noise_p or spec.gain_db or spec.dc_offset):
            return clips
        rows, samples = tf.shape(clips)[0], clips.shape[1]
        dice = self._dice(_Draw.WAVEFORM, [rows, 13], step=step)
        length = 1 << (samples + _DEVICE_TAPS - 1).bit_length()  # zeros for the tail: nothing wraps around
        if filtered or spec.noise_p:
            spectrum = tf.signal.rfft(clips - tf.reduce_mean(clips, axis=1, keepdims=True), [length])  # [n, length / 2 + 1]
            if filtered:
                spectrum *= _refine(self._response(dice[:8], bins=length // 2 // _COARSE + 1, step=step))
            if spec.noise_p:
                on, colour, snr = dice[8:11]
                snr_db = _between(spec.noise_snr_db, snr) - 10.0 * math.log10(length / samples)  # the padding gets its share
                spectrum += self._noise(spectrum, snr_db=tf.where(on < spec.noise_p, snr_db, math.inf), slope=2.0 * colour, step=step)
            clips = tf.signal.irfft(spectrum, [length])[:, :samples]
        gain, offset = dice[11:]
        if spec.gain_db:
            clips *= self._gain(clips, gain)
        return _to_int16_grid(clips + spec.dc_offset * (2.0 * offset - 1.0))

    def image(self, image: Any, *, step: Any) -> Any:
        """float32 `[n, frames, mels, 1]` of the frontend -> the same shape after Freq-MixStyle and one frequency mask."""
        spec, rows, mels = self.spec, tf.shape(image)[0], image.shape[2]
        on, order, width, first = (value[:, 0] for value in self._dice(_Draw.IMAGE, [rows, 4], step=step))
        if spec.mixstyle_p:
            a, b = (tf.random.stateless_gamma([rows], self._key(draw, step), alpha=spec.mixstyle_alpha) for draw in (_Draw.BETA_A, _Draw.BETA_B))
            own = a / tf.maximum(a + b, 1e-30)  # ~ Beta(alpha, alpha); both can underflow to 0
            mixed = freq_mixstyle(image, partner=tf.argsort(order), own=own)
            image = tf.where((on < spec.mixstyle_p)[:, None, None, None], mixed, image)
        widest = int(spec.mask_share * mels)
        if widest:
            width = tf.floor(width * (widest + 1))
            image = mask_bands(image, first=tf.floor(first * (mels - width + 1.0)), width=width)
        return image

    def _response(self, dice: list[Any], *, bins: int, step: Any) -> Any:
        """Complex `[n, bins]` from 0 Hz to half the sample rate."""
        spec = self.spec
        tilt, low_on, low, high_on, high, device_on, decay, level = dice
        hz = tf.linspace(0.0, AUDIO.sample_rate_hz / 2, bins)[None, :]
        octaves = tf.math.log(tf.maximum(hz, _FLAT_BELOW_HZ) / _TILT_PIVOT_HZ) / math.log(2.0)
        response = tf.exp(_DB * spec.tilt_db_per_octave * (2.0 * tilt - 1.0) * octaves)
        if spec.low_pass_p:
            response *= tf.where(low_on < spec.low_pass_p, _butterworth(hz / _log_between(spec.low_pass_hz, low), order=_LOW_PASS_ORDER), 1.0)
        if spec.high_pass_p:
            ratio = _log_between(spec.high_pass_hz, high) / tf.maximum(hz, 1.0)
            response *= tf.where(high_on < spec.high_pass_p, _butterworth(ratio, order=_HIGH_PASS_ORDER), 1.0)
        response = tf.complex(response, tf.zeros_like(response))
        if spec.device_p:
            noise = tf.random.stateless_normal([tf.shape(level)[0], _DEVICE_TAPS], self._key(_Draw.TAIL, step), alg="philox")
            level = tf.where(device_on < spec.device_p, tf.exp(_DB * _between(_DEVICE_TAIL_DB, level)), 0.0)
            impulse = _device_impulse(noise, decay_s=_log_between(spec.device_decay_s, decay), level=level)
            response *= tf.signal.rfft(impulse, [2 * (bins - 1)])
        return response

    def _noise(self, spectrum: Any, *, snr_db: Any, slope: Any, step: Any) -> Any:
        """Complex noise of the shape of `spectrum` `[n, bins]`, power f^-slope, `snr_db` `[n, 1]` below it by Parseval's theorem.

        Bins are uniform, not Gaussian, and of 16 bits: a third of the cost, and a sum of thousands of them is Gaussian in time anyway.
        """
        bins = (spectrum.shape[1] - 1) // _COARSE + 1
        hz = tf.linspace(0.0, AUDIO.sample_rate_hz / 2, bins)[None, :]
        colour = tf.exp(-0.5 * slope * tf.math.log(tf.maximum(hz / _FLAT_BELOW_HZ, 1.0))) * tf.cast(hz > 0.0, tf.float32)
        signal_energy = tf.reduce_sum(tf.bitcast(spectrum, tf.float32) ** 2, axis=[1, 2])[:, None]
        energy_of_draw = 2.0 * 2.0**30 / 3.0  # real and imaginary part, each uniform in +- 2^15
        noise_energy = tf.reduce_sum(colour * colour, axis=1, keepdims=True) * _COARSE * energy_of_draw
        colour *= tf.sqrt(signal_energy / noise_energy) * tf.exp(-_DB * snr_db)
        draws = tf.random.stateless_uniform(
            [tf.shape(colour)[0], spectrum.shape[1]], self._key(_Draw.NOISE, step), None, None, tf.int32, alg="philox"
        )
        white = tf.bitcast(tf.cast(tf.bitcast(draws, tf.int16), tf.float32), tf.complex64)
        return white * _refine(tf.complex(colour, tf.zeros_like(colour)))

    def _gain(self, clips: Any, dice: Any) -> Any:
        """Factor `[n, 1]`."""
        spec = self.spec
        peak_db = tf.math.log(tf.reduce_max(tf.abs(clips), axis=1, keepdims=True) + 1e-9) / _DB
        low = tf.clip_by_value(spec.peak_dbfs[0] - peak_db, -spec.gain_db, 0.0)  # a clip that is quiet already is left so
        high = tf.clip_by_value(spec.peak_dbfs[1] - peak_db, low, spec.gain_db)
        return tf.exp(_DB * (low + dice * (high - low)))

    def _key(self, draw: _Draw, step: Any) -> Any:
        return tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64) * len(_Draw) + draw])

    def _dice(self, draw: _Draw, shape: list[Any], *, step: Any) -> list[Any]:
        """`shape[1]` tensors `[n, 1]` in [0, 1). Philox fills row after row from a counter: a row doesn't depend on how many there are."""
        return list(tf.unstack(tf.random.stateless_uniform(shape, self._key(draw, step), alg="philox")[..., None], axis=1))


def freq_mixstyle(image: Any, *, partner: Any, own: Any) -> Any:
    """Each mel band's mean and deviation over time become a mixture of the clip's own and its partner's: another device, the same events.

    Schmid et al., "Knowledge distillation from transformers for low-complexity acoustic scene classification", DCASE 2022, after MixStyle,
    arXiv:2104.02008. `image` `[n, frames, mels, 1]`, `partner` int `[n]` (rows of the batch), `own` `[n]` (1 changes nothing).
    """
    mean = tf.reduce_mean(image, axis=1, keepdims=True)
    centred = image - mean
    deviation = tf.sqrt(tf.reduce_mean(centred * centred, axis=1, keepdims=True) + _MIXSTYLE_FLOOR)
    own = own[:, None, None, None]
    new_mean = own * mean + (1.0 - own) * tf.gather(mean, partner)
    new_deviation = own * deviation + (1.0 - own) * tf.gather(deviation, partner)
    return centred * (new_deviation / deviation) + new_mean


def mask_bands(image: Any, *, first: Any, width: Any) -> Any:
    """`[n, frames, mels, 1]` with bands `first` ... `first + width - 1` at 0, which PCEN gives a band without sound. Both float `[n]`."""
    band = tf.range(image.shape[2], dtype=tf.float32)[None, :]
    kept = (band < first[:, None]) | (band >= (first + width)[:, None])
    return image * tf.cast(kept, image.dtype)[:, None, :, None]


def _device_impulse(noise: Any, *, decay_s: Any, level: Any) -> Any:
    """A random device, `[n, taps]` of energy 1: the direct sound, then decaying noise `level` `[n, 1]` times as strong (0: none).

    Stands in for measured microphone responses (Morocutti et al. 2023, arXiv:2305.07499); its decay sets how fine its ripple is.
    """
    taps = noise.shape[1]
    time_s = tf.range(taps, dtype=tf.float32)[None, :] / AUDIO.sample_rate_hz
    tail = noise * tf.exp(-time_s / decay_s)
    tail *= level * tf.math.rsqrt(tf.reduce_sum(tail * tail, axis=1, keepdims=True))
    impulse = tail + tf.one_hot([0], taps)
    return impulse * tf.math.rsqrt(tf.reduce_sum(impulse * impulse, axis=1, keepdims=True))


def _refine(coarse: Any) -> Any:
    """`[n, bins]` -> `[n, (bins - 1) * _COARSE + 1]`, linear in between."""
    rise = coarse[:, 1:] - coarse[:, :-1]
    between = tf.cast(tf.range(_COARSE) / _COARSE, coarse.dtype)
    fine = coarse[:, :-1, None] + rise[..., None] * between
    return tf.concat([tf.reshape(fine, [-1, (coarse.shape[1] - 1) * _COARSE]), coarse[:, -1:]], axis=1)


def _butterworth(ratio: Any, *, order: int) -> Any:
    return tf.math.rsqrt(1.0 + ratio ** (2 * order))


def _between(bounds: Range, dice: Any) -> Any:
    return bounds[0] + dice * (bounds[1] - bounds[0])


def _log_between(bounds: Range, dice: Any) -> Any:
    return tf.exp(_between((math.log(bounds[0]), math.log(bounds[1])), dice))


def _to_int16_grid(clips: Any) -> Any:
    scale = float(AUDIO.pcm_full_scale)
    return tf.clip_by_value(tf.round(clips * scale), -scale, scale - 1.0) / scale


@dataclass(frozen=True)
class ViewSpec:
    """What teacher and student both hear. 0 or (0, 0) switches a kind off; judgement."""

    shift_s: float = 0.2  # uniform in +- this, only where there is real context; 50 - 200 ms don't move HeAR's vector much
    mixup_db: Range = (0.0, 15.0)  # how far below the clip its partner lies (rms), uniform
    noise_snr_db: Range = (5.0, 30.0)  # uniform; the colour is uniform between white and brown
    crop_s: Range = (0.5, 1.8)  # of the clip is kept, zeros follow: padding moves HeAR's vector a lot, and the student has to follow it

    def __post_init__(self) -> None:
        for low, high in (self.mixup_db, self.noise_snr_db, self.crop_s, (0.0, self.shift_s)):
            if not -math.inf < low <= high < math.inf:
                raise UsageError(f"{self}", "use finite (low, high) with low <= high, and shift_s >= 0")
        if not 0 <= self.crop_s[0] <= self.crop_s[1] <= AUDIO.clip_s:
            raise UsageError(f"crop_s is {self.crop_s}", f"use 0 ... {AUDIO.clip_s:g} s")


VIEWS = ViewSpec()


def shared_view(pcm: Pcm, *, clip_id: str, view: int, seed: int, start: int = 0, partner: Pcm | None = None, spec: ViewSpec = VIEWS) -> Pcm:
    """View `view` of the clip `pcm[start : start + clip_samples]`, int16 `[clip_samples]`; a function of the arguments alone.

    View 0 is the clip as it is. Each other one is of one kind, in turn: shifted (where `pcm` is longer than the clip and so has real context),
    mixed with `partner` (int16 `[clip_samples]`, where there is one), noisy, or cropped and zero-padded at the end as short recordings are.
    Raises InputError for another dtype or shape, or a clip outside `pcm`.
    """
    samples, rate_hz = AUDIO.clip_samples, AUDIO.sample_rate_hz
    if pcm.dtype != np.int16 or pcm.ndim != 1 or not 0 <= start <= len(pcm) - samples:
        raise InputError(f"pcm is {pcm.dtype} {list(pcm.shape)}, the clip starts at {start}", f"expected int16 with {samples} samples from there")
    if partner is not None and (partner.dtype != np.int16 or partner.shape != (samples,)):
        raise InputError(f"the partner is {partner.dtype} {list(partner.shape)}", f"expected int16 [{samples}]")
    clip = pcm[start : start + samples]
    reach = round(spec.shift_s * rate_hz)
    back, forth = min(reach, start), min(reach, len(pcm) - samples - start)
    ready = {
        "shift": back + forth > 0,
        "mixup": partner is not None and any(spec.mixup_db),
        "noise": any(spec.noise_snr_db),
        "crop": any(spec.crop_s),
    }
    kinds = [kind for kind, possible in ready.items() if possible]
    if view == 0 or not kinds:
        return clip.copy()
    kind = _rng(seed, clip_id).permutation(kinds)[(view - 1) % len(kinds)]
    rng = _rng(seed, clip_id, view)
    if kind == "shift":
        moved = start + int(rng.integers(-back, forth, endpoint=True))
        return pcm[moved : moved + samples].copy()
    if kind == "crop":
        kept = round(rng.uniform(*spec.crop_s) * rate_hz)
        first = int(rng.integers(0, samples - kept, endpoint=True))
        return np.pad(clip[first : first + kept], (0, samples - kept))
    if kind == "mixup" and partner is not None:
        return _mix(clip, partner, ratio_db=rng.uniform(*spec.mixup_db))
    return _mix(clip, _coloured_noise(rng, samples, slope=rng.uniform(0.0, 2.0)), ratio_db=rng.uniform(*spec.noise_snr_db))


def _mix(clip: Pcm, other: NDArray[Any], *, ratio_db: float) -> Pcm:
    """`clip` with `other` that many dB below it (rms, without means); turned down rather than clipped. Silence stays silence."""
    loud, quiet = clip - clip.mean(), other - other.mean()
    scale = loud.std() / max(quiet.std(), 1e-9) * 10.0 ** (-ratio_db / 20.0)
    mixed = clip + scale * quiet
    room = (AUDIO.pcm_full_scale - 1) / max(np.abs(mixed).max(), 1.0)
    return np.round(mixed * min(1.0, room)).astype(np.int16)


def _coloured_noise(rng: np.random.Generator, samples: int, *, slope: float) -> NDArray[np.float64]:
    """Gaussian noise with a power spectrum of f^-slope above _FLAT_BELOW_HZ."""
    hz = np.fft.rfftfreq(samples, 1.0 / AUDIO.sample_rate_hz)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * np.maximum(hz / _FLAT_BELOW_HZ, 1.0) ** (-slope / 2.0), samples)


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256("/".join(map(str, parts)).encode()).digest()))
