"""PHI-S targets: mean 0, the same variance in every coordinate, distances up to one scalar, and the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hearlite.data.targets import Targets, equalising_rotation, fit_targets
from hearlite.errors import InputError
from hearlite.files import write_arrays

DIMS = (2, 3, 5, 12, 32, 48)


def teacher_like(n: int, dim: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Vectors with a large mean and variances over five decades, as encoders have them."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * 10.0 ** np.linspace(1, -1.5, dim)
    return np.asarray(rng.standard_normal((n, dim)) @ mixing.T + rng.uniform(-5, 5, dim), dtype=np.float32)


@pytest.mark.parametrize("dim", DIMS)
def test_every_coordinate_has_mean_0_and_variance_1(dim: int) -> None:
    vectors = teacher_like(400, dim)
    z = fit_targets(vectors).forward(vectors)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-3)
    np.testing.assert_allclose(z.var(axis=0, ddof=1), 1.0, rtol=1e-3)


@pytest.mark.parametrize("dim", DIMS)
def test_distances_keep_their_ratio(dim: int) -> None:
    vectors = teacher_like(50, dim)
    z = fit_targets(vectors).forward(vectors)
    before = np.linalg.norm(vectors[:1].astype(np.float64) - vectors[1:], axis=1)
    after = np.linalg.norm(z[:1].astype(np.float64) - z[1:], axis=1)
    np.testing.assert_allclose(after / before, (after / before).mean(), rtol=1e-4)


@pytest.mark.parametrize("dim", DIMS)
def test_there_and_back(dim: int) -> None:
    vectors, others = teacher_like(100, dim), teacher_like(100, dim, seed=1)
    targets = fit_targets(vectors)
    np.testing.assert_allclose(targets.backward(targets.forward(others)), others, atol=1e-3)


def test_back_from_fewer_clips_than_dimensions() -> None:
    vectors = teacher_like(5, 32)
    targets = fit_targets(vectors)
    np.testing.assert_allclose(targets.backward(targets.forward(vectors)), vectors, atol=1e-3)


@pytest.mark.parametrize("dim", DIMS)
def test_rotation_leads_to_the_pca_axes(dim: int) -> None:
    vectors = teacher_like(400, dim)
    targets = fit_targets(vectors)
    np.testing.assert_allclose(targets.rotation @ targets.rotation.T, np.eye(dim), atol=1e-5)
    covariance = np.cov(targets.forward(vectors) @ targets.rotation.T, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(targets.eigenvalues), atol=1e-3)
    assert targets.eigenvalues.mean() == pytest.approx(1.0, abs=1e-5)
    assert (np.diff(targets.eigenvalues) <= 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 1e4), min_size=2, max_size=20).filter(lambda values: sum(values) > 1e-3))
def test_any_spectrum_can_be_evened(values: list[float]) -> None:
    eigenvalues = np.sort(values)[::-1]
    rotation = equalising_rotation(eigenvalues)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(len(values)), atol=1e-8)
    variances = np.diag(rotation.T @ np.diag(eigenvalues) @ rotation)
    np.testing.assert_allclose(variances, eigenvalues.mean(), rtol=1e-6)


def test_fit_does_not_depend_on_the_order_of_clips() -> None:
    vectors = teacher_like(200, 16)
    np.testing.assert_allclose(fit_targets(vectors).projection, fit_targets(vectors[::-1]).projection, atol=1e-4)


def test_save_and_load(tmp_path: Path) -> None:
    targets = fit_targets(teacher_like(50, 8))
    targets.save(tmp_path / "targets.npz")
    again = Targets.load(tmp_path / "targets.npz")
    for name in Targets.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(targets, name), getattr(again, name))
        assert getattr(targets, name).dtype == np.float32


def test_another_npz_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "other.npz", {"mean": np.zeros(3)})
    with pytest.raises(InputError, match="holds"):
        Targets.load(tmp_path / "other.npz")


def test_vectors_to_learn_nothing_from_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        fit_targets(teacher_like(1, 8))
    with pytest.raises(InputError, match="the same vector"):
        fit_targets(np.full((20, 8), 3.0, np.float32))


def test_a_teacher_of_one_dimension() -> None:
    vectors = teacher_like(50, 1)
    targets = fit_targets(vectors)
    np.testing.assert_allclose(targets.forward(vectors).var(ddof=1), 1.0, rtol=1e-3)
    np.testing.assert_allclose(targets.backward(targets.forward(vectors)), vectors, atol=1e-3)


@pytest.mark.parametrize("normalisation", ["phi-s", "standardised", "centred"])
def test_every_normalisation_goes_back_and_says_where_its_axes_are(normalisation: str) -> None:
    rng = np.random.default_rng(0)
    vectors = (3.0 + rng.standard_normal((500, 12)) @ rng.standard_normal((12, 12)) * np.arange(1, 13)).astype(
        np.float32
    )
    targets = fit_targets(vectors, normalisation=normalisation)
    values = targets.forward(vectors)
    np.testing.assert_allclose(targets.backward(values), vectors, atol=1e-3)
    np.testing.assert_allclose(
        np.cov(values @ targets.rotation.T, rowvar=False), np.diag(targets.eigenvalues), atol=1e-3
    )
    assert targets.eigenvalues.mean() == pytest.approx(1.0, abs=1e-5)
    deviations = values.std(axis=0, ddof=1)
    if normalisation == "centred":
        np.testing.assert_allclose(
            deviations / vectors.std(axis=0, ddof=1), deviations[0] / vectors[:, 0].std(ddof=1), rtol=1e-3
        )
    else:
        np.testing.assert_allclose(deviations, 1.0, atol=1e-3)


def test_a_coordinate_that_never_changes_is_no_trouble() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    vectors[:, 2] = 7.0
    targets = fit_targets(vectors, normalisation="standardised")
    assert np.isfinite(targets.projection).all()
    np.testing.assert_allclose(targets.forward(vectors)[:, 2], 0.0, atol=1e-6)


def test_a_clip_of_weight_two_counts_as_two() -> None:
    vectors = teacher_like(60, 8)
    weights = np.r_[np.full(20, 2.0), np.ones(40)]
    twice = fit_targets(np.concatenate([vectors[:20], vectors]))
    weighted = fit_targets(vectors, weights=weights)
    np.testing.assert_allclose(weighted.mean, twice.mean, atol=1e-6)
    np.testing.assert_allclose(weighted.eigenvalues, twice.eigenvalues, rtol=1e-3)
