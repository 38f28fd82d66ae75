"""Does ten times as much sound take ten times as long, in the same memory?

    python -m hearlite.benchmarks.studies.scaling --model FILE.tflite --out FOLDER

Synthetic recordings of more and more subjects go through `embed`, `distill` and `bench`, each a process of its own.
Writes results.json and scaling.svg. Training is of a fixed number of steps, so distill's time grows with its records
alone.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.errors import InputError
from hearlite.files import replacing, write_json
from hearlite.provenance import command_line, now
from hearlite.serialization import to_dict

SCHEMA = "hearlite-scaling/1"
FACTORS = (1, 10, 100)
STAGES = ("embed", "distill", "bench")
_SUBJECTS, _RECORDINGS = 40, 2  # of factor 1: few enough for 100 times as many, enough subjects for bench to find tasks
_STEPS = 20
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2)


@dataclass(frozen=True)
class Point:
    """One stage over one amount of sound."""

    stage: str
    factor: int
    clips: int
    seconds: float
    peak_bytes: int  # most resident memory of its process


@dataclass(frozen=True)
class Growth:
    """What a further clip costs, from one factor to the next: the same at every step where time is linear, near no
    memory where that is flat.
    """

    stage: str
    factors: tuple[int, int]
    ms_per_clip: float
    bytes_per_clip: float


def growth(points: Sequence[Point]) -> tuple[Growth, ...]:
    """Between neighbours of each stage, in the order of their clips."""
    found = []
    for stage in dict.fromkeys(point.stage for point in points):
        own = sorted((point for point in points if point.stage == stage), key=lambda point: point.clips)
        for low, high in itertools.pairwise(own):
            more = high.clips - low.clips
            ms, size = 1e3 * (high.seconds - low.seconds) / more, (high.peak_bytes - low.peak_bytes) / more
            found.append(Growth(stage, (low.factor, high.factor), ms, size))
    return tuple(found)


def measure(
    model: Path, *, factors: Sequence[int], stages: Sequence[str], folder: Path, log: Callable[[str], None]
) -> tuple[Point, ...]:
    """Every stage over every factor. Raises InputError with what a stage says when it fails."""
    points = []
    for factor in factors:
        log(f"{factor}x: making {factor * _SUBJECTS * _RECORDINGS} recordings")
        data = write_corpus(
            folder / f"{factor}x", subjects=factor * _SUBJECTS, recordings_per_subject=_RECORDINGS, seed=0
        )
        clips, commands = 0, _commands(model, data=data, out=folder / f"{factor}x-out")
        for stage in STAGES:
            if stage in stages or not clips:  # embed runs always: it counts the clips
                log(f"{factor}x: {stage}")
                seconds, peak, printed = run_process(commands[stage])
                clips = clips or int(printed["clips"])
                points.append(Point(stage, factor, clips, seconds, peak))
    return tuple(points)


def _commands(model: Path, *, data: Path, out: Path) -> dict[str, list[str]]:
    return {
        "embed": ["embed", str(data), "--model", f"tflite:{model}", "--out", str(out / "vectors.parquet")],
        "distill": ["distill", str(data), "--size", "tiny", "--steps", str(_STEPS), "--run", str(out / "run")],
        "bench": ["bench", str(data), "--model", str(model), "--out", str(out)],
    }


def run_process(arguments: Sequence[str]) -> tuple[float, int, dict[str, Any]]:
    """Seconds and peak bytes of a hearlite command, and the JSON that it prints. Raises InputError when it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "hearlite", *arguments, "--json"], stdout=out, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)  # the usage of this child alone
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (out, errors):
            stream.seek(0)
        if process.returncode:
            raise InputError(
                f"hearlite {shlex.join(arguments)}:"
                f" {(errors.read().strip().splitlines() or [f'exit {process.returncode}'])[-1]}"
            )
        return seconds, used.ru_maxrss * _MAXRSS_UNIT, json.loads(out.read())


def to_results(points: Sequence[Point], *, command: str) -> dict[str, Any]:
    """The content of results.json."""
    return {
        "schema": SCHEMA,
        "command": command,
        "created": now(),
        "machine": device(),
        "versions": {name: version(name) for name in ("hearlite", "numpy", "ai-edge-litert")},
        "recordings": {"subjects": _SUBJECTS, "each": _RECORDINGS, "synthetic": True},
        "steps": _STEPS,
        "points": [to_dict(point) for point in points],
        "growth": [to_dict(item) for item in growth(points)],
    }


@click.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    required=True,
    help="An exported .tflite, which embeds and is benchmarked.",
)
@click.option(
    "--factor",
    "factors",
    type=click.IntRange(1),
    multiple=True,
    default=FACTORS,
    show_default=True,
    help="Times the least amount.",
)
@click.option("--stage", "stages", type=click.Choice(STAGES), multiple=True, default=STAGES, show_default=True)
@click.option(
    "--work", type=click.Path(path_type=Path), help="Where recordings and outputs go.  [default: a temporary folder]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A folder for results.json and scaling.svg."
)
def command(model: Path, factors: tuple[int, ...], stages: tuple[str, ...], work: Path | None, out: Path) -> None:
    """Time and peak memory of embedding, distilling and benchmarking over growing amounts of synthetic sound."""
    with tempfile.TemporaryDirectory() as temporary:
        points = measure(
            model,
            factors=sorted(set(factors)),
            stages=stages,
            folder=work or Path(temporary),
            log=lambda text: click.echo(text, err=True),
        )
    results = to_results(points, command=command_line())
    write_json(out / "results.json", results)
    write_plot(results, out / "scaling.svg")
    for point in points:
        click.echo(
            f"{point.stage:8} {point.factor:4}x {point.clips:7} clips {point.seconds:8.1f} s"
            f" {point.peak_bytes / 1e6:8.0f} MB"
        )
    for item in growth(points):
        steps = f"{item.factors[0]}x to {item.factors[1]}x"
        click.echo(
            f"{item.stage:8} {steps:14} {item.ms_per_clip:8.2f} ms and {item.bytes_per_clip / 1e3:8.1f} kB a further"
            " clip"
        )


_MARKERS = ("o", "s", "D")


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw the points of scaling.py's results.json, as .svg or .png by the ending of `path`. The dotted line has the
    slope of linear time.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    points = results["points"]
    stages = list(dict.fromkeys(point["stage"] for point in points))
    with mpl.rc_context({**STYLE, "axes.spines.left": True, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        time_s, memory = figure.subplots(1, 2)
        for stage, colour, marker in zip(stages, COLOURS, _MARKERS, strict=False):
            own = sorted((point for point in points if point["stage"] == stage), key=lambda point: point["clips"])
            clips = [point["clips"] for point in own]
            line: dict[str, Any] = {"color": colour, "marker": marker, "label": stage}
            time_s.plot(clips, [point["seconds"] for point in own], **line)
            memory.plot(clips, [point["peak_bytes"] / 1e9 for point in own], **line)
            time_s.plot(
                clips,
                [own[-1]["seconds"] * count / clips[-1] for count in clips],
                color=colour,
                linestyle=":",
                linewidth=1.0,
            )
        time_s.set(xscale="log", yscale="log", xlabel="clips of 2 s", ylabel="seconds (dotted: proportional)")
        memory.set(xscale="log", xlabel="clips of 2 s", ylabel="peak memory, GB")
        memory.set_ylim(bottom=0)
        for axis in (time_s.xaxis, time_s.yaxis, memory.xaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        time_s.legend(frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
