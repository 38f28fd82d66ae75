"""Forms of the student's first layers, from the image to 32 channels at a quarter of its resolution: their cost alone, weights are random.

None but the first has been trained. A form that is cheap here is worth a training run, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

from hearlite.convert import convert_layer, convert_network
from hearlite.spec import AUDIO, STUDENT_FRONTEND

_FRAMES, _MELS, _OUT = STUDENT_FRONTEND.frames(AUDIO.clip_samples), STUDENT_FRONTEND.mels, 32
Layers = Sequence[Callable[[Any], Any]]


@dataclass(frozen=True)
class Stem:
    """Layers behind an image whose patches of `patch` x `patch` points became channels; the frontend's last transposition can do that."""

    name: str
    patch: int
    make: Callable[[], Layers]

    def network(self) -> Any:
        """Keras model, image `[n, frames / patch, mels / patch, patch ** 2]` -> `[n, frames / 4, mels / 4, 32]`."""
        tf.random.set_seed(0)
        image = layers.Input((_FRAMES // self.patch, _MELS // self.patch, self.patch**2))
        x: Any = image
        for layer in self.make():
            x = layer(x)
        return tf_keras.Model(image, x)

    def convert(self) -> bytes:
        """The int8 layers, float32 at both ends."""
        network, rng = self.network(), np.random.default_rng(0)
        return convert_network(network, calibration=[rng.random(network.input_shape[1:], np.float32) for _ in range(4)])

    def convert_order(self) -> bytes:
        """What puts the frontend's `[1, mels, frames]` in the image's order, float32."""
        frames, mels, p = _FRAMES // self.patch, _MELS // self.patch, self.patch

        def order(image: Any) -> Any:
            return tf.reshape(tf.transpose(tf.reshape(image, [-1, mels, p, frames, p]), [0, 3, 1, 4, 2]), [-1, frames, mels, p * p])

        return convert_layer(order, [1, _MELS, _FRAMES])


def stems() -> list[Stem]:
    """Today's first."""
    return [
        Stem("convolution 3x3/2 to 16, depthwise 3x3/2, 1x1 (today)", 1, lambda: [_conv(16, 3, 2), _depthwise(2), _conv(_OUT, 1)]),
        Stem("the same with 8 channels", 1, lambda: [_conv(8, 3, 2), _depthwise(2), _conv(_OUT, 1)]),
        Stem("convolution 4x4/4", 1, lambda: [_conv(_OUT, 4, 4)]),
        Stem("2x2 patches, 1x1 to 16, depthwise 3x3/2, 1x1", 2, lambda: [_conv(16, 1), _depthwise(2), _conv(_OUT, 1)]),
        Stem("2x2 patches, convolution 3x3/2", 2, lambda: [_conv(_OUT, 3, 2)]),
        Stem("4x4 patches, 1x1", 4, lambda: [_conv(_OUT, 1)]),
        Stem("4x4 patches, 1x1, depthwise 3x3", 4, lambda: [_conv(_OUT, 1), _depthwise(1)]),
        Stem("4x4 patches, depthwise 3x3, 1x1", 4, lambda: [_depthwise(1), _conv(_OUT, 1)]),
    ]


def _conv(channels: int, kernel: int, stride: int = 1) -> Callable[[Any], Any]:
    return lambda x: layers.ReLU(6.0)(layers.Conv2D(channels, kernel, stride, "same", use_bias=True)(x))


def _depthwise(stride: int) -> Callable[[Any], Any]:
    return lambda x: layers.ReLU(6.0)(layers.DepthwiseConv2D(3, stride, "same", use_bias=True)(x))
