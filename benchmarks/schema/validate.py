"""Checks of cost beyond types: names that refer to something, known words, possible numbers."""

from __future__ import annotations

from typing import Any

from hearlite.benchmarks.schema.cost import BOUNDS, COST_KINDS, Cost, Latency
from hearlite.errors import InputError


def check_cost(cost: Cost, *, where: str) -> None:
    """Raise InputError that names `where` for an impossible cost."""
    names = [model.name for model in cost.models]
    if len(set(names)) != len(names):
        raise InputError(f"{where}: two models have the same name", f"names: {', '.join(names)}")
    for model in cost.models:
        if model.kind not in COST_KINDS:
            raise InputError(
                f"{where}: model {model.name!r} has kind {model.kind!r}", f"use one of {', '.join(COST_KINDS)}"
            )
        sizes = (
            model.bytes,
            model.parameters,
            model.macs,
            model.int8_macs,
            model.weight_bytes,
            model.moved_bytes,
            model.activation_peak_bytes,
        )
        if min(sizes) < 0 or model.audio_s <= 0 or model.frontend_macs < 0:
            raise InputError(f"{where}: model {model.name!r} has a negative size, or an input of no length")
    about: list[Any] = [
        *cost.latency,
        *cost.speedups,
        *cost.cold_starts,
        *cost.profiles,
        *cost.limits,
        *cost.old_runtime,
        *cost.cross_checks,
        *cost.android,
    ]
    used = [
        *(row.model for row in about),
        *(row.ratio_to for row in cost.latency),
        *(pair.to for pair in cost.speedups),
    ]
    unknown = sorted(set(used) - set(names))
    if unknown:
        raise InputError(
            f"{where}: model {unknown[0]!r} is measured but not listed in models", f"listed: {', '.join(names)}"
        )
    for row in cost.latency:
        check_times(row, where=where)
    times = [
        *(start.load_ms for start in cost.cold_starts),
        *(part.ms for item in cost.profiles for part in (*item.stages, *item.operators)),
    ]
    if min(times, default=0.0) < 0:
        raise InputError(f"{where}: a time is negative")
    if any(item.bound not in BOUNDS for item in cost.limits):
        raise InputError(f"{where}: a limit is none of {', '.join(BOUNDS)}")


def check_times(row: Latency, *, where: str) -> None:
    """Raise InputError for a negative time."""
    if min(row.median_ms, row.p5_ms, row.p95_ms, row.mean_ms, row.cold_ms, row.ratio, row.ratio_p5, row.ratio_p95) < 0:
        raise InputError(f"{where}: the latency of {row.model!r} is negative")
