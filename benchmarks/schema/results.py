"""The shapes of results.json, one dataclass per JSON object. Nothing here measures, reads or writes."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import hearlite
from hearlite.benchmarks.schema.cost import Cost, Latency
from hearlite.benchmarks.tasks import LeftOut
from hearlite.embedder import EmbedderInfo
from hearlite.spec import PRECISION_NAMES
from hearlite.verdict import Verdict

SCHEMA = "hearlite-results/2"
COST_SCHEMA = "hearlite-cost/1"  # of a results.json without quality
VERDICTS = ("non-inferior", "inconclusive", "inferior")
KINDS = ("teacher", *PRECISION_NAMES, "peer", "baseline")  # a peer is someone else's embedder; a baseline has to be beaten by all of them
ROC_POINTS = 101  # at most, per curve: a drawing, not data


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; null where it is not defined. A quality figure without an interval is not shown."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> bool:
        return None not in (self.value, self.low, self.high)


@dataclass(frozen=True)
class Curve:
    """An ROC curve of at most ROC_POINTS corners, rates in [0, 1]; empty where none is drawn."""

    false_positive: tuple[float, ...] = ()
    true_positive: tuple[float, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Clips and subjects on one side of the split; a subject with both kinds of clip counts twice."""

    positive_clips: int
    negative_clips: int
    positive_subjects: int
    negative_subjects: int


@dataclass(frozen=True)
class Confusion:
    """Test clips by label and answer."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


@dataclass(frozen=True)
class OperatingPoint:
    """One model on one task, at one threshold, which was chosen on training subjects."""

    threshold: float
    confusion: Confusion
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    f1: Estimate


@dataclass(frozen=True)
class SweepFigures:
    """What needs no threshold, beside the AUROC."""

    average_precision: Estimate  # AUPRC; chance is `prevalence`
    prevalence: float
    sensitivity: Estimate  # at `specificity` or above, on the test curve
    specificity: float


@dataclass(frozen=True)
class Reliability:
    """A reliability curve: the bins that hold clips, in rising order of probability."""

    predicted: tuple[float, ...]  # mean probability of the bin's clips
    observed: tuple[float, ...]  # share of positives among them
    low: tuple[float | None, ...]  # interval of that share; null where all clips are one subject's
    high: tuple[float | None, ...]
    clips: tuple[int, ...]


@dataclass(frozen=True)
class Calibration:
    """The probabilities of one model on one task, after Platt scaling on training subjects."""

    brier: Estimate
    ece: Estimate  # ten bins of equal width
    ece_equal_mass: Estimate  # ten bins of equally many clips, fewer where probabilities tie
    reliability: Reliability  # the bins of `ece`


@dataclass(frozen=True)
class Subgroup:
    """One model on the test clips of one group."""

    value: str
    clips: Counts
    auroc: Estimate


@dataclass(frozen=True)
class Subgroups:
    """A column's groups, in the order of their names; the gap is null with fewer than two groups."""

    column: str
    groups: tuple[Subgroup, ...]
    gap: Estimate  # largest AUROC - smallest
    p: float | None  # of a gap as large where all groups were alike
    best: str
    worst: str
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Setting:
    """A hyper-parameter."""

    name: str
    value: float


@dataclass(frozen=True)
class Score:
    """One model on one task, or, as a summary, its mean over all tasks, which has AUROC, difference and ratio only."""

    model: str
    auroc: Estimate  # interval: subject-clustered bootstrap, t quantiles on the logit scale
    difference: Estimate  # AUROC minus the reference's, from the same replicates; null for the reference itself
    excess_ratio: Estimate  # (AUROC - 0.5) / (reference's - 0.5); null where the reference's interval reaches chance
    chosen: tuple[Setting, ...] = ()  # hyper-parameters that cross-validation chose
    roc: Curve = Curve()
    sweep: SweepFigures | None = None
    point: OperatingPoint | None = None
    calibration: Calibration | None = None
    subgroups: tuple[Subgroups, ...] = ()  # one for each column that was asked for


@dataclass(frozen=True)
class Paired:
    """A model beside another on the same subjects: one task, or the mean over all. Null where too few replicates have both classes."""

    model: str
    to: str
    difference: Estimate  # AUROC of the model less the other's
    p: float | None  # two-sided, of no difference: clustered DeLong test on a task, paired t test of the bootstrap for the mean
    p_holm: float | None  # of all tasks at once
    p_non_inferior: float | None  # one-sided, of a loss of the margin or more: small speaks for the model
    p_inferior: float | None  # one-sided, of a loss of the margin or less
    verdict: str  # one of VERDICTS, of this comparison alone
    verdict_holm: str  # where all tasks are asked at once


@dataclass(frozen=True)
class Leaking:
    """A model by a paper's clip-wise split, which LEAKS: the same subjects are in training and in test. Never show it without the gap."""

    model: str
    auroc: Estimate  # LEAKING
    gap: Estimate  # LEAKING AUROC less the leak-free one

    @property
    def flatters(self) -> bool:
        """Whether the gap shows: its interval lies above 0."""
        return self.gap.low is not None and self.gap.low > 0


@dataclass(frozen=True)
class TaskResult:
    name: str
    column: str
    positive: str
    train: Counts
    test: Counts
    dropped_replicates: int  # bootstrap replicates that drew one class only
    scores: tuple[Score, ...]
    comparisons: tuple[Paired, ...] = ()  # every model to the reference, every quantized file to its own float32 one
    leaking: tuple[Leaking, ...] = ()  # empty unless the paper's protocol was asked for


@dataclass(frozen=True)
class ProbeResults:
    """What `run_probes` returns; `summary` has one row per model, means over the tasks."""

    tasks: tuple[TaskResult, ...]
    summary: tuple[Score, ...]
    comparisons: tuple[Paired, ...]
    reference: str
    replicates: int
    margin: float
    probe: str
    leaking: tuple[Leaking, ...]
    seed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ModelInfo:
    """A model under test. Null: not known or meaningless for it."""

    name: str
    kind: str  # one of KINDS
    file: str = ""
    bytes: int | None = None
    parameters: int | None = None
    macs: int | None = None  # multiply-accumulates for one clip
    dim: int | None = None
    sha256: str = ""  # of the file
    quantization: Verdict | None = None  # what the file's manifest says that quantization cost
    recipe: str = ""  # "" for float32


@dataclass(frozen=True)
class DatasetInfo:
    name: str
    sha256: str
    clips: int
    train_subjects: int
    val_subjects: int
    test_subjects: int
    synthetic: bool


@dataclass(frozen=True)
class Seed:
    name: str
    value: int


@dataclass(frozen=True)
class Versions:
    """Of the software that measured; "" where a package is absent."""

    python: str
    numpy: str
    scikit_learn: str
    litert: str
    hearlite: str

    @classmethod
    def current(cls) -> Versions:
        return cls(
            python=platform.python_version(),
            numpy=_version("numpy"),
            scikit_learn=_version("scikit-learn"),
            litert=_version("ai-edge-litert"),
            hearlite=hearlite.__version__,
        )


@dataclass(frozen=True)
class Results:
    """The whole of results.json."""

    command: str
    created: str  # UTC, ISO 8601
    seeds: tuple[Seed, ...]
    versions: Versions
    machine: str
    dataset: DatasetInfo
    teacher: EmbedderInfo
    models: tuple[ModelInfo, ...]
    reference: str  # the model that differences and ratios are to
    replicates: int  # bootstrap replicates behind every interval
    tasks: tuple[TaskResult, ...]
    summary: tuple[Score, ...]  # means over all tasks
    left_out: tuple[LeftOut, ...]
    latency: tuple[Latency, ...]
    notes: tuple[str, ...]
    skipped: int  # recordings that could not be used
    comparisons: tuple[Paired, ...] = ()  # of the means over all tasks
    margin: float | None = None  # AUROC that a model may lose and still be called non-inferior; set before the run
    probe: str = "logistic"  # one of classifiers.py
    leaking: tuple[Leaking, ...] = ()  # means over all tasks by a paper's clip-wise split, which LEAKS
    cost: Cost | None = None  # beside peers, with profiles and limits: only where it was asked for
    schema: str = SCHEMA


@dataclass(frozen=True)
class CostResults:
    """The whole of a results.json without quality."""

    command: str
    created: str  # UTC, ISO 8601
    versions: Versions
    cost: Cost
    schema: str = COST_SCHEMA


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
