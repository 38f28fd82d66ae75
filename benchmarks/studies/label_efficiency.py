"""How few labels are enough: probes of teacher, student and baseline fitted to a part of the training subjects, tested
on all test subjects.

    python -m hearlite.benchmarks.studies.label_efficiency DATA --teacher hear:DIR --model FILE.tflite --label COLUMN
    --out efficiency

A part is of whole subjects, since one person's clips are not independent labels, and smaller parts lie within larger
ones. Every part is drawn several times; an AUROC is the mean over the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, mean_over_tasks, scored
from hearlite.benchmarks.studies.inputs import (
    data_argument,
    dataset_facts,
    embed_data,
    framing_option,
    labels_option,
    models_option,
    out_option,
    provenance,
    seed_option,
    teacher_option,
    write_study,
)
from hearlite.benchmarks.tasks.binary import Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.serialization import to_dict
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-label-efficiency/1"
SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)  # of the training subjects
DRAWS = 5  # of each part but the whole; judgement: the curve settles, and a run takes as long as ten benches
SAMPLES = 2_000  # bootstrap replicates
_FEWEST = 3  # subjects of a class in a part: one for each fold


def draw_subset(labels: Bools, subjects: NDArray[np.str_], *, share: float, draw: int, seed: int) -> Bools:
    """Which training clips [n] are in a part: `share` of the subjects with a positive clip and of those with none, at
    least three of each.

    A draw's smaller parts lie within its larger ones.
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
) -> list[dict[str, Any]]:
    """For every share of SHARES the training subjects and every model's mean AUROC over tasks, with interval and
    difference to the first model.

    Parameters: embeddings [n, dim]; `subjects`, `tested` [n]. A part that leaves a task without both classes in two
    folds counts as not drawn.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("label efficiency", total=len(SHARES)) as advance:
        for done, share in enumerate(SHARES, start=1):
            found, counts, unused = [], [], 0
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
                found.append(bootstrap_aurocs(by_model, task.labels[side], subject_index[task.labelled[tested]], draws))
            means = scored(mean_over_tasks(found), reference=next(iter(models)), margin=AUROC_MARGIN)
            of_models = [
                {"model": item.model, "auroc": to_dict(item.auroc), "difference": to_dict(item.difference)}
                for item in means
            ]
            row = {
                "share": share,
                "subjects": float(np.mean(counts)),
                "parts": len(counts) - unused,
                "parts_without_two_classes": unused,
            }
            rows.append({**row, "models": of_models})
            advance(done)
    return rows


def _scores(
    models: Mapping[str, Floats],
    task: Task,
    train: NDArray[np.intp],
    side: Bools,
    subjects: NDArray[np.str_],
    *,
    seed: int,
) -> dict[str, Floats] | None:
    """Test scores of every model's probe of the clips `train`; None where the part has no fold with both classes on
    both sides.
    """
    labels = task.labels[train]
    folds = fold_table(labels, subjects[train], seed=seed)
    try:
        return {
            name: fit_probe(values[train], labels, values[side], folds=folds).scores for name, values in models.items()
        }
    except InputError:
        return None


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a line for each share, a column for each model."""
    models = [item["model"] for item in results["rows"][0]["models"]]
    lines = [f"| training subjects | {' | '.join(models)} |", f"|---|{'---|' * len(models)}"]
    for row in results["rows"]:
        cells = [_cell(item["auroc"]) for item in row["models"]]
        lines.append(f"| {100 * row['share']:.0f} % ({row['subjects']:.0f}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\nMean AUROC over tasks on all test subjects, 95 % intervals over test subjects.\n"


def _cell(estimate: Mapping[str, float | None]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    return "–" if value is None or low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


@click.command()
@data_argument
@teacher_option
@models_option
@labels_option
@framing_option
@seed_option
@out_option
def command(
    data: Path,
    teacher: str,
    models: tuple[Path, ...],
    label_columns: tuple[str, ...],
    framing: str,
    seed: int,
    out: Path,
) -> None:
    """Fit probes to 100, 50, 25, 10 and 5 % of DATA's training subjects; writes results and a table."""
    found = embed_data(
        data, teacher=teacher, models=models, label_columns=label_columns, framing=framing, baseline=True
    )
    tasks, _ = make_tasks(found.clips, label_columns)
    results = {
        **provenance(SCHEMA, found.models, seed=seed, samples=SAMPLES),
        "dataset": dataset_facts(found.dataset, framing=framing),
        "tasks": [task.name for task in tasks],
        "draws": DRAWS,
        "rows": efficiency(found.vectors, tasks, found.subjects, found.tested, seed=seed),
    }
    write_study(out, results, table(results))
