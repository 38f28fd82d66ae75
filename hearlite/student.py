"""The student network in Keras: mel-PCEN image -> embedding.

Plain convolutions, ReLU6 and pooling only, so that every layer quantizes to int8. Inverted residuals after MobileNetV2
(arXiv:1801.04381) with rectangular (time, frequency) kernels, or other BLOCKS of hearlite/spec.py. Fully convolutional
in time: nothing before the global pooling fixes the number of frames. The last convolution spans all remaining
frequency rows, so the pooling over time preserves which band a sound was in. Mid-level taps are summed, not
concatenated: a concatenation would force one int8 scale on all of them.
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
    """Build an untrained student network.

    Parameters
    ----------
    spec : StudentSpec
        Its architecture.
    batchnorm_momentum : float
        Momentum of the batch statistics, in [0, 1).
    synchronized : bool
        Compute batch statistics over all replicas in distributed training. The variables and the trained network's
        output are the same either way.

    Returns
    -------
    tf_keras.Model
        Image float32 `[n, frames, mels, 1]` -> embedding float32 `[n, embedding_dim]`.
    """
    frames = spec.frontend.frames(AUDIO.clip_samples)
    parts = _Parts(batchnorm_momentum, synchronized, swish=spec.nonlinearity == "hard-swish-se")
    image = layers.Input((frames, spec.frontend.mels, 1), name="image")
    x = _conv(image, spec.stem_channels, spec.stem_kernel, spec.stem_stride, name="stem", parts=parts)
    pooled = []
    for index, block in enumerate(spec.blocks):
        x = _block(x, block, name=f"block{index}", parts=parts)
        if block.tap:
            pooled.append((f"tap{index}", x))
    rows = 1 if spec.frequency == "mean" else x.shape[2]  # frequency rows that the head's kernel spans
    # [n, steps, 1, head]; [n, steps, rows, head] for "mean"
    x = _conv(x, spec.head_channels, (1, rows), (1, 1), name="head", parts=parts, padding="valid")
    pooled.append(("embedding", x))

    embedding: Any = None
    for name, features in pooled:
        vector = layers.GlobalAveragePooling2D(name=f"{name}_pool")(features)
        vector = layers.Dense(spec.embedding_dim, use_bias=name == "embedding", name=name)(vector)
        embedding = vector if embedding is None else layers.Add(name=f"{name}_sum")([embedding, vector])
    return tf_keras.Model(image, embedding, name="network")


@dataclass(frozen=True)
class _Parts:
    """Settings shared by all layers of a network."""

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
        """Apply squeeze-and-excitation with MobileNetV3's reduction by 4, in networks with swish only.

        It breaks streaming and int8 fusion, so the ReLU6 students have none.
        """
        if not self.swish:
            return x
        channels = x.shape[-1]
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
        gate = layers.Conv2D(channels // 4, 1, activation="relu", name=f"{name}_reduce")(gate)
        gate = layers.Conv2D(channels, 1, activation="hard_sigmoid", name=f"{name}_excite")(gate)
        return layers.Multiply(name=f"{name}_gate")([x, gate])


def _block(x: Any, block: Block, *, name: str, parts: _Parts) -> Any:
    """Add a block of one of BLOCKS; layers have the same names in all of them."""
    y = x
    if block.kind == "narrow":
        # Linear, as MobileNetV2's narrow tensors are, so that int8 can equalise it.
        y = parts.norm(_depthwise(y, block, name=name), name=f"{name}_depthwise")
        y = _conv(y, block.expand, (1, 1), (1, 1), name=f"{name}_expand", parts=parts)
        y = parts.excite(y, name=f"{name}_expand")
    elif block.kind == "dense":
        first = "expand" if block.expand else "project"
        rows = block.kernel[1] or y.shape[2]  # frequency rows that the kernel spans
        y = _conv(
            y,
            block.expand or block.out,
            (block.kernel[0], rows),
            block.stride,
            name=f"{name}_{first}",
            parts=parts,
            padding="same" if block.kernel[1] else "valid",
        )
        y = parts.excite(y, name=f"{name}_{first}")
        if not block.expand:
            return y
    else:
        y = _conv(y, block.expand, (1, 1), (1, 1), name=f"{name}_expand", parts=parts) if block.expand else y
        y = parts.norm(_depthwise(y, block, name=name), name=f"{name}_depthwise")
        y = parts.excite(parts.activate(y, name=f"{name}_depthwise"), name=f"{name}_depthwise")
    y = layers.Conv2D(block.out, 1, use_bias=False, name=f"{name}_project")(y)
    y = parts.norm(y, name=f"{name}_project")
    if not block.expand:
        return parts.activate(y, name=f"{name}_project")
    if y.shape[1:] == x.shape[1:]:
        return layers.Add(name=f"{name}_residual")([x, y])
    return y


def _depthwise(x: Any, block: Block, *, name: str) -> Any:
    kind = layers.DepthwiseConv2D if block.stride[0] == block.stride[1] else UnequalStrideDepthwiseConv2D
    return kind(block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise")(x)


class UnequalStrideDepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution with two different strides, computed with stride 1 and a slice.

    Padding must be "same". TensorFlow's own kernel (x86 without oneDNN, ARM, macOS, GPU) refuses unequal strides, in
    training and in inference; only oneDNN's kernel accepts them. TFLite's kernel always has, so `with_native_strides`
    builds the network that is converted.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve `[n, height, width, channels]`."""
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
    """Return the number of zeros that "same" padding puts before `size` values.

    TensorFlow's rule: half of what the last window needs, rounded down.
    """
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) // 2


def with_native_strides(network: Any) -> Any:
    """Return a copy of a network whose depthwise convolutions have native unequal strides, for conversion.

    Not every TensorFlow kernel can run it, see UnequalStrideDepthwiseConv2D; TFLite can.
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
    """Put the frontend before a network.

    The Keras model takes audio, float32 `[n, clip_samples]` in [-1, 1), and outputs the embedding, float32
    `[n, embedding_dim]`.
    """
    audio = layers.Input((AUDIO.clip_samples,), name="audio")
    return tf_keras.Model(audio, network(Frontend(spec.frontend)(audio)), name="student")


def count_macs(network: Any) -> int:
    """Count multiply-accumulates per clip in convolutions and linear layers, without the frontend."""
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
    """Seed TensorFlow and make its kernels deterministic, so that trainings can be repeated exactly.

    With a GPU it is only seeded: TensorFlow has no deterministic gradient of a depthwise convolution there and refuses
    to compute one (documentation of tf.config.experimental.enable_op_determinism). Repeated trainings then differ by
    rounding.
    """
    tf_keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def weights_of(network: Any) -> dict[str, NDArray[np.float32]]:
    """Return the network's variables by name, for a .npz."""
    return {variable.name: variable.numpy() for variable in network.weights}


def load_network(spec: StudentSpec, weights: Path) -> Any:
    """Build the network of `spec` with the weights in a run's weights.npz.

    Raises InputError when they do not fit it.
    """
    network = build_network(spec)
    arrays = read_arrays(weights)
    expected = {variable.name: tuple(variable.shape) for variable in network.weights}
    actual = {name: array.shape for name, array in arrays.items()}
    if actual != expected:
        odd = sorted(set(actual.items()) ^ set(expected.items()))[0]
        raise InputError(
            f"{weights}: does not fit the {spec.size} student, first at {odd[0]} with shape {list(odd[1])}",
            "run 'hearlite distill' again",
        )
    network.set_weights([arrays[variable.name] for variable in network.weights])
    return network


class StudentEmbedder:
    """The float32 student of a run as an Embedder, in Keras.

    Attributes
    ----------
    info : EmbedderInfo
        Its name, dimension and fingerprint, with the teacher's licence and notes.
    """

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
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`."""
        clips = as_clips(clips)
        parts = [self._predict(clips[i : i + EMBED_BATCH]).numpy() for i in range(0, len(clips), EMBED_BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.info.dim), np.float32)
