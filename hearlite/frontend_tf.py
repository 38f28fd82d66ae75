"""mel-PCEN as a Keras layer of TFLite builtin ops: the graph that trains the student and that ships inside every exported file.

Equal to frontend.py within 1e-4 on real recordings, small (0.1 MB of constants instead of the 0.5 of a DFT, a mel and a smoother matrix) and fast:
- The DFT has two stages (Cooley and Tukey 1965): sample = columns * row + column, bin = residue + rows * quotient. The first is one small matmul over
  the rows, the second one over the columns for each residue, twiddle factors inside. Clips are real: residues above half are mirrors.
- Energy goes to mel bands in groups of neighbours, each from the bins that it can see: the whole matrix would be mostly zeros.
- The PCEN smoother works in blocks of frames and carries one value from block to block.
PCEN amplifies the quietest bins most, so float32 rounding 100 dB below the loudest ones matters. HeAR's min-max, which leaves an offset of up to 1,
is applied to power instead of samples, and a frame's mean is taken out before the DFT: only bins next to 0 Hz can see it, and get it back after.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from hearlite.frontend import hann, mel_matrix, resize_matrix, smoother_matrix
from hearlite.spec import AUDIO, FrontendSpec

# Measured in LiteRT on x86, one thread, FFT 400: 0.15 ms with 10 columns, 0.16 with 20 or 25, 0.19 with 40; 0.24 when DFT, mel and smoother were one
# matrix each. Largest error on 128 recordings 1.2e-4, 0.9e-4, 1.0e-4, 1.0e-4 (1.3e-4), on full-scale tones 1.3e-3, 6e-4, 6e-4, 5e-4 (2e-4).
_COLUMNS = 25
_BANDS = 16
_BLOCK = 20  # frames, so that a block's triangle and the carries between blocks are both small


class Frontend(tf_keras.layers.Layer):
    """float32 `[n, samples]` -> float32 `[n, frames, mels, 1]`, image of each clip by itself. The number of samples must be static."""

    def __init__(self, spec: FrontendSpec, *, name: str = "frontend") -> None:
        super().__init__(name=name, trainable=False, dtype="float32")
        self.spec = spec

    def call(self, clips: Any) -> Any:
        spec = self.spec
        frames = spec.stft_frames(clips.shape[1])
        lowest, highest = tf.reduce_min(clips, axis=1, keepdims=True), tf.reduce_max(clips, axis=1, keepdims=True)
        spread = highest - lowest + spec.range_floor  # HeAR's min-max: clips become 2 * (clip - middle) / spread
        energy = _mel_energy(*_spectrum(clips, lowest + 0.5 * spread, spec, frames=frames), spec)  # [n, frames, mels]
        energy = tf.transpose(
            energy * tf.square(2.0 / spread)[..., None], [0, 2, 1]
        )  # [n, mels, frames]: the smoother and the resize are then matmuls with a constant right side
        smooth = _smooth(energy, spec)
        gain = tf.exp(-spec.pcen_alpha * tf.math.log(smooth + spec.pcen_floor))  # POW is never delegated to XNNPACK, EXP and LOG are
        ratio = energy * gain + spec.pcen_delta
        root = tf.sqrt(ratio) if spec.pcen_root == 2.0 else tf.pow(ratio, 1.0 / spec.pcen_root)
        image = root - spec.pcen_delta ** (1.0 / spec.pcen_root)
        if spec.resize_frames:
            image = tf.matmul(image, _constant(resize_matrix(frames, spec.resize_frames).T))
        if spec.log1p:
            image = tf.math.log(image + 1.0)
        return tf.transpose(image, [0, 2, 1])[..., None]  # [n, frames, mels, 1]


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
        clips = tf.concat([clips, zero * _constant(np.ones((1, missing)))], axis=1)
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
    frame = (frame - mean) * _constant(hann(spec).reshape(given, columns).T)
    angle = -2.0 * np.pi * np.outer(np.arange(given), residues) / rows
    first = tf.matmul(frame, _constant(np.hstack([np.cos(angle), np.sin(angle)])))  # [n, frames, columns, 2 * residues]
    first = tf.transpose(tf.reshape(first, [-1, columns, 2, len(residues)]), [3, 0, 2, 1])
    first = tf.reshape(first, [len(residues), -1, 2 * columns])  # [residues, n * frames, 2 * columns]
    angle = -2.0 * np.pi * np.arange(columns)[:, None] * bins.T[:, None, :] / length  # [residues, columns, quotients]
    cosine, sine = np.cos(angle), np.sin(angle)
    second = np.concatenate([np.concatenate([cosine, sine], axis=2), np.concatenate([-sine, cosine], axis=2)], axis=1)
    spectrum = tf.matmul(first, _constant(second))  # [residues, n * frames, 2 * quotients]
    of_constant = np.fft.fft(hann(spec), n=length)[bins.T % length]  # [residues, quotients], spectrum of a frame of ones
    seen = mel_matrix(spec)[np.minimum(bins, length - bins).T].any(axis=2)
    if np.abs(of_constant[seen]).max() > 1e-6:
        level = tf.reshape(mean[:, :, 0] - zero[:, None], [1, -1, 1])  # of HeAR's shifted clip
        spectrum += level * _constant(np.concatenate([of_constant.real, of_constant.imag], axis=1)[:, None])
    power = tf.square(spectrum[:, :, :columns]) + tf.square(spectrum[:, :, columns:])
    power = tf.reshape(tf.transpose(power, [1, 2, 0]), [-1, frames, columns, len(residues)])

    mirrored = (bins > length // 2) & ((residues == 0) | (2 * residues == rows))  # these residues hold both a bin and its mirror
    return power, np.where(mirrored, -1, np.minimum(bins, length - bins))


def _mel_energy(power: Any, bins: NDArray[np.intp], spec: FrontendSpec) -> Any:
    """`[n, frames, quotients, residues]` -> mel power `[n, frames, mels]`."""
    matrix = np.where(bins[..., None] >= 0, mel_matrix(spec)[bins], 0.0)  # [quotients, residues, mels]
    energies = []
    for bands in np.array_split(np.arange(spec.mels), -(-spec.mels // _BANDS)):
        weights = matrix[:, :, bands]
        used = np.flatnonzero(weights.any(axis=(1, 2)))
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        size = (last - first) * weights.shape[1]
        seen = tf.reshape(power[:, :, first:last], [-1, power.shape[1], size])
        energies.append(tf.matmul(seen, _constant(weights[first:last].reshape(size, len(bands)))))
    return tf.concat(energies, axis=2)


def _smooth(energy: Any, spec: FrontendSpec) -> Any:
    """The PCEN smoother of `[n, mels, frames]`: inside blocks as if each began with 0, then what the blocks before it leave over."""
    mels, frames = energy.shape[1:]
    if frames % _BLOCK:
        return tf.matmul(energy, _constant(smoother_matrix(frames, smoothing=spec.pcen_smoothing).T))
    blocks, keep = frames // _BLOCK, 1.0 - spec.pcen_smoothing
    lag = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    inside = np.where(lag >= 0, spec.pcen_smoothing * keep ** np.maximum(lag, 0), 0.0)
    fresh = tf.matmul(tf.reshape(energy, [-1, mels, blocks, _BLOCK]), _constant(inside.T))
    lag = np.arange(blocks)[None, :] - np.arange(blocks + 1)[:, None]  # [ends, blocks]; end 0 is the state before the first block: its first frame
    left_over = np.where(lag >= 0, keep ** (_BLOCK * np.maximum(lag, 0)), 0.0)
    state = tf.matmul(tf.concat([energy[:, :, :1], fresh[:, :, :, -1]], axis=2), _constant(left_over))  # [n, mels, blocks], before each
    fading = keep ** np.arange(1, _BLOCK + 1)
    return tf.reshape(fresh + state[..., None] * _constant(fading), [-1, mels, frames])


def _constant(values: Any) -> Any:
    return tf.constant(np.asarray(values, dtype=np.float32))
