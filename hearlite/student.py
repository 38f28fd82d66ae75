"""The student network, whole: mel-PCEN image -> embedding. Plain convolutions, ReLU6 and pooling only, so that every
layer quantizes to int8.

Inverted residuals after MobileNetV2 (arXiv:1801.04381) with rectangular (time, frequency) kernels. Fully convolutional
in time: nothing before the global pooling fixes the number of frames. The last convolution spans all remaining
frequency rows, so the pooling over time keeps what band a sound was in. Mid-level taps are summed, not concatenated: a
concatenation would force one int8 scale on all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from tf_keras import layers

from hearlite.audio.frontend_tf import Frontend
from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips
from hearlite.errors import InputError
from hearlite.files import read_arrays, sha256_of
from hearlite.run import Run
from hearlite.spec import AUDIO, Block, StudentSpec

EMBED_BATCH = 64  # 8 MB of audio


def build_network(spec: StudentSpec, *, batchnorm_momentum: float = 0.9, synchronized: bool = False) -> Any:
    """Keras model: image float32 `[n, frames, mels, 1]` -> embedding float32 `[n, embedding_dim]`.

    `synchronized`: batch statistics over all replicas that train it. The variables and what they compute after training
    are the same.
    """
    frames = spec.frontend.frames(AUDIO.clip_samples)
    parts = _Parts(batchnorm_momentum, synchronized, swish=spec.nonlinearity == "hard-swish-se")
    image = layers.Input((frames, spec.frontend.mels, 1), name="image")
    x = _conv(image, spec.stem_channels, (3, 3), (2, 2), name="stem", parts=parts)
    pooled = []
    for index, block in enumerate(spec.blocks):
        x = _block(x, block, name=f"block{index}", parts=parts)
        if block.tap:
            pooled.append((f"tap{index}", x))
    rows = 1 if spec.frequency == "mean" else x.shape[2]  # of frequency that the head sees at once
    x = _conv(
        x, spec.head_channels, (1, rows), (1, 1), name="head", parts=parts, padding="valid"
    )  # [n, steps, 1, head]; [n, steps, rows, head]
    pooled.append(("embedding", x))

    embedding: Any = None
    for name, features in pooled:
        vector = layers.GlobalAveragePooling2D(name=f"{name}_pool")(features)
        vector = layers.Dense(spec.embedding_dim, use_bias=name == "embedding", name=name)(vector)
        embedding = vector if embedding is None else layers.Add(name=f"{name}_sum")([embedding, vector])
    return tf_keras.Model(image, embedding, name="network")


@dataclass(frozen=True)
class _Parts:
    """What all convolutions of a network share."""

    momentum: float
    synchronized: bool
    swish: bool

    def norm(self, x: Any, *, name: str) -> Any:
        return layers.BatchNormalization(momentum=self.momentum, synchronized=self.synchronized, name=f"{name}_bn")(x)

    def activate(self, x: Any, *, name: str) -> Any:
        if self.swish:
            return layers.Multiply(name=f"{name}_swish")([x, layers.ReLU(6.0, name=f"{name}_relu")(x + 3.0) / 6.0])
        return layers.ReLU(6.0, name=f"{name}_relu")(x)

    def excite(self, x: Any, *, name: str) -> Any:
        """Squeeze-and-excitation with MobileNetV3's reduction by 4; without swish there is none: it breaks streaming
        and int8 fusion.
        """
        if not self.swish:
            return x
        channels = x.shape[-1]
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
        gate = layers.Conv2D(channels // 4, 1, activation="relu", name=f"{name}_reduce")(gate)
        gate = layers.Conv2D(channels, 1, activation="hard_sigmoid", name=f"{name}_excite")(gate)
        return layers.Multiply(name=f"{name}_gate")([x, gate])


def _block(x: Any, block: Block, *, name: str, parts: _Parts) -> Any:
    """Inverted residual, or depthwise-separable when there is no expansion; residual where shape stays."""
    y = _conv(x, block.expand, (1, 1), (1, 1), name=f"{name}_expand", parts=parts) if block.expand else x
    depthwise = layers.DepthwiseConv2D if block.stride[0] == block.stride[1] else UnequalStrideDepthwiseConv2D
    y = depthwise(block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise")(y)
    y = parts.activate(parts.norm(y, name=f"{name}_depthwise"), name=f"{name}_depthwise")
    y = parts.excite(y, name=f"{name}_depthwise")
    y = layers.Conv2D(block.out, 1, use_bias=False, name=f"{name}_project")(y)
    y = parts.norm(y, name=f"{name}_project")
    if not block.expand:
        return parts.activate(y, name=f"{name}_project")
    if y.shape[1:] == x.shape[1:]:
        return layers.Add(name=f"{name}_residual")([x, y])
    return y


class UnequalStrideDepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution whose two strides differ, computed with stride 1 and a slice. Padding must be "same".

    TensorFlow's own kernel (x86 without oneDNN, ARM, macOS, GPU) refuses unequal strides, in training and in inference;
    only oneDNN's takes them. TFLite's has always taken them: `with_native_strides` gives the network that is converted.
    """

    def call(self, inputs: Any) -> Any:
        y = tf_keras.backend.depthwise_conv2d(
            inputs, self.depthwise_kernel, (1, 1), self.padding, self.data_format, self.dilation_rate
        )
        first = [
            _same_padding(size, kernel, 1) - _same_padding(size, kernel, stride)
            for size, kernel, stride in zip(inputs.shape[1:3], self.kernel_size, self.strides, strict=True)
        ]
        y = y[:, first[0] :: self.strides[0], first[1] :: self.strides[1]]
        return tf.nn.bias_add(y, self.bias) if self.use_bias else y


def _same_padding(size: int, kernel: int, stride: int) -> int:
    """Zeros that "same" puts before the first of `size` values: TensorFlow's rule, half of what the last window needs,
    rounded down.
    """
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) // 2


def with_native_strides(network: Any) -> Any:
    """A copy whose depthwise convolutions stride by themselves: what a file should hold. To convert, not to run: see
    above.
    """

    def copy(layer: Any) -> Any:
        kind = layers.DepthwiseConv2D if isinstance(layer, UnequalStrideDepthwiseConv2D) else layer.__class__
        return kind.from_config(layer.get_config())

    native = tf_keras.models.clone_model(network, clone_function=copy)
    native.set_weights(network.get_weights())
    return native


def _conv(
    x: Any,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    *,
    name: str,
    parts: _Parts,
    padding: str = "same",
) -> Any:
    x = layers.Conv2D(channels, kernel, stride, padding, use_bias=False, name=name)(x)
    return parts.activate(parts.norm(x, name=name), name=name)


def with_frontend(network: Any, spec: StudentSpec) -> Any:
    """Keras model: audio float32 `[n, clip_samples]` in [-1, 1) -> embedding float32 `[n, embedding_dim]`."""
    audio = layers.Input((AUDIO.clip_samples,), name="audio")
    return tf_keras.Model(audio, network(Frontend(spec.frontend)(audio)), name="student")


def count_macs(network: Any) -> int:
    """Multiply-accumulates of one clip in the network's convolutions and linear layers; the frontend is not counted."""
    macs = 0
    for layer in network.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            macs += int(np.prod(layer.output_shape[1:])) * int(np.prod(layer.kernel_size))
        elif isinstance(layer, layers.Conv2D):
            macs += int(np.prod(layer.output_shape[1:])) * int(np.prod(layer.kernel_size)) * layer.input_shape[-1]
        elif isinstance(layer, layers.Dense):
            macs += int(np.prod(layer.kernel.shape))
    return macs


def make_repeatable(seed: int) -> None:
    """Seed TensorFlow, and have it use deterministic kernels, so that the same training gives the same weights.

    With a GPU it is seeded only: TensorFlow has no deterministic gradient of a depthwise convolution there and refuses
    to compute one (documentation of tf.config.experimental.enable_op_determinism). Two trainings then differ by
    rounding.
    """
    tf_keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def weights_of(network: Any) -> dict[str, NDArray[np.float32]]:
    """The network's variables by name, for a .npz."""
    return {variable.name: variable.numpy() for variable in network.weights}


def load_network(spec: StudentSpec, weights: Path) -> Any:
    """The finished network of a run. Raises InputError when the file doesn't fit the spec."""
    network = build_network(spec)
    arrays = read_arrays(weights)
    expected = {variable.name: tuple(variable.shape) for variable in network.weights}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0]
        raise InputError(
            f"{weights}: does not fit the {spec.size} student, first at {odd[0]} with shape {list(odd[1])}",
            "run 'hearlite distill' again",
        )
    network.set_weights([arrays[variable.name] for variable in network.weights])
    return network


class StudentEmbedder:
    """A run's float32 student as an Embedder, in Keras."""

    def __init__(self, run: Run) -> None:
        self.info = EmbedderInfo(
            name=f"student:{run.folder.name}",
            kind="student",
            dim=run.spec.student.embedding_dim,
            licence=run.spec.teacher.licence,
            fingerprint=sha256_of(run.weights),
            surrogate_note=run.spec.teacher.surrogate_note,
            notice=run.spec.teacher.notice,
        )
        model = with_frontend(load_network(run.spec.student, run.weights), run.spec.student)
        self._predict = tf.function(lambda clips: model(clips, training=False))

    def embed(self, clips: Clips) -> Embeddings:
        clips = as_clips(clips)
        parts = [self._predict(clips[i : i + EMBED_BATCH]).numpy() for i in range(0, len(clips), EMBED_BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.info.dim), np.float32)
