"""What students of a search cost: parameters, multiply-accumulates, bytes, and latency in one run.

The weights are random, for no cost depends on them: costs are known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hearlite.benchmarks.cost.latency import Candidate, file_candidate, ratios, time_rounds
from hearlite.quantize.static import quantize_static
from hearlite.spec import AUDIO, QuantSpec, StudentSpec
from hearlite.student import build_network, count_macs, make_repeatable
from hearlite.tflite.convert import convert_frontend, convert_network, join_frontend

RUNS = 100  # timed calls of each file
# No channel is evened out and no head refitted: that takes a minute a student and changes no operator.
_PLAIN = QuantSpec(ranges="minmax", equalize=False, refit_ridge=0.0)
_CALIBRATION_IMAGES = 4  # of noise


@dataclass(frozen=True)
class FileCost:
    """The cost of one exported file, frontend included."""

    bytes: int
    ms_per_s: float  # median milliseconds for a second of sound, one thread
    # Times faster than the file of the same precision of each student that it is compared with, by size.
    times_faster: dict[str, float]


@dataclass(frozen=True)
class StudentCost:
    """The cost of one student."""

    parameters: int  # as trained, batch norms and their statistics included
    macs: int  # multiply-accumulates for a clip, without the frontend
    float32: FileCost
    int8: FileCost


def measure_costs(
    students: Mapping[str, StudentSpec], *, references: Mapping[str, StudentSpec], runs: int = RUNS
) -> dict[str, StudentCost]:
    """Convert all students with random weights, and time their files in rounds of all of them.

    Parameters
    ----------
    students
        By name.
    references
        Those that they are compared with, by size.
    runs
        Rounds.
    """
    sizes, files = {}, dict[str, bytes]()
    for name, spec in (*students.items(), *((_reference(size), spec) for size, spec in references.items())):
        make_repeatable(0)
        network = build_network(spec)
        sizes[name] = int(network.count_params()), count_macs(network)
        plain, frontend = convert_network(network), convert_frontend(spec.frontend)
        noise = np.random.default_rng(0).random((_CALIBRATION_IMAGES, *network.input_shape[1:]), dtype=np.float32)
        files[f"{name} float32"] = join_frontend(frontend, plain)
        files[f"{name} int8"] = join_frontend(frontend, quantize_static(plain, list(noise), recipe=_PLAIN).network)
    timed = time_rounds([_candidate(name, data) for name, data in files.items()], runs=runs)
    times = dict(zip(files, timed.times_ms.T, strict=True))

    def cost(name: str, precision: str) -> FileCost:
        own = times[f"{name} {precision}"]
        return FileCost(
            bytes=len(files[f"{name} {precision}"]),
            ms_per_s=float(np.nanmedian(own)) / AUDIO.clip_s,
            times_faster={
                size: float(np.median(ratios(own, times[f"{_reference(size)} {precision}"]))) for size in references
            },
        )

    return {
        name: StudentCost(*sizes[name], float32=cost(name, "float32"), int8=cost(name, "int8")) for name in students
    }


def _reference(size: str) -> str:
    return f"today's {size}"  # no candidate's name has a space


def _candidate(name: str, data: bytes) -> Candidate:
    return file_candidate(name, data, threads=1)
