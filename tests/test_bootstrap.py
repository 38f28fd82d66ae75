"""Coverage is measured on data sets whose true AUROC is known: binormal scores with a random effect of the subject."""

from statistics import NormalDist

import numpy as np
import pytest

from hearlite.benchmarks.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.bootstrap import (
    degrees_of_freedom,
    difference_interval,
    disjoint_pairs,
    interval,
    rate_interval,
    standard_error,
    subject_multiplicities,
    t_tail,
    weighted_sums,
)
from hearlite.errors import UsageError

CLIPS = 5
PHI = NormalDist().cdf


def design(subjects, *, per_subject):
    """(labels, owners): half the subjects are positive, or two of five clips of every subject."""
    owners = np.repeat(np.arange(subjects), CLIPS)
    return (owners % 2 == 1) if per_subject else (np.arange(len(owners)) % CLIPS < 2), owners


def noise(rng, owners, *, sets):
    """[sets, n]: subject and clip each add a variance of 1, so that scores `effect * labels + noise` have a true AUROC of PHI(effect / 2)."""
    return rng.normal(size=(sets, owners.max() + 1))[:, owners] + rng.normal(size=(sets, len(owners)))


@pytest.mark.parametrize(("subjects", "effect"), [(10, 1.0), (10, 2.3), (20, 2.3), (40, 1.0), (80, 2.3)])
@pytest.mark.parametrize("per_subject", [True, False])
def test_the_interval_of_an_auroc_holds_the_truth_in_95_percent_of_samples(subjects, effect, per_subject):
    labels, owners = design(subjects, per_subject=per_subject)
    scores = effect * labels + noise(np.random.default_rng(11), owners, sets=1000)
    drawn = weighted_aurocs(scores, labels, owners, subject_multiplicities(subjects, samples=500, seed=0))
    freedom, pairs = degrees_of_freedom(labels, owners), disjoint_pairs(labels, owners)
    bounds = [rate_interval(auroc(row, labels), d, degrees_of_freedom=freedom, trials=pairs) for row, d in zip(scores, drawn, strict=True)]
    covered = np.mean([low <= PHI(effect / 2) <= high for low, high in bounds])
    assert 0.93 <= covered <= 0.97


def test_the_plain_percentile_interval_would_not():
    labels, owners = design(10, per_subject=True)
    scores = 2.3 * labels + noise(np.random.default_rng(11), owners, sets=1000)
    drawn = weighted_aurocs(scores, labels, owners, subject_multiplicities(10, samples=500, seed=0))
    assert np.mean([low <= PHI(1.15) <= high for low, high in map(interval, drawn)]) < 0.88


@pytest.mark.parametrize(("subjects", "per_subject"), [(20, True), (20, False), (40, True), (40, False)])
def test_the_interval_of_a_paired_difference_holds_the_truth(subjects, per_subject):
    labels, owners = design(subjects, per_subject=per_subject)
    rng = np.random.default_rng(12)
    shared = np.sqrt(0.7) * noise(rng, owners, sets=1000)  # two models of the same recordings are right and wrong together
    first, second = (effect * labels + shared + np.sqrt(0.3) * noise(rng, owners, sets=1000) for effect in (1.5, 1.0))
    draws = subject_multiplicities(subjects, samples=500, seed=0)
    drawn = weighted_aurocs(first, labels, owners, draws) - weighted_aurocs(second, labels, owners, draws)
    freedom, truth = degrees_of_freedom(labels, owners), PHI(0.75) - PHI(0.5)
    values = [auroc(a, labels) - auroc(b, labels) for a, b in zip(first, second, strict=True)]
    bounds = [difference_interval(value, d, degrees_of_freedom=freedom) for value, d in zip(values, drawn, strict=True)]
    assert 0.93 <= np.mean([low <= truth <= high for low, high in bounds]) <= 0.97


def test_permuted_labels_are_at_chance_within_their_interval():
    """Labels are permuted over subjects, so that nothing is left to find."""
    rng = np.random.default_rng(13)
    owners = np.repeat(np.arange(30), CLIPS)
    scores = rng.normal(size=30)[owners] + rng.normal(size=len(owners))
    draws = subject_multiplicities(30, samples=300, seed=0)
    covered = 0
    for _ in range(300):
        labels = (rng.permutation(30) < 12)[owners]
        drawn = weighted_aurocs(scores[None], labels, owners, draws)[0]
        low, high = rate_interval(auroc(scores, labels), drawn, degrees_of_freedom=degrees_of_freedom(labels, owners), trials=12)
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 300 <= 0.98


def test_degrees_of_freedom_lie_between_the_smaller_class_and_all_subjects():
    owners = np.repeat(np.arange(40), 2)
    assert degrees_of_freedom(owners < 20, owners) == pytest.approx(38)  # two samples of 20, as the t test
    assert degrees_of_freedom(owners < 4, owners) == pytest.approx((1 / 4 + 1 / 36) ** 2 / (1 / (16 * 3) + 1 / (36**2 * 35)))
    assert 3 <= degrees_of_freedom(owners < 4, owners) < 5
    assert degrees_of_freedom(np.arange(80) % 2 == 0, owners) == 39  # every subject has both: one sample of pairs
    assert degrees_of_freedom(owners < 1, owners) == 1


def test_disjoint_pairs_use_no_subject_twice():
    owners = np.repeat(np.arange(9), 2)
    assert disjoint_pairs(owners < 3, owners) == 3
    assert disjoint_pairs(np.arange(18) % 2 == 0, owners) == 4  # nine subjects with both classes: four pairs
    assert disjoint_pairs(np.array([True, False]), np.array([0, 0])) == 1


def test_a_perfect_auroc_is_as_sure_as_its_subjects_are_many():
    """Of k pairs of subjects, all in the right order: no AUROC below 0.025^(1/k) makes that likelier than 2.5 %."""
    low, high = rate_interval(1.0, np.ones(500), degrees_of_freedom=18, trials=10)
    assert (low, high) == (pytest.approx(0.025**0.1), 1.0)
    assert rate_interval(0.0, np.zeros(500), degrees_of_freedom=18, trials=10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert rate_interval(1.0, np.ones(500), degrees_of_freedom=198, trials=100)[0] > 0.96


def test_rate_intervals_stay_within_0_and_1_and_mirror():
    rng = np.random.default_rng(14)
    replicates = np.clip(0.97 + 0.05 * rng.normal(size=2000), 0, 1)
    low, high = rate_interval(0.97, replicates, degrees_of_freedom=9, trials=5)
    assert 0 < low < 0.97 < high < 1
    assert 0.97 - low > high - 0.97  # towards chance there is more room
    assert rate_interval(0.03, 1 - replicates, degrees_of_freedom=9, trials=5) == pytest.approx((1 - high, 1 - low))
    assert rate_interval(0.5, np.full(100, 0.5), degrees_of_freedom=9, trials=5) == (0.5, 0.5)
    assert rate_interval(0.5, np.array([0.0, 1.0] * 500), degrees_of_freedom=1, trials=1) == pytest.approx((0.0, 1.0), abs=1e-6)


def test_percentiles_are_widened_for_few_subjects_only():
    samples = np.random.default_rng(15).normal(size=200_000)
    assert interval(samples) == pytest.approx((-1.96, 1.96), abs=0.02)
    t_of_9 = 2.262  # 97.5 %, from any table
    wide = t_of_9 * np.sqrt(10 / 9)
    assert interval(samples, degrees_of_freedom=9) == pytest.approx((-wide, wide), abs=0.05)
    assert interval(samples, degrees_of_freedom=1e6) == pytest.approx((-1.96, 1.96), abs=0.02)
    assert interval(samples, level=0.5) == pytest.approx((-0.674, 0.674), abs=0.02)


def test_difference_interval_is_the_t_interval():
    samples = 0.1 + 0.02 * np.random.default_rng(16).normal(size=200_000)
    assert difference_interval(0.1, samples, degrees_of_freedom=9) == pytest.approx((0.1 - 2.262 * 0.02, 0.1 + 2.262 * 0.02), abs=5e-4)
    assert difference_interval(0.0, np.zeros(50), degrees_of_freedom=9) == (0.0, 0.0)
    assert t_tail(2.262, 9) == pytest.approx(0.025, abs=1e-4)


def test_replicates_that_differ_by_rounding_have_no_error():
    assert standard_error(0.3 + 1e-16 * np.arange(100)) == 0
    assert standard_error(np.array([1e-6, 2e-6, 3e-6])) == pytest.approx(1e-6)
    assert np.isnan(standard_error([0.5, np.nan]))


@pytest.mark.parametrize("samples", [[0.5, np.nan, np.nan], []])
def test_intervals_of_mostly_undefined_replicates_are_none(samples):
    assert interval(samples) is None
    assert rate_interval(0.5, samples, degrees_of_freedom=5, trials=5) is None
    assert difference_interval(0.5, samples, degrees_of_freedom=5) is None


def test_undefined_replicates_are_left_out():
    assert interval([0.1, 0.2, np.nan, 0.3]) == interval([0.1, 0.2, 0.3])


def test_weighted_sums_equal_resampled_clips():
    rng = np.random.default_rng(17)
    owners, columns = rng.integers(7, size=40), rng.normal(size=(40, 3))
    draws = subject_multiplicities(7, samples=5, seed=0)
    expected = [np.repeat(columns, row[owners], axis=0).sum(axis=0) for row in draws]
    np.testing.assert_allclose(weighted_sums(columns, owners, draws), expected, atol=1e-12)


def test_every_replicate_draws_as_many_subjects_as_there_are():
    draws = subject_multiplicities(30, samples=200, seed=3)
    assert (draws.sum(axis=1) == 30).all()
    assert draws.mean() == 1 and draws.var() == pytest.approx(1 - 1 / 30, abs=0.1)
    np.testing.assert_array_equal(draws, subject_multiplicities(30, samples=200, seed=3))
    assert (draws != subject_multiplicities(30, samples=200, seed=4)).any()
    with pytest.raises(UsageError, match="samples is 0"):
        subject_multiplicities(30, samples=0, seed=0)
