"""Models on the same draws of test subjects: AUROC, retention, and paired comparisons with a verdict.

Intervals hold the truth in 92 to 98 % of simulated studies of 12 to 80 subjects (test_comparisons.py). A mean over
tasks is taken to be as sure as the least sure of them: its tasks share their subjects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearlite.benchmarks.stats.auroc import auroc, retention, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    Bools,
    Floats,
    Multiplicities,
    Owners,
    degrees_of_freedom,
    disjoint_pairs,
    interval,
    rate_interval,
)
from hearlite.benchmarks.stats.delong import paired_delong
from hearlite.benchmarks.stats.estimates import Estimate, Paired, Score
from hearlite.benchmarks.stats.noninferiority import PairedDifference, compare, holm, holm_verdicts

CHANCE = 0.5  # AUROC
Pair = tuple[str, str]  # (model, what it is compared to)


@dataclass(frozen=True, eq=False)
class BootstrapAurocs:
    """AUROC of every model, on one task or as a mean over several: as observed, and in every replicate."""

    observed: Mapping[str, float]
    drawn: Floats  # [models, samples], in the order of `observed`; column k is ONE draw of subjects
    dof: float  # degrees of freedom
    trials: int  # independent comparisons

    def row(self, model: str) -> Floats:
        """Return the replicates of a model."""
        return np.asarray(self.drawn[list(self.observed).index(model)])


@dataclass(frozen=True, eq=False)
class TaskScores:
    """One task: the test clips' scores by every model that has one probe, and what they make."""

    scores: Mapping[str, Floats]  # [n]
    labels: Bools  # [n]
    subject_index: Owners  # [n]
    aurocs: BootstrapAurocs


def effective_sample(labels: Bools, subject_index: Owners) -> tuple[float, int]:
    """(degrees of freedom, independent comparisons) of an AUROC on these clips."""
    return degrees_of_freedom(labels, subject_index), disjoint_pairs(labels, subject_index)


def bootstrap_aurocs(
    scores: Mapping[str, Floats], labels: Bools, subject_index: Owners, subject_weights: Multiplicities
) -> BootstrapAurocs:
    """Return the AUROC of every model, observed and on every draw of subjects.

    Scores `[n]`, or `[probes, n]` of several probes, which are averaged.
    """
    rows = {model: np.atleast_2d(values) for model, values in scores.items()}
    observed = {model: float(np.mean([auroc(row, labels) for row in values])) for model, values in rows.items()}
    drawn = np.stack(
        [weighted_aurocs(values, labels, subject_index, subject_weights).mean(axis=0) for values in rows.values()]
    )
    return BootstrapAurocs(observed, drawn, *effective_sample(labels, subject_index))


def mean_over_tasks(tasks: Sequence[BootstrapAurocs]) -> BootstrapAurocs:
    """Means of the same models; a replicate that lacks a class in any task is undefined."""
    observed = {model: float(np.mean([task.observed[model] for task in tasks])) for model in tasks[0].observed}
    drawn = np.mean([task.drawn for task in tasks], axis=0)
    return BootstrapAurocs(observed, drawn, min(task.dof for task in tasks), min(task.trials for task in tasks))


def scored(aurocs: BootstrapAurocs, *, reference: str, margin: float) -> tuple[Score, ...]:
    """Return every model's AUROC, its difference to the reference and its retention."""
    base = _auroc(aurocs, reference)
    at_chance = base.low is None or base.low <= CHANCE  # then a ratio to it means nothing
    scores = []
    for model in aurocs.observed:
        difference = ratio = Estimate()
        if model != reference:
            found = _difference(aurocs, model, reference, margin=margin)
            difference = Estimate(found.value, found.low, found.high)
            ratio = ratio if at_chance else _excess_ratio(aurocs, model, reference)
        scores.append(Score(model, _auroc(aurocs, model), difference=difference, retention=ratio))
    return tuple(scores)


def paired_by_task(
    pairs: Sequence[Pair], tasks: Sequence[TaskScores], *, margin: float
) -> tuple[tuple[Paired, ...], ...]:
    """Return the comparisons of every task, in the order of `pairs`.

    p by the clustered DeLong test, corrected by Holm over the tasks of each pair.
    """
    by_pair = []
    for model, to in pairs:
        found = [_difference(task.aurocs, model, to, margin=margin) for task in tasks]
        p = [
            paired_delong(task.scores[model], task.scores[to], task.labels, subjects=task.subject_index).p
            for task in tasks
        ]
        corrected = zip(found, p, holm(p), holm_verdicts(found), strict=True)
        by_pair.append(
            [
                _paired(model, to, item, p=one, p_holm=of_all, verdict_holm=verdict)
                for item, one, of_all, verdict in corrected
            ]
        )
    return tuple(zip(*by_pair, strict=True)) if by_pair else ((),) * len(tasks)


def paired_means(pairs: Sequence[Pair], means: BootstrapAurocs, *, margin: float) -> tuple[Paired, ...]:
    """Compare the means over tasks, one question each.

    p is of the interval's own t distribution, and nothing is to be corrected.
    """
    found = [(model, to, _difference(means, model, to, margin=margin)) for model, to in pairs]
    return tuple(
        _paired(model, to, item, p=item.p, p_holm=item.p, verdict_holm=item.verdict) for model, to, item in found
    )


def _paired(
    model: str, to: str, item: PairedDifference, *, p: float | None, p_holm: float | None, verdict_holm: str
) -> Paired:
    difference = Estimate(item.value, item.low, item.high)
    return Paired(model, to, difference, p, p_holm, item.p_non_inferior, item.p_inferior, item.verdict, verdict_holm)


def _difference(aurocs: BootstrapAurocs, model: str, to: str, *, margin: float) -> PairedDifference:
    observed, drawn = (aurocs.observed[model], aurocs.observed[to]), (aurocs.row(model), aurocs.row(to))
    return compare(*observed, *drawn, margin=margin, degrees_of_freedom=aurocs.dof, trials=aurocs.trials)


def _auroc(aurocs: BootstrapAurocs, model: str) -> Estimate:
    value = aurocs.observed[model]
    return Estimate(
        value,
        *(rate_interval(value, aurocs.row(model), degrees_of_freedom=aurocs.dof, trials=aurocs.trials) or (None, None)),
    )


def _excess_ratio(aurocs: BootstrapAurocs, model: str, reference: str) -> Estimate:
    """Return a retention with its interval.

    A ratio is skewed, so its interval is of percentiles, widened for few subjects.
    """
    value = float(retention(np.array(aurocs.observed[model]), np.array(aurocs.observed[reference])))
    drawn = retention(aurocs.row(model), aurocs.row(reference))
    return Estimate(value, *(interval(drawn, degrees_of_freedom=aurocs.dof) or (None, None)))
