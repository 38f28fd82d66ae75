"""The mel-PCEN frontend as a Keras layer of TFLite builtin ops.

This graph is used in training and is part of every exported file. It equals frontend.py within 1.4e-4 on 50 real clips
(benchmarks/results/frontend-forms). Of the variants measured there that keep the image, it executes the fewest
instructions:

- The spectrum comes from spectrum_tf.py with frames as the innermost axis, which it remains until the last transpose.
- Mel bands are computed in groups of neighbours, each from the bins that contribute to it: the whole matrix would be
  mostly zeros.
- The PCEN smoother works in blocks of frames; what a block inherits from all earlier ones is one narrow matmul.

PCEN amplifies the quietest bins most, so float32 rounding 100 dB below the loudest ones matters. HeAR's min-max, which
leaves an offset of up to 1, is therefore applied to power instead of samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from hearlite.audio.frontend import mel_matrix, resize_matrix, smoother_matrix
from hearlite.audio.spectrum_tf import constant, power_spectrum_tf
from hearlite.spec import FrontendSpec

# Bands per group: a tile of XNNPACK's matmul on ARM has 6 rows. Other sizes from 5 to 18 bands cost up to 4 % more
# instructions on a Cortex-A76.
_BANDS = 6
_BLOCK = 16  # frames; other sizes from 8 to 40 cost up to 3 % more


class Frontend(tf_keras.layers.Layer):
    """The mel-PCEN frontend: audio float32 `[n, samples]` -> image float32 `[n, frames, mels, 1]`.

    Each clip's image is independent of the others. The number of samples must be static.
    """

    def __init__(self, spec: FrontendSpec, *, name: str = "frontend") -> None:
        super().__init__(name=name, trainable=False, dtype="float32")
        self.spec = spec

    def call(self, clips: Any) -> Any:
        """Compute the images of clips `[n, samples]`."""
        spec, frames = self.spec, self.spec.stft_frames(clips.shape[1])
        lowest, highest = tf.reduce_min(clips, axis=1, keepdims=True), tf.reduce_max(clips, axis=1, keepdims=True)
        spread = highest - lowest + spec.range_floor  # HeAR's min-max: clips become 2 * (clip - middle) / spread
        energy = self.mel_energy(clips, lowest + 0.5 * spread, frames=frames) * tf.square(2.0 / spread)[..., None]
        # EXP and LOG are delegated to XNNPACK, POW never is.
        gain = tf.exp(-spec.pcen_alpha * tf.math.log(self.smooth(energy)))
        ratio = energy * gain + spec.pcen_delta
        root = tf.sqrt(ratio) if spec.pcen_root == 2.0 else tf.pow(ratio, 1.0 / spec.pcen_root)
        silence = spec.pcen_delta ** (1.0 / spec.pcen_root)
        if spec.resize_frames:  # the matrix' rows sum to 1, so silence may be subtracted afterwards
            root = tf.matmul(root, constant(resize_matrix(frames, spec.resize_frames).T))
        image = tf.math.log(root + (1.0 - silence)) if spec.log1p else root - silence
        return tf.transpose(image, [0, 2, 1])[..., None]  # [n, frames, mels, 1]

    def mel_energy(self, clips: Any, middle: Any, *, frames: int) -> Any:
        """Compute the mel power `[n, mels, frames]` of clips `[n, samples]` minus their `middle` `[n, 1]`."""
        power, rows = power_spectrum_tf(clips, middle, self.spec, frames=frames)
        matrix = mel_matrix(self.spec).T  # [mels, bins]
        energies = []
        for bands in np.array_split(matrix, -(-self.spec.mels // _BANDS)):
            seen = np.flatnonzero(bands.any(axis=0))
            seen = seen if seen.size else np.zeros(1, np.intp)  # narrow bands may lie between two bins
            energies.append(
                tf.matmul(constant(bands[None, :, seen]), tf.gather(power, rows[seen].astype(np.int32), axis=1))
            )
        return tf.concat(energies, axis=1)

    def smooth(self, energy: Any) -> Any:
        """Apply the PCEN smoother to `[n, mels, frames]` and add its floor."""
        mels, frames = energy.shape[1:]
        spec, matrix = self.spec, smoother_matrix(frames, smoothing=self.spec.pcen_smoothing)
        if frames % _BLOCK:
            return tf.matmul(energy, constant(matrix.T)) + spec.pcen_floor
        blocks, keep = frames // _BLOCK, 1.0 - spec.pcen_smoothing
        lag = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
        # Smoothing inside each block, as if it started from 0.
        inside = np.where(lag >= 0, spec.pcen_smoothing * keep ** np.maximum(lag, 0), 0.0)
        fresh = tf.matmul(tf.reshape(energy, [-1, mels, blocks, _BLOCK]), constant(inside.T)) + constant(
            np.full(_BLOCK, spec.pcen_floor)
        )
        # State before each block, [blocks, frames]; before the first block it is the first frame.
        inherited = np.vstack([np.eye(1, frames), matrix[_BLOCK - 1 : -1 : _BLOCK]])
        fading = keep ** np.arange(1, _BLOCK + 1)
        return tf.reshape(
            fresh + tf.matmul(energy, constant(inherited.T))[..., None] * constant(fading), [-1, mels, frames]
        )
