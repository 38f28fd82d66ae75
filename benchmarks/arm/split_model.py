"""A file that hearlite joined, as its two halves: the float spectrogram and the network behind it.

Each is a file of its own, with its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.instruction_count import Ran, run_native, run_tflite
from hearlite.benchmarks.arm.parity import Precision, allowed, allowed_joined, allowed_network
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.errors import InputError
from hearlite.files import write_bytes
from hearlite.tflite.slicing import frontend_part, network_part

SPECTROGRAM, NETWORK = "spectrogram", "network"
_Runner = Callable[[Box, Path, NDArray[np.float32]], Ran]


@dataclass(frozen=True)
class Half:
    """A runnable .tflite with its float32 inputs `[inputs, values]` and this machine's outputs.

    And how far others may be from these.
    """

    part: str  # "": the whole file
    path: Path
    inputs: NDArray[np.float32]
    reference: Ran
    tolerances: Mapping[str, float]


def judged(
    box: Box, path: Path, inputs: NDArray[np.float32], *, folder: Path, precision: Precision, processor: str
) -> list[Half]:
    """Return both halves of a joined file, then the file at `path`, as `processor` runs them here.

    Writes to `folder`.
    """
    run, same_kernels = (run_tflite, False) if processor == "armv7" else (run_native, True)
    halves = _split(
        box,
        path,
        inputs,
        folder=folder,
        run=run,
        network=(allowed_network if same_kernels else allowed_joined)(precision),
    )
    whole = (allowed if same_kernels and not halves else allowed_joined)(precision)
    return [*halves, Half("", path, inputs, run(box, path, inputs), whole)]


def _split(
    box: Box, path: Path, inputs: NDArray[np.float32], *, folder: Path, run: _Runner, network: Mapping[str, float]
) -> list[Half]:
    """Split a file; the network gets the images of this machine.

    Nothing of a file without a frontend.
    """
    content = path.read_bytes()
    try:
        behind = network_part(content)
    except InputError:  # a peer such as YAMNet, which is judged as a whole
        return []
    paths = {part: folder / f"{part}.tflite" for part in (SPECTROGRAM, NETWORK)}
    write_bytes(paths[SPECTROGRAM], frontend_part(content, input_name="audio", output_name="image"))
    write_bytes(paths[NETWORK], behind)
    images = run(box, paths[SPECTROGRAM], inputs)
    given = images.outputs[0].raw.view("<f4")
    return [
        Half(SPECTROGRAM, paths[SPECTROGRAM], inputs, images, allowed("float")),
        Half(NETWORK, paths[NETWORK], given, run(box, paths[NETWORK], given), network),
    ]
