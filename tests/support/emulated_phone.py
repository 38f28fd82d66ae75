"""Emulate a device for adb with Debian's adbd in a network namespace.

QEMU runs arm64 programs there. adbd listens on all interfaces and authenticates nobody, so it must never run outside
such a namespace. It needs no root. Unlike a phone it has no Android: shell and kernel are this machine's, and times
measured there are not those of a device.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hearlite.benchmarks.arm.cores import CORES, Core, write_prefix
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import host_command
from hearlite.errors import InputError

CORE = CORES["a76"]
_TOOLS = "usr/lib/android-sdk/platform-tools"  # folder of Debian's packages adb and adbd
_LIBRARIES = ("usr/lib/x86_64-linux-gnu/android", "usr/lib/x86_64-linux-gnu")
_SERIAL = "127.0.0.1:5555"  # address at which adbd listens
_WAIT_S = 20.0
_SMALL_MB = 4  # less than LiteRT's library


@dataclass
class EmulatedPhone:
    """A device for adb that runs on this machine."""

    program: str  # an adb that reaches only this device
    serial: str
    exec_prefix: str  # command on the device that starts arm64 programs
    folder: str  # a folder in which programs may be run
    small: str  # another one, on a disk of _SMALL_MB
    inside: list[str]  # beginning of a command that runs in the namespace
    adbd: list[str]  # command that starts adbd
    daemon: subprocess.Popen[bytes] | None = field(default=None)

    def plug(self) -> None:
        """Start adbd and connect to it.

        Raises
        ------
        InputError
            If adbd doesn't answer in time.
        """
        self.daemon = subprocess.Popen(
            [*self.inside, *self.adbd], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until, said = time.monotonic() + _WAIT_S, ""
        while time.monotonic() < until:
            subprocess.run([self.program, "disconnect", self.serial], capture_output=True, check=False)
            said = subprocess.run(
                [self.program, "connect", self.serial], capture_output=True, text=True, check=False
            ).stdout
            if (
                subprocess.run(
                    [self.program, "-s", self.serial, "shell", "true"], capture_output=True, check=False
                ).returncode
                == 0
            ):
                return
            time.sleep(0.2)
        raise InputError(f"adbd doesn't answer: {said.strip()}", "check that no other adbd is running")

    def unplug(self) -> None:
        """Kill adbd, as if the cable was unplugged."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()


def missing_tools(root: Path) -> str:
    """Return which tool of an EmulatedPhone is missing, and how to get it; "" if none is.

    `root` is / or the folder to which Debian's packages were unpacked.
    """
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return f"no {tool}: install util-linux and iproute2"
    for tool in ("adb", "adbd"):
        if not (root / _TOOLS / tool).is_file():
            return (
                f"no {root / _TOOLS / tool}: install Debian's adb and adbd (bookworm-backports or later), or unpack"
                " them and the libraries that they need there"
            )
    done = subprocess.run(["unshare", "-Urnm", "true"], capture_output=True, text=True, check=False)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else ""


@contextmanager
def emulated_phone(root: Path, box: Box, *, core: Core = CORE) -> Iterator[EmulatedPhone]:
    """Start an emulated device and connect to it; remove it at the end, with its files.

    Parameters
    ----------
    root : Path
        / or the folder to which Debian's packages adb and adbd were unpacked.
    box : Box
        The ARM sandbox, for QEMU.
    core : Core
        The core that the device emulates.

    Yields
    ------
    EmulatedPhone
        The device.

    Raises
    ------
    InputError
        If a tool is missing, or the namespace can't be set up.
    """
    if reason := missing_tools(root):
        raise InputError(reason)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for folder in ("data", "small", "cpu"):
            (home / folder).mkdir()
        write_prefix(core, home / "cpu")
        qemu = host_command(box.folder / "x86_64", "usr/bin/qemu-aarch64")
        small = f"mount -t tmpfs -o size={_SMALL_MB}m tmpfs {shlex.quote(str(home / 'small'))}"
        holder = subprocess.Popen(
            ["unshare", "-Urnm", "sh", "-c", f"ip link set lo up && {small} && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        phone = None
        try:
            if holder.stdout is None or holder.stdout.readline() != b"ready\n":
                raise InputError("the namespace could not be set up", "check that users may mount a tmpfs here")
            # The adb server's port is inside the namespace too, so another adb server on this machine is not disturbed.
            variables = {
                "HOME": name,
                "TMPDIR": name,
                "LD_LIBRARY_PATH": ":".join(str(root / path) for path in _LIBRARIES),
                "PATH": os.environ["PATH"],
            }
            inside = [
                "nsenter",
                "--preserve-credentials",
                "-t",
                str(holder.pid),
                "-U",
                "-n",
                "-m",
                "env",
                "-i",
                *(f"{k}={v}" for k, v in variables.items()),
            ]
            program = home / "adb"
            program.write_text(f'#!/bin/sh\nexec {shlex.join([*inside, str(root / _TOOLS / "adb")])} "$@"\n')
            program.chmod(0o755)
            prefix = shlex.join([*qemu, "-cpu", core.qemu_cpu, "-L", str(home / "cpu")])
            folders = str(home / "data"), str(home / "small")
            phone = EmulatedPhone(str(program), _SERIAL, prefix, *folders, inside, [str(root / _TOOLS / "adbd")])
            phone.plug()
            yield phone
        finally:
            if phone is not None:
                subprocess.run([phone.program, "kill-server"], capture_output=True, check=False)
                phone.unplug()
            holder.kill()
            holder.wait()
