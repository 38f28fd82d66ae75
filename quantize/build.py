"""One recipe applied to one network: converted, rounded or trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.frontend_tf import Frontend
from hearlite.errors import UsageError
from hearlite.quantize.finetune import train_quantized
from hearlite.quantize.fold import fold
from hearlite.quantize.qat import layer_name
from hearlite.quantize.ranges import measure
from hearlite.quantize.static import Quantized, choose_ranges, even_channels, quantize_static, round_network
from hearlite.quantize.weight_only import weight_only
from hearlite.run import Run
from hearlite.spec import QuantSpec, Range, StudentSpec
from hearlite.student import EMBED_BATCH, load_network
from hearlite.tflite.convert import convert_network, convert_network_dynamic, convert_network_float16
from hearlite.tflite.graph import Graph


class TrainingData(Protocol):
    """What quantization-aware distillation needs of the distill stage.

    Handed in by the caller, since stages don't import each other.
    """

    def batch(self, step: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """PCM `[n, clip_samples]` and targets `[n, dim]` of a step, the same whenever it is asked."""

    def loss(self, prediction: Any, target: Any) -> Any:
        """Return the distillation loss of two `[n, dim]`, a TensorFlow scalar."""


def build(run: Run, recipe: QuantSpec, *, pcm: NDArray[np.int16], training: TrainingData | None) -> Quantized:
    """Return the run's network by `recipe`, calibrated with int16 `pcm` where it needs ranges.

    Raises UsageError for a recipe that trains without `training`.
    """
    network = load_network(run.spec.student, run.weights)
    plain = convert_network(network)
    if recipe.weights == "float16":
        return Quantized(convert_network_float16(network), plain)
    if recipe.activations == "dynamic":
        return Quantized(convert_network_dynamic(network), plain)
    if recipe.activations == "float32":
        return Quantized(weight_only(plain), plain)
    images = list(np.concatenate(image_batches(pcm, spec=run.spec.student)))
    if not recipe.qat.fraction:
        return quantize_static(plain, images, recipe=recipe)
    equalized = even_channels(plain, images) if recipe.equalize else plain
    trained = _train(run, fold(network, equalized), recipe, images=images, training=training)
    return round_network(convert_network(trained), images, recipe=recipe, wanted=plain)


def image_batches(pcm: NDArray[np.int16], *, spec: StudentSpec) -> list[Any]:
    """Frontend images float32 `[n, frames, mels, 1]` of int16 `[n, clip_samples]`, in batches."""
    frontend = Frontend(spec.frontend)
    return [frontend(from_int16(pcm[start : start + EMBED_BATCH])).numpy() for start in range(0, len(pcm), EMBED_BATCH)]


def layer_ranges(network: Any, images: Sequence[NDArray[np.float32]], *, recipe: QuantSpec) -> dict[str, Range]:
    """Return what `recipe` chooses for every layer's output of a float Keras network.

    Over images float32 `[frames, mels, 1]`.
    """
    plain = convert_network(network)
    graph, output = Graph(plain), network.layers[-1].name
    return {
        layer_name(graph, index, output=output): ends
        for index, ends in choose_ranges(measure(plain, images), recipe).items()
    }


def _train(
    run: Run, network: Any, recipe: QuantSpec, *, images: Sequence[NDArray[np.float32]], training: TrainingData | None
) -> Any:
    """Return the network after quantization-aware distillation, resumed after an interruption."""
    if training is None:
        raise UsageError(
            f"recipe {recipe.recipe} trains, and was given no training data",
            "use static_wi8_ai8, or quantize the run by command",
        )
    return train_quantized(
        network,
        student=run.spec.student,
        train=run.spec.train,
        qat=recipe.qat,
        ranges=layer_ranges(network, images, recipe=recipe),
        batch=training.batch,
        loss=training.loss,
        float_sums=recipe.float_sums,
        checkpoint=run.quantized(recipe.recipe) / "qat_state.npz",
    ).network
