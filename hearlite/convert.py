"""Keras to TFLite: the frontend and the network each by itself, then one joined graph. Builtin ops only, fixed shape [1, clip_samples]."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from hearlite.errors import GateError
from hearlite.flatbuffer import join, summarize
from hearlite.frontend_tf import Frontend
from hearlite.spec import AUDIO, FrontendSpec

SIGNATURE, INPUT, OUTPUT = "embed", "audio", "embedding"


def convert_frontend(spec: FrontendSpec) -> bytes:
    """float32: audio `[1, clip_samples]` -> image `[1, frames, mels, 1]`."""
    return _convert(Frontend(spec), [1, AUDIO.clip_samples])


def convert_network(network: Any, *, calibration: Iterable[NDArray[np.float32]] | None = None) -> bytes:
    """image `[1, frames, mels, 1]` -> embedding `[1, dim]`, float32 at both ends.

    With `calibration` images (float32 `[frames, mels, 1]` each) the network between them is int8 x int8, weights per channel.
    """
    return _convert(lambda image: network(image, training=False), [1, *network.input_shape[1:]], calibration=calibration)


def join_frontend(frontend: bytes, network: bytes) -> bytes:
    """The whole model as one file with the signature embed(audio) -> embedding. Raises GateError when an op is not builtin."""
    model = join(frontend, network, signature=SIGNATURE, input_name=INPUT, output_name=OUTPUT)
    foreign = summarize(model).not_builtin()
    if foreign:
        raise GateError(f"the model needs ops that plain TFLite does not have: {', '.join(foreign)}", "use layers that convert to builtin ops")
    return model


class _Graph(tf.Module):
    """Holds the variables that a converted function reads, as the converter asks."""

    def __init__(self, call: Any, shape: list[int]) -> None:
        super().__init__()
        self.call = call
        self.function = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32)])


def _convert(call: Any, shape: list[int], *, calibration: Iterable[NDArray[np.float32]] | None = None) -> bytes:
    graph = _Graph(call, shape)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with _quiet():
        return bytes(converter.convert())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the converter's C++ chatter on stderr, which no log level stops; it is shown when the conversion fails."""
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            os.dup2(held.fileno(), 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # "Statistics for quantized inputs were expected": the input stays float on purpose
                yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
