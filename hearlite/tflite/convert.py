"""Convert Keras models to TFLite: the frontend and the network separately, then joined in one graph.

Builtin ops only; the input has the fixed shape [1, clip_samples].
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.audio.frontend_tf import Frontend
from hearlite.errors import GateError
from hearlite.spec import AUDIO, FrontendSpec
from hearlite.student import with_native_strides
from hearlite.tflite.model_file import load, save, summarize
from hearlite.tflite.parts import join
from hearlite.tflite.patches import patches_as_channels

SIGNATURE, INPUT, OUTPUT = "embed", "audio", "embedding"


def convert_frontend(spec: FrontendSpec) -> bytes:
    """Convert a frontend to float32: audio `[1, clip_samples]` -> image `[1, frames, mels, 1]`."""
    return convert_layer(Frontend(spec), [1, AUDIO.clip_samples])


def convert_layer(layer: Any, shape: list[int], *, float16: bool = False) -> bytes:
    """Convert any layer with one input of the given shape, float32 at both ends.

    With `float16`, constants are stored in float16 and read through DEQUANTIZE operators.
    """
    return _convert(layer, shape, setup=_halve if float16 else None)


def convert_network(network: Any, *, calibration: Iterable[NDArray[np.float32]] | None = None) -> bytes:
    """Convert a network, by default to float32.

    Parameters
    ----------
    network : tf_keras.Model
        Image `[n, frames, mels, 1]` -> embedding `[n, dim]`.
    calibration : iterable of numpy.ndarray, optional
        Images, float32 `[frames, mels, 1]` each. With them the network becomes int8 x int8, with weights per channel.

    Returns
    -------
    bytes
        A .tflite: image `[1, frames, mels, 1]` -> embedding `[1, dim]`, float32 at both ends.
    """

    def calibrate(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration or ())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    return _convert_network(network, setup=None if calibration is None else calibrate)


def convert_network_float16(network: Any) -> bytes:
    """Convert a network with float16 weights behind DEQUANTIZE operators; delegates widen them once."""
    return _convert_network(network, setup=_halve)


def convert_network_dynamic(network: Any) -> bytes:
    """Convert a network with int8 weights and dynamic int8 activations.

    Convolutions and linear layers quantize their input in each call; between layers values are float32. Linear layers
    get one scale per tensor: with scales per channel they become FULLY_CONNECTED version 12, which tflite-runtime 2.14
    cannot load.
    """

    def shrink(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # TensorFlow 2.18–2.20

    return _convert_network(network, setup=shrink)


def convert_network_int16(network: Any, images: Sequence[NDArray[np.float32]]) -> bytes:
    """Convert a network with int16 activations and int8 weights.

    Ranges are the converter's own, min-max over `images` (float32 `[frames, mels, 1]` each). No recipe uses this; its
    cost is measured in benchmarks/experiments/ptq_ladder.py.
    """

    def widen(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]

    return _convert_network(network, setup=widen)


def quantize_calibrated(network: bytes, ranges: Mapping[int, tuple[float, float]]) -> bytes:
    """Quantize a float32 network to int8 x int8 with given activation ranges.

    This is TensorFlow's own quantizer, but with other ranges than its calibrator's, which supports only min-max and
    assigns one range to a project convolution and the residual sum behind it. The function is private, so it is used
    only here; its arguments are the same in TensorFlow 2.18–2.20.

    Parameters
    ----------
    network : bytes
        A float32 .tflite.
    ranges : mapping of int to (float, float)
        Lowest and highest value of every activation, by tensor index.

    Returns
    -------
    bytes
        The .tflite with int8 weights per channel and int8 activations, float32 at both ends.
    """
    from ai_edge_litert import schema_py_generated as schema
    from tensorflow.lite.python.convert import mlir_quantize

    model = load(network)
    for index, (low, high) in ranges.items():
        parameters = schema.QuantizationParametersT()
        parameters.min, parameters.max = [float(low)], [float(high)]
        model.subgraphs[0].tensors[index].quantization = parameters
    with _quiet():
        return bytes(mlir_quantize(save(model)))


def join_frontend(frontend: bytes, network: bytes) -> bytes:
    """Join a frontend and a network into one .tflite with the signature embed(audio) -> embedding.

    An int8 stem that cuts patches becomes a 1x1 convolution (hearlite/tflite/patches.py), which computes the same.

    Raises GateError when an op is not builtin.
    """
    model = join(frontend, patches_as_channels(network), signature=SIGNATURE, input_name=INPUT, output_name=OUTPUT)
    foreign = summarize(model).not_builtin()
    if foreign:
        raise GateError(
            f"the model needs ops that plain TFLite does not have: {', '.join(foreign)}",
            "use layers that convert to builtin ops",
        )
    return model


def _halve(converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


class _Graph(tf.Module):
    """Holds the variables that a converted function reads, as the converter requires."""

    def __init__(self, call: Any, shape: list[int]) -> None:
        super().__init__()
        self.call = call
        self.function = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32)])


def _convert_network(network: Any, *, setup: Callable[[Any], None] | None) -> bytes:
    network = with_native_strides(network)
    return _convert(lambda image: network(image, training=False), [1, *network.input_shape[1:]], setup=setup)


def _convert(call: Any, shape: list[int], *, setup: Callable[[Any], None] | None = None) -> bytes:
    graph = _Graph(call, shape)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if setup is not None:
        setup(converter)
    with _quiet():
        return bytes(converter.convert())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the converter's C++ messages on stderr, which no log level stops, unless it fails."""
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            os.dup2(held.fileno(), 2)
            with warnings.catch_warnings():
                # "Statistics for quantized inputs were expected": the input stays float on purpose.
                warnings.simplefilter("ignore", UserWarning)
                yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
