"""Fit the linear probe: L2-regularised logistic regression on standardized features.

The strength of the regularisation is chosen on folds of whole training subjects.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.errors import InputError

# For standardized features. Rising, so that each fit can start from the one before. Results state the chosen C, so a
# choice at the edge shows.
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# lbfgs took 160 iterations for C = 1 on 3 300 clips of a HeAR-sized embedding; fits that stop at the limit are noted.
MAX_ITER = 500
# Takes a third of the iterations of scikit-learn's default of 1e-4, which the final fit uses; the ranking of C is the
# same.
SELECTION_TOL = 1e-3


@dataclass(frozen=True)
class Fitted:
    """A fitted probe's test scores, and out-of-fold scores to fit thresholds and calibration to."""

    scores: Floats  # [n_test]
    # [n_train]: each score is by a probe with the same hyper-parameters that was fitted to the other folds, in the unit
    # of `scores`.
    out_of_fold: Floats
    chosen: Mapping[str, float]  # hyper-parameters
    unconverged: int  # number of fits that stopped before they converged

    @property
    def c(self) -> float | None:
        """Inverse regularisation strength; None for probes that have none."""
        return self.chosen.get("C")


def fit_probe(train: Floats, labels: Bools, test: Floats, *, folds: NDArray[np.intp]) -> Fitted:
    """Fit a standardizer and L2 logistic regression, and score the test clips.

    C is chosen by mean AUROC over `folds`, the smallest of equally good ones. Test clips are only scored. A
    constant feature has no influence.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : bool array [n_train]
        True for positive.
    test : array [n_test, dim]
        Embeddings of the test clips.
    folds : int array [n_train]
        Validation fold of each training clip.

    Returns
    -------
    Fitted
        Scores are log-odds.

    Raises
    ------
    InputError
        If no fold has both classes inside and outside.
    """
    c, candidates, unconverged = _search(train, labels, folds=folds)
    ((both, converged),) = regularisation_path(train, labels, np.concatenate([test, train]), grid=(c,))
    scores, own = np.split(both, [len(test)])
    return Fitted(scores, in_units(own, candidates[C_GRID.index(c)]), {"C": c}, unconverged + (not converged))


def choose_c(train: Floats, labels: Bools, *, folds: NDArray[np.intp]) -> tuple[float, int]:
    """Choose C as `fit_probe` does, without fitting the final probe.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : bool array [n_train]
        True for positive.
    folds : int array [n_train]
        Validation fold of each training clip.

    Returns
    -------
    c : float
        One of C_GRID.
    unconverged : int
        Number of fits that stopped before they converged.

    Raises
    ------
    InputError
        If no fold has both classes inside and outside.
    """
    c, _, unconverged = _search(train, labels, folds=folds)
    return c, unconverged


def regularisation_path(
    train: Floats, labels: Bools, test: Floats, *, grid: Sequence[float], tol: float = 1e-4
) -> list[tuple[Floats, bool]]:
    """Fit logistic regression for every C of a rising grid, and score the test clips.

    Each fit starts from the one before.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : array [n_train]
        Class of each training clip.
    test : array [n_test, dim]
        Embeddings of the clips to score.
    grid : sequence of float
        Rising values of C.
    tol : float
        Tolerance of the solver.

    Returns
    -------
    list of (array, bool)
        For each C, the scores of the test clips (`[n_test]`, or `[n_test, classes]` for more than two classes), and
        whether the fit converged.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    probe = LogisticRegression(solver="lbfgs", warm_start=True, max_iter=MAX_ITER, tol=tol)  # L2 is the default
    path = []
    with _blas().limit(limits=1, user_api="blas"):
        for c in grid:
            converged = fits_quietly(probe.set_params(C=c), train, labels)
            path.append((np.asarray(probe.decision_function(test), dtype=np.float64), converged))
    return path


@functools.cache
def _blas() -> Any:
    """Look up the BLAS libraries of this process, once.

    Fits run on one thread: their matrices are so small that two threads mostly wait for each other (330 x 512:
    0.17 s with one thread, 0.47 s with two on two cores).
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def fit_weights(train: Floats, labels: NDArray[Any], *, c: float) -> tuple[Floats, Floats, bool]:
    """Fit the probe of `regularisation_path` for one C, and return its weights for raw features.

    Standardization is folded into the weights.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training clips.
    labels : array [n_train]
        Class of each training clip.
    c : float
        Inverse regularisation strength.

    Returns
    -------
    weights : array [rows, dim]
        One row for the positive of two classes, else one for each class in sorted order.
    bias : array [rows]
        Biases.
    converged : bool
        Whether the fit converged.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    probe = LogisticRegression(solver="lbfgs", max_iter=MAX_ITER, C=c)
    converged = fits_quietly(probe, scaler.transform(train), labels)
    weights = np.asarray(probe.coef_ / scaler.scale_, dtype=np.float64)
    return weights, np.asarray(probe.intercept_ - weights @ scaler.mean_, dtype=np.float64), converged


def standardized(scores: Floats, own: Floats) -> Floats:
    """Standardize a linear probe's scores by the scores of its own training clips.

    Folds differ in intercept, since the more positives are held out, the fewer remain for training; and in slope,
    since a third of the clips is missing. The stronger the regularisation, the larger the share of a score that
    these differences make up. Thresholds of raw out-of-fold scores then mean nothing for the probe of all clips.

    Parameters
    ----------
    scores : array [n]
        Scores of held-out clips.
    own : array [n_train]
        Scores of the clips that the probe was trained on.

    Returns
    -------
    array [n]
        Deviations from the mean of `own`, in its standard deviations.
    """
    return np.asarray((scores - own.mean()) / (own.std() or 1.0))


def in_units(own: Floats, deviations: Floats) -> Floats:
    """Convert standardized scores to the scale of another probe; the inverse of `standardized`.

    Parameters
    ----------
    own : array [n_train]
        Scores of the clips that the other probe was trained on.
    deviations : array [n]
        Standardized scores.

    Returns
    -------
    array [n]
        Scores in the unit of `own`.
    """
    return np.asarray(own.mean() + (own.std() or 1.0) * deviations)


def fits_quietly(model: Any, train: Floats, targets: NDArray[Any]) -> bool:
    """Fit a scikit-learn model without convergence warnings, and return whether it converged.

    Parameters
    ----------
    model : estimator
        Any scikit-learn estimator or pipeline; it is fitted in place.
    train : array [n_train, dim]
        Features.
    targets : array [n_train]
        Labels or numbers.

    Returns
    -------
    bool
        False if the solver stopped at its iteration limit.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(train, targets)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def best_candidate(candidates: Floats, labels: Bools, folds: NDArray[np.intp]) -> int:
    """Select the candidate with the highest mean AUROC over folds, the first of equally good ones.

    AUROCs are computed within each fold, never over pooled folds, since scores of two fits have different scales.

    Parameters
    ----------
    candidates : array [candidates, n_train]
        Out-of-fold scores of each candidate.
    labels : bool array [n_train]
        True for positive.
    folds : int array [n_train]
        Validation fold of each training clip.

    Returns
    -------
    int
        Row of the best candidate.

    Raises
    ------
    InputError
        If no fold has both classes inside and outside.
    """
    usable = [
        fold
        for fold in np.unique(folds)
        if all(np.unique(labels[side]).size == 2 for side in (folds == fold, folds != fold))
    ]
    if not usable:
        raise InputError(
            f"{int(labels.sum())} positive of {len(labels)} training clips, all in one fold",
            "needs more subjects of each class",
        )
    by_fold = [[auroc(scores[folds == fold], labels[folds == fold]) for scores in candidates] for fold in usable]
    return int(np.argmax(np.mean(by_fold, axis=0)))


def _search(train: Floats, labels: Bools, *, folds: NDArray[np.intp]) -> tuple[float, Floats, int]:
    """Return (C, standardized out-of-fold scores `[candidates, n_train]`, unconverged fits)."""
    candidates = np.full((len(C_GRID), len(labels)), np.nan)
    unconverged = 0
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        if np.unique(labels[inside]).size == 2:
            both = np.concatenate([train[outside], train[inside]])
            path = regularisation_path(train[inside], labels[inside], both, grid=C_GRID, tol=SELECTION_TOL)
            candidates[:, outside] = [standardized(*np.split(scores, [int(outside.sum())])) for scores, _ in path]
            unconverged += sum(not converged for _, converged in path)
    return C_GRID[best_candidate(candidates, labels, folds)], candidates, unconverged
