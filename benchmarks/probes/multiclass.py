"""Classify all classes of a respiratory sound challenge, and compute its figures with intervals.

The figures are sensitivity, specificity and the two means of them. Sounds are classified by their mean embeddings;
intervals are over subjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import C_GRID, MAX_ITER, fits_quietly
from hearlite.benchmarks.stats.bootstrap import (
    Floats,
    Owners,
    bootstrap_weights,
    difference_interval,
    rate_interval,
    weighted_sums,
)
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.tasks import challenge_score
from hearlite.errors import InputError
from hearlite.serialization import to_dict

SAMPLES = 2_000  # bootstrap replicates
FIGURES = ("sensitivity", "specificity", "average", "harmonic")
LEAKS = "LEAKS: subjects of this side are in training too"


def classify(
    train: Floats, labels: NDArray[Any], test: Floats, *, subjects: NDArray[Any], normal: str, seed: int
) -> tuple[NDArray[Any], float]:
    """Fit logistic regression to all classes, weighted equally, and predict the test sounds.

    Without the weights, it would predict normal for nearly everything and score near 0.5 by specificity alone. C is
    the smallest of those with the best out-of-fold challenge score.

    Parameters
    ----------
    train : array [n_train, dim]
        Embeddings of the training sounds.
    labels : array [n_train]
        Class of each training sound.
    test : array [n_test, dim]
        Embeddings of the test sounds.
    subjects : array [n_train]
        Subject of each training sound.
    normal : str
        The class of normal sounds.
    seed : int
        Seed of the folds.

    Returns
    -------
    predicted : array [n_test]
        Classes of the test sounds.
    c : float
        The chosen C, one of C_GRID.

    Raises
    ------
    InputError
        If there are fewer than two classes, or a class has fewer than two training subjects.
    """
    by_class = [len(set(subjects[labels == value].tolist())) for value in set(labels.tolist())]
    if len(by_class) < 2 or min(by_class) < 2:
        raise InputError(
            f"{len(by_class)} classes in training, the rarest of {min(by_class)} subjects",
            "needs two classes of two subjects each",
        )
    folds = fold_table(labels, subjects, seed=seed)
    guesses = np.empty((len(C_GRID), len(labels)), dtype=object)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        for row, c in enumerate(C_GRID):
            guesses[row, outside] = _predicted(train[inside], labels[inside], train[outside], c=c)
    scores = [challenge_score(labels.tolist(), row.tolist(), normal=normal).average for row in guesses]
    c = C_GRID[int(np.argmax(scores))]
    return _predicted(train, labels, test, c=c), c


def _predicted(train: Floats, labels: NDArray[Any], test: Floats, *, c: float) -> NDArray[Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=MAX_ITER, tol=1e-3)
    )
    fits_quietly(pipeline, train, labels.astype(str))
    return np.asarray(pipeline.predict(test), dtype=object)


def replicates(
    truth: NDArray[Any], guess: NDArray[Any], subject_index: Owners, draws: NDArray[np.uint16], *, normal: str
) -> Floats:
    """Compute the FIGURES of every bootstrap draw of subjects.

    Parameters
    ----------
    truth, guess : array [n]
        True and predicted class of each sound.
    subject_index : int array [n]
        Column in `draws` of each sound's subject.
    draws : uint16 array [samples, subjects]
        How often each subject was drawn in each replicate.
    normal : str
        The class of normal sounds.

    Returns
    -------
    array [4, samples]
        Sensitivity, specificity, average and harmonic, in [0, 1]; NaN if a draw has no normal or no other sound.
    """
    others = truth != normal
    columns = np.stack([others, others & (truth == guess), ~others, ~others & (guess == normal)], axis=1).astype(
        np.float64
    )
    adventitious, hits, normals, passed = weighted_sums(columns, subject_index, draws).T
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = hits / adventitious, passed / normals
        both = sensitivity + specificity
        harmonic = np.where(
            both > 0, 2 * sensitivity * specificity / np.where(both > 0, both, 1.0), np.where(both == 0, 0.0, np.nan)
        )
    return np.stack([sensitivity, specificity, both / 2, harmonic])


def measure(
    truth: NDArray[Any],
    guesses: Mapping[str, NDArray[Any]],
    subjects: NDArray[Any],
    *,
    normal: str,
    seed: int,
    samples: int = SAMPLES,
) -> list[dict[str, Any]]:
    """Compute every model's FIGURES with intervals, and their paired differences from the first model.

    Parameters
    ----------
    truth : array [n]
        True class of each sound of one side of the split.
    guesses : dict of str to array [n]
        Predicted classes by model.
    subjects : array [n]
        Subject of each sound.
    normal : str
        The class of normal sounds.
    seed : int
        Seed of the bootstrap.
    samples : int
        Number of bootstrap replicates.

    Returns
    -------
    list of dict
        For each model, "model" and an Estimate (as a dict) for each figure and, from the second model on, each
        "<figure>_difference".
    """
    people, subject_index = np.unique(subjects, return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    precision = {"degrees_of_freedom": float(max(1, len(people) - 1))}
    trials = {"sensitivity": len(set(subjects[truth != normal])), "specificity": len(set(subjects[truth == normal]))}
    rows: list[dict[str, Any]] = []
    first: tuple[dict[str, float], Floats] | None = None
    for model, guess in guesses.items():
        score = challenge_score(truth.tolist(), guess.tolist(), normal=normal)
        values, drawn = (
            {name: float(getattr(score, name)) for name in FIGURES},
            replicates(truth, guess, subject_index, draws, normal=normal),
        )
        row: dict[str, Any] = {"model": model}
        for number, name in enumerate(FIGURES):
            bounds = rate_interval(
                values[name], drawn[number], trials=trials.get(name, min(trials.values())), **precision
            )
            row[name] = to_dict(Estimate(values[name], *(bounds or (None, None))))
            if first:
                gap = values[name] - first[0][name]
                bounds = difference_interval(gap, drawn[number] - first[1][number], **precision)
                row[f"{name}_difference"] = to_dict(Estimate(gap, *(bounds or (None, None))))
        first = first or (values, drawn)
        rows.append(row)
    return rows
