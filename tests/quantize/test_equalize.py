"""Cross-layer equalisation changes the channels' ranges, and nothing that the network computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import run_file, small_images, small_network

pytest.importorskip("tensorflow")

from hearlite.quantize.equalize import equalize, linear_streams
from hearlite.quantize.ranges import measure
from hearlite.quantize.tensor_tap import short_name
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def uneven() -> bytes:
    """A network in which two channels of a bottleneck are 20 times as loud as they were, and read as much more
    quietly.
    """
    from hearlite.tflite.convert import convert_network

    network: Any = small_network()
    gamma, beta, mean, variance = network.get_layer("block3_project_bn").get_weights()
    loud = np.ones_like(gamma)
    loud[:2] = 20.0
    network.get_layer("block3_project_bn").set_weights([gamma * loud, beta * loud, mean, variance])
    (kernel,) = network.get_layer("head").get_weights()
    network.get_layer("head").set_weights([kernel / loud[:, None]])
    return convert_network(network)


def test_only_linear_tensors_take_part(uneven: bytes) -> None:
    graph = Graph(uneven)
    streams = {
        frozenset(short_name(graph.tensor_name(index)) for index in stream.tensors) for stream in linear_streams(graph)
    }
    assert streams == {
        frozenset({"block1_project", "block2_project", "block2_residual", "tap2_pool"}),
        frozenset({"block3_project"}),
    }


def test_the_function_stays(uneven: bytes) -> None:
    images = small_images(8, seed=1)
    before, after = (run_file(model, images) for model in (uneven, equalize(uneven, measure(uneven, list(images[:4])))))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_channels_become_even(uneven: bytes) -> None:
    images = list(small_images(4, seed=1))

    def unevenness(model: bytes) -> float:
        (project,) = [item for item in measure(model, images) if short_name(item.name) == "block3_project"]
        return float(project.channel_peak.max() / np.median(project.channel_peak))

    assert unevenness(uneven) > 10.0
    assert unevenness(equalize(uneven, measure(uneven, images))) < 0.5 * unevenness(uneven)
