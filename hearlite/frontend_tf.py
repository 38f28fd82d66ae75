"""mel-PCEN as a Keras layer of TFLite builtin ops: the graph that trains the student and that ships inside every exported file.

Equal to frontend.py within 1e-4 on real recordings, small (0.1 MB of constants instead of the 0.8 of a DFT, a mel and a smoother matrix) and fast:
- Frames are the innermost axis from the first transposition to the last. Matrices stand on the left, and rows (samples, bins, bands) are chosen,
  joined and reordered as whole blocks of memory.
- The DFT has two stages (Cooley and Tukey 1965): sample = columns * row + column, bin = base + rows * quotient. The first is a small matmul over the
  rows for every column, window and twiddle factors inside; two bases are real. The second one is real too: cosines of sums of two mirrored columns,
  sines of their differences, and bins above and below a base are sums and differences of the same four products.
- Energy goes to mel bands in groups of neighbours, each from the bins that it can see: the whole matrix would be mostly zeros.
- The PCEN smoother works in blocks of frames; what the blocks before leave over is one matmul.
PCEN amplifies the quietest bins most, so float32 rounding 100 dB below the loudest ones matters. HeAR's min-max, which leaves an offset of up to 1,
is applied to power instead of samples, and a clip's mean is taken out before the DFT: only bins next to 0 Hz can see it, and get it back after.
Measured against other forms in benchmarks/results/frontend-forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from hearlite.frontend import hann, mel_matrix, resize_matrix, smoother_matrix
from hearlite.spec import AUDIO, FrontendSpec

_BANDS = 12
_BLOCK = 16


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
        energy = _mel_energy(*_spectrum(clips, lowest + 0.5 * spread, spec, frames=frames), spec)  # [n, mels, frames]
        energy *= tf.square(2.0 / spread)[..., None]
        smooth = _smooth(energy, spec)  # floor included
        gain = tf.exp(-spec.pcen_alpha * tf.math.log(smooth))  # POW is never delegated to XNNPACK, EXP and LOG are
        ratio = energy * gain + spec.pcen_delta
        root = tf.sqrt(ratio) if spec.pcen_root == 2.0 else tf.pow(ratio, 1.0 / spec.pcen_root)
        zero = spec.pcen_delta ** (1.0 / spec.pcen_root)
        if spec.log1p and not spec.resize_frames:
            image = tf.math.log(root + (1.0 - zero))
        else:
            image = root - zero
            if spec.resize_frames:
                image = tf.matmul(image, _constant(resize_matrix(frames, spec.resize_frames).T))
            if spec.log1p:
                image = tf.math.log(image + 1.0)
        return tf.transpose(image, [0, 2, 1])[..., None]  # [n, frames, mels, 1]


@dataclass(frozen=True)
class _Split:
    """The DFT of a spec as rows x columns."""

    rows: int
    columns: int
    real: tuple[int, ...]
    complex: tuple[int, ...]

    @property
    def pairs(self): return np.arange(1, (self.columns + 1) // 2)
    @property
    def alone(self): return np.asarray([0, self.columns // 2][: 2 - self.columns % 2])


def _split(spec: FrontendSpec) -> _Split:
    common = int(np.gcd.reduce([spec.fft_length, spec.hop_samples, spec.window_samples]))
    columns = min((n for n in range(3, common + 1) if common % n == 0), key=lambda n: 2 * spec.fft_length // n + n)
    rows = spec.fft_length // columns
    half = spec.fft_length // 2
    real = (0,) if half % rows == 0 or spec.fft_length % 2 else (0, half)
    covered = {k % rows for k in real}
    return _Split(rows, columns, real, tuple(k for k in range(1, rows // 2 + 1) if k not in covered))


def _frame(clips: Any, padding: Any, spec: FrontendSpec, split: _Split, *, frames: int) -> Any:
    """`[n, samples]` -> `[n, columns, window / columns, frames]`, mirrored columns at the end: by slices of hops, the end filled with `padding`."""
    columns, hop, given = split.columns, spec.hop_samples // split.columns, spec.window_samples // split.columns
    count = -(-given // hop)
    missing = (frames - 1 + count) * spec.hop_samples - clips.shape[1]
    if missing > 0:
        clips = tf.concat([clips, padding * _constant(np.ones((1, missing)))], axis=1)
    hops = tf.transpose(tf.reshape(clips, [-1, frames - 1 + count, hop, columns]), [0, 3, 2, 1])
    order = np.concatenate([split.alone, split.pairs, columns - split.pairs])
    hops = tf.gather(hops, order.astype(np.int32), axis=1)
    return tf.concat([hops[:, :, : min(hop, given - i * hop), i : i + frames] for i in range(count)], axis=2)


def _spectrum(clips: Any, middle: Any, spec: FrontendSpec, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Power `[n, rows, frames]` of scaled clips, and the bin of each row."""
    split = _split(spec)
    length, rows, columns, pairs, alone = spec.fft_length, split.rows, split.columns, split.pairs, split.alone
    given = spec.window_samples // columns
    mean = tf.reduce_mean(clips, axis=1, keepdims=True)
    mean = tf.round(mean * AUDIO.pcm_full_scale) * (1.0 / AUDIO.pcm_full_scale)  # a whole step of 16-bit audio: the difference is then exact
    frame = _frame(clips - mean, middle - mean, spec, split, frames=frames)
    order = np.concatenate([alone, pairs, columns - pairs])
    samples = columns * np.arange(given) + order[:, None]  # [columns, given]
    bases = np.asarray([*split.real, *split.complex])
    angle = 2.0 * np.pi * samples[:, None] * bases[:, None] / length  # [columns, bases, given]
    window = hann(spec)[samples][:, None]
    first = np.concatenate([window * np.cos(angle), -window * np.sin(angle[:, len(split.real) :])], axis=1)
    first = tf.matmul(_constant(first[None]), frame)  # [n, columns, parts, frames]
    parts = first.shape[2]
    first = tf.reshape(first, [-1, columns, parts * frames])
    k, p = len(alone), len(pairs)
    one, other = first[:, k : k + p], first[:, k + p :]
    even = tf.concat([first[:, :k], one + other], axis=1)
    q = np.concatenate([alone, pairs])
    cosine = tf.matmul(_constant(np.cos(2 * np.pi * np.outer(q, q) / columns)[None]), even)
    sine = tf.matmul(_constant(np.sin(2 * np.pi * np.outer(pairs, pairs) / columns)[None]), one - other)
    cosine, sine = tf.reshape(cosine, [-1, k + p, parts, frames]), tf.reshape(sine, [-1, p, parts, frames])
    r, c = len(split.real), len(split.complex)
    found, bins = [], []

    def add(power, of):
        found.append(tf.reshape(power, [-1, of.size, frames]))
        bins.append(of.ravel())

    real, cplx = np.asarray(split.real), np.asarray(split.complex)
    re = tf.square(cosine[:, :, :r])
    add(re[:, :k], real + rows * alone[:, None])
    add(re[:, k:] + tf.square(sine[:, :, :r]), real + rows * pairs[:, None])
    a, b = cosine[:, :, r : r + c], cosine[:, :, r + c :]
    sa, sb = sine[:, :, r : r + c], sine[:, :, r + c :]
    add(tf.square(a[:, :k]) + tf.square(b[:, :k]), cplx + rows * alone[:, None])
    a, b = cosine[:, k:, r : r + c], cosine[:, k:, r + c :]
    add(tf.square(a + sb) + tf.square(b - sa), cplx + rows * pairs[:, None])
    add(tf.square(a - sb) + tf.square(b + sa), cplx - rows * pairs[:, None])
    bins = np.concatenate(bins) % length
    return tf.concat(found, axis=1), np.minimum(bins, length - bins)


def _mel_energy(power: Any, bins: NDArray[np.intp], spec: FrontendSpec) -> Any:
    """`[n, rows, frames]` -> mel power `[n, mels, frames]`."""
    matrix = mel_matrix(spec)[bins].T  # [mels, rows]
    energies = []
    for bands in np.array_split(np.arange(spec.mels), -(-spec.mels // _BANDS)):
        used = np.flatnonzero(matrix[bands].any(axis=0))
        energies.append(tf.matmul(_constant(matrix[bands][:, used][None]), tf.gather(power, used.astype(np.int32), axis=1)))
    return tf.concat(energies, axis=1)


def _smooth(energy: Any, spec: FrontendSpec) -> Any:
    """The PCEN smoother of `[n, mels, frames]` plus its floor."""
    mels, frames = energy.shape[1:]
    if frames % _BLOCK:
        return tf.matmul(energy, _constant(smoother_matrix(frames, smoothing=spec.pcen_smoothing).T)) + spec.pcen_floor
    blocks, keep = frames // _BLOCK, 1.0 - spec.pcen_smoothing
    lag = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    inside = np.where(lag >= 0, spec.pcen_smoothing * keep ** np.maximum(lag, 0), 0.0)
    fresh = tf.matmul(tf.reshape(energy, [-1, mels, blocks, _BLOCK]), _constant(inside.T)) + _constant(np.full(_BLOCK, spec.pcen_floor))
    before = smoother_matrix(frames, smoothing=spec.pcen_smoothing)[_BLOCK - 1 :: _BLOCK][: blocks - 1]
    first = np.zeros((1, frames))
    first[0, 0] = 1.0
    state = tf.matmul(energy, _constant(np.vstack([first, before]).T))  # [n, mels, blocks]
    fading = keep ** np.arange(1, _BLOCK + 1)
    return tf.reshape(fresh + state[..., None] * _constant(fading), [-1, mels, frames])


def _constant(values: Any) -> Any:
    return tf.constant(np.asarray(values, dtype=np.float32))
