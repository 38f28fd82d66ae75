"""Fit probes to ever smaller shares of the training subjects, to see how few labels are enough.

    hearlite study label-efficiency DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out efficiency

Probes are of teacher, students and spectral baseline, and are all tested on all test subjects. A part of the training
data is of whole subjects, since one person's clips are not independent labels, and smaller parts lie within larger
ones. Every part is drawn several times; an AUROC is the mean over the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.report.format import auroc_text
from hearlite.benchmarks.schema.study import ModelAuroc, StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, mean_over_tasks, scored
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    StudyOptions,
    dataset_facts,
    provenance,
    study_command,
    write_study,
)
from hearlite.benchmarks.tasks.binary import Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-label-efficiency/1"
SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)  # of the training subjects
# Of each part but the whole. Heuristic, no published source: the curve settles, and a run takes as long as ten benches.
DRAWS = 5
_FEWEST = 3  # subjects of a class in a part: one for each fold


@dataclass(frozen=True)
class EfficiencyRow:
    """Mean AUROC over tasks of every model, with probes of one share of the training subjects."""

    share: float
    subjects: float  # mean over parts
    parts: int  # of all tasks
    parts_without_two_classes: int  # left out: no two folds with both classes
    models: tuple[ModelAuroc, ...]


@dataclass(frozen=True)
class EfficiencyResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    tasks: tuple[str, ...]
    draws: int  # of each part but the whole
    rows: tuple[EfficiencyRow, ...]


def draw_subset(labels: Bools, subjects: NDArray[np.str_], *, share: float, draw: int, seed: int) -> Bools:
    """Draw a part of the training subjects and return the mask of its clips, [n].

    A draw's smaller parts lie within its larger ones.

    Parameters
    ----------
    labels, subjects
        Of the training clips, [n].
    share
        In (0, 1], of the subjects with a positive clip and of those with none; at least three of each are drawn.
    draw
        Number of the draw.
    seed
        Of all draws.
    """
    rng = np.random.default_rng([seed, draw])
    with_positive = set(subjects[labels].tolist())
    kept: set[str] = set()
    for side in (sorted(with_positive), sorted(set(subjects.tolist()) - with_positive)):
        order = rng.permutation(np.asarray(side, dtype=object))
        kept.update(order[: max(_FEWEST, round(share * len(order)))])
    return np.asarray([subject in kept for subject in subjects], dtype=bool)


def efficiency(
    models: Mapping[str, Floats],
    tasks: Sequence[Task],
    subjects: NDArray[np.str_],
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> tuple[EfficiencyRow, ...]:
    """Return every model's mean AUROC over tasks for each share of SHARES.

    A part that leaves a task without both classes in two folds is left out and counted.

    Parameters
    ----------
    models
        Embeddings [n, dim] by model; differences are to the first.
    tasks
        Over the same n clips.
    subjects, tested
        Subject of each clip, and the mask of test clips, [n].
    seed
        Of folds, draws and bootstrap.
    samples
        Bootstrap replicates.

    Raises
    ------
    InputError
        No part of a task can be probed.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("label efficiency", total=len(SHARES)) as advance:
        for done, share in enumerate(SHARES, start=1):
            by_task, counts, unused = [], [], 0
            for task in tasks:
                side, inside = task.labelled & tested, np.flatnonzero(task.labelled & ~tested)
                drawn = range(DRAWS if share < 1 else 1)
                parts = [
                    inside[draw_subset(task.labels[inside], subjects[inside], share=share, draw=draw, seed=seed)]
                    for draw in drawn
                ]
                scores = [_scores(models, task, part, side, subjects, seed=seed) for part in parts]
                counts += [len(set(subjects[part].tolist())) for part in parts]
                unused += scores.count(None)
                usable = [item for item in scores if item is not None]
                if not usable:
                    raise InputError(
                        f"{task.name}: no part of the training subjects can be probed", "label more training subjects"
                    )
                by_model = {name: np.stack([item[name] for item in usable]) for name in models}
                by_task.append(
                    bootstrap_aurocs(by_model, task.labels[side], subject_index[task.labelled[tested]], draws)
                )
            means = scored(mean_over_tasks(by_task), reference=next(iter(models)), margin=AUROC_MARGIN)
            rows.append(
                EfficiencyRow(
                    share=share,
                    subjects=float(np.mean(counts)),
                    parts=len(counts) - unused,
                    parts_without_two_classes=unused,
                    models=tuple(ModelAuroc(item.model, item.auroc, item.difference) for item in means),
                )
            )
            advance(done)
    return tuple(rows)


def _scores(
    models: Mapping[str, Floats],
    task: Task,
    train: NDArray[np.intp],
    side: Bools,
    subjects: NDArray[np.str_],
    *,
    seed: int,
) -> dict[str, Floats] | None:
    """Return the test scores by model, or None where `train` has no fold with both classes on both sides."""
    labels = task.labels[train]
    folds = fold_table(labels, subjects[train], seed=seed)
    try:
        return {
            name: fit_probe(values[train], labels, values[side], folds=folds).scores for name, values in models.items()
        }
    except InputError:
        return None


def table(rows: Sequence[EfficiencyRow]) -> str:
    """Render Markdown: a line for each share, a column for each model."""
    models = [item.model for item in rows[0].models]
    lines = [f"| training subjects | {' | '.join(models)} |", f"|---|{'---|' * len(models)}"]
    for row in rows:
        cells = [auroc_text(item.auroc) for item in row.models]
        lines.append(f"| {100 * row.share:.0f} % ({row.subjects:.0f}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\nMean AUROC over tasks on all test subjects, 95 % intervals over test subjects.\n"


@study_command(labels=True)
def command(options: StudyOptions) -> None:
    """Fit probes to 100, 50, 25, 10 and 5 % of DATA's training subjects; writes results and a table."""
    embedded = options.embed(baseline=True)
    tasks, _ = make_tasks(embedded.clips, options.label_columns, positives=embedded.dataset.positives)
    results = EfficiencyResults(
        **vars(provenance(SCHEMA, embedded.models, seed=options.seed)),
        dataset=dataset_facts(embedded.dataset, framing=options.framing),
        tasks=tuple(task.name for task in tasks),
        draws=DRAWS,
        rows=efficiency(embedded.vectors, tasks, embedded.subjects, embedded.tested, seed=options.seed),
    )
    write_study(options.out, results, table(results.rows))
