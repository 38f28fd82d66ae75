"""Split a file that hearlite joined into its halves: the float spectrogram and the network behind it.

Each half becomes a file of its own, with its inputs and reference outputs.
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
from hearlite.tflite.parts import frontend_part, network_part

SPECTROGRAM, NETWORK = "spectrogram", "network"
_Runner = Callable[[Box, Path, NDArray[np.float32]], Ran]


@dataclass(frozen=True)
class Half:
    """A half of a file, or the whole file, with all that a comparison needs."""

    part: str  # SPECTROGRAM or NETWORK; "" for the whole file
    path: Path  # a .tflite file
    inputs: NDArray[np.float32]  # [inputs, values]
    reference: Ran  # this machine's outputs
    tolerances: Mapping[str, float]  # allowed differences from the reference, by the name of the input


def judged(
    box: Box, path: Path, inputs: NDArray[np.float32], *, folder: Path, precision: Precision, processor: str
) -> list[Half]:
    """Split a joined file and run everything on this machine, to get the reference for `processor`.

    Parameters
    ----------
    box : Box
        The sandbox.
    path : Path
        A .tflite file with one float32 input.
    inputs : float32 array [inputs, values]
        Inputs of the whole file.
    folder : Path
        Folder to which the halves are written.
    precision : {"int8", "dynamic", "float"}
        Precision of the file, which decides the tolerances.
    processor : {"aarch64", "armv7"}
        The processor to compare with: the reference comes from the runtime that it runs.

    Returns
    -------
    list of Half
        Both halves, if hearlite joined the file, and last the whole file.

    Raises
    ------
    InputError
        If the runtime can't run the file.
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
    """Return the two halves of a file, or none for a file without a frontend.

    The network takes the images that the spectrogram outputs on this machine.
    """
    content = path.read_bytes()
    try:
        behind = network_part(content)
    except InputError:  # another model, such as YAMNet, which is compared as a whole only
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
