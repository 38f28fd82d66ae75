"""Power spectrum in TFLite builtin ops, frames innermost: matrices stand on the left, and rows are chosen, joined and
reordered as blocks of memory.

The DFT has two stages (Cooley and Tukey 1965): sample = columns * row + column, bin = base +- rows * quotient. The
first is a small matmul over the rows of every column, with window and twiddle factors inside. The second is real: a
column and its mirror are added for cosines and subtracted for sines, and bins above and below a base are sums and
differences of the same four products. Half the multiplications of a complex second stage. A clip's mean is taken out
before the DFT, since its rounding would drown quiet bins: only bins next to 0 Hz can see it, and get it back after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.audio.frontend import hann, mel_matrix
from hearlite.spec import AUDIO, FrontendSpec

_SEEN = 1e-6  # of a constant by a bin; float64 rounding leaves 1e-14 in bins that don't see it


@dataclass(frozen=True)
class _Split:
    """A DFT of rows * columns samples. Every bin is base +- rows * quotient; a base whose sines are all 0 is real, the
    others are complex.
    """

    rows: int
    columns: int
    real: NDArray[np.intp]  # bases
    complex: NDArray[np.intp]
    alone: NDArray[np.intp]  # columns, and quotients, that are their own mirrors
    pairs: NDArray[np.intp]  # those that stand for two

    @property
    def order(self) -> NDArray[np.intp]:
        """Of columns in memory: mirrors last, in their originals' order."""
        return np.concatenate([self.alone, self.pairs, self.columns - self.pairs])


def _split(spec: FrontendSpec) -> _Split:
    """The split whose matrices are smallest, of those whose rows fit hop and window."""
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
    """`[n, samples]` -> `[n, columns, window / columns, frames]` by slices of hops: no gather, no frame op. The end is
    filled with `padding`.
    """
    hop, given = spec.hop_samples // split.columns, spec.window_samples // split.columns  # in rows
    count = -(-given // hop)
    hops = frames - 1 + count
    missing = hops * spec.hop_samples - clips.shape[1]
    if missing > 0:
        clips = tf.concat([clips, padding * constant(np.ones((1, missing)))], axis=1)
    rows = tf.transpose(tf.reshape(clips, [-1, hops, hop, split.columns]), [0, 3, 2, 1])
    rows = tf.gather(rows, split.order.astype(np.int32), axis=1)
    return tf.concat([rows[:, :, : min(hop, given - i * hop), i : i + frames] for i in range(count)], axis=2)


def power_spectrum_tf(clips: Any, middle: Any, spec: FrontendSpec, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Power spectrum of clips `[n, samples]` less their `middle` `[n, 1]`: squares `[n, rows, frames]`, and the row of
    every bin, lowest first.
    """
    split = _split(spec)
    mean = tf.reduce_mean(clips, axis=1, keepdims=True)
    mean = tf.round(mean * AUDIO.pcm_full_scale) * (
        1.0 / AUDIO.pcm_full_scale
    )  # a whole step of 16-bit audio: the difference is then exact
    first = _first_stage(spec, split)
    parts = tf.matmul(
        constant(first[None]), _frame(clips - mean, middle - mean, spec, split, frames=frames)
    )  # [n, columns, bases, frames]
    parts = tf.reshape(parts, [-1, split.columns, first.shape[1] * frames])
    alone, pairs = len(split.alone), len(split.pairs)
    one, other = parts[:, : alone + pairs], parts[:, alone + pairs :]
    of_constant = np.fft.rfft(hann(spec), n=spec.fft_length)[
        mel_matrix(spec).any(axis=1)
    ]  # what bins that matter see of the mean
    level = (mean - middle)[..., None] if np.abs(of_constant).max() > _SEEN else None

    def add_level(x: Any, of_columns: NDArray[np.float64]) -> Any:
        return (
            x
            if level is None
            else x + level * constant(np.repeat(of_columns @ first.sum(axis=2), frames, axis=1)[None])
        )

    quotients, angle = np.concatenate([split.alone[1:], split.pairs]), 2.0 * np.pi / split.columns * split.order
    even = one if not pairs else tf.concat([one[:, :alone], one[:, alone:] + other], axis=1)
    total = add_level(
        tf.reduce_sum(even, axis=1, keepdims=True), np.ones((1, split.columns))
    )  # the cosines of quotient 0
    if not pairs:
        return _power(total, None, None, split, frames=frames)
    cosines, sines = np.cos(np.outer(quotients, angle)), np.sin(np.outer(split.pairs, angle))
    cosine = add_level(tf.matmul(constant(cosines[None, :, : alone + pairs]), even), cosines)
    sine = add_level(tf.matmul(constant(sines[None, :, alone : alone + pairs]), one[:, alone:] - other), sines)
    return _power(total, cosine, sine, split, frames=frames)


def _first_stage(spec: FrontendSpec, split: _Split) -> NDArray[np.float64]:
    """Windowed DFT over rows, `[columns, bases, rows]`: cosines of all bases, then sines of the complex ones."""
    sample = split.columns * np.arange(spec.window_samples // split.columns) + split.order[:, None, None]
    angle = 2.0 * np.pi / spec.fft_length * sample
    cosines, sines = (
        np.cos(angle * np.concatenate([split.real, split.complex])[:, None]),
        -np.sin(angle * split.complex[:, None]),
    )
    return np.asarray(hann(spec)[sample] * np.concatenate([cosines, sines], axis=1))


def _power(total: Any, cosine: Any, sine: Any, split: _Split, *, frames: int) -> tuple[Any, NDArray[np.intp]]:
    """Squares `[n, rows, frames]` and the row of every bin, from the second stage's `[n, quotients, bases *
    frames]`.
    """
    real, both = len(split.real) * frames, (len(split.real) + len(split.complex)) * frames
    of_real, of_complex, middles = split.real, split.complex, split.rows * split.pairs[:, None]
    alone = total if len(split.alone) == 1 else tf.concat([total, cosine[:, :1]], axis=1)
    found = [
        (tf.square(alone[..., :real]), of_real + split.rows * split.alone[:, None]),
        (
            tf.square(alone[..., real:both]) + tf.square(alone[..., both:]),
            of_complex + split.rows * split.alone[:, None],
        ),
    ]
    if len(split.pairs):
        cosine = cosine[:, len(split.alone) - 1 :] if len(split.alone) > 1 else cosine
        (a, b), (c, d) = ((x[..., real:both], x[..., both:]) for x in (cosine, sine))
        found += [
            (tf.square(cosine[..., :real]) + tf.square(sine[..., :real]), of_real + middles),
            (tf.square(a + d) + tf.square(b - c), of_complex + middles),
            (tf.square(a - d) + tf.square(b + c), of_complex - middles),
        ]
    power = tf.concat([tf.reshape(squares, [-1, bins.size, frames]) for squares, bins in found], axis=1)
    length = split.rows * split.columns
    bins = np.concatenate([bins.ravel() for _, bins in found]) % length
    return power, np.unique(np.minimum(bins, length - bins), return_index=True)[1]  # some are found twice


def constant(values: Any) -> Any:
    """A float32 constant."""
    return tf.constant(np.asarray(values, dtype=np.float32))
