"""Fit the probes of a binary task: logistic regression, linear SVM, random forest, boosting or MLP.

These are the classifiers of Ehtesham et al. 2025, arXiv:2504.20124. Hyper-parameters come from grids of two to four
values around those that cross-validation preferred for 1024-d embeddings of 6 800 lung sounds. Results state the
chosen values, so a choice at the edge of a grid shows. No estimator stops early: scikit-learn would hold out single
clips, hence clips of subjects that it also trains on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.logistic import (
    SELECTION_TOL,
    Fitted,
    best_candidate,
    fit_probe,
    fits_quietly,
    in_units,
    regularisation_path,
    standardized,
)
from hearlite.benchmarks.schema.results import CLASSIFIERS
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.errors import UsageError

# For the squared hinge loss. Each takes longer than the one before, 1e-2 seven times as long as 1e-3.
SVM_C = (1e-5, 1e-4, 1e-3, 1e-2)
FOREST_TREES = 100  # scikit-learn's default
FOREST_LEAF_CLIPS = (1, 5, 20)
BOOSTING_ROUNDS = 100  # scikit-learn's default, at its default learning rate of 0.1
BOOSTING_LEAVES = (4, 16)  # 31, scikit-learn's default, gained 0.003 of AUROC for twice the time
MLP_UNITS = 64  # 256 were no better
MLP_EPOCHS = 30  # 100 were worse
MLP_ALPHA = (0.1, 1.0, 10.0)
_MOST_ITERATIONS = 1_000  # of lbfgs, for a logistic regression as an estimator
_MOST_CERTAIN = 1e-12  # probabilities are clipped to this distance from 0 and 1: log-odds stay finite


def fit_classifier(
    kind: str, train: Floats, labels: Bools, test: Floats, *, folds: NDArray[np.intp], seed: int
) -> Fitted:
    """Fit one kind of probe and score the test clips.

    Hyper-parameters are chosen by mean AUROC over `folds`, the first of equally good ones. Test clips are only
    scored. "logistic" is `fit_probe`.

    Parameters
    ----------
    kind : str
        One of CLASSIFIERS.
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : bool array [n_train]
        True for positive.
    test : array [n_test, dim]
        Embeddings of the test clips.
    folds : int array [n_train]
        Validation fold of each training clip.
    seed : int
        Seed of forests, boosting and MLPs.

    Returns
    -------
    Fitted
        Scores that rise with the positive class and have no unit. Probabilities need `stats.calibration`.

    Raises
    ------
    UsageError
        If `kind` is unknown.
    InputError
        If no fold has both classes inside and outside.
    """
    if kind not in CLASSIFIERS:
        raise UsageError(f"probe is {kind!r}", f"use one of {', '.join(CLASSIFIERS)}")
    if kind == "logistic":
        return fit_probe(train, labels, test, folds=folds)
    grid = list(_grid(kind, seed=seed))
    candidates = np.full((len(grid), len(labels)), np.nan)
    converged = []
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        if np.unique(labels[inside]).size < 2:
            continue
        for row, (_, pipeline) in enumerate(grid):
            converged.append(fits_quietly(pipeline, train[inside], labels[inside]))
            scores = _scores(pipeline, train[outside])
            candidates[row, outside] = (
                standardized(scores, _scores(pipeline, train[inside])) if kind == "svm" else scores
            )
    best = best_candidate(candidates, labels, folds)
    chosen, pipeline = grid[best]
    converged.append(fits_quietly(pipeline, train, labels))
    unconverged = 0 if kind == "mlp" else converged.count(False)  # an MLP's epochs are a setting, not a limit
    # The SVM is linear, so its scores are compared across folds as explained in `standardized`.
    held_out = in_units(_scores(pipeline, train), candidates[best]) if kind == "svm" else candidates[best]
    return Fitted(_scores(pipeline, test), held_out, chosen, unconverged)


def refit(kind: str, chosen: Mapping[str, float], train: Floats, labels: Bools, test: Floats, *, seed: int) -> Floats:
    """Fit a probe with hyper-parameters that `fit_classifier` has chosen before, and score the test clips.

    Parameters
    ----------
    kind : str
        One of CLASSIFIERS.
    chosen : dict of str to float
        Hyper-parameters, as in `Fitted.chosen`.
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : bool array [n_train]
        True for positive.
    test : array [n_test, dim]
        Embeddings of the test clips.
    seed : int
        Seed of forests, boosting and MLPs.

    Returns
    -------
    array [n_test]
        Scores of the test clips.
    """
    if kind == "logistic":
        return regularisation_path(train, labels, test, grid=(chosen["C"],), tol=SELECTION_TOL)[0][0]
    return _scores(fitted_pipeline(kind, chosen, train, labels, seed=seed), test)


def fitted_pipeline(kind: str, chosen: Mapping[str, float], train: Floats, labels: Bools, *, seed: int) -> Any:
    """Return a probe of chosen hyper-parameters as a fitted estimator of scikit-learn; parameters as of `refit`."""
    if kind == "logistic":
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=chosen["C"], max_iter=_MOST_ITERATIONS))
    else:
        (pipeline,) = (candidate for settings, candidate in _grid(kind, seed=seed) if settings == chosen)
    fits_quietly(pipeline, train, labels)
    return pipeline


def _grid(kind: str, *, seed: int) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield (hyper-parameters, pipeline) of every candidate."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if kind == "svm":
        for c in SVM_C:
            # The primal problem needs no random numbers.
            yield {"C": c}, make_pipeline(StandardScaler(), LinearSVC(C=c, dual=False))
    elif kind == "forest":
        for clips in FOREST_LEAF_CLIPS:
            yield (
                {"min_samples_leaf": clips},
                make_pipeline(RandomForestClassifier(FOREST_TREES, min_samples_leaf=clips, random_state=seed)),
            )
    elif kind == "boosting":
        for leaves in BOOSTING_LEAVES:
            boosting = HistGradientBoostingClassifier(
                max_iter=BOOSTING_ROUNDS, max_leaf_nodes=leaves, early_stopping=False, random_state=seed
            )
            yield {"max_leaf_nodes": leaves}, make_pipeline(boosting)
    else:
        for alpha in MLP_ALPHA:
            mlp = MLPClassifier(
                hidden_layer_sizes=(MLP_UNITS,),
                alpha=alpha,
                max_iter=MLP_EPOCHS,
                n_iter_no_change=MLP_EPOCHS,
                random_state=seed,
            )
            yield {"alpha": alpha}, make_pipeline(StandardScaler(), mlp)


def _scores(pipeline: Any, clips: Floats) -> Floats:
    """Return log-odds, or else the decision function of the estimator."""
    if hasattr(pipeline, "decision_function"):
        return np.asarray(pipeline.decision_function(clips), dtype=np.float64)
    positive = np.clip(pipeline.predict_proba(clips)[:, 1], _MOST_CERTAIN, 1 - _MOST_CERTAIN)
    return np.asarray(np.log(positive / (1 - positive)), dtype=np.float64)
