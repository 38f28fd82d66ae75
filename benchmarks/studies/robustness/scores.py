"""Score clean and changed test clips by probes that were fitted once, to clean training clips.

One pass over the recordings scores all conditions. Memory holds the embeddings of the training clips and the scores of
the test clips, never the audio of more than a batch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16, is_silent
from hearlite.benchmarks.probes.embeddings import embed_clips, make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.studies.robustness.perturbations import REACH_S, Condition, perturb
from hearlite.benchmarks.studies.robustness.results import Unusable
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, Task
from hearlite.data.dataset import Dataset, Skipped
from hearlite.data.reading import Clip, read_clips
from hearlite.data.vector_parts import BATCH, batched
from hearlite.embedders.base import Clips, Embedder
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays
from hearlite.progress import progress
from hearlite.serialization import to_dict

# Of test clips, the third of samples; see `Perturbed`.
COUNTS = ("changed", "clipped", "clipped_samples", "missing", "silenced")
_PROTOCOL = 1  # raise whenever the figures change, so that kept scores are made again


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of one model's probes on the test clips: row 0 is clean, the others are conditions."""

    scores: Floats  # [tasks, 1 + conditions, n_test]
    # [conditions], of clean and changed embeddings, both less the mean of the clean training clips; mean over clips
    cosines: Floats
    counts: NDArray[np.int64]  # [conditions, len(COUNTS)]
    c: Floats  # [tasks], inverse regularisation
    unconverged: NDArray[np.int64]  # [tasks], fits that stopped early


@dataclass(frozen=True)
class Design:
    """The parts of a study that all models share."""

    train: Dataset  # readable clips of train and val
    test: Dataset  # readable clips
    tasks: tuple[Task, ...]  # over train clips followed by test clips
    conditions: tuple[Condition, ...]
    seed: int
    key: str  # hash of all of this, for kept scores

    @property
    def test_tasks(self) -> tuple[tuple[Bools, Bools], ...]:
        """Labels and the mask of labelled clips of every task, on the test clips, [n_test] each."""
        first = len(self.train.clips)
        return tuple((task.labels[first:], task.labelled[first:]) for task in self.tasks)


def design(
    dataset: Dataset, *, label_columns: Sequence[str], conditions: Sequence[Condition], seed: int
) -> tuple[Design, Unusable]:
    """Plan the study of a dataset.

    Parameters
    ----------
    dataset
        With the label columns loaded.
    label_columns
        Columns that tasks are made of.
    conditions
        Of the test clips.
    seed
        Of folds and bootstrap.

    Returns
    -------
    tuple[Design, Unusable]
        The plan, and the parts of the dataset that cannot be used.

    Raises
    ------
    InputError
        No clip can be read, or there is no task.
    """
    # Decoding is cheap beside any model, and an unreadable clip must not count in a task.
    readable = embed_clips(dataset, {})
    sides = [tuple(ref for ref in readable.clips if (ref.split == TEST_SPLIT) == tested) for tested in (False, True)]
    tasks, left_out = make_tasks([*sides[0], *sides[1]], label_columns, positives=dataset.positives)
    names = [
        (ref.name, ref.row, ref.start_s, ref.zero_padded, *map(ref.label, label_columns))
        for ref in (*sides[0], *sides[1])
    ]
    parts = [
        _PROTOCOL,
        dataset.sha256,
        dataset.labels_sha256,
        names,
        [task.name for task in tasks],
        [to_dict(item) for item in conditions],
        seed,
    ]
    train, test = (dataclasses.replace(dataset, clips=clips) for clips in sides)
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    unusable = Unusable(len(dataset.skipped) + readable.skipped, sum(readable.silent.values()), tuple(left_out))
    return Design(train, test, tasks, tuple(conditions), seed, key), unusable


def linear_probe(train: Floats, labels: Bools, *, folds: NDArray[np.intp]) -> tuple[Floats, float, float, int]:
    """Fit the probe of `fit_probe` and return its weights.

    With them it can score any number of clips without holding them all. The weights follow from the scores of the
    origin and of the unit vectors; `embedding @ weights + offset` is a score.

    Parameters
    ----------
    train
        Embeddings, [n, dim].
    labels, folds
        Of these clips, [n].

    Returns
    -------
    tuple[Floats, float, float, int]
        Weights [dim], offset, inverse regularisation C, and the number of fits that did not converge.
    """
    dim = train.shape[1]
    fitted = fit_probe(train, labels, np.concatenate([np.zeros((1, dim)), np.eye(dim)]), folds=folds)
    return fitted.scores[1:] - fitted.scores[0], float(fitted.scores[0]), fitted.chosen["C"], fitted.unconverged


def score(plan: Design, *, embedder: Embedder, folder: Path) -> Scored:
    """Score the test clips by one model's probes, clean and under every condition.

    Parameters
    ----------
    plan
        The clips, tasks and conditions.
    embedder
        The model.
    folder
        For the scores, which a second call with the same plan and model reads again.

    Raises
    ------
    InputError
        A recording can no longer be read.
    """
    key = plan.key + embedder.info.fingerprint
    path = folder / f"scores-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if path.is_file():
        kept = read_arrays(path)
        if str(kept.pop("key", "")) == key:
            return Scored(**kept)
    scored = _score(plan, embedder)
    write_arrays(path, {"key": np.asarray(key), **vars(scored)})
    return scored


def _score(plan: Design, embedder: Embedder) -> Scored:
    embedded = embed_clips(plan.train, {"": embedder})
    if embedded.clips != plan.train.clips:
        raise InputError(
            f"{plan.train.name}: the readable recordings have changed during the run", "run the command again"
        )
    vectors = embedded.vectors[""].astype(np.float64)
    subjects = np.asarray([ref.subject for ref in plan.train.clips])
    probes = []
    for task in plan.tasks:
        inside = np.flatnonzero(task.labelled[: len(vectors)])
        folds = fold_table(task.labels[inside], subjects[inside], seed=plan.seed)
        probes.append(linear_probe(vectors[inside], task.labels[inside], folds=folds))
    weights, offsets = (
        np.stack([probe[0] for probe in probes], axis=1),
        np.asarray([probe[1] for probe in probes]),
    )  # [dim, tasks], [tasks]
    mean, rows = vectors.mean(axis=0), len(plan.conditions) + 1
    scores = np.empty((len(plan.tasks), rows, len(plan.test.clips)))
    cosines, counts = (
        np.zeros((rows, len(plan.test.clips))),
        np.zeros((len(plan.conditions), len(COUNTS)), dtype=np.int64),
    )
    done = 0
    with progress(f"{embedder.info.name}, changed test clips", total=len(plan.test.clips)) as advance:
        for batch in batched(read_clips(plan.test.clips, reach_s=REACH_S), BATCH):
            here = slice(done, done + len(batch))
            clean = np.empty(0)
            for row, condition in enumerate((None, *plan.conditions)):
                audio = (
                    _changed(batch, condition, counts[row - 1])
                    if condition
                    else from_int16(np.stack([_clip(item).pcm for item in batch]))
                )
                found = embedder.embed(audio).astype(np.float64)
                clean = clean if row else found
                scores[:, row, here] = (found @ weights + offsets).T
                cosines[row, here] = _cosines(found - mean, clean - mean)
            done += len(batch)
            advance(done)
    chosen_c = np.asarray([probe[2] for probe in probes])
    return Scored(
        scores, cosines[1:].mean(axis=1), counts, chosen_c, np.asarray([probe[3] for probe in probes], dtype=np.int64)
    )


def _changed(batch: Sequence[Clip | Skipped], condition: Condition, counts: NDArray[np.int64]) -> Clips:
    """Return the batch under a condition, float32 `[n, clip_samples]`, and add its effects to `counts`."""
    clips = [_clip(item) for item in batch]
    changed = [perturb(clip, condition) for clip in clips]
    for clip, item in zip(clips, changed, strict=True):
        differs = not np.array_equal(from_int16(clip.pcm), item.audio)
        silenced = not clip.silent and is_silent(from_int16(item.pcm))  # floating point gain loses nothing
        counts += (differs, item.clipped > 0, item.clipped, item.missing > 0, silenced)
    return np.stack([item.audio for item in changed])


def _clip(item: Clip | Skipped) -> Clip:
    if isinstance(item, Skipped):
        raise InputError(
            f"{item.file}: could be read earlier in this run, but no longer: {item.reason}", "run the command again"
        )
    return item


def _cosines(a: Floats, b: Floats) -> Floats:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.sum(a * b, axis=1) / np.maximum(norms, 1e-12))
