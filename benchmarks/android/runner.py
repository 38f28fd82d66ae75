"""Describe the program that runs a file on a device: its files, how it is started, and its output."""

from __future__ import annotations

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
from hearlite.files import parse_json

RUNNER = ON_DEVICE.stem
_LOADER = re.compile(r"ld-linux[^/]*\.so\.\d+")  # the loader of a glibc that is pushed with the program
_BOX_LIBRARIES = ("ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libLiteRt.so")
_NATIVE = {  # e_machine of the ELF specification: output of `uname -m` on machines that run such programs
    3: ("i386", "i686", "x86_64"),
    40: ("armv7l", "armv8l", "aarch64"),
    62: ("x86_64",),
    183: ("aarch64",),
}
_COUNT = re.compile(r"\bcount=(\d+) first=.*?\bmin=(\S+) max=(\S+) avg=(\S+)(?:.*?\bp5=(\S+) median=(\S+) p95=(\S+))?")


@dataclass(frozen=True)
class Runner:
    """A program for a device."""

    files: Mapping[str, Path]  # local files by their name on the device; RUNNER is one of them

    def command(self, arguments: list[str], *, prefix: str) -> str:
        """Return a shell command that runs the program in the folder of its files.

        Parameters
        ----------
        arguments : list of str
            Arguments of the program.
        prefix : str
            Shell command that starts it, such as an emulator; may be empty.

        Returns
        -------
        str
            The command, quoted for the device's shell.
        """
        loaders = [f"./{name} --library-path ." for name in self.files if _LOADER.fullmatch(name)]
        return " ".join([*filter(None, [prefix]), *loaders, f"./{RUNNER}", *map(shlex.quote, arguments)])

    def is_native(self, machine: str) -> bool:
        """Return whether a machine runs the program natively; a script is native everywhere.

        `machine` is the output of `uname -m`.

        Raises
        ------
        InputError
            If the program is for an unknown processor.
        """
        with self.files[RUNNER].open("rb") as stream:
            head = stream.read(20)
        if head[:4] != b"\x7fELF":
            return True
        number = int.from_bytes(head[18:20], "little")
        if number not in _NATIVE:
            raise InputError(
                f"{self.files[RUNNER]} is a program for processor {number}", "build it for the device's processor"
            )
        return machine in _NATIVE[number]


@dataclass(frozen=True)
class Printed:
    """The output of RUNNER."""

    threads: int  # of its process
    cold_ms: float  # time of the first call
    times_ms: tuple[float, ...]  # time of each call after warming up


def runner_in(folder: Path) -> Runner:
    """Return the program in a folder, with all files beside it.

    Raises
    ------
    InputError
        If the folder doesn't contain RUNNER.
    """
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()} if folder.is_dir() else {}
    if RUNNER not in files:
        raise InputError(
            f"{folder} contains no {RUNNER}", "build it as described at the head of benchmarks/android/bench.py"
        )
    return Runner(files)


def open_runner(box: Box) -> Runner:
    """Return the sandbox's arm64 program with its glibc and LiteRT.

    An arm64 phone runs it in /data/local/tmp, and building it needs no NDK.
    """
    libraries = box.folder / "aarch64/usr/lib" / TARGETS["aarch64"].triplet
    return Runner({RUNNER: box.folder / "bin" / RUNNER, **{name: libraries / name for name in _BOX_LIBRARIES}})


def read_printed(text: str, *, runs: int) -> Printed:
    """Parse the line of JSON that RUNNER prints last.

    Parameters
    ----------
    text : str
        Output of RUNNER.
    runs : int
        Number of timed calls.

    Returns
    -------
    Printed
        Threads and times.

    Raises
    ------
    InputError
        If the output is anything else.
    """
    try:
        said = parse_json(text.strip().splitlines()[-1], where="its last line")
        printed = Printed(int(said["threads"]), float(said["cold_ms"]), tuple(float(time) for time in said["times_ms"]))
        if len(printed.times_ms) != runs or printed.threads < 1 or not min(printed.cold_ms, *printed.times_ms) >= 0:
            raise ValueError(f"{len(printed.times_ms)} times for {runs} runs")
    except (InputError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"the runner printed {text[-200:]!r}: {error}", f"build it from this version's {ON_DEVICE.name}"
        ) from error
    return printed


def read_benchmark_model(text: str) -> BenchmarkModel:
    """Parse the output of LiteRT's or TFLite's benchmark_model.

    It prints a line of statistics, in microseconds, after warming up and another one after the runs; the last one
    counts.

    Raises
    ------
    InputError
        If the output has no such lines.
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
    """Summarize the times of the calls after warming up.

    Parameters
    ----------
    printed : Printed
        Output of RUNNER.
    warmup : int
        Number of calls before the timed ones, to record.

    Returns
    -------
    DeviceLatency
        Mean, median and percentiles, in milliseconds.
    """
    p5, median, p95 = (float(value) for value in np.percentile(printed.times_ms, [5, 50, 95]))
    return DeviceLatency(
        len(printed.times_ms), warmup, printed.cold_ms, median, p5, p95, float(np.mean(printed.times_ms))
    )
