"""Quantization-aware distillation: the simulation is what the file does, a kill changes nothing, an unknown layer is
named.
"""

from __future__ import annotations

# ruff: noqa: E402 - nothing here works without TensorFlow, which is optional
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small import SMALL, run_file, small_images, small_network

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("tensorflow_model_optimization")

from hearlite.distill.replay import TrainingReplay
from hearlite.errors import InputError, UsageError
from hearlite.quantize.build import layer_ranges
from hearlite.quantize.finetune import Trained, train_quantized
from hearlite.quantize.fold import fold
from hearlite.quantize.pipeline import quantize
from hearlite.quantize.qat import layer_name, set_ranges, simulate
from hearlite.quantize.recipe import recipes
from hearlite.quantize.static import even_channels
from hearlite.quantize.tensor_tap import TensorTap, dequantize, short_name, tensors_by_name
from hearlite.run import Run
from hearlite.spec import QatSpec, TrainSpec
from hearlite.tflite.convert import convert_network, quantize_calibrated
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels


def folded_network() -> Any:
    network = small_network()
    return fold(network, even_channels(convert_network(network), small_images(16, seed=3)))


RANGES = layer_ranges(folded_network(), small_images(16, seed=3), recipe=recipes()["qat_wi8_ai8"])


class Killed(Exception):
    pass


def batch(step: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    rng = np.random.default_rng(step)
    pcm = rng.normal(0.0, rng.uniform(100.0, 3000.0, (8, 1)), (8, 32_000)).astype(np.int16)
    return pcm, rng.normal(size=(8, SMALL.embedding_dim)).astype(np.float32)


def train(folder: Path, *, dies_at: int | None = None) -> Trained:
    def given(step: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        if step == dies_at:
            raise Killed
        return batch(step)

    return train_quantized(
        folded_network(),
        student=SMALL,
        train=TrainSpec(steps=100),
        qat=QatSpec(fraction=0.06, checkpoint_every=2),
        ranges=RANGES,
        batch=given,
        loss=lambda a, b: tf.reduce_mean((a - b) ** 2),
        checkpoint=folder / "state.npz",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("qat"))


def test_the_file_does_what_the_simulation_did(trained: Trained) -> None:
    """Layer by layer, each fed with what the file has at its input: 99 of 100 values within a step, for a value on the
    edge between two may fall to either side. From end to end such steps add up to as much as the rounding itself, so
    there the whole network only has to be near.
    """
    images = small_images(8, seed=5)
    network = convert_network(trained.network)
    plain = Graph(network)
    quantized = quantize_calibrated(
        network, {index: RANGES[layer_name(plain, index, output="embedding_sum")] for index in plain.activations}
    )
    graph, stored = Graph(quantized), tensors_by_name(quantized)
    by_index = {tensor.index: tensor for tensor in stored.values()}
    wrapped = {layer.layer.name: layer for layer in trained.simulated.layers if hasattr(layer, "layer")}
    probe = TensorTap(quantized, by_index)
    seen = [probe(image[None]) for image in images]
    values = {
        index: dequantize(np.concatenate([item[index] for item in seen]), tensor) for index, tensor in by_index.items()
    }
    checked = 0
    for node in graph.nodes:
        name = short_name(graph.tensor_name(node.output))
        if name not in wrapped or not by_index[node.output].scale:
            continue
        last = next(wrapped[key] for key in (f"{name}_relu", name) if key in wrapped)
        layer = tf_keras.Model(wrapped[name].input, last.output)
        inputs = [values[index].astype(np.float32) for index in node.inputs]
        wanted = layer(inputs if len(inputs) > 1 else inputs[0], training=False).numpy()
        steps = np.abs(values[node.output].reshape(wanted.shape) - wanted) / by_index[node.output].scale
        assert (steps < 1.01).mean() >= 0.99, name
        checked += 1
    assert checked >= 15
    found, wanted = run_file(quantized, images), trained.simulated(images, training=False).numpy()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


def test_every_layer_learned(trained: Trained) -> None:
    before = folded_network()
    assert not [layer for layer in before.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    for layer in before.layers:
        if layer.get_weights():
            assert not np.array_equal(layer.get_weights()[0], trained.network.get_layer(layer.name).get_weights()[0]), (
                layer.name
            )


def test_folding_changes_nothing_but_channels_scales() -> None:
    """Headroom cuts what no calibration image reached, so on those images the function is the same."""
    images = small_images(16, seed=3)
    np.testing.assert_allclose(
        folded_network()(images).numpy(), small_network()(images, training=False).numpy(), rtol=0, atol=1e-4
    )
    with pytest.raises(InputError, match="has no layer block3_expand"):
        fold(small_network(), _without(convert_network(small_network()), "block3_expand"))


def _without(network: bytes, layer: str) -> bytes:
    """The file with one layer under another name."""
    graph = Graph(network)
    (node,) = (node for node in graph.layers if short_name(graph.tensor_name(node.output)) == layer)
    graph.graph.tensors[node.output].name = b"another"
    return graph.save()


def test_a_batch_norm_has_no_rule() -> None:
    with pytest.raises(UsageError, match="stem_bn"):
        simulate(small_network())


def test_ranges_are_those_that_were_chosen(trained: Trained) -> None:
    """tfmot's observers start at +-6 and would move; a network between two of its wrappers is rounded to what it was
    given.
    """
    set_ranges(trained.simulated, {name: (low, high + 1.0) for name, (low, high) in RANGES.items()})
    wide = trained.simulated(small_images(4, seed=1), training=False).numpy()
    set_ranges(trained.simulated, RANGES)
    assert np.abs(wide - trained.simulated(small_images(4, seed=1), training=False).numpy()).max() > 0.0
    with pytest.raises(InputError, match="no range for embedding_sum"):
        set_ranges(trained.simulated, {name: ends for name, ends in RANGES.items() if name != "embedding_sum"})


def test_ranges_of_a_float_network_have_0_inside_and_miss_no_layer() -> None:
    assert "image" in RANGES
    for name, (low, high) in RANGES.items():
        assert low <= 0.0 < high, name
        assert high < 6.5 or "project" in name or "residual" in name or "image" in name or "embedding" in name, name
    assert RANGES["stem"][0] == 0.0


@pytest.mark.slow
def test_a_killed_training_ends_as_one_that_ran_through(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, dies_at=105)  # after the checkpoint of step 104
    again = train(tmp_path)
    for a, b in zip(again.network.get_weights(), trained.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_checkpoint_that_is_damaged_or_of_another_training(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, dies_at=103)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as known:
        arrays = dict(known)
    np.savez(tmp_path / "state.npz", step=arrays["step"], made_by=arrays["made_by"])
    with pytest.raises(InputError, match="does not fit"):
        train(tmp_path)
    np.savez(
        tmp_path / "state.npz", **{**arrays, "made_by": np.asarray("another"), "weight0001": arrays["weight0001"] + 1.0}
    )
    for a, b in zip(train(tmp_path).network.get_weights(), trained.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_a_layer_without_a_rule_is_named() -> None:
    image: Any = tf_keras.layers.Input((8, 8, 1))
    x = tf_keras.layers.Conv2D(4, 3, name="stem")(image)
    x = tf_keras.layers.Multiply(name="gate")([x, x])
    with pytest.raises(UsageError, match=r"gate \(Multiply\)") as caught:
        simulate(tf_keras.Model(image, tf_keras.layers.GlobalAveragePooling2D()(x)))
    assert "static_wi8_ai8" in caught.value.hint


@pytest.mark.slow
def test_a_run_trains_on_with_its_own_batches_and_loss(tiny_run: Run, tmp_path: Path) -> None:
    """As the command does it: batches and loss come from the run's folder."""
    run = dataclasses.replace(tiny_run, folder=tmp_path / "run")
    shutil.copytree(tiny_run.folder, run.folder)
    recipe = recipes()["qat_wi8_ai8"]
    recipe = dataclasses.replace(
        recipe, calibration_clips=16, min_centred_cosine=0.5, qat=dataclasses.replace(recipe.qat, fraction=0.5)
    )
    folder = quantize(run, recipe=recipe, training=TrainingReplay(run))
    assert (folder / "model.tflite").is_file()
