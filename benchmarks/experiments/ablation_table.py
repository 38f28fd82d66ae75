"""Probe the students of an ablation and compare them, in a table with intervals.

Every embedding is probed on the same subjects, with the same folds and bootstrap draws, so that differences are paired
and have intervals: those of hearlite/benchmarks/stats/comparisons.py, over test subjects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.experiments.variants import Variant
from hearlite.benchmarks.probes.embeddings import TEACHER, embed_clips, make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.report.format import auroc_text, difference_text, percent_text
from hearlite.benchmarks.stats.bootstrap import Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import BootstrapAurocs, bootstrap_aurocs, mean_over_tasks, scored
from hearlite.benchmarks.stats.estimates import Estimate, Score
from hearlite.benchmarks.studies.inputs import SAMPLES
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.data.dataset import ClipRef, Dataset
from hearlite.embedders.base import Embedder
from hearlite.files import read_arrays, write_arrays
from hearlite.spec import AUROC_MARGIN

_PROTOCOL = 2  # raise it whenever the kept figures change, so that they are computed again
_FIRST, _VARIANT = "first", "variant"  # beside TEACHER, the models that a row compares


@dataclass(frozen=True, eq=False)
class Probed:
    """The AUROCs of one embedding by task, observed and on every draw of test subjects.

    The draws are the same for all embeddings of a dataset.
    """

    names: tuple[str, ...]  # of the tasks
    aurocs: Floats  # [tasks]
    replicates: Floats  # [tasks, samples]
    dof: Floats  # degrees of freedom, [tasks]
    trials: NDArray[Any]  # independent comparisons, [tasks]


@dataclass(frozen=True)
class TrainingFigures:
    """The training of one variant: of one seed, or means over its seeds."""

    val_random_probe_correlation: float
    steps: float
    minutes: float  # records, which variants share, not counted


@dataclass(frozen=True)
class AblationRow(TrainingFigures):
    """One variant: means over seeds and tasks, with 95 % intervals over test subjects."""

    variant: str
    overrides: dict[str, Any]  # of the recipe, as in Variant
    seeds: int
    auroc: Estimate
    kept: Estimate  # retention: share of the teacher's above-chance AUROC
    difference: Estimate  # AUROC less the first variant's, paired; null for the first
    kept_of_first: Estimate  # share of the first variant's above-chance AUROC; null for the first
    seed_deviation: float | None  # standard deviation of the seeds' mean AUROCs; null for one seed
    tasks: dict[str, float]  # AUROC by task


def probe(dataset: Dataset, *, embedder: Embedder, label_columns: Sequence[str], path: Path) -> Probed:
    """Fit linear probes to one embedding and test them on the test subjects.

    Parameters
    ----------
    dataset
        With the label columns loaded.
    embedder
        The model.
    label_columns
        Columns that tasks are made of.
    path
        The .npz that keeps the figures; it is read instead if it has those of the same dataset and model.
    """
    parts = [_PROTOCOL, SAMPLES, dataset.sha256, dataset.labels_sha256, len(dataset.clips), *label_columns]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest() + embedder.info.fingerprint
    if not (path.is_file() and str(read_arrays(path)["key"]) == key):
        probed = _probe(dataset, embedder=embedder, label_columns=label_columns)
        write_arrays(path, {"key": np.asarray(key), **arrays_of(probed)})
    return probed_of(read_arrays(path))


def arrays_of(probed: Probed) -> dict[str, NDArray[Any]]:
    """Return the arrays of a Probed by name, for a .npz."""
    return {name: np.asarray(values) for name, values in vars(probed).items()}


def probed_of(arrays: Mapping[str, NDArray[Any]]) -> Probed:
    """Return the Probed of a .npz that holds `arrays_of` one."""
    names = tuple(arrays["names"].tolist())
    return Probed(names, arrays["aurocs"], arrays["replicates"], arrays["dof"], arrays["trials"])


def _probe(dataset: Dataset, *, embedder: Embedder, label_columns: Sequence[str]) -> Probed:
    embedded = embed_clips(dataset, {"": embedder})
    return probe_vectors(embedded.vectors[""], embedded.clips, positives=dataset.positives, label_columns=label_columns)


def probe_vectors(
    vectors: NDArray[np.float32],
    clips: Sequence[ClipRef],
    *,
    positives: Mapping[str, Sequence[str]],
    label_columns: Sequence[str],
) -> Probed:
    """Fit linear probes to vectors `[n, dim]` of clips and test them on the test subjects.

    Parameters
    ----------
    vectors, clips
        Embeddings, and the clips that they are of.
    positives
        Positive values of each label column, as in `Dataset.positives`.
    label_columns
        Columns that tasks are made of.

    Raises
    ------
    InputError
        If there is no task.
    """
    wide = vectors.astype(np.float64)
    tasks, _ = make_tasks(clips, label_columns, positives=positives)
    subjects = np.asarray([clip.subject for clip in clips])
    tested = np.asarray([clip.split == TEST_SPLIT for clip in clips], dtype=np.bool_)
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=SAMPLES, seed=0)
    by_task = []
    for task in tasks:
        inside, outside = task.labelled & ~tested, task.labelled & tested
        folds = fold_table(task.labels[inside], subjects[inside], seed=0)
        scores = fit_probe(wide[inside], task.labels[inside], wide[outside], folds=folds).scores
        owners = subject_index[task.labelled[tested]]
        by_task.append(bootstrap_aurocs({"": scores}, task.labels[outside], owners, draws))
    return Probed(
        names=tuple(task.name for task in tasks),
        aurocs=np.asarray([item.observed[""] for item in by_task]),
        replicates=np.concatenate([item.drawn for item in by_task]),
        dof=np.asarray([item.dof for item in by_task]),
        trials=np.asarray([item.trials for item in by_task]),
    )


def compared(models: Mapping[str, Sequence[Probed]]) -> BootstrapAurocs:
    """Return the mean AUROC over tasks and seeds of each model.

    Parameters
    ----------
    models
        By name, one item for each seed; all of the same tasks and draws.
    """
    alike = next(iter(models.values()))[0]
    tasks = []
    for index in range(len(alike.names)):
        observed = {name: float(np.mean([item.aurocs[index] for item in seeds])) for name, seeds in models.items()}
        drawn = np.stack([np.mean([item.replicates[index] for item in seeds], axis=0) for seeds in models.values()])
        tasks.append(BootstrapAurocs(observed, drawn, float(alike.dof[index]), int(alike.trials[index])))
    return mean_over_tasks(tasks)


def mean_auroc(probed: Probed) -> Estimate:
    """Return the mean AUROC over tasks of one embedding."""
    (score,) = scored(compared({TEACHER: [probed]}), reference=TEACHER, margin=AUROC_MARGIN)
    return score.auroc


def retained(probed: Sequence[Probed], *, teacher: Probed) -> Estimate:
    """Return the share of the teacher's above-chance AUROC that students keep, one student for each seed."""
    return _score(compared({TEACHER: [teacher], _VARIANT: probed}), reference=TEACHER).retention


def summarize(
    variant: Variant,
    probed: Sequence[Probed],
    figures: Sequence[TrainingFigures],
    *,
    teacher: Probed,
    first: Sequence[Probed] | None,
) -> AblationRow:
    """Summarize one variant beside the teacher and the first variant.

    Parameters
    ----------
    variant
        The variant.
    probed, figures
        Its students' AUROCs and training, one for each seed.
    teacher
        The teacher's AUROCs.
    first
        Those of the first variant's students; None where `variant` is the first.
    """
    means = compared({TEACHER: [teacher], _VARIANT: probed, **({_FIRST: first} if first else {})})
    to_teacher = _score(means, reference=TEACHER)
    to_first = _score(means, reference=_FIRST) if first else None
    by_seed = [float(item.aurocs.mean()) for item in probed]
    by_task = np.mean([item.aurocs for item in probed], axis=0).tolist()
    return AblationRow(
        **{
            item.name: float(np.mean([getattr(figure, item.name) for figure in figures]))
            for item in fields(TrainingFigures)
        },
        variant=variant.name,
        overrides=variant.overrides,
        seeds=len(probed),
        auroc=to_teacher.auroc,
        kept=to_teacher.retention,
        difference=to_first.difference if to_first else Estimate(),
        kept_of_first=to_first.retention if to_first else Estimate(),
        seed_deviation=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        tasks=dict(zip(probed[0].names, by_task, strict=True)),
    )


def _score(means: BootstrapAurocs, *, reference: str) -> Score:
    scores = scored(means, reference=reference, margin=AUROC_MARGIN)
    return next(item for item in scores if item.model == _VARIANT)


def table(rows: Sequence[AblationRow]) -> str:
    """Render Markdown: a line for each variant, the first one first."""
    titles = [
        "variant",
        "seeds",
        "validation probe correlation",
        "mean test AUROC",
        "retention",
        "AUROC less the first's",
        "sd of seeds",
        "minutes",
    ]
    lines = [f"| {' | '.join(titles)} |", f"|{len(titles) * '---|'}"]
    for number, row in enumerate(rows):
        cells = [
            row.variant,
            str(row.seeds),
            f"{row.val_random_probe_correlation:.3f}",
            auroc_text(row.auroc),
            percent_text(row.kept),
            difference_text(row.difference) if number else "",
            "" if row.seed_deviation is None else f"{row.seed_deviation:.4f}",
            f"{row.minutes:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
