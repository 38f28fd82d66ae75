"""The student's sizes as a snapshot, its independence of the clip's length, and its weights on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from small import run_file

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.experiments.variants import load_variants
from hearlite.errors import InputError, UsageError
from hearlite.files import read_arrays, write_arrays
from hearlite.run import Run
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM, STUDENTS, TrainSpec, student_spec
from hearlite.student import (
    StudentEmbedder,
    UnequalStrideDepthwiseConv2D,
    build_network,
    count_macs,
    load_network,
    weights_of,
    with_frontend,
)
from hearlite.tflite.convert import convert_network
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels

TINY = student_spec("tiny", embedding_dim=24)
DEPTHWISE = next(item for item in load_variants("faster") if item.name == "tiny-0.1").specs(TINY, TrainSpec())[0]


@pytest.fixture(scope="module")
def network() -> Any:
    tf_keras.utils.set_random_seed(0)
    return build_network(TINY)


@pytest.mark.parametrize(
    ("size", "parameters", "macs"),
    [("tiny", 628_448, 9_244_672), ("small", 1_387_072, 23_648_256), ("base", 2_055_168, 68_124_672)],
)
def test_parameters_and_macs(size: str, parameters: int, macs: int) -> None:
    """A snapshot: whoever changes an architecture changes these, and says so. Parameters as trained, batch norms and
    their statistics included.
    """
    network = build_network(STUDENTS[size])
    assert (network.count_params(), count_macs(network)) == (parameters, macs)
    assert network.output_shape == (None, HEAR_EMBEDDING_DIM)


def test_macs_of_a_layer_by_hand() -> None:
    """The stem: 4 x 4 x 1 weights for 40 x 16 places in 24 channels; time and frequency are quartered."""
    stem = build_network(TINY).get_layer("stem")
    assert stem.output_shape == (None, 40, 16, 24)
    assert count_macs(tf_keras.Model(stem.input, stem.output)) == 40 * 16 * 24 * 16


def test_unknown_size() -> None:
    with pytest.raises(UsageError, match=r"'huge'.*tiny, small, base"):
        student_spec("huge", embedding_dim=8)


def test_only_layers_that_quantize(network: Any) -> None:
    kinds = {type(layer).__name__ for layer in network.layers}
    assert kinds == {"InputLayer", "Conv2D", "BatchNormalization", "ReLU", "Add", "GlobalAveragePooling2D", "Dense"}


@pytest.mark.parametrize("size", [*STUDENTS, "tiny-0.1"])
def test_training_strides_alike_in_both_directions(size: str) -> None:
    """TensorFlow's own depthwise kernels, forward and backward, refuse unequal strides: x86 without oneDNN, ARM, macOS
    and GPUs have no others.
    """
    spec = STUDENTS.get(size) or DEPTHWISE
    network = build_network(spec)

    @tf.function
    def step(image: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(image, training=True))
        return tape.gradient(loss, network.trainable_variables)

    graph = step.get_concrete_function(tf.TensorSpec((2, *network.input_shape[1:]))).graph
    strides = [tuple(op.get_attr("strides")) for op in graph.get_operations() if op.type.startswith("DepthwiseConv2d")]
    # forward, gradient of the input, gradient of the kernel
    assert len(strides) == 3 * sum(block.kind != "dense" for block in spec.blocks)
    assert all(time == frequency for _, time, frequency, _ in strides)


@pytest.mark.parametrize("shape", [(8, 16), (9, 7)])
@pytest.mark.parametrize("kernel", [(3, 3), (3, 5), (5, 2)])
@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (2, 3)])
def test_unequal_strides_are_what_the_file_computes(
    shape: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    image = tf_keras.layers.Input((*shape, 4))
    layer = UnequalStrideDepthwiseConv2D(kernel, stride, "same", bias_initializer="normal", name="depthwise")
    network = tf_keras.Model(image, layer(image))
    file = convert_network(network)
    kinds = [operator.name for operator in Graph(file).nodes]
    assert kinds == ["DEPTHWISE_CONV_2D"]  # by its own stride: no slice, no arithmetic that is thrown away
    clips = np.random.default_rng(0).standard_normal((2, *shape, 4)).astype(np.float32)
    ours = network(clips).numpy()
    assert ours.shape[1:3] == (-(-shape[0] // stride[0]), -(-shape[1] // stride[1]))
    np.testing.assert_allclose(ours, run_file(file, clips), rtol=0, atol=1e-5)


def test_the_same_weights_take_other_lengths(network: Any) -> None:
    """Fully convolutional in time. A hop of half the samples makes twice the frames of the same clip."""
    longer_frontend = dataclasses.replace(TINY.frontend, hop_samples=TINY.frontend.hop_samples // 2)
    longer = build_network(dataclasses.replace(TINY, frontend=longer_frontend))
    assert longer.input_shape[1] == 2 * network.input_shape[1]
    longer.set_weights(network.get_weights())
    image = np.random.default_rng(0).random((1, *network.input_shape[1:])).astype(np.float32)
    periodic = np.concatenate([image] * 2, axis=1)
    once, twice = network(image).numpy(), longer(periodic).numpy()
    assert once.shape == twice.shape == (1, TINY.embedding_dim)
    # pooled over time, a repeated image differs from a single one at the seam only
    assert np.linalg.norm(once - twice) < 0.2 * np.linalg.norm(once)


def test_a_clip_does_not_depend_on_its_batch(network: Any, clips: NDArray[np.int16]) -> None:
    model = with_frontend(network, TINY)
    audio = from_int16(clips[:4])
    together = model(audio, training=False).numpy()
    alone = np.concatenate([model(clip[None], training=False).numpy() for clip in audio])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4 * np.abs(together).max())


def test_weights_round_trip(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, weights_of(network))
    again = load_network(TINY, path)
    assert [weight.name for weight in again.weights] == [weight.name for weight in network.weights]
    for ours, theirs in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", ["another size", "another dim", "one missing", "one more"])
def test_weights_that_do_not_fit_are_refused(network: Any, tmp_path: Path, damage: str) -> None:
    arrays, spec, path = weights_of(network), TINY, tmp_path / "weights.npz"
    if damage == "another size":
        spec = student_spec("small", embedding_dim=TINY.embedding_dim)
    elif damage == "another dim":
        spec = student_spec("tiny", embedding_dim=TINY.embedding_dim + 1)
    elif damage == "one missing":
        del arrays["stem/kernel:0"]
    else:
        arrays["extra"] = np.zeros(3, np.float32)
    write_arrays(path, arrays)
    with pytest.raises(InputError, match="does not fit the") as caught:
        load_network(spec, path)
    assert "hearlite distill" in caught.value.hint


def test_damaged_weights_are_refused(tmp_path: Path, network: Any) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, weights_of(network))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"not a readable \.npz"):
        load_network(TINY, path)


def test_student_embedder(tiny_run: Run, clips: NDArray[np.int16]) -> None:
    embedder = StudentEmbedder(tiny_run)
    vectors = embedder.embed(from_int16(clips))
    assert vectors.shape == (len(clips), embedder.info.dim) == (8, 32)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.embed(np.zeros((0, AUDIO.clip_samples), np.float32)).shape == (0, 32)
    assert embedder.info.licence == tiny_run.spec.teacher.licence
    assert embedder.info.surrogate_note == tiny_run.spec.teacher.surrogate_note
    with pytest.raises(InputError, match="shape"):
        embedder.embed(from_int16(clips)[:, :-1])


def test_weights_hold_no_objects(tiny_run: Run) -> None:
    assert {array.dtype for array in read_arrays(tiny_run.weights).values()} == {np.dtype(np.float32)}
