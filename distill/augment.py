"""Augmentation of the student's input, in the training graph.

The target stays that of the clean clip, so the student learns not to care about the device.

Every draw is a function of (seed, step, row), so a resumed training sees the same views. A device is one complex
response per clip on a coarse grid of frequencies: tilt, band limits and impulse response are multiplied there, and
noise is added to the spectrum, so that all of it shares one rfft and one irfft. What teacher and student both hear is
made with the records: hearlite/data/views.py.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import tensorflow as tf

from hearlite.audio.acoustics import DEVICE_TAPS, FLAT_BELOW_HZ, HIGH_PASS_ORDER, LOW_PASS_ORDER, TILT_PIVOT_HZ
from hearlite.spec import AUDIO, AugmentSpec, Range

_DEVICE_TAIL_DB = (
    -15.0,
    0.0,
)  # the tail's energy over the direct sound's, uniform: a ripple of 1 - 5 dB rms (measured)
_COARSE = 16  # spectrum bins per bin of a response (8 Hz): so short a tail is smooth in between
_MIXSTYLE_FLOOR = 1e-6  # added to the variance, arXiv:2104.02008
_DB = math.log(10.0) / 20.0  # nepers


class _Draw(IntEnum):
    """One stream of random numbers each."""

    WAVEFORM, TAIL, NOISE, IMAGE, BETA_A, BETA_B = range(6)


class Augment:
    """The student's own views of a batch.

    Row i depends on (seed, step, i) and its own clip alone, except for MixStyle's partner.
    """

    def __init__(self, spec: AugmentSpec, *, seed: int) -> None:
        self.spec, self.seed = spec, seed

    def waveform(self, clips: Any, *, step: Any) -> Any:
        """Return clips as another device would record them, on the int16 grid.

        float32 `[n, samples]` in [-1, 1) -> the same shape. `step`: integer or scalar tensor.

        The order is that of a recording: sound through tilt, band limits and device, its noise, gain, offset, clipping,
        int16 steps.
        """
        spec = self.spec
        filtered = bool(spec.tilt_db_per_octave or spec.low_pass_p or spec.high_pass_p or spec.device_p)
        if not (filtered or spec.noise_p or spec.gain_db or spec.dc_offset):
            return clips
        rows, samples = tf.shape(clips)[0], clips.shape[1]
        dice = self._dice(_Draw.WAVEFORM, [rows, 13], step=step)
        length = 1 << (samples + DEVICE_TAPS - 1).bit_length()  # zeros for the tail: nothing wraps around
        if filtered or spec.noise_p:
            spectrum = tf.signal.rfft(
                clips - tf.reduce_mean(clips, axis=1, keepdims=True), [length]
            )  # [n, length / 2 + 1]
            if filtered:
                spectrum *= _refine(self._response(dice[:8], bins=length // 2 // _COARSE + 1, step=step))
            if spec.noise_p:
                on, colour, snr = dice[8:11]
                snr_db = _between(spec.noise_snr_db, snr) - 10.0 * math.log10(
                    length / samples
                )  # the padding gets its share
                spectrum += self._noise(
                    spectrum, snr_db=tf.where(on < spec.noise_p, snr_db, math.inf), slope=2.0 * colour, step=step
                )
            clips = tf.signal.irfft(spectrum, [length])[:, :samples]
        gain, offset = dice[11:]
        if spec.gain_db:
            clips *= self._gain(clips, gain)
        return _to_int16_grid(clips + spec.dc_offset * (2.0 * offset - 1.0))

    def image(self, image: Any, *, step: Any) -> Any:
        """Return the frontend's images after Freq-MixStyle and one frequency mask.

        float32 `[n, frames, mels, 1]` -> the same shape.
        """
        spec, rows, mels = self.spec, tf.shape(image)[0], image.shape[2]
        on, order, width, first = (value[:, 0] for value in self._dice(_Draw.IMAGE, [rows, 4], step=step))
        if spec.mixstyle_p:
            a, b = (
                tf.random.stateless_gamma([rows], self._key(draw, step), alpha=spec.mixstyle_alpha)
                for draw in (_Draw.BETA_A, _Draw.BETA_B)
            )
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
        octaves = tf.math.log(tf.maximum(hz, FLAT_BELOW_HZ) / TILT_PIVOT_HZ) / math.log(2.0)
        response = tf.exp(_DB * spec.tilt_db_per_octave * (2.0 * tilt - 1.0) * octaves)
        if spec.low_pass_p:
            response *= tf.where(
                low_on < spec.low_pass_p,
                _butterworth(hz / _log_between(spec.low_pass_hz, low), order=LOW_PASS_ORDER),
                1.0,
            )
        if spec.high_pass_p:
            ratio = _log_between(spec.high_pass_hz, high) / tf.maximum(hz, 1.0)
            response *= tf.where(high_on < spec.high_pass_p, _butterworth(ratio, order=HIGH_PASS_ORDER), 1.0)
        response = tf.complex(response, tf.zeros_like(response))
        if spec.device_p:
            noise = tf.random.stateless_normal(
                [tf.shape(level)[0], DEVICE_TAPS], self._key(_Draw.TAIL, step), alg="philox"
            )
            level = tf.where(device_on < spec.device_p, tf.exp(_DB * _between(_DEVICE_TAIL_DB, level)), 0.0)
            impulse = _device_impulse(noise, decay_s=_log_between(spec.device_decay_s, decay), level=level)
            response *= tf.signal.rfft(impulse, [2 * (bins - 1)])
        return response

    def _noise(self, spectrum: Any, *, snr_db: Any, slope: Any, step: Any) -> Any:
        """Return complex noise of the shape of `spectrum` `[n, bins]`, power f^-slope.

        `snr_db` `[n, 1]` below it by Parseval's theorem.

        Bins are uniform, not Gaussian, and of 16 bits: a third of the cost, and a sum of thousands of them is Gaussian
        in time anyway.
        """
        bins = (spectrum.shape[1] - 1) // _COARSE + 1
        hz = tf.linspace(0.0, AUDIO.sample_rate_hz / 2, bins)[None, :]
        colour = tf.exp(-0.5 * slope * tf.math.log(tf.maximum(hz / FLAT_BELOW_HZ, 1.0))) * tf.cast(hz > 0.0, tf.float32)
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
        low = tf.clip_by_value(
            spec.peak_dbfs[0] - peak_db, -spec.gain_db, 0.0
        )  # a clip that is quiet already is left so
        high = tf.clip_by_value(spec.peak_dbfs[1] - peak_db, low, spec.gain_db)
        return tf.exp(_DB * (low + dice * (high - low)))

    def _key(self, draw: _Draw, step: Any) -> Any:
        return tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64) * len(_Draw) + draw])

    def _dice(self, draw: _Draw, shape: list[Any], *, step: Any) -> list[Any]:
        """Return `shape[1]` tensors `[n, 1]` in [0, 1).

        Philox fills row after row from a counter: a row doesn't depend on how many there are.
        """
        return list(
            tf.unstack(tf.random.stateless_uniform(shape, self._key(draw, step), alg="philox")[..., None], axis=1)
        )


def freq_mixstyle(image: Any, *, partner: Any, own: Any) -> Any:
    """Mix each mel band's mean and deviation over time with those of the clip's partner.

    Another device, the same events.

    Schmid et al., "Knowledge distillation from transformers for low-complexity acoustic scene classification", DCASE
    2022, after MixStyle, arXiv:2104.02008. `image` `[n, frames, mels, 1]`, `partner` int `[n]` (rows of the batch),
    `own` `[n]` (1 changes nothing).
    """
    mean = tf.reduce_mean(image, axis=1, keepdims=True)
    centred = image - mean
    deviation = tf.sqrt(tf.reduce_mean(centred * centred, axis=1, keepdims=True) + _MIXSTYLE_FLOOR)
    own = own[:, None, None, None]
    new_mean = own * mean + (1.0 - own) * tf.gather(mean, partner)
    new_deviation = own * deviation + (1.0 - own) * tf.gather(deviation, partner)
    return centred * (new_deviation / deviation) + new_mean


def mask_bands(image: Any, *, first: Any, width: Any) -> Any:
    """Return `[n, frames, mels, 1]` with bands `first` ... `first + width - 1` at 0.

    PCEN gives 0 to a band without sound. Both are float `[n]`.
    """
    band = tf.range(image.shape[2], dtype=tf.float32)[None, :]
    kept = (band < first[:, None]) | (band >= (first + width)[:, None])
    return image * tf.cast(kept, image.dtype)[:, None, :, None]


def _device_impulse(noise: Any, *, decay_s: Any, level: Any) -> Any:
    """Return a random device's impulse response, `[n, taps]` of energy 1.

    The direct sound, then decaying noise `level` `[n, 1]` times as strong (0: none).

    Stands in for measured microphone responses (Morocutti et al. 2023, arXiv:2305.07499); its decay sets how fine its
    ripple is.
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
