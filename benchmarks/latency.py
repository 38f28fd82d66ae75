"""Latency of several models in one run: interleaved, in a new order every round, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.cost_schema import Latency
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Run = Callable[[NDArray[np.float32]], object]  # one clip [1, clip_samples] in, whatever comes out
_NOISE_RMS = 0.1  # -20 dBFS: a plausible recording level, far from silence and from clipping


@dataclass(frozen=True)
class Candidate:
    """A model to be timed: `load` opens it and returns what runs one clip. It is called once, and its time counts as cold start."""

    name: str
    runtime: str  # name and version
    load: Callable[[], Run]
    threads: int = 0  # that it runs on, when it is not the number asked for


def measure(files: Mapping[str, Path], *, runs: int = 50, threads: int = 1, warmup: int = 5, seed: int = 0) -> list[Latency]:
    """Time .tflite files by model name, in LiteRT; ratios are to the first. See `measure_candidates`.

    Raises InputError for a file that can't be read or run.
    """
    candidates = [file_candidate(name, path, threads=threads) for name, path in files.items()]
    return measure_candidates(candidates, runs=runs, threads=threads, warmup=warmup, seed=seed)


def file_candidate(name: str, path: Path, *, threads: int) -> Candidate:
    """A .tflite file, run in LiteRT."""

    def load() -> Run:
        from hearlite.runtime import TfliteModel

        return TfliteModel(path, threads=threads, runtime="litert").run

    return Candidate(name, f"litert {version('ai-edge-litert')}", load)


def measure_candidates(candidates: Sequence[Candidate], *, runs: int = 50, threads: int = 1, warmup: int = 5, seed: int = 0) -> list[Latency]:
    """Time one clip of seeded noise through every candidate, `runs` rounds of all of them, each round in another order.

    `warmup` calls per model come first and don't count; `threads` is recorded, the candidates must have been made with it. A cold start is load
    and first run in this process: the runtime's libraries are loaded by the first candidate, the file may be in the disk cache.
    Raises UsageError for no candidate, two of one name, or counts below 1.
    """
    names = [candidate.name for candidate in candidates]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"models to time: {', '.join(names) or 'none'}", "give one or more, each with its own name")
    if runs < 1 or threads < 1 or warmup < 0:
        raise UsageError(f"runs is {runs}, threads {threads}, warmup {warmup}", "use runs >= 1, threads >= 1, warmup >= 0")
    rng = np.random.default_rng(seed)
    clip = np.clip(rng.normal(0.0, _NOISE_RMS, size=(1, AUDIO.clip_samples)), -1.0, 1.0).astype(np.float32)
    loaded: list[Run] = []
    cold_ms = [_cold_ms(candidate, clip, into=loaded) for candidate in candidates]
    for run in loaded:
        for _ in range(warmup):
            run(clip)
    times_ms = _rounds_ms(loaded, clip, runs=runs, rng=rng)
    today, machine = datetime.now(timezone.utc).date().isoformat(), device()
    return [
        _summary(candidate, times_ms[:, k], times_ms[:, 0], cold_ms=cold_ms[k], ratio_to=names[0], device=machine, threads=threads, date=today)
        for k, candidate in enumerate(candidates)
    ]


def device() -> str:
    """This machine's processor as its system calls it, with architecture and logical CPUs."""
    return f"{_cpu_name(Path('/proc/cpuinfo'))} ({platform.machine()}, {os.cpu_count()} logical CPUs)"


def _cpu_name(cpuinfo: Path) -> str:
    """ "model name" on x86; boards without one say "Model" (a Raspberry Pi) or "Hardware"."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return next((fields[key] for key in ("model name", "Model", "Hardware") if fields.get(key)), platform.processor() or platform.system())


def _cold_ms(candidate: Candidate, clip: NDArray[np.float32], *, into: list[Run]) -> float:
    start = time.perf_counter_ns()
    run = candidate.load()
    run(clip)
    into.append(run)
    return (time.perf_counter_ns() - start) / 1e6


def _rounds_ms(loaded: Sequence[Run], clip: NDArray[np.float32], *, runs: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[rounds, models]"""
    times_ms = np.empty((runs, len(loaded)))
    collecting = gc.isenabled()
    gc.disable()  # a collection would land in one model's time
    try:
        for row in times_ms:
            for model in rng.permutation(len(loaded)):
                start = time.perf_counter_ns()
                loaded[model](clip)
                row[model] = (time.perf_counter_ns() - start) / 1e6
    finally:
        if collecting:
            gc.enable()
    if not (times_ms > 0).all():
        raise InputError("a run took no measurable time", "this clock is too coarse to time these models")
    return times_ms


def _summary(
    candidate: Candidate, own_ms: NDArray[Any], first_ms: NDArray[Any], *, cold_ms: float, ratio_to: str, device: str, threads: int, date: str
) -> Latency:
    p5, median, p95 = (float(value) for value in np.percentile(own_ms, [5, 50, 95]))
    ratio_p5, ratio, ratio_p95 = (float(value) for value in np.percentile(first_ms / own_ms, [5, 50, 95]))
    return Latency(
        model=candidate.name,
        device=device,
        runtime=candidate.runtime,
        threads=candidate.threads or threads,
        runs=len(own_ms),
        date=date,
        median_ms=median,
        p5_ms=p5,
        p95_ms=p95,
        mean_ms=float(own_ms.mean()),
        cold_ms=cold_ms,
        ratio_to=ratio_to,
        ratio=ratio,
        ratio_p5=ratio_p5,
        ratio_p95=ratio_p95,
    )
