"""Ranges of int8 activations, from histograms by hand and from a network that runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hearlite.quantize.ranges import BINS, METHODS, STEPS, Activation, choose_range, measure
from hearlite.tflite.graph import Graph

pytestmark = pytest.mark.kernels

pytest.importorskip("tensorflow")


def activation(values: np.ndarray) -> Activation:
    low, high = float(values.min()), float(values.max())
    counts = np.histogram(values, BINS, (low, high))[0].astype(float)
    return Activation(0, "x", low, high, counts, counts, np.abs(values).max(keepdims=True))


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / STEPS
    return float(((np.clip(np.round(values / step) * step, low, high) - values) ** 2).mean())


@pytest.fixture(scope="module")
def long_tailed() -> np.ndarray:
    return np.append(np.random.default_rng(0).standard_normal(100_000), [-10.0, 12.0])


def test_minmax_is_what_was_seen(long_tailed: np.ndarray) -> None:
    assert choose_range(activation(long_tailed), method="minmax", percentile=0.0) == (-10.0, 12.0)


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_percentile_leaves_the_rest_outside(long_tailed: np.ndarray, percentile: float) -> None:
    low, high = choose_range(activation(long_tailed), method="percentile", percentile=percentile)
    tail = (100.0 - percentile) / 2.0
    np.testing.assert_allclose(
        [low, high], np.percentile(long_tailed, [tail, 100.0 - tail]), atol=0.5 if percentile > 99.9 else 0.05
    )
    assert -10.0 < low < 0.0 < high < 12.0


def test_least_error_has_less_error_than_the_others(long_tailed: np.ndarray) -> None:
    error = {
        method: rounding_error(long_tailed, *choose_range(activation(long_tailed), method=method, percentile=99.0))
        for method in METHODS
    }
    assert error["mse"] < 0.8 * error["minmax"]
    assert error["mse"] < error["percentile"]


def test_least_error_keeps_an_even_distribution_whole() -> None:
    values = np.linspace(-1.0, 3.0, 10_001)
    low, high = choose_range(activation(values), method="mse", percentile=0.0)
    assert low <= -0.97
    assert high >= 2.95


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [5.0, -5.0])
def test_zero_is_always_inside(method: str, shift: float) -> None:
    low, high = choose_range(
        activation(np.random.default_rng(0).uniform(-1.0, 1.0, 1_000) + shift), method=method, percentile=99.0
    )
    assert low <= 0.0 <= high


def test_measured_on_a_network() -> None:
    from small import small_images, small_network

    from hearlite.quantize.tensor_tap import short_name
    from hearlite.tflite.convert import convert_network

    network, images = small_network(), small_images(6, seed=1)
    seen = {short_name(item.name): item for item in measure(convert_network(network), list(images))}
    import tf_keras

    project = tf_keras.Model(network.input, network.get_layer("block2_project_bn").output)(images).numpy()
    np.testing.assert_allclose(
        [seen["block2_project"].low, seen["block2_project"].high], [project.min(), project.max()], rtol=1e-4
    )
    np.testing.assert_allclose(seen["block2_project"].channel_peak, np.abs(project).max(axis=(0, 1, 2)), rtol=1e-4)
    assert seen["block2_project"].counts.sum() == project.size
    for name in ("stem", "block0_depthwise", "block1_expand", "head"):
        low, high = choose_range(seen[name], method="mse", percentile=0.0)
        assert low == 0.0, name
        assert 0.0 < high <= 6.0, name


def test_one_loud_clip_does_not_set_the_range() -> None:
    """Fifteen images and one at 400 times their level, which by plain squares is all that counts: its steps would be
    longer than they are.
    """
    from small import small_images, small_network

    from hearlite.tflite.convert import convert_network

    quiet = [0.05 * image for image in small_images(15, seed=1)]
    network = convert_network(small_network())
    entry = Graph(network).graph.inputs[0]
    (seen,) = measure(network, [*quiet, 400.0 * quiet[0]], tensors=[int(entry)])
    loud, level = choose_range(seen, method="minmax", percentile=0.0)[1], max(float(image.max()) for image in quiet)
    plain = choose_range(dataclasses.replace(seen, relative=seen.counts), method="mse", percentile=0.0)[1]
    assert plain > 0.5 * loud > 100.0 * level
    assert choose_range(seen, method="mse", percentile=0.0)[1] < 0.1 * loud
