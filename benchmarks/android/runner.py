"""The program that runs a file on a device: what is pushed beside the file, how it is started, and what it printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import ON_DEVICE, TARGETS
from hearlite.benchmarks.schema.device import BenchmarkModel, DeviceLatency
from hearlite.errors import InputError

RUNNER = ON_DEVICE.stem
_LOADER = re.compile(r"ld-linux[^/]*\.so\.\d+")  # of a glibc that travels with the program
_BOX_LIBRARIES = ("ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libLiteRt.so")
_NATIVE = {  # by e_machine of the ELF specification: what `uname -m` says where it runs
    3: ("i386", "i686", "x86_64"),
    40: ("armv7l", "armv8l", "aarch64"),
    62: ("x86_64",),
    183: ("aarch64",),
}
_COUNT = re.compile(r"\bcount=(\d+) first=.*?\bmin=(\S+) max=(\S+) avg=(\S+)(?:.*?\bp5=(\S+) median=(\S+) p95=(\S+))?")


@dataclass(frozen=True)
class Runner:
    """`files` by the name that they have on the device, one of which is RUNNER."""

    files: Mapping[str, Path]

    def command(self, arguments: list[str], *, prefix: str) -> str:
        """Return a shell command that runs it in the folder of its files.

        `prefix` is what starts it, such as an emulator, in the device's shell's words.
        """
        loaders = [f"./{name} --library-path ." for name in self.files if _LOADER.fullmatch(name)]
        return " ".join([*filter(None, [prefix]), *loaders, f"./{RUNNER}", *map(shlex.quote, arguments)])

    def is_native(self, machine: str) -> bool:
        """Whether a kernel that calls itself `machine` (uname -m) runs it as it is.

        A script has no processor of its own.
        """
        with self.files[RUNNER].open("rb") as stream:
            head = stream.read(20)
        if head[:4] != b"\x7fELF":
            return True
        number = int.from_bytes(head[18:20], "little")
        if number not in _NATIVE:
            raise InputError(f"{self.files[RUNNER]} is a program for processor {number}", "build it for the device's")
        return machine in _NATIVE[number]


@dataclass(frozen=True)
class Printed:
    """What RUNNER says: threads of its process, milliseconds of the first call and of each that counts."""

    threads: int
    cold_ms: float
    times_ms: tuple[float, ...]


def runner_in(folder: Path) -> Runner:
    """Everything in a folder that holds RUNNER. Raises InputError when it doesn't."""
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()} if folder.is_dir() else {}
    if RUNNER not in files:
        raise InputError(f"{folder} holds no {RUNNER}", "build it: the head of benchmarks/android/bench.py says how")
    return Runner(files)


def open_runner(box: Box) -> Runner:
    """Return the sandbox's arm64 program with glibc and LiteRT beside it.

    An arm64 phone runs it in /data/local/tmp without an NDK.
    """
    libraries = box.folder / "aarch64/usr/lib" / TARGETS["aarch64"].triplet
    return Runner({RUNNER: box.folder / "bin" / RUNNER, **{name: libraries / name for name in _BOX_LIBRARIES}})


def read_printed(text: str, *, runs: int) -> Printed:
    """RUNNER's line of JSON. Raises InputError for anything else."""
    try:
        said = json.loads(text.strip().splitlines()[-1])
        found = Printed(int(said["threads"]), float(said["cold_ms"]), tuple(float(time) for time in said["times_ms"]))
        if len(found.times_ms) != runs or found.threads < 1 or not min(found.cold_ms, *found.times_ms) >= 0:
            raise ValueError(f"{len(found.times_ms)} times for {runs} runs")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"the runner printed {text[-200:]!r}: {error}", f"build it from this version's {ON_DEVICE.name}"
        ) from error
    return found


def read_benchmark_model(text: str) -> BenchmarkModel:
    """Parse what benchmark_model prints.

    A line of statistics in microseconds after warming up, and one after the runs. Raises InputError without them.
    """
    rows, first = list(_COUNT.finditer(text)), re.search(r"First inference: ([\d.e+]+)", text)
    try:
        if first is None:
            raise ValueError("no line of timings")
        count, low, high, mean, *quantiles = rows[-1].groups()
        p5, median, p95 = (None if value is None else float(value) / 1e3 for value in quantiles)
        cold_ms, mean_ms, min_ms, max_ms = (float(value) / 1e3 for value in (first[1], mean, low, high))
    except (ValueError, IndexError) as error:
        hint = "expected LiteRT's or TFLite's benchmark_model, built for this device"
        raise InputError(f"the benchmark binary printed {text[-200:]!r}: {error}", hint) from error
    return BenchmarkModel(int(count), cold_ms, mean_ms, min_ms, max_ms, median, p5, p95)


def as_latency(printed: Printed, *, warmup: int) -> DeviceLatency:
    """Return the calls that count, summarized."""
    p5, median, p95 = (float(value) for value in np.percentile(printed.times_ms, [5, 50, 95]))
    return DeviceLatency(
        len(printed.times_ms), warmup, printed.cold_ms, median, p5, p95, float(np.mean(printed.times_ms))
    )
