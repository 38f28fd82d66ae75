"""Tests whether a student, or an int8 file, loses less AUROC than a margin set before the run.

With Holm's correction over tasks.

Non-inferior: the lower end of the two-sided 95 % interval of the paired difference lies above -margin, which tests
one-sided at 2.5 % (Piaggio et al. 2012, CONSORT, doi:10.1001/jama.2012.87802). Standard errors are of the paired
subject-clustered bootstrap; intervals and p-values are of the same t distribution, so they never contradict each other.
What they don't know is skew: around an AUROC of 0.9, with 10 to 40 subjects, a loss of exactly the margin passed in 3
to 5 % of simulated studies instead of 2.5 %; bootstrap-t, BCa and skew-corrected intervals were worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hearlite.benchmarks.stats.bootstrap import LEVEL, Floats, difference_interval, standard_error, t_tail
from hearlite.benchmarks.stats.estimates import VERDICTS
from hearlite.errors import UsageError

NON_INFERIOR, INCONCLUSIVE, INFERIOR = VERDICTS


@dataclass(frozen=True)
class PairedDifference:
    """AUROC of a model less the reference's, on the same subjects; null where too few replicates have both classes."""

    value: float
    low: float | None
    high: float | None
    p: float | None  # two-sided: of no difference
    margin: float
    p_non_inferior: float | None  # one-sided, of a loss of `margin` or more: small speaks for the model
    p_inferior: float | None  # one-sided, of a loss of `margin` or less
    verdict: str


def compare(
    model: float,
    reference: float,
    model_replicates: Floats,
    reference_replicates: Floats,
    *,
    margin: float,
    degrees_of_freedom: float,
    trials: int,
    level: float = LEVEL,
) -> PairedDifference:
    """Return the paired difference of two AUROCs (or means over tasks), and what it says about `margin`.

    Parameters: the two figures; their replicates [samples] from the SAME draws of subjects; `margin` > 0, in AUROC;
    `degrees_of_freedom` and `trials` from bootstrap.py's `degrees_of_freedom` and `disjoint_pairs`. Two models that
    both order all pairs of a task alike and rightly have a bootstrap error of 0, which is no proof: the difference is
    then as sure as `trials` comparisons without a failure make it.
    Raises UsageError for a margin outside (0, 0.5).
    """
    if not 0 < margin < 0.5:
        raise UsageError(f"margin is {margin}", "use an AUROC difference above 0 and below 0.5, set before the run")
    value, replicates = model - reference, np.asarray(model_replicates) - np.asarray(reference_replicates)
    if model == reference and model in (0.0, 1.0):
        bound = 1 - ((1 - level) / 2) ** (1 / max(1, trials))
        return _judged(0.0, (-bound, bound), 1.0, (1 - margin) ** max(1, trials), 1.0, margin=margin, level=level)
    bounds = difference_interval(value, replicates, degrees_of_freedom=degrees_of_freedom, level=level)
    error = standard_error(replicates)
    if bounds is None or not math.isfinite(error):
        return PairedDifference(value, None, None, None, margin, None, None, INCONCLUSIVE)
    p_non_inferior = _tail(value + margin, error, degrees_of_freedom)
    p = 2 * _tail(abs(value), error, degrees_of_freedom) if value else 1.0
    return _judged(value, bounds, min(1.0, p), p_non_inferior, 1 - p_non_inferior, margin=margin, level=level)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p-values adjusted for the number of tests, in the order given (Holm 1979, Scand J Stat 6:65-70).

    None stays None and is no test.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return tuple(adjusted)


def holm_verdicts(differences: Sequence[PairedDifference], *, level: float = LEVEL) -> tuple[str, ...]:
    """Return the verdict of each task where all tasks are asked at once.

    The chance of one wrong "non-inferior" among them is at most (1 - level) / 2.

    Without correction, "non-inferior on ALL tasks" needs every single verdict to say so, which is strict enough by
    itself; "non-inferior on THESE tasks" is what needs the correction.
    """
    sides = holm([item.p_non_inferior for item in differences]), holm([item.p_inferior for item in differences])
    return tuple(_verdict(better, worse, level=level) for better, worse in zip(*sides, strict=True))


def _judged(
    value: float,
    bounds: tuple[float, float],
    p: float,
    p_non_inferior: float,
    p_inferior: float,
    *,
    margin: float,
    level: float,
) -> PairedDifference:
    verdict = _verdict(p_non_inferior, p_inferior, level=level)
    return PairedDifference(value, bounds[0], bounds[1], p, margin, p_non_inferior, p_inferior, verdict)


def _verdict(p_non_inferior: float | None, p_inferior: float | None, *, level: float) -> str:
    if p_non_inferior is None or p_inferior is None:
        return INCONCLUSIVE
    tail = (1 - level) / 2
    return NON_INFERIOR if p_non_inferior < tail else INFERIOR if p_inferior < tail else INCONCLUSIVE


def _tail(distance: float, error: float, degrees_of_freedom: float) -> float:
    """One-sided p-value of a distance from the hypothesis; of an error of 0, by the sign alone."""
    return t_tail(distance / error, degrees_of_freedom) if error else float(distance <= 0)
