"""Do recordings without labels help where labels are few? Self-training against a probe of the labelled subjects alone,
teacher and students.

    python -m hearlite.benchmarks.studies.self_training DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out
    semi_supervised

A part of the training subjects keeps its labels, the others lose theirs. Self-training lets a probe label their clips,
in rounds: of each class only its surest share, in the proportion that the labelled clips have (class-balanced
self-training, Zou et al. 2018, arXiv:1810.07911: by confidence alone the frequent class would take everything). A
subject is labelled or unlabelled, never both; test subjects are neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe, regularisation_path
from hearlite.benchmarks.report.dot_plot import Dots, write_dots
from hearlite.benchmarks.report.format import auroc_text, difference_text, tasks_text
from hearlite.benchmarks.report.svg import MARKERS
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, mean_over_tasks, paired_means, scored
from hearlite.benchmarks.stats.estimates import Estimate
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
from hearlite.benchmarks.studies.label_efficiency import draw_subset
from hearlite.benchmarks.tasks.binary import Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.serialization import to_dict
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-semi-supervised/1"
SHARES = (0.25, 0.1, 0.05)  # of the training subjects that keep their labels
DRAWS = 5  # of each share
# Of the unlabelled clips that are taken. Zou et al. go from 20 to 50 %; in simulated clusters that was worse than none:
# the half that a linear probe is surest of lies far along its own direction, right or wrong, and teaches it nothing.
ROUNDS = (0.2, 0.5, 0.8)
SAMPLES = 2_000  # bootstrap replicates
SUPERVISED, SELF_TRAINED = "supervised", "self-trained"


def self_train(
    labelled: Floats, labels: Bools, unlabelled: Floats, test: Floats, *, c: float
) -> tuple[Floats, Bools, Bools]:
    """(test scores [n_test], pseudo-labels of the unlabelled clips, which of them were taken) of the last round.

    Parameters: embeddings [n, dim] each, `labels` of the labelled; `c`, the regularisation that the labelled subjects
    chose: pseudo-labels choose nothing. Every round labels anew all clips that it takes, so an early error can be taken
    back.
    """
    positives = float(labels.mean()) * len(unlabelled)
    train, targets, both = labelled, labels, np.concatenate([unlabelled, test])
    for share in (*ROUNDS, None):
        ((scores, _),) = regularisation_path(train, targets, both, grid=(c,))
        if share is None:
            break
        order = np.argsort(scores[: len(unlabelled)], kind="stable")
        pseudo, taken = np.zeros((2, len(unlabelled)), dtype=bool)
        most = order[len(order) - round(share * positives) :]
        taken[most] = taken[order[: round(share * (len(unlabelled) - positives))]] = True
        pseudo[most] = True
        train, targets = np.concatenate([labelled, unlabelled[taken]]), np.concatenate([labels, pseudo[taken]])
    return scores[len(unlabelled) :], pseudo, taken


def semi_supervised(
    models: Mapping[str, Floats],
    tasks: Sequence[Task],
    subjects: Any,
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> list[dict[str, Any]]:
    """For every share of SHARES: mean AUROC over tasks of every model, supervised and self-trained, and the paired
    gain.

    Parameters: embeddings [n, dim], the teacher's first; `subjects`, `tested` [n]. An AUROC is the mean over DRAWS
    parts; a part of a task without both classes in two folds is left out and counted. Raises InputError when that
    leaves none.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    with progress("self-training", total=len(SHARES)) as advance:
        for done, share in enumerate(SHARES, start=1):
            by_task = [_parts(models, task, subjects, tested, share=share, seed=seed) for task in tasks]
            found = []
            for task, parts in zip(tasks, by_task, strict=True):
                scores = {key: np.stack([part[0][key] for part in parts]) for key in parts[0][0]}
                found.append(
                    bootstrap_aurocs(
                        scores, task.labels[task.labelled & tested], subject_index[task.labelled[tested]], draws
                    )
                )
            means = mean_over_tasks(found)
            aurocs = {
                item.model: item.auroc
                for item in scored(means, reference=_key(next(iter(models)), SUPERVISED), margin=AUROC_MARGIN)
            }
            gains = paired_means(
                [(_key(model, SELF_TRAINED), _key(model, SUPERVISED)) for model in models], means, margin=AUROC_MARGIN
            )
            every = [part for parts in by_task for part in parts]
            of_models = [
                {
                    "model": model,
                    SUPERVISED: to_dict(aurocs[_key(model, SUPERVISED)]),
                    SELF_TRAINED: to_dict(aurocs[_key(model, SELF_TRAINED)]),
                    "gain": to_dict(gain.difference),
                    "pseudo_labels_right": float(np.mean([part[1][model] for part in every])),
                }
                for model, gain in zip(models, gains, strict=True)
            ]
            counts = {
                "subjects": float(np.mean([part[2] for part in every])),
                "parts": len(every),
                "parts_left_out": DRAWS * len(tasks) - len(every),
            }
            rows.append({"share": share, **counts, "models": of_models})
            advance(done)
    return rows


def _parts(
    models: Mapping[str, Floats], task: Task, subjects: Any, tested: Bools, *, share: float, seed: int
) -> list[Any]:
    """Of each usable draw: (test scores by model and method, share of right pseudo-labels by model, labelled
    subjects).
    """
    inside, outside = np.flatnonzero(task.labelled & ~tested), np.flatnonzero(task.labelled & tested)
    found = []
    for draw in range(DRAWS):
        part = draw_subset(task.labels[inside], subjects[inside], share=share, draw=draw, seed=seed)
        known, hidden = inside[part], inside[~part]
        labels, folds = task.labels[known], fold_table(task.labels[known], subjects[known], seed=seed)
        scores: dict[str, Floats] = {}
        right: dict[str, Any] = {}
        try:
            for model, values in models.items():
                alone = fit_probe(values[known], labels, values[outside], folds=folds)
                trained, pseudo, taken = self_train(
                    values[known], labels, values[hidden], values[outside], c=alone.chosen["C"]
                )
                scores |= {_key(model, SUPERVISED): alone.scores, _key(model, SELF_TRAINED): trained}
                right[model] = float(np.mean(pseudo[taken] == task.labels[hidden][taken]))
        except InputError:  # no fold has both classes on both sides
            continue
        found.append((scores, right, len(set(subjects[known].tolist()))))
    if not found:
        raise InputError(
            f"{task.name}: {100 * share:g} % of the training subjects can't be probed", "label more training subjects"
        )
    return found


def _key(model: str, method: str) -> str:
    return f"{model}: {method}"


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a line for each share, the methods and the gain of each model."""
    models = [item["model"] for item in results["rows"][0]["models"]]
    head = " | ".join(f"{name}, {SUPERVISED} | {SELF_TRAINED} | gain" for name in models)
    lines = [f"| labelled training subjects | {head} |", f"|---|{'---|' * (3 * len(models))}"]
    for row in results["rows"]:
        cells = []
        for item in row["models"]:
            cells += [auroc_text(Estimate(**item[method])) for method in (SUPERVISED, SELF_TRAINED)] + [
                difference_text(Estimate(**item["gain"]))
            ]
        lines.append(f"| {100 * row['share']:.0f} % ({row['subjects']:.0f}) | {' | '.join(cells)} |")
    said = (
        f"Mean AUROC over {tasks_text(results['tasks'])} on all {results['test_subjects']} test subjects, and over"
        f" {results['draws']} draws of "
    )
    return (
        "\n".join(lines)
        + f"\n\n{said}labelled subjects. 95 % intervals over test subjects; gains are paired: same subjects and C.\n"
    )


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """The gain by share of labelled subjects, models side by side."""
    precision = {item["name"]: item["precision"] for item in results["models"]}
    names = [item["model"] for item in results["rows"][0]["models"]]
    series = [
        Dots(name, MARKERS[precision.get(name, "teacher")], [row["models"][number]["gain"] for row in results["rows"]])
        for number, name in enumerate(names)
    ]
    groups = [(f"{100 * row['share']:.0f} % ({row['subjects']:.0f})", "") for row in results["rows"]]
    title = f"{results['dataset']['name']}: labelled training subjects; {results['test_subjects']} test subjects"
    write_dots(
        series,
        groups,
        path,
        xlabel="mean AUROC of self-training less that of the labelled subjects alone",
        title=title,
        line=0.0,
    )


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
    """Hide the labels of most of DATA's training subjects and see what self-training makes of them; writes results, a
    table and a plot.
    """
    found = embed_data(data, teacher=teacher, models=models, label_columns=label_columns, framing=framing)
    tasks, left_out = make_tasks(found.clips, label_columns)
    results = {
        **provenance(SCHEMA, found.models, seed=seed, samples=SAMPLES),
        "dataset": dataset_facts(found.dataset, framing=framing),
        "tasks": [task.name for task in tasks],
        "left_out": [to_dict(item) for item in left_out],
        "draws": DRAWS,
        "rounds": ROUNDS,
        "test_subjects": len(set(found.subjects[found.tested].tolist())),
        "rows": semi_supervised(found.vectors, tasks, found.subjects, found.tested, seed=seed),
    }
    write_plot(results, out / "semi_supervised.svg")
    write_study(out, results, table(results))
