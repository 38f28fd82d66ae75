"""One Android device through adb: push, shell, pull, with errors that say what to do. Knows nothing of models."""

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
_END = "hearlite-exit:"  # and a shell command's exit code: the last thing that its output says
_FULL = re.compile(r"no space left|ENOSPC", re.I)
_NOT_READY = {
    "unauthorized": "unlock it and confirm this computer's key on its screen",
    "offline": "reconnect it, or run: adb reconnect",
    "no permissions": "add a udev rule for it, or run adb as a user who may open it",
}


class DeviceLostError(InputError):
    """The device went away in the middle of something; what was written to it may still be there."""


@dataclass(frozen=True)
class Adb:
    """A device that answered. `program` is the adb executable."""

    program: str
    serial: str
    timeout_s: float = 300.0

    def push(self, files: Sequence[Path], to: str) -> None:
        """Copy files into the folder `to` of the device.

        Raises InputError when its disk is full, DeviceLostError when it is gone.

        Free space is asked for first: when the disk fills up, adb itself says "failed to read copy response" as often
        as why.
        """
        size, free = sum(file.stat().st_size for file in files), self._free_bytes(to)
        if free is not None and free < size:
            raise self._full(f"{free / 1e6:.1f} MB are free in {to}, {size / 1e6:.1f} MB are needed")
        self._run(["push", *map(str, files), f"{to}/"], what=f"pushing {len(files)} files")

    def pull(self, remote: str, to: Path) -> None:
        """Copy a file from the device."""
        self._run(["pull", remote, str(to)], what=f"pulling {remote}")

    def shell(self, command: str) -> str:
        """Return what `command` prints on stdout. Raises InputError with its last words when it fails.

        The device says itself how it ended: when the connection breaks, adb ends as if all was well, and before Android
        7 whatever happens.
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
        """Return what a command prints that not every device knows: "" when it fails.

        Except for a lost device.
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
        raise InputError(
            f"{self.serial}: {what} failed with code {code}: {words}", "see what the device says: adb logcat"
        )

    def _free_bytes(self, folder: str) -> int | None:
        """None where the device doesn't say."""
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
    """Return the device called `serial`, by default the only one.

    Raises InputError without adb, without a device or with one that isn't ready, UsageError for several devices without
    a `serial`.
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
            "adb knows no device", "connect one by USB and switch USB debugging on in its developer options"
        )
    if serial is None and len(devices) > 1:
        raise UsageError(f"adb knows {len(devices)} devices: {', '.join(devices)}", "name one with --serial")
    chosen = serial or next(iter(devices))
    if chosen not in devices:
        raise InputError(f"adb knows no device {chosen!r}", f"connected: {', '.join(devices)}")
    if devices[chosen] != "device":
        state = devices[chosen]
        hint = next((hint for key, hint in _NOT_READY.items() if state.startswith(key)), "reconnect it")
        raise InputError(f"{chosen} is {state}", hint)
    return Adb(program, chosen)


def call(program: str, arguments: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run adb. Raises InputError when it isn't there or doesn't answer in time."""
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
            f"{shlex.join([program, *arguments])[:200]} didn't end in {timeout_s:g} s", "is the device locked or gone?"
        ) from error


def clean_up(adb: Adb, folder: str) -> HearliteError | None:
    """Remove a folder of the device; return the error, if that fails.

    It is not raised: something else may have failed first.
    """
    try:
        adb.shell(f"rm -rf {shlex.quote(folder)}")
    except HearliteError as error:
        return error
    return None
