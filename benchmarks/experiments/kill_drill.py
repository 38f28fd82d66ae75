"""Kill commands at random moments, run them again, and compare with uninterrupted runs.

    hearlite study kill-drill --points 50 --out OUT

Each point ends one of `embed`, `distill`, `quantize`, `export` and `bench`, on synthetic sounds, by SIGKILL or SIGTERM
at a moment drawn evenly from the time that the command takes; one that comes after its end is drawn again. The command
is then run until it succeeds. A point is good when the output equals the uninterrupted one, neither temporary files nor
parts nor child processes are left and, after SIGTERM, the exit code was 143.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.cost.child_processes import tied
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.errors import GateError, InputError
from hearlite.files import read_arrays, read_json, sha256_of, write_bytes, write_json
from hearlite.progress import progress
from hearlite.serialization import to_dict

SCHEMA = "hearlite-kill-drill/1"
SIGNALS = ("SIGKILL", "SIGTERM")
STEPS = 30  # of training: long enough for checkpoints, short enough for fifty points
SUBJECTS, RECORDINGS = 40, 2  # bench needs five positive subjects of a class in train
_SETTLE_S = 0.2  # after the command's end, for the kernel to end its children
_GRACE_S = 30.0  # for a command to end after SIGTERM: a step of TensorFlow is not interrupted
_ATTEMPTS = 3  # to run the command again until it succeeds
_DRAWS = 5  # of a moment before the command's end
# Of results.json: these differ between equal runs, and where the checkout has moved on.
_CHANGING = frozenset({"created", "command", "versions", "machine", "latency"})


@dataclass(frozen=True)
class Drill:
    """A command to interrupt."""

    name: str
    arguments: tuple[str, ...]  # run in a folder with `data` and what the drills before have written
    digest: Callable[[Path], dict[str, str]]  # what must be equal, by a name for it


@dataclass(frozen=True)
class Point:
    """One interruption and what came of it."""

    command: str
    signal: str
    after_s: float
    exit_code: int  # as a shell reports it: 128 and the signal's number for a process that a signal ended
    attempts: int  # runs until the command succeeded
    equal: bool
    left: tuple[str, ...] = ()  # temporary files, parts and locks that were left after the command succeeded
    children: int = 0  # processes of the command that were alive after it had ended

    @property
    def good(self) -> bool:
        """Whether nothing was lost or left."""
        ended = self.exit_code == 128 + getattr(signal, self.signal)
        return self.equal and ended and not self.left and not self.children


@dataclass(frozen=True)
class DrillResults(StudyRun):
    """The content of results.json."""

    seed: int
    steps: int
    durations_s: dict[str, float]  # of the uninterrupted commands
    points: tuple[Point, ...] = field(default_factory=tuple)


def _arrays(path: Path) -> str:
    """Return a hash of the arrays in a .npz, whose archive holds times."""
    digest = hashlib.sha256()
    for name, values in sorted(read_arrays(path).items()):
        digest.update(name.encode() + str(values.shape).encode() + values.tobytes())
    return digest.hexdigest()


def _results(path: Path) -> str:
    kept = {key: value for key, value in read_json(path).items() if key not in _CHANGING}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


DRILLS = (
    Drill(
        "embed",
        ("embed", "data", "--model", "spectral", "--hop", "0.2", "--out", "out/e.parquet"),
        lambda folder: {"e.parquet": sha256_of(folder / "out" / "e.parquet")},
    ),
    Drill(
        "distill",
        ("distill", "data", "--teacher", "spectral", "--size", "tiny", "--steps", str(STEPS), "--run", "run"),
        lambda folder: {
            **{name: _arrays(folder / "run" / name) for name in ("weights.npz", "targets.npz")},
            "metrics.json": sha256_of(folder / "run" / "metrics.json"),
        },
    ),
    Drill(
        "quantize",
        ("quantize", "run", "--allow-failed-gate"),
        lambda folder: {
            path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.glob("run/*/model.tflite"))
        },
    ),
    Drill(
        "export",
        ("export", "run", "--out", "out", "--allow-failed-gate"),
        lambda folder: {path.name: sha256_of(path) for path in sorted((folder / "out").glob("*.tflite"))},
    ),
    Drill(
        "bench",
        ("bench", "data", "--teacher", "spectral", "--out", "bench"),
        lambda folder: {"results.json": _results(folder / "bench" / "results.json")},
    ),
)


@dataclass(frozen=True)
class Stage:
    """The uninterrupted run of a drill: a folder before it, the digest and the duration."""

    before: Path
    digest: dict[str, str]
    seconds: float
    arguments: tuple[str, ...]


def prepare(folder: Path, *, drills: Sequence[Drill], seed: int) -> dict[str, Stage]:
    """Run the drills, and those that make what they need, once, keeping the folder as it was before each.

    Raises InputError when a command fails.
    """
    work = folder / "work"
    write_corpus(work / "data", subjects=SUBJECTS, recordings_per_subject=RECORDINGS, seed=seed)
    stages = {}
    for drill in DRILLS[: 1 + max(map(DRILLS.index, drills))]:
        if drill not in drills and drill.name == "embed":  # nothing needs its file
            continue
        before = folder / f"before-{drill.name}"
        shutil.copytree(work, before)
        arguments = drill.arguments
        if drill.name == "bench":
            arguments += tuple(
                part for path in sorted(work.glob("out/*.tflite")) for part in ("--model", f"out/{path.name}")
            )
        began = time.monotonic()
        done = _start(arguments, work).wait()
        if done:
            raise InputError(f"hearlite {drill.name} ended with {done}", f"see {work / 'log.txt'}")
        stages[drill.name] = Stage(before, drill.digest(work), time.monotonic() - began, arguments)
    return stages


def interrupt(drill: Drill, stage: Stage, work: Path, *, number: str, draw: random.Random) -> Point:
    """Interrupt a command in a fresh copy of its folder, run it again, and compare."""
    seconds = stage.seconds
    for _ in range(_DRAWS):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(stage.before, work)
        after_s = draw.uniform(0, seconds)
        began = time.monotonic()
        process = _start(stage.arguments, work)
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, number))
            break
        seconds = time.monotonic() - began  # it was faster than the first time
    try:
        exit_code = process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        exit_code = 1  # it does not end: not good
    time.sleep(_SETTLE_S)
    children = _alive(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    attempts = next((count for count in range(1, _ATTEMPTS + 1) if _start(stage.arguments, work).wait() == 0), 0)
    left = tuple(
        path.relative_to(work).as_posix()
        for path in work.rglob("*")
        if path.name.startswith(".hearlite") or path.name.endswith(".parts")
    )
    equal = bool(attempts) and drill.digest(work) == stage.digest
    exit_code = 128 - exit_code if exit_code < 0 else exit_code
    return Point(drill.name, number, round(after_s, 2), exit_code, attempts, equal, left, children)


def _start(arguments: Sequence[str], work: Path) -> subprocess.Popen[bytes]:
    with (work / "log.txt").open("ab") as log:
        return subprocess.Popen(
            tied([sys.executable, "-m", "hearlite", *arguments]),
            cwd=work,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that its children can be told
        )


def _alive(session: int) -> int:
    """Return how many processes of a session are alive; only Linux tells."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            count += int(its_session) == session and state != "Z"
    return count


def table(results: DrillResults) -> str:
    """Render Markdown: a row for each command and signal."""
    lines = [
        "| command | signal | points | result equal | files left | children left | exit codes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(point.command for point in results.points):
        for number in SIGNALS:
            points = [point for point in results.points if (point.command, point.signal) == (name, number)]
            if points:
                codes = ", ".join(map(str, sorted({point.exit_code for point in points})))
                equal = sum(point.equal for point in points)
                left = sum(map(bool, (point.left for point in points)))
                children = sum(point.children for point in points)
                lines.append(f"| {name} | {number} | {len(points)} | {equal} | {left} | {children} | {codes} |")
    good = sum(point.good for point in results.points)
    return "\n".join(lines) + f"\n\n{good} of {len(results.points)} points good.\n"


@click.command()
@click.option("--points", type=click.IntRange(min=1), default=50, show_default=True, help="Number of interruptions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the moments and the sounds.")
@click.option(
    "--only", type=click.Choice([drill.name for drill in DRILLS]), multiple=True, help="Commands; default: all."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json and table.md.")
def command(points: int, seed: int, only: tuple[str, ...], out: Path) -> None:
    """Kill commands at random moments, run them again and compare."""
    scratch = out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    drills = [drill for drill in DRILLS if not only or drill.name in only]
    stages = prepare(scratch, drills=drills, seed=seed)
    durations = {name: round(stage.seconds, 1) for name, stage in stages.items()}
    results = DrillResults(**vars(study_run(SCHEMA)), seed=seed, steps=STEPS, durations_s=durations)
    done: list[Point] = []
    with progress("kill drill", total=points) as advance:
        for place in range(points):
            drill = drills[place % len(drills)]
            stage = stages[drill.name]
            number = SIGNALS[place // len(drills) % len(SIGNALS)]
            draw = random.Random(f"{seed} {place}")
            done.append(interrupt(drill, stage, scratch / "point", number=number, draw=draw))
            if not done[-1].good:
                click.echo(f"not good: {done[-1]}", err=True)
                (scratch / "point" / "log.txt").replace(out / f"log-{place}.txt")
            results = dataclasses.replace(results, points=tuple(done))
            write_json(out / "results.json", to_dict(results))
            advance(place + 1)
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
    shutil.rmtree(scratch)
    if not all(point.good for point in done):
        raise GateError(f"{sum(not point.good for point in done)} of {points} points are not good", f"see {out}")
