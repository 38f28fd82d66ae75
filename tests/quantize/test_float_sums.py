"""An int8 network whose last linear layers add up in float32."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from small import run_file, small_images, small_network

pytest.importorskip("tensorflow")

from hearlite.quantize.float_sums import round_weights, with_float_sums
from hearlite.quantize.refit import find_head, pooled_features
from hearlite.quantize.static import quantize_static
from hearlite.spec import QuantSpec
from hearlite.tflite.builder import INT8_STEPS
from hearlite.tflite.convert import convert_network
from hearlite.tflite.graph import Graph, Node

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def network() -> bytes:
    return convert_network(small_network())


def error(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(((found - wanted) ** 2).sum() / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def test_sums_in_float32_are_nearer_to_the_float_network(network: bytes) -> None:
    images, unseen = list(small_images(48)), small_images(80)[48:]
    wanted = run_file(network, unseen)
    plain, summed = (
        quantize_static(network, images, recipe=dataclasses.replace(QuantSpec(), float_sums=sums)).network
        for sums in (False, True)
    )
    assert error(run_file(summed, unseen), wanted) < 0.8 * error(run_file(plain, unseen), wanted)
    assert len(summed) <= len(plain)


def test_what_remains_of_the_int8_tail_is_gone(network: bytes) -> None:
    """The trunk is int8, everything behind its features float32, with the float network's names."""
    recipe = dataclasses.replace(QuantSpec(), float_sums=True, refit_ridge=0.0)
    graph = Graph(quantize_static(network, list(small_images(8)), recipe=recipe).network)
    names = [node.name for node in graph.nodes]
    behind = names[names.index("MEAN") - 1 :]
    assert behind.count("MEAN") == behind.count("FULLY_CONNECTED") == behind.count("ADD") + 1 == 2
    assert "QUANTIZE" not in behind
    linear = [node for node in graph.nodes if node.name == "FULLY_CONNECTED"]
    assert {int(graph.graph.tensors[node.output].type) for node in linear} == {0}  # FLOAT32
    pooled = {graph.tensor_name(node.output) for node in graph.nodes if node.name == "MEAN"}
    plain = Graph(network)
    assert pooled == {plain.tensor_name(node.output) for node in plain.nodes if node.name == "MEAN"}


def test_features_are_what_the_layers_read(network: bytes) -> None:
    images = list(small_images(6))
    recipe = dataclasses.replace(QuantSpec(), float_sums=True, equalize=False, refit_ridge=0.0)
    summed = quantize_static(network, images, recipe=recipe).network
    assert pooled_features(network, network, images) == pytest.approx(pooled_features(network, summed, images), abs=0.2)


def test_weights_are_rounded_for_each_other() -> None:
    """Features that go together: what one weight is rounded by, the next makes good. Alone, neither can."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 24)) + 0.1 * rng.normal(size=(400, 24))
    weights, steps = rng.normal(size=(8, 24)), np.full(24, 0.1)
    found = round_weights(weights, np.cov(features.T), steps=steps)
    alone = round_weights(weights, np.eye(24), steps=steps)
    assert alone == pytest.approx(np.rint(weights / 0.1) * 0.1)
    assert found / 0.1 == pytest.approx(np.rint(found / 0.1))
    off = [((features @ (rounded - weights).T) ** 2).mean() for rounded in (found, alone)]
    assert off[0] < 0.3 * off[1]


def test_rounded_weights_stay_in_range() -> None:
    weights = np.array([[1.0, -1.0, 0.5]])
    found = round_weights(weights, np.ones((3, 3)), steps=np.full(3, 1.0 / INT8_STEPS))
    assert np.abs(found).max() <= 1.0


def test_a_rounded_bias_keeps_the_mean(network: bytes) -> None:
    """The error that all clips share is taken out of the bias."""
    images = list(small_images(32))
    recipe = dataclasses.replace(QuantSpec(), equalize=False, refit_ridge=0.0)
    trunk = quantize_static(network, images, recipe=dataclasses.replace(recipe, float_sums=False)).network
    features = pooled_features(network, with_float_sums(trunk, network), images)
    shifted = features + 5.0  # as if every feature had a large mean, which any error of a weight is multiplied by
    kept, alone = (Graph(with_float_sums(trunk, network, features=given)) for given in (shifted, None))
    plain = Graph(network)
    head = find_head(plain)
    wanted = shifted.mean(axis=0) @ _side_by_side(plain, head.layers).T + plain.constant(
        head.layers[0].bias if head.biased is None else head.biased.bias
    )
    off = []
    for graph in (kept, alone):
        layers = find_head(graph).layers
        bias = next(graph.constant(node.bias) for node in layers if node.bias >= 0)
        weights = np.concatenate([graph.dequantized(node.weights) for node in layers], axis=1)
        off.append(np.abs(shifted.mean(axis=0) @ weights.T + bias - wanted).max())
    assert off[0] < 1e-5 < off[1]


def _side_by_side(graph: Graph, layers: tuple[Node, ...]) -> NDArray[np.float32]:
    return np.concatenate([graph.constant(node.weights) for node in layers], axis=1)
