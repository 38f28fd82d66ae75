"""The networks of peers.py in TensorFlow, and their conversion to float32 .tflite files. Random weights, seeded."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras
from tf_keras import layers

from hearlite.benchmarks.cost.reference_models import FRILL, HEAR, HEAR_S, MN04, MN10
from hearlite.benchmarks.cost.vit import HEAR_VIT, VitSize, hear_like_module
from hearlite.spec import AUDIO

VITS = {
    HEAR: HEAR_VIT,
    HEAR_S: VitSize(width=384, depth=12, heads=6, mlp=1536),
}  # the second: ViT-S of arXiv:2012.12877, table 1
_FRILL_IMAGE, _FRILL_WIDTH, _FRILL_DIM = (
    (96, 64, 1),
    2.0,
    2048,
)  # google-research/non_semantic_speech_benchmark/distillation/models.py
_MEL_IMAGE, _CLASSES = (128, 1000, 1), 527  # EfficientAT: mel bands, frames of 10 ms; AudioSet
_MN_LAST = 1280  # hidden units of EfficientAT's head at width 1


class _Block(NamedTuple):
    kernel: int
    expanded: int
    out: int
    excite: bool
    swish: bool
    stride: int


_BLOCKS = tuple(  # EfficientAT's models/mn/model.py, which are those of MobileNetV3 Large, arXiv:1905.02244, table 1
    _Block(*row)
    for row in (
        (3, 16, 16, False, False, 1),
        (3, 64, 24, False, False, 2),
        (3, 72, 24, False, False, 1),
        (5, 72, 40, True, False, 2),
        (5, 120, 40, True, False, 1),
        (5, 120, 40, True, False, 1),
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 480, 112, True, True, 1),
        (3, 672, 112, True, True, 1),
        (5, 672, 160, True, True, 2),
        (5, 960, 160, True, True, 1),
        (5, 960, 160, True, True, 1),
    )
)
_WIDTHS = {MN04: 0.4, MN10: 1.0}


def build(name: str, *, seed: int = 0) -> bytes:
    """Return the float32 .tflite of a shape, batch 1. Needs memory of ten times the file."""
    if name in VITS:
        module = hear_like_module(size=VITS[name], seed=seed)
        embed = tf.function(
            module.embed, input_signature=[tf.TensorSpec([1, AUDIO.clip_samples], tf.float32, name="audio")]
        )
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()], module).convert())
    tf_keras.utils.set_random_seed(seed)
    model = frill() if name == FRILL else efficientat(_WIDTHS[name])
    function = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec([1, *model.input_shape[1:]], tf.float32)],
    )
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model).convert())


def frill() -> Any:
    """Return a Keras model: log mel `[n, 96, 64, 1]` -> `[n, 2048]`.

    Keras' MobileNetV3 ended in one more layer when FRILL was made.
    """
    trunk = tf_keras.applications.MobileNetV3Small(
        input_shape=_FRILL_IMAGE,
        alpha=_FRILL_WIDTH,
        include_top=False,
        weights=None,
        pooling="avg",
        include_preprocessing=False,
    )
    hidden = _hard_swish(layers.Dense(_FRILL_DIM)(trunk.output))
    return tf_keras.Model(trunk.input, layers.Dense(_FRILL_DIM, name="distilled_output")(hidden))


def efficientat(width: float) -> Any:
    """Return a Keras model: mel `[n, 128, 1000, 1]` -> AudioSet logits `[n, 527]` by its "mlp" head.

    Its embedding is the pooled layer before.

    Keras' own MobileNetV3 scales neither the stem nor the expanded channels as EfficientAT does: 19 % more work at
    width 0.4.
    """
    image = layers.Input(_MEL_IMAGE)
    x = _hard_swish(_convolution(image, _divisible(_BLOCKS[0].out * width), kernel=3, stride=2))
    for block in _BLOCKS:
        x = _inverted_residual(x, block, width=width)
    x = _hard_swish(_convolution(x, 6 * x.shape[-1]))
    hidden = _hard_swish(layers.Dense(_divisible(_MN_LAST * width))(layers.GlobalAveragePooling2D()(x)))
    return tf_keras.Model(image, layers.Dense(_CLASSES)(hidden))


def _inverted_residual(x: Any, block: _Block, *, width: float) -> Any:
    activate = _hard_swish if block.swish else tf.nn.relu
    expanded, out = _divisible(block.expanded * width), _divisible(block.out * width)
    y = activate(_convolution(x, expanded)) if expanded != x.shape[-1] else x
    y = layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False)(y)
    y = activate(layers.BatchNormalization()(y))
    if block.excite:
        gate = tf.nn.relu(layers.Conv2D(_divisible(expanded // 4), 1)(layers.GlobalAveragePooling2D(keepdims=True)(y)))
        y = y * (tf.nn.relu6(layers.Conv2D(expanded, 1)(gate) + 3.0) / 6.0)
    y = _convolution(y, out)
    return x + y if block.stride == 1 and out == x.shape[-1] else y


def _convolution(x: Any, channels: int, *, kernel: int = 1, stride: int = 1) -> Any:
    return layers.BatchNormalization()(layers.Conv2D(channels, kernel, stride, "same", use_bias=False)(x))


def _divisible(channels: float) -> int:
    """To a multiple of 8, not more than 10 % down: all of the family round so (Howard et al., arXiv:1905.02244)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _hard_swish(x: Any) -> Any:
    return x * tf.nn.relu6(x + 3.0) / 6.0
