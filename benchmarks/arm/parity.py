"""Whether an emulated ARM core computes what this machine computes: int8 files to the bit, float files to rounding.

The gate is on noise, which like every recording has energy in all bands. On silence, a pure tone and a square wave most
bands hold nothing but rounding errors, which a spectrogram that is normalised by its own level (PCEN) makes large on
any two processors: there the tolerance is the one that `hearlite check` has between devices.

A file that hearlite joined is judged by its halves. The network of an int8 file, given the same image, must give the
same bits. The spectrogram is float32 on every processor and may round otherwise; where one of its values then lies on
the other side of an int8 step, the whole file's embedding moves by what that step is worth, and is held to the
tolerance between devices.

armv7 has another runtime, tflite-runtime 2.14, and is compared with that one on this machine. Its spectrogram is held
to rounding as the others', its int8 network only to the tolerance between devices: there gemmlowp multiplies
convolutions, which rounds the half of a negative step away from zero, and on x86 ruy, which rounds it up. Convolutions
without an activation differ by one step in up to 3 % of their values; a value on the edge of another step is rare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.instruction_count import Output
from hearlite.self_test import TOLERANCE as CHECK_TOLERANCE
from hearlite.spec import AUDIO
from hearlite.tflite.model_file import Summary

Precision = Literal["int8", "dynamic", "float"]
NOISES = {"noise": 0.1, "quiet noise": 0.001}  # RMS: -20 and -60 dBFS
EXTREMES = ("silence", "tone", "square wave")
FLOAT_TOLERANCE = 1e-6  # sums in another order, with and without fused multiply-adds
# A dynamic file rounds activations to int8 by their own largest value, so one that lies on an edge falls to another
# side on another processor.
TOLERANCES: dict[Precision, tuple[float, float]] = {  # on noises, on extremes; 0: to the bit
    "int8": (0.0, CHECK_TOLERANCE["i8"]),
    "dynamic": (CHECK_TOLERANCE["d8"], CHECK_TOLERANCE["d8"]),
    "float": (FLOAT_TOLERANCE, CHECK_TOLERANCE["f32"]),
}
_TONE_HZ = 440.0
_Pair = tuple[
    NDArray[np.uint8], NDArray[np.uint8], bool
]  # bytes of an output on both sides, and whether they are float32


@dataclass(frozen=True)
class OnInput:
    """One input.

    `difference` is the worst output's |ARM - x86| / max(1, largest |x86|), None where outputs are not finite or
    integers differ.
    """

    name: str
    equal: bool  # to the bit
    difference: float | None
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Parity:
    """A file on a core, for every input."""

    passed: bool
    inputs: tuple[OnInput, ...]


def model_precision(summary: Summary) -> Precision:
    """Return int8, dynamic or float.

    int8: int8 weights and activations. dynamic: int8 weights of operators that take floats. float: neither.
    """
    pairs = {(op.weight_type, op.input_type) for op in summary.ops}
    return "int8" if ("INT8", "INT8") in pairs else "dynamic" if ("INT8", "FLOAT32") in pairs else "float"


def make_inputs(values: int, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """float32 [values] by name, NOISES first; the first one is the one that is counted."""
    rng = np.random.default_rng(seed)
    noises = {name: rng.normal(0.0, rms, values).clip(-1.0, 1.0) for name, rms in NOISES.items()}
    tone = np.sin(2.0 * math.pi * _TONE_HZ / AUDIO.sample_rate_hz * np.arange(values))
    loudest = 1.0 - 1.0 / AUDIO.pcm_full_scale  # int16's
    extremes = zip(EXTREMES, (np.zeros(values), 0.5 * tone, np.where(tone < 0, -1.0, loudest)), strict=True)
    return {name: signal.astype(np.float32) for name, signal in [*noises.items(), *extremes]}


def allowed(precision: Precision) -> dict[str, float]:
    """Return the tolerance of every input of `make_inputs`.

    For a file that is judged as a whole, or for a spectrogram ("float").
    """
    on_noise, on_extreme = TOLERANCES[precision]
    return dict.fromkeys(NOISES, on_noise) | dict.fromkeys(EXTREMES, on_extreme)


def allowed_network(precision: Precision) -> dict[str, float]:
    """For a network that is given the same images: in int8 no input is extreme to it."""
    return dict.fromkeys((*NOISES, *EXTREMES), 0.0) if precision == "int8" else allowed(precision)


def allowed_joined(precision: Precision) -> dict[str, float]:
    """Return the tolerance of a whole file whose halves have tolerances of their own.

    A value of the image on the other side of an int8 step is allowed its worth.

    Also for networks and whole files whose int8 kernels are known to round otherwise.
    """
    return dict.fromkeys((*NOISES, *EXTREMES), CHECK_TOLERANCE["i8"]) if precision == "int8" else allowed(precision)


def compare(arm: Sequence[Output], x86: Sequence[Output], *, tolerances: Mapping[str, float]) -> Parity:
    """Compare outputs of the same file for the same inputs, named in their order.

    NaN or infinity fails, even on both sides.
    """
    found = tuple(
        _on_input(arm, x86, row, name=name, tolerance=tolerance)
        for row, (name, tolerance) in enumerate(tolerances.items())
    )
    return Parity(passed=all(item.passed for item in found), inputs=found)


def largest_difference(arm: Sequence[Output], x86: Sequence[Output]) -> float | None:
    """Over all inputs, as OnInput has it for one."""
    found = [_difference(_row(arm, x86, row)) for row in range(len(arm[0].raw))]
    known = [difference for difference in found if difference is not None]
    return max(known) if len(known) == len(found) else None


def _on_input(arm: Sequence[Output], x86: Sequence[Output], row: int, *, name: str, tolerance: float) -> OnInput:
    pairs = _row(arm, x86, row)
    difference, equal = _difference(pairs), all(np.array_equal(a, b) for a, b, _ in pairs)
    within = difference is not None and (difference <= tolerance if tolerance else equal)
    return OnInput(name=name, equal=equal, difference=difference, tolerance=tolerance, passed=within)


def _row(arm: Sequence[Output], x86: Sequence[Output], row: int) -> list[_Pair]:
    return [(a.raw[row], b.raw[row], b.is_float) for a, b in zip(arm, x86, strict=True)]


def _difference(pairs: Sequence[_Pair]) -> float | None:
    floats = [
        (a.view("<f4").astype(np.float64), b.view("<f4").astype(np.float64)) for a, b, is_float in pairs if is_float
    ]
    finite = all(np.isfinite(values).all() for pair in floats for values in pair)
    comparable = finite and all(np.array_equal(a, b) for a, b, is_float in pairs if not is_float)
    return (
        max((float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in floats), default=0.0)
        if comparable
        else None
    )
