"""The command `cost`: time, memory and size of files here, on emulated ARM cores and on a phone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hearlite.benchmarks.schema.provenance import command_line
from hearlite.cli.options import DATA, Option, echo, json_option, print_data
from hearlite.errors import UsageError
from hearlite.models.option import MODEL
from hearlite.names import REFERENCE_SHAPES, RUNTIMES

if TYPE_CHECKING:
    from hearlite.benchmarks.cost.measure import Plan

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--peer", "peers"),
        {
            "type": MODEL,
            "multiple": True,
            "help": "Another .tflite that takes a waveform, such as YAMNet, to compare with.",
        },
    ),
    (
        ("--reference", "references"),
        {
            "former": ("--shape",),
            "type": click.Choice(["all", *REFERENCE_SHAPES]),
            "multiple": True,
            "help": "Architecture of a published encoder, such as HeAR, with random weights, to compare with.",
        },
    ),
    (
        ("--runs", "runs"),
        {"type": click.IntRange(50), "default": 100, "show_default": True, "help": "Timed calls of each model."},
    ),
    (
        ("--runtime", "runtimes"),
        {
            "type": click.Choice(RUNTIMES),
            "multiple": True,
            "default": RUNTIMES[:1],
            "show_default": True,
            "help": "Interpreter that runs the files; may be repeated.",
        },
    ),
    (
        ("--legacy-runtime", "legacy_runtime"),
        {
            "former": ("--old-runtime",),
            "is_flag": True,
            "help": "Check the files with tflite-runtime 2.14, as on older phones; installed on first use.",
        },
    ),
    (
        ("--legacy-python", "legacy_python"),
        {
            "former": ("--runtime-python",),
            "type": DATA,
            "help": "Like --legacy-runtime, with this Python, which has tflite-runtime.",
        },
    ),
    (
        ("--arm", "arm"),
        {
            "is_flag": True,
            "help": "Count instructions on emulated ARM cores; minutes per file; sets up an emulator on first use.",
        },
    ),
    (
        ("--arm-results", "arm_results"),
        {"type": DATA, "help": "results.json of `hearlite arm`, to include in this report."},
    ),
    (
        ("--android", "android"),
        {"is_flag": True, "help": "Check parity and latency on a phone, over adb; nothing is installed there."},
    ),
    (
        ("--serial", "serial"),
        {"help": "With --android: serial number of the phone.  [default: the only phone connected]"},
    ),
    (
        ("--benchmark-binary", "benchmark_binary"),
        {"type": DATA, "help": "With --android: LiteRT's benchmark_model, built for that phone."},
    ),
    (
        ("--exec-prefix", "exec_prefix"),
        {"default": "", "help": "With --android: program that runs others on the phone, such as an emulator."},
    ),
)


@dataclass(frozen=True)
class CostOptions:
    """Values of the options of `hearlite cost`, apart from files, threads and seed."""

    peers: tuple[Path, ...]
    references: tuple[str, ...]
    runs: int
    runtimes: tuple[str, ...]
    legacy_runtime: bool
    legacy_python: Path | None
    arm: bool
    arm_results: Path | None
    android: bool
    serial: str | None
    benchmark_binary: Path | None
    exec_prefix: str

    def __post_init__(self) -> None:
        on_phone = {
            "--serial": self.serial,
            "--benchmark-binary": self.benchmark_binary,
            "--exec-prefix": self.exec_prefix,
        }
        unused = [name for name, value in on_phone.items() if value]
        if unused and not self.android:
            raise UsageError(f"{unused[0]} has no effect without --android", "add --android")

    def plan(self, models: tuple[Path, ...], *, threads: int, seed: int) -> Plan:
        """Return the measurements to make, for benchmarks/cost/measure.py."""
        from hearlite.benchmarks.cost.legacy_runtime import find_legacy_python
        from hearlite.benchmarks.cost.measure import Phone, Plan

        return Plan(
            bundles=models,
            peers=self.peers,
            shapes=REFERENCE_SHAPES if "all" in self.references else tuple(dict.fromkeys(self.references)),
            runtimes=tuple(dict.fromkeys(self.runtimes)),  # type: ignore[arg-type]
            threads=threads,
            runs=self.runs,
            seed=seed,
            arm=self.arm,
            arm_results=self.arm_results,
            phone=Phone(self.serial, self.exec_prefix, self.benchmark_binary) if self.android else None,
            old_python=self.legacy_python or (find_legacy_python() if self.legacy_runtime else None),
        )


def cost_options(*, hidden: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of cost to a command, as its argument `cost`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def gathered(**given: Any) -> None:
            own = {names[-1]: given.pop(names[-1]) for names, _ in _OPTIONS}
            function(cost=CostOptions(**own), **given)

        for names, settings in reversed(_OPTIONS):
            gathered = click.option(*names, cls=Option, hidden=hidden, **settings)(gathered)
        return gathered

    return decorate


@click.command()
@click.argument("models", metavar="FILE|NAME...", type=MODEL, nargs=-1, required=True)
@click.option("--out", type=DATA, required=True, help="Folder for results.json and report.html.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="CPU threads of each model.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of the models.")
@cost_options()
@json_option
def cost(models: tuple[Path, ...], out: Path, threads: int, seed: int, cost: CostOptions, as_json: bool) -> None:
    """Measure time, memory and size of exported FILEs, or of models by NAME.

    Also measures cold start, makes a profile by stage and operator, and determines what limits each model. The models
    take turns in one run. Exits with 4 if a file outputs something else on ARM or on a phone than on this machine.
    """
    from hearlite.benchmarks.run_cost import bench_cost

    print_data(
        bench_cost(cost.plan(models, threads=threads, seed=seed), out=out, command=command_line(), log=echo),
        as_json=as_json,
    )
