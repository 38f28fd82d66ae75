"""Keras to TFLite: the frontend and the network each by itself, then one joined graph. Builtin ops only, fixed shape
[1, clip_samples].
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
from hearlite.tflite.joining import join
from hearlite.tflite.model_file import load, save, summarize

SIGNATURE, INPUT, OUTPUT = "embed", "audio", "embedding"


def convert_frontend(spec: FrontendSpec) -> bytes:
    """float32: audio `[1, clip_samples]` -> image `[1, frames, mels, 1]`."""
    return convert_layer(Frontend(spec), [1, AUDIO.clip_samples])


def convert_layer(layer: Any, shape: list[int], *, float16: bool = False) -> bytes:
    """Any layer of one input, float32 at both ends; `float16` constants stand behind DEQUANTIZE operators."""
    return _convert(layer, shape, setup=_halve if float16 else None)


def convert_network(network: Any, *, calibration: Iterable[NDArray[np.float32]] | None = None) -> bytes:
    """image `[1, frames, mels, 1]` -> embedding `[1, dim]`, float32 at both ends.

    With `calibration` images (float32 `[frames, mels, 1]` each) the network between them is int8 x int8, weights per
    channel.
    """

    def calibrate(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration or ())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    return _convert_network(network, setup=None if calibration is None else calibrate)


def convert_network_float16(network: Any) -> bytes:
    """As convert_network, weights float16 behind DEQUANTIZE operators; delegates widen them once."""
    return _convert_network(network, setup=_halve)


def convert_network_dynamic(network: Any) -> bytes:
    """As convert_network, weights int8, activations quantized by each call inside every convolution and linear layer,
    float32 between them.

    Linear layers get one scale per tensor: per channel they become FULLY_CONNECTED version 12, which tflite-runtime
    2.14 does not load.
    """

    def shrink(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # TensorFlow 2.18 - 2.20

    return _convert_network(network, setup=shrink)


def convert_network_int16(network: Any, images: Sequence[NDArray[np.float32]]) -> bytes:
    """int16 activations x int8 weights, the converter's own min-max ranges over `images`. No recipe; its cost:
    experiments/ptq_ladder.py.
    """

    def widen(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]

    return _convert_network(network, setup=widen)


def quantize_calibrated(network: bytes, ranges: Mapping[int, tuple[float, float]]) -> bytes:
    """A float32 network as int8 x int8, weights per channel, float32 at both ends; `ranges` of every activation by
    tensor index.

    TensorFlow's own quantizer, fed with our ranges instead of its calibrator's: that one gives a project convolution
    and the residual sum behind it one range, and knows only min-max. The function is private, so it is used here alone;
    its arguments are the same in TensorFlow 2.18 - 2.20.
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
    """The whole model as one file with the signature embed(audio) -> embedding. Raises GateError when an op is not
    builtin.
    """
    model = join(frontend, network, signature=SIGNATURE, input_name=INPUT, output_name=OUTPUT)
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
    """Holds the variables that a converted function reads, as the converter asks."""

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
    """Hold back the converter's C++ chatter on stderr, which no log level stops; it is shown when the conversion
    fails.
    """
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            os.dup2(held.fileno(), 2)
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # "Statistics for quantized inputs were expected": the input stays float on purpose
                yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
