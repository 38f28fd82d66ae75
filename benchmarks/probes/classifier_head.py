"""Fit the logistic regression that `hearlite export --classifier-data` fuses into a .tflite file.

It is fitted to labelled training subjects. Test subjects are dropped before anything is read, so that a later
benchmark of the file is not flattered. The manifest states out-of-fold figures. C was chosen on the same folds, which
flatters the figures a little, and the student may have been distilled on these subjects, without labels.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import embed_clips, test_subjects_seen_in_training
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import C_GRID, SELECTION_TOL, fit_probe, fit_weights, regularisation_path
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import effective_sample
from hearlite.benchmarks.stats.operating_point import RULES, choose_threshold, estimate_rate
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, Task
from hearlite.benchmarks.tasks.training import training_tasks
from hearlite.data.dataset import ClipRef, Dataset
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.manifests.splits import subject_hash
from hearlite.tflite.classifier import OUTPUT, FittedHead, Head, HeadLabel

SAMPLES = 2_000  # bootstrap replicates
_RULE = "youden"
_HINT = "name another column with --label, leave the cells of rare values empty, or label more training subjects"


class HeadProbe:
    """Fit a classifier head to the embeddings of a .tflite file; it implements export's `FitHead`.

    Parameters
    ----------
    dataset : Dataset
        Labelled clips; those of test subjects are dropped.
    label_columns : sequence of str
        Either columns of two values each, which get a sigmoid score each, or a single column of more values, which
        gets a softmax over them. An empty cell means not labelled.
    trained_subjects : sequence of str
        Hashes of the subjects that the student was distilled on, as in its run's dataset.
    seed : int
        Seed of folds and bootstrap.
    samples : int
        Number of bootstrap replicates.

    Raises
    ------
    InputError
        If the student was distilled on test subjects of `dataset`, or a column has too few training subjects.
    UsageError
        If the columns cannot be combined.
    """

    def __init__(
        self,
        dataset: Dataset,
        label_columns: Sequence[str],
        *,
        trained_subjects: Sequence[str],
        seed: int = 0,
        samples: int = SAMPLES,
    ) -> None:
        leaking = sorted(test_subjects_seen_in_training(trained_subjects, dataset))
        if leaking:
            raise InputError(
                f"the student was distilled on {len(leaking)} of the test subjects of {dataset.name}, the first is"
                f" {leaking[0]!r}",
                "use the split that it was distilled with: the same manifest, or a split column",
            )
        self._dataset = dataclasses.replace(
            dataset, clips=tuple(clip for clip in dataset.clips if clip.split != TEST_SPLIT)
        )
        self._columns, self._trained_subjects, self._seed, self._samples = (
            tuple(label_columns),
            frozenset(trained_subjects),
            seed,
            samples,
        )
        self._kind = _kind_of(self._tasks(self._dataset.clips), self._columns)

    def __call__(self, content: bytes) -> FittedHead:
        """Fit the classifier to the embeddings of a file.

        Parameters
        ----------
        content : bytes
            A .tflite file that outputs embeddings.

        Returns
        -------
        FittedHead
            Weights and biases, and what the manifest states about them.
        """
        embedded = embed_clips(self._dataset, {OUTPUT: TfliteEmbedder(content, name=self._dataset.name)})
        tasks = self._tasks(embedded.clips)
        vectors = embedded.vectors[OUTPUT].astype(np.float64)
        subjects = np.asarray([clip.subject for clip in embedded.clips])
        fit = self._sigmoids if self._kind == "sigmoid" else self._softmax
        labels, weights, bias = fit(tasks, vectors, subjects)
        people = sorted(set(subjects[np.any([task.labelled for task in tasks], axis=0)]))
        hashes = tuple(subject_hash(str(person)) for person in people)
        head = Head(
            kind=self._kind,
            output=OUTPUT,
            labels=labels,
            dataset=self._dataset.name,
            dataset_sha256=hashlib.sha256(f"{self._dataset.sha256}{self._dataset.labels_sha256}".encode()).hexdigest(),
            synthetic=self._dataset.synthetic,
            clips=int(np.any([task.labelled for task in tasks], axis=0).sum()),
            subjects=len(people),
            already_heard=len(self._trained_subjects & set(hashes)),
            trained_subjects=hashes,
            threshold_rule=RULES[_RULE],
        )
        head.require_valid(where=self._dataset.name)
        return FittedHead(head, weights, bias)

    def _sigmoids(
        self, tasks: tuple[Task, ...], vectors: Floats, subjects: NDArray[np.str_]
    ) -> tuple[tuple[HeadLabel, ...], Floats, Floats]:
        labels, rows = [], []
        for task in tasks:
            train, truth, people = vectors[task.labelled], task.labels[task.labelled], subjects[task.labelled]
            fitted = fit_probe(train, truth, train[:0], folds=fold_table(truth, people, seed=self._seed))
            rows.append(fit_weights(train, truth, c=fitted.chosen["C"])[:2])
            labels.append(self._label(task.name, 1 / (1 + np.exp(-fitted.out_of_fold)), truth, people))
        return (
            tuple(labels),
            np.concatenate([weights for weights, _ in rows]),
            np.concatenate([bias for _, bias in rows]),
        )

    def _softmax(
        self, tasks: tuple[Task, ...], vectors: Floats, subjects: NDArray[np.str_]
    ) -> tuple[tuple[HeadLabel, ...], Floats, Floats]:
        inside = tasks[0].labelled
        train, people = vectors[inside], subjects[inside]
        codes = np.argmax([task.labels[inside] for task in tasks], axis=0)  # in the order of the tasks
        c, scores = choose_softmax_c(train, codes, folds=fold_table(codes, people, seed=self._seed))
        weights, bias, _ = fit_weights(train, codes, c=c)
        return (
            tuple(self._label(task.positive, scores[:, k], codes == k, people) for k, task in enumerate(tasks)),
            weights,
            bias,
        )

    def _label(self, name: str, scores: Floats, truth: NDArray[np.bool_], subjects: NDArray[np.str_]) -> HeadLabel:
        """Return the figures and threshold of a label, from its out-of-fold scores in [0, 1]."""
        people, subject_index = np.unique(subjects, return_inverse=True)
        drawn = bootstrap_weights(len(people), samples=self._samples, seed=self._seed)
        dof, trials = effective_sample(truth, subject_index)
        value = auroc(scores, truth)
        estimate = estimate_rate(
            value, weighted_aurocs(scores[None], truth, subject_index, drawn)[0], dof=dof, trials=trials
        )
        threshold = choose_threshold(scores, truth, rule=_RULE)
        return HeadLabel(
            name, len(set(subjects[truth])), len(set(subjects[~truth])), value, estimate.low, estimate.high, threshold
        )

    def _tasks(self, clips: Sequence[ClipRef]) -> tuple[Task, ...]:
        """Return the tasks of all columns, and require one for every label.

        A head that silently lacked a label would assign its clips to another one.
        """
        tasks = training_tasks(clips, self._columns, positives=self._dataset.positives)
        named = {(task.column, task.positive) for task in tasks}
        for column in self._columns:
            wanted = self._dataset.positives[column]
            values = {clip.label(column) for clip in self._dataset.clips} - {""}
            if 1 < len(wanted) < len(values):
                raise UsageError(
                    f"column {column!r} has {len(values)} labels, of which {len(wanted)} are positive",
                    "name one positive label, for a score of it against the others, or none, for a score of each",
                )
            missing = [value for value in wanted if (column, value) not in named]
            if missing:
                raise InputError(
                    f"label {missing[0]!r} of column {column!r} has too few training subjects, or is its only one",
                    _HINT,
                )
        return tasks


def _kind_of(tasks: Sequence[Task], columns: Sequence[str]) -> str:
    if len(tasks) == len(columns):
        return "sigmoid"
    if len(columns) == 1:
        return "softmax"
    raise UsageError(
        f"columns {', '.join(columns)} have {len(tasks)} labels",
        "a head takes columns of two values each, or one column of more",
    )


def choose_softmax_c(train: Floats, codes: NDArray[np.intp], *, folds: NDArray[np.intp]) -> tuple[float, Floats]:
    """Choose the C of a softmax classifier by AUROC over folds.

    The AUROC is averaged over folds, and over each class against the others.

    Parameters
    ----------
    train : array [n, dim]
        Embeddings of the training clips.
    codes : int array [n]
        Class of each clip.
    folds : int array [n]
        Validation fold of each clip.

    Returns
    -------
    c : float
        The value of C_GRID with the best AUROC.
    out_of_fold : array [n, classes]
        Its out-of-fold probabilities.

    Raises
    ------
    InputError
        If training without some fold leaves no clip of a class.
    """
    classes = np.unique(codes)
    candidates = np.full((len(C_GRID), len(codes), len(classes)), np.nan)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        if not np.array_equal(np.unique(codes[inside]), classes):
            raise InputError("all subjects of a label are in one fold", _HINT)
        path = regularisation_path(train[inside], codes[inside], train[outside], grid=C_GRID, tol=SELECTION_TOL)
        candidates[:, outside] = [_softmax(scores) for scores, _ in path]
    best = int(np.argmax([_mean_auroc(scores, codes, folds) for scores in candidates]))
    return C_GRID[best], candidates[best]


def _mean_auroc(scores: Floats, codes: NDArray[np.intp], folds: NDArray[np.intp]) -> float:
    rates = [
        auroc(scores[folds == fold, k], codes[folds == fold] == k)
        for fold in np.unique(folds)
        for k in range(scores.shape[1])
        if 0 < int((codes[folds == fold] == k).sum()) < int((folds == fold).sum())
    ]
    return float(np.mean(rates))


def _softmax(logits: Floats) -> NDArray[Any]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
