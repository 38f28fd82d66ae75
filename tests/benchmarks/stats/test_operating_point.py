import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.operating_point import choose_threshold, operating_point, sweep_figures
from hearlite.benchmarks.stats.threshold_sweep import average_precision, sensitivity_at
from hearlite.errors import InputError, UsageError

SUBJECTS = 30


def made_up(seed=0, *, n=240, decimals=1):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    return np.round(rng.normal(size=n) + 1.2 * labels, decimals), labels, np.arange(n) % SUBJECTS


def gain(scores, labels, threshold, rule):
    answer = scores >= threshold
    if rule == "f1":
        return f1_score(labels, answer, zero_division=0)
    return answer[labels].mean() - answer[~labels].mean()


@pytest.mark.parametrize("rule", ["youden", "f1"])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_no_threshold_is_better_than_the_chosen_one(rule, decimals):
    scores, labels, _ = made_up(decimals=decimals)
    chosen = gain(scores, labels, choose_threshold(scores, labels, rule=rule), rule)
    assert chosen == pytest.approx(
        max(gain(scores, labels, threshold, rule) for threshold in [*scores, np.inf]), abs=1e-12
    )


def test_a_threshold_lies_halfway_between_clips():
    assert choose_threshold(np.array([0.0, 1.0, 4.0, 5.0]), np.array([False, False, True, True])) == 2.5
    assert (
        choose_threshold(np.array([5.0, 4.0, 1.0, 0.0]), np.array([False, False, True, True])) == 0.0
    )  # useless: everything is positive
    close = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert (close >= choose_threshold(close, np.array([False, True]))).tolist() == [False, True]


def test_what_chooses_no_threshold_is_refused():
    scores, labels, _ = made_up()
    with pytest.raises(UsageError, match="youden, f1"):
        choose_threshold(scores, labels, rule="accuracy")
    with pytest.raises(InputError, match="needs both classes"):
        choose_threshold(scores, np.ones_like(labels))


def test_figures_equal_scikit_learn():
    scores, labels, subject_index = made_up()
    point = operating_point(
        scores, labels, subject_index, bootstrap_weights(SUBJECTS, samples=50, seed=0), threshold=0.5
    )
    answer = scores >= 0.5
    (passed, false), (missed, true) = confusion_matrix(labels, answer)
    cells = point.confusion
    assert (cells.true_positive, cells.false_positive, cells.false_negative, cells.true_negative) == (
        true,
        false,
        missed,
        passed,
    )
    assert point.accuracy.value == pytest.approx(accuracy_score(labels, answer))
    assert point.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, answer))
    assert point.f1.value == pytest.approx(f1_score(labels, answer))
    assert point.sensitivity.value == pytest.approx(answer[labels].mean())
    assert point.specificity.value == pytest.approx((~answer[~labels]).mean())
    for figure in (point.accuracy, point.balanced_accuracy, point.f1, point.sensitivity, point.specificity):
        assert 0 < figure.low < figure.value < figure.high < 1


def test_intervals_hold_the_truth_and_shrink_with_subjects_not_with_clips():
    """True sensitivity 0.5 with a subject effect, so clips of a subject are alike: 300 data sets of 20 subjects."""
    rng = np.random.default_rng(1)
    subject_index = np.repeat(np.arange(20), 6)
    labels = np.arange(120) % 2 == 0
    draws = bootstrap_weights(20, samples=300, seed=0)
    found = [
        operating_point(
            rng.normal(size=20)[subject_index] + rng.normal(size=120), labels, subject_index, draws, threshold=0.0
        ).sensitivity
        for _ in range(300)
    ]
    assert 0.92 <= np.mean([figure.low <= 0.5 <= figure.high for figure in found]) <= 0.985
    as_if_independent = 2 * 1.96 * np.sqrt(0.25 / 60)
    assert np.mean([figure.high - figure.low for figure in found]) > 1.2 * as_if_independent


def test_a_rate_of_one_is_as_sure_as_its_subjects_are_many():
    labels, subject_index = np.arange(40) % 2 == 0, np.arange(40) % 10
    point = operating_point(
        labels * 1.0, labels, subject_index, bootstrap_weights(10, samples=50, seed=0), threshold=0.5
    )
    assert point.accuracy.value == point.accuracy.high == 1
    assert point.accuracy.low == pytest.approx(0.025**0.1)  # ten subjects
    assert point.sensitivity.low == pytest.approx(0.025**0.2)  # five of them have a positive


def test_f1_of_no_answer_at_all_is_zero_and_of_a_replicate_without_a_positive_undefined():
    scores, labels, subject_index = made_up()
    point = operating_point(
        scores, labels, subject_index, bootstrap_weights(SUBJECTS, samples=50, seed=0), threshold=99.0
    )
    assert (point.f1.value, point.sensitivity.value, point.specificity.value) == (0, 0, 1)
    with pytest.raises(InputError, match="threshold is nan"):
        operating_point(
            scores, labels, subject_index, bootstrap_weights(SUBJECTS, samples=50, seed=0), threshold=float("nan")
        )


def test_sweep_figures_have_value_chance_and_interval():
    scores, labels, subject_index = made_up()
    figures = sweep_figures(scores, labels, subject_index, bootstrap_weights(SUBJECTS, samples=400, seed=0))
    assert figures.average_precision.value == average_precision(scores, labels)
    assert figures.prevalence == labels.mean()
    assert (
        figures.prevalence
        < figures.average_precision.low
        < figures.average_precision.value
        < figures.average_precision.high
        < 1
    )
    assert figures.sensitivity.value == sensitivity_at(scores, labels)
    assert figures.sensitivity.low < figures.sensitivity.value < figures.sensitivity.high
    assert figures.specificity == 0.95
