"""Dataclasses for results: estimates with intervals, curves and verdicts, as stored in results.json."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.tasks.binary import LeftOut

VERDICTS = ("non-inferior", "inconclusive", "inferior")
ROC_POINTS = 101  # at most, per curve: they are for drawing, not for analysis


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; None where undefined.

    A quality figure without an interval is not shown.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the number and both bounds are defined."""
        return None not in (self.value, self.low, self.high)


@dataclass(frozen=True)
class Curve:
    """An ROC curve of at most ROC_POINTS corners, with rates in [0, 1]; empty if none is drawn."""

    false_positive: tuple[float, ...] = ()
    true_positive: tuple[float, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Numbers of clips and subjects on one side of the split.

    A subject with positive and negative clips counts in both classes.
    """

    positive_clips: int
    negative_clips: int
    positive_subjects: int
    negative_subjects: int


@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of the test clips."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


@dataclass(frozen=True)
class OperatingPoint:
    """Figures of one model on one task at one threshold.

    The threshold was chosen on training subjects.
    """

    threshold: float
    confusion: Confusion
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    f1: Estimate


@dataclass(frozen=True)
class SweepFigures:
    """Figures besides the AUROC that need no chosen threshold."""

    average_precision: Estimate  # area under the precision-recall curve; chance level is `prevalence`
    prevalence: float  # share of positive test clips
    sensitivity: Estimate  # at `specificity` or above, on the test curve
    specificity: float


@dataclass(frozen=True)
class Reliability:
    """A reliability curve: the bins that contain clips, in rising order of probability."""

    predicted: tuple[float, ...]  # mean probability of the bin's clips
    observed: tuple[float, ...]  # share of positives among them
    low: tuple[float | None, ...]  # interval of that share; None if all clips are of one subject
    high: tuple[float | None, ...]
    clips: tuple[int, ...]


@dataclass(frozen=True)
class Calibration:
    """Calibration of one model on one task, after Platt scaling on training subjects."""

    brier: Estimate
    ece: Estimate  # ten bins of equal width
    ece_equal_mass: Estimate  # ten bins of equally many clips; fewer if probabilities tie
    reliability: Reliability  # the bins of `ece`


@dataclass(frozen=True)
class Subgroup:
    """AUROC of one model on the test clips of one group."""

    value: str  # of the metadata column
    clips: Counts
    auroc: Estimate


@dataclass(frozen=True)
class Subgroups:
    """Groups of a metadata column, in the order of their names."""

    column: str
    groups: tuple[Subgroup, ...]
    gap: Estimate  # largest AUROC - smallest; None with fewer than two groups
    p: float | None  # for the hypothesis that all groups have the same AUROC
    best: str  # value of the group with the largest AUROC
    worst: str
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Setting:
    """A hyper-parameter and its value."""

    name: str
    value: float


@dataclass(frozen=True)
class Score:
    """Figures of one model on one task, or their mean over all tasks.

    A mean has an AUROC, a difference and a retention only.
    """

    model: str
    auroc: Estimate  # interval: subject-clustered bootstrap, t quantiles on the logit scale
    difference: Estimate  # AUROC - reference's AUROC, from paired replicates; None for the reference itself
    retention: Estimate  # (AUROC - 0.5) / (reference - 0.5); None if the reference's interval reaches chance
    chosen: tuple[Setting, ...] = ()  # hyper-parameters chosen by cross-validation
    roc: Curve = Curve()
    sweep: SweepFigures | None = None
    point: OperatingPoint | None = None
    calibration: Calibration | None = None
    subgroups: tuple[Subgroups, ...] = ()  # one for each requested column


@dataclass(frozen=True)
class HeadTransfer:
    """The teacher's own probe, unchanged, on a student's embeddings: on one task, or the mean over all tasks."""

    model: str
    auroc: Estimate
    difference: Estimate  # AUROC - that of a probe fitted to the student itself, from paired replicates
    retention: Estimate  # of the teacher's excess over chance, as in Score


@dataclass(frozen=True)
class Paired:
    """A comparison of two models on the same subjects, on one task or of the means over all tasks.

    Values are None where too few replicates have both classes.
    """

    model: str
    to: str  # the other model
    difference: Estimate  # AUROC of `model` - AUROC of `to`
    # Two-sided, for no difference: clustered DeLong test on one task, paired bootstrap t test for the mean.
    p: float | None
    p_holm: float | None  # corrected over all tasks
    p_non_inferior: float | None  # one-sided, for an AUROC drop of the margin or more: small favours the model
    p_inferior: float | None  # one-sided, for an AUROC drop of the margin or less
    verdict: str  # one of VERDICTS, for this comparison alone
    verdict_holm: str  # corrected over all tasks
