import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from hearlite.benchmarks.probes.folds import regression_fold_table
from hearlite.benchmarks.probes.regressors import (
    REGRESSORS,
    RIDGE_ALPHA,
    fit_regressor,
    regression_figures,
    weighted_regression,
)
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.errors import InputError, UsageError

SUBJECTS, CLIPS, DIM = 45, 6, 8


@pytest.fixture(scope="module")
def data():
    """(train, targets, folds, test, test targets, test owners): a ratio near 0.7, linear in the features up to
    noise.
    """
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    values = rng.normal(size=(SUBJECTS, DIM))[subject_index] + 0.5 * rng.normal(size=(len(subject_index), DIM))
    targets = 0.7 + 0.02 * values @ rng.normal(size=DIM) + 0.02 * rng.normal(size=len(subject_index))
    outside = subject_index >= 30
    folds = regression_fold_table(targets[~outside], subject_index[~outside], seed=0)
    return values[~outside], targets[~outside], folds, values[outside], targets[outside], subject_index[outside] - 30


def fit(kind, data):
    train, targets, folds, test, _, _ = data
    return fit_regressor(kind, train, targets, test, folds=folds, seed=0)


def test_ridge_and_mlp_beat_the_mean_and_repeat_themselves(data):
    *_, truth, subject_index = data
    draws = bootstrap_weights(15, samples=400, seed=0)
    figures = {kind: regression_figures(fit(kind, data).scores, truth, subject_index, draws) for kind in REGRESSORS}
    assert figures["mean"].r2.value <= 0 and figures["mean"].pearson.value is None
    for kind in ("ridge", "mlp"):
        assert figures[kind].mae.value < 0.8 * figures["mean"].mae.value
        assert figures[kind].r2.low < figures[kind].r2.value < figures[kind].r2.high <= 1
        assert figures[kind].pearson.low < figures[kind].pearson.value < figures[kind].pearson.high <= 1
        np.testing.assert_array_equal(fit(kind, data).scores, fit(kind, data).scores)
    assert figures["ridge"].r2.low > 0.3


def test_features_that_training_subjects_hardly_move_do_not_decide(data):
    train, targets, folds, test, truth, _ = data
    rng = np.random.default_rng(1)

    def with_still(values):  # zero but for one clip in fifty, as features behind a ReLU are
        return np.hstack(
            [
                values,
                np.where(
                    rng.random((len(values), 20)) < 0.02,
                    rng.normal(0, 5, (len(values), 20)),
                    1e-4 * rng.normal(size=(len(values), 20)),
                ),
            ]
        )

    fitted = fit_regressor("ridge", with_still(train), targets, with_still(test), folds=folds, seed=0)
    assert mean_absolute_error(truth, fitted.scores) < 1.5 * mean_absolute_error(truth, fit("ridge", data).scores)


def test_the_mean_predicts_the_training_mean(data):
    fitted = fit("mean", data)
    np.testing.assert_allclose(fitted.scores, data[1].mean())
    assert fitted.chosen == {}


def test_ridge_chooses_what_a_plain_grid_search_chooses(data):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, targets, folds, test, _, _ = data
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": RIDGE_ALPHA},
        scoring="neg_mean_squared_error",
        cv=PredefinedSplit(folds),
    ).fit(train, targets)
    fitted = fit("ridge", data)
    assert fitted.chosen == {"alpha": search.best_params_["ridge__alpha"]}
    np.testing.assert_allclose(fitted.scores, search.predict(test), atol=1e-10)


def test_out_of_fold_predictions_never_saw_the_target(data):
    train, _, folds, test, _, _ = data
    targets = np.random.default_rng(1).normal(size=len(train))
    fitted = fit_regressor("ridge", train, targets, test, folds=folds, seed=0)
    assert r2_score(targets, fitted.out_of_fold) < 0.05


def test_figures_equal_scikit_learn(data):
    *_, truth, subject_index = data
    predicted = fit("ridge", data).scores
    figures = regression_figures(predicted, truth, subject_index, bootstrap_weights(15, samples=10, seed=0))
    assert figures.mae.value == pytest.approx(mean_absolute_error(truth, predicted), abs=1e-12)
    assert figures.r2.value == pytest.approx(r2_score(truth, predicted), abs=1e-12)
    assert figures.pearson.value == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-12)


def test_replicates_equal_resampled_arrays(data):
    *_, truth, subject_index = data
    predicted = fit("ridge", data).scores
    draws = bootstrap_weights(15, samples=20, seed=3)
    found = weighted_regression(
        np.stack([predicted, -predicted]), truth + 1000, subject_index, draws
    )  # a large offset must not cost digits
    for row, draw in enumerate(draws):
        clips = np.repeat(np.arange(len(truth)), draw[subject_index])
        for model, sign in enumerate((1, -1)):
            y, p = truth[clips] + 1000, sign * predicted[clips]
            assert found.mae[model, row] == pytest.approx(mean_absolute_error(y, p), rel=1e-9)
            assert found.r2[model, row] == pytest.approx(r2_score(y, p), rel=1e-6)
            assert found.pearson[model, row] == pytest.approx(np.corrcoef(y, p)[0, 1], abs=1e-6)


def test_replicates_of_one_target_are_marked():
    found = weighted_regression(
        np.array([[1.0, 2.0]]), np.array([1.0, 3.0]), np.arange(2), np.array([[2, 0], [1, 1]], dtype=np.uint16)
    )
    np.testing.assert_array_equal(np.isnan(found.r2[0]), [True, False])
    np.testing.assert_array_equal(np.isnan(found.pearson[0]), [True, False])
    np.testing.assert_allclose(found.mae[0], [0.0, 0.5])


def test_intervals_hold_the_truth():
    """Predictions with an error of subject and clip: the true MAE is known, 300 data sets of 20 subjects."""
    rng = np.random.default_rng(4)
    subject_index = np.repeat(np.arange(20), 5)
    draws = bootstrap_weights(20, samples=300, seed=0)
    true_mae = np.sqrt(2 * 2 / np.pi)  # of a normal error of variance 2
    covered = 0
    for _ in range(300):
        truth = rng.normal(size=100)
        mae = regression_figures(
            truth + rng.normal(size=20)[subject_index] + rng.normal(size=100), truth, subject_index, draws
        ).mae
        covered += mae.low <= true_mae <= mae.high
    assert 0.91 <= covered / 300 <= 0.98


def test_what_can_not_be_fitted_is_refused(data):
    train, targets, folds, test, _, _ = data
    with pytest.raises(UsageError, match="mean, ridge, mlp"):
        fit_regressor("lasso", train, targets, test, folds=folds, seed=0)
    with pytest.raises(InputError, match="1 of 180 targets"):
        fit_regressor("ridge", train, np.where(np.arange(180) == 3, np.nan, targets), test, folds=folds, seed=0)
    with pytest.raises(InputError, match="one fold"):
        fit_regressor("ridge", train, targets, test, folds=np.zeros(180, dtype=int), seed=0)
