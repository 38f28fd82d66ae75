"""int8 rounding simulated in Keras: the only module that imports tensorflow-model-optimization (tfmot).

Everything is rounded as an int8 file of hearlite rounds it: weights per output channel, and each tensor that the file
will hold. tfmot is the frame alone: by its own defaults a depthwise convolution and a linear layer have one scale for
all channels.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras import layers

from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.quantize.tensor_tap import short_name
from hearlite.quantize.weight_only import STEPS as WEIGHT_STEPS
from hearlite.spec import Range
from hearlite.student import UnequalStrideDepthwiseConv2D
from hearlite.tflite.graph import Graph

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
KNOWN = (*CONVOLUTIONS, layers.Dense, layers.ReLU, layers.Add, layers.GlobalAveragePooling2D)


def simulate(network: Any, *, float_sums: bool = False) -> Any:
    """Return a copy of the network that rounds weights and tensors as an int8 file will.

    Weights per output channel, and every tensor that the file would hold as int8: with `float_sums`, not those behind
    the trunk (quantize/float_sums.py).

    Raises UsageError for a layer that has no rule here, a batch norm too: quantize/fold.py folds those away.
    """
    quantization, rounding, scheme = _tfmot()
    copy = _copy(network)
    wide = _sums(copy) if float_sums else set()
    followed = {layer.input._keras_history.layer.name for layer in copy.layers if isinstance(layer, layers.ReLU)}

    def annotate(layer: Any) -> Any:
        if not isinstance(layer, KNOWN):
            raise UsageError(
                f"quantization-aware training has no rule for layer {layer.name} ({type(layer).__name__})",
                f"build the network of {', '.join(kind.__name__ for kind in KNOWN)}, or use the recipe static_wi8_ai8",
            )
        weights = (
            "depthwise_kernel"
            if isinstance(layer, layers.DepthwiseConv2D)
            else "kernel"
            if isinstance(layer, (layers.Conv2D, layers.Dense))
            else ""
        )
        # Fused, so that there is no such tensor in the file, or float32.
        inside = isinstance(layer, CONVOLUTIONS) or layer.name in followed or layer.name in wide
        return quantization.quantize_annotate_layer(layer, rounding(weights, not inside))

    annotated = tf_keras.models.clone_model(copy, clone_function=annotate)
    with quantization.quantize_scope({kind.__name__: kind for kind in (rounding, UnequalStrideDepthwiseConv2D)}):
        return quantization.quantize_apply(annotated, scheme)


def set_ranges(simulated: Any, ranges: dict[str, Range]) -> None:
    """Fix the (low, high) of every activation that is rounded, by layer name.

    "image" is the input.

    tfmot's own observers start at +-6 and move by 0.001 a step, hard-coded: a short training never leaves the wrong
    ranges behind (measured).
    Raises InputError for a gap.
    """
    for layer in simulated.layers:
        ends = _ends(layer)
        if not ends:
            continue
        name = layer.layer.name if hasattr(layer, "layer") else "image"
        name = name.removesuffix("_relu")
        if name not in ranges:
            raise InputError(
                f"quantization-aware training has no range for {name}",
                f"there are those of {', '.join(sorted(ranges))}",
            )
        ends["min"].assign(ranges[name][0])
        ends["max"].assign(ranges[name][1])


def layer_name(graph: Graph, tensor: int, *, output: str) -> str:
    """Return the layer, or "image", that a tensor of a converted network belongs to.

    `output` is the name of the network's last layer.
    """
    return (
        output
        if tensor in graph.graph.outputs
        else "image"
        if tensor in graph.graph.inputs
        else short_name(graph.tensor_name(tensor))
    )


def trained_network(simulated: Any, network: Any) -> Any:
    """Return a float copy of `network` with the weights that `simulated` has learned."""
    copy = _copy(network)
    for wrapper in simulated.layers:
        if not hasattr(wrapper, "layer") or not isinstance(wrapper.layer, (*CONVOLUTIONS, layers.Dense)):
            continue
        kernel = wrapper._weight_vars[0][0]  # the attribute itself is replaced by its rounding when the layer is called
        target = copy.get_layer(wrapper.layer.name)
        target.set_weights([kernel.numpy(), wrapper.layer.bias.numpy()] if target.use_bias else [kernel.numpy()])
    return copy


def _sums(network: Any) -> set[str]:
    """Return the names of the pools, linear layers and sums that make a network's output."""
    pending, names = [network.output._keras_history.layer], set[str]()
    while pending:
        layer = pending.pop()
        if isinstance(layer, (layers.Add, layers.Dense, layers.GlobalAveragePooling2D)):
            names.add(layer.name)
        if isinstance(layer, (layers.Add, layers.Dense)):
            given = layer.input if isinstance(layer.input, list) else [layer.input]
            pending += [tensor._keras_history.layer for tensor in given]
    return names


def _ends(layer: Any) -> dict[str, Any]:
    """Return the variables "min" and "max" of a simulated layer's output, none where it is not rounded."""
    names = [(variable.name.split("/")[-1].split(":")[0], variable) for variable in layer.weights]
    return {name[-3:]: variable for name, variable in names if name.endswith(("_min", "_max")) and "kernel" not in name}


def _copy(network: Any) -> Any:
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def _tfmot() -> tuple[Any, Any, Any]:
    """Return TensorFlow's quantization module, the rule for a layer, and the scheme used here.

    A layer's weights are rounded per output channel, its output rounded or fused away.
    """
    try:
        from tensorflow_model_optimization.python.core.quantization.keras import quantizers
        from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
            default_8bit_quantize_scheme as default,
        )
        from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
            default_8bit_transforms as transforms,
        )
        from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer
        from tensorflow_model_optimization.quantization import keras as quantization
    except ImportError as error:
        raise MissingExtraError("quantization-aware training", "tensorflow-model-optimization", "train") from error

    class PerChannel(quantizers.Quantizer):  # type: ignore[misc]
        """Symmetric ranges from the weights as they are at each call.

        tfmot's own keeps stale ranges once frozen, and takes the last axis for the channels, which is 1 long in
        depthwise kernels [h, w, channels, 1].
        """

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            return {}

        def __call__(self, inputs: Any, training: Any, weights: Any, **options: Any) -> Any:
            axes = [
                axis
                for axis in range(len(inputs.shape))
                if axis != len(inputs.shape) - (1 if inputs.shape[-1] > 1 else 2)
            ]
            step = tf.maximum(tf.reduce_max(tf.abs(inputs), axis=axes, keepdims=True) / WEIGHT_STEPS, 1e-30)
            return inputs + tf.stop_gradient(
                tf.round(inputs / step) * step - inputs
            )  # straight through (arXiv:1308.3432)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Rounding(quantization.QuantizeConfig):  # type: ignore[misc]
        def __init__(self, weights: str, output: bool) -> None:
            self.weights, self.output = weights, output
            self.of_weights = PerChannel()
            self.of_output = quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            return [(getattr(layer, self.weights), self.of_weights)] if self.weights else []

        def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
            for weight in quantize_weights:
                setattr(layer, self.weights, weight)

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
            pass

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return [self.of_output] if self.output else []

        def get_config(self) -> dict[str, Any]:
            return {"weights": self.weights, "output": self.output}

    class Transformer:
        """Round the input and leave all else alone.

        tfmot's own takes the rule away from a convolution that a ReLU follows.
        """

        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            return model_transformer.ModelTransformer(
                model, [transforms.InputLayerQuantize()], set(layer_quantize_map), layer_quantize_map
            ).transform()

    class Scheme(default.Default8BitQuantizeScheme):  # type: ignore[misc]
        def get_layout_transformer(self) -> Any:
            return Transformer()

    return quantization, Rounding, Scheme()
