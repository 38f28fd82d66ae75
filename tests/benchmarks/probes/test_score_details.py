import dataclasses

import numpy as np
import pytest

from hearlite.benchmarks.probes.logistic import Fitted
from hearlite.benchmarks.probes.score_details import detailed
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.calibration import fit_platt
from hearlite.benchmarks.stats.estimates import Estimate, Score
from hearlite.benchmarks.stats.operating_point import choose_threshold

TRAIN, TEST, SUBJECTS = 300, 240, 30


@pytest.fixture
def made_up():
    """(fit, training labels, test labels, owners, draws): scores rise with the label."""
    rng = np.random.default_rng(0)
    train, test = rng.random(TRAIN) < 0.4, rng.random(TEST) < 0.4
    fit = Fitted(rng.normal(size=TEST) + 1.5 * test, rng.normal(size=TRAIN) + 1.5 * train, {"C": 0.1}, 0)
    subject_index = np.arange(TEST) % SUBJECTS
    return fit, train, test, subject_index, bootstrap_weights(SUBJECTS, samples=200, seed=0)


def details(fit, train, test, subject_index, draws, **subgroups):
    bare = Score("student", Estimate(0.8, 0.7, 0.9), Estimate(), Estimate())
    return detailed(bare, fit, train, test, subject_index, draws, subgroups=subgroups)


def test_every_figure_has_an_interval(made_up):
    sexes = ["male" if k % 2 else "female" for k in range(TEST)]
    score = details(*made_up, sex=sexes)
    (column,) = score.subgroups
    figures = [
        score.sweep.average_precision,
        score.sweep.sensitivity,
        score.point.sensitivity,
        score.point.specificity,
        score.point.accuracy,
    ]
    figures += [
        score.point.f1,
        score.calibration.brier,
        score.calibration.ece,
        column.gap,
        *(group.auroc for group in column.groups),
    ]
    assert all(figure.shown for figure in figures)
    assert [group.value for group in column.groups] == ["female", "male"]
    assert [(item.name, item.value) for item in score.chosen] == [("C", 0.1)]
    assert sum(dataclasses.astuple(score.point.confusion)) == TEST
    assert score.roc.true_positive[-1] == 1.0
    assert (score.model, score.auroc) == ("student", Estimate(0.8, 0.7, 0.9))


def test_thresholds_and_scaling_know_no_test_clip(made_up):
    fit, train, test, subject_index, draws = made_up
    score = details(*made_up)
    assert score.point.threshold == choose_threshold(fit.out_of_fold, train)
    other = details(dataclasses.replace(fit, scores=-fit.scores), train, ~test, subject_index, draws)
    assert other.point.threshold == score.point.threshold
    best_on_test = choose_threshold(fit.scores, test)
    assert score.point.threshold != best_on_test
    mean = fit_platt(fit.out_of_fold, train).probabilities(fit.scores).mean()
    curve = score.calibration.reliability
    assert np.average(curve.predicted, weights=curve.clips) == pytest.approx(mean)


def test_training_clips_that_nobody_scored_are_left_out(made_up):
    fit, train, test, subject_index, draws = made_up
    holes = fit.out_of_fold.copy()
    holes[::3] = np.nan
    score = details(dataclasses.replace(fit, out_of_fold=holes), train, test, subject_index, draws)
    kept = np.isfinite(holes)
    assert score.point.threshold == choose_threshold(holes[kept], train[kept])
