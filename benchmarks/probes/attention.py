"""Attention over the clips of a record: a softmax of one linear map weighs them, and a logistic regression judges their weighted mean.

Ilse et al. 2018, arXiv:1802.04712, without its hidden layer: recordings in the hundreds don't pay for one. Weights and judge are fitted together, to
training records alone, from the mean embedding's probe on. How far the weights may leave the plain mean is chosen on folds of whole subjects; not at
all is one of the choices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.bags import Bags
from hearlite.benchmarks.probes.logistic import Fitted, best_candidate, fit_probe
from hearlite.benchmarks.stats.bootstrap import Bools, Floats

# Ridge penalty on the attention's linear map, for standardized features and the mean loss of a record; infinity is the plain mean.
PENALTIES = (math.inf, 1.0, 0.1, 0.01)
_ITERATIONS = 100  # of L-BFGS: where it stops earlier the fit is less free, never wrong


def fit_attention(train: Bags, labels: Bools, test: Bags, *, folds: NDArray[np.intp], mean: Fitted | None = None) -> Fitted:
    """Scores of the test records by attention; penalty by mean AUROC over `folds`, the strongest of equals. Test records are only scored.

    Parameters: `labels` and `folds` [training records]; `mean`, the probe of mean embeddings on the same folds, if it was fitted already, whose C is
    used here too. Raises InputError when no fold has both classes inside and outside.
    """
    mean = mean or fit_probe(train.mean(), labels, test.mean(), folds=folds)
    c = mean.chosen["C"]
    candidates = np.full((len(PENALTIES), len(labels)), np.nan)
    candidates[0] = mean.out_of_fold
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if np.unique(labels[inside]).size == 2:
            part, held_out = train.take(inside), train.take(outside)
            candidates[1:, outside] = [_fitted(part, labels[inside], held_out, c=c, penalty=penalty)[0] for penalty in PENALTIES[1:]]
    best = best_candidate(candidates, labels, folds)
    chosen = {"C": c, "attention penalty": PENALTIES[best]}
    if best == 0:
        return Fitted(mean.scores, mean.out_of_fold, chosen, mean.unconverged)
    scores, converged = _fitted(train, labels, test, c=c, penalty=PENALTIES[best])
    return Fitted(scores, candidates[best], chosen, int(not converged))


def weights_of(logits: Floats, bags: Bags) -> Floats:
    """Softmax within each record: weights [clips] that sum to 1 over a record's."""
    raised = np.exp(logits - bags.max_of(logits)[bags.owners])
    return np.asarray(raised / bags.sum_of(raised)[bags.owners])


def loss_and_gradient(parameters: Floats, bags: Bags, labels: Bools, *, c: float, penalty: float) -> tuple[float, Floats]:
    """Mean logistic loss of standardized records with both penalties, and its gradient, [2 dim + 1]: judge, intercept, attention."""
    dim, records = bags.values.shape[1], len(labels)
    judge, intercept, attention = parameters[:dim], parameters[dim], parameters[dim + 1 :]
    weights = weights_of(bags.values @ attention, bags)
    by_clip = bags.values @ judge
    by_record = bags.sum_of(weights * by_clip)
    scores = by_record + intercept
    loss = float(np.mean(np.logaddexp(0.0, np.where(labels, -scores, scores))))
    loss += float(judge @ judge) / (2 * c * records) + penalty / 2 * float(attention @ attention)
    error = (1 / (1 + np.exp(-np.clip(scores, -500, 500))) - labels) / records  # 500: exp stays finite
    pulled = error[bags.owners] * weights
    of_judge = pulled @ bags.values + judge / (c * records)
    of_attention = (pulled * (by_clip - by_record[bags.owners])) @ bags.values + penalty * attention
    return loss, np.concatenate([of_judge, [error.sum()], of_attention])


def _fitted(train: Bags, labels: Bools, test: Bags, *, c: float, penalty: float) -> tuple[Floats, bool]:
    """(scores [test records], converged)."""
    from scipy.optimize import minimize

    pooled = train.mean()
    middle, scale = pooled.mean(axis=0), pooled.std(axis=0)
    scale[scale == 0] = math.inf  # a constant feature has no influence
    train, test = (Bags((bags.values - middle) / scale, bags.counts) for bags in (train, test))

    def objective(parameters: Floats) -> Any:
        return loss_and_gradient(parameters, train, labels, c=c, penalty=penalty)

    start = np.zeros(2 * train.values.shape[1] + 1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    dim = train.values.shape[1]
    judge, intercept, attention = found.x[:dim], found.x[dim], found.x[dim + 1 :]
    weights = weights_of(test.values @ attention, test)
    return test.sum_of(weights * (test.values @ judge)) + intercept, bool(found.success)
