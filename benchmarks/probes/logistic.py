"""The linear probe: standardized features and L2 logistic regression.

Its strength is chosen on folds of whole training subjects.
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

# Of standardized features. Rising, so that each fit starts from the one before; the C that was chosen is in the
# results, so an edge shows.
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
MAX_ITER = 500  # lbfgs took 160 for C = 1 at 3 300 clips of a HeAR-sized embedding; whoever stops here is in the notes
SELECTION_TOL = (
    1e-3  # a third of the iterations of scikit-learn's 1e-4, which the final fit uses; the ranking of C is the same
)


@dataclass(frozen=True)
class Fitted:
    """A probe's scores of the test clips, and what thresholds and calibration may be fitted to."""

    scores: Floats  # [n_test]
    # [n_train]: each by a probe with the same hyper-parameters that was fitted to the other folds, in the unit of
    # `scores`
    out_of_fold: Floats
    chosen: Mapping[str, float]  # hyper-parameters
    unconverged: int  # fits that stopped before they converged

    @property
    def c(self) -> float | None:
        """Inverse regularisation, of the probes that have one."""
        return self.chosen.get("C")


def fit_probe(train: Floats, labels: Bools, test: Floats, *, folds: NDArray[np.intp]) -> Fitted:
    """Fit StandardScaler and L2 logistic regression, with C by mean AUROC over `folds`, the smallest of equals.

    Test clips are only scored.

    Parameters: `train` [n_train, dim], `labels` and `folds` [n_train], `test` [n_test, dim]. A constant feature has no
    influence.
    Raises InputError when no fold has both classes inside and outside.
    """
    c, candidates, unconverged = _search(train, labels, folds=folds)
    ((found, converged),) = regularisation_path(train, labels, np.concatenate([test, train]), grid=(c,))
    scores, own = np.split(found, [len(test)])
    return Fitted(scores, in_units(own, candidates[C_GRID.index(c)]), {"C": c}, unconverged + (not converged))


def choose_c(train: Floats, labels: Bools, *, folds: NDArray[np.intp]) -> tuple[float, int]:
    """Return the C that `fit_probe` takes, and how many fits stopped before they converged."""
    c, _, unconverged = _search(train, labels, folds=folds)
    return c, unconverged


def regularisation_path(
    train: Floats, labels: Bools, test: Floats, *, grid: Sequence[float], tol: float = 1e-4
) -> list[tuple[Floats, bool]]:
    """(test scores, converged) for every C of a rising grid, each fit started from the one before."""
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

    Fits run on one thread: their matrices are so small that two threads spend their time waiting for each other (330 x
    512: 0.17 s alone, 0.47 s with two threads on two cores).
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def fit_weights(train: Floats, labels: NDArray[Any], *, c: float) -> tuple[Floats, Floats, bool]:
    """Return the probe of one C as weights `[rows, dim]` and biases `[rows]` of raw features.

    It is that of `regularisation_path`. Also returns whether it converged.

    Rows: one for the positive of two classes, else one for each class in sorted order. Standardization is folded in.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    probe = LogisticRegression(solver="lbfgs", max_iter=MAX_ITER, C=c)
    converged = fits_quietly(probe, scaler.transform(train), labels)
    weights = np.asarray(probe.coef_ / scaler.scale_, dtype=np.float64)
    return weights, np.asarray(probe.intercept_ - weights @ scaler.mean_, dtype=np.float64), converged


def standardized(scores: Floats, own: Floats) -> Floats:
    """Return a linear probe's scores `[n]` in deviations of its own training clips' scores `own` from their mean.

    Folds differ in intercept, since the more positives are held out the fewer are left, and in slope, since a third of
    the clips is missing. The stronger the regularisation, the more of a score that is: thresholds of raw out-of-fold
    scores then mean nothing for the probe of all clips.
    """
    return np.asarray((scores - own.mean()) / (own.std() or 1.0))


def in_units(own: Floats, deviations: Floats) -> Floats:
    """Return what `standardized` gave as scores of the probe whose training clips score `own`."""
    return np.asarray(own.mean() + (own.std() or 1.0) * deviations)


def fits_quietly(model: Any, train: Floats, targets: NDArray[Any]) -> bool:
    """Fit a scikit-learn model; whether it converged, instead of a warning."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(train, targets)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def best_candidate(candidates: Floats, labels: Bools, folds: NDArray[np.intp]) -> int:
    """Return the row of out-of-fold scores `[candidates, n_train]` with the highest mean AUROC over folds.

    The first of equals.

    Folds are compared within, never pooled: scores of two fits have two scales. Raises InputError when no fold has both
    classes on both sides.
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
    """(C, standardized out-of-fold scores of the whole grid [candidates, n_train], unconverged fits)."""
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
