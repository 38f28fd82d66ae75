"""A file that hearlite joined, as its two halves: the float spectrogram and the network behind it, each a file of its own with what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.box import Box
from hearlite.benchmarks.arm.count import Ran, run_native
from hearlite.benchmarks.arm.parity import Precision, allowed, allowed_network
from hearlite.benchmarks.cut import network_of
from hearlite.errors import InputError
from hearlite.files import write_bytes
from hearlite.flatbuffer import frontend_of

SPECTROGRAM, NETWORK = "spectrogram", "network"


@dataclass(frozen=True)
class Half:
    """A runnable .tflite, its float32 inputs `[inputs, values]`, what this machine makes of them, and how far others may be from that."""

    part: str
    path: Path
    inputs: NDArray[np.float32]
    reference: Ran
    tolerances: Mapping[str, float]


def split(box: Box, path: Path, inputs: NDArray[np.float32], *, folder: Path, precision: Precision) -> list[Half]:
    """Both halves of the file at `path`, written to `folder`; the network gets the images of this machine. None of a file without a frontend."""
    content = path.read_bytes()
    try:
        network = network_of(content)
    except InputError:  # a peer such as YAMNet, which is judged as a whole
        return []
    front, behind = folder / f"{SPECTROGRAM}.tflite", folder / f"{NETWORK}.tflite"
    write_bytes(front, frontend_of(content, input_name="audio", output_name="image"))
    write_bytes(behind, network)
    images = run_native(box, front, inputs)
    given = images.outputs[0].raw.view("<f4")
    return [
        Half(SPECTROGRAM, front, inputs, images, allowed("float")),
        Half(NETWORK, behind, given, run_native(box, behind, given), allowed_network(precision)),
    ]
