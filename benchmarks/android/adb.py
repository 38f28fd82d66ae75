"""Control an Android device through adb: push, shell and pull, with errors that say what to do.

This module contains nothing specific to models.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import HearliteError, InputError, UsageError

_LOST = re.compile(
    r"device '[^']*' not found|no devices/emulators|device offline|connect failed|device still authorizing|error:"
    r" closed|connection reset",
    re.I,
)
_END = "hearlite-exit:"  # printed after a shell command, followed by its exit code
_FULL = re.compile(r"no space left|ENOSPC", re.I)
_NOT_READY = {
    "unauthorized": "unlock it and confirm this computer's key on its screen",
    "offline": "reconnect it, or run: adb reconnect",
    "no permissions": "add a udev rule for it, or run adb as a user who may open it",
}


class DeviceLostError(InputError):
    """The device was disconnected during an operation; files written to it may still be there."""


@dataclass(frozen=True)
class Adb:
    """A device that adb lists as ready."""

    program: str  # the adb executable
    serial: str
    timeout_s: float = 300.0  # for each call of adb

    def push(self, files: Sequence[Path], to: str) -> None:
        """Copy files to a folder of the device.

        Free space is checked first, since adb often reports a full disk only as "failed to read copy response".

        Parameters
        ----------
        files : sequence of Path
            Local files.
        to : str
            Folder of the device, which must exist.

        Raises
        ------
        InputError
            If the device's disk is full or the copy fails.
        DeviceLostError
            If the device is disconnected.
        """
        size, free = sum(file.stat().st_size for file in files), self._free_bytes(to)
        if free is not None and free < size:
            raise self._full(f"{free / 1e6:.1f} MB are free in {to}, {size / 1e6:.1f} MB are needed")
        # Absolute, since adb takes a name that begins with - for an option.
        self._run(["push", *(str(file.absolute()) for file in files), f"{to}/"], what=f"pushing {len(files)} files")

    def pull(self, remote: str, to: Path) -> None:
        """Copy a file from the device.

        Parameters
        ----------
        remote : str
            File of the device.
        to : Path
            Local file to write.

        Raises
        ------
        InputError
            If the copy fails.
        DeviceLostError
            If the device is disconnected.
        """
        self._run(["pull", remote, str(to.absolute())], what=f"pulling {remote}")

    def shell(self, command: str) -> str:
        """Run a shell command on the device and return what it prints on stdout.

        The device itself prints the command's exit code, since adb's own is 0 if the connection breaks, and always 0
        before Android 7.

        Raises
        ------
        InputError
            If the command fails; the message ends with the end of its output.
        DeviceLostError
            If the device is disconnected.
        """
        what = f"running {command.split(' && ')[-1]!r}"
        done = call(self.program, ["-s", self.serial, "shell", f"({command}); echo {_END}$?"], timeout_s=self.timeout_s)
        printed, ended, code = done.stdout.rpartition(_END)
        if done.returncode == 0 and not ended:
            raise self._lost(what, "the connection broke")
        return self._checked(
            done, code=int(code) if ended and code.strip().isdigit() else done.returncode, said=printed, what=what
        )

    def value(self, command: str) -> str:
        """Return the output of a command that not every device supports, or "" if it fails.

        Raises
        ------
        DeviceLostError
            If the device is disconnected.
        """
        try:
            return self.shell(command).strip()
        except DeviceLostError:
            raise
        except InputError:
            return ""

    def _run(self, arguments: Sequence[str], *, what: str) -> str:
        done = call(self.program, ["-s", self.serial, *arguments], timeout_s=self.timeout_s)
        return self._checked(done, code=done.returncode, said=done.stdout, what=what)

    def _checked(self, done: subprocess.CompletedProcess[str], *, code: int, said: str, what: str) -> str:
        if code == 0:
            return said
        words = " ".join((done.stderr + said).split())[-300:]
        if _LOST.search(words):
            raise self._lost(what, words)
        if _FULL.search(words):
            raise self._full(f"{what} ended with: {words}")
        raise InputError(f"{self.serial}: {what} failed with code {code}: {words}", "read the device's log: adb logcat")

    def _free_bytes(self, folder: str) -> int | None:
        """Return the free space of a folder of the device; None if the device doesn't report it."""
        rows = self.value(f"df -k {shlex.quote(folder)}").splitlines()
        columns = rows[-1].split() if len(rows) > 1 else []
        return 1024 * int(columns[-3]) if len(columns) >= 5 and columns[-3].isdigit() else None

    def _full(self, why: str) -> InputError:
        return InputError(
            f"{self.serial} is full: {why}", "free some space in its /data partition, or pass another --folder"
        )

    def _lost(self, what: str, words: str) -> DeviceLostError:
        return DeviceLostError(
            f"{self.serial} was lost while {what}: {words}",
            "reconnect it and run the same command again, which also cleans up",
        )


def find_device(*, program: str = "adb", serial: str | None = None) -> Adb:
    """Find a device that adb lists as ready.

    Parameters
    ----------
    program : str
        The adb executable.
    serial : str, optional
        Serial number of the device, by default that of the only one.

    Returns
    -------
    Adb
        The device.

    Raises
    ------
    InputError
        If adb is missing, or the device is missing or not ready.
    UsageError
        If there are several devices and no `serial`.
    """
    done = call(program, ["devices"], timeout_s=30.0)
    if done.returncode != 0:
        raise InputError(
            f"'{program} devices' failed: {' '.join(done.stderr.split())[-300:]}",
            "run it by hand; adb kill-server may help",
        )
    rows = (line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    devices = {name: state.strip() for name, state in rows}
    if not devices:
        raise InputError(
            "adb lists no device", "connect one by USB and switch USB debugging on in its developer options"
        )
    if serial is None and len(devices) > 1:
        raise UsageError(f"adb lists {len(devices)} devices: {', '.join(devices)}", "name one with --serial")
    chosen = serial or next(iter(devices))
    if chosen.startswith("-") or not chosen.isprintable():
        raise UsageError(f"the serial number is {chosen!r}", "it can't begin with - or hold control characters")
    if chosen not in devices:
        raise InputError(f"adb lists no device {chosen!r}", f"connected: {', '.join(devices)}")
    if devices[chosen] != "device":
        state = devices[chosen]
        hint = next((hint for key, hint in _NOT_READY.items() if state.startswith(key)), "reconnect it")
        raise InputError(f"{chosen} is {state}", hint)
    return Adb(program, chosen)


def call(program: str, arguments: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run adb.

    Parameters
    ----------
    program : str
        The adb executable.
    arguments : sequence of str
        Its arguments.
    timeout_s : float
        Seconds after which it is stopped.

    Returns
    -------
    subprocess.CompletedProcess
        Exit code, stdout and stderr; a failure is for the caller to judge.

    Raises
    ------
    InputError
        If adb can't be started or exceeds the timeout.
    """
    try:
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except OSError as error:
        raise InputError(
            f"{program}: {error.strerror or error}", "install Android's platform-tools, or name its adb with --adb"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{shlex.join([program, *arguments])[:200]} didn't end in {timeout_s:g} s",
            "check that the device is connected and unlocked",
        ) from error


def clean_up(adb: Adb, folder: str) -> HearliteError | None:
    """Remove a folder of the device.

    An error is returned, not raised, since another one may have occurred before.

    Parameters
    ----------
    adb : Adb
        The device.
    folder : str
        Folder of the device.

    Returns
    -------
    HearliteError or None
        The error, if the folder couldn't be removed.
    """
    try:
        adb.shell(f"rm -rf {shlex.quote(folder)}")
    except HearliteError as error:
        return error
    return None
