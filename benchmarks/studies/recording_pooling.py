"""What a record of many clips is worth beside one clip of it: mean, maximum and learned attention over its clips,
teacher and students.

    python -m hearlite.benchmarks.studies.recording_pooling DATA --teacher hear:DIR --model FILE.tflite --label COLUMN
    --out pooling

A record is a row of the manifest: a whole recording, as `hearlite import sprsound-records` lists them, or a long event;
its label is what is predicted. Every method is fitted to training subjects alone. AUROCs are of records, one score
each, so all methods answer the same question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.probes.multiple_instance import (
    ClipBags,
    fit_attention,
    group_clips,
    group_recordings,
    recording_lengths,
)
from hearlite.benchmarks.report.dot_plot import Dots, write_dots
from hearlite.benchmarks.report.format import auroc_text, difference_text, tasks_text
from hearlite.benchmarks.report.svg import MARKERS
from hearlite.benchmarks.schema.baselines import DURATION
from hearlite.benchmarks.stats.bootstrap import Bools, Floats, Owners, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import (
    BootstrapAurocs,
    bootstrap_aurocs,
    mean_over_tasks,
    paired_means,
    scored,
)
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import (
    EmbeddedDataset,
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
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, Task
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.serialization import to_dict
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-pooling/1"
SAMPLES = 2_000  # bootstrap replicates
SINGLE = "single clip"
METHODS = {
    SINGLE: "one clip of the record, drawn at random, by a probe of all training clips; mean over the draws",
    "first clip": "a probe of the first clips alone",
    "mean embedding": "a probe of each record's mean embedding",
    "max embedding": "a probe of each record's largest value in each dimension",
    "attention": "a probe of a weighted mean embedding, its weights learned on training subjects",
    "mean score": "the mean of what the single clip's probe says of each clip",
    "max score": "the largest of these: one clip that is heard as positive is enough",
}
_PICKS = 20  # random clips of each record; their mean settles to 0.002 of AUROC


def scores_by_method(
    train: ClipBags, labels: Bools, test: ClipBags, *, folds: Owners, seed: int
) -> tuple[dict[str, Floats], float]:
    """(scores of the test records by every method of METHODS: [records], of SINGLE [picks, records]; the penalty that
    attention chose).

    Parameters: `labels` and `folds` [training records]; a clip is in its record's fold.
    """
    by_clip = fit_probe(train.values, labels[train.subject_index], test.values, folds=folds[train.subject_index]).scores
    picks = np.random.default_rng(seed).integers(test.counts, size=(_PICKS, len(test.counts)))
    mean = fit_probe(train.mean(), labels, test.mean(), folds=folds)
    attention = fit_attention(train, labels, test, folds=folds, mean=mean)
    scores = {
        SINGLE: by_clip[test.starts + picks],
        "first clip": fit_probe(train.values[train.starts], labels, test.values[test.starts], folds=folds).scores,
        "mean embedding": mean.scores,
        "max embedding": fit_probe(train.maxima(train.values), labels, test.maxima(test.values), folds=folds).scores,
        "attention": attention.scores,
        "mean score": test.sums(by_clip) / test.counts,
        "max score": test.maxima(by_clip),
    }
    return scores, attention.chosen["attention penalty"]


def pooling(
    models: Mapping[str, ClipBags],
    tasks: Sequence[Task],
    subjects: Any,
    tested: Bools,
    *,
    seed: int,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Every method and model on every task and as means over them: AUROC, its difference to SINGLE of that model and to
    the teacher's same method.

    Parameters: `models`, the teacher's first; tasks, `subjects` and `tested` by record. The same clips are drawn for
    all models. An "attention_penalty" of null is the plain mean, which attention chose.
    """
    people, subject_index = np.unique(subjects[tested], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    found, penalties = [], []
    with progress("pooling", total=len(tasks)) as advance:
        for done, task in enumerate(tasks, start=1):
            inside, outside = (np.flatnonzero(task.labelled & side) for side in (~tested, tested))
            labels = task.labels[inside]
            folds = fold_table(labels, subjects[inside], seed=seed)
            scores, chosen = {}, {}
            for model, bags in models.items():
                by_method, chosen[model] = scores_by_method(
                    bags.take(inside), labels, bags.take(outside), folds=folds, seed=seed
                )
                scores.update({_key(model, method): values for method, values in by_method.items()})
            penalties.append({model: None if math.isinf(penalty) else penalty for model, penalty in chosen.items()})
            found.append(bootstrap_aurocs(scores, task.labels[outside], subject_index[task.labelled[tested]], draws))
            advance(done)
    by_task = [
        {
            "name": task.name,
            **_counts(task, subjects, tested),
            "attention_penalty": penalty,
            "rows": _rows(item, list(models)),
        }
        for task, item, penalty in zip(tasks, found, penalties, strict=True)
    ]
    return {"mean": _rows(mean_over_tasks(found), list(models)), "tasks": by_task}


def _key(model: str, method: str) -> str:
    return f"{model}: {method}"


def _rows(aurocs: BootstrapAurocs, models: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each method, with the figures of every model."""
    reference, *others = models
    estimates = {
        item.model: item.auroc for item in scored(aurocs, reference=_key(reference, SINGLE), margin=AUROC_MARGIN)
    }
    pairs = [(_key(model, method), _key(model, SINGLE)) for model in models for method in METHODS if method != SINGLE]
    pairs += [(_key(model, method), _key(reference, method)) for model in others for method in METHODS]
    differences = {(pair.model, pair.to): pair.difference for pair in paired_means(pairs, aurocs, margin=AUROC_MARGIN)}
    rows = []
    for method in METHODS:
        cells = []
        for model in models:
            key = _key(model, method)
            to_single, to_reference = (
                differences.get((key, to), Estimate()) for to in (_key(model, SINGLE), _key(reference, method))
            )
            cell = {"auroc": estimates[key], "to_single_clip": to_single, "to_teacher": to_reference}
            cells.append({"model": model, **{name: to_dict(estimate) for name, estimate in cell.items()}})
        rows.append({"method": method, "models": cells})
    return rows


def _counts(task: Task, subjects: Any, tested: Bools) -> dict[str, Any]:
    sides = {"train": task.labelled & ~tested, "test": task.labelled & tested}
    return {
        name: {
            "records": int(side.sum()),
            "positive": int(task.labels[side].sum()),
            "subjects": len(set(subjects[side].tolist())),
        }
        for name, side in sides.items()
    }


def study(found: EmbeddedDataset, label_columns: Sequence[str], *, seed: int, samples: int = SAMPLES) -> dict[str, Any]:
    """The study's own part of results.json. Raises InputError where no record has two clips."""
    records, of_clip = group_recordings(found.clips)
    counts = np.bincount(of_clip)
    if counts.max() < 2:
        raise InputError(
            f"{found.dataset.name}: all {len(records)} records are one clip each",
            "pooling needs whole recordings or longer events",
        )
    tasks, left_out = make_tasks(records, label_columns)
    subjects, tested = (
        np.asarray([item.subject for item in records]),
        np.asarray([item.split == TEST_SPLIT for item in records], dtype=np.bool_),
    )
    facts: dict[str, Any] = {
        "train": int((~tested).sum()),
        "test": int(tested.sum()),
        "test_subjects": len(set(subjects[tested].tolist())),
    }
    facts |= {
        "median_clips": float(np.median(counts)),
        "most_clips": int(counts.max()),
        "of_one_clip": int((counts == 1).sum()),
    }
    vectors = {
        **found.vectors,
        DURATION: recording_lengths(records, of_clip)[of_clip],
    }  # a longer record has more chances to a high score
    models = {name: group_clips(values, of_clip) for name, values in vectors.items()}
    measured = pooling(models, tasks, subjects, tested, seed=seed, samples=samples)
    return {"records": facts, "left_out": [to_dict(item) for item in left_out], **measured}


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
    """Pool the clips of DATA's records in several ways, against a single clip of each; writes results, a table and a
    plot.
    """
    found = embed_data(data, teacher=teacher, models=models, label_columns=label_columns, framing=framing)
    results = {
        **provenance(SCHEMA, found.models, seed=seed, samples=SAMPLES),
        "dataset": dataset_facts(found.dataset, framing=framing),
        "methods": METHODS,
        **study(found, label_columns, seed=seed),
    }
    write_plot(results, out / "pooling.svg")
    write_study(out, results, table(results))


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a line for each method, of the mean over tasks."""
    models = [item["model"] for item in results["mean"][0]["models"]]
    head = [
        f"{models[0]} | less its single clip",
        *(f"{name} | less its single clip | less the teacher's" for name in models[1:]),
    ]
    lines = [f"| pooling | {' | '.join(head)} |", f"|---|{'---|' * (3 * len(models) - 1)}"]
    for row in results["mean"]:
        cells = []
        for number, item in enumerate(row["models"]):
            cells += [auroc_text(Estimate(**item["auroc"])), difference_text(Estimate(**item["to_single_clip"]))]
            cells += [difference_text(Estimate(**item["to_teacher"]))] if number else []
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    facts = results["records"]
    chosen = [penalty for task in results["tasks"] for penalty in task["attention_penalty"].values()]
    said = f"Mean AUROC of records over {tasks_text(results['tasks'])}: {facts['test']} in test, of "
    said += f"{facts['test_subjects']} subjects, with "
    said += f"{facts['median_clips']:g} clips in the median and {facts['most_clips']} at most. "
    said += (
        "95 % intervals over test subjects; differences are paired. Attention kept the plain mean in"
        f" {chosen.count(None)} of {len(chosen)} probes."
    )
    return (
        "\n".join([*lines, "", said, "", *(f"- {method}: {what}" for method, what in results["methods"].items())])
        + "\n"
    )


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Mean AUROC by method, models side by side."""
    precision = {item["name"]: item["precision"] for item in results["models"]} | {DURATION: "baseline"}
    series = [
        Dots(
            item["model"],
            MARKERS[precision.get(item["model"], "teacher")],
            [row["models"][number]["auroc"] for row in results["mean"]],
        )
        for number, item in enumerate(results["mean"][0]["models"])
    ]
    facts = results["records"]
    title = f"{results['dataset']['name']}: {facts['test']} test records of {facts['test_subjects']} subjects"
    groups = [
        (row["method"], "one clip" if row["method"].endswith(" clip") else "all clips") for row in results["mean"]
    ]
    write_dots(series, groups, path, xlabel="mean AUROC over tasks, by record, 95 % interval", title=title, line=0.5)
