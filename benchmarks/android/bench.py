"""Check parity and measure latency of an exported file on an Android device, over adb without an app.

    python -m hearlite.benchmarks.android.bench FILE --out android.json

The device runs the program android_runner. By default it is taken from the sandbox of `hearlite arm`, together with its
own glibc, and needs no NDK. With --runner FOLDER it is taken from FOLDER: build it with the NDK and the libLiteRt.so
(jni/arm64-v8a) of LiteRT's AAR, and put both into FOLDER:

    aarch64-linux-android26-clang -O2 -o FOLDER/android_runner benchmarks/android/native/android_runner.c -LFOLDER
    -lLiteRt -Wl,-rpath,'$ORIGIN'

The output has the same keys as the JSON that the app of android_harness shares. Time in an emulator is never reported
as a latency.
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
from hearlite.embedders.self_test import check_signals
from hearlite.errors import GateError, InputError, UsageError
from hearlite.files import cache_folder, write_json
from hearlite.models.option import MODEL
from hearlite.serialization import to_dict

FOLDER = "/data/local/tmp"  # the folder in which Android lets adb's user run programs
RUNS, WARMUP = 200, 20  # ten runs are slower than p95; BenchActivity.kt has the same numbers
_NAME = "hearlite-bench"  # always the same, so that a run removes what an earlier one left when it lost the device
_DEVICE_FOLDER = re.compile(r"/[A-Za-z0-9/._-]*")
_INPUT, _OUTPUT = "input.f32", "output.f32"


@dataclass(frozen=True)
class Job:
    """A benchmark of one file: what to run on the device, and how."""

    model: Path  # the .tflite file, with its manifest beside it
    runner: Runner
    prefix: str = ""  # command on the device that starts the runner, such as an emulator
    folder: str = FOLDER  # a folder of the device in which programs may be run
    runs: int = RUNS
    warmup: int = WARMUP
    benchmark_binary: Path | None = None  # LiteRT's benchmark_model for the device


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
    """Check parity and measure latency of an exported file on an Android device.

    Parameters
    ----------
    model : Path
        The .tflite file, with its manifest beside it.
    serial : str, optional
        Serial number of the device, by default that of the only one.
    program : str
        The adb executable.
    runner : Path, optional
        Folder with android_runner and the libraries that it needs, by default those of the ARM sandbox.
    exec_prefix : str
        Command on the device that starts android_runner, such as an emulator.
    benchmark_binary : Path, optional
        LiteRT's own benchmark_model for the device, which is then run too.
    folder : str
        A folder of the device in which programs may be run.
    runs, warmup : int
        Number of timed calls, and of calls before them. On an emulator both are 1.

    Returns
    -------
    DeviceBench
        Device, parity and, unless the device is emulated or parity fails, latency.

    Raises
    ------
    InputError
        If the file has no golden embedding, adb or the sandbox is missing, or something fails on the device.
    DeviceLostError
        If the device is disconnected.
    UsageError
        If several devices are connected and `serial` is missing, or another run is using the device.
    """
    device_runner = (
        runner_in(runner)
        if runner
        else open_runner(open_box(Path(os.environ.get("HEARLITE_ARM_BOX") or cache_folder("arm"))))
    )
    adb = find_device(program=program, serial=serial)
    return measure_on_device(Job(model, device_runner, exec_prefix, folder, runs, warmup, benchmark_binary), adb=adb)


def measure_on_device(job: Job, *, adb: Adb) -> DeviceBench:
    """Push the file and the runner to a device, run them, pull the output and compare it.

    The device's folder is removed at the end, also after an error; after a disconnect, the next run removes it.

    Parameters
    ----------
    job : Job
        What to run.
    adb : Adb
        The device.

    Returns
    -------
    DeviceBench
        Device, parity and, unless the device is emulated or parity fails, latency.

    Raises
    ------
    InputError
        If the file has no golden embedding, or something fails on the device.
    DeviceLostError
        If the device is disconnected.
    UsageError
        If another run is using the device.
    """
    manifest = read_manifest(job.model)
    if manifest.golden_tolerance is None or manifest.golden_signal not in check_signals():
        raise InputError(
            f"{job.model}: its manifest contains no golden embedding to compare with",
            "export it again with this version of hearlite",
        )
    if not _DEVICE_FOLDER.fullmatch(job.folder):
        raise UsageError(f"the device's folder is {job.folder!r}", "name an absolute path, of letters, digits, / . _ -")
    remote = f"{job.folder.rstrip('/')}/{_NAME}"
    with _alone_on(adb.serial), tempfile.TemporaryDirectory() as here:
        try:
            adb.shell(f"rm -rf {shlex.quote(remote)} && mkdir -p {shlex.quote(remote)}")
            device = read_facts(adb, job.runner, prefix=job.prefix)
            runs, warmup = (1, 1) if device.emulated else (job.runs, job.warmup)
            outputs, printed = _run(job, manifest, adb=adb, remote=remote, here=Path(here), runs=runs, warmup=warmup)
            parity = compare_golden(manifest, outputs)
            without = EMULATED if device.emulated else "" if parity.passed else WRONG
            other = None if without else _benchmark_model(job, adb=adb, remote=remote, threads=printed.threads)
        finally:
            if (error := clean_up(adb, remote)) is not None:
                click.echo(
                    f"warning: {remote} is left on {adb.serial} until the next run removes it: {error.message}",
                    err=True,
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
    """Lock the device.

    Two runs at once would slow each other, and the second would remove the first one's files.
    """
    # In a folder of the user's own: elsewhere anybody could put a link to another file in its place, or hold it.
    path = cache_folder("locks") / f"phone-{re.sub(r'[^A-Za-z0-9.-]', '_', serial)}"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run is measuring on {serial}", "wait until it has finished") from error
        yield


def _run(
    job: Job, manifest: Manifest, *, adb: Adb, remote: str, here: Path, runs: int, warmup: int
) -> tuple[NDArray[np.float32], Printed]:
    """Run on the device; return the golden signal's embedding and scores, [dim + labels], and the timings."""
    clip = from_int16(check_signals()[manifest.golden_signal])
    (here / _INPUT).write_bytes(clip.astype("<f4").tobytes())
    adb.push([*job.runner.files.values(), job.model, here / _INPUT], remote)
    command = job.runner.command([job.model.name, _INPUT, _OUTPUT, str(warmup), str(runs)], prefix=job.prefix)
    printed = read_printed(adb.shell(f"cd {shlex.quote(remote)} && chmod 755 ./* && {command}"), runs=runs)
    adb.pull(f"{remote}/{_OUTPUT}", here / _OUTPUT)
    outputs = np.frombuffer((here / _OUTPUT).read_bytes(), "<f4")
    if outputs.shape != golden_values(manifest).shape:
        raise InputError(
            f"the runner wrote {outputs.size} values",
            f"expected {golden_values(manifest).size}: does the manifest belong to it?",
        )
    return outputs, printed


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
@click.argument("model", metavar="FILE|NAME", type=MODEL)
@click.option(
    "--runner",
    type=click.Path(path_type=Path),
    help="Folder with android_runner and its libraries.  [default: those of the ARM sandbox]",
)
@click.option("--exec-prefix", default="", help="Command on the device that starts the runner, such as an emulator.")
@click.option(
    "--benchmark-binary",
    type=click.Path(path_type=Path),
    help="LiteRT's benchmark_model for the device, to run as well.",
)
@click.option("--serial", help="Serial number of the device.  [default: the only one]")
@click.option("--adb", "program", default="adb", show_default=True, help="The adb executable.")
@click.option("--folder", default=FOLDER, show_default=True, help="Folder of the device in which programs may be run.")
@click.option("--runs", type=click.IntRange(min=1), default=RUNS, show_default=True, help="Timed calls.")
@click.option("--warmup", type=click.IntRange(min=1), default=WARMUP, show_default=True, help="Calls before those.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
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
    """Check that a device reproduces the exported FILE's golden embedding, and measure its latency.

    The exit code is 4 if it doesn't.
    """
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
            f"{report.model} computes something else on {report.device.name}", f"{out} contains no latency: {WRONG}"
        )
