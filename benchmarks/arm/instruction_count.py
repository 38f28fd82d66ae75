"""Run a .tflite file in the sandbox, natively or emulated, and read the counts of the QEMU plugin.

The time that the emulator takes is never measured.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.cores import Core, write_prefix, write_topology
from hearlite.benchmarks.arm.sandbox.packages import PYTHON
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import PYTHON_RUNNER, TARGETS, host_command
from hearlite.benchmarks.arm.sandbox.wheels import PACKAGES
from hearlite.benchmarks.cost.child_processes import tied
from hearlite.errors import InputError

WINDOWS = 2  # counted calls, whose counts must agree; one call for every input comes before them and warms up
_TIMEOUT_S = 1_800  # an emulated call is 50 to 100 times slower
_FLOAT32 = 1  # LiteRtElementType
# The guest sees the sandbox and the file under these names in its current folder. The length of a path moves the
# guest's heap, and malloc's search for free memory then takes a few dozen instructions more or less.
BOX, MODEL = "box", "model.tflite"
_CURRENT = "/proc/self/cwd"  # Python makes its paths absolute; from here they have the same length on every machine
_ON_X86 = host_command(Path(BOX, "x86_64"), "../bin/runner-x86_64")


@dataclass(frozen=True)
class Block:
    """A basic block: a run of instructions without a branch into or out of it."""

    instructions: int  # number of instructions in the block
    runs: int  # number of times that it ran
    code: bytes  # its machine code

    @property
    def executed(self) -> int:
        """Return the number of instructions executed in all runs of the block."""
        return self.instructions * self.runs


@dataclass(frozen=True)
class Counted:
    """The counts of one call."""

    instructions: int
    repeatable: bool  # whether all counted calls executed the same number of instructions
    blocks: tuple[Block, ...]  # from the last counted call


@dataclass(frozen=True)
class Output:
    """One output of a model, for every input."""

    raw: NDArray[np.uint8]  # [inputs, bytes]
    is_float: bool  # whether the bytes are float32 values


@dataclass(frozen=True)
class Ran:
    """A finished run of a model."""

    outputs: tuple[Output, ...]  # in the file's order
    counted: Counted | None = None  # None if it ran without the plugin


def run_native(box: Box, model: Path, inputs: NDArray[np.float32]) -> Ran:
    """Run a file on this machine's own processor, to get the reference for parity.

    Parameters
    ----------
    box : Box
        The sandbox, whose LiteRT and system libraries are used.
    model : Path
        A .tflite file with one float32 input.
    inputs : float32 array [inputs, values]
        Inputs, each of which takes a call.

    Returns
    -------
    Ran
        The outputs, without counts.

    Raises
    ------
    InputError
        If the runtime can't run the file, or takes longer than half an hour.
    """
    return _run(box, _ON_X86, model, inputs)


def run_x86(box: Box, model: Path, inputs: NDArray[np.float32]) -> Ran:
    """Run a file on an emulated x86-64 with all of QEMU's features (AVX2), and count instructions.

    Unlike a native run it executes the same on every host.

    Parameters
    ----------
    box : Box
        The sandbox.
    model : Path
        A .tflite file with one float32 input.
    inputs : float32 array [inputs, values]
        Inputs, each of which takes a call; the first is then counted.

    Returns
    -------
    Ran
        The outputs and counts.

    Raises
    ------
    InputError
        If the runtime can't run the file, takes longer than half an hour or starts threads.
    """
    with tempfile.TemporaryDirectory() as prefix:
        write_topology(Path(prefix))
        return _run(
            box,
            _ON_X86,
            model,
            inputs,
            emulator=[*_qemu(box, "qemu-x86_64"), "-cpu", "max", "-L", prefix],
            counter=_counter(box),
        )


def run_core(box: Box, model: Path, inputs: NDArray[np.float32], *, core: Core) -> Ran:
    """Run a file on an emulated ARM core, and count instructions.

    On armv7 it runs through the Python API of tflite-runtime, whose invoke() is counted too: a file that adds two
    numbers takes 6,999 instructions.

    Parameters
    ----------
    box : Box
        The sandbox.
    model : Path
        A .tflite file with one float32 input.
    inputs : float32 array [inputs, values]
        Inputs, each of which takes a call; the first is then counted.
    core : Core
        The core to emulate.

    Returns
    -------
    Ran
        The outputs and counts.

    Raises
    ------
    InputError
        If the runtime can't run the file, takes longer than half an hour or starts threads.
    """
    # The loader is given explicitly, so that nothing depends on where the guest would look for one.
    libraries = f"{BOX}/{core.processor}/usr/lib/{TARGETS[core.processor].triplet}"
    environment: dict[str, str] = {}
    if core.processor == "armv7":
        loader = [f"{_CURRENT}/{libraries}/ld-linux-armhf.so.3", "--preload", f"{_CURRENT}/{BOX}/bin/clock.so"]
        program, environment = _python("armv7", loader=loader, libraries=[f"{_CURRENT}/{libraries}"])
    else:
        program = [f"{libraries}/ld-linux-aarch64.so.1", "--library-path", libraries, f"{BOX}/bin/runner-aarch64"]
    with tempfile.TemporaryDirectory() as prefix:
        write_prefix(core, Path(prefix))
        emulator = [*_qemu(box, TARGETS[core.processor].qemu), "-cpu", core.qemu_cpu, "-L", prefix]
        return _run(box, program, model, inputs, emulator=emulator, counter=_counter(box), environment=environment)


def run_tflite(box: Box, model: Path, inputs: NDArray[np.float32]) -> Ran:
    """Run a file on this machine in tflite-runtime, to get the reference for parity on armv7.

    armv7 runs the same version of tflite-runtime; LiteRT's int8 kernels round differently.

    Parameters
    ----------
    box : Box
        The sandbox, whose tflite-runtime and Python are used.
    model : Path
        A .tflite file with one float32 input.
    inputs : float32 array [inputs, values]
        Inputs, each of which takes a call.

    Returns
    -------
    Ran
        The outputs, without counts.

    Raises
    ------
    InputError
        If the runtime can't run the file, or takes longer than half an hour.
    """
    libraries = [f"{BOX}/{part}/usr/lib/{TARGETS['x86_64'].triplet}" for part in ("x86_64", "x86_64-python")]
    program, environment = _python(
        "x86_64-python", loader=[f"{libraries[0]}/ld-linux-x86-64.so.2"], libraries=libraries
    )
    return _run(box, program, model, inputs, environment=environment)


def _python(part: str, *, loader: list[str], libraries: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that start tflite_runner.py in the part's own Python.

    Hashes are the same in every run, and with them the instructions that looking up a dictionary's keys takes.
    """
    # On a Debian system, "alternatives" would link these two into the folder itself.
    paths = [*libraries, *(f"{libraries[-1]}/{name}" for name in ("blas", "lapack"))]
    options = ["-S", "-B", "-P"]  # no site-packages, no bytecode written, no modules from the script's folder
    root = f"{_CURRENT}/{BOX}/{part}"
    environment = {"PYTHONHASHSEED": "0", "PYTHONHOME": f"{root}/usr", "PYTHONPATH": f"{root}/{PACKAGES}"}
    return [
        *loader,
        "--library-path",
        ":".join(paths),
        f"{root}/{PYTHON}",
        *options,
        f"{_CURRENT}/{BOX}/bin/{PYTHON_RUNNER.name}",
    ], environment


def read_counts(text: str, *, windows: int = WINDOWS) -> Counted:
    """Read the output of the plugin, which native/counter.c describes.

    Parameters
    ----------
    text : str
        Content of the file that the plugin wrote.
    windows : int
        Number of counted calls that it must contain.

    Returns
    -------
    Counted
        The counts of the last call, and whether all calls agree.

    Raises
    ------
    InputError
        If the output is damaged or incomplete, or the guest had several threads, whose counts would not be exact.
    """
    instructions: list[int] = []
    blocks: list[Block] = []
    vcpus = None
    try:
        for line in text.splitlines():
            kind, *fields = line.split(" ")
            if kind == "window":
                instructions.append(int(fields[1]))
                blocks = []
            elif kind == "block":
                blocks.append(Block(instructions=int(fields[1]), runs=int(fields[2]), code=bytes.fromhex(fields[3])))
            elif kind == "end":
                vcpus = int(fields[0])
    except (ValueError, IndexError) as error:
        raise InputError(f"the plugin's counts can't be read: {error}", "run the command again") from error
    if vcpus is None or len(instructions) != windows or sum(block.executed for block in blocks) != instructions[-1]:
        raise InputError(
            f"the plugin's counts are incomplete: {len(instructions)} of {windows} windows",
            "the emulated process died; run the command again",
        )
    if vcpus != 1:
        raise InputError(
            f"the emulated process had {vcpus} threads",
            "counts are exact for one thread only; the file uses an operator that starts threads",
        )
    return Counted(instructions=instructions[-1], repeatable=len(set(instructions)) == 1, blocks=tuple(blocks))


def _qemu(box: Box, name: str) -> list[str]:
    return host_command(box.folder / "x86_64", f"usr/bin/{name}")


def _counter(box: Box) -> Path:
    return box.folder / "bin/counter.so"


def _run(
    box: Box,
    program: list[str],
    model: Path,
    inputs: NDArray[np.float32],
    *,
    emulator: list[str] | None = None,
    counter: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / BOX).symlink_to(box.folder.resolve())
        (folder / MODEL).symlink_to(model.resolve())
        (folder / "in").write_bytes(np.ascontiguousarray(inputs, dtype="<f4").tobytes())
        plugin = ["-plugin", f"{counter},out={folder / 'counts'}"] if counter else []
        command = [*(emulator or []), *plugin, *program, MODEL, "in", "out", str(WINDOWS if counter else 0)]
        try:
            # This process's environment is not passed on: its size would shift the guest's stack.
            done = subprocess.run(
                tied(command, folder=folder),
                capture_output=True,
                text=True,
                errors="replace",
                env=environment or {},
                cwd=folder,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{model} ran for more than {_TIMEOUT_S} s",
                "the emulator is 50 to 100 times slower: measure a smaller file",
            ) from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if not line.startswith(("INFO", "WARNING"))]
            raise InputError(
                f"{model}: the runner failed with {done.returncode}: {' '.join(lines)[-300:]}",
                "the runtime can't run this file",
            )
        outputs = _outputs(done.stdout, (folder / "out").read_bytes(), count=len(inputs))
        return Ran(outputs, read_counts((folder / "counts").read_text(encoding="ascii")) if counter else None)


def _outputs(described: str, raw: bytes, *, count: int) -> tuple[Output, ...]:
    sizes = [(int(output["bytes"]), output["type"] == _FLOAT32) for output in json.loads(described)["outputs"]]
    if len(raw) != count * sum(size for size, _ in sizes):
        raise InputError(f"the runner wrote {len(raw)} bytes for {count} inputs", "run the command again")
    rows = np.frombuffer(raw, np.uint8).reshape(count, -1)
    borders = np.cumsum([0, *(size for size, _ in sizes)])
    return tuple(
        Output(np.ascontiguousarray(rows[:, borders[i] : borders[i + 1]]), is_float)
        for i, (_, is_float) in enumerate(sizes)
    )
