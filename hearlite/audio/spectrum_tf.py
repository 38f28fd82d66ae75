"""The power spectrum in TFLite builtin ops, with frames as the innermost axis.

Constant matrices are therefore the left factors of matmuls, and rows are selected, joined and reordered as blocks of
memory.

The DFT has two stages (Cooley and Tukey 1965): sample = columns * row + column, bin = base +- rows * quotient. The
first is a small matmul over the rows of every column; its matrix includes window and twiddle factors. The second is
real: a column and its mirror are added for cosines and subtracted for sines, and bins above and below a base are sums
and differences of the same four products. That takes half the multiplications of a complex second stage. A clip's mean
is subtracted before the DFT, because its rounding error would drown quiet bins; it is added back to the bins next to
0 Hz, the only ones it contributes to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.audio.frontend import hann, mel_matrix
from hearlite.spec import AUDIO, FrontendSpec

_SEEN = 1e-6  # a bin that a constant contributes less to is unaffected; float64 rounding leaves 1e-14 in such bins


@dataclass(frozen=True)
class _Split:
    """A DFT of rows * columns samples, in which every bin is base +- rows * quotient."""

    rows: int
    columns: int
    real: NDArray[np.intp]  # bases whose sines are all 0
    complex: NDArray[np.intp]  # the other bases
    alone: NDArray[np.intp]  # columns, and quotients, that are their own mirrors
    pairs: NDArray[np.intp]  # columns, and quotients, that also represent their mirrors

    @property
    def order(self) -> NDArray[np.intp]:
        """Order of columns in memory: mirrors last, in the order of their originals."""
        return np.concatenate([self.alone, self.pairs, self.columns - self.pairs])


def _split(spec: FrontendSpec) -> _Split:
    """Return the split with the smallest matrices among those whose columns divide hop and window."""
    length, common = spec.fft_length, int(np.gcd.reduce([spec.fft_length, spec.hop_samples, spec.window_samples]))
    columns = min(
        (n for n in range(1, common + 1) if common % n == 0 and n != 2), key=lambda n: (2 * length // n + n, n)
    )
    rows = length // columns
    real = np.asarray([0] if length % 2 or length // 2 % rows == 0 else [0, length // 2], dtype=np.int64)
    bases = np.setdiff1d(np.arange(rows // 2 + 1), real % rows)
    alone = np.unique(np.asarray([0, columns // 2], dtype=np.int64))[: 2 - columns % 2]
    return _Split(rows, columns, real, bases, alone, np.arange(1, (columns + 1) // 2, dtype=np.int64))


def _frame(clips: Any, padding: Any, spec: FrontendSpec, split: _Split, *, frames: int) -> Any:
    """Cut `[n, samples]` into frames, `[n, columns, window / columns, frames]`.

    Slices of hops are joined, without gather or frame ops. The end is filled with `padding`.
    """
    hop, window = spec.hop_samples // split.columns, spec.window_samples // split.columns  # in rows
    count = -(-window // hop)
    hops = frames - 1 + count
    missing = hops * spec.hop_samples - clips.shape[1]
    if missing > 0:
        clips = tf.concat([clips, padding * constant(np.ones((1, missing)))], axis=1)
    rows = tf.transpose(tf.reshape(clips, [-1, hops, hop, split.columns]), [0, 3, 2, 1])
    rows = tf.gather(rows, split.order.astype(np.int32), axis=1)
    return tf.concat([rows[:, :, : min(hop, window - i * hop), i : i + frames] for i in range(count)], axis=2)


def power_spectrum_tf(clips: Any, middle: Any, spec: FrontendSpec, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Build the graph of the power spectrum of clips minus their middle.

    Parameters
    ----------
    clips : tf.Tensor
        float32 `[n, samples]`.
    middle : tf.Tensor
        Value to subtract from each clip, float32 `[n, 1]`.
    spec : FrontendSpec
        Window, hop and FFT length.
    frames : int
        Number of STFT frames.

    Returns
    -------
    tuple of tf.Tensor and numpy.ndarray
        Squares `[n, rows, frames]`, and the row of every bin `[fft_length // 2 + 1]`, lowest bin first.
    """
    split = _split(spec)
    mean = tf.reduce_mean(clips, axis=1, keepdims=True)
    # Rounded to a whole step of 16-bit audio, so that the difference is exact.
    mean = tf.round(mean * AUDIO.pcm_full_scale) * (1.0 / AUDIO.pcm_full_scale)
    first = _first_stage(spec, split)
    # [n, columns, bases, frames]
    parts = tf.matmul(constant(first[None]), _frame(clips - mean, middle - mean, spec, split, frames=frames))
    parts = tf.reshape(parts, [-1, split.columns, first.shape[1] * frames])
    alone, pairs = len(split.alone), len(split.pairs)
    one, other = parts[:, : alone + pairs], parts[:, alone + pairs :]
    # Contribution of the mean to the bins that any mel band uses.
    of_constant = np.fft.rfft(hann(spec), n=spec.fft_length)[mel_matrix(spec).any(axis=1)]
    level = (mean - middle)[..., None] if np.abs(of_constant).max() > _SEEN else None

    def add_level(x: Any, of_columns: NDArray[np.float64]) -> Any:
        return (
            x
            if level is None
            else x + level * constant(np.repeat(of_columns @ first.sum(axis=2), frames, axis=1)[None])
        )

    quotients, angle = np.concatenate([split.alone[1:], split.pairs]), 2.0 * np.pi / split.columns * split.order
    even = one if not pairs else tf.concat([one[:, :alone], one[:, alone:] + other], axis=1)
    # The cosines of quotient 0.
    total = add_level(tf.reduce_sum(even, axis=1, keepdims=True), np.ones((1, split.columns)))
    if not pairs:
        return _power(total, None, None, split, frames=frames)
    cosines, sines = np.cos(np.outer(quotients, angle)), np.sin(np.outer(split.pairs, angle))
    cosine = add_level(tf.matmul(constant(cosines[None, :, : alone + pairs]), even), cosines)
    sine = add_level(tf.matmul(constant(sines[None, :, alone : alone + pairs]), one[:, alone:] - other), sines)
    return _power(total, cosine, sine, split, frames=frames)


def _first_stage(spec: FrontendSpec, split: _Split) -> NDArray[np.float64]:
    """Return the windowed DFT over rows, `[columns, bases, rows]`.

    Cosines of all bases come first, then sines of the complex ones.
    """
    sample = split.columns * np.arange(spec.window_samples // split.columns) + split.order[:, None, None]
    angle = 2.0 * np.pi / spec.fft_length * sample
    cosines, sines = (
        np.cos(angle * np.concatenate([split.real, split.complex])[:, None]),
        -np.sin(angle * split.complex[:, None]),
    )
    return np.asarray(hann(spec)[sample] * np.concatenate([cosines, sines], axis=1))


def _power(total: Any, cosine: Any, sine: Any, split: _Split, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Return squares `[n, rows, frames]` and the row of every bin.

    The inputs are the second stage's, `[n, quotients, bases * frames]`.
    """
    real, both = len(split.real) * frames, (len(split.real) + len(split.complex)) * frames
    of_real, of_complex, middles = split.real, split.complex, split.rows * split.pairs[:, None]
    alone = total if len(split.alone) == 1 else tf.concat([total, cosine[:, :1]], axis=1)
    parts = [
        (tf.square(alone[..., :real]), of_real + split.rows * split.alone[:, None]),
        (
            tf.square(alone[..., real:both]) + tf.square(alone[..., both:]),
            of_complex + split.rows * split.alone[:, None],
        ),
    ]
    if len(split.pairs):
        cosine = cosine[:, len(split.alone) - 1 :] if len(split.alone) > 1 else cosine
        (a, b), (c, d) = ((x[..., real:both], x[..., both:]) for x in (cosine, sine))
        parts += [
            (tf.square(cosine[..., :real]) + tf.square(sine[..., :real]), of_real + middles),
            (tf.square(a + d) + tf.square(b - c), of_complex + middles),
            (tf.square(a - d) + tf.square(b + c), of_complex - middles),
        ]
    power = tf.concat([tf.reshape(squares, [-1, bins.size, frames]) for squares, bins in parts], axis=1)
    length = split.rows * split.columns
    bins = np.concatenate([bins.ravel() for _, bins in parts]) % length
    return power, np.unique(np.minimum(bins, length - bins), return_index=True)[1]  # some bins occur twice


def constant(values: Any) -> Any:
    """Return `values` as a float32 constant of TensorFlow."""
    return tf.constant(np.asarray(values, dtype=np.float32))
