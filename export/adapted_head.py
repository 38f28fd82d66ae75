"""Fit a linear classifier of a student's embeddings to the scores that a classifier of its teacher's embeddings gives.

No label is needed, as logits are matched (Hinton et al. 2015, arXiv:1503.02531): the records of a run hold the
teacher's vectors, which the head scores, beside the clips, which the exported file itself embeds. So the fit knows the
errors of the student and of its quantization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.data.duplicates import Fingerprints
from hearlite.data.records import Records, read_examples, read_records
from hearlite.embedders.base import Embedder
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.events.detector import EventRules
from hearlite.export.event_rules import choose_rules
from hearlite.export.event_scorer import EventScorer, supported
from hearlite.export.foreign_head import Floats, ForeignHead, Scores
from hearlite.export.tflite import Terms, export_files
from hearlite.progress import progress
from hearlite.run import Run
from hearlite.spec import AUDIO
from hearlite.tflite.classifier import OUTPUT, FittedHead, Head, HeadLabel
from hearlite.tflite.steps import Steps

Strings = NDArray[np.str_]
Bools = NDArray[np.bool_]
MAX_TRAIN = 20_000  # clips and views: forty for each weight of HeAR's embedding
MAX_VALIDATION = 4_000  # clips
FOLDS = 5
# Strength of the ridge, relative to the clips: of features with variance 1, whose own share is n. The smallest only
# keeps the fit of a student that equals its teacher from being singular.
STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(-16, 5))
THRESHOLD_RULE = "the head's own decision"
_CONSTANT = 1e-6  # relative deviation that may be the rounding of float32
_BATCH = 256  # clips at a time: 33 MB of audio


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Logits of a student's embedding: weights @ embedding + bias."""

    weights: Floats  # [labels, dim]
    bias: Floats  # [labels]
    out_of_fold: Floats  # [n, labels], of the clips that it was fitted to, each by a fit to other subjects

    def __call__(self, vectors: NDArray[np.float32]) -> Floats:
        """Return the logits `[n, labels]` of embeddings `[n, dim]`."""
        logits: Floats = vectors.astype(np.float64) @ self.weights.T + self.bias
        return logits


@dataclass(frozen=True, eq=False)
class Clips:
    """Places of clips in a run's records, with what the head says of them."""

    places: tuple[tuple[int, NDArray[np.intp]], ...]  # shards and their rows
    sources: int  # clips, of which the rest are altered copies
    subjects: Strings  # [n]
    scores: Scores  # [n]


class HeadAdapter:
    """Fit a linear classifier in place of a head of the teacher's embeddings; it implements export's `FitHead`.

    Parameters
    ----------
    head : ForeignHead or EventScorer
        The head, or a network that hears the clips themselves.
    run : Run
        A finished run of the same teacher, with its records; for an EventScorer of any teacher.
    seed : int
        Seed of the draw of records and of the folds.

    Raises
    ------
    InputError
        When the head doesn't fit the teacher, fails, or says the same of every clip, or the run's records are missing
        or have fewer than two training subjects.
    UsageError
        When the head has another number of labels than were named.
    """

    def __init__(self, head: ForeignHead | EventScorer, run: Run, *, seed: int = 0) -> None:
        self._head, self._run, self._seed = head, run, seed
        self._records = read_records(run.records)
        train = _drawn(self._records.rows("train"), most=MAX_TRAIN, seed=seed)
        val = self._records.rows("val", clips=MAX_VALIDATION)
        # Together: whether outputs are probabilities shows in all of them.
        if isinstance(head, EventScorer):
            heard = head.score_records(self._records, train, val, cache=run.folder / "event_scores.npz")
            scores = supported(heard, _subjects(self._records, train), where=head.name)
        else:
            scores = head.score(np.concatenate([*_vectors(self._records, train), *_vectors(self._records, val)]))
        count = sum(map(len, train))
        self._train, self._val = (
            _clips(self._records, rows, Scores(scores.kind, scores.labels, scores.logits[part]))
            for rows, part in ((train, slice(count)), (val, slice(count, None)))
        )
        people = len(np.unique(self._train.subjects))
        if people < 2:
            raise InputError(
                f"{run.folder}: its records have {people} training subjects",
                "at least 2 are needed to choose how strongly the fit is regularised; distill with more",
            )
        for name, logits in zip(scores.labels, self._train.scores.logits.T, strict=True):
            if not _varies(logits):
                raise InputError(
                    f"{head.name} gives all {count} training clips the same score of {name!r:.200}",
                    "use a head of this teacher's embeddings, or a run on sounds that it tells apart",
                )

    def __call__(self, content: bytes) -> FittedHead:
        """Fit the classifier to the embeddings of a file.

        Parameters
        ----------
        content : bytes
            A .tflite file of the run that outputs embeddings.

        Returns
        -------
        FittedHead
            Weights and biases, and what the manifest states about them.
        """
        embedder = TfliteEmbedder(content, name=self._run.folder.name)
        train, val = self._train, self._val
        vectors = _embed(embedder, self._records, (train, val))
        fitted = fit(vectors[0], train.scores, train.subjects, seed=self._seed)
        dataset = self._run.spec.dataset
        people = len(np.unique(train.subjects))
        head = Head(
            kind=train.scores.kind,
            output=OUTPUT,
            labels=judge(train, fitted.out_of_fold, val, fitted(vectors[1])),
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            synthetic=dataset.synthetic,
            clips=train.sources,
            subjects=people,
            already_heard=people,
            trained_subjects=(),  # no other subjects than the student's, which the manifest lists once
            threshold_rule=THRESHOLD_RULE,
            adapted_from=self._head.sha256,
        )
        head.require_valid(where=self._head.name)
        return FittedHead(head, fitted.weights, fitted.bias)

    def rules(self, content: bytes, steps: Steps) -> EventRules:
        """Return when events begin and end by a file with this head of events, from validation clips."""
        pcm = [read_examples(self._records.shards[shard], rows)[0] for shard, rows in self._val.places]
        scores = self._val.scores
        clips = np.concatenate([np.zeros((0, AUDIO.clip_samples), np.int16), *pcm])
        return choose_rules(content, steps, labels=scores.labels, clips=clips, heard=scores.decisions)


def adapt_head(
    head: ForeignHead | EventScorer,
    run: Run,
    *,
    to: Path,
    names: Sequence[str],
    preferred: Sequence[str],
    steps: Sequence[str] = (),
    terms: Terms | None = None,
    overwrite: bool = False,
    allow_failed_gate: bool = False,
) -> list[Path]:
    """Export a run with a head that is adapted to each file, or with one of events.

    Parameters and errors are those of `export_files`, and errors of HeadAdapter. A head of events has scores over time.
    """
    adapter = HeadAdapter(head, run)
    events = isinstance(head, EventScorer)
    # Nothing but what the run has heard already; files of runs of 0.1 say that they don't know.
    fitted_to = Fingerprints.load(run.heard).of(()) if run.heard.is_file() else None
    return export_files(
        run,
        to=to,
        names=names,
        preferred=preferred,
        fit_head=adapter,
        fitted_to=fitted_to,
        steps=tuple(dict.fromkeys((*steps, "scores"))) if events else steps,
        find_rules=adapter.rules if events else None,
        terms=terms,
        overwrite=overwrite,
        allow_failed_gate=allow_failed_gate,
    )


def fit(vectors: NDArray[np.float32], scores: Scores, subjects: Strings, *, seed: int = 0) -> LinearFit:
    """Fit logits by ridge regression on standardised embeddings, with a free intercept.

    The strength is that of STRENGTHS with the smallest squared error on subjects left out: one for all labels of a
    softmax, else one for each.

    Parameters
    ----------
    vectors : array [n, dim]
        The student's embeddings.
    scores : Scores
        What the head says of the teacher's embeddings of the same clips.
    subjects : array [n]
        Subject of each clip, at least two.
    seed : int
        Seed of the folds.

    Returns
    -------
    LinearFit
    """
    values, logits = vectors.astype(np.float64), scores.logits
    people, index = np.unique(subjects, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(people))[index] % FOLDS
    by_fold = {number: ridge(values[fold != number], logits[fold != number]) for number in np.unique(fold)}
    errors = np.zeros((len(STRENGTHS), logits.shape[1]))
    for number, (weights, bias) in by_fold.items():
        outside = fold == number
        for place in range(len(STRENGTHS)):
            found = values[outside] @ weights[place].T + bias[place]
            errors[place] += ((found - logits[outside]) ** 2).sum(axis=0)
    if scores.kind == "softmax":
        errors = np.broadcast_to(errors.sum(axis=1, keepdims=True), errors.shape)
    best, each = errors.argmin(axis=0), np.arange(logits.shape[1])
    out_of_fold = np.empty_like(logits)
    for number, (weights, bias) in by_fold.items():
        out_of_fold[fold == number] = values[fold == number] @ weights[best, each].T + bias[best, each]
    weights, bias = ridge(values, logits)
    return LinearFit(weights[best, each], bias[best, each], out_of_fold)


def ridge(values: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Solve ridge regressions in closed form, by every strength of STRENGTHS.

    Parameters
    ----------
    values : array [n, dim]
        Features, standardised here; the solution is of the features as they are.
    targets : array [n, labels]
        What to fit.

    Returns
    -------
    weights : array [strengths, labels, dim]
    bias : array [strengths, labels]
    """
    mean, deviation, middle = values.mean(axis=0), values.std(axis=0), targets.mean(axis=0)
    # A feature that changes by no more than rounding gets no weight.
    scale = np.where(deviation > _CONSTANT * deviation.max(), deviation, np.inf)
    features = (values - mean) / scale
    eigenvalues, axes = np.linalg.eigh(features.T @ features / len(values))
    turned = axes.T @ (features.T @ (targets - middle) / len(values))  # [dim, labels]
    shrunk = turned / (np.maximum(eigenvalues, 0.0)[:, None] + np.asarray(STRENGTHS)[:, None, None])
    weights = (axes @ shrunk).transpose(0, 2, 1) / scale
    return weights, middle - weights @ mean


def judge(train: Clips, out_of_fold: Floats, val: Clips, predicted: Floats) -> tuple[HeadLabel, ...]:
    """Compare the logits of student and head, on validation clips where they can be told apart by the head.

    Where the head says the same of all validation clips, the training clips serve, each by a fit to other subjects. And
    where it decides alike on all clips, its scores above their median stand for its decisions, so that an AUROC is
    there, which says what it is of.

    Parameters
    ----------
    train, val : Clips
        Clips, with what the head says of them.
    out_of_fold, predicted : array [n, labels]
        The student's logits of training and validation clips.

    Returns
    -------
    tuple of HeadLabel
    """
    return tuple(
        _judged(number, train, out_of_fold, on="training clips, out of fold", fitted_to=train)
        if not _varies(val.scores.logits[:, number])
        else _judged(number, val, predicted, on="validation clips", fitted_to=train)
        for number in range(len(train.scores.labels))
    )


def _judged(number: int, clips: Clips, student: Floats, *, on: str, fitted_to: Clips) -> HeadLabel:
    from sklearn.metrics import roc_auc_score

    logits, truth, of = clips.scores.logits[:, number], clips.scores.decisions[:, number], "the head's decisions"
    if truth.all() or not truth.any():
        middle = np.median(logits)
        truth = logits > middle if (logits > middle).any() else logits >= middle
        of = "the upper half of the head's scores, as it decides alike"
    found = _comparable(student, kind=clips.scores.kind)[:, number]
    agreement = None
    if _varies(student[:, number]):
        agreement = float(np.clip(np.corrcoef(student[:, number], logits)[0, 1], -1, 1))
    given = fitted_to.scores.decisions[:, number]
    people = len(np.unique(clips.subjects))
    return HeadLabel(
        fitted_to.scores.labels[number],
        positive_subjects=len(np.unique(fitted_to.subjects[given])),
        negative_subjects=len(np.unique(fitted_to.subjects[~given])),
        auroc=float(roc_auc_score(truth, found)),
        low=None,
        high=None,
        threshold=0.5,
        agreement=agreement,
        auroc_of=f"{of}, on {len(logits)} {on}, of {people} subject{'s' * (people != 1)}",
    )


def _comparable(logits: Floats, *, kind: str) -> Floats:
    """Return scores `[n, labels]` in the order that the file's own have."""
    if kind != "softmax":
        return logits
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Floats = raised / raised.sum(axis=1, keepdims=True)
    return scores


def _varies(logits: Floats) -> bool:
    """Return whether logits `[n]` differ by more than rounding."""
    return len(logits) > 1 and float(np.ptp(logits)) > _CONSTANT * max(1.0, float(np.abs(logits).max()))


def _drawn(rows: Sequence[NDArray[np.intp]], *, most: int, seed: int) -> list[NDArray[np.intp]]:
    """Return at most `most` of the rows of all shards, drawn at random."""
    shards = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    chosen = np.zeros(len(shards), bool)
    chosen[np.random.default_rng(seed).permutation(len(shards))[:most]] = True
    return [part[chosen[shards == shard]] for shard, part in enumerate(rows)]


def _vectors(records: Records, rows: Sequence[NDArray[np.intp]]) -> list[NDArray[np.float32]]:
    """Return the teacher's vectors of rows of the shards, float32 `[rows, dim]` each."""
    return [read_examples(shard, part)[1] for shard, part in zip(records.shards, rows, strict=True) if len(part)]


def _clips(records: Records, rows: Sequence[NDArray[np.intp]], scores: Scores) -> Clips:
    places = tuple((shard, part) for shard, part in enumerate(rows) if len(part))
    sources = {records.shards[shard].sources[row] for shard, part in places for row in part}
    return Clips(places, len(sources), _subjects(records, rows), scores)


def _subjects(records: Records, rows: Sequence[NDArray[np.intp]]) -> Strings:
    names = [shard.subjects[row] for shard, part in zip(records.shards, rows, strict=True) for row in part]
    return np.asarray(names, dtype=str)


def _embed(embedder: Embedder, records: Records, sides: Sequence[Clips]) -> list[NDArray[np.float32]]:
    """Return the student's embeddings of clips, float32 `[n, dim]` each; audio is read shard by shard."""
    found, done = [], 0
    with progress("embeddings of the student", total=sum(len(side.subjects) for side in sides)) as advance:
        for side in sides:
            parts = [np.zeros((0, embedder.info.dim), np.float32)]
            for shard, rows in side.places:
                pcm, _ = read_examples(records.shards[shard], rows)
                for start in range(0, len(pcm), _BATCH):
                    parts.append(embedder.embed(from_int16(pcm[start : start + _BATCH])))
                    done += len(parts[-1])
                    advance(done)
            found.append(np.concatenate(parts))
    return found
