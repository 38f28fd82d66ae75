"""The networks of peers.py in TensorFlow, and their conversion to float32 .tflite files. Random weights, seeded."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras import layers

from hearlite.benchmarks.peers import FRILL, HEAR, HEAR_S, MN04, MN10
from hearlite.fake_hear import HEAR_VIT, VitSize, hear_like_module
from hearlite.spec import AUDIO

VITS = {HEAR: HEAR_VIT, HEAR_S: VitSize(width=384, depth=12, heads=6, mlp=1536)}  # the second: ViT-S of arXiv:2012.12877, table 1
_FRILL_IMAGE, _FRILL_WIDTH, _FRILL_DIM = (96, 64, 1), 2.0, 2048  # google-research/non_semantic_speech_benchmark/distillation/models.py
_MEL_IMAGE, _CLASSES = (128, 1000, 1), 527  # EfficientAT: mel bands, frames of 10 ms; AudioSet
_MN_LAST = 1280  # hidden units of EfficientAT's head at width 1
_WIDTHS = {MN04: 0.4, MN10: 1.0}


def build(name: str, *, seed: int = 0) -> bytes:
    """The float32 .tflite of a shape, batch 1. Needs memory of ten times the file."""
    if name in VITS:
        module = hear_like_module(size=VITS[name], seed=seed)
        embed = tf.function(module.embed, input_signature=[tf.TensorSpec([1, AUDIO.clip_samples], tf.float32, name="audio")])
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()], module).convert())
    tf_keras.utils.set_random_seed(seed)
    model = frill() if name == FRILL else efficientat(_WIDTHS[name])
    function = tf.function(lambda image: model(image, training=False), input_signature=[tf.TensorSpec([1, *model.input_shape[1:]], tf.float32)])
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model).convert())


def frill() -> Any:
    """Keras model: log mel `[n, 96, 64, 1]` -> `[n, 2048]`. Keras' MobileNetV3 ended in a layer more when FRILL was made."""
    trunk = tf_keras.applications.MobileNetV3Small(
        input_shape=_FRILL_IMAGE, alpha=_FRILL_WIDTH, include_top=False, weights=None, pooling="avg", include_preprocessing=False
    )
    hidden = layers.Activation(_hard_swish)(layers.Dense(_FRILL_DIM)(trunk.output))
    return tf_keras.Model(trunk.input, layers.Dense(_FRILL_DIM, name="distilled_output")(hidden))


def efficientat(width: float) -> Any:
    """Keras model: mel `[n, 128, 1000, 1]` -> AudioSet logits `[n, 527]` by its "mlp" head; its embedding is the pooled layer before."""
    trunk = tf_keras.applications.MobileNetV3Large(
        input_shape=_MEL_IMAGE, alpha=width, include_top=False, weights=None, pooling="avg", include_preprocessing=False
    )
    hidden = layers.Activation(_hard_swish)(layers.Dense(round(_MN_LAST * width))(trunk.output))
    return tf_keras.Model(trunk.input, layers.Dense(_CLASSES)(hidden))


def _hard_swish(x: Any) -> Any:
    return x * tf.nn.relu6(x + 3.0) / 6.0
