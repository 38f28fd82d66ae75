"""`hearlite cost`: cost measured, rows of emulated ARM cores beside it, results.json and report written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlite.benchmarks.cost.measure import Phone, Plan, measure_cost
from hearlite.benchmarks.schema.cost import ArmRow, Cost
from hearlite.benchmarks.schema.device import DeviceBench
from hearlite.benchmarks.schema.io import write_cost
from hearlite.errors import GateError


@dataclass(frozen=True)
class Gathered:
    """What was measured, and what a gate refuses of it, in words."""

    cost: Cost
    refused: tuple[str, ...] = ()

    def require(self, out: Path) -> None:
        """Raise GateError when something was refused; `out` holds the figures."""
        if self.refused:
            raise GateError(
                "; ".join(self.refused),
                f"{out / 'results.json'} holds the figures; don't ship these files before you know why",
            )


def gather_cost(plan: Plan, *, command: str, log: Callable[[str], None]) -> Gathered:
    """Measure `plan` here and, where it asks for it, on emulated ARM cores and a phone.

    `log` receives progress messages.
    """
    rows: tuple[ArmRow, ...] = ()
    refused: list[str] = []
    if plan.arm_results:
        from hearlite.benchmarks.arm.rows import read_rows

        rows = read_rows(plan.arm_results)  # first: a wrong file is found before anything is measured
    if plan.phone:
        from hearlite.benchmarks.android.adb import find_device

        find_device(
            program="adb", serial=plan.phone.serial
        )  # as early: minutes of measuring come before it is asked for
    cost = measure_cost(plan, log=log)
    if plan.arm:
        from hearlite.benchmarks.arm.rows import measure_rows

        measured, refused = measure_rows((*plan.bundles, *plan.peers), command=command, log=log)
        rows += measured
    android = tuple(_on_phone(path, plan.phone, log=log) for path in plan.bundles) if plan.phone else ()
    refused += [
        f"{item.model} computes something else on {item.device.name}" for item in android if not item.parity.passed
    ]
    return Gathered(dataclasses.replace(cost, arm=rows, android=android), tuple(refused))


def _on_phone(path: Path, phone: Phone, *, log: Callable[[str], None]) -> DeviceBench:
    from hearlite.benchmarks.android.bench import bench_android

    measured = bench_android(
        path, serial=phone.serial, exec_prefix=phone.exec_prefix, benchmark_binary=phone.benchmark_binary
    )
    log(measured.line())
    return measured


def bench_cost(plan: Plan, *, out: Path, command: str, log: Callable[[str], None]) -> dict[str, Any]:
    """Write `out`/results.json and `out`/report.html of cost alone; return the summary to print."""
    from hearlite.benchmarks.report.html import write_report

    gathered = gather_cost(plan, command=command, log=log)
    write_cost(gathered.cost, out / "results.json", command=command)
    write_report(out / "results.json", out / "report.html")
    gathered.require(out)
    return {**cost_summary(gathered.cost), "report": str(out / "report.html"), "results": str(out / "results.json")}


def cost_summary(cost: Cost) -> dict[str, str]:
    """Return a line for each model."""
    audio_s = {model.name: model.audio_s for model in cost.models}
    lines = {}
    for row in cost.latency:
        name = row.model if row.runtime == cost.latency[0].runtime else f"{row.model}, {row.runtime}"
        each_s = row.median_ms / audio_s[row.model]
        lines[name] = (
            f"{row.median_ms:.2f} ms [{row.p5_ms:.2f}, {row.p95_ms:.2f}] a call, {each_s:.2f} ms a second of sound,"
            f" {row.runs} runs"
        )
    return lines
