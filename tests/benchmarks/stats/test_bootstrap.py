"""Coverage is measured on data sets whose true AUROC is known: binormal scores with a random effect of the subject."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    bootstrap_weights,
    degrees_of_freedom,
    difference_interval,
    disjoint_pairs,
    interval,
    rate_interval,
    standard_error,
    t_tail,
    weighted_sums,
)
from hearlite.benchmarks.studies import interval_coverage as coverage
from hearlite.benchmarks.studies.interval_coverage import CLIPS, HIGHEST, LOWEST, coverages
from hearlite.errors import UsageError


@pytest.mark.slow
@pytest.mark.parametrize(("subjects", "effect"), [(10, 1.0), (10, 2.3), (20, 2.3), (40, 1.0), (80, 2.3)])
@pytest.mark.parametrize("per_subject", [True, False])
def test_intervals_hold_the_truth_in_95_percent_of_studies_and_plain_percentiles_would_not(
    subjects, effect, per_subject
):
    """By chance a coverage of 95 % wanders by 0.5 % in 2000 studies; seeded, so a failure is a change of the
    intervals.
    """
    found = coverages(subjects, effect, per_subject=per_subject, studies=2000, seed=0)
    assert LOWEST <= found.auroc <= HIGHEST
    assert LOWEST <= found.difference <= HIGHEST
    assert found.plain_percentile < found.auroc - (0.05 if subjects == 10 else 0.0)


def test_the_coverage_study_writes_its_results(tmp_path, monkeypatch):
    for name, value in (("SUBJECTS", (10,)), ("EFFECTS", (1.0,)), ("TIMED_CLIPS", 500), ("TIMED_REPLICATES", 100)):
        monkeypatch.setattr(coverage, name, value)
    ran = CliRunner().invoke(coverage.command, ["--studies", "100", "--out", str(tmp_path)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["classes"] for row in results["rows"]] == ["subject", "clip"] and results["bootstrap"]["seconds"] > 0
    assert (tmp_path / "table.md").read_text() in ran.output and "| 10 | clip | 0.69 | " in ran.output


def test_permuted_labels_are_at_chance_within_their_interval():
    """Labels are permuted over subjects, so that nothing is left to find."""
    rng = np.random.default_rng(13)
    subject_index = np.repeat(np.arange(30), CLIPS)
    scores = rng.normal(size=30)[subject_index] + rng.normal(size=len(subject_index))
    draws = bootstrap_weights(30, samples=300, seed=0)
    covered = 0
    for _ in range(300):
        labels = (rng.permutation(30) < 12)[subject_index]
        drawn = weighted_aurocs(scores[None], labels, subject_index, draws)[0]
        low, high = rate_interval(
            auroc(scores, labels), drawn, degrees_of_freedom=degrees_of_freedom(labels, subject_index), trials=12
        )
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 300 <= 0.98


def test_degrees_of_freedom_lie_between_the_smaller_class_and_all_subjects():
    subject_index = np.repeat(np.arange(40), 2)
    assert degrees_of_freedom(subject_index < 20, subject_index) == pytest.approx(
        38
    )  # two samples of 20, as the t test
    assert degrees_of_freedom(subject_index < 4, subject_index) == pytest.approx(
        (1 / 4 + 1 / 36) ** 2 / (1 / (16 * 3) + 1 / (36**2 * 35))
    )
    assert 3 <= degrees_of_freedom(subject_index < 4, subject_index) < 5
    assert (
        degrees_of_freedom(np.arange(80) % 2 == 0, subject_index) == 39
    )  # every subject has both: one sample of pairs
    assert degrees_of_freedom(subject_index < 1, subject_index) == 1


def test_disjoint_pairs_use_no_subject_twice():
    subject_index = np.repeat(np.arange(9), 2)
    assert disjoint_pairs(subject_index < 3, subject_index) == 3
    assert disjoint_pairs(np.arange(18) % 2 == 0, subject_index) == 4  # nine subjects with both classes: four pairs
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
    assert rate_interval(0.5, np.array([0.0, 1.0] * 500), degrees_of_freedom=1, trials=1) == pytest.approx(
        (0.0, 1.0), abs=1e-6
    )


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
    assert difference_interval(0.1, samples, degrees_of_freedom=9) == pytest.approx(
        (0.1 - 2.262 * 0.02, 0.1 + 2.262 * 0.02), abs=5e-4
    )
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
    subject_index, columns = rng.integers(7, size=40), rng.normal(size=(40, 3))
    draws = bootstrap_weights(7, samples=5, seed=0)
    expected = [np.repeat(columns, row[subject_index], axis=0).sum(axis=0) for row in draws]
    np.testing.assert_allclose(weighted_sums(columns, subject_index, draws), expected, atol=1e-12)


def test_every_replicate_draws_as_many_subjects_as_there_are():
    draws = bootstrap_weights(30, samples=200, seed=3)
    assert (draws.sum(axis=1) == 30).all()
    assert draws.mean() == 1 and draws.var() == pytest.approx(1 - 1 / 30, abs=0.1)
    np.testing.assert_array_equal(draws, bootstrap_weights(30, samples=200, seed=3))
    assert (draws != bootstrap_weights(30, samples=200, seed=4)).any()
    with pytest.raises(UsageError, match="samples is 0"):
        bootstrap_weights(30, samples=0, seed=0)
