import numpy as np
import pytest

from hearlite.benchmarks.probes import logistic
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import C_GRID, best_candidate, choose_c, fit_probe, regularisation_path
from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.operating_point import choose_threshold
from hearlite.errors import InputError

SUBJECTS, CLIPS, DIM = 60, 5, 12


def made_up(*, effect=0.8):
    """(features, labels, tested, folds of the rest): every third subject is tested."""
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    labels = rng.integers(3, size=len(subject_index)) == 0
    values = rng.normal(size=(len(subject_index), DIM)) + effect * np.outer(labels, rng.normal(size=DIM))
    test = subject_index % 3 == 0
    return values, labels, test, fold_table(labels[~test], subject_index[~test], seed=0)


def test_probe_is_the_one_of_the_textbook():
    """A C as good as the plain grid search's over the same folds, and the scores of a fresh scikit-learn pipeline with
    it.

    As good, not equal: the search stops its fits early (SELECTION_TOL), and of two C that differ by a thousandth
    another optimizer chooses the other.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values, labels, test, folds = made_up(effect=0.4)
    fitted = fit_probe(values[~test], labels[~test], values[test], folds=folds)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, tol=1e-6))
    search = GridSearchCV(pipeline, {"logisticregression__C": C_GRID}, scoring="roc_auc", cv=PredefinedSplit(folds))
    search.fit(values[~test], labels[~test])
    assert search.cv_results_["mean_test_score"][C_GRID.index(fitted.c)] > search.best_score_ - 0.005
    expected = (
        pipeline.set_params(logisticregression__C=fitted.c)
        .fit(values[~test], labels[~test])
        .decision_function(values[test])
    )
    np.testing.assert_allclose(fitted.scores, expected, atol=2e-3)
    assert fitted.unconverged == 0


def test_constant_features_and_the_scale_of_features_do_not_matter():
    values, labels, test, folds = made_up()
    plain = fit_probe(values[~test], labels[~test], values[test], folds=folds)
    padded = np.concatenate([values * 100 - 3, np.full((len(values), 2), 7.3)], axis=1)
    other = fit_probe(padded[~test], labels[~test], padded[test], folds=folds)
    np.testing.assert_allclose(other.scores, plain.scores, atol=1e-3)
    constant = fit_probe(np.full_like(values[~test], 7.3), labels[~test], np.full_like(values[test], 7.3), folds=folds)
    assert auroc(constant.scores, labels[test]) == 0.5


def test_out_of_fold_scores_are_of_the_chosen_c_and_of_the_other_folds():
    values, labels, test, folds = made_up(effect=0.4)
    train, labels = values[~test], labels[~test]
    fitted = fit_probe(train, labels, values[test], folds=folds)
    assert (fitted.c, fitted.unconverged) == choose_c(train, labels, folds=folds)
    assert dict(fitted.chosen) == {"C": fitted.c}
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        ((scores, _),) = regularisation_path(train[inside], labels[inside], train[outside], grid=(fitted.c,))
        deviations = [(row - row.mean()) / row.std() for row in (fitted.out_of_fold[outside], scores)]
        np.testing.assert_allclose(*deviations, atol=0.02)  # the search stops at a looser tolerance


def test_thresholds_of_out_of_fold_scores_hold_for_others_however_strong_the_regularisation(monkeypatch):
    """Well separated classes: next to the intercepts, whose folds differ in their share of positives, the weights of a
    tiny C are nothing.
    """
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(60), 4)
    labels = rng.random(len(subject_index)) < 0.5
    values = labels[:, None] + 0.2 * rng.normal(size=(len(subject_index), 3))
    test = subject_index >= 40
    folds = fold_table(labels[~test], subject_index[~test], seed=0)
    for c in (1e-6, 1e-2, 10.0):
        monkeypatch.setattr(logistic, "C_GRID", (c,))
        fitted = fit_probe(values[~test], labels[~test], values[test], folds=folds)
        threshold = choose_threshold(fitted.out_of_fold, labels[~test])
        assert np.mean((fitted.scores >= threshold) == labels[test]) > 0.97, c


def test_a_fold_of_one_class_is_scored_but_chooses_nothing_and_a_class_in_one_fold_is_refused():
    values, labels, _, _ = made_up()
    labels = np.arange(len(labels)) < 40
    folds = np.where(labels, np.arange(len(labels)) % 2, np.arange(len(labels)) % 3)
    fitted = fit_probe(values, labels, values[:3], folds=folds)
    assert np.isfinite(fitted.out_of_fold).all()
    with pytest.raises(InputError, match="40 positive of 300 training clips, all in one fold"):
        fit_probe(values, labels, values[:3], folds=np.where(labels, 0, 1))


def test_fits_that_stop_early_are_counted(monkeypatch):
    values, labels, test, folds = made_up()
    monkeypatch.setattr(logistic, "MAX_ITER", 1)
    assert fit_probe(values[~test], labels[~test], values[test], folds=folds).unconverged > len(C_GRID)


def test_the_first_of_equal_candidates_wins():
    labels, folds = np.arange(12) % 2 == 0, np.arange(12) // 6
    good = labels * 1.0
    assert best_candidate(np.stack([-good, good, 2 * good]), labels, folds) == 1


def test_scores_of_folds_are_compared_within_a_fold():
    """A candidate whose scale differs from fold to fold ranks rightly within each: pooled, it would lose."""
    labels, folds = np.arange(12) % 2 == 0, np.arange(12) // 6
    shifted = labels + 100.0 * folds
    wrong_once = labels * 1.0
    wrong_once[0] = -1.0
    assert best_candidate(np.stack([wrong_once, shifted]), labels, folds) == 1
