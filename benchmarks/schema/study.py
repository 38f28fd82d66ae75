"""The parts of results.json that all studies share, one dataclass per JSON object.

Nothing here measures or writes. Each study module in benchmarks/studies derives its own results from `StudyRun` or
`StudyProvenance`, so that these keys stand first in its results.json. Results hold numbers; text is made of them when a
table is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.schema.provenance import command_line, now
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.embedders.base import EmbedderInfo


@dataclass(frozen=True)
class StudyModel:
    """An exported model that a study compares with the teacher."""

    name: str
    sha256: str  # of the .tflite file
    precision: str  # one of hearlite.spec.PRECISION_NAMES


@dataclass(frozen=True)
class StudyDataset:
    """A dataset that a study measured on."""

    name: str
    sha256: str  # of names, sizes, events, subjects and splits
    labels_sha256: str
    synthetic: bool
    framing: str  # of events shorter than a clip, one of hearlite.names.FRAMINGS


@dataclass(frozen=True)
class StudyRun:
    """When and by which command the results of a study were made."""

    schema: str
    command: str
    created: str  # UTC, ISO 8601


def study_run(schema: str) -> StudyRun:
    """Return the provenance of results that are made now, by the command that is running."""
    return StudyRun(schema, command_line(), now())


@dataclass(frozen=True)
class StudyProvenance(StudyRun):
    """The provenance of a study that compares a teacher with its students."""

    teacher: EmbedderInfo
    models: tuple[StudyModel, ...]
    seed: int  # of folds, draws and bootstrap
    samples: int  # bootstrap replicates behind every interval


@dataclass(frozen=True)
class ModelAuroc:
    """The AUROC of one model, and its paired difference to the reference; null for the reference itself."""

    model: str
    auroc: Estimate
    difference: Estimate
