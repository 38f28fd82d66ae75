"""Fit personal heads to a few clips of a class, and see how well they find it in other people's recordings.

    hearlite study own-sounds DATA --teacher tflite:FILE --model FILE.tflite --label COLUMN --out own-sounds

A head is fitted as `hearlite enroll` does: to 3, 5 or 10 clips of as many training subjects, alone (cosine) or beside
one clip each of other training subjects (logistic). All are tested on all test subjects. Examples are drawn several
times; an AUROC is the mean over the draws, then over classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import make_tasks
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
from hearlite.events.personal import fit_head
from hearlite.progress import progress
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-own-sounds/1"
EXAMPLES = (3, 5, 10)  # as the first line of docs/guide/events.md advises
OTHERS = 60  # subjects of other sounds: a minute or two of one's surroundings
DRAWS = 5  # of examples. Heuristic, no published source: the mean over classes settles


@dataclass(frozen=True)
class OwnSoundsRow:
    """Heads of one kind that were fitted to one number of examples, over all classes."""

    examples: int
    others: int  # 0: cosine
    models: tuple[ModelAuroc, ...]
    found: tuple[float, ...]  # by model: the share of a class's test clips at or above the head's own threshold
    mistaken: tuple[float, ...]  # by model: the share of other test clips there


@dataclass(frozen=True)
class OwnSoundsResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    classes: tuple[str, ...]
    draws: int
    rows: tuple[OwnSoundsRow, ...]


def own_sounds(
    models: Mapping[str, Floats],
    tasks: Sequence[Task],
    subjects: NDArray[np.str_],
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> tuple[OwnSoundsRow, ...]:
    """Return a row for each number of examples and kind of head.

    Parameters
    ----------
    models
        Embeddings [n, dim] by model; differences are to the first.
    tasks
        A class against all others each, over the same n clips.
    subjects, tested
        Subject of each clip, and the mask of test clips, [n].
    seed
        Of examples and bootstrap.
    samples
        Bootstrap replicates.

    Raises
    ------
    InputError
        When a class has fewer training subjects than examples.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    weights = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("own sounds", total=2 * len(EXAMPLES)) as advance:
        for count in EXAMPLES:
            for others in (0, OTHERS):
                by_task, found, mistaken = [], [], []
                for task in tasks:
                    side = task.labelled & tested
                    drawn = [
                        _tried(models, task, subjects, tested, count, others, np.random.default_rng([seed, draw]))
                        for draw in range(DRAWS)
                    ]
                    scores = {name: np.stack([item[name][0] for item in drawn]) for name in models}
                    passed = {name: np.stack([item[name][1] for item in drawn]) for name in models}
                    labels = task.labels[side]
                    found.append([passed[name][:, labels].mean() for name in models])
                    mistaken.append([passed[name][:, ~labels].mean() for name in models])
                    by_task.append(bootstrap_aurocs(scores, labels, subject_index[task.labelled[tested]], weights))
                means = scored(mean_over_tasks(by_task), reference=next(iter(models)), margin=AUROC_MARGIN)
                rows.append(
                    OwnSoundsRow(
                        count,
                        others,
                        tuple(ModelAuroc(item.model, item.auroc, item.difference) for item in means),
                        tuple(np.mean(found, axis=0).tolist()),
                        tuple(np.mean(mistaken, axis=0).tolist()),
                    )
                )
                advance(len(rows))
    return tuple(rows)


def _tried(
    models: Mapping[str, Floats],
    task: Task,
    subjects: NDArray[np.str_],
    tested: Bools,
    count: int,
    others: int,
    rng: np.random.Generator,
) -> dict[str, tuple[Floats, Bools]]:
    """Return the scores of test clips, and whether they reach the threshold, by model, for one draw of examples."""
    own = _one_each(np.flatnonzero(task.labelled & ~tested & task.labels), subjects, count, rng)
    if len(own) < count:
        raise InputError(f"{task.name}: {len(own)} training subjects", f"{count} are needed, as many as examples")
    strange = np.flatnonzero(task.labelled & ~tested & ~task.labels & ~np.isin(subjects, subjects[own]))
    foreign = _one_each(strange, subjects, others, rng)
    found = {}
    for name, vectors in models.items():
        head = fit_head(
            [vectors[index, None] for index in own],
            [vectors[index, None] for index in foreign],
            label=task.name,
            model=name,
        )
        scores = head.scores(vectors[task.labelled & tested])
        found[name] = (scores, scores >= head.threshold)
    return found


def _one_each(
    clips: NDArray[np.intp], subjects: NDArray[np.str_], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draw a clip each of up to `count` subjects."""
    shuffled = rng.permutation(clips)
    _, first = np.unique(subjects[shuffled], return_index=True)
    return np.asarray(rng.permutation(shuffled[first])[:count])


def table(results: OwnSoundsResults) -> str:
    """Render Markdown: a line for each number of examples and kind of head, a column for each model."""
    names = [item.model for item in results.rows[0].models]
    lines = [f"| examples | other sounds | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for row in results.rows:
        cells = [
            f"{auroc_text(item.auroc)}; {100 * found:.0f} and {100 * mistaken:.0f} %"
            for item, found, mistaken in zip(row.models, row.found, row.mistaken, strict=True)
        ]
        lines.append(f"| {row.examples} | {row.others or 'none'} | {' | '.join(cells)} |")
    return (
        "\n".join(lines)
        + f"\n\nMean AUROC of {len(results.classes)} classes on all test subjects, 95 % intervals over them, and the"
        + " share of a class's clips that reach the head's own threshold, and of other clips.\n"
    )


@study_command(labels=True)
def command(options: StudyOptions) -> None:
    """Fit personal heads to 3, 5 and 10 clips of each class of DATA; writes results and a table."""
    embedded = options.embed()
    tasks, _ = make_tasks(embedded.clips, options.label_columns, positives=embedded.dataset.positives)
    rows = own_sounds(embedded.vectors, tasks, embedded.subjects, embedded.tested, seed=options.seed)
    results = OwnSoundsResults(
        **vars(provenance(SCHEMA, embedded.models, seed=options.seed)),
        dataset=dataset_facts(embedded.dataset, framing=options.framing),
        classes=tuple(task.name for task in tasks),
        draws=DRAWS,
        rows=rows,
    )
    write_study(options.out, results, table(results))
