"""Compare the outputs of a file on an emulated ARM core with those on this machine.

Int8 files must agree bit by bit, float files to rounding. These strict tolerances apply to noise, which has energy in
all bands, as every recording has. In silence, a pure tone and a square wave, most bands contain nothing but rounding
errors. A spectrogram that is normalized by its own level (PCEN) amplifies these on any two processors, so the tolerance
for such inputs is the one that `hearlite check` allows between devices.

In a file that hearlite joined from a spectrogram and a network, each half is compared by itself. The network of an int8
file, given the same image, must output the same bits. The spectrogram is float32 on every processor and may round
differently. Where one of its values then falls on the other side of an int8 step, the embedding of the whole file
changes by the effect of that step; the whole file is therefore held to the tolerance between devices.

armv7 runs another runtime, tflite-runtime 2.14, and is compared with the same runtime on this machine. Its spectrogram
is held to rounding, as on the other cores, but its int8 network only to the tolerance between devices: on armv7,
convolutions are multiplied by gemmlowp, which rounds half of a negative step away from zero, and on x86 by ruy, which
rounds it up. Convolutions without an activation differ by one step in up to 3 % of their values; other values rarely
lie on the edge of a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.instruction_count import Output
from hearlite.embedders.self_test import TOLERANCE as CHECK_TOLERANCE
from hearlite.spec import AUDIO
from hearlite.tflite.model_file import Summary

Precision = Literal["int8", "dynamic", "float"]
NOISES = {"noise": 0.1, "quiet noise": 0.001}  # RMS: -20 and -60 dBFS
EXTREMES = ("silence", "tone", "square wave")
FLOAT_TOLERANCE = 1e-6  # sums in another order, with and without fused multiply-adds
# A dynamic file rounds activations to int8 steps that depend on their own largest value, so a value on the edge of a
# step may fall on either side, depending on the processor.
TOLERANCES: dict[Precision, tuple[float, float]] = {  # for NOISES, for EXTREMES; 0: the same bits
    "int8": (0.0, CHECK_TOLERANCE["i8"]),
    "dynamic": (CHECK_TOLERANCE["d8"], CHECK_TOLERANCE["d8"]),
    "float": (FLOAT_TOLERANCE, CHECK_TOLERANCE["f32"]),
}
_TONE_HZ = 440.0
_Pair = tuple[NDArray[np.uint8], NDArray[np.uint8], bool]  # bytes of an output on ARM and x86; are they float32?


@dataclass(frozen=True)
class OnInput:
    """The comparison of the outputs for one input.

    `difference` is the largest of |ARM - x86| / max(1, largest |x86|) over the outputs, or None if outputs aren't
    finite or integers differ.
    """

    name: str
    equal: bool  # whether all outputs have the same bits
    difference: float | None
    tolerance: float  # 0: the outputs must be equal
    passed: bool


@dataclass(frozen=True)
class Parity:
    """The comparison of a file on a core, for every input."""

    passed: bool
    inputs: tuple[OnInput, ...]


def model_precision(summary: Summary) -> Precision:
    """Return the precision of a file, which decides its tolerances.

    "int8" if an operator has int8 weights and int8 inputs, else "dynamic" if one has int8 weights and float inputs,
    else "float".
    """
    pairs = {(op.weight_type, op.input_type) for op in summary.ops}
    return "int8" if ("INT8", "INT8") in pairs else "dynamic" if ("INT8", "FLOAT32") in pairs else "float"


def make_inputs(values: int, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Generate the test inputs of a file.

    Parameters
    ----------
    values : int
        Number of values of the model's input.
    seed : int
        Seed of the noise.

    Returns
    -------
    dict of str to float32 array [values]
        Inputs by name, NOISES first and then EXTREMES. Instructions are counted for the first one.
    """
    rng = np.random.default_rng(seed)
    noises = {name: rng.normal(0.0, rms, values).clip(-1.0, 1.0) for name, rms in NOISES.items()}
    tone = np.sin(2.0 * math.pi * _TONE_HZ / AUDIO.sample_rate_hz * np.arange(values))
    loudest = 1.0 - 1.0 / AUDIO.pcm_full_scale  # the largest value of int16
    extremes = zip(EXTREMES, (np.zeros(values), 0.5 * tone, np.where(tone < 0, -1.0, loudest)), strict=True)
    return {name: signal.astype(np.float32) for name, signal in [*noises.items(), *extremes]}


def allowed(precision: Precision) -> dict[str, float]:
    """Return the tolerance for every input of `make_inputs`, by name.

    They hold for a file that is compared as a whole, and, with "float", for a spectrogram.
    """
    on_noise, on_extreme = TOLERANCES[precision]
    return dict.fromkeys(NOISES, on_noise) | dict.fromkeys(EXTREMES, on_extreme)


def allowed_network(precision: Precision) -> dict[str, float]:
    """Return the tolerances for a network that takes the same images on both processors.

    For an int8 network no input is extreme: all its outputs must have the same bits.
    """
    return dict.fromkeys((*NOISES, *EXTREMES), 0.0) if precision == "int8" else allowed(precision)


def allowed_joined(precision: Precision) -> dict[str, float]:
    """Return the tolerances for a whole file whose halves are also compared by themselves.

    They allow for values of the image that fall on the other side of an int8 step. They hold as well for networks and
    whole files whose int8 kernels are known to round differently.
    """
    return dict.fromkeys((*NOISES, *EXTREMES), CHECK_TOLERANCE["i8"]) if precision == "int8" else allowed(precision)


def compare(arm: Sequence[Output], x86: Sequence[Output], *, tolerances: Mapping[str, float]) -> Parity:
    """Compare the outputs of a file on ARM and on x86.

    Parameters
    ----------
    arm, x86 : sequence of Output
        Outputs of the same file for the same inputs.
    tolerances : mapping of str to float
        Tolerances by the names of the inputs, in their order.

    Returns
    -------
    Parity
        The comparison for every input. NaN and infinity fail, even if both sides have them.
    """
    inputs = tuple(
        _on_input(arm, x86, row, name=name, tolerance=tolerance)
        for row, (name, tolerance) in enumerate(tolerances.items())
    )
    return Parity(passed=all(item.passed for item in inputs), inputs=inputs)


def largest_difference(arm: Sequence[Output], x86: Sequence[Output]) -> float | None:
    """Return the largest difference over all inputs.

    Parameters
    ----------
    arm, x86 : sequence of Output
        Outputs of the same file for the same inputs.

    Returns
    -------
    float or None
        Largest `OnInput.difference`; None if it is None for any input.
    """
    differences = [_difference(_row(arm, x86, row)) for row in range(len(arm[0].raw))]
    known = [difference for difference in differences if difference is not None]
    return max(known) if len(known) == len(differences) else None


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
