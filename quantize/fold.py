"""A Keras network with the weights of its converted file.

Batch norms are folded into convolutions, and channels equalised where the file's are.

Quantization-aware training must round what the file rounds. A per-tensor range covers other values once channels are
scaled, so training the network as it was and equalising it afterwards would train for another rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras
from tf_keras import layers

from hearlite.errors import InputError
from hearlite.quantize.tensor_tap import short_name
from hearlite.tflite.graph import Graph

_TO_KERAS = {
    "CONV_2D": (1, 2, 3, 0),
    "DEPTHWISE_CONV_2D": (1, 2, 3, 0),
    "FULLY_CONNECTED": (1, 0),
}  # axes of weights, from graph.py's order


def fold(network: Any, converted: bytes) -> Any:
    """Return a copy of `network` without batch norms, with the weights of `converted` by layer names.

    `converted` is its float32 .tflite.

    Raises InputError for a file that lacks a layer or holds another shape.
    """
    folded = _without_batch_norms(network)
    graph = Graph(converted)
    nodes = {short_name(graph.tensor_name(node.output)): node for node in graph.layers}
    output = network.layers[-1].name
    for layer in folded.layers:
        if not layer.weights:
            continue
        if layer.name not in nodes:
            raise InputError(
                f"the converted network has no layer {layer.name}",
                f"it has {', '.join(sorted(nodes))} and ends in {output}",
            )
        node = nodes[layer.name]
        kernel = graph.constant(node.weights).transpose(_TO_KERAS[node.name])
        bias = graph.constant(node.bias) if node.bias >= 0 else np.zeros(layer.output_shape[-1], np.float32)
        try:
            layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
        except ValueError as error:
            raise InputError(f"layer {layer.name} of the converted network does not fit: {error}") from error
    return folded


def _without_batch_norms(network: Any) -> Any:
    """Return the same layers, convolutions with a bias, batch norms left out."""
    made: dict[str, Any] = {}
    for layer in network.layers:
        if isinstance(layer, layers.InputLayer):
            made[layer.name] = layers.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        sources = [
            made[tensor._keras_history.layer.name]
            for tensor in (layer.input if isinstance(layer.input, list) else [layer.input])
        ]
        if isinstance(layer, layers.BatchNormalization):
            (made[layer.name],) = sources
            continue
        biased = {"use_bias": True} if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)) else {}
        copy = layer.__class__.from_config({**layer.get_config(), **biased})
        made[layer.name] = copy(sources if len(sources) > 1 else sources[0])
    return tf_keras.Model(made[network.layers[0].name], made[network.layers[-1].name], name=network.name)
