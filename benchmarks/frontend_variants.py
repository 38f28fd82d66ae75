"""Other forms of the student's frontend, to be measured beside the one that ships. Each gives the same image, but where it says otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.benchmarks.complex_stages import ComplexStages
from hearlite.convert import convert_frontend, convert_layer
from hearlite.frontend import hann, mel_matrix, smoother_matrix
from hearlite.frontend_tf import Frontend
from hearlite.spec import AUDIO, STUDENT_FRONTEND, FrontendSpec
from hearlite.spectrum_tf import constant, power_spectrum_tf


@dataclass(frozen=True)
class Form:
    """A frontend as a .tflite file, and the spec whose float64 image it is compared with."""

    name: str
    convert: Callable[[], bytes]
    spec: FrontendSpec = STUDENT_FRONTEND


class OneMatrix(Frontend):
    """The DFT as one matmul over a frame, window inside, real and imaginary parts side by side; only bins that a mel band sees."""

    every_bin = False
    sees_level = False  # the mean may not be taken out

    def mel_energy(self, clips: Any, middle: Any, *, frames: int) -> Any:
        mean = tf.reduce_mean(clips, axis=1, keepdims=True)
        mean = tf.round(mean * AUDIO.pcm_full_scale) * (1.0 / AUDIO.pcm_full_scale)  # as in spectrum_tf.py
        mean = middle if self.sees_level else mean
        hops = _hops(clips - mean, middle - mean, self.spec, frames=frames)
        mel = mel_matrix(self.spec)
        bins = np.arange(len(mel)) if self.every_bin else np.flatnonzero(mel.any(axis=1))
        power = self.power(hops, bins, frames=frames)  # [n, frames, bins]
        return tf.transpose(tf.matmul(power, constant(mel[bins])), [0, 2, 1])

    def power(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        spectrum = self.spectrum(hops, bins, frames=frames)
        return tf.square(spectrum[..., : len(bins)]) + tf.square(spectrum[..., len(bins) :])

    def spectrum(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        """Hops `[n, hops, hop]` -> `[n, frames, 2 * bins]`, real parts first."""
        return tf.matmul(_frames(hops, self.spec, frames=frames), constant(_dft(self.spec, bins)))


class EveryBin(OneMatrix):
    """As OneMatrix, with the bins that no mel band sees."""

    every_bin = True


class HopConvolution(OneMatrix):
    """Framing by a convolution over hops, a hop's samples as channels: no copy of a frame."""

    def spectrum(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        kernel = _dft(self.spec, bins).reshape(-1, 1, self.spec.hop_samples, 2 * len(bins))
        return tf.nn.conv2d(hops[:, :, None], constant(kernel), 1, "VALID")[:, :, 0]


class SampleConvolution(OneMatrix):
    """Framing by a convolution over samples, one channel."""

    def spectrum(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        kernel = _dft(self.spec, bins)[:, None, None]
        samples = tf.reshape(hops, [-1, hops.shape[1] * hops.shape[2], 1, 1])
        return tf.nn.conv2d(samples, constant(kernel), [1, self.spec.hop_samples, 1, 1], "VALID")[:, :, 0]


class Folded(OneMatrix):
    """Sums of mirrored samples for cosines, differences for sines: half the multiplications of OneMatrix."""

    def spectrum(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        half, matrix = self.spec.window_samples // 2, _dft(self.spec, bins)
        frame = _frames(hops, self.spec, frames=frames)  # its first sample has weight 0
        one, other = frame[..., 1:half], tf.reverse(frame[..., half + 1 :], axis=[-1])
        cosines, sines = constant(matrix[1 : half + 1, : len(bins)]), constant(matrix[1:half, len(bins) :])
        return tf.concat([tf.matmul(tf.concat([one + other, frame[..., half : half + 1]], axis=-1), cosines), tf.matmul(one - other, sines)], axis=-1)


class Rfft(OneMatrix):
    """TFLite's own FFT, which takes powers of two only: a padded frame, so every bin sees the mean."""

    every_bin = sees_level = True

    def power(self, hops: Any, bins: NDArray[np.intp], *, frames: int) -> Any:
        windowed = _frames(hops, self.spec, frames=frames) * constant(hann(self.spec))
        spectrum = tf.signal.rfft(windowed, fft_length=[self.spec.fft_length])
        return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


class WholeMel(Frontend):
    """The form that ships, its mel matrix in one piece."""

    def mel_energy(self, clips: Any, middle: Any, *, frames: int) -> Any:
        power, rows = power_spectrum_tf(clips, middle, self.spec, frames=frames)
        mel = mel_matrix(self.spec)
        seen = np.flatnonzero(mel.any(axis=1))
        return tf.matmul(constant(mel[seen].T[None]), tf.gather(power, rows[seen].astype(np.int32), axis=1))


class WholeSmoother(Frontend):
    """The form that ships, its smoother as one triangular matmul."""

    def smooth(self, energy: Any) -> Any:
        matrix = smoother_matrix(energy.shape[2], smoothing=self.spec.pcen_smoothing)
        return tf.matmul(energy, constant(matrix.T)) + self.spec.pcen_floor


class SteppedSmoother(Frontend):
    """The form that ships, its smoother frame by frame."""

    def smooth(self, energy: Any) -> Any:
        steps = tf.unstack(tf.transpose(energy, [2, 0, 1]) * self.spec.pcen_smoothing)
        state, found = steps[0] * (1.0 / self.spec.pcen_smoothing), []
        for index, step in enumerate(steps):
            state = state * (1.0 - self.spec.pcen_smoothing) + step if index else state
            found.append(state)
        return tf.transpose(tf.stack(found), [1, 2, 0]) + self.spec.pcen_floor


def forms() -> list[Form]:
    """The one that ships first, then the one before it."""
    spec = STUDENT_FRONTEND
    other = [ComplexStages, Folded, HopConvolution, OneMatrix, EveryBin, SampleConvolution, WholeMel, WholeSmoother, SteppedSmoother]
    names = ["complex second stage", "folded matmul", "convolution over hops", "one matmul", "one matmul, every bin", "convolution over samples"]
    names += ["real second stage, whole mel matrix", "real second stage, whole smoother", "real second stage, stepped smoother"]
    found = [Form("real second stage (ships)", lambda: convert_frontend(spec))]
    found += [Form(name, _converted(kind, spec)) for name, kind in zip(names, other, strict=True)]
    found.append(Form("real second stage, float16 constants", lambda: convert_layer(Frontend(spec), [1, AUDIO.clip_samples], float16=True)))
    longer, sparse = dataclasses.replace(spec, fft_length=1 << (spec.window_samples - 1).bit_length()), dataclasses.replace(spec, hop_samples=320)
    found.append(Form(f"RFFT2D of {longer.fft_length} (another image)", _converted(Rfft, longer), longer))
    return [*found, Form("real second stage, 20 ms hop (another image)", _converted(Frontend, sparse), sparse)]


def _converted(kind: type[Frontend], spec: FrontendSpec) -> Callable[[], bytes]:
    return lambda: convert_layer(kind(spec), [1, AUDIO.clip_samples])


def _hops(clips: Any, padding: Any, spec: FrontendSpec, *, frames: int) -> Any:
    """`[n, samples]` -> `[n, hops, hop]`, the end filled with `padding`."""
    count = frames - 1 + -(-spec.window_samples // spec.hop_samples)
    missing = count * spec.hop_samples - clips.shape[1]
    clips = tf.concat([clips, padding * constant(np.ones((1, missing)))], axis=1)
    return tf.reshape(clips, [-1, count, spec.hop_samples])


def _frames(hops: Any, spec: FrontendSpec, *, frames: int) -> Any:
    """`[n, hops, hop]` -> `[n, frames, window]`."""
    starts = range(0, spec.window_samples, spec.hop_samples)
    pieces = [hops[:, i : i + frames, : min(spec.hop_samples, spec.window_samples - start)] for i, start in enumerate(starts)]
    return tf.concat(pieces, axis=2)


def _dft(spec: FrontendSpec, bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Window and DFT, `[window, 2 * bins]`, real parts first."""
    angle = -2.0 * np.pi / spec.fft_length * np.outer(np.arange(spec.window_samples), bins)
    return np.asarray(hann(spec)[:, None] * np.hstack([np.cos(angle), np.sin(angle)]))
