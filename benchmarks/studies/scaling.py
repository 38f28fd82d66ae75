"""Measure time and memory over ever more sound.

    hearlite study scaling --model FILE.tflite --out FOLDER

Ten times as much sound should take ten times as long, in the same memory. Synthetic recordings of 1, 10 and 100 times
as many subjects go through `embed`, `distill` and `bench`, each in a process of its own. Writes results.json and
scaling.svg. Training takes a fixed number of steps, so the time of `distill` grows with its records alone.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.cost.child_processes import tied
from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.errors import InputError
from hearlite.files import write_json
from hearlite.models.option import MODEL
from hearlite.serialization import to_dict
from hearlite.writing import replacing

SCHEMA = "hearlite-scaling/1"
FACTORS = (1, 10, 100)
STAGES = ("embed", "distill", "bench")
_SUBJECTS, _RECORDINGS = 40, 2  # of factor 1: few enough for 100 times as many, enough subjects for bench to find tasks
_STEPS = 20
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2)


@dataclass(frozen=True)
class Point:
    """One stage over one amount of sound."""

    stage: str  # one of STAGES
    factor: int
    clips: int
    seconds: float
    peak_bytes: int  # most resident memory of its process


@dataclass(frozen=True)
class Growth:
    """The cost of a further clip, from one factor to the next.

    Where time is linear it is the same at every step; where memory is flat it is near 0 bytes.
    """

    stage: str
    factors: tuple[int, int]
    ms_per_clip: float
    bytes_per_clip: float


@dataclass(frozen=True)
class Recordings:
    """The synthetic recordings of factor 1."""

    subjects: int
    each: int  # recordings of a subject
    synthetic: bool


@dataclass(frozen=True)
class ScalingResults(StudyRun):
    """The whole of results.json."""

    machine: str
    versions: dict[str, str]  # by package
    recordings: Recordings
    steps: int  # of training
    points: tuple[Point, ...]
    growth: tuple[Growth, ...]


def growth(points: Sequence[Point]) -> tuple[Growth, ...]:
    """Return the growth between neighbouring points of each stage, in the order of their clips."""
    steps = []
    for stage in dict.fromkeys(point.stage for point in points):
        own = sorted((point for point in points if point.stage == stage), key=lambda point: point.clips)
        for low, high in itertools.pairwise(own):
            more = high.clips - low.clips
            ms, size = 1e3 * (high.seconds - low.seconds) / more, (high.peak_bytes - low.peak_bytes) / more
            steps.append(Growth(stage, (low.factor, high.factor), ms, size))
    return tuple(steps)


def measure(
    model: Path, *, factors: Sequence[int], stages: Sequence[str], folder: Path, log: Callable[[str], None]
) -> tuple[Point, ...]:
    """Run and measure every stage over every factor.

    Parameters
    ----------
    model
        An exported .tflite.
    factors
        Times the least amount of sound.
    stages
        Some of STAGES; `embed` always runs, since it counts the clips.
    folder
        For recordings and outputs.
    log
        Called with each line of progress.

    Raises
    ------
    InputError
        A stage failed; the message is its own.
    """
    points = []
    for factor in factors:
        log(f"{factor}x: making {factor * _SUBJECTS * _RECORDINGS} recordings")
        data = write_corpus(
            folder / f"{factor}x", subjects=factor * _SUBJECTS, recordings_per_subject=_RECORDINGS, seed=0
        )
        clips, commands = 0, _commands(model, data=data, out=folder / f"{factor}x-out")
        for stage in STAGES:
            if stage in stages or not clips:  # embed always runs: it counts the clips
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
    """Run a hearlite command in a process of its own.

    Returns
    -------
    tuple[float, int, dict[str, Any]]
        Seconds, most resident bytes, and the JSON that it prints.

    Raises
    ------
    InputError
        The command failed; the message has its last line.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        command = tied([sys.executable, "-m", "hearlite", *arguments, "--json"])
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        try:
            _, status, used = os.wait4(process.pid, 0)  # the usage of this child alone
        except BaseException:
            process.kill()
            process.wait()
            raise
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


def to_results(points: Sequence[Point]) -> ScalingResults:
    """Return the content of results.json."""
    return ScalingResults(
        **vars(study_run(SCHEMA)),
        machine=device(),
        versions={name: version(name) for name in ("hearlite", "numpy", "ai-edge-litert")},
        recordings=Recordings(_SUBJECTS, _RECORDINGS, synthetic=True),
        steps=_STEPS,
        points=tuple(points),
        growth=growth(points),
    )


@click.command()
@click.option(
    "--model",
    type=MODEL,
    required=True,
    help="An exported .tflite, for `embed` and `bench`.",
)
@click.option(
    "--factor",
    "factors",
    type=click.IntRange(1),
    multiple=True,
    default=FACTORS,
    show_default=True,
    help="Times the least amount of sound; may be repeated.",
)
@click.option("--stage", "stages", type=click.Choice(STAGES), multiple=True, default=STAGES, show_default=True)
@click.option(
    "--work", type=click.Path(path_type=Path), help="Where recordings and outputs go.  [default: a temporary folder]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A folder for results.json and scaling.svg."
)
def command(model: Path, factors: tuple[int, ...], stages: tuple[str, ...], work: Path | None, out: Path) -> None:
    """Measure time and memory of embed, distill and bench over ever more synthetic sound."""
    with tempfile.TemporaryDirectory() as temporary:
        points = measure(
            model,
            factors=sorted(set(factors)),
            stages=stages,
            folder=work or Path(temporary),
            log=lambda text: click.echo(text, err=True),
        )
    results = to_results(points)
    write_json(out / "results.json", to_dict(results))
    write_plot(results.points, out / "scaling.svg")
    for point in points:
        click.echo(
            f"{point.stage:8} {point.factor:4}x {point.clips:7} clips {point.seconds:8.1f} s"
            f" {point.peak_bytes / 1e6:8.0f} MB"
        )
    for item in results.growth:
        steps = f"{item.factors[0]}x to {item.factors[1]}x"
        click.echo(
            f"{item.stage:8} {steps:14} {item.ms_per_clip:8.2f} ms and {item.bytes_per_clip / 1e3:8.1f} kB a further"
            " clip"
        )


_MARKERS = ("o", "s", "D")


def write_plot(points: Sequence[Point], path: Path) -> None:
    """Draw time and memory over clips, as .svg or .png by the ending of `path`; dotted is linear time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    stages = list(dict.fromkeys(point.stage for point in points))
    with mpl.rc_context({**STYLE, "axes.spines.left": True, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        time_s, memory = figure.subplots(1, 2)
        for stage, colour, marker in zip(stages, COLOURS, _MARKERS, strict=False):
            own = sorted((point for point in points if point.stage == stage), key=lambda point: point.clips)
            clips = [point.clips for point in own]
            line: dict[str, Any] = {"color": colour, "marker": marker, "label": stage}
            time_s.plot(clips, [point.seconds for point in own], **line)
            memory.plot(clips, [point.peak_bytes / 1e9 for point in own], **line)
            linear = [own[-1].seconds * count / clips[-1] for count in clips]
            time_s.plot(clips, linear, color=colour, linestyle=":", linewidth=1.0)
        time_s.set(xscale="log", yscale="log", xlabel="clips of 2 s", ylabel="seconds (dotted: proportional)")
        memory.set(xscale="log", xlabel="clips of 2 s", ylabel="peak memory, GB")
        memory.set_ylim(bottom=0)
        for axis in (time_s.xaxis, time_s.yaxis, memory.xaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        time_s.legend(frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
