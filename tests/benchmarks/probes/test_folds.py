import numpy as np
import pytest

from hearlite.benchmarks.probes.folds import (
    FOLDS,
    PAPER_TEST_SHARE,
    clip_wise_folds,
    clip_wise_split,
    fold_table,
    regression_fold_table,
)
from hearlite.errors import InputError

OWNERS = np.repeat(np.arange(60), 5)
SUBJECTS = np.array([f"s{owner}" for owner in OWNERS])


def test_folds_keep_subjects_whole_and_both_classes_everywhere():
    labels = OWNERS % 5 == 0
    folds = fold_table(labels, SUBJECTS, seed=0)
    assert len(set(folds)) == FOLDS
    assert all(len(set(folds[name == SUBJECTS])) == 1 for name in SUBJECTS)
    assert all(0 < labels[folds == fold].sum() < (folds == fold).sum() for fold in set(folds))
    np.testing.assert_array_equal(folds, fold_table(labels, SUBJECTS, seed=0))
    assert (folds != fold_table(labels, SUBJECTS, seed=1)).any()
    assert set(fold_table(labels, SUBJECTS, seed=0, folds=5)) == set(range(5))


def test_regression_folds_keep_subjects_whole_and_targets_alike():
    rng = np.random.default_rng(0)
    targets = rng.exponential(size=60)[OWNERS] + 0.01 * rng.normal(size=300)
    folds = regression_fold_table(targets, SUBJECTS, seed=0)
    assert set(folds) == set(range(FOLDS))
    assert all(len(set(folds[name == SUBJECTS])) == 1 for name in SUBJECTS)
    top = targets > np.quantile(targets, 0.75)
    assert all(0.1 < top[folds == fold].mean() < 0.4 for fold in range(FOLDS))
    assert set(regression_fold_table(np.ones(300), SUBJECTS, seed=0)) == set(range(FOLDS))  # one value only


def test_regression_folds_of_a_handful_of_subjects():
    subject_index = np.repeat(np.arange(5), 2)
    folds = regression_fold_table(subject_index * 1.0, subject_index, seed=0)
    assert len(set(folds)) == FOLDS and all(len(set(folds[subject_index == owner])) == 1 for owner in range(5))


def test_the_papers_split_is_a_fifth_of_each_class_and_leaks_subjects():
    labels = np.arange(300) % 10 < 3
    tested = clip_wise_split(labels, seed=0)
    assert tested[labels].mean() == pytest.approx(PAPER_TEST_SHARE, abs=0.01)
    assert tested[~labels].mean() == pytest.approx(PAPER_TEST_SHARE, abs=0.01)
    assert (
        len(set(OWNERS[tested]) & set(OWNERS[~tested])) > 30
    )  # the same people on both sides: why it is labelled as leaking
    np.testing.assert_array_equal(tested, clip_wise_split(labels, seed=0))
    assert (tested != clip_wise_split(labels, seed=1)).any()


def test_the_papers_split_works_for_named_classes_and_refuses_single_clips():
    names = np.array(["wheeze"] * 4 + ["normal"] * 16)
    tested = clip_wise_split(names, seed=0)
    assert (tested[:4].sum(), tested[4:].sum()) == (1, 3)
    with pytest.raises(InputError, match="class 'stridor' has 1 clip"):
        clip_wise_split(np.append(names, "stridor"), seed=0)


def test_clip_wise_folds_split_subjects():
    folds = clip_wise_folds(np.arange(300) % 3 == 0, seed=0)
    assert any(len(set(folds[name == SUBJECTS])) > 1 for name in SUBJECTS)
