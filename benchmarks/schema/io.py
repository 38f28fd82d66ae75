"""Reading, writing and checking results.json: everything a benchmark measured, and what repeats it.

The report is made from this file alone.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlite.benchmarks.schema.cost import Cost, Latency
from hearlite.benchmarks.schema.provenance import now
from hearlite.benchmarks.schema.results import (
    CLASSIFIERS,
    COST_SCHEMA,
    KINDS,
    OLDER_COST_SCHEMA,
    OLDER_SCHEMA,
    SCHEMA,
    CopiesInTest,
    CostResults,
    DatasetInfo,
    ModelInfo,
    ProbeResults,
    Results,
    Seed,
    Versions,
)
from hearlite.benchmarks.schema.upgrade import upgrade_cost, upgrade_results
from hearlite.benchmarks.schema.validate import check_cost, check_times
from hearlite.benchmarks.stats.estimates import ROC_POINTS, VERDICTS, Paired, Score
from hearlite.benchmarks.tasks.binary import LeftOut
from hearlite.embedders.base import EmbedderInfo
from hearlite.errors import InputError, UsageError
from hearlite.files import read_json, write_bytes
from hearlite.names import FRAMINGS
from hearlite.serialization import from_dict

_LARGEST = 1e18  # operations a second of a whole computing centre; what is shown in millionths must not overflow


def collect(
    probes: ProbeResults,
    *,
    command: str,
    machine: str,
    dataset: DatasetInfo,
    teacher: EmbedderInfo,
    models: Sequence[ModelInfo],
    latency: Sequence[Latency] = (),
    left_out: Sequence[LeftOut] = (),
    skipped: int = 0,
    seeds: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    cost: Cost | None = None,
    copies: Sequence[CopiesInTest] | None = None,
    folds: int = 0,
) -> Results:
    """Everything of one benchmark, dated now, with the versions of this installation.

    `seeds` are those beside the probes' own ("probe"), by name. Whatever was probed but is not in `models`, such as the
    permuted baseline, is listed as a baseline without a file. `copies` is None where nobody looked for them.
    """
    listed = {model.name for model in models}
    added = [ModelInfo(score.model, kind="baseline") for score in probes.summary if score.model not in listed]
    return Results(
        command=command,
        created=now(),
        seeds=tuple(Seed(name, value) for name, value in {"probe": probes.seed, **(seeds or {})}.items()),
        versions=Versions.current(),
        machine=machine,
        dataset=dataset,
        teacher=teacher,
        models=(*models, *added),
        reference=probes.reference,
        replicates=probes.replicates,
        tasks=probes.tasks,
        summary=probes.summary,
        left_out=tuple(left_out),
        latency=tuple(latency),
        notes=(*notes, *probes.notes),
        skipped=skipped,
        comparisons=probes.comparisons,
        margin=probes.margin,
        probe=probes.probe,
        leaking=probes.leaking,
        head_transfer=probes.head_transfer,
        cost=cost,
        copies=tuple(copies or ()),
        copies_searched=copies is not None,
        folds=folds,
    )


def write_results(results: Results, path: Path) -> None:
    """Write results.json through a temporary file, with null for NaN and infinity.

    Raises UsageError for results that `read_results` would refuse.
    """
    data = finite({"schema": results.schema, **dataclasses.asdict(results)})
    try:
        _check(from_dict(Results, data, where="results"), where="results")
    except InputError as error:
        raise UsageError(f"these results can't be written: {error.message}", error.hint) from error
    write_data(data, path)


def write_data(data: Any, path: Path) -> None:
    """Write JSON through a temporary file, with null for NaN and infinity.

    Rows of numbers stand on one line: a curve is one thing.
    """
    text = json.dumps(finite(data), indent=1, allow_nan=False)
    text = re.sub(
        r"\[\n([-+\d.eE,\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text
    )  # raw line breaks can't occur inside JSON strings
    write_bytes(path, f"{text}\n".encode())


def read_data(path: Path) -> Any:
    """JSON of a sane size with finite numbers only. Raises InputError that names the file."""
    data = read_json(path, hint="make it again with the benchmark")
    parts = [data]
    while parts:
        part = parts.pop()
        if isinstance(part, (dict, list)):
            parts += part.values() if isinstance(part, dict) else part
        elif isinstance(part, float) and abs(part) > _LARGEST:
            raise InputError(f"{path}: it holds the number {part:g}", f"none is beyond {_LARGEST:g}: make it again")
    return data


def read_results(path: Path) -> Results:
    """Read a results.json: known keys and types, finite numbers, names that refer to something.

    Raises InputError that names the file.
    """
    data = read_data(path)
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema == OLDER_SCHEMA:
        try:
            data = upgrade_results(data)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: not readable: {type(error).__name__}: {error}", "run hearlite bench again"
            ) from error
        schema = data["schema"]
    if schema != SCHEMA:
        older = str(schema).startswith(SCHEMA.partition("/")[0])
        advice = (
            "run hearlite bench again" if older else "a study's figures stand in the table.md beside its results.json"
        )
        raise InputError(
            f"{path}: schema is {schema!r:.80}",
            f"this hearlite reads {SCHEMA!r} and, on its own, {COST_SCHEMA!r}; {advice}",
        )
    results = from_dict(Results, data, where=str(path))
    _check(results, where=str(path))
    return results


def _check(results: Results, *, where: str) -> None:
    """Check what types alone don't say."""
    names = [model.name for model in results.models]
    if results.margin is not None and not 0 < results.margin < 0.5:
        raise InputError(f"{where}: margin is {results.margin}", "an AUROC difference lies above 0 and below 0.5")
    if results.dataset.framing not in FRAMINGS:
        raise InputError(f"{where}: framing is {results.dataset.framing!r}", f"use one of {', '.join(FRAMINGS)}")
    if results.probe not in CLASSIFIERS:
        raise InputError(f"{where}: probe is {results.probe!r}", f"use one of {', '.join(CLASSIFIERS)}")
    for model in results.models:
        if model.kind not in KINDS:
            raise InputError(f"{where}: model {model.name!r} has kind {model.kind!r}", f"use one of {', '.join(KINDS)}")
        if min(model.bytes or 0, model.parameters or 0, model.macs or 0, model.dim or 0) < 0:
            raise InputError(f"{where}: model {model.name!r} has a negative size")
        losses = model.quantization.auroc.tasks if model.quantization and model.quantization.auroc else ()
        if not all(0 <= rate <= 1 for task in losses for rate in (task.reference, task.quantized)):
            raise InputError(f"{where}: the AUROC loss of model {model.name!r} is of an AUROC outside 0 to 1")
    if len(set(names)) != len(names):
        raise InputError(f"{where}: two models have the same name", f"names: {', '.join(names)}")
    scores = [*results.summary, *(score for task in results.tasks for score in task.scores)]
    pairs = [*results.comparisons, *(pair for task in results.tasks for pair in task.comparisons)]
    leaking = [*results.leaking, *(item for task in results.tasks for item in task.leaking)]
    carried = [*results.head_transfer, *(item for task in results.tasks for item in task.head_transfer)]
    used = [
        results.reference,
        *(item.model for item in carried),
        *(item.model for item in leaking),
        *(score.model for score in scores),
        *(name for pair in pairs for name in (pair.model, pair.to)),
        *(row.model for row in results.latency),
        *(row.ratio_to for row in results.latency),
    ]
    unknown = sorted(set(used) - set(names))
    if unknown:
        raise InputError(
            f"{where}: model {unknown[0]!r} is measured but not listed in models", f"listed: {', '.join(names)}"
        )
    for score in scores:
        _check_score(score, where=where)
    if not all(
        0 <= rate <= 1
        for auroc in (*(item.auroc for item in leaking), *(item.auroc for item in carried))
        for rate in (auroc.value, auroc.low, auroc.high)
        if rate is not None
    ):
        raise InputError(f"{where}: a leaking AUROC is outside 0 to 1, or that of a head of the teacher")
    for pair in pairs:
        _check_pair(pair, where=where)
    for row in results.latency:
        check_times(row, where=where)
    if results.cost:
        check_cost(results.cost, where=where)


def _check_score(score: Score, *, where: str) -> None:
    figures = [score.auroc, *(group.auroc for column in score.subgroups for group in column.groups)]
    if score.sweep:
        figures += [score.sweep.average_precision, score.sweep.sensitivity]
    if score.point:
        figures += [
            score.point.sensitivity,
            score.point.specificity,
            score.point.accuracy,
            score.point.balanced_accuracy,
            score.point.f1,
        ]
    curve = score.calibration.reliability if score.calibration else None
    if score.calibration:
        figures += [score.calibration.brier, score.calibration.ece, score.calibration.ece_equal_mass]
    drawn = (
        score.roc.false_positive,
        score.roc.true_positive,
        *((curve.predicted, curve.observed, curve.low, curve.high) if curve else ()),
    )
    rates = [
        *(rate for figure in figures for rate in (figure.value, figure.low, figure.high)),
        *(rate for rates in drawn for rate in rates),
    ]
    if not all(rate is None or 0 <= rate <= 1 for rate in rates):
        raise InputError(f"{where}: model {score.model!r} has an AUROC or a rate outside 0 to 1")
    if len(score.roc.false_positive) != len(score.roc.true_positive) or len(score.roc.true_positive) > ROC_POINTS:
        raise InputError(
            f"{where}: the ROC curve of {score.model!r} has unequal sides or more than {ROC_POINTS} points"
        )
    if curve and len({len(part) for part in (curve.predicted, curve.observed, curve.low, curve.high, curve.clips)}) > 1:
        raise InputError(f"{where}: the reliability curve of {score.model!r} has unequal sides")


def _check_pair(pair: Paired, *, where: str) -> None:
    if pair.verdict not in VERDICTS or pair.verdict_holm not in VERDICTS:
        raise InputError(
            f"{where}: the verdict of {pair.model!r} is {pair.verdict!r}, {pair.verdict_holm!r}",
            f"use one of {', '.join(VERDICTS)}",
        )
    p_values = (pair.p, pair.p_holm, pair.p_non_inferior, pair.p_inferior)
    if not all(p is None or 0 <= p <= 1 for p in p_values):
        raise InputError(f"{where}: {pair.model!r} has a p-value outside 0 to 1")


def finite(value: Any) -> Any:
    """Return a copy with null for what is no number that JSON has."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_cost(cost: Cost, path: Path, *, command: str) -> None:
    """Write results.json through a temporary file, dated now, with the versions of this installation."""
    results = CostResults(command=command, created=now(), versions=Versions.current(), cost=cost)
    check_cost(cost, where="results")
    write_data({"schema": COST_SCHEMA, **dataclasses.asdict(results)}, path)


def read_cost(path: Path) -> CostResults:
    """Read a results.json of cost alone, checked.

    Raises InputError that names the file.
    """
    data = read_data(path)
    if not is_cost(data):
        raise InputError(f"{path}: schema is not {COST_SCHEMA!r}", "give the results.json of hearlite cost")
    if data["schema"] == OLDER_COST_SCHEMA:
        try:
            data = {**data, "cost": upgrade_cost(data["cost"]), "schema": COST_SCHEMA}
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: not readable: {type(error).__name__}: {error}", "run hearlite cost again"
            ) from error
    results = from_dict(CostResults, data, where=str(path))
    check_cost(results.cost, where=str(path))
    return results


def is_cost(data: object) -> bool:
    """Whether a results.json holds cost alone."""
    return isinstance(data, dict) and data.get("schema") in (COST_SCHEMA, OLDER_COST_SCHEMA)
