"""Parity, then latency, of an exported file on an Android device, by adb and without an app.

    python -m hearlite.benchmarks.android FILE --runner FOLDER --out android.json

FOLDER holds `android_runner`, and whatever it needs beside it. Build it from android_runner.c with the NDK and the libLiteRt.so (jni/arm64-v8a) of
LiteRT's AAR, and put both into FOLDER:

    aarch64-linux-android26-clang -O2 -o FOLDER/android_runner benchmarks/android_runner.c -LFOLDER -lLiteRt -Wl,-rpath,'$ORIGIN'

or for glibc, with the loader and libraries of an arm64 Linux in FOLDER and `--exec-prefix "./ld-linux-aarch64.so.1 --library-path ."`. What is
written is what the app of android_harness shares: the same keys.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.benchmarks.adb import Adb, clean_up, find_device
from hearlite.benchmarks.study import run_module
from hearlite.bundle import Manifest, read_manifest
from hearlite.check import check_signals
from hearlite.errors import GateError, InputError
from hearlite.files import write_json

SCHEMA = "hearlite-device-bench/1"  # BenchReport.kt writes it too
RUNNER = "android_runner"
_INPUT, _OUTPUT = "input.f32", "output.f32"


@dataclass(frozen=True)
class Job:
    """What to run: `runner` is the folder with RUNNER in it, `exec_prefix` what starts it, `folder` where on the device programs may be run."""

    model: Path
    runner: Path
    exec_prefix: str
    folder: str
    runs: int
    warmup: int

    def files(self) -> list[Path]:
        files = sorted(path for path in self.runner.iterdir() if path.is_file()) if self.runner.is_dir() else []
        if RUNNER not in [path.name for path in files]:
            raise InputError(f"{self.runner} holds no {RUNNER}", "build it: the head of benchmarks/android.py says how")
        return [*files, self.model]


def measure_on_device(job: Job, *, adb: Adb) -> dict[str, Any]:
    """Push, run, pull, compare: the report. Latency is None when parity fails. The device's folder is removed whatever happens.

    Raises InputError for a bundle without golden embedding, a runner that isn't there, and whatever the device says.
    """
    manifest = read_manifest(job.model)
    if manifest.golden_tolerance is None or manifest.golden_signal not in check_signals():
        raise InputError(f"{job.model}: its manifest has no golden embedding to compare with", "export it again with this version of hearlite")
    files = job.files()
    remote = f"{job.folder.rstrip('/')}/hearlite-{secrets.token_hex(4)}"  # its own: two runs at once don't mix
    try:
        with tempfile.TemporaryDirectory() as here:
            found, said = _run(job, manifest, files, adb=adb, remote=remote, here=Path(here))
        device = _device(adb)
    finally:
        if (error := clean_up(adb, remote)) is not None:
            click.echo(f"warning: {remote} is left on {adb.serial}: {error.message}", err=True)
    return _report(manifest, found=found, said=said, device=device, warmup=job.warmup)


def _run(job: Job, manifest: Manifest, files: list[Path], *, adb: Adb, remote: str, here: Path) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The golden signal's embedding [dim], computed there, and what the runner printed."""
    clip = from_int16(check_signals()[manifest.golden_signal])
    (here / _INPUT).write_bytes(clip.astype("<f4").tobytes())
    adb.shell(f"mkdir -p {shlex.quote(remote)}")
    adb.push([*files, here / _INPUT], remote)
    command = f"{job.exec_prefix} ./{RUNNER} {shlex.quote(job.model.name)} {_INPUT} {_OUTPUT} {job.warmup} {job.runs}".strip()
    printed = adb.shell(f"cd {shlex.quote(remote)} && chmod 755 ./* && {command}")
    adb.pull(f"{remote}/{_OUTPUT}", here / _OUTPUT)
    found = np.frombuffer((here / _OUTPUT).read_bytes(), "<f4")
    try:
        said = json.loads(printed.strip().splitlines()[-1])
        if len(said["times_ms"]) != job.runs or int(said["threads"]) < 1 or not said["cold_ms"] > 0:
            raise ValueError(f"{len(said['times_ms'])} times for {job.runs} runs")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"the runner printed {printed[-200:]!r}: {error}", "build it from this version's android_runner.c") from error
    if found.shape != (manifest.dim,):
        raise InputError(f"the runner gave {found.size} values", f"expected {manifest.dim}: is it of this model?")
    return found, said


def _report(manifest: Manifest, *, found: NDArray[np.float32], said: dict[str, Any], device: dict[str, Any], warmup: int) -> dict[str, Any]:
    golden = np.asarray(manifest.golden_embedding, np.float32)
    difference = float(np.linalg.norm(found - golden) / max(float(np.linalg.norm(golden)), 1e-6))  # check.py's measure
    assert manifest.golden_tolerance is not None
    passed = difference <= manifest.golden_tolerance
    times_ms = np.asarray(said["times_ms"], np.float64)
    p5, median, p95 = (float(value) for value in np.percentile(times_ms, [5, 50, 95]))
    latency = {"runs": len(times_ms), "warmup": warmup, "cold_ms": said["cold_ms"], "median_ms": median, "p5_ms": p5, "p95_ms": p95}
    return {
        "schema": SCHEMA,
        "model": manifest.name,
        "tflite_sha256": manifest.tflite_sha256,
        "runtime": "litert CompiledModel CPU",
        "threads": said["threads"],
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": device,
        "parity": {"passed": passed, "relative_difference": difference if np.isfinite(difference) else None, "tolerance": manifest.golden_tolerance},
        "latency": {**latency, "mean_ms": float(times_ms.mean())} if passed else None,
    }


def _device(adb: Adb) -> dict[str, Any]:
    """What the device says of itself; null where it says nothing."""
    battery = adb.value("dumpsys battery")

    def number(key: str) -> int | None:
        match = re.search(rf"^\s*{key}: (\d+)\s*$", battery, re.MULTILINE)
        return int(match[1]) if match else None

    name = " ".join(filter(None, (adb.value("getprop ro.product.manufacturer"), adb.value("getprop ro.product.model"))))
    release, cores, tenths = adb.value("getprop ro.build.version.release"), adb.value("nproc"), number("temperature")
    return {
        "name": name or adb.serial,
        "os": f"Android {release}" if release else adb.value("uname -sr"),
        "abi": adb.value("getprop ro.product.cpu.abi") or adb.value("uname -m"),
        "cores": int(cores) if cores.isdigit() else None,
        "battery_percent": number("level"),
        "battery_celsius": None if tenths is None else tenths / 10,
        "charging": "powered: true" in battery if battery else None,
        "power_save": {"1": True, "0": False}.get(adb.value("settings get global low_power")),
    }


@click.command()
@click.argument("model", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--runner", type=click.Path(path_type=Path), required=True, help=f"Folder with {RUNNER} and what it needs.")
@click.option("--exec-prefix", default="", help="What starts the runner, such as a loader.")
@click.option("--serial", help="Of the device; default: the only one.")
@click.option("--adb", "program", default="adb", show_default=True)
@click.option("--folder", default="/data/local/tmp", show_default=True, help="On the device, where programs may be run.")
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--warmup", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def command(model: Path, runner: Path, exec_prefix: str, serial: str | None, program: str, folder: str, runs: int, warmup: int, out: Path) -> None:
    """Whether a device computes what the exporter computed, and how long it takes. Exit 4 when it doesn't."""
    adb = find_device(program=program, serial=serial)
    job = Job(model, runner=runner, exec_prefix=exec_prefix, folder=folder, runs=runs, warmup=warmup)
    report = measure_on_device(job, adb=adb)
    write_json(out, report)
    parity, latency = report["parity"], report["latency"]
    if latency is None:
        said = f"differs by {parity['relative_difference']} of the golden embedding's length, allowed {parity['tolerance']}"
        raise GateError(f"parity failed: it {said}", f"{out} has no latency: times of a wrong computation say nothing")
    click.echo(f"{model.name} on {report['device']['name']}: median {latency['median_ms']:.2f} ms, p95 {latency['p95_ms']:.2f} ms")


if __name__ == "__main__":
    run_module(command)
