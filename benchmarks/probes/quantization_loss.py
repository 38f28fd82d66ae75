"""Measure the AUROC drop of quantization without the test subjects.

A gate that selected files by the test subjects would leave none to test on. Instead, the same probes are fitted to the
embeddings of a float32 file and of its quantized file, and compared by out-of-fold scores over the subjects of train
and val: each clip is scored by a probe that was not trained on its subject. The student was distilled on these
subjects, without labels. That flatters both files alike, and only the difference between two files of one student is
measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import embed_clips
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import C_GRID, SELECTION_TOL, best_candidate, regularisation_path
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    Bounds,
    Floats,
    bootstrap_weights,
    degrees_of_freedom,
    difference_interval,
)
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, distinct_tasks
from hearlite.benchmarks.tasks.training import training_tasks
from hearlite.data.dataset import ClipRef, Dataset
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.gate import AurocDrop, TaskDrop

FOLDS = 5  # equals MIN_SUBJECTS, the fewest subjects of each class that a task has
SAMPLES = 2_000  # bootstrap replicates
_PROTOCOL = 3  # raise whenever the figures change, so that stored ones are measured again


class QuantizationProbe:
    """Measure the AUROC drop of quantized files; it implements quantize's `Quality`.

    The float32 file is embedded once, however many quantized files it is compared with. Memory holds vectors, not
    audio.

    Parameters
    ----------
    dataset : Dataset
        As from `load_dataset`; its test clips are dropped here and never read.
    label_columns : sequence of str
        Columns to make tasks from.
    seed : int
        Seed of folds and bootstrap.
    samples : int
        Number of bootstrap replicates.

    Raises
    ------
    InputError
        If no task has MIN_SUBJECTS training and validation subjects of each class.
    """

    def __init__(
        self, dataset: Dataset, label_columns: Sequence[str], *, seed: int = 0, samples: int = SAMPLES
    ) -> None:
        self._dataset = dataclasses.replace(
            dataset, clips=tuple(clip for clip in dataset.clips if clip.split != TEST_SPLIT)
        )
        self._columns, self._seed, self._samples = tuple(label_columns), seed, samples
        training_tasks(self._dataset.clips, self._columns, positives=dataset.positives)
        self._float: _Float | None = None
        clips = [
            (clip.name, clip.row, clip.start_s, clip.zero_padded, *map(clip.label, self._columns))
            for clip in self._dataset.clips
        ]
        key = json.dumps([_PROTOCOL, FOLDS, samples, seed, dataset.sha256, self._columns, clips])
        self.data = hashlib.sha256(key.encode()).hexdigest()

    def __call__(self, reference: bytes, quantized: bytes) -> AurocDrop:
        """Measure the AUROC drop of a quantized file.

        Both files take audio as float32 `[1, clip_samples]` and output one embedding.

        Parameters
        ----------
        reference : bytes
            The float32 file.
        quantized : bytes
            Its quantized file.

        Returns
        -------
        AurocDrop
            Drops (float32 - quantized, so above 0 is worse) of each task and their mean, with intervals.

        Raises
        ------
        InputError
            If the readable recordings have changed since an earlier call.
        """
        key = hashlib.sha256(reference).hexdigest()
        known = self._float if self._float is not None and self._float.key == key else None
        files = {"quantized": quantized} if known else {"quantized": quantized, "reference": reference}
        embedded = embed_clips(
            self._dataset, {name: TfliteEmbedder(content, name=name) for name, content in files.items()}
        )
        if known is None:
            known = self._float = self._fit(key, embedded.clips, embedded.vectors["reference"].astype(np.float64))
        elif embedded.clips != known.clips:
            raise InputError(
                f"{self._dataset.name}: the readable recordings have changed during the run", "run the command again"
            )
        vectors = embedded.vectors["quantized"].astype(np.float64)
        people, subject_index = np.unique(known.subjects, return_inverse=True)
        # The same draws for both files and all tasks.
        drawn = bootstrap_weights(len(people), samples=self._samples, seed=self._seed)
        rows, replicates, dof = [], np.zeros(self._samples), []
        for fitted in known.tasks:
            scores = np.stack([fitted.scores, _out_of_fold(vectors[fitted.clips], fitted)])
            both = weighted_aurocs(scores, fitted.labels, subject_index[fitted.clips], drawn)
            replicates += both[0] - both[1]
            dof.append(degrees_of_freedom(fitted.labels, subject_index[fitted.clips]))
            rows.append(_row(fitted, scores, known.subjects[fitted.clips], both[0] - both[1], dof=dof[-1]))
        mean = float(np.mean([row.loss for row in rows]))
        low, high = _bounds(mean, replicates / len(rows), dof=min(dof))
        return AurocDrop(
            self.data, self._dataset.name, len(embedded.clips), len(people), self._samples, mean, low, high, tuple(rows)
        )

    def _fit(self, key: str, clips: tuple[ClipRef, ...], vectors: Floats) -> _Float:
        """Return folds and out-of-fold scores of the float32 file for every task."""
        subjects = np.asarray([clip.subject for clip in clips])
        fitted = []
        for task in distinct_tasks(training_tasks(clips, self._columns, positives=self._dataset.positives)).tasks:
            inside = np.flatnonzero(task.labelled)
            labels = task.labels[inside]
            one = _Fitted(
                task.name,
                inside,
                labels,
                fold_table(labels, subjects[inside], seed=self._seed, folds=FOLDS),
                np.zeros(0),
            )
            fitted.append(dataclasses.replace(one, scores=_out_of_fold(vectors[inside], one)))
        return _Float(key, clips, subjects, tuple(fitted))


@dataclass(frozen=True)
class _Fitted:
    """A task with the scores of the float32 file; all arrays are over its labelled clips."""

    name: str
    clips: NDArray[np.intp]  # rows of the embeddings
    labels: NDArray[np.bool_]
    folds: NDArray[np.intp]
    scores: Floats


@dataclass(frozen=True)
class _Float:
    """The data kept of one float32 file."""

    key: str  # SHA-256 of the file
    clips: tuple[ClipRef, ...]
    subjects: NDArray[np.str_]
    tasks: tuple[_Fitted, ...]


def _out_of_fold(vectors: Floats, task: _Fitted) -> Floats:
    """Return out-of-fold scores `[n]`: each clip is scored by a probe that was fitted to other subjects.

    Each file's probe has the C that suits it, since the C that fits float32 best overfits the noise of int8. C is
    chosen on the same folds, which flatters both files alike.

    Scores are relative to the score of the mean embedding of the training folds. That score is the probe's
    intercept, which reflects the share of positives in the training folds: the more positives these have, the fewer
    the held-out fold has. If it were left in, it would order the folds the wrong way round, and uninformative
    embeddings would come out below 0.5 (0.38 on 59 clips).
    """
    candidates = np.zeros((len(C_GRID), len(vectors)))
    for fold in np.unique(task.folds):
        inside, outside = task.folds != fold, task.folds == fold
        scored = np.concatenate([vectors[outside], vectors[inside].mean(axis=0, keepdims=True)])
        for row, (found, _) in enumerate(
            regularisation_path(vectors[inside], task.labels[inside], scored, grid=C_GRID, tol=SELECTION_TOL)
        ):
            candidates[row, outside] = found[:-1] - found[-1]
    scores: Floats = candidates[best_candidate(candidates, task.labels, task.folds)]
    return scores


def _row(task: _Fitted, scores: Floats, subjects: NDArray[np.str_], replicates: Floats, *, dof: float) -> TaskDrop:
    reference, quantized = (auroc(row, task.labels) for row in scores)
    loss = reference - quantized
    positive, negative = (len(set(subjects[side])) for side in (task.labels, ~task.labels))
    bounds = _bounds(loss, replicates, dof=dof)
    return TaskDrop(task.name, len(task.labels), positive, negative, reference, quantized, loss, *bounds)


def _bounds(loss: float, replicates: Floats, *, dof: float) -> Bounds | tuple[None, None]:
    """Return the paired interval of a drop.

    It describes how the drop would vary with other subjects, for probes that are fitted once.
    """
    return difference_interval(loss, replicates, degrees_of_freedom=dof) or (None, None)
