"""Parity, then latency, of an exported file on an Android device, by adb and without an app.

    python -m hearlite.benchmarks.android.bench FILE --out android.json

What runs there is android_runner: by default that of the box of `hearlite arm`, which brings its own glibc and needs no
NDK; with --runner FOLDER the one in FOLDER. Build that with the NDK and the libLiteRt.so (jni/arm64-v8a) of LiteRT's
AAR, and put both into FOLDER:

    aarch64-linux-android26-clang -O2 -o FOLDER/android_runner benchmarks/android/native/android_runner.c -LFOLDER
    -lLiteRt -Wl,-rpath,'$ORIGIN'

What is written is what the app of android_harness shares: the same keys. An emulator's time is never a latency.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.android.adb import Adb, clean_up, find_device
from hearlite.benchmarks.android.facts import compare_golden, golden_values, read_facts
from hearlite.benchmarks.android.runner import (
    Printed,
    Runner,
    as_latency,
    open_runner,
    read_benchmark_model,
    read_printed,
    runner_in,
)
from hearlite.benchmarks.arm.sandbox.sandbox import open_box
from hearlite.benchmarks.schema.device import EMULATED, WRONG, BenchmarkModel, DeviceBench
from hearlite.bundle import Manifest, read_manifest
from hearlite.errors import GateError, InputError, UsageError
from hearlite.files import cache_folder, write_json
from hearlite.self_test import check_signals
from hearlite.serialization import to_dict

FOLDER = "/data/local/tmp"  # where Android lets adb's user run programs
RUNS, WARMUP = 200, 20  # p95 then rests on the slowest ten; BenchActivity.kt takes as many
_NAME = "hearlite-bench"  # always the same: what a run that lost its device left there, the next one removes
_INPUT, _OUTPUT = "input.f32", "output.f32"


@dataclass(frozen=True)
class Job:
    """What to run, and how: `prefix` starts the runner, `folder` is where on the device programs may be run."""

    model: Path
    runner: Runner
    prefix: str = ""
    folder: str = FOLDER
    runs: int = RUNS
    warmup: int = WARMUP
    benchmark_binary: Path | None = None


def bench_android(
    model: Path,
    *,
    serial: str | None = None,
    program: str = "adb",
    runner: Path | None = None,
    exec_prefix: str = "",
    benchmark_binary: Path | None = None,
    folder: str = FOLDER,
    runs: int = RUNS,
    warmup: int = WARMUP,
) -> DeviceBench:
    """Benchmark an exported file on the device `serial`, by default the only one that adb knows.

    `runner` is a folder with android_runner, by default the ARM box's; `exec_prefix` what starts it there, such as an
    emulator; `benchmark_binary` LiteRT's own benchmark_model for that device, to be run too. Raises InputError,
    DeviceLostError and UsageError, which say what to do.
    """
    found = (
        runner_in(runner)
        if runner
        else open_runner(open_box(Path(os.environ.get("HEARLITE_ARM_BOX") or cache_folder("arm"))))
    )
    adb = find_device(program=program, serial=serial)
    return measure_on_device(Job(model, found, exec_prefix, folder, runs, warmup, benchmark_binary), adb=adb)


def measure_on_device(job: Job, *, adb: Adb) -> DeviceBench:
    """Push, run, pull, compare. The device's folder is removed whatever happens; after a disconnect, by the next run.

    Raises InputError for a bundle without golden embedding and whatever the device says, UsageError while another run
    has the device.
    """
    manifest = read_manifest(job.model)
    if manifest.golden_tolerance is None or manifest.golden_signal not in check_signals():
        raise InputError(
            f"{job.model}: its manifest has no golden embedding to compare with",
            "export it again with this version of hearlite",
        )
    remote = f"{job.folder.rstrip('/')}/{_NAME}"
    with _alone_on(adb.serial), tempfile.TemporaryDirectory() as here:
        try:
            adb.shell(f"rm -rf {shlex.quote(remote)} && mkdir -p {shlex.quote(remote)}")
            device = read_facts(adb, job.runner, prefix=job.prefix)
            runs, warmup = (1, 1) if device.emulated else (job.runs, job.warmup)
            found, printed = _run(job, manifest, adb=adb, remote=remote, here=Path(here), runs=runs, warmup=warmup)
            parity = compare_golden(manifest, found)
            without = EMULATED if device.emulated else "" if parity.passed else WRONG
            other = None if without else _benchmark_model(job, adb=adb, remote=remote, threads=printed.threads)
        finally:
            if (error := clean_up(adb, remote)) is not None:
                click.echo(
                    f"warning: {remote} is left on {adb.serial}, and the next run removes it: {error.message}", err=True
                )
    return DeviceBench(
        model=manifest.name,
        tflite_sha256=manifest.tflite_sha256,
        runtime="litert CompiledModel CPU",
        threads=printed.threads,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        device=device,
        parity=parity,
        latency=None if without else as_latency(printed, warmup=warmup),
        without_latency=without,
        benchmark_model=other,
    )


@contextmanager
def _alone_on(serial: str) -> Iterator[None]:
    """Two runs at once on one device would time each other, and the second would remove the first one's files."""
    path = Path(tempfile.gettempdir()) / f"hearlite-{re.sub(r'[^A-Za-z0-9.-]', '_', serial)}-{os.getuid()}.lock"
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run is measuring on {serial}", "wait for its end") from error
        yield


def _run(
    job: Job, manifest: Manifest, *, adb: Adb, remote: str, here: Path, runs: int, warmup: int
) -> tuple[NDArray[np.float32], Printed]:
    """Return the golden signal's embedding [dim] and scores [labels], computed there, and what the runner printed."""
    clip = from_int16(check_signals()[manifest.golden_signal])
    (here / _INPUT).write_bytes(clip.astype("<f4").tobytes())
    adb.push([*job.runner.files.values(), job.model, here / _INPUT], remote)
    command = job.runner.command([job.model.name, _INPUT, _OUTPUT, str(warmup), str(runs)], prefix=job.prefix)
    printed = read_printed(adb.shell(f"cd {shlex.quote(remote)} && chmod 755 ./* && {command}"), runs=runs)
    adb.pull(f"{remote}/{_OUTPUT}", here / _OUTPUT)
    found = np.frombuffer((here / _OUTPUT).read_bytes(), "<f4")
    if found.shape != golden_values(manifest).shape:
        raise InputError(
            f"the runner gave {found.size} values", f"expected {golden_values(manifest).size}: is it of this model?"
        )
    return found, printed


def _benchmark_model(job: Job, *, adb: Adb, remote: str, threads: int) -> BenchmarkModel | None:
    if job.benchmark_binary is None:
        return None
    adb.push([job.benchmark_binary], remote)
    options = (
        f"--graph={shlex.quote(job.model.name)} --num_threads={threads} --warmup_runs={job.warmup}"
        f" --num_runs={job.runs}"
    )
    name = shlex.quote(f"./{job.benchmark_binary.name}")
    return read_benchmark_model(adb.shell(f"cd {shlex.quote(remote)} && chmod 755 {name} && {name} {options} 2>&1"))


@click.command()
@click.argument("model", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--runner",
    type=click.Path(path_type=Path),
    help="Folder with android_runner and what it needs.  [default: the ARM box's]",
)
@click.option("--exec-prefix", default="", help="What starts the runner there, such as an emulator.")
@click.option(
    "--benchmark-binary",
    type=click.Path(path_type=Path),
    help="LiteRT's benchmark_model for the device, to be run too.",
)
@click.option("--serial", help="Of the device; default: the only one.")
@click.option("--adb", "program", default="adb", show_default=True)
@click.option("--folder", default=FOLDER, show_default=True, help="On the device, where programs may be run.")
@click.option("--runs", type=click.IntRange(min=1), default=RUNS, show_default=True)
@click.option("--warmup", type=click.IntRange(min=1), default=WARMUP, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def command(
    model: Path,
    runner: Path | None,
    exec_prefix: str,
    benchmark_binary: Path | None,
    serial: str | None,
    program: str,
    folder: str,
    runs: int,
    warmup: int,
    out: Path,
) -> None:
    """Whether a device computes what the exporter computed, and how long it takes. Exit 4 when it doesn't."""
    report = bench_android(
        model,
        serial=serial,
        program=program,
        runner=runner,
        exec_prefix=exec_prefix,
        benchmark_binary=benchmark_binary,
        folder=folder,
        runs=runs,
        warmup=warmup,
    )
    write_json(out, to_dict(report))
    click.echo(report.line())
    if not report.parity.passed:
        raise GateError(
            f"{report.model} computes something else on {report.device.name}", f"{out} has no latency: {WRONG}"
        )
