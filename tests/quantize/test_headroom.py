"""Quiet channels behind a ReLU6 are made louder, and the network computes what it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import run_file, small_images, small_network

pytest.importorskip("tensorflow")

from hearlite.quantize.headroom import CEILING, fill_headroom
from hearlite.quantize.ranges import measure
from hearlite.quantize.tensor_tap import short_name
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels

IMAGES = list(small_images(6, seed=1))


@pytest.fixture(scope="module")
def quiet() -> bytes:
    """A network in which half the channels of an expansion are at a twentieth of their level, and read twenty times as
    loud.
    """
    from hearlite.tflite.convert import convert_network

    network: Any = small_network()
    gamma, beta, mean, variance = network.get_layer("block1_expand_bn").get_weights()
    level = np.where(np.arange(len(gamma)) % 2, 0.05, 1.0).astype(np.float32)
    network.get_layer("block1_expand_bn").set_weights([gamma * level, beta * level, mean, variance])
    (kernel,) = network.get_layer("block1_depthwise").get_weights()
    network.get_layer("block1_depthwise").set_weights([kernel / level[None, None, :, None]])
    return convert_network(network)


def peaks(model: bytes) -> dict[str, np.ndarray]:
    return {short_name(item.name): item.channel_peak for item in measure(model, IMAGES, histograms=False)}


def test_the_function_stays_on_what_was_seen(quiet: bytes) -> None:
    filled = fill_headroom(quiet, measure(quiet, IMAGES, histograms=False))
    before, after = (run_file(model, np.stack(IMAGES)) for model in (quiet, filled))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_quiet_channels_come_up_to_the_ceiling_and_none_above(quiet: bytes) -> None:
    before, after = peaks(quiet), peaks(fill_headroom(quiet, measure(quiet, IMAGES, histograms=False)))
    trained_subjects = before["block1_expand"] > 1e-3
    low = trained_subjects & (before["block1_expand"] < 0.5)
    assert low.sum() >= 3
    assert (after["block1_expand"][low] > 4.0 * before["block1_expand"][low]).all()
    for name, peak in after.items():
        if name.endswith(("stem", "expand", "depthwise")):
            assert peak.max() <= CEILING + 1e-4, name


def test_tensors_that_pools_or_sums_read_are_left_alone(quiet: bytes) -> None:
    graph = Graph(quiet)
    left = {short_name(graph.tensor_name(item)) for node in graph.nodes if node.weights < 0 for item in node.inputs}
    before, after = peaks(quiet), peaks(fill_headroom(quiet, measure(quiet, IMAGES, histograms=False)))
    assert "head" in left
    for name in left & set(before):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-5)
