import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hearlite.benchmarks.stats.auroc import auroc, clustered_bootstrap, retention
from hearlite.errors import InputError, UsageError


def brute_force(scores, labels):
    positive, negative = scores[labels], scores[~labels]
    return float(np.mean([(p > n) + 0.5 * (p == n) for p in positive for n in negative]))


def clustered_data(rng, *, subjects, clips, effect, spread=1.0):
    """Half the subjects are positive; their clips share a subject effect. True AUROC: Phi(effect / sqrt(2 (spread^2 +
    1))).
    """
    subject_index = np.repeat(np.arange(subjects), clips)
    labels = subject_index % 2 == 1
    scores = effect * labels + spread * rng.normal(size=subjects)[subject_index] + rng.normal(size=len(subject_index))
    return scores, labels, subject_index


@pytest.mark.parametrize("levels", [3, 1000])
def test_auroc_equals_brute_force_and_sklearn_with_ties(levels):
    rng = np.random.default_rng(0)
    labels = rng.random(150) < 0.3
    scores = np.round((rng.random(150) + 0.2 * labels) * levels)
    assert auroc(scores, labels) == pytest.approx(brute_force(scores, labels), abs=1e-12)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auroc_of_constant_scores_is_chance_and_of_perfect_scores_one():
    labels = np.array([True, False, True, False, False])
    assert auroc(np.zeros(5), labels) == 0.5
    assert auroc(labels.astype(float), labels) == 1.0
    assert auroc(-labels.astype(float), labels) == 0.0


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        ([0.1, np.nan], [True, False], "1 of 2 scores are NaN"),
        ([0.1, 0.2], [True, True], "all 2 clips are positive"),
        ([0.1, 0.2, 0.3], [True, False], "shape"),
    ],
)
def test_auroc_refuses_what_has_none(scores, labels, says):
    with pytest.raises(InputError, match=says):
        auroc(np.array(scores), np.array(labels))


def test_permuted_labels_are_at_chance():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=2000)
    assert np.mean([auroc(scores, rng.permutation(np.arange(2000) < 600)) for _ in range(50)]) == pytest.approx(
        0.5, abs=0.01
    )


def test_bootstrap_equals_resampled_arrays():
    """The weights are the resampled data: repeat every clip as often as its subject was drawn, ties included."""
    rng = np.random.default_rng(3)
    scores, labels, subject_index = clustered_data(rng, subjects=12, clips=4, effect=1.0)
    scores = np.round(np.stack([scores, -scores, rng.normal(size=48)]), 1)
    drawn = np.random.default_rng(7)
    expected = []
    for _ in range(20):
        clips = np.concatenate([np.flatnonzero(subject_index == subject) for subject in drawn.integers(12, size=12)])
        expected.append([roc_auc_score(labels[clips], row[clips]) for row in scores])
    names = np.array([f"subject {owner:02d}" for owner in subject_index])
    np.testing.assert_allclose(
        clustered_bootstrap(scores, labels, names, samples=20, seed=7), np.transpose(expected), atol=1e-12
    )


def test_bootstrap_is_paired_and_does_not_depend_on_the_other_models():
    rng = np.random.default_rng(4)
    scores, labels, subject_index = clustered_data(rng, subjects=20, clips=3, effect=1.0)
    both = clustered_bootstrap(np.stack([scores, 2 * scores + 1]), labels, subject_index, samples=50, seed=0)
    np.testing.assert_array_equal(both[0], both[1])  # the same ranking: the same AUROC in every replicate
    np.testing.assert_array_equal(
        both[:1], clustered_bootstrap(scores[None], labels, subject_index, samples=50, seed=0)
    )


def test_bootstrap_marks_replicates_of_one_class():
    labels, subject_index = np.array([True, False, False]), np.arange(3)
    replicates = clustered_bootstrap(np.array([[0.9, 0.1, 0.5]]), labels, subject_index, samples=400, seed=0)
    without_class = np.isnan(replicates[0]).mean()
    assert without_class == pytest.approx((2**3 + 1) / 3**3, abs=0.07)  # no positive: 8 of 27 draws; no negative: 1
    assert (replicates[0][np.isfinite(replicates[0])] == 1.0).all()


def test_bootstrap_of_no_samples_is_refused():
    with pytest.raises(UsageError, match="samples is 0"):
        clustered_bootstrap(np.zeros((1, 4)), np.array([1, 0, 1, 0]), np.arange(4), samples=0, seed=0)


def test_excess_ratio_counts_from_chance_and_is_undefined_at_chance():
    np.testing.assert_allclose(retention(np.array([0.7, 0.5, 0.4]), np.array([0.9, 0.6, 0.6])), [0.5, 0.0, -1.0])
    assert np.isnan(retention(np.array([0.7, 0.7]), np.array([0.5, 0.4]))).all()
