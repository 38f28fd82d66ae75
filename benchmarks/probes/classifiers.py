"""The probes of a binary task behind one function: logistic, linear SVM, random forest, boosting, MLP.

(Ehtesham et al. 2025, arXiv:2504.20124.) Hyper-parameters come from grids of two to four values around what
cross-validation preferred for 1024-d embeddings of 6 800 lung sounds; what was chosen is in the results, so an edge
shows. No estimator stops early: scikit-learn would hold out single clips, so of subjects that it also learns from.
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

SVM_C = (
    1e-5,
    1e-4,
    1e-3,
    1e-2,
)  # of squared hinge loss; each takes longer than the one before, 1e-2 seven times as long as 1e-3
FOREST_TREES = 100  # scikit-learn's
FOREST_LEAF_CLIPS = (1, 5, 20)
BOOSTING_ROUNDS = 100  # scikit-learn's, at its learning rate of 0.1
BOOSTING_LEAVES = (4, 16)  # 31, scikit-learn's, gained 0.003 of AUROC for twice the time
MLP_UNITS = 64  # 256 were no better
MLP_EPOCHS = 30  # 100 were worse
MLP_ALPHA = (0.1, 1.0, 10.0)
_MOST_CERTAIN = 1e-12  # closest to 0 or 1 that a probability is taken to be: its log-odds stay finite


def fit_classifier(
    kind: str, train: Floats, labels: Bools, test: Floats, *, folds: NDArray[np.intp], seed: int
) -> Fitted:
    """Fit one kind of probe, with hyper-parameters by mean AUROC over `folds`, the first of equals.

    Test clips are only scored.

    Parameters: `kind`, one of CLASSIFIERS; `train` [n_train, dim], `labels` and `folds` [n_train], `test` [n_test,
    dim]; `seed` of forests, boosting and MLPs. Scores rise with the positive class and have no unit; probabilities need
    calibration.py. "logistic" is `fit_probe`.
    Raises UsageError for another kind, InputError when no fold has both classes inside and outside.
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
            found = _scores(pipeline, train[outside])
            candidates[row, outside] = standardized(found, _scores(pipeline, train[inside])) if kind == "svm" else found
    best = best_candidate(candidates, labels, folds)
    chosen, pipeline = grid[best]
    converged.append(fits_quietly(pipeline, train, labels))
    unconverged = 0 if kind == "mlp" else converged.count(False)  # an MLP's epochs are a setting, not a limit
    held_out = (
        in_units(_scores(pipeline, train), candidates[best]) if kind == "svm" else candidates[best]
    )  # linear: see `standardized`
    return Fitted(_scores(pipeline, test), held_out, chosen, unconverged)


def refit(kind: str, chosen: Mapping[str, float], train: Floats, labels: Bools, test: Floats, *, seed: int) -> Floats:
    """Test scores [n_test] of a probe with hyper-parameters that `fit_classifier` chose before."""
    if kind == "logistic":
        return regularisation_path(train, labels, test, grid=(chosen["C"],), tol=SELECTION_TOL)[0][0]
    (pipeline,) = (candidate for settings, candidate in _grid(kind, seed=seed) if settings == chosen)
    fits_quietly(pipeline, train, labels)
    return _scores(pipeline, test)


def _grid(kind: str, *, seed: int) -> Iterator[tuple[dict[str, float], Any]]:
    """(hyper-parameters, pipeline) of every candidate."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if kind == "svm":
        for c in SVM_C:
            yield (
                {"C": c},
                make_pipeline(StandardScaler(), LinearSVC(C=c, dual=False)),
            )  # the primal problem needs no random numbers
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
    """Log-odds, or whatever else the estimator decides by."""
    if hasattr(pipeline, "decision_function"):
        return np.asarray(pipeline.decision_function(clips), dtype=np.float64)
    positive = np.clip(pipeline.predict_proba(clips)[:, 1], _MOST_CERTAIN, 1 - _MOST_CERTAIN)
    return np.asarray(np.log(positive / (1 - positive)), dtype=np.float64)
