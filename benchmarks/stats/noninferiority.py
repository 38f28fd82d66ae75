"""Test whether a student or an int8 file loses less AUROC than a margin set before the run.

A model is non-inferior if the lower bound of the two-sided 95 % interval of the paired difference lies above
-margin, which is a one-sided test at 2.5 % (Piaggio et al. 2012, CONSORT, doi:10.1001/jama.2012.87802). Holm's
method corrects for several tasks. Standard errors come from the paired subject-clustered bootstrap; intervals and
p-values use the same t distribution, so they never contradict each other.

Skew is not accounted for: around an AUROC of 0.9, with 10 to 40 subjects, a true AUROC drop of exactly the margin
passed in 3–5 % of simulated studies instead of 2.5 %. Bootstrap-t, BCa and skew-corrected intervals did worse.
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
    """Difference of a model's AUROC from a reference's on the same subjects, tested against a margin.

    Bounds and p-values are None where too few replicates have both classes.
    """

    value: float  # model - reference
    low: float | None
    high: float | None
    p: float | None  # two-sided, for no difference
    margin: float
    p_non_inferior: float | None  # one-sided, for an AUROC drop of `margin` or more: small favours the model
    p_inferior: float | None  # one-sided, for an AUROC drop of `margin` or less
    verdict: str  # one of VERDICTS


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
    """Test the paired difference of two AUROCs, or of two means over tasks, against a margin.

    If both models order all pairs of a task alike and correctly, the bootstrap error is 0, which proves nothing.
    The interval is then that of `trials` comparisons without a failure.

    Parameters
    ----------
    model, reference : float
        Observed AUROCs in [0, 1].
    model_replicates, reference_replicates : array [samples]
        Bootstrap replicates of both, from the SAME draws of subjects.
    margin : float
        Largest acceptable AUROC drop, in (0, 0.5), set before the run.
    degrees_of_freedom : float
        As from `bootstrap.degrees_of_freedom`.
    trials : int
        Number of independent comparisons, as from `bootstrap.disjoint_pairs`.
    level : float
        Confidence level of the two-sided interval, in (0, 1).

    Returns
    -------
    PairedDifference
        Difference, interval, p-values and verdict.

    Raises
    ------
    UsageError
        If `margin` lies outside (0, 0.5).
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
    """Adjust p-values for the number of tests by Holm's method (1979, Scand J Stat 6:65-70).

    The order is kept. None stays None and does not count as a test.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return tuple(adjusted)


def holm_verdicts(differences: Sequence[PairedDifference], *, level: float = LEVEL) -> tuple[str, ...]:
    """Return the verdict on each task, corrected for testing all tasks at once.

    The probability of any wrong "non-inferior" among them is at most (1 - level) / 2.

    "Non-inferior on ALL tasks" needs no correction: it requires every single verdict, which is strict enough.
    "Non-inferior on THESE tasks" does need it.

    Parameters
    ----------
    differences : sequence of PairedDifference
        The comparison on each task.
    level : float
        Confidence level of the two-sided intervals, in (0, 1).

    Returns
    -------
    tuple of str
        One of VERDICTS for each task.
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
    """Return the one-sided p-value of a distance from the hypothesis.

    With a standard error of 0 the sign alone decides.
    """
    return t_tail(distance / error, degrees_of_freedom) if error else float(distance <= 0)
