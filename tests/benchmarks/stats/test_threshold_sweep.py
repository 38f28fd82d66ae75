import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics import roc_curve as sklearn_roc

from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.threshold_sweep import average_precision, roc_curve, sensitivity_at, weighted_sweep
from hearlite.errors import InputError


def made_up(seed=0, *, n=300, decimals=1):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    return np.round(rng.normal(size=n) + 1.2 * labels, decimals), labels, rng.integers(25, size=n)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_average_precision_equals_scikit_learn_with_ties(decimals):
    scores, labels, _ = made_up(decimals=decimals)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("specificity", [0.5, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_sensitivity_is_the_best_corner_that_keeps_the_specificity(specificity, decimals):
    scores, labels, _ = made_up(decimals=decimals)
    false, true, _ = sklearn_roc(labels, scores, drop_intermediate=False)
    assert sensitivity_at(scores, labels, specificity=specificity) == pytest.approx(
        true[1 - false >= specificity - 1e-12].max(), abs=1e-12
    )


def test_a_tie_that_would_cost_specificity_counts_for_nothing():
    """All clips tie: no threshold says yes to any of them without saying yes to all."""
    labels = np.arange(40) % 2 == 0
    assert sensitivity_at(np.zeros(40), labels) == 0
    assert average_precision(np.zeros(40), labels) == 0.5  # the share of positives
    scores = np.where(labels, 1.0, 0.0)
    assert sensitivity_at(scores, labels) == average_precision(scores, labels) == 1


def test_exactly_one_false_alarm_in_twenty_is_allowed():
    """19 of 20 negatives below the threshold are 95 %, whatever the rounding of 1 - 0.95 says."""
    scores = np.concatenate([np.arange(20.0), [18.5, 30.0]])
    labels = np.arange(22) >= 20
    assert sensitivity_at(scores, labels) == 1
    assert sensitivity_at(scores, labels, specificity=0.96) == 0.5


def test_replicates_equal_resampled_arrays():
    scores, labels, subject_index = made_up()
    draws = bootstrap_weights(25, samples=20, seed=3)
    swept = weighted_sweep(np.stack([scores, -scores]), labels, subject_index, draws)
    for row, draw in enumerate(draws):
        clips = np.repeat(np.arange(len(scores)), draw[subject_index])
        for model, sign in enumerate((1, -1)):
            assert swept.average_precision[model, row] == pytest.approx(
                average_precision_score(labels[clips], sign * scores[clips]), abs=1e-12
            )
            assert swept.sensitivity[model, row] == pytest.approx(
                sensitivity_at(sign * scores[clips], labels[clips]), abs=1e-12
            )


def test_replicates_of_one_class_are_marked():
    swept = weighted_sweep(
        np.array([[0.9, 0.1]]),
        np.array([True, False]),
        np.arange(2),
        np.array([[2, 0], [0, 2], [1, 1]], dtype=np.uint16),
    )
    np.testing.assert_array_equal(np.isnan(swept.average_precision[0]), [True, True, False])
    np.testing.assert_array_equal(np.isnan(swept.sensitivity[0]), [True, True, False])


def test_one_class_alone_is_refused():
    with pytest.raises(InputError, match="needs both classes"):
        average_precision(np.arange(3.0), np.ones(3, dtype=bool))


def test_roc_curve_keeps_its_area_in_101_points():
    rng = np.random.default_rng(8)
    labels = rng.random(5000) < 0.2
    scores = np.round(rng.normal(size=5000) + 1.5 * labels, 2)
    false, true = roc_curve(scores, labels)
    assert len(false) <= 101
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.all(np.diff(false) >= 0) and np.all(np.diff(true) >= 0)
    area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    assert area == pytest.approx(auroc(scores, labels), abs=2e-3)
