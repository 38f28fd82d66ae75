"""Multiple-instance learning: recordings or events longer than a clip, as bags of clips.

One vector is made of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.logistic import Fitted, best_candidate, fit_probe
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Owners
from hearlite.data.dataset import ClipRef
from hearlite.spec import AUDIO


@dataclass(frozen=True, eq=False)
class ClipBags:
    """What a model gave for the clips of several records."""

    values: Floats  # [clips, dim], those of a record beside each other, in their order in time
    counts: NDArray[np.intp]  # [records], clips of each, at least one

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """[records], the first clip of each."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def subject_index(self) -> Owners:
        """[clips], the record of each."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sums(self, values: Floats) -> Floats:
        """Return sums over each record, `[records, ...]`, of values by clip, `[clips, ...]`."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def maxima(self, values: Floats) -> Floats:
        """Largest in each record, [records, ...], of values by clip, [clips, ...]."""
        return np.asarray(np.maximum.reduceat(values, self.starts, axis=0))

    def mean(self) -> Floats:
        """Mean embedding of each record, [records, dim]."""
        return self.sums(self.values) / self.counts[:, None]

    def take(self, records: NDArray[np.intp]) -> ClipBags:
        """Return some of the records, in the order asked for."""
        counts = self.counts[records]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return ClipBags(self.values[np.repeat(self.starts[records], counts) + within], counts)


def group_recordings(clips: Sequence[ClipRef]) -> tuple[tuple[ClipRef, ...], Owners]:
    """Return the first clip of every record, and the record of each clip `[n]`.

    A row of the manifest is a record; without a manifest, a recording is.
    """
    first: dict[tuple[str, int | None], ClipRef] = {}
    for clip in clips:
        first.setdefault((clip.name, clip.row), clip)
    place = {key: number for number, key in enumerate(first)}
    return tuple(first.values()), np.asarray([place[clip.name, clip.row] for clip in clips], dtype=np.intp)


def group_clips(values: Floats, records: Owners) -> ClipBags:
    """Embeddings [n, dim] by the record of each clip [n], records numbered from 0 without a gap."""
    return ClipBags(values[np.argsort(records, kind="stable")], np.bincount(records).astype(np.intp))


def recording_lengths(records: Sequence[ClipRef], of_clip: Owners) -> Floats:
    """Return the length of each record, `[records, 1]` in seconds: its annotated event, or all its clips.

    What this alone reaches is not in the sound.
    """
    lengths = np.bincount(of_clip) * AUDIO.clip_s
    for number, record in enumerate(records):
        if record.event_end_s is not None:
            lengths[number] = record.event_end_s - (record.event_start_s or 0.0)
    return np.asarray(lengths[:, None])


# Ridge penalty on the attention's linear map, for standardized features and the mean loss of a record; infinity is the
# plain mean.
PENALTIES = (math.inf, 1.0, 0.1, 0.01)
_ITERATIONS = 100  # of L-BFGS: where it stops earlier the fit is less free, never wrong


def fit_attention(
    train: ClipBags, labels: Bools, test: ClipBags, *, folds: NDArray[np.intp], mean: Fitted | None = None
) -> Fitted:
    """Return scores of the test records by attention, with the penalty by mean AUROC over `folds`.

    The strongest of equals. Test records are only scored.

    Parameters: `labels` and `folds` [training records]; `mean`, the probe of mean embeddings on the same folds, if it
    was fitted already, whose C is used here too. Raises InputError when no fold has both classes inside and outside.
    """
    mean = mean or fit_probe(train.mean(), labels, test.mean(), folds=folds)
    c = mean.chosen["C"]
    candidates = np.full((len(PENALTIES), len(labels)), np.nan)
    candidates[0] = mean.out_of_fold
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if np.unique(labels[inside]).size == 2:
            part, held_out = train.take(inside), train.take(outside)
            candidates[1:, outside] = [
                _fitted(part, labels[inside], held_out, c=c, penalty=penalty)[0] for penalty in PENALTIES[1:]
            ]
    best = best_candidate(candidates, labels, folds)
    chosen = {"C": c, "attention penalty": PENALTIES[best]}
    if best == 0:
        return Fitted(mean.scores, mean.out_of_fold, chosen, mean.unconverged)
    scores, converged = _fitted(train, labels, test, c=c, penalty=PENALTIES[best])
    return Fitted(scores, candidates[best], chosen, int(not converged))


def weights_of(logits: Floats, bags: ClipBags) -> Floats:
    """Softmax within each record: weights [clips] that sum to 1 over a record's."""
    raised = np.exp(logits - bags.maxima(logits)[bags.subject_index])
    return np.asarray(raised / bags.sums(raised)[bags.subject_index])


def loss_and_gradient(
    parameters: Floats, bags: ClipBags, labels: Bools, *, c: float, penalty: float
) -> tuple[float, Floats]:
    """Return the mean logistic loss of standardized records with both penalties, and its gradient.

    `[2 dim + 1]`: classifier, intercept, attention.
    """
    dim, records = bags.values.shape[1], len(labels)
    evaluate_gate, intercept, attention = parameters[:dim], parameters[dim], parameters[dim + 1 :]
    weights = weights_of(bags.values @ attention, bags)
    by_clip = bags.values @ evaluate_gate
    by_record = bags.sums(weights * by_clip)
    scores = by_record + intercept
    loss = float(np.mean(np.logaddexp(0.0, np.where(labels, -scores, scores))))
    loss += float(evaluate_gate @ evaluate_gate) / (2 * c * records) + penalty / 2 * float(attention @ attention)
    error = (1 / (1 + np.exp(-np.clip(scores, -500, 500))) - labels) / records  # 500: exp stays finite
    pulled = error[bags.subject_index] * weights
    of_judge = pulled @ bags.values + evaluate_gate / (c * records)
    of_attention = (pulled * (by_clip - by_record[bags.subject_index])) @ bags.values + penalty * attention
    return loss, np.concatenate([of_judge, [error.sum()], of_attention])


def _fitted(train: ClipBags, labels: Bools, test: ClipBags, *, c: float, penalty: float) -> tuple[Floats, bool]:
    """(scores [test records], converged)."""
    from scipy.optimize import minimize

    pooled = train.mean()
    middle, scale = pooled.mean(axis=0), pooled.std(axis=0)
    scale[scale == 0] = math.inf  # a constant feature has no influence
    train, test = (ClipBags((bags.values - middle) / scale, bags.counts) for bags in (train, test))

    def objective(parameters: Floats) -> Any:
        return loss_and_gradient(parameters, train, labels, c=c, penalty=penalty)

    start = np.zeros(2 * train.values.shape[1] + 1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    dim = train.values.shape[1]
    evaluate_gate, intercept, attention = found.x[:dim], found.x[dim], found.x[dim + 1 :]
    weights = weights_of(test.values @ attention, test)
    return test.sums(weights * (test.values @ evaluate_gate)) + intercept, bool(found.success)
