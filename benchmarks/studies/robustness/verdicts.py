"""Compare the mean AUROC on changed test clips with that on clean ones.

Every student has intervals and verdicts. Intervals are over test subjects, by paired draws that all models, tasks and
conditions share; the probes are fitted once. "Hurts no more than the teacher" is non-inferiority of the change: the
lower end of the 95 % interval of (student's change - teacher's change) lies above -margin; "inferior" is an interval
wholly below it. Gain has a limit of its own, whatever the teacher does: an interval within +-GAIN_LIMIT. In floating
point that tests the file alone, at the microphone also the effect of int16 steps and clipping. A requirement over
several conditions holds where each of them passes, which needs no correction for their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import (
    LEVEL,
    Bools,
    Floats,
    bootstrap_weights,
    degrees_of_freedom,
    difference_interval,
    disjoint_pairs,
    rate_interval,
    standard_error,
)
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR
from hearlite.benchmarks.studies.inputs import SAMPLES
from hearlite.benchmarks.studies.robustness.perturbations import Condition
from hearlite.benchmarks.studies.robustness.results import (
    ConditionCounts,
    ConditionResult,
    ModelResult,
    Requirement,
    Requirements,
    RobustnessSummary,
    SideCounts,
)
from hearlite.benchmarks.studies.robustness.scores import COUNTS, Design, Scored

GAIN_LIMIT = 0.003  # AUROC, either way; hearlite's requirement for -30 to +10 dB
WITHIN, BEYOND = "within", "beyond"
GAIN_KINDS = ("float gain", "gain")
NO_MORE_KINDS = ("shift", "padding")  # that must hurt a student no more than the teacher: hearlite's requirement


class _Model:
    """The AUROCs of one model, observed and on every draw; row 0 is clean, the others are conditions."""

    def __init__(self, scored: Scored, plan: Design, *, draws: _Draws) -> None:
        parts = []
        replicates = np.zeros((scored.scores.shape[1], SAMPLES))
        for scores, (labels, labelled) in zip(scored.scores, plan.test_tasks, strict=True):
            parts.append([auroc(row[labelled], labels[labelled]) for row in scores])
            replicates += weighted_aurocs(
                scores[:, labelled], labels[labelled], draws.subject_index[labelled], draws.subject_weights
            )
        self.by_task: Floats = np.asarray(parts)  # [tasks, rows]
        self.means: Floats = self.by_task.mean(axis=0)  # [rows], over tasks
        self.replicates: Floats = replicates / len(parts)  # of the means, [rows, samples]
        self.untouched: Bools = np.asarray(  # [rows], no score differs from the clean one
            [np.array_equal(scored.scores[:, 0], rows) for rows in scored.scores.transpose(1, 0, 2)], dtype=np.bool_
        )

    def change(self, index: int) -> tuple[float, Floats]:
        """Return the mean AUROC under a condition less the clean one: observed, and on every draw."""
        return float(self.means[index] - self.means[0]), self.replicates[index] - self.replicates[0]


class _Draws:
    """Draws of test subjects, which all models share, and the effective sample of the smallest task."""

    def __init__(self, plan: Design) -> None:
        people, self.subject_index = np.unique([ref.subject for ref in plan.test.clips], return_inverse=True)
        self.subject_weights = bootstrap_weights(len(people), samples=SAMPLES, seed=plan.seed)
        sides = [(labels[labelled], self.subject_index[labelled]) for labels, labelled in plan.test_tasks]
        self.dof = min(degrees_of_freedom(*side) for side in sides)
        self.trials = min(disjoint_pairs(*side) for side in sides)

    def difference(self, value: float, replicates: Floats, *, exact: bool) -> Estimate:
        """Return a change with its interval, which has no width where no score changed (`exact`).

        Where scores changed, but no order of clips in any draw, the subjects are too few to show a change; the interval
        is then that of `trials` comparisons without a failure, as in noninferiority.py.
        """
        bounds = (value, value) if exact else difference_interval(value, replicates, degrees_of_freedom=self.dof)
        if bounds and not exact and standard_error(replicates) == 0.0:
            half = 1 - ((1 - LEVEL) / 2) ** (1 / self.trials)
            bounds = value - half, value + half
        return Estimate(value, *(bounds or (None, None)))


def summarize(scored: Mapping[str, Scored], plan: Design, *, reference: str, margin: float) -> RobustnessSummary:
    """Compare every model's changed test clips with its clean ones, and students with the teacher.

    Parameters
    ----------
    scored
        Scores by model, the teacher's first.
    plan
        The clips, tasks and conditions that were scored.
    reference
        The teacher's name in `scored`.
    margin
        AUROC that a student may lose beyond the teacher.

    Returns
    -------
    RobustnessSummary
        Effects on clips, AUROCs, and verdicts.
    """
    draws = _Draws(plan)
    models = {name: _Model(item, plan, draws=draws) for name, item in scored.items()}
    counts = scored[reference].counts  # the same for all models, since they are of the clips
    conditions = tuple(
        ConditionCounts(**vars(item), **dict(zip(COUNTS, row.tolist(), strict=True)))
        for item, row in zip(plan.conditions, counts, strict=True)
    )
    rows = []
    for name, model in models.items():
        value = float(model.means[0])
        bounds = rate_interval(value, model.replicates[0], degrees_of_freedom=draws.dof, trials=draws.trials)
        base = None if name == reference else models[reference]
        results = [
            _result(index, name, scored, plan, model=model, reference=base, draws=draws, margin=margin)
            for index in range(1, len(conditions) + 1)
        ]
        rows.append(
            ModelResult(
                model=name,
                clean=Estimate(value, *(bounds or (None, None))),
                c=tuple(scored[name].c.tolist()),
                unconverged=int(scored[name].unconverged.sum()),
                conditions=tuple(results),
            )
        )
    used = {item.name for item in conditions if item.changed}
    train, test = (
        SideCounts(len(side.clips), len({ref.subject for ref in side.clips})) for side in (plan.train, plan.test)
    )
    return RobustnessSummary(
        reference=reference,
        gain_limit=GAIN_LIMIT,
        train=train,
        test=test,
        degrees_of_freedom=draws.dof,
        tasks=tuple(task.name for task in plan.tasks),
        conditions=conditions,
        results=tuple(rows),
        requirements=tuple(_requirements(row, plan.conditions, used=used) for row in rows if row.model != reference),
    )


def _result(
    index: int,
    name: str,
    scored: Mapping[str, Scored],
    plan: Design,
    *,
    model: _Model,
    reference: _Model | None,
    draws: _Draws,
    margin: float,
) -> ConditionResult:
    """Compare one model under the condition of row `index`; `reference` is None for the teacher itself."""
    condition = plan.conditions[index - 1]
    value, drawn = model.change(index)
    untouched = bool(model.untouched[index])
    change, beyond = draws.difference(value, drawn, exact=untouched), Estimate()
    if reference:
        of_reference, reference_drawn = reference.change(index)
        exact = untouched and bool(reference.untouched[index])
        beyond = draws.difference(value - of_reference, drawn - reference_drawn, exact=exact)
    return ConditionResult(
        condition=condition.name,
        auroc=float(model.means[index]),
        change=change,
        beyond_reference=beyond,
        verdict=_verdict(beyond, margin=margin) if reference else "",
        gain_verdict=_gain_verdict(change) if condition.kind in GAIN_KINDS else "",
        tasks=dict(zip([task.name for task in plan.tasks], model.by_task[:, index].tolist(), strict=True)),
        centred_cosine=float(scored[name].cosines[index - 1]),
    )


def _verdict(beyond: Estimate, *, margin: float) -> str:
    if beyond.low is None or beyond.high is None:
        return INCONCLUSIVE
    return NON_INFERIOR if beyond.low > -margin else INFERIOR if beyond.high < -margin else INCONCLUSIVE


def _gain_verdict(change: Estimate) -> str:
    low, high = change.low, change.high
    if low is None or high is None:
        return INCONCLUSIVE
    if low >= -GAIN_LIMIT and high <= GAIN_LIMIT:
        return WITHIN
    return BEYOND if low > GAIN_LIMIT or high < -GAIN_LIMIT else INCONCLUSIVE


def _requirements(row: ModelResult, conditions: Sequence[Condition], *, used: set[str]) -> Requirements:
    """Check hearlite's requirements of a student, over the `used` conditions, which changed a clip."""
    kinds = {item.name: item.kind for item in conditions if item.name in used}
    float_gain, gain = (
        _over_all_gains([item for item in row.conditions if kinds.get(item.condition) == kind]) for kind in GAIN_KINDS
    )
    others = _over_all_others([item for item in row.conditions if kinds.get(item.condition) in NO_MORE_KINDS])
    return Requirements(row.model, float_gain, gain, others)


def _over_all_gains(items: Sequence[ConditionResult]) -> Requirement | None:
    if not items:
        return None
    verdicts = [item.gain_verdict for item in items]
    furthest = max(items, key=lambda item: max(map(abs, _ends(item.change))))
    verdict = _whole(verdicts, good=WITHIN, bad=BEYOND)
    return Requirement(verdict, verdicts.count(WITHIN), len(items), furthest.condition, change=furthest.change)


def _over_all_others(items: Sequence[ConditionResult]) -> Requirement | None:
    if not items:
        return None
    verdicts = [item.verdict for item in items]
    furthest = max(items, key=lambda item: -min(_ends(item.beyond_reference)))
    verdict, passed = _whole(verdicts, good=NON_INFERIOR, bad=INFERIOR), verdicts.count(NON_INFERIOR)
    return Requirement(verdict, passed, len(items), furthest.condition, beyond_reference=furthest.beyond_reference)


def _whole(verdicts: Sequence[str], *, good: str, bad: str) -> str:
    return bad if bad in verdicts else good if all(item == good for item in verdicts) else INCONCLUSIVE


def _ends(estimate: Estimate) -> list[float]:
    """Return an estimate's value and interval, as far as they are defined."""
    return [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]
