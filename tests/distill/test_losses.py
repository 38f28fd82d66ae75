"""Each loss against its formula in numpy, at equality, and where gradients usually go wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
from numpy.typing import NDArray

from hearlite.data.targets import Targets, fit_targets
from hearlite.distill.losses import DistillationLoss, centred_cosine, huber, relational, whitened
from hearlite.spec import LossSpec

pytestmark = pytest.mark.kernels

DIM = 6
NAMES = ("huber", "centred_cosine", "relational", "whitened")
Float32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def targets() -> Targets:
    rng = np.random.default_rng(3)
    return fit_targets((rng.standard_normal((300, DIM)) * [5, 3, 1, 0.5, 0.1, 0.02]).astype(np.float32))


@pytest.fixture(scope="module")
def pair(targets: Targets) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(0)
    target = targets.forward((rng.standard_normal((9, DIM)) * [5, 3, 1, 0.5, 0.1, 0.02]).astype(np.float32))
    return target + (rng.standard_normal(target.shape) * [3, 2, 1, 0.5, 0.2, 0.1]).astype(np.float32), target


def only(name: str, *, weight: float = 1.0) -> LossSpec:
    return dataclasses.replace(LossSpec(), **{loss: weight if loss == name else 0.0 for loss in NAMES})


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_huber(pair: tuple[Float32, Float32]) -> None:
    error = np.abs(pair[0] - pair[1])
    assert (error < 1).any()
    assert (error > 1).any()
    assert float(huber(*pair)) == pytest.approx(np.where(error < 1, error**2 / 2, error - 0.5).mean(), rel=1e-5)


def test_centred_cosine(pair: tuple[Float32, Float32]) -> None:
    expected = np.mean([1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(*pair, strict=True)])
    assert float(centred_cosine(*pair)) == pytest.approx(expected, rel=1e-5)


def test_relational(pair: tuple[Float32, Float32]) -> None:
    a, b = unit(pair[0]), unit(pair[1])
    expected = np.mean([(a[i] @ a[j] - b[i] @ b[j]) ** 2 for i in range(len(a)) for j in range(len(a))])
    assert float(relational(*pair)) == pytest.approx(expected, rel=1e-4)


def test_whitened(pair: tuple[Float32, Float32], targets: Targets) -> None:
    spec = only("whitened")
    weights = 1 / (targets.eigenvalues + spec.whitened_shrink)
    weights /= (weights * targets.eigenvalues).mean()
    axes = (pair[0] - pair[1]) @ targets.rotation.T  # coordinate i is the i-th PCA axis
    assert float(DistillationLoss(spec, targets)(*pair)) == pytest.approx((weights * axes**2).mean(), rel=1e-4)


def test_predicting_the_mean_costs_1_whitened(targets: Targets) -> None:
    rng = np.random.default_rng(5)
    target = targets.forward((rng.standard_normal((20_000, DIM)) * [5, 3, 1, 0.5, 0.1, 0.02]).astype(np.float32))
    assert float(DistillationLoss(only("whitened"), targets)(np.zeros_like(target), target)) == pytest.approx(
        1.0, rel=0.1
    )


def test_whitened_weighs_small_directions_more(targets: Targets) -> None:
    """The same error along the last PCA axis costs more than along the first, but not by the whole ratio of their
    variances.
    """
    loss, target = DistillationLoss(only("whitened"), targets), np.zeros((1, DIM), np.float32)
    large, small = (float(loss(targets.rotation[axis : axis + 1], target)) for axis in (0, DIM - 1))
    assert 1 < small / large < targets.eigenvalues[0] / targets.eigenvalues[-1]


@pytest.mark.parametrize("name", NAMES)
def test_zero_at_equality_and_positive_elsewhere(name: str, pair: tuple[Float32, Float32], targets: Targets) -> None:
    loss = DistillationLoss(only(name), targets)
    assert float(loss(pair[1], pair[1])) == pytest.approx(0.0, abs=1e-6)
    assert float(loss(*pair)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_finite_at_zero_vectors_and_at_equality(
    name: str, pair: tuple[Float32, Float32], targets: Targets
) -> None:
    loss = DistillationLoss(only(name), targets)
    zeros = np.zeros_like(pair[1])
    for prediction, target in ((zeros, pair[1]), (pair[1], zeros), (zeros, zeros), (pair[1], pair[1])):
        variable = tf.Variable(prediction)
        with tf.GradientTape() as tape:
            value = loss(variable, target)
        assert np.isfinite(float(value))
        assert np.isfinite(tape.gradient(value, variable).numpy()).all()


def test_total_is_the_weighted_sum(pair: tuple[Float32, Float32], targets: Targets) -> None:
    spec = LossSpec(huber=2.0, centred_cosine=0.5, relational=3.0, whitened=0.25)
    parts = sum(float(DistillationLoss(only(name, weight=getattr(spec, name)), targets)(*pair)) for name in NAMES)
    assert float(DistillationLoss(spec, targets)(*pair)) == pytest.approx(parts, rel=1e-5)


def test_whitened_function_is_the_plain_error_with_unit_weights(
    pair: tuple[Float32, Float32], targets: Targets
) -> None:
    value = whitened(*pair, rotation=tf.constant(targets.rotation), weights=tf.ones(DIM))
    assert float(value) == pytest.approx(np.mean((pair[0] - pair[1]) ** 2), rel=1e-4)
