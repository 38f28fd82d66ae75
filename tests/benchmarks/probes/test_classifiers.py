import numpy as np
import pytest

from hearlite.benchmarks.probes import classifiers, logistic
from hearlite.benchmarks.probes.classifiers import fit_classifier, refit
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import C_GRID, fit_probe
from hearlite.benchmarks.schema.results import CLASSIFIERS
from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.operating_point import choose_threshold
from hearlite.errors import InputError, UsageError

SUBJECTS, CLIPS, DIM = 45, 6, 8


@pytest.fixture(scope="module")
def data():
    """(train, labels, folds, test, test labels, owners of train): linearly separable up to noise."""
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    labels = rng.random(len(subject_index)) < 0.4
    values = (
        rng.normal(size=(len(subject_index), DIM))
        + 1.3 * np.outer(labels, rng.normal(size=DIM))
        + 0.5 * rng.normal(size=(SUBJECTS, DIM))[subject_index]
    )
    outside = subject_index >= 30
    folds = fold_table(labels[~outside], subject_index[~outside], seed=0)
    return values[~outside], labels[~outside], folds, values[outside], labels[outside], subject_index[~outside]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(classifiers, "FOREST_TREES", 20)
    monkeypatch.setattr(classifiers, "BOOSTING_ROUNDS", 20)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_kind_learns_chooses_and_repeats_itself(kind, data):
    train, labels, folds, test, truth, _ = data
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    assert auroc(fitted.scores, truth) > 0.8
    assert auroc(fitted.out_of_fold, labels) > 0.75
    assert fitted.scores.shape == truth.shape and fitted.out_of_fold.shape == labels.shape
    assert np.isfinite(fitted.scores).all() and len(fitted.chosen) == 1
    assert fitted.unconverged == 0
    again = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    np.testing.assert_array_equal(again.scores, fitted.scores)
    np.testing.assert_array_equal(again.out_of_fold, fitted.out_of_fold)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_threshold_of_out_of_fold_scores_holds_for_test_scores(kind, data, monkeypatch):
    monkeypatch.setattr(classifiers, "SVM_C", (1e-6,))  # so that intercepts outweigh what the features say
    train, labels, folds, test, truth, _ = data
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    best = np.mean((fitted.scores >= choose_threshold(fitted.scores, truth)) == truth)
    assert np.mean((fitted.scores >= choose_threshold(fitted.out_of_fold, labels)) == truth) > best - 0.07


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_out_of_fold_scores_of_linear_probes_spread_as_test_scores_do(kind, data, monkeypatch):
    """The slope of a strongly regularised probe grows with its clips, of which every fold lacks a third."""
    monkeypatch.setattr(classifiers, "SVM_C", (1e-6,))
    monkeypatch.setattr(logistic, "C_GRID", (1e-6,))
    train, labels, folds, test, _, _ = data
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    assert 0.85 < np.std(fitted.out_of_fold) / np.std(fitted.scores) < 1.2


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_probe_is_fitted_again_with_what_was_chosen(kind, data):
    train, labels, folds, test, truth, _ = data
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    again = refit(kind, fitted.chosen, train, labels, test, seed=0)
    np.testing.assert_allclose(
        again, fitted.scores, atol=1e-9 if kind != "logistic" else 2e-2
    )  # which searches with a coarser tolerance
    shuffled = refit(kind, fitted.chosen, train, np.random.default_rng(0).permutation(labels), test, seed=0)
    assert auroc(shuffled, truth) < auroc(again, truth) - 0.1


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_out_of_fold_scores_never_saw_the_label(kind, data):
    """Labels that are noise by subject: whoever scored its own training clips would do well on them."""
    train, _, _, test, _, subject_index = data
    rng = np.random.default_rng(1)
    labels = rng.random(30)[subject_index] < 0.5
    folds = fold_table(labels, subject_index, seed=0)
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    assert 0.2 < auroc(fitted.out_of_fold, labels) < 0.75


@pytest.mark.parametrize("kind", ["logistic", "svm", "boosting"])
def test_what_is_chosen_is_what_a_plain_grid_search_chooses(kind, data):
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels, folds, test, _, _ = data
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    if kind == "logistic":
        from sklearn.linear_model import LogisticRegression

        steps, grid = (StandardScaler(), LogisticRegression(max_iter=2000, tol=1e-6)), {"logisticregression__C": C_GRID}
    elif kind == "svm":
        from sklearn.svm import LinearSVC

        steps, grid = (StandardScaler(), LinearSVC(dual=False)), {"linearsvc__C": classifiers.SVM_C}
    else:
        from sklearn.ensemble import HistGradientBoostingClassifier

        boosting = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=0)
        steps, grid = (boosting,), {"histgradientboostingclassifier__max_leaf_nodes": classifiers.BOOSTING_LEAVES}
    search = GridSearchCV(make_pipeline(*steps), grid, scoring="roc_auc", cv=PredefinedSplit(folds)).fit(train, labels)
    assert list(fitted.chosen.values()) == list(search.best_params_.values())
    np.testing.assert_allclose(fitted.scores, search.decision_function(test), atol=2e-3)


def test_logistic_is_the_linear_probe(data):
    train, labels, folds, test, _, _ = data
    probe, fitted = (
        fit_probe(train, labels, test, folds=folds),
        fit_classifier("logistic", train, labels, test, folds=folds, seed=5),
    )
    np.testing.assert_array_equal(fitted.scores, probe.scores)
    np.testing.assert_array_equal(fitted.out_of_fold, probe.out_of_fold)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_fold_of_one_class_is_scored_and_a_class_in_one_fold_is_refused(kind, data):
    train, labels, _, test, _, _ = data
    labels = np.arange(len(labels)) < 40  # all positives in the folds 0 and 1
    folds = np.where(labels, np.arange(len(labels)) % 2, np.arange(len(labels)) % 3)
    fitted = fit_classifier(kind, train, labels, test, folds=folds, seed=0)
    assert np.isfinite(fitted.out_of_fold).all()
    with pytest.raises(InputError, match="all in one fold"):
        fit_classifier(kind, train, labels, test, folds=np.where(labels, 0, 1), seed=0)


def test_an_unknown_kind_is_refused(data):
    train, labels, folds, test, _, _ = data
    with pytest.raises(UsageError, match="svm, forest"):
        fit_classifier("tree", train, labels, test, folds=folds, seed=0)
