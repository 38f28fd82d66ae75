"""Run a file in the sandbox, on the host or emulated, and read what the plugin counted.

The time that an emulator takes is never looked at.
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
from hearlite.errors import InputError

WINDOWS = 2  # calls that are counted, after one call for every input, which warm up: they must agree
_TIMEOUT_S = 1_800  # an emulated call is 50 to 100 times slower
_FLOAT32 = 1  # LiteRtElementType
# The guest sees the box and the file by these names below its current folder: the length of a path moves its heap, and
# malloc's search for free memory then takes a few dozen instructions more or less.
BOX, MODEL = "box", "model.tflite"
_CURRENT = "/proc/self/cwd"  # Python makes its paths absolute: these have the same length everywhere
_ON_X86 = host_command(Path(BOX, "x86_64"), "../bin/runner-x86_64")


@dataclass(frozen=True)
class Block:
    """A run of instructions without a branch into or out of it."""

    instructions: int
    runs: int
    code: bytes

    @property
    def executed(self) -> int:
        """Return how many instructions it executed in all."""
        return self.instructions * self.runs


@dataclass(frozen=True)
class Counted:
    """What one call executes, and whether every counted call executed the same."""

    instructions: int
    repeatable: bool
    blocks: tuple[Block, ...]  # of the last window


@dataclass(frozen=True)
class Output:
    """One output of a model for every input: uint8 [inputs, bytes], and whether these are float32."""

    raw: NDArray[np.uint8]
    is_float: bool


@dataclass(frozen=True)
class Ran:
    """A finished run: the outputs in the file's order, and with the plugin what it counted."""

    outputs: tuple[Output, ...]
    counted: Counted | None = None


def run_native(box: Box, model: Path, inputs: NDArray[np.float32]) -> Ran:
    """Run on this machine's own processor, with the sandbox's libraries: the reference of parity.

    `inputs` is float32 [inputs, values].
    """
    return _run(box, _ON_X86, model, inputs)


def run_x86(box: Box, model: Path, inputs: NDArray[np.float32]) -> Ran:
    """On QEMU's x86-64 with all features that it has (AVX2), counted: the same on every host."""
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
    """On an emulated ARM core, counted.

    On armv7 by tflite-runtime's Python API, whose invoke() is counted too: a file that adds two numbers takes 6,999
    instructions.
    """
    # Its loader is named, so that nothing depends on where the guest would look for one.
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
    """Run as `run_native`, in the tflite-runtime that armv7 has: the reference of its parity.

    LiteRT's int8 kernels round otherwise.
    """
    libraries = [f"{BOX}/{part}/usr/lib/{TARGETS['x86_64'].triplet}" for part in ("x86_64", "x86_64-python")]
    program, environment = _python(
        "x86_64-python", loader=[f"{libraries[0]}/ld-linux-x86-64.so.2"], libraries=libraries
    )
    return _run(box, program, model, inputs, environment=environment)


def _python(part: str, *, loader: list[str], libraries: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment of runner.py in the part's own Python.

    In it hashes, and so dictionaries, are always the same.
    """
    # Debian's "alternatives" would link these two into the folder itself.
    paths = [*libraries, *(f"{libraries[-1]}/{name}" for name in ("blas", "lapack"))]
    options = ["-S", "-B", "-P"]  # no site-packages, no bytecode written, no modules from runner.py's folder
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
    """Read what the plugin wrote.

    Raises InputError when it is not whole, or when the guest had threads, whose counts would not be exact.
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
            f"the plugin's counts are incomplete: {len(instructions)} of {windows} windows", "the emulated process died"
        )
    if vcpus != 1:
        raise InputError(
            f"the emulated process had {vcpus} threads",
            "counts are exact for one; the file uses an operator that starts threads",
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
            # Nothing of this process's environment: its size would shift the guest's stack.
            done = subprocess.run(
                command,
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
