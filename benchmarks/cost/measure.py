"""Cost of models side by side: students, real peers and shapes of peers in one run, and what explains each figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.cost.footprint import footprint
from hearlite.benchmarks.cost.latency import (
    Candidate,
    Rounds,
    device,
    file_candidate,
    latency_rows,
    ratios,
    time_rounds,
)
from hearlite.benchmarks.cost.operator_profile import operator_parts
from hearlite.benchmarks.cost.reference_models import shape_footprint, shape_path
from hearlite.benchmarks.cost.roofline import measure_ceiling, roofline_bound
from hearlite.benchmarks.cost.stage_profile import BY_PREFIXES, stage_parts, stage_prefixes
from hearlite.benchmarks.cost.subprocesses import STARTS, benchmark_tool, compare_old, measure_cold_start
from hearlite.benchmarks.schema.cost import (
    ColdStart,
    Cost,
    CrossCheck,
    Footprint,
    OldRuntime,
    Profile,
    Speedup,
)
from hearlite.bundle import distinct_names, read_manifest
from hearlite.embedders.self_test import check_signals
from hearlite.errors import UsageError
from hearlite.tflite.interpreter import Runtime

RUNS = 100
FEWEST_RUNS = 50  # for a median that is quoted
_LARGE = 100 << 20  # bytes of a file that is opened once alone and profiled over few calls
_FEW, _PROFILED = 3, 50


@dataclass(frozen=True)
class Phone:
    """An Android device, as benchmarks/android/bench.py asks for it."""

    serial: str | None = None
    exec_prefix: str = ""
    benchmark_binary: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What to measure.

    `bundles` are exported files, `peers` any .tflite that takes raw sound, `shapes` names of SHAPES in
    reference_models.py.
    """

    bundles: tuple[Path, ...]
    peers: tuple[Path, ...] = ()
    shapes: tuple[str, ...] = ()
    runtimes: tuple[Runtime, ...] = ("litert",)  # the first one times everything, the others what is no shape
    threads: int = 1
    runs: int = RUNS
    seed: int = 0
    old_python: Path | None = None  # a Python with tflite-runtime
    arm: bool = False  # also count on emulated ARM cores
    arm_results: Path | None = None  # a results.json of such a count, to stand beside
    phone: Phone | None = None  # also over adb


@dataclass(frozen=True)
class _Entry:
    made: Footprint
    path: Path

    @property
    def student(self) -> bool:
        return self.made.kind not in ("peer", "shape")

    @property
    def large(self) -> bool:
        return self.made.bytes > _LARGE


def measure_cost(plan: Plan, *, log: Callable[[str], None]) -> Cost:
    """Measure everything that `plan` names.

    `log` receives progress messages. Raises InputError for a file that can't be used.
    """
    if plan.runs < FEWEST_RUNS:
        raise UsageError(f"runs is {plan.runs}", f"use {FEWEST_RUNS} or more")
    entries = _entries(plan, log=log)
    log(f"timing {len(entries)} models side by side, {plan.runs} rounds")
    candidates, rounds = _time(entries, plan)
    latency = tuple(latency_rows(candidates, rounds, threads=plan.threads))
    log("cold start and memory, each model in processes of its own")
    alone = tuple(_alone(entry, plan) for entry in entries)
    log("profiles")
    profiles = tuple(_profile(entry, plan) for entry in entries)
    cost = Cost(
        device=device(),
        threads=plan.threads,
        models=tuple(entry.made for entry in entries),
        latency=latency,
        speedups=_speedups(entries, rounds),
        cold_starts=alone,
        profiles=profiles,
        old_runtime=tuple(_old(entry, plan.old_python) for entry in entries if entry.student)
        if plan.old_python
        else (),
        cross_checks=_cross_checks(entries, plan),
        notes=tuple(f"{entry.made.name}: {entry.made.note}" for entry in entries if entry.made.note),
    )
    return _with_limits(cost, log=log) if plan.threads == 1 else cost


def _entries(plan: Plan, *, log: Callable[[str], None]) -> list[_Entry]:
    """Shapes first, HeAR's before all: ratios are to the first."""
    entries = []
    for name in plan.shapes:
        if not shape_path(name).is_file():
            log(f"building {name}, once")
        entries.append(_Entry(shape_footprint(name), shape_path(name)))
    entries += [_Entry(footprint(path, name=path.stem, kind="peer"), path) for path in plan.peers]
    manifests = [read_manifest(path) for path in plan.bundles]
    students = zip(plan.bundles, manifests, distinct_names(manifests), strict=True)
    return [
        *entries,
        *(
            _Entry(footprint(path, name=name, kind=manifest.precision, size=manifest.size), path)
            for path, manifest, name in students
        ),
    ]


def _time(entries: Sequence[_Entry], plan: Plan) -> tuple[list[Candidate], Rounds]:
    found = [
        file_candidate(
            entry.made.name,  # in every runtime: `runtime` of a row tells them apart
            entry.path,
            threads=plan.threads,
            runtime=runtime,
            input_shape=entry.made.input_shape,
        )
        for place, runtime in enumerate(plan.runtimes)
        for entry in entries
        if place == 0 or entry.made.kind != "shape"
    ]
    return found, time_rounds(found, runs=plan.runs, seed=plan.seed)


def _speedups(entries: Sequence[_Entry], rounds: Rounds) -> tuple[Speedup, ...]:
    """Every student beside every peer, in the first runtime."""
    found = []
    for k, entry in enumerate(entries):
        for j, other in enumerate(entries):
            if entry.student and not other.student:
                each = ratios(rounds.times_ms[:, k], rounds.times_ms[:, j])
                p5, ratio, p95 = (float(value) for value in np.percentile(each, [5, 50, 95]))
                per_audio = ratio * entry.made.audio_s / other.made.audio_s
                found.append(Speedup(entry.made.name, other.made.name, len(each), ratio, p5, p95, per_audio))
    return tuple(found)


def _alone(entry: _Entry, plan: Plan) -> ColdStart:
    starts = 1 if entry.large else STARTS
    return measure_cold_start(
        entry.made.name, entry.path, runtime=plan.runtimes[0], threads=plan.threads, starts=starts
    )


def _profile(entry: _Entry, plan: Plan) -> Profile:
    operators, by = operator_parts(entry.path, runs=_FEW if entry.large else _PROFILED)
    prefixes = stage_prefixes(entry.path.read_bytes()) if entry.student else []
    if not prefixes:
        return Profile(entry.made.name, (), "", operators, by)
    candidates = [
        file_candidate(prefix.stage, prefix.content, threads=plan.threads, runtime=plan.runtimes[0])
        for prefix in prefixes
    ]
    rounds = time_rounds(candidates, runs=plan.runs, seed=plan.seed)
    return Profile(
        entry.made.name, stage_parts([prefix.stage for prefix in prefixes], rounds.times_ms), BY_PREFIXES, operators, by
    )


def _old(entry: _Entry, python: Path) -> OldRuntime:
    sounds = np.stack([from_int16(pcm) for pcm in check_signals().values()])
    return compare_old(entry.made.name, entry.path, python=python, inputs=sounds)


def _cross_checks(entries: Sequence[_Entry], plan: Plan) -> tuple[CrossCheck, ...]:
    found = [
        benchmark_tool(entry.made.name, entry.path, runs=plan.runs, threads=plan.threads)
        for entry in entries
        if not entry.large
    ]
    return tuple(item for item in found if item)


def _with_limits(cost: Cost, *, log: Callable[[str], None]) -> Cost:
    log("what this processor can do at most")
    ceiling = measure_ceiling()
    profiles = {profile.model: profile for profile in cost.profiles}
    first = {row.model: row for row in reversed(cost.latency)}  # of the first runtime
    limits = tuple(
        roofline_bound(model, first[model.name], ceiling=ceiling, profile=profiles.get(model.name))
        for model in cost.models
    )
    return dataclasses.replace(cost, ceiling=ceiling, limits=limits)
