"""The results.json of the robustness study, one dataclass per JSON object."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.schema.study import StudyDataset, StudyProvenance
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.robustness.perturbations import Condition
from hearlite.benchmarks.tasks.binary import LeftOut


@dataclass(frozen=True)
class ConditionCounts(Condition):
    """A condition and its effect on the test clips; see `Perturbed`."""

    changed: int  # clips
    clipped: int  # clips
    clipped_samples: int
    missing: int  # clips
    silenced: int  # clips


@dataclass(frozen=True)
class ConditionResult:
    """One model under one condition."""

    condition: str
    auroc: float  # mean over tasks
    change: Estimate  # less the AUROC on clean clips
    beyond_reference: Estimate  # change less the teacher's; null for the teacher
    verdict: str  # on `beyond_reference`, one of VERDICTS; "" for the teacher
    gain_verdict: str  # on `change` under gain: WITHIN, BEYOND or INCONCLUSIVE of verdicts.py; "" for other kinds
    tasks: dict[str, float]  # AUROC by task
    centred_cosine: float  # of clean and changed embeddings, mean over clips


@dataclass(frozen=True)
class ModelResult:
    """One model under all conditions."""

    model: str
    clean: Estimate  # mean AUROC over tasks
    c: tuple[float, ...]  # inverse regularisation by task
    unconverged: int  # fits that stopped early
    conditions: tuple[ConditionResult, ...]


@dataclass(frozen=True)
class Requirement:
    """One requirement over several conditions."""

    verdict: str
    passed: int  # conditions
    conditions: int
    furthest: str  # the condition whose interval reaches furthest to the bad side
    change: Estimate | None = None  # of `furthest`, where the requirement is about the change itself
    beyond_reference: Estimate | None = None  # of `furthest`, where it is about the change beyond the teacher's


@dataclass(frozen=True)
class Requirements:
    """hearlite's requirements of one student; null where no condition of their kind changed a clip."""

    model: str
    float_gain: Requirement | None
    gain: Requirement | None
    shift_and_padding: Requirement | None


@dataclass(frozen=True)
class SideCounts:
    """Readable clips and their subjects on one side of the split."""

    clips: int
    subjects: int


@dataclass(frozen=True)
class RobustnessSummary:
    """The measured part of results.json."""

    reference: str  # the teacher's name among the results
    gain_limit: float  # AUROC
    train: SideCounts
    test: SideCounts
    degrees_of_freedom: float
    tasks: tuple[str, ...]
    conditions: tuple[ConditionCounts, ...]
    results: tuple[ModelResult, ...]  # the teacher's first
    requirements: tuple[Requirements, ...]  # by student


@dataclass(frozen=True)
class Unusable:
    """Parts of a dataset that the study could not use, or that are unusual."""

    skipped: int  # recordings
    silent: int  # clips
    left_out: tuple[LeftOut, ...]  # tasks


@dataclass(frozen=True)
class RobustnessDataset(Unusable, StudyDataset):
    """The dataset, with its unusable parts."""


@dataclass(frozen=True)
class RobustnessAbout(StudyProvenance):
    """The part of results.json that is known before anything is measured."""

    machine: str
    versions: dict[str, str]  # by package
    dataset: RobustnessDataset


@dataclass(frozen=True)
class RobustnessResults(RobustnessSummary, RobustnessAbout):
    """The whole of results.json."""

    margin: float  # AUROC that a student may lose beyond the teacher
