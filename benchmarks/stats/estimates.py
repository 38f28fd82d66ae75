"""What statistics give: estimates with their intervals, curves and verdicts, as results.json stores them."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.tasks.binary import LeftOut

VERDICTS = ("non-inferior", "inconclusive", "inferior")
ROC_POINTS = 101  # at most, per curve: a drawing, not data


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; null where it is not defined.

    A quality figure without an interval is not shown.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the number and both ends are defined."""
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
    retention: Estimate  # (AUROC - 0.5) / (reference's - 0.5); null where the reference's interval reaches chance
    chosen: tuple[Setting, ...] = ()  # hyper-parameters that cross-validation chose
    roc: Curve = Curve()
    sweep: SweepFigures | None = None
    point: OperatingPoint | None = None
    calibration: Calibration | None = None
    subgroups: tuple[Subgroups, ...] = ()  # one for each column that was asked for


@dataclass(frozen=True)
class Paired:
    """A model compared with another on the same subjects: one task, or the mean over all.

    Null where too few replicates have both classes.
    """

    model: str
    to: str
    difference: Estimate  # AUROC of the model less the other's
    # Two-sided, of no difference: clustered DeLong test on a task, paired t test of the bootstrap for the mean.
    p: float | None
    p_holm: float | None  # of all tasks at once
    p_non_inferior: float | None  # one-sided, of a loss of the margin or more: small speaks for the model
    p_inferior: float | None  # one-sided, of a loss of the margin or less
    verdict: str  # one of VERDICTS, of this comparison alone
    verdict_holm: str  # where all tasks are asked at once
