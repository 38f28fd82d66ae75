"""The head's refit to an int8 trunk: closer to the float embedding, on clips that it has not seen, and never by another
trunk.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small import run_file, small_images, small_network

pytest.importorskip("tensorflow")

from hearlite.errors import InputError
from hearlite.quantize.ranges import choose_range, measure
from hearlite.quantize.refit import find_head, refit
from hearlite.quantize.static import quantize_static
from hearlite.quantize.tensor_tap import short_name
from hearlite.spec import QuantSpec
from hearlite.tflite.convert import convert_network, quantize_calibrated
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def network() -> bytes:
    return convert_network(small_network())


@pytest.fixture(scope="module")
def ranges(network: bytes) -> dict[int, tuple[float, float]]:
    """Too narrow by a third everywhere but at the output: the trunk's means are far off."""
    chosen = {
        item.index: choose_range(item, method="minmax", percentile=0.0)
        for item in measure(network, list(small_images(16)))
    }
    outputs = find_head(Graph(network)).outputs
    return {
        index: (low, high) if index in outputs else (0.67 * low, 0.67 * high) for index, (low, high) in chosen.items()
    }


def test_the_head_is_the_linear_layers_that_sum_up(network: bytes) -> None:
    graph = Graph(network)
    head = find_head(graph)
    assert sorted(short_name(graph.tensor_name(node.inputs[0])) for node in head.layers) == [
        "embedding_pool",
        "tap2_pool",
    ]


def test_it_comes_closer_on_unseen_images(network: bytes) -> None:
    images, unseen = list(small_images(64, seed=2)), small_images(32, seed=3)
    narrow = dataclasses.replace(QuantSpec(), ranges="percentile", percentile=95.0, equalize=False)
    wanted = run_file(network, unseen)
    error = {}
    for ridge in (0.0, 0.01):
        found = run_file(
            quantize_static(network, images, recipe=dataclasses.replace(narrow, refit_ridge=ridge)).network, unseen
        )
        error[ridge] = float(((found - wanted) ** 2).mean())
    assert error[0.01] < 0.9 * error[0.0]


def test_only_the_head_changes(network: bytes, ranges: dict[int, tuple[float, float]]) -> None:
    before, after = (
        Graph(network),
        Graph(refit(network, quantize_calibrated(network, ranges), list(small_images(8)), ridge=0.1)),
    )
    head = {node.weights for node in find_head(before).layers}
    for node in before.layers:
        same = np.array_equal(before.constant(node.weights), after.constant(node.weights))
        assert same is (node.weights not in head), before.tensor_name(node.output)


def test_much_ridge_changes_little(network: bytes, ranges: dict[int, tuple[float, float]]) -> None:
    before = Graph(network)
    after = Graph(refit(network, quantize_calibrated(network, ranges), list(small_images(8)), ridge=1e6))
    for node in find_head(before).layers:
        np.testing.assert_allclose(after.constant(node.weights), before.constant(node.weights), atol=1e-4)


def test_a_network_without_such_a_head() -> None:
    import tf_keras

    image = tf_keras.layers.Input((8, 8, 1))
    flat = tf_keras.layers.GlobalAveragePooling2D()(tf_keras.layers.Conv2D(4, 3)(image))
    with pytest.raises(InputError, match="no head to refit"):
        find_head(Graph(convert_network(tf_keras.Model(image, flat))))
