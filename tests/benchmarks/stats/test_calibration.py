import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.calibration import (
    Platt,
    brier,
    calibration,
    expected_calibration_error,
    fit_platt,
    reliability_curve,
)
from hearlite.errors import InputError


def made_up(seed, *, n=400, slope=1.0, subjects=40):
    """Stated probabilities, labels that come true with the logit scaled by `slope` (1: calibrated), owners."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=n)
    labels = rng.random(n) < 1 / (1 + np.exp(-slope * logits))
    return 1 / (1 + np.exp(-logits)), labels, np.arange(n) % subjects


def by_hand(probabilities, labels, edges):
    """ECE, bin after bin."""
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (probabilities >= low) & (probabilities < high)
        if inside.any():
            total += inside.mean() * abs(labels[inside].mean() - probabilities[inside].mean())
    return total


def test_platt_recovers_the_slope_and_intercept_that_made_the_labels():
    rng = np.random.default_rng(0)
    scores = 5 * rng.normal(size=100_000) + 3
    labels = rng.random(100_000) < Platt(0.4, -1.0).probabilities(scores)
    fitted = fit_platt(scores, labels)
    assert (fitted.slope, fitted.intercept) == pytest.approx((0.4, -1.0), abs=0.03)


def test_platt_is_logistic_regression_on_its_softened_targets():
    """Each clip twice, as positive and negative with the weights of its target: what an independent solver makes of
    it.
    """
    rng = np.random.default_rng(1)
    scores = 10 * rng.normal(size=120)
    labels = rng.random(120) < Platt(0.2, 0.5).probabilities(scores)
    targets = np.where(labels, (labels.sum() + 1) / (labels.sum() + 2), 1 / ((~labels).sum() + 2))
    solver = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    solver.fit(
        np.tile(scores, 2)[:, None], np.repeat([1, 0], 120), sample_weight=np.concatenate([targets, 1 - targets])
    )
    fitted = fit_platt(scores, labels)
    assert (fitted.slope, fitted.intercept) == pytest.approx((solver.coef_[0, 0], solver.intercept_[0]), abs=1e-5)


def test_platt_of_separable_scores_is_finite_and_of_constant_scores_the_prevalence():
    labels = np.arange(40) >= 30
    separable = fit_platt(np.arange(40.0), labels)
    assert 0 < separable.slope < np.inf
    assert separable.probabilities(np.array([-1e9, 1e9])) == pytest.approx([0, 1])  # no overflow
    assert fit_platt(np.full(40, 7.0), labels).probabilities(np.array([7.0])) == pytest.approx([0.25], abs=0.02)


def test_platt_of_one_class_or_of_missing_scores_is_refused():
    with pytest.raises(InputError, match="needs both classes"):
        fit_platt(np.arange(3.0), np.zeros(3, dtype=bool))
    with pytest.raises(InputError, match="1 of 3 scores are NaN"):
        fit_platt(np.array([0.0, np.nan, 1.0]), np.array([True, False, True]))


def test_brier_equals_scikit_learn():
    probabilities, labels, _ = made_up(2)
    assert brier(probabilities, labels) == pytest.approx(brier_score_loss(labels, probabilities), abs=1e-12)


def test_calibration_error_equals_bins_by_hand():
    probabilities, labels, _ = made_up(3)
    edges = np.append(np.arange(10) / 10, 2.0)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(
        by_hand(probabilities, labels, edges), abs=1e-12
    )
    edges = np.concatenate([[-1], np.quantile(probabilities, np.arange(1, 10) / 10), [2]])
    assert expected_calibration_error(probabilities, labels, equal_mass=True) == pytest.approx(
        by_hand(probabilities, labels, edges), abs=1e-12
    )


@pytest.mark.parametrize("equal_mass", [True, False])
def test_calibration_error_of_extremes(equal_mass):
    labels = np.arange(10) < 5
    assert expected_calibration_error(labels.astype(float), labels, equal_mass=equal_mass) == 0
    assert expected_calibration_error((~labels).astype(float), labels, equal_mass=equal_mass) == 1
    assert expected_calibration_error(np.full(10, 0.5), labels, equal_mass=equal_mass) == 0  # ties: one bin


def test_reliability_curve_is_what_the_error_is_made_of():
    probabilities, labels, subject_index = made_up(4)
    draws = bootstrap_weights(40, samples=300, seed=0)
    curve = reliability_curve(probabilities, labels, subject_index, draws)
    assert sum(curve.clips) == 400
    assert list(curve.predicted) == sorted(curve.predicted)
    gaps = np.abs(np.subtract(curve.observed, curve.predicted)) * np.array(curve.clips) / 400
    assert gaps.sum() == pytest.approx(expected_calibration_error(probabilities, labels))
    ends = reliability_curve(np.array([0.0, 1.0, 0.95]), np.array([0, 1, 1]), np.array([0, 1, 2]), draws[:, :3])
    assert ends.clips == (1, 2)
    assert (ends.low[0], ends.high[0]) == (None, None)  # of one subject nothing can be said
    assert (ends.low[1], ends.high[1]) == (pytest.approx(0.025**0.5), 1.0)


def test_shares_of_a_reliability_curve_lie_in_their_intervals():
    """Calibrated probabilities: the true share of positives in a bin is its mean probability."""
    draws = bootstrap_weights(40, samples=200, seed=0)
    curves = [reliability_curve(*made_up(300 + seed, n=800), draws) for seed in range(60)]
    held = [
        low <= at <= high
        for curve in curves
        for at, low, high in zip(curve.predicted, curve.low, curve.high, strict=True)
        if low is not None
    ]
    assert len(held) > 500 and 0.92 <= np.mean(held) <= 0.98


def test_intervals_see_a_miscalibration_and_none_where_there_is_none():
    draws = bootstrap_weights(40, samples=500, seed=0)
    good, bad = (calibration(*made_up(5, n=2000, slope=slope), draws) for slope in (1.0, 0.3))
    assert good.ece.low == good.ece_equal_mass.low == 0 < good.ece.value < good.ece.high
    assert bad.ece.low > 0.05 and bad.ece_equal_mass.low > 0.05
    assert bad.brier.low > good.brier.high
    for figure in (good.brier, good.ece, bad.brier, bad.ece, bad.ece_equal_mass):
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_true_calibration_errors_lie_in_their_intervals():
    """100 calibrated and 100 overconfident data sets. The intervals err to the wide side, those of the Brier score hold
    95 %.
    """
    draws = bootstrap_weights(40, samples=200, seed=0)
    for slope in (1.0, 0.5):
        large, _, _ = made_up(6, n=400_000)
        logits = np.log(large / (1 - large))
        chance = 1 / (1 + np.exp(-slope * logits))
        true_error = by_hand(large, chance, np.append(np.arange(10) / 10, 2.0))
        true_brier = np.mean((large - chance) ** 2 + chance * (1 - chance))
        found = [calibration(*made_up(100 + seed, slope=slope), draws) for seed in range(100)]
        assert np.mean([item.ece.low <= true_error <= item.ece.high for item in found]) >= 0.95
        assert 0.89 <= np.mean([item.brier.low <= true_brier <= item.brier.high for item in found]) <= 0.99


@pytest.mark.parametrize("probabilities", [[0.5, 1.2], [0.5, np.nan], [0.5]])
def test_what_is_no_probability_is_refused(probabilities):
    with pytest.raises(InputError):
        brier(np.array(probabilities), np.array([True, False]))
