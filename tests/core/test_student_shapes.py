"""Every kind of block and stem can be trained, folded, equalised, trained for int8 and exported; today's networks stay."""

from __future__ import annotations

# ruff: noqa: E402 - nothing here works without TensorFlow, which is optional
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import SMALL_SHAPES, run_file, small_images, small_network

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_model_optimization")

from hearlite.benchmarks.experiments.variants import load_variants
from hearlite.errors import InputError, UsageError
from hearlite.files import write_json
from hearlite.quantize.build import layer_ranges
from hearlite.quantize.compare import compare_embeddings, compare_layers
from hearlite.quantize.equalize import equalize, linear_streams
from hearlite.quantize.fold import fold
from hearlite.quantize.qat import set_ranges, simulate, trained_network
from hearlite.quantize.ranges import measure
from hearlite.quantize.recipe import recipes
from hearlite.quantize.static import even_channels, quantize_static
from hearlite.quantize.tensor_tap import short_name
from hearlite.run import SCHEMA, Run, create_run, open_run
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, STUDENT_FRONTEND, STUDENTS, Block, StudentSpec, TrainSpec
from hearlite.student import build_network
from hearlite.tflite.convert import convert_frontend, convert_network, join_frontend
from hearlite.tflite.graph import Graph
from hearlite.tflite.patches import patches_as_channels

pytestmark = pytest.mark.kernels

every_shape = pytest.mark.parametrize("shape", SMALL_SHAPES)


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {name: small_network(spec) for name, spec in SMALL_SHAPES.items()}


def shape_of(name: str) -> StudentSpec:
    """A student of today or, called `size-0.1`, of version 0.1."""
    student = STUDENTS[name.partition("-")[0]]
    candidates = {item.name: item for item in load_variants("faster")}
    return candidates[name].specs(student, TrainSpec())[0]


@pytest.mark.parametrize(
    ("size", "sha256"),
    [
        ("tiny", "9f73c60b780ff747a9a357fa76fa5c2c337e71c495ab0a8805dca2410388f7ac"),
        ("small", "925c0870b73062629383ff61ec279b625b3dc6dac7643f91f66366724769afc9"),
        ("base", "51fbc0e362b197a3eda9d2c67dff935adb35ada7f65cdc41cdd8ebc9dba759d7"),
        ("tiny-0.1", "7f9b2b5f6861ee7dad4c1411e5d0307cc6cbcd46daeac5b5a12d35534b41303c"),
        ("small-0.1", "605a25d2656f38d25a0164e5051090fd4a1fdea4dcb8838e480d1ce498a50a35"),
        ("base-0.1", "272062f53ca1a44f68c3cff165b89c9e8345e45b4cc73ba9303dbbf4d19e5d77"),
    ],
)
def test_the_layers_of_students_are_those_that_weights_on_disk_have(size: str, sha256: str) -> None:
    """A snapshot of layers, their wiring and settings: with it, files of the same weights keep their bytes."""
    config = build_network(shape_of(size)).get_config()
    layers = [
        [item["class_name"], item["name"]]
        + [item["config"].get(key) for key in ("filters", "kernel_size", "strides", "padding", "use_bias", "units")]
        + [[source[0] for source in node] for node in item["inbound_nodes"]]
        for item in config["layers"]
    ]
    assert hashlib.sha256(json.dumps(layers).encode()).hexdigest() == sha256


def test_a_run_from_before_a_setting_existed_has_its_default(tmp_path: Path, tiny_run: Run) -> None:
    """It can be opened, and resumed by the same command."""
    spec = dataclasses.replace(tiny_run.spec, student=shape_of("tiny-0.1"))
    stored = {"schema": SCHEMA, **to_dict(spec)}
    assert stored["student"].pop("stem_kernel") == [3, 3] and stored["student"].pop("stem_stride") == [2, 2]
    assert {block.pop("kind") for block in stored["student"]["blocks"]} == {"depthwise"}
    write_json(tmp_path / "spec.json", stored)
    assert create_run(tmp_path, spec).spec == spec == open_run(tmp_path, finished=False).spec
    stored["student"]["stem_kernel"] = [4, 4]
    write_json(tmp_path / "spec.json", stored)
    with pytest.raises(InputError, match=r"student.stem_kernel is \[4, 4\] there and \[3, 3\] now"):
        create_run(tmp_path, spec)


@every_shape
def test_a_gradient_reaches_every_weight(shape: str, networks: dict[str, Any]) -> None:
    """By the kernels of this process; test-kernels runs it without oneDNN, too."""
    network = networks[shape]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(small_images(4), training=True) ** 2)
    gradients = tape.gradient(loss, network.trainable_variables)
    for gradient, variable in zip(gradients, network.trainable_variables, strict=True):
        assert float(tf.reduce_max(tf.abs(gradient))) > 0.0, variable.name


@every_shape
def test_equalisation_changes_nothing_and_folding_follows(shape: str, networks: dict[str, Any]) -> None:
    network, images = networks[shape], small_images(8, seed=1)
    plain = convert_network(network)
    wanted = network(images, training=False).numpy()
    even = equalize(plain, measure(plain, list(images)))
    np.testing.assert_allclose(run_file(even, images), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
    folded = fold(network, even)
    np.testing.assert_allclose(folded(images).numpy(), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def test_narrow_tensors_are_equalised(networks: dict[str, Any]) -> None:
    """The depthwise convolution's own output and the residual stream around it, both linear."""
    graph = Graph(convert_network(networks["narrow"]))
    streams = {
        frozenset(short_name(graph.tensor_name(index)) for index in stream.tensors) for stream in linear_streams(graph)
    }
    assert {frozenset({f"block{i}_depthwise"}) for i in range(4)} < streams
    assert frozenset({"block1_project", "block2_project", "block2_residual", "tap2_pool"}) in streams


@every_shape
def test_int8_follows_float(shape: str, networks: dict[str, Any]) -> None:
    network, images = networks[shape], small_images(64, seed=1)
    plain = convert_network(network)
    made = quantize_static(plain, list(images[:32]), recipe=recipes()["static_wi8_ai8"])
    wanted = run_file(plain, images[32:])
    found = run_file(made.network, images[32:])
    mean = wanted.mean(axis=0)
    assert compare_embeddings(wanted - mean, found - mean).centred_cosine > 0.97


@every_shape
def test_quantization_aware_training_rounds_and_learns(shape: str, networks: dict[str, Any]) -> None:
    network, images = networks[shape], small_images(32, seed=1)
    folded = fold(network, even_channels(convert_network(network), list(images)))
    simulated = simulate(folded)
    set_ranges(simulated, layer_ranges(folded, list(images), recipe=recipes()["qat_wi8_ai8"]))
    wanted, found = folded(images).numpy(), simulated(images, training=False).numpy()
    assert 0.0 < np.abs(found - wanted).max() < 0.5 * np.abs(wanted).max()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((simulated(images, training=False) - wanted) ** 2)
    gradients = tape.gradient(loss, simulated.trainable_variables)
    for gradient, variable in zip(gradients, simulated.trainable_variables, strict=True):
        variable.assign_sub(0.1 * gradient)
    learned = trained_network(simulated, folded)
    assert all(
        not np.array_equal(layer.get_weights()[0], learned.get_layer(layer.name).get_weights()[0])
        for layer in folded.layers
        if layer.weights
    )


@pytest.mark.parametrize(("shape", "cut"), [("narrow", "SPACE_TO_DEPTH"), ("1d", "RESHAPE")])
def test_int8_patches_become_channels_and_every_bit_stays(shape: str, cut: str, networks: dict[str, Any]) -> None:
    images = small_images(4, seed=1)
    plain = convert_network(networks[shape])
    network = quantize_static(plain, list(images), recipe=recipes()["static_wi8_ai8"]).network
    rewritten = patches_as_channels(network)
    before, after = Graph(network), Graph(rewritten)
    assert [node.name for node in after.nodes] == [before.nodes[0].name, cut, *(node.name for node in before.nodes[1:])]
    (stem,) = [node for node in after.layers if short_name(after.tensor_name(node.output)) == "stem"]
    shape_of_weights = [int(n) for n in after.graph.tensors[stem.weights].shape]
    assert shape_of_weights[1:3] == [1, 1] and shape_of_weights[3] == np.prod(SMALL_SHAPES[shape].stem_kernel)
    np.testing.assert_array_equal(run_file(rewritten, images), run_file(network, images))
    assert patches_as_channels(rewritten) == rewritten
    assert patches_as_channels(plain) == plain  # float convolutions are faster as they are


def test_convolutions_that_are_no_patches_stay(networks: dict[str, Any]) -> None:
    images = list(small_images(4, seed=1))
    network = quantize_static(convert_network(small_network()), images, recipe=recipes()["static_wi8_ai8"]).network
    assert patches_as_channels(network) == network


def test_layers_of_a_rewritten_file_are_compared() -> None:
    """The stem's weights, which have another shape there, too."""
    spec = SMALL_SHAPES["narrow"]
    network = convert_network(small_network(spec))
    made = quantize_static(network, list(small_images(8, seed=1)), recipe=recipes()["static_wi8_ai8"])
    frontend = convert_frontend(spec.frontend)
    files = [join_frontend(frontend, item) for item in (made.rounded_from, made.network)]
    assert "SPACE_TO_DEPTH" in [node.name for node in Graph(files[1]).nodes]
    pcm = np.random.default_rng(0).normal(0, 2000, (4, AUDIO.clip_samples)).astype(np.int16)
    layers = {layer.layer: layer for layer in compare_layers(*files, pcm=pcm)}
    assert layers["stem"].cosine > 0.99


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "grouped"}, "'grouped'.*depthwise, narrow, dense"),
        ({"kind": "narrow", "expand": 0}, "in a narrow block 1"),
        ({"out": 0}, "out and strides of 1 or more"),
        ({"stride": (0, 1)}, "out and strides of 1 or more"),
        ({"kernel": (1, 0)}, "kernel of a depthwise block"),
        ({"kind": "dense", "kernel": (3, 0)}, r"\(1, 0\), all frequency rows"),
        ({"kind": "dense", "kernel": (1, 0), "stride": (1, 2)}, "frequency stride 1"),
    ],
    ids=str,
)
def test_blocks_that_cannot_be_built_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Block(**{"expand": 16, "out": 8, **options})


def test_all_rows_become_one(networks: dict[str, Any]) -> None:
    network = networks["2d-1d"]
    assert network.get_layer("block0_project").output_shape[1:3] == (20, 8)
    assert network.get_layer("block1_expand").output_shape[1:3] == (20, 1)
    assert network.get_layer("block1_expand").kernel.shape == (1, 8, 8, 16)
    assert networks["1d"].get_layer("stem").output_shape[1:] == (
        STUDENT_FRONTEND.frames(AUDIO.clip_samples) // 4,
        1,
        16,
    )
