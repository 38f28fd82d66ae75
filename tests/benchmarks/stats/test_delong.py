from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from hearlite.benchmarks.stats.auroc import auroc, clustered_bootstrap
from hearlite.benchmarks.stats.bootstrap import degrees_of_freedom
from hearlite.benchmarks.stats.delong import auroc_covariance, delong_interval, paired_delong
from hearlite.errors import InputError


def pairs(scores, labels):
    """[positive, negative]: 1 where the positive clip wins, 0.5 for a tie. All O(n^2) of them."""
    return (scores[labels][:, None] > scores[~labels]) + 0.5 * (scores[labels][:, None] == scores[~labels])


def brute_force_covariance(first, second, labels):
    """DeLong et al. 1988, equations 4 to 6, from the full matrices of comparisons."""
    one, two = pairs(first, labels), pairs(second, labels)
    of_positives = np.cov(one.mean(axis=1), two.mean(axis=1), ddof=1)
    of_negatives = np.cov(one.mean(axis=0), two.mean(axis=0), ddof=1)
    return of_positives / labels.sum() + of_negatives / (~labels).sum()


def brute_force_clustered_variance(scores, labels, subjects):
    """Obuchowski 1997, written out subject by subject."""
    won, positive, negative = pairs(scores, labels), labels.sum(), (~labels).sum()
    area, names = won.mean(), sorted(set(subjects))
    tens = [sum(won[row].mean() - area for row in np.flatnonzero(subjects[labels] == name)) for name in names]
    ones = [sum(won[:, column].mean() - area for column in np.flatnonzero(subjects[~labels] == name)) for name in names]
    i, i10, i01 = len(names), len(set(subjects[labels])), len(set(subjects[~labels]))
    s10 = i10 / ((i10 - 1) * positive) * sum(value**2 for value in tens)
    s01 = i01 / ((i01 - 1) * negative) * sum(value**2 for value in ones)
    s11 = i / (i - 1) * sum(a * b for a, b in zip(tens, ones, strict=True))
    return s10 / positive + s01 / negative + 2 * s11 / (positive * negative)


def two_models(rng, *, n=80, decimals=1):
    labels = rng.random(n) < 0.4
    base = rng.normal(size=n) + labels
    return (
        np.round(base + 0.7 * rng.normal(size=n), decimals),
        np.round(base + 0.7 * rng.normal(size=n), decimals),
        labels,
    )


def clustered(rng, *, subjects, clips, share_of_both=0.5):
    """Scores of two models that share subject effects; some subjects have clips of both classes."""
    subject_index = np.repeat(np.arange(subjects), clips)
    both = rng.random(subjects) < share_of_both
    labels = np.where(both[subject_index], rng.random(len(subject_index)) < 0.5, subject_index % 2 == 1)
    base = labels + rng.normal(size=subjects)[subject_index]
    return (
        base + rng.normal(size=len(subject_index)),
        0.6 * base + rng.normal(size=len(subject_index)),
        labels,
        subject_index,
    )


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_delong_equals_the_brute_force_components_with_ties(decimals):
    first, second, labels = two_models(np.random.default_rng(0), decimals=decimals)
    values, covariance = auroc_covariance([first, second], labels, np.arange(80))
    np.testing.assert_allclose(values, [auroc(first, labels), auroc(second, labels)], atol=1e-12)
    np.testing.assert_allclose(covariance, brute_force_covariance(first, second, labels), atol=1e-14)
    test = paired_delong(first, second, labels)
    expected = brute_force_covariance(first, second, labels)
    error = np.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    assert test.standard_error == pytest.approx(error, rel=1e-9)
    assert test.z == pytest.approx((auroc(first, labels) - auroc(second, labels)) / error, rel=1e-9)
    assert test.p == pytest.approx(2 * (1 - NormalDist().cdf(abs(test.z))), abs=1e-12)
    assert (test.low + test.high) / 2 == pytest.approx(test.difference)


@pytest.mark.parametrize("share_of_both", [0.0, 0.5, 1.0])
def test_obuchowski_equals_its_formula_written_out(share_of_both):
    first, second, labels, subject_index = clustered(
        np.random.default_rng(1), subjects=15, clips=4, share_of_both=share_of_both
    )
    first, names = np.round(first, 1), np.array([f"subject {owner}" for owner in subject_index])
    _, covariance = auroc_covariance([first, second], labels, subject_index)
    assert covariance[0, 0] == pytest.approx(brute_force_clustered_variance(first, labels, names), rel=1e-10)
    # The covariance by the variance of a sum of components: no formula of its own.
    sums = pairs(first, labels) + pairs(second, labels)
    both = covariance.sum()
    assert both == pytest.approx(_variance_of(sums, labels, subject_index), rel=1e-10)
    assert paired_delong(first, second, labels, subjects=names).standard_error == pytest.approx(
        np.sqrt(_variance_of(pairs(first, labels) - pairs(second, labels), labels, subject_index)), rel=1e-10
    )


def _variance_of(won, labels, subject_index):
    tens = (
        np.bincount(subject_index[labels], weights=won.mean(axis=1) - won.mean(), minlength=subject_index.max() + 1)
        / labels.sum()
    )
    ones = (
        np.bincount(subject_index[~labels], weights=won.mean(axis=0) - won.mean(), minlength=subject_index.max() + 1)
        / (~labels).sum()
    )
    i, i10, i01 = (len(set(members)) for members in (subject_index, subject_index[labels], subject_index[~labels]))
    return i10 / (i10 - 1) * (tens**2).sum() + i01 / (i01 - 1) * (ones**2).sum() + 2 * i / (i - 1) * (tens * ones).sum()


def test_one_clip_a_subject_is_delong():
    first, second, labels = two_models(np.random.default_rng(2))
    clips, subjects = paired_delong(first, second, labels), paired_delong(first, second, labels, subjects=np.arange(80))
    assert (subjects.standard_error, subjects.z) == (clips.standard_error, clips.z)
    assert subjects.p > clips.p and subjects.low < clips.low  # t for subjects, normal for clips


@pytest.mark.parametrize("share_of_both", [0.0, 1.0])
def test_clustered_errors_agree_with_the_clustered_bootstrap(share_of_both):
    first, second, labels, subject_index = clustered(
        np.random.default_rng(3), subjects=150, clips=4, share_of_both=share_of_both
    )
    drawn = clustered_bootstrap(np.stack([first, second]), labels, subject_index, samples=3000, seed=0)
    test = paired_delong(first, second, labels, subjects=subject_index)
    assert test.standard_error == pytest.approx(np.std(drawn[0] - drawn[1]), rel=0.06)
    low, high = delong_interval(first, labels, subjects=subject_index)
    assert (high - low) / 2 / 1.96 == pytest.approx(np.std(drawn[0]), rel=0.06)
    independent = delong_interval(first, labels)
    if not share_of_both:  # subjects of one class: their clips say the same thing several times
        assert high - low > 1.3 * (independent[1] - independent[0])


def test_swapping_models_turns_the_sign_and_shuffling_clips_changes_nothing():
    rng = np.random.default_rng(4)
    first, second, labels, subject_index = clustered(rng, subjects=20, clips=3)
    test, swapped = (paired_delong(a, b, labels, subjects=subject_index) for a, b in ((first, second), (second, first)))
    assert (swapped.difference, swapped.z, swapped.low, swapped.high) == pytest.approx(
        (-test.difference, -test.z, -test.high, -test.low)
    )
    assert swapped.p == pytest.approx(test.p)
    order = rng.permutation(len(labels))
    shuffled = paired_delong(first[order], second[order], labels[order], subjects=subject_index[order])
    assert (shuffled.z, shuffled.p) == pytest.approx((test.z, test.p), rel=1e-9)


def test_a_rising_transform_of_scores_changes_nothing():
    first, second, labels = two_models(np.random.default_rng(5))
    assert paired_delong(np.exp(first), 3 * second - 7, labels).p == pytest.approx(
        paired_delong(first, second, labels).p, rel=1e-9
    )


def test_models_that_rank_alike_do_not_differ():
    first, _, labels = two_models(np.random.default_rng(6))
    test = paired_delong(first, 2 * first + 1, labels)
    assert (test.difference, test.standard_error, test.z, test.p, test.low, test.high) == (0, 0, 0, 1, 0, 0)
    opposite = paired_delong(labels.astype(float), -labels.astype(float), labels)  # both without any doubt
    assert (opposite.difference, opposite.p) == (1, 0)


def test_p_values_are_uniform_when_nothing_differs_and_clusters_matter():
    """500 pairs of models of equal AUROC on 40 subjects: the clustered test errs in 5 %, the one for independent clips
    far more often.
    """
    rng = np.random.default_rng(7)
    subject_index = np.repeat(np.arange(40), 5)
    labels = subject_index % 2 == 1
    wrong = {"clustered": 0, "independent": 0}
    for _ in range(500):
        one, two = (labels + rng.normal(size=40)[subject_index] + rng.normal(size=200) for _ in range(2))
        wrong["clustered"] += paired_delong(one, two, labels, subjects=subject_index).p < 0.05
        wrong["independent"] += paired_delong(one, two, labels).p < 0.05
    assert 0.03 <= wrong["clustered"] / 500 <= 0.09
    assert wrong["independent"] / 500 > 0.15  # why the report takes the clustered one


def test_clustered_p_and_interval_are_of_t_with_the_bootstrap_s_degrees_of_freedom():
    first, second, labels, subject_index = clustered(np.random.default_rng(10), subjects=14, clips=4)
    test = paired_delong(first, second, labels, subjects=subject_index)
    t = stats.t(degrees_of_freedom(labels, subject_index))
    assert test.p == pytest.approx(2 * t.sf(abs(test.z)), rel=1e-9)
    assert test.high - test.difference == pytest.approx(t.ppf(0.975) * test.standard_error, rel=1e-9)
    normal = 2 * (1 - NormalDist().cdf(abs(test.z)))
    assert test.p > normal  # fewer subjects, heavier tails


def test_a_dozen_subjects_are_wrong_in_5_percent_by_t_and_more_often_by_the_normal():
    """1000 pairs of models of equal AUROC, 6 positive and 6 negative subjects."""
    rng, subject_index = np.random.default_rng(11), np.repeat(np.arange(12), 4)
    labels = subject_index % 2 == 1
    tests = []
    for _ in range(1000):
        one, two = (labels + rng.normal(size=12)[subject_index] + rng.normal(size=48) for _ in range(2))
        tests.append(paired_delong(one, two, labels, subjects=subject_index))
    by_t = np.mean([test.p < 0.05 for test in tests])
    by_normal = np.mean([abs(test.z) > NormalDist().inv_cdf(0.975) for test in tests])
    assert 0.03 <= by_t <= 0.07 < by_normal, (by_t, by_normal)


def test_delong_interval_is_the_normal_one_within_0_and_1():
    first, _, labels = two_models(np.random.default_rng(8))
    half = NormalDist().inv_cdf(0.95) * np.sqrt(brute_force_covariance(first, first, labels)[0, 0])
    assert delong_interval(first, labels, level=0.9) == pytest.approx(
        (auroc(first, labels) - half, auroc(first, labels) + half), abs=1e-12
    )
    nearly = np.array([1.0, 2, 3, 4, 5, 6, 7])
    assert delong_interval(nearly, np.array([0, 0, 0, 1, 0, 1, 1], dtype=bool))[1] == 1.0


def test_twenty_thousand_clips_need_no_matrix_of_pairs():
    """10 000 x 10 000 comparisons would be 800 MB; ranks are enough."""
    rng = np.random.default_rng(9)
    labels = np.arange(20_000) % 2 == 0
    test = paired_delong(rng.normal(size=20_000) + labels, rng.normal(size=20_000) + labels, labels)
    assert abs(test.z) < 4


@pytest.mark.parametrize(
    ("labels", "subjects", "says"),
    [
        ([1, 0, 0, 0], None, "1 positive and 3 negative clips"),
        ([1, 1, 0, 0], ["a", "a", "b", "c"], "1 positive and 2 negative subjects"),
        ([1, 1, 0, 0], ["a", "b", "c"], "3 subjects for 4 clips"),
    ],
)
def test_what_has_no_variance_is_refused(labels, subjects, says):
    with pytest.raises(InputError, match=says):
        paired_delong(
            np.arange(4.0),
            np.arange(4.0),
            np.array(labels, dtype=bool),
            subjects=None if subjects is None else np.array(subjects),
        )
