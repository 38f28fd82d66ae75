"""Compile the small C programs of native/ with the sandbox's own clang and lld.

The host needs no compiler.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError

_ROOM = Path(__file__).parent.parent
RUNNER, CLOCK, COUNTER = (_ROOM / "native" / name for name in ("runner.c", "clock.c", "counter.c"))
PYTHON_RUNNER = _ROOM / "tflite_runner.py"
ON_DEVICE, LITERT = (_ROOM.parent / "android" / "native" / name for name in ("android_runner.c", "litert.h"))
SOURCES = (RUNNER, PYTHON_RUNNER, CLOCK, COUNTER, ON_DEVICE, LITERT)
LLVM = "usr/lib/llvm-19"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Werror", "-fPIC", "-fno-stack-protector", "-nostdinc")
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Target:
    """A processor to compile for."""

    triplet: str  # Debian's and LLVM's name, also the folder of libraries below usr/lib
    loader: str  # path at which programs expect the dynamic loader
    qemu: str  # name of the emulator


TARGETS = {
    "x86_64": Target("x86_64-linux-gnu", "/lib64/ld-linux-x86-64.so.2", "qemu-x86_64"),
    "aarch64": Target("aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1", "qemu-aarch64"),
    "armv7": Target("arm-linux-gnueabihf", "/lib/ld-linux-armhf.so.3", "qemu-arm"),
}


def host_command(root: Path, program: str, *, libraries: Path | None = None) -> list[str]:
    """Return a command that starts an x86-64 program of the sandbox without any library of the host.

    Parameters
    ----------
    root : Path
        Part of the sandbox that contains the program.
    program : str
        Path of the program below `root`.
    libraries : Path, optional
        Part that contains the dynamic loader and the C libraries, by default `root`.

    Returns
    -------
    list of str
        The loader, its options and the program, to be followed by the program's arguments.
    """
    folder = (libraries or root) / "usr/lib" / TARGETS["x86_64"].triplet
    paths = f"{folder}:{root / 'usr/lib' / TARGETS['x86_64'].triplet}"
    return [str(folder / "ld-linux-x86-64.so.2"), "--library-path", paths, str(root / program)]


def build_programs(parts: Path, out: Path) -> None:
    """Build the programs of the sandbox.

    These are runner-x86_64, runner-aarch64, tflite_runner.py, android_runner (for aarch64), clock.so (for armv7) and
    counter.so (for x86-64, where QEMU loads it).

    Parameters
    ----------
    parts : Path
        Folder of the unpacked parts.
    out : Path
        Folder to write to.

    Raises
    ------
    InputError
        If the compiler or the linker fails; the message contains its stderr.
    """
    headers = {"x86_64": parts / "compiler", "aarch64": parts / "headers"}
    for name, folder in headers.items():
        _build(parts, RUNNER, out / f"runner-{name}", name=name, headers=folder)
    shutil.copyfile(PYTHON_RUNNER, out / PYTHON_RUNNER.name)
    _build(parts, ON_DEVICE, out / ON_DEVICE.stem, name="aarch64", headers=headers["aarch64"])
    _share(parts, COUNTER, out / "counter.so", name="x86_64", headers=headers["x86_64"])
    _share(parts, CLOCK, out / "clock.so", name="armv7", headers=headers["x86_64"])  # clock.c includes no header
    for left in out.glob("*.o"):
        left.unlink()


def _build(parts: Path, source: Path, program: Path, *, name: str, headers: Path) -> None:
    target = TARGETS[name]
    development, libraries = headers / "usr/lib" / target.triplet, parts / name / "usr/lib" / target.triplet
    compiled = program.with_suffix(".o")
    _compile(parts, source, compiled, target=target, headers=headers)
    objects = [str(development / "crt1.o"), str(development / "crti.o"), str(compiled), str(development / "crtn.o")]
    linked = [str(libraries / "libLiteRt.so"), str(libraries / "libc.so.6"), "--allow-shlib-undefined"]
    # -z now: otherwise the lookup of a symbol on its first call would count in the first window only.
    _run(_linker(parts), ["-z", "now", "-dynamic-linker", target.loader, "-o", str(program), *objects, *linked])


def _share(parts: Path, source: Path, library: Path, *, name: str, headers: Path) -> None:
    """Build a shared library; the QEMU functions that counter.c calls are resolved when QEMU loads it."""
    compiled = library.with_suffix(".o")
    _compile(parts, source, compiled, target=TARGETS[name], headers=headers)
    libc = str(parts / name / "usr/lib" / TARGETS[name].triplet / "libc.so.6")
    _run(_linker(parts), ["-shared", "--unresolved-symbols=ignore-all", "-o", str(library), str(compiled), libc])


def _compile(parts: Path, source: Path, output: Path, *, target: Target, headers: Path) -> None:
    include = [headers / "usr/include" / target.triplet, headers / "usr/include"]
    folders = [parts / "compiler" / LLVM / "lib/clang/19/include", *include]
    options = [f"--target={target.triplet}", *_FLAGS, *(f"-isystem{folder}" for folder in folders)]
    clang = host_command(parts / "compiler", f"{LLVM}/bin/clang", libraries=parts / "x86_64")
    _run(clang, [*options, "-c", str(source), "-o", str(output)])


def _linker(parts: Path) -> list[str]:
    loader, *rest = host_command(parts / "compiler", f"{LLVM}/bin/lld", libraries=parts / "x86_64")
    return [loader, "--argv0", "ld.lld", *rest]  # lld acts as the linker that its name says


def _run(command: list[str], arguments: list[str]) -> None:
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env={}, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise InputError(
            f"{Path(command[-1]).name} failed: {done.stderr.strip()[-600:]}",
            "delete the sandbox's folder and run the command again",
        )
