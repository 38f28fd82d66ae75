"""Fit probes that predict a number, such as FEV1/FVC: ridge and MLP, against the mean.

Figures on the test subjects are mean absolute error, R² and Pearson correlation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.classifiers import MLP_ALPHA, MLP_EPOCHS, MLP_UNITS
from hearlite.benchmarks.probes.logistic import Fitted, fits_quietly
from hearlite.benchmarks.stats.bootstrap import Floats, Multiplicities, Owners, interval, weighted_sums
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.errors import InputError, UsageError

REGRESSORS = ("mean", "ridge", "mlp")  # the first is the baseline that the others must beat
# Standardized features are clipped to this many standard deviations. A feature that hardly varies over the training
# subjects, as half of YAMNet's do, can be hundreds of standard deviations off on other subjects and takes a linear
# prediction with it: ridge then chose a penalty close to predicting the mean. Within 4 lie all but 6 of 100 000 values
# of a normal distribution.
LARGEST_FEATURE = 4.0
# For standardized features: from almost no penalty to almost the mean, for thousands of clips.
RIDGE_ALPHA = (1.0, 1e1, 1e2, 1e3, 1e4, 1e5)


@dataclass(frozen=True)
class RegressionReplicates:
    """Figures of every model and draw, `[models, samples]`.

    They are NaN where a replicate's targets or, for `pearson`, its predictions are all the same.
    """

    mae: Floats
    r2: Floats
    pearson: Floats


@dataclass(frozen=True)
class RegressionFigures:
    """Figures of one model on one task, with intervals."""

    mae: Estimate  # in the unit of the targets
    # 1 - squared error / squared deviation from the TEST clips' mean. Predicting the mean of the training subjects
    # makes it 0 or less.
    r2: Estimate
    pearson: Estimate  # None for a constant prediction


def fit_regressor(
    kind: str, train: Floats, targets: Floats, test: Floats, *, folds: NDArray[np.intp], seed: int
) -> Fitted:
    """Fit one kind of regression probe and predict the test clips.

    Hyper-parameters are chosen by squared error over `folds`, the first of equally good ones.

    Parameters
    ----------
    kind : str
        One of REGRESSORS.
    train : array [n_train, dim]
        Embeddings of the training clips.
    targets : array [n_train]
        Numbers to predict.
    test : array [n_test, dim]
        Embeddings of the test clips.
    folds : int array [n_train]
        Validation fold of each training clip.
    seed : int
        Seed of MLPs.

    Returns
    -------
    Fitted
        Its `scores` are predictions in the unit of the targets.

    Raises
    ------
    UsageError
        If `kind` is unknown.
    InputError
        If a target is NaN or infinite, or there is a single fold.
    """
    if kind not in REGRESSORS:
        raise UsageError(f"regression probe is {kind!r}", f"use one of {', '.join(REGRESSORS)}")
    targets = np.asarray(targets, dtype=np.float64)
    if not np.isfinite(targets).all():
        raise InputError(
            f"{int((~np.isfinite(targets)).sum())} of {len(targets)} targets are NaN or infinite",
            "a regression needs finite targets",
        )
    if len(np.unique(folds)) < 2:
        raise InputError(f"{len(targets)} training clips, all in one fold", "needs at least two subjects")
    grid = list(_grid(kind, seed=seed))
    candidates = np.zeros((len(grid), len(targets)))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        for row, (_, pipeline) in enumerate(grid):
            fits_quietly(pipeline, train[inside], targets[inside])
            candidates[row, outside] = pipeline.predict(train[outside])
    best = int(np.argmin(np.mean((candidates - targets) ** 2, axis=1)))
    chosen, pipeline = grid[best]
    # Nothing here can fail to converge: ridge has a closed form, and the epochs of an MLP are a setting.
    fits_quietly(pipeline, train, targets)
    return Fitted(np.asarray(pipeline.predict(test), dtype=np.float64), candidates[best], chosen, unconverged=0)


def weighted_regression(
    predictions_by_model: NDArray[Any], targets: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> RegressionReplicates:
    """Compute mean absolute error, R² and Pearson correlation of each model in each bootstrap replicate.

    All three are made of sums over subjects, so each model needs a single matrix product.

    Parameters
    ----------
    predictions_by_model : array [models, n]
        Predictions for the clips, in the unit of the targets.
    targets : array [n]
        True numbers.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each replicate.

    Returns
    -------
    RegressionReplicates
        The three figures.
    """
    targets = np.asarray(targets, dtype=np.float64)
    y = targets - targets.mean()  # centring keeps precision in the sums of squares
    mae, r2, pearson = (np.full((len(predictions_by_model), len(subject_weights)), np.nan) for _ in range(3))
    for model, row in enumerate(np.asarray(predictions_by_model, dtype=np.float64)):
        p = row - targets.mean()
        columns = np.stack([np.ones_like(y), np.abs(p - y), (p - y) ** 2, y, y**2, p, p**2, p * y], axis=1)
        n, absolute, squared, sum_y, sum_yy, sum_p, sum_pp, sum_py = weighted_sums(
            columns, subject_index, subject_weights
        ).T
        spread_y, spread_p = sum_yy - sum_y**2 / n, sum_pp - sum_p**2 / n
        varied = spread_y > 1e-12 * sum_yy
        both = varied & (spread_p > 1e-12 * sum_pp)
        mae[model] = absolute / n
        np.divide(squared, spread_y, out=r2[model], where=varied)
        r2[model] = 1 - r2[model]
        np.divide(
            sum_py - sum_p * sum_y / n, np.sqrt(np.maximum(spread_y * spread_p, 0)), out=pearson[model], where=both
        )
    return RegressionReplicates(mae, r2, pearson)


def regression_figures(
    predictions: NDArray[Any], targets: NDArray[Any], subject_index: Owners, subject_weights: Multiplicities
) -> RegressionFigures:
    """Compute mean absolute error, R² and Pearson correlation of one model, with intervals over subjects.

    Parameters
    ----------
    predictions, targets : array [n]
        Predicted and true numbers of the test clips.
    subject_index : int array [n]
        Column in `subject_weights` of each clip's subject.
    subject_weights : uint16 array [samples, subjects]
        How often each subject was drawn in each bootstrap replicate.

    Returns
    -------
    RegressionFigures
        The three figures; None where undefined.
    """
    everyone = np.ones((1, subject_weights.shape[1]), dtype=np.uint16)
    observed, drawn = (
        weighted_regression(np.atleast_2d(predictions), targets, subject_index, draws)
        for draws in (everyone, subject_weights)
    )
    dof = max(1, len(np.unique(subject_index)) - 1)
    figures = []
    for value, replicates in ((observed.mae, drawn.mae), (observed.r2, drawn.r2), (observed.pearson, drawn.pearson)):
        bounds = interval(replicates[0], degrees_of_freedom=dof) if np.isfinite(value[0, 0]) else None
        figures.append(
            Estimate(float(value[0, 0]), *bounds)
            if bounds
            else Estimate(float(value[0, 0]) if np.isfinite(value[0, 0]) else None)
        )
    return RegressionFigures(*figures)


def _grid(kind: str, *, seed: int) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield (hyper-parameters, pipeline) of every candidate."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    scaled = (
        StandardScaler(),
        FunctionTransformer(np.clip, kw_args={"a_min": -LARGEST_FEATURE, "a_max": LARGEST_FEATURE}),
    )
    if kind == "mean":
        yield {}, make_pipeline(DummyRegressor())
    elif kind == "ridge":
        for alpha in RIDGE_ALPHA:
            yield {"alpha": alpha}, make_pipeline(*scaled, Ridge(alpha=alpha))
    else:
        for alpha in MLP_ALPHA:
            mlp = MLPRegressor(
                hidden_layer_sizes=(MLP_UNITS,),
                alpha=alpha,
                max_iter=MLP_EPOCHS,
                n_iter_no_change=MLP_EPOCHS,
                random_state=seed,
            )
            yield (
                {"alpha": alpha},
                make_pipeline(*scaled, TransformedTargetRegressor(mlp, transformer=StandardScaler())),
            )
