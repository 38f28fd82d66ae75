"""How well files with heads of events tell each class from other sounds, beside the network that they learned from.

    hearlite study event-scores DATA --teacher tflite:FILE#scores --model FILE --class cough=coughing --out OUT

Of test subjects' recordings, each with the highest score of its clips: a cough fills a fraction of a second of what is
labelled so. The network hears the same clips. A class that a file lacks is left out of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
import numpy as np

from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.report.format import auroc_text, difference_text
from hearlite.benchmarks.schema.study import ModelAuroc, StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.bootstrap import Floats, bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs, scored
from hearlite.benchmarks.studies.inputs import (
    SAMPLES,
    EmbeddedDataset,
    Models,
    StudyOptions,
    dataset_facts,
    embedded_by,
    open_models,
    provenance,
    study_command,
    write_study,
)
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.export.event_scorer import event_table
from hearlite.spec import AUROC_MARGIN

SCHEMA = "hearlite-event-scores/1"


@dataclass(frozen=True)
class ClassScores:
    """One class, on test subjects."""

    label: str
    meant: tuple[str, ...]  # labels of the data
    recordings: int  # that are of it
    subjects: int
    others: int  # recordings that are not
    models: tuple[ModelAuroc, ...]  # the network first


@dataclass(frozen=True)
class EventScoreResults(StudyProvenance):
    """The whole of results.json."""

    dataset: StudyDataset
    classes: tuple[ClassScores, ...]


def class_scores(
    found: EmbeddedDataset,
    classes: Mapping[str, Sequence[str]],
    scores: Mapping[str, Mapping[str, Floats]],
    *,
    column: str,
    seed: int,
    samples: int = SAMPLES,
) -> tuple[ClassScores, ...]:
    """Return each class's AUROC by the network and by each file that has it.

    Parameters
    ----------
    found
        The dataset.
    classes
        Labels of the data that mean each class.
    scores
        [n] by class and model, the network's first.
    column
        The label column; recordings without a label are left out.
    seed
        Of the bootstrap.
    samples
        Bootstrap replicates.

    Raises
    ------
    InputError
        When no test recording is of a class.
    """
    labels = found.column(column).astype(str)
    side = found.tested & (labels != "")
    names, first, places = np.unique(
        [clip.name for clip in np.asarray(found.clips, object)[side]], return_index=True, return_inverse=True
    )
    labels = labels[side][first]
    people, owners = np.unique(found.subjects[side][first], return_inverse=True)
    draws = bootstrap_weights(len(people), samples=samples, seed=seed)
    rows = []
    for label, meant in classes.items():
        positive = np.isin(labels, list(meant))
        if not 0 < positive.sum() < len(positive):
            raise InputError(f"no test recording is of {label!r}", f"its labels are {', '.join(meant)}")
        by_model = {}
        for name, values in scores[label].items():
            by_model[name] = np.full(len(names), -np.inf)
            np.maximum.at(by_model[name], places, values[side])
        aurocs = scored(bootstrap_aurocs(by_model, positive, owners, draws), reference=TEACHER, margin=AUROC_MARGIN)
        rows.append(
            ClassScores(
                label,
                tuple(meant),
                int(positive.sum()),
                len(np.unique(owners[positive])),
                int((~positive).sum()),
                tuple(ModelAuroc(item.model, item.auroc, item.difference) for item in aurocs),
            )
        )
    return tuple(rows)


def table(rows: Sequence[ClassScores]) -> str:
    """Render Markdown: a row for each class and model."""
    lines = ["| class | recordings (subjects) | model | AUROC | less than the network's by |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.label} | {row.recordings} ({row.subjects}) of {row.recordings + row.others} | {item.model} |"
        f" {auroc_text(item.auroc)} | {difference_text(item.difference) if item.difference else ''} |"
        for row in rows
        for item in row.models
    ]
    return "\n".join(lines) + "\n\n95 % intervals over test subjects.\n"


@study_command(labels=True)
@click.option(
    "--class",
    "pairs",
    multiple=True,
    required=True,
    metavar="CLASS=LABEL",
    help="A class of the network, and its label in the data; may be repeated.",
)
def command(options: StudyOptions, pairs: tuple[str, ...]) -> None:
    """Compare scores of events with the network's that taught them, by the labels of DATA."""
    classes: dict[str, list[str]] = {}
    for pair in pairs:
        label, equals, theirs = pair.partition("=")
        if not (label and equals and theirs):
            raise UsageError(f"--class is {pair!r}", "use CLASS=LABEL, such as cough=coughing")
        classes.setdefault(label, []).append(theirs)
    (dataset,) = options.load(options.label_columns)
    models = open_models(options.teacher, options.models, [dataset])
    network = event_table(models.embedders[TEACHER].info.dim, classes=None, source=options.teacher)
    heads = {item.name: item.head for item in models.manifests}
    unknown = sorted(set(classes) - set(network.classes))
    if unknown:
        raise UsageError(f"the network has no class {unknown[0]!r}", f"use {', '.join(network.classes)}")
    scorers = {TEACHER: models.embedders[TEACHER]}
    for path, manifest in zip(options.models, models.manifests, strict=True):
        if manifest.head is None:
            raise InputError(f"{path} has no scores", "name files with a head of events")
        scorers[manifest.name] = TfliteEmbedder(path, output=manifest.head.output)
    found = embedded_by(dataset, Models(scorers, models.manifests))
    scores: dict[str, dict[str, Floats]] = {}
    for label in classes:
        heard = found.vectors[TEACHER][:, list(network.classes[label])].max(axis=1)
        scores[label] = {TEACHER: heard}
        for name, head in heads.items():
            places = [] if head is None else [item.name for item in head.labels]
            if label in places:
                scores[label][name] = found.vectors[name][:, places.index(label)]
    column = options.label_columns[0]
    results = EventScoreResults(
        **vars(provenance(SCHEMA, models, seed=options.seed)),
        dataset=dataset_facts(dataset, framing=options.framing),
        classes=class_scores(found, classes, scores, column=column, seed=options.seed),
    )
    write_study(options.out, results, table(results.classes))
