"""Pool clips of recordings or events that are longer than a clip (multiple-instance learning).

Each record is a bag of clips, from which one vector is made.
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
    """Embeddings of the clips of several records."""

    values: Floats  # [clips, dim]; clips of a record are adjacent and in temporal order
    counts: NDArray[np.intp]  # [records]; number of clips of each, at least one

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Index of each record's first clip, `[records]`."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def subject_index(self) -> Owners:
        """Record of each clip, `[clips]`."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sums(self, values: Floats) -> Floats:
        """Return sums over each record, `[records, ...]`, of clip-level values, `[clips, ...]`."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def maxima(self, values: Floats) -> Floats:
        """Return maxima over each record, `[records, ...]`, of clip-level values, `[clips, ...]`."""
        return np.asarray(np.maximum.reduceat(values, self.starts, axis=0))

    def mean(self) -> Floats:
        """Return the mean embedding of each record, `[records, dim]`."""
        return self.sums(self.values) / self.counts[:, None]

    def take(self, records: NDArray[np.intp]) -> ClipBags:
        """Return some of the records, in the order of their indices."""
        counts = self.counts[records]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return ClipBags(self.values[np.repeat(self.starts[records], counts) + within], counts)


def group_recordings(clips: Sequence[ClipRef]) -> tuple[tuple[ClipRef, ...], Owners]:
    """Group clips by record: a row of the manifest or, without a manifest, a recording.

    Parameters
    ----------
    clips : sequence of ClipRef
        Clips of all records.

    Returns
    -------
    records : tuple of ClipRef
        The first clip of each record.
    of_clip : int array [n]
        Record of each clip.
    """
    first: dict[tuple[str, int | None], ClipRef] = {}
    for clip in clips:
        first.setdefault((clip.name, clip.row), clip)
    place = {key: number for number, key in enumerate(first)}
    return tuple(first.values()), np.asarray([place[clip.name, clip.row] for clip in clips], dtype=np.intp)


def group_clips(values: Floats, records: Owners) -> ClipBags:
    """Sort embeddings into one bag per record.

    Parameters
    ----------
    values : array [n, dim]
        Embeddings of the clips.
    records : int array [n]
        Record of each clip, numbered from 0 without a gap.

    Returns
    -------
    ClipBags
        Clips of a record keep their order.
    """
    return ClipBags(values[np.argsort(records, kind="stable")], np.bincount(records).astype(np.intp))


def recording_lengths(records: Sequence[ClipRef], of_clip: Owners) -> Floats:
    """Return the length of each record: its annotated event or, without one, all its clips.

    It serves as a baseline: what it achieves alone owes nothing to the sound.

    Parameters
    ----------
    records : sequence of ClipRef
        The first clip of each record.
    of_clip : int array [n]
        Record of each clip.

    Returns
    -------
    array [records, 1]
        Lengths in seconds.
    """
    lengths = np.bincount(of_clip) * AUDIO.clip_s
    for number, record in enumerate(records):
        if record.event_end_s is not None:
            lengths[number] = record.event_end_s - (record.event_start_s or 0.0)
    return np.asarray(lengths[:, None])


# Ridge penalty of the attention's linear map, for standardized features and the mean loss over records. Infinity is the
# plain mean.
PENALTIES = (math.inf, 1.0, 0.1, 0.01)
_ITERATIONS = 100  # limit of L-BFGS: a fit that reaches it is more strongly regularised, not wrong


def fit_attention(
    train: ClipBags, labels: Bools, test: ClipBags, *, folds: NDArray[np.intp], mean: Fitted | None = None
) -> Fitted:
    """Fit a probe that pools the clips of a record by attention, and score the test records.

    The ridge penalty of the attention is chosen by mean AUROC over `folds`, the strongest of equally good ones.
    Test records are only scored.

    Parameters
    ----------
    train : ClipBags
        Training records.
    labels : bool array [training records]
        True for positive.
    test : ClipBags
        Test records.
    folds : int array [training records]
        Validation fold of each training record.
    mean : Fitted, optional
        The probe of mean embeddings on the same folds, if already fitted. Its C is used here too.

    Returns
    -------
    Fitted
        Scores of the test records.

    Raises
    ------
    InputError
        If no fold has both classes inside and outside.
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
    """Compute the softmax of logits within each record.

    Parameters
    ----------
    logits : array [clips]
        Attention logits.
    bags : ClipBags
        The records.

    Returns
    -------
    array [clips]
        Weights that sum to 1 over each record.
    """
    raised = np.exp(logits - bags.maxima(logits)[bags.subject_index])
    return np.asarray(raised / bags.sums(raised)[bags.subject_index])


def loss_and_gradient(
    parameters: Floats, bags: ClipBags, labels: Bools, *, c: float, penalty: float
) -> tuple[float, Floats]:
    """Compute the mean logistic loss of standardized records, with both penalties, and its gradient.

    Parameters
    ----------
    parameters : array [2 dim + 1]
        Weights of the classifier, its intercept, and weights of the attention.
    bags : ClipBags
        Standardized records.
    labels : bool array [records]
        True for positive.
    c : float
        Inverse regularisation strength of the classifier.
    penalty : float
        Ridge penalty of the attention.

    Returns
    -------
    loss : float
    gradient : array [2 dim + 1]
    """
    dim, records = bags.values.shape[1], len(labels)
    classifier, intercept, attention = parameters[:dim], parameters[dim], parameters[dim + 1 :]
    weights = weights_of(bags.values @ attention, bags)
    by_clip = bags.values @ classifier
    by_record = bags.sums(weights * by_clip)
    scores = by_record + intercept
    loss = float(np.mean(np.logaddexp(0.0, np.where(labels, -scores, scores))))
    loss += float(classifier @ classifier) / (2 * c * records) + penalty / 2 * float(attention @ attention)
    error = (1 / (1 + np.exp(-np.clip(scores, -500, 500))) - labels) / records  # clipping at 500 keeps exp finite
    pulled = error[bags.subject_index] * weights
    of_classifier = pulled @ bags.values + classifier / (c * records)
    of_attention = (pulled * (by_clip - by_record[bags.subject_index])) @ bags.values + penalty * attention
    return loss, np.concatenate([of_classifier, [error.sum()], of_attention])


def _fitted(train: ClipBags, labels: Bools, test: ClipBags, *, c: float, penalty: float) -> tuple[Floats, bool]:
    """Return (scores `[test records]`, converged)."""
    from scipy.optimize import minimize

    pooled = train.mean()
    middle, scale = pooled.mean(axis=0), pooled.std(axis=0)
    scale[scale == 0] = math.inf  # a constant feature has no influence
    train, test = (ClipBags((bags.values - middle) / scale, bags.counts) for bags in (train, test))

    def objective(parameters: Floats) -> Any:
        return loss_and_gradient(parameters, train, labels, c=c, penalty=penalty)

    start = np.zeros(2 * train.values.shape[1] + 1)
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    dim = train.values.shape[1]
    classifier, intercept, attention = result.x[:dim], result.x[dim], result.x[dim + 1 :]
    weights = weights_of(test.values @ attention, test)
    return test.sums(weights * (test.values @ classifier)) + intercept, bool(result.success)
