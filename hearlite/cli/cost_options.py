"""Options of `bench` that are about cost, gathered into one argument."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hearlite.cli.options import DATA
from hearlite.errors import UsageError

if TYPE_CHECKING:
    from hearlite.benchmarks.cost.measure import Plan

SHAPES = ("hear-shape", "hear-s-shape", "frill-shape", "efficientat-mn04-shape", "efficientat-mn10-shape")  # of benchmarks/cost/reference_models.py
RUNTIMES = ("litert", "tf")  # that run in this process; the older one has a Python of its own
_OPTIONS = (
    click.option("--latency", is_flag=True, help="Measure cost: time, cold start, memory, profile and limits. All there is without DATA."),
    click.option("--peer", "peers", type=DATA, multiple=True, help="With --latency: any .tflite that takes raw sound, such as YAMNet."),
    click.option("--shape", "shapes", type=click.Choice(["all", *SHAPES]), multiple=True, help="With --latency: a peer's network, random weights."),
    click.option("--runs", type=click.IntRange(50), default=100, show_default=True, help="With --latency: timed calls of each model."),
    click.option(
        "--runtime",
        "runtimes",
        type=click.Choice(RUNTIMES),
        multiple=True,
        default=("litert",),
        show_default=True,
        help="With --latency: may be repeated.",
    ),
    click.option(
        "--old-runtime", is_flag=True, help="With --latency: do the files run in tflite-runtime 2.14, as on older phones? Installs it once."
    ),
    click.option("--runtime-python", type=DATA, help="The same, with a Python that has tflite-runtime."),
    click.option("--arm", is_flag=True, help="With --latency: also on emulated ARM cores; sets them up at the first call, minutes a file."),
    click.option("--arm-results", type=DATA, help="With --latency: results.json of python -m hearlite.benchmarks.arm, to stand beside."),
    click.option("--android", is_flag=True, help="With --latency: also on a phone, over adb: parity, then latency. Nothing is installed there."),
    click.option("--serial", help="With --android: which phone; default: the only one."),
    click.option("--benchmark-binary", type=DATA, help="With --android: LiteRT's benchmark_model for that phone, to be run too."),
    click.option("--exec-prefix", default="", help="With --android: what starts a program there, such as an emulator."),
)
_OTHERS = ("old_runtime", "runtime_python", "arm", "arm_results", "android", "serial", "benchmark_binary", "exec_prefix")


@dataclass(frozen=True)
class CostOptions:
    """What the user asked for."""

    latency: bool
    peers: tuple[Path, ...]
    shapes: tuple[str, ...]
    runs: int
    runtimes: tuple[str, ...]
    old_runtime: bool
    runtime_python: Path | None
    arm: bool
    arm_results: Path | None
    android: bool
    serial: str | None
    benchmark_binary: Path | None
    exec_prefix: str

    def require_used(self) -> None:
        """Raises UsageError for an option that would do nothing."""
        given = {"--peer": self.peers, "--shape": self.shapes, "--old-runtime": self.old_runtime, "--runtime-python": self.runtime_python}
        given |= {"--arm": self.arm, "--arm-results": self.arm_results, "--android": self.android}
        of_phone = {"--serial": self.serial, "--benchmark-binary": self.benchmark_binary, "--exec-prefix": self.exec_prefix}
        alone = [name for name, value in of_phone.items() if value]
        if alone and not self.android:
            raise UsageError(f"{alone[0]} is about a phone, which is not measured", "add --android")
        unused = [name for name, value in given.items() if value]
        if unused and not self.latency:
            raise UsageError(f"{unused[0]} is about cost, which is not measured", "add --latency")

    def plan(self, models: tuple[Path, ...], *, threads: int, seed: int) -> Plan:
        """What benchmarks/cost/measure.py is to measure."""
        from hearlite.benchmarks.cost.legacy_runtime import find_python
        from hearlite.benchmarks.cost.measure import Phone, Plan

        return Plan(
            bundles=models,
            peers=self.peers,
            shapes=SHAPES if "all" in self.shapes else tuple(dict.fromkeys(self.shapes)),
            runtimes=tuple(dict.fromkeys(self.runtimes)),  # type: ignore[arg-type]
            threads=threads,
            runs=self.runs,
            seed=seed,
            arm=self.arm,
            arm_results=self.arm_results,
            phone=Phone(self.serial, self.exec_prefix, self.benchmark_binary) if self.android else None,
            old_python=self.runtime_python or (find_python() if self.old_runtime else None),
        )


def cost_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of cost to a command, which gets them as its argument `cost`."""

    @functools.wraps(function)
    def gathered(*, latency: bool, peers: tuple[Path, ...], shapes: tuple[str, ...], runs: int, runtimes: tuple[str, ...], **others: Any) -> None:
        own = {name: others.pop(name) for name in _OTHERS}
        function(cost=CostOptions(latency, peers, shapes, runs, runtimes, **own), **others)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered
