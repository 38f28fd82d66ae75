"""What changed test clips do to mean AUROC, and whether they do more to a student than to the teacher: intervals and
verdicts.

Intervals are of other test subjects, by paired draws that all models, tasks and conditions share; the probes are fitted
once. "Hurts no more than the teacher" is non-inferiority of the change: the lower end of the 95 % interval of
(student's change - teacher's change) lies above -margin; "inferior" is an interval wholly below it. Gain has a limit of
its own, whatever the teacher does: an interval within +-GAIN_LIMIT. In floating point that judges the file alone, at
the microphone also what int16 steps and clipping take away. A requirement over several conditions holds where each of
them passes, which needs no correction for their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR
from hearlite.benchmarks.studies.robustness.perturbations import Condition
from hearlite.benchmarks.studies.robustness.scores import COUNTS, Design, Scored
from hearlite.serialization import to_dict

SAMPLES = 2_000  # bootstrap replicates
GAIN_LIMIT = 0.003  # AUROC, either way; hearlite's requirement for -30 ... +10 dB
WITHIN, BEYOND = "within", "beyond"
GAIN_KINDS = ("float gain", "gain")
NO_MORE_KINDS = ("shift", "padding")  # that must hurt a student no more than the teacher: hearlite's requirement
Estimate = dict[str, float | None]


class _Model:
    """AUROC of one model: by task [tasks, rows], its mean over tasks [rows], and that mean on every draw [rows,
    samples]. Row 0 is clean.
    """

    def __init__(self, scored: Scored, plan: Design, *, draws: _Draws) -> None:
        parts = []
        replicates = np.zeros((scored.scores.shape[1], SAMPLES))
        for scores, (labels, labelled) in zip(scored.scores, plan.test_tasks, strict=True):
            parts.append([auroc(row[labelled], labels[labelled]) for row in scores])
            replicates += weighted_aurocs(
                scores[:, labelled], labels[labelled], draws.subject_index[labelled], draws.subject_weights
            )
        self.by_task: Floats = np.asarray(parts)
        self.means: Floats = self.by_task.mean(axis=0)
        self.replicates: Floats = replicates / len(parts)
        self.untouched: Bools = np.asarray(
            [np.array_equal(scored.scores[:, 0], rows) for rows in scored.scores.transpose(1, 0, 2)], dtype=np.bool_
        )

    def change(self, index: int) -> tuple[float, Floats]:
        """Mean AUROC under a condition less the clean one: observed, and on every draw."""
        return float(self.means[index] - self.means[0]), self.replicates[index] - self.replicates[0]


class _Draws:
    """What all models share: draws of test subjects, and how sure the least sure task is."""

    def __init__(self, plan: Design) -> None:
        people, self.subject_index = np.unique([ref.subject for ref in plan.test.clips], return_inverse=True)
        self.subject_weights = bootstrap_weights(len(people), samples=SAMPLES, seed=plan.seed)
        sides = [(labels[labelled], self.subject_index[labelled]) for labels, labelled in plan.test_tasks]
        self.dof = min(degrees_of_freedom(*side) for side in sides)
        self.trials = min(disjoint_pairs(*side) for side in sides)

    def difference(self, value: float, replicates: Floats, *, exact: bool) -> Estimate:
        """A change with its interval: of no width where no score changed (`exact`). Where scores did, but no order of
        clips in any draw, the subjects are too few to show a change, and it is as sure as `trials` comparisons without
        a failure make it, as in noninferiority.py.
        """
        bounds = (value, value) if exact else difference_interval(value, replicates, degrees_of_freedom=self.dof)
        if bounds and not exact and standard_error(replicates) == 0.0:
            half = 1 - ((1 - LEVEL) / 2) ** (1 / self.trials)
            bounds = value - half, value + half
        low, high = bounds or (None, None)
        return {"value": value, "low": low, "high": high}


def summarize(scored: Mapping[str, Scored], plan: Design, *, reference: str, margin: float) -> dict[str, Any]:
    """The body of results.json: what was done to the clips, what that did to each model, and the verdicts. `reference`
    is the teacher's name.
    """
    draws = _Draws(plan)
    models = {name: _Model(item, plan, draws=draws) for name, item in scored.items()}
    counts = scored[reference].counts  # the same for all: of the clips, not of the models
    conditions = [
        {**to_dict(item), **dict(zip(COUNTS, row.tolist(), strict=True))}
        for item, row in zip(plan.conditions, counts, strict=True)
    ]
    rows = []
    for name, model in models.items():
        low, high = rate_interval(
            model.means[0], model.replicates[0], degrees_of_freedom=draws.dof, trials=draws.trials
        ) or (None, None)
        found = [
            _row(index, model, models[reference], draws=draws, margin=margin) for index in range(1, len(conditions) + 1)
        ]
        for row, condition, cosine in zip(found, plan.conditions, scored[name].cosines, strict=True):
            row |= {"condition": condition.name, "centred_cosine": float(cosine)}
            row["tasks"] = dict(zip([task.name for task in plan.tasks], row["tasks"], strict=True))
            if condition.kind in GAIN_KINDS:
                row["gain_verdict"] = _gain_verdict(row["change"])
            if name == reference:
                del row["beyond_reference"], row["verdict"]
        clean = {"value": float(model.means[0]), "low": low, "high": high}
        fits = {"c": scored[name].c.tolist(), "unconverged": int(scored[name].unconverged.sum())}
        rows.append({"model": name, "clean": clean, **fits, "conditions": found})
    used = {row["name"] for row in conditions if row["changed"]}
    requirements = [_requirements(row, plan.conditions, used=used) for row in rows if row["model"] != reference]
    subjects = [len({ref.subject for ref in side.clips}) for side in (plan.train, plan.test)]
    return {
        "reference": reference,
        "gain_limit": GAIN_LIMIT,
        "train": {"clips": len(plan.train.clips), "subjects": subjects[0]},
        "test": {"clips": len(plan.test.clips), "subjects": subjects[1]},
        "degrees_of_freedom": draws.dof,
        "tasks": [task.name for task in plan.tasks],
        "conditions": conditions,
        "results": rows,
        "requirements": requirements,
    }


def _row(index: int, model: _Model, reference: _Model, *, draws: _Draws, margin: float) -> dict[str, Any]:
    """One model under one condition."""
    (change, drawn), (theirs, theirs_drawn) = model.change(index), reference.change(index)
    untouched = bool(model.untouched[index])
    beyond = draws.difference(
        change - theirs, drawn - theirs_drawn, exact=untouched and bool(reference.untouched[index])
    )
    return {
        "auroc": float(model.means[index]),
        "change": draws.difference(change, drawn, exact=untouched),
        "beyond_reference": beyond,
        "verdict": _verdict(beyond, margin=margin),
        "tasks": model.by_task[:, index].tolist(),
    }


def _verdict(beyond: Estimate, *, margin: float) -> str:
    low, high = beyond["low"], beyond["high"]
    if low is None or high is None:
        return INCONCLUSIVE
    return NON_INFERIOR if low > -margin else INFERIOR if high < -margin else INCONCLUSIVE


def _gain_verdict(change: Estimate) -> str:
    low, high = change["low"], change["high"]
    if low is None or high is None:
        return INCONCLUSIVE
    return (
        WITHIN
        if low >= -GAIN_LIMIT and high <= GAIN_LIMIT
        else BEYOND
        if low > GAIN_LIMIT or high < -GAIN_LIMIT
        else INCONCLUSIVE
    )


def _requirements(row: Mapping[str, Any], conditions: Sequence[Condition], *, used: set[str]) -> dict[str, Any]:
    """hearlite's requirements of a student, over the conditions that changed any clip; null where there is none of
    them.
    """
    of_kind = {item.name: item.kind for item in conditions if item.name in used}

    def of(*kinds: str) -> list[Mapping[str, Any]]:
        return [item for item in row["conditions"] if of_kind.get(item["condition"]) in kinds]

    gains = {
        kind.replace(" ", "_"): _over_all(of(kind), verdict="gain_verdict", figure="change", good=WITHIN, bad=BEYOND)
        for kind in GAIN_KINDS
    }
    others = _over_all(
        of(*NO_MORE_KINDS), verdict="verdict", figure="beyond_reference", good=NON_INFERIOR, bad=INFERIOR
    )
    return {"model": row["model"], **gains, "shift_and_padding": others}


def _over_all(
    items: Sequence[Mapping[str, Any]], *, verdict: str, figure: str, good: str, bad: str
) -> dict[str, Any] | None:
    """One verdict of several conditions, and the one whose interval reaches furthest to the bad side."""
    if not items:
        return None
    found = [item[verdict] for item in items]
    furthest = max(items, key=lambda item: _reach(item[figure], both=figure == "change"))
    whole = bad if bad in found else good if all(item == good for item in found) else INCONCLUSIVE
    return {
        "verdict": whole,
        "passed": found.count(good),
        "conditions": len(found),
        "furthest": furthest["condition"],
        figure: furthest[figure],
    }


def _reach(estimate: Estimate, *, both: bool) -> float:
    """How far an interval, or a value that has none, goes below 0; with `both`, to either side of it."""
    ends = [end for end in estimate.values() if end is not None]
    return max(map(abs, ends)) if both else -min(ends)
