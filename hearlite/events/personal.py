"""A head for one's own sound, fitted to a few examples of it; the model itself stays as it is.

The Kotlin core fits and reads the same heads: equal vectors give equal scores.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import Samples
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import EventClass, EventRules
from hearlite.events.stream import Scores, StepScorer
from hearlite.files import read_json, write_json
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import AUDIO

SCHEMA = "hearlite-personal-head/1"
KINDS = ("cosine", "logistic")
FEWEST, MOST = 3, 100  # examples: three, to hold out one; and as many as fit on a phone
MOST_OTHERS = 2_000  # windows of other sounds, for the same reason
# Strength of the logistic regression's fit beside its penalty, scikit-learn's C. Of 0.01, 1 and 100 the best for 3, 5
# and 10 examples of 22 classes of ESC-50, tried once with hearlite-small: AUROC 0.83, 0.86, 0.87 for three.
LOGISTIC_C = 100.0
STEP_S = 0.2  # of its scores over time where the model has none of its own

Vectors = NDArray[np.floating]  # [n, dim]


@dataclass(frozen=True)
class PersonalHead:
    """A linear head on the direction of an embedding: `score` is the link of weights @ unit(embedding - centre) + bias.

    For "logistic" the link is the sigmoid; for "cosine" it is (1 + x) / 2, x being the cosine to the mean direction of
    the examples.
    """

    label: str
    kind: str  # of KINDS
    model: str  # fingerprint of the model whose embeddings it takes
    centre: tuple[float, ...]  # [dim]
    weights: tuple[float, ...]  # [dim]
    bias: float
    threshold: float  # score at which an event begins, in (0, 1)
    examples: int  # recordings that it was fitted to
    others: int  # windows of other sounds that it was fitted to
    found: int  # examples at or above the threshold when a head was fitted without them
    mistaken: int  # windows of other sounds likewise
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        values = (*self.centre, *self.weights, self.bias)
        if self.schema != SCHEMA:
            raise InputError(f"the personal head is a {self.schema!r:.80}", f"expected {SCHEMA!r}")
        if not (self.label and self.kind in KINDS and len(self.centre) == len(self.weights) > 0):
            raise InputError(
                f"the personal head is of kind {self.kind!r:.80}, with {len(self.weights)} weights and a centre of"
                f" {len(self.centre)} values",
                f"expected a label, one of {', '.join(KINDS)}, and as many weights as the embedding has values",
            )
        if not (all(map(math.isfinite, values)) and 0.0 < self.threshold < 1.0):
            raise InputError(
                f"the personal head {self.label!r:.80} has a threshold of {self.threshold}",
                "expected 0 to 1, and finite weights",
            )

    def scores(self, embeddings: Vectors) -> NDArray[np.float64]:
        """Return the scores of embeddings `[n, dim]`, float64 `[n]` in [0, 1].

        Raises
        ------
        InputError
            When they have another dimension.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.centre):
            raise InputError(
                f"embeddings have shape {list(embeddings.shape)}",
                f"the personal head {self.label!r} takes [n, {len(self.centre)}]",
            )
        values = _directions(embeddings, np.asarray(self.centre)) @ np.asarray(self.weights) + self.bias
        linked = 1.0 / (1.0 + np.exp(-values)) if self.kind == "logistic" else (1.0 + values) / 2.0
        return np.asarray(np.clip(linked, 0.0, 1.0))


def fit_head(
    examples: Sequence[Vectors],
    others: Sequence[Vectors] = (),
    *,
    label: str,
    model: str,
    threshold: float | None = None,
) -> PersonalHead:
    """Fit a head to one's own examples, and to other sounds if there are any.

    With other sounds it is a logistic regression, without the cosine to the mean direction of the examples. The
    threshold is chosen by examples, and other recordings, that a head is fitted without: with other sounds the middle
    of those that tell most examples from them (Youden's J), without the lowest score of an example.

    Parameters
    ----------
    examples : sequence of array
        The embeddings `[windows, dim]` of each example, at least FEWEST.
    others : sequence of array
        The embeddings `[windows, dim]` of each recording of other sounds, at least as many as make two; () for none.
    label : str
        Name of the class.
    model : str
        Fingerprint of the model that embedded them.
    threshold : float, optional
        Instead of the one that is found, in (0, 1).

    Returns
    -------
    PersonalHead
        The head.

    Raises
    ------
    UsageError
        For fewer or more examples or other sounds than are allowed, or a threshold outside (0, 1).
    InputError
        When examples and other sounds don't differ.
    """
    windows = sum(map(len, others))
    if not FEWEST <= len(examples) <= MOST:
        raise UsageError(f"there are {len(examples)} examples of {label!r}", f"use {FEWEST} to {MOST}")
    if windows > MOST_OTHERS:
        raise UsageError(f"there are {windows} windows of other sounds", f"use up to {MOST_OTHERS}, of 1 s each")
    if threshold is not None and not 0.0 < threshold < 1.0:
        raise UsageError(f"the threshold is {threshold}", "use one between 0 and 1")
    blank = PersonalHead(label, "cosine", model, (0.0,), (0.0,), 0.0, 0.5, len(examples), windows, 0, 0)
    whole = _fitted(blank, examples, others)
    parts = _other_parts(others, len(examples))
    own, foreign = list[float](), list[float]()
    for index, example in enumerate(examples):
        rest = [part for place, part in enumerate(parts) if place != index] if len(parts) > 1 else parts
        part = _fitted(blank, [*examples[:index], *examples[index + 1 :]], [item for group in rest for item in group])
        own.append(float(part.scores(example).mean()))  # as a step is scored: the mean of the windows that hold it
        foreign += [score for item in (parts[index] if len(parts) > 1 else ()) for score in part.scores(item)]
    chosen = threshold if threshold is not None else _threshold(own, foreign)
    return dataclasses.replace(
        whole,
        threshold=chosen,
        found=sum(bool(score >= chosen) for score in own),
        mistaken=sum(bool(score >= chosen) for score in foreign),
    )


def _fitted(blank: PersonalHead, examples: Sequence[Vectors], others: Sequence[Vectors]) -> PersonalHead:
    own = np.concatenate(examples).astype(np.float64)
    if not others:
        centre = np.zeros(own.shape[1])  # a student's embeddings have a mean near 0 over its training sounds
        mean = np.mean([_directions(example.astype(np.float64), centre).mean(axis=0) for example in examples], axis=0)
        if not np.linalg.norm(mean) > 0:
            raise InputError("the examples are embedded as zeros", "record them again: they may be silent")
        weights, bias, kind = mean / np.linalg.norm(mean), 0.0, "cosine"
    else:
        from sklearn.linear_model import LogisticRegression

        foreign = np.concatenate(others).astype(np.float64)
        centre = foreign.mean(axis=0)
        points = _directions(np.concatenate([own, foreign]), centre)
        is_own = np.arange(len(points)) < len(own)
        # In the space that the points span, where the optimum lies: as few dimensions as points. To the optimum, where
        # the Kotlin core arrives by Newton's method.
        basis = np.linalg.qr(points.T)[0]
        fit = LogisticRegression(C=LOGISTIC_C, class_weight="balanced", tol=1e-10, max_iter=100_000)
        fit.fit(points @ basis, is_own)
        weights, bias, kind = basis @ fit.coef_[0], float(fit.intercept_[0]), "logistic"
    return dataclasses.replace(
        blank, kind=kind, centre=tuple(map(float, centre)), weights=tuple(map(float, weights)), bias=bias
    )


def _other_parts(others: Sequence[Vectors], count: int) -> list[list[Vectors]]:
    """Deal the recordings of other sounds out to `count` parts; a single recording is cut into pieces in time."""
    if not others:
        return []
    pieces = list(others) if len(others) >= count else [part for item in others for part in np.array_split(item, count)]
    return [[piece for piece in pieces[index::count] if len(piece)] for index in range(count)]


def _threshold(own: Sequence[float], foreign: Sequence[float]) -> float:
    if not foreign:
        return min(max(min(own), 0.01), 0.99)
    values = np.unique([*own, *foreign])
    middles = (values[1:] + values[:-1]) / 2
    if not len(middles):
        raise InputError("examples and other sounds are embedded alike", "check that they are different recordings")
    gains = [np.mean(np.asarray(own) >= cut) - np.mean(np.asarray(foreign) >= cut) for cut in middles]
    best = np.flatnonzero(np.isclose(gains, max(gains)))
    return float(np.clip(middles[best[len(best) // 2]], 0.01, 0.99))


def _directions(vectors: NDArray[np.floating], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = vectors.astype(np.float64) - centre
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0))


def read_head(path: Path) -> PersonalHead:
    """Read a head that `write_head` wrote; raises InputError when it is none."""
    return from_dict(PersonalHead, read_json(path), where=str(path))


def write_head(path: Path, head: PersonalHead) -> None:
    """Write a head as JSON."""
    write_json(path, to_dict(head))


class PersonalScorer:
    """Scores over time with personal heads beside a model's own events, if it has any; it implements StepScorer.

    A personal head scores whole windows: all steps of one get its score. Windows overlap by half, so that a sound is
    placed within a second.

    Parameters
    ----------
    heads : sequence of PersonalHead
        Of the model.
    embed : callable
        Turns float32 clips `[n, clip_samples]` into vectors `[n, dim]`.
    model : str
        The model's fingerprint.
    base : StepScorer, optional
        The model's own events.

    Raises
    ------
    InputError
        When a head is of another model.
    UsageError
        When two classes have the same label.
    """

    def __init__(
        self,
        heads: Sequence[PersonalHead],
        *,
        embed: Callable[[NDArray[np.float32]], Vectors],
        model: str,
        base: StepScorer | None = None,
    ) -> None:
        for head in heads:
            if head.model != model:
                raise InputError(
                    f"the personal head {head.label!r:.80} was fitted to another model",
                    "enroll the examples again with this one",
                )
        labels = [item.label for item in base.rules.classes] if base is not None else []
        labels += [head.label for head in heads]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise UsageError(f"two classes are called {twice[0]!r:.80}", "enroll the examples with another --label")
        self._heads, self._embed, self._base = tuple(heads), embed, base
        self.steps = base.steps if base is not None else round(AUDIO.clip_s / STEP_S)
        # Begins and ends at one score: the windows around a sound are averaged, which tapers it already.
        own = tuple(EventClass(head.label, head.threshold, head.threshold) for head in heads)
        self.rules = (
            dataclasses.replace(base.rules, classes=(*base.rules.classes, *own))
            if base is not None
            else EventRules(STEP_S, own)
        )

    def scores(self, clip: Samples) -> Scores:
        """Return the scores of a window, float32 `[steps, classes]`, of float32 `[clip_samples]` in [-1, 1)."""
        vectors = self._embed(clip[None])
        own = np.array([head.scores(vectors)[0] for head in self._heads], np.float32)
        repeated = np.repeat(own[None], self.steps, axis=0)
        if self._base is None:
            return repeated
        return np.concatenate([self._base.scores(clip), repeated], axis=1)
