"""The student's frontend as it was before its DFT got a real second stage: the baseline of frontend_forms.py, for the student's spec alone.

Frames come first, so a frame's rows are transposed before the first stage and again behind each; the second stage is one complex matrix for each
residue of a bin, twiddle factors inside. Its smoother takes what a block inherits from the ends of the blocks before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.frontend import hann, mel_matrix
from hearlite.frontend_tf import Frontend
from hearlite.spec import AUDIO, FrontendSpec
from hearlite.spectrum_tf import constant

_COLUMNS = 25
_BANDS = 16
_BLOCK = 20


class ComplexStages(Frontend):
    """`[n, samples]` -> `[n, frames, mels, 1]`, for specs that don't see 0 Hz and whose frames come in whole blocks."""

    def mel_energy(self, clips: Any, middle: Any, *, frames: int) -> Any:
        return tf.transpose(_banded(*_spectrum(clips, middle, self.spec, frames=frames), self.spec), [0, 2, 1])

    def smooth(self, energy: Any) -> Any:
        return _smooth(energy, self.spec)


def _columns(spec: FrontendSpec) -> int:
    """Samples that are neighbours share a row of this length; it divides the FFT and the blocks that frames are made of."""
    common = int(np.gcd.reduce([spec.fft_length, spec.hop_samples, spec.window_samples]))
    return max(n for n in range(1, _COLUMNS + 1) if common % n == 0)


def _frame(clips: Any, zero: Any, spec: FrontendSpec, *, frames: int) -> Any:
    """`[n, samples]` -> `[n, frames, columns, window / columns]` by slices of blocks: no gather, no frame op. The end is padded with `zero`."""
    columns = _columns(spec)
    block = int(np.gcd(spec.hop_samples, spec.window_samples))
    stride, count = spec.hop_samples // block, spec.window_samples // block
    blocks = (frames - 1) * stride + count
    missing = blocks * block - clips.shape[1]
    if missing > 0:
        clips = tf.concat([clips, zero * constant(np.ones((1, missing)))], axis=1)
    rows = tf.reshape(clips[:, : blocks * block], [-1, blocks, block // columns, columns])
    rows = tf.transpose(rows, [0, 1, 3, 2])
    last = (frames - 1) * stride + 1
    return tf.concat([rows[:, i : i + last : stride] for i in range(count)], axis=3)


def _spectrum(clips: Any, zero: Any, spec: FrontendSpec, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Power spectrum `[n, frames, quotients, residues]` of scaled clips, and the bin of each `[quotients, residues]`, -1 for a mirror of another."""
    columns = _columns(spec)
    length, rows, given = spec.fft_length, spec.fft_length // columns, spec.window_samples // columns
    residues = np.arange(rows // 2 + 1)
    quotients = np.stack([np.arange(columns), columns - 1 - np.arange(columns)], axis=1).ravel()[:columns]  # each beside its mirror: bins rise
    bins = residues + rows * quotients[:, None]

    frame = _frame(clips, zero, spec, frames=frames)
    mean = tf.reduce_mean(frame, axis=[2, 3], keepdims=True)
    mean = tf.round(mean * AUDIO.pcm_full_scale) * (1.0 / AUDIO.pcm_full_scale)  # a whole step of 16-bit audio: the difference is then exact
    frame = (frame - mean) * constant(hann(spec).reshape(given, columns).T)
    angle = -2.0 * np.pi * np.outer(np.arange(given), residues) / rows
    first = tf.matmul(frame, constant(np.hstack([np.cos(angle), np.sin(angle)])))  # [n, frames, columns, 2 * residues]
    first = tf.transpose(tf.reshape(first, [-1, columns, 2, len(residues)]), [3, 0, 2, 1])
    first = tf.reshape(first, [len(residues), -1, 2 * columns])  # [residues, n * frames, 2 * columns]
    angle = -2.0 * np.pi * np.arange(columns)[:, None] * bins.T[:, None, :] / length  # [residues, columns, quotients]
    cosine, sine = np.cos(angle), np.sin(angle)
    second = np.concatenate([np.concatenate([cosine, sine], axis=2), np.concatenate([-sine, cosine], axis=2)], axis=1)
    spectrum = tf.matmul(first, constant(second))  # [residues, n * frames, 2 * quotients]
    power = tf.square(spectrum[:, :, :columns]) + tf.square(spectrum[:, :, columns:])
    power = tf.reshape(tf.transpose(power, [1, 2, 0]), [-1, frames, columns, len(residues)])

    mirrored = (bins > length // 2) & ((residues == 0) | (2 * residues == rows))  # these residues hold both a bin and its mirror
    return power, np.where(mirrored, -1, np.minimum(bins, length - bins))


def _banded(power: Any, bins: NDArray[np.intp], spec: FrontendSpec) -> Any:
    """`[n, frames, quotients, residues]` -> mel power `[n, frames, mels]`."""
    matrix = np.where(bins[..., None] >= 0, mel_matrix(spec)[bins], 0.0)  # [quotients, residues, mels]
    energies = []
    for bands in np.array_split(np.arange(spec.mels), -(-spec.mels // _BANDS)):
        weights = matrix[:, :, bands]
        used = np.flatnonzero(weights.any(axis=(1, 2)))
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        size = (last - first) * weights.shape[1]
        seen = tf.reshape(power[:, :, first:last], [-1, power.shape[1], size])
        energies.append(tf.matmul(seen, constant(weights[first:last].reshape(size, len(bands)))))
    return tf.concat(energies, axis=2)


def _smooth(energy: Any, spec: FrontendSpec) -> Any:
    """The PCEN smoother of `[n, mels, frames]`: inside blocks as if each began with 0, then what the blocks before it leave over."""
    mels, frames = energy.shape[1:]
    blocks, keep = frames // _BLOCK, 1.0 - spec.pcen_smoothing
    lag = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    inside = np.where(lag >= 0, spec.pcen_smoothing * keep ** np.maximum(lag, 0), 0.0)
    fresh = tf.matmul(tf.reshape(energy, [-1, mels, blocks, _BLOCK]), constant(inside.T))
    lag = np.arange(blocks)[None, :] - np.arange(blocks + 1)[:, None]  # [ends, blocks]; end 0 is the state before the first block: its first frame
    left_over = np.where(lag >= 0, keep ** (_BLOCK * np.maximum(lag, 0)), 0.0)
    state = tf.matmul(tf.concat([energy[:, :, :1], fresh[:, :, :, -1]], axis=2), constant(left_over))  # [n, mels, blocks], before each
    fading = keep ** np.arange(1, _BLOCK + 1)
    return tf.reshape(fresh + state[..., None] * constant(fading), [-1, mels, frames]) + spec.pcen_floor
