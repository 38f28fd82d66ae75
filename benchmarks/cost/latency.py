"""Latency of several models in one run, interleaved in a new order every round.

So a slow moment of the machine hits all of them.

Right before each timed call the same model is called WARM_CALLS times untimed: what other models left in the caches
doesn't count, as in LiteRT's own benchmark, which calls one model in a row.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.schema.cost import Latency
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import Runtime

Run = Callable[[NDArray[np.float32]], object]  # one clip [1, clip_samples] in, whatever comes out
_NOISE_RMS = 0.1  # -20 dBFS: a plausible recording level, far from silence and from clipping
# Measured beside four other models: YAMNet, 4 MB, takes 1.15 ms right after another one, 1.00 after one untimed call,
# 0.78 after four, 0.77 in a row.
WARM_CALLS = 4
# a model that would take longer for all its timed calls takes part in fewer rounds, spread evenly; its row says in how
# many
_SLOW_S = 10.0
_FEWEST_RUNS = 5


@dataclass(frozen=True)
class Candidate:
    """A model to be timed: `load` opens it and returns what runs one clip.

    It is called once, and its time counts as cold start.
    """

    name: str
    runtime: str  # name and version
    load: Callable[[], Run]
    threads: int = 0  # that it runs on, when it is not the number asked for
    input_shape: tuple[int, ...] = (1, AUDIO.clip_samples)


@dataclass(frozen=True)
class Rounds:
    """Times in milliseconds: a cold start of each candidate, and `[rounds, candidates]`.

    NaN where a candidate did not take part.
    """

    cold_ms: tuple[float, ...]
    times_ms: NDArray[np.float64]


def measure(
    files: Mapping[str, Path], *, runs: int = 50, threads: int = 1, warmup: int = 5, seed: int = 0
) -> list[Latency]:
    """Time .tflite files by model name, in LiteRT; ratios are to the first. See `measure_candidates`.

    Raises InputError for a file that can't be read or run.
    """
    candidates = [file_candidate(name, path, threads=threads) for name, path in files.items()]
    return measure_candidates(candidates, runs=runs, threads=threads, warmup=warmup, seed=seed)


def file_candidate(
    name: str, path: Path | bytes, *, threads: int, runtime: Runtime = "litert", input_shape: tuple[int, ...] = ()
) -> Candidate:
    """Return a candidate of a .tflite file or its content, in LiteRT or another of RUNTIMES.

    Its input is float32, by default a clip.
    """

    def load() -> Run:
        from hearlite.tflite.interpreter import TfliteModel

        return TfliteModel(path, threads=threads, runtime=runtime).run

    package = {"litert": "ai-edge-litert", "tf": "tensorflow"}.get(runtime, runtime)
    return Candidate(name, f"{runtime} {version(package)}", load, input_shape=input_shape or Candidate.input_shape)


def measure_candidates(
    candidates: Sequence[Candidate], *, runs: int = 50, threads: int = 1, warmup: int = 5, seed: int = 0
) -> list[Latency]:
    """Time candidates by `time_rounds` and summarize; ratios are to the first.

    `threads` is recorded; the candidates must have been made with it.
    """
    if threads < 1:
        raise UsageError(f"threads is {threads}", "use threads >= 1")
    return latency_rows(candidates, time_rounds(candidates, runs=runs, warmup=warmup, seed=seed), threads=threads)


def time_rounds(candidates: Sequence[Candidate], *, runs: int = 50, warmup: int = 5, seed: int = 0) -> Rounds:
    """Time one call of every candidate on seeded noise, in `runs` rounds of all of them, each round in another order.

    `warmup` calls per model come first and don't count. A cold start is load and first run in this process: the
    runtime's libraries are loaded by the first candidate, the file may be in the disk cache. A slow candidate takes
    part in fewer rounds.
    Raises UsageError for no candidate, two of one name, or counts below 1.
    """
    names = [candidate.name for candidate in candidates]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"models to time: {', '.join(names) or 'none'}", "give one or more, each with its own name")
    if runs < 1 or warmup < 0:
        raise UsageError(f"runs is {runs}, warmup {warmup}", "use runs >= 1, warmup >= 0")
    rng = np.random.default_rng(seed)
    calls: list[Callable[[], object]] = []
    cold_ms = tuple(
        _cold_ms(candidate, _noise(candidate.input_shape, seed=seed), into=calls) for candidate in candidates
    )
    counts = [_warm_up(call, warmup=warmup, runs=runs) for call in calls]
    return Rounds(cold_ms, _rounds_ms(calls, counts=counts, runs=runs, rng=rng))


def latency_rows(candidates: Sequence[Candidate], rounds: Rounds, *, threads: int) -> list[Latency]:
    """Return a row for each candidate, with ratios to the first."""
    first, today, machine = candidates[0].name, datetime.now(timezone.utc).date().isoformat(), device()
    return [
        _summary(
            candidate,
            rounds.times_ms[:, [k, 0]],
            cold_ms=rounds.cold_ms[k],
            ratio_to=first,
            device=machine,
            threads=threads,
            date=today,
        )
        for k, candidate in enumerate(candidates)
    ]


def device() -> str:
    """Return this machine's processor as its system calls it, with architecture and logical CPUs."""
    return f"{_cpu_name(Path('/proc/cpuinfo'))} ({platform.machine()}, {os.cpu_count()} logical CPUs)"


def _cpu_name(cpuinfo: Path) -> str:
    """Return "model name" on x86; boards without one say "Model" (a Raspberry Pi) or "Hardware"."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return next(
        (fields[key] for key in ("model name", "Model", "Hardware") if fields.get(key)),
        platform.processor() or platform.system(),
    )


def _noise(shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
    return np.clip(np.random.default_rng(seed).normal(0.0, _NOISE_RMS, size=shape), -1.0, 1.0).astype(np.float32)


def _cold_ms(candidate: Candidate, clip: NDArray[np.float32], *, into: list[Callable[[], object]]) -> float:
    start = time.perf_counter_ns()
    run = candidate.load()
    run(clip)
    into.append(partial(run, clip))
    return (time.perf_counter_ns() - start) / 1e6


def _warm_up(call: Callable[[], object], *, warmup: int, runs: int) -> int:
    """In how many of `runs` rounds this candidate takes part."""
    took_s = 0.0
    for _ in range(warmup):
        start = time.perf_counter_ns()
        call()
        took_s = (time.perf_counter_ns() - start) / 1e9
    return runs if took_s * runs <= _SLOW_S else min(runs, max(_FEWEST_RUNS, int(_SLOW_S / took_s)))


def _rounds_ms(
    calls: Sequence[Callable[[], object]], *, counts: Sequence[int], runs: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return milliseconds, `[rounds, models]`."""
    times_ms = np.full((runs, len(calls)), np.nan)
    takes_part = np.zeros(times_ms.shape, dtype=bool)
    for model, count in enumerate(counts):
        takes_part[np.linspace(0, runs - 1, count).round().astype(int), model] = True
    collecting = gc.isenabled()
    gc.disable()  # a collection would land in one model's time
    try:
        for row, playing in zip(times_ms, takes_part, strict=True):
            for model in rng.permutation(np.flatnonzero(playing)):
                for _ in range(WARM_CALLS):
                    calls[model]()
                start = time.perf_counter_ns()
                calls[model]()
                row[model] = (time.perf_counter_ns() - start) / 1e6
    finally:
        if collecting:
            gc.enable()
    if not (times_ms[takes_part] > 0).all():
        raise InputError("a run took no measurable time", "this clock is too coarse to time these models")
    return times_ms


def ratios(times_ms: NDArray[np.float64], reference_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times faster than the reference, of the rounds in which both took part."""
    both = np.isfinite(times_ms) & np.isfinite(reference_ms)
    return np.asarray(reference_ms[both] / times_ms[both])


def _summary(
    candidate: Candidate,
    own_and_first: NDArray[Any],
    *,
    cold_ms: float,
    ratio_to: str,
    device: str,
    threads: int,
    date: str,
) -> Latency:
    own_ms = own_and_first[np.isfinite(own_and_first[:, 0]), 0]
    p5, median, p95 = (float(value) for value in np.percentile(own_ms, [5, 50, 95]))
    ratio_p5, ratio, ratio_p95 = (float(value) for value in np.percentile(ratios(*own_and_first.T), [5, 50, 95]))
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
