"""End a command on SIGINT, SIGTERM and SIGHUP: nothing half-written stays, and the exit code tells the signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType
from typing import Any

from hearlite.writing import refuse_writes, remove_own

INTERRUPTED = "interrupted; run the same command again to continue"
# SIGHUP does not exist on Windows.
_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_RETRY_S = 0.01  # a read of soundfile's callbacks takes microseconds
_IMPORTS = "<frozen importlib._bootstrap>"
# Where C code calls Python and swallows what it raises: soundfile then takes the recording for a damaged one.
_CALLBACKS = {"soundfile.py": "vio_", "weakref.py": ""}  # file: how names of functions begin


class Interrupted(KeyboardInterrupt):
    """Raised by a signal.

    At a plain KeyboardInterrupt that C code has run into, Python ends by SIGINT whatever exit code was asked for.
    """


class Signals:
    """The signal that asked this process to end, if any did.

    Attributes
    ----------
    received : int
        Its number; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._alarm: Any = None  # the handler of SIGALRM before it was taken

    @property
    def exit_code(self) -> int:
        """128 and the number, as shells report a process that a signal ended."""
        return 128 + (self.received or signal.SIGINT)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: unwind by Interrupted as soon as that is safe, and at the second signal end at once."""
        if self.received:
            self._end()
        self.received = number
        refuse_writes(True)
        self._unwind(frame)

    def _unwind(self, frame: FrameType | None) -> None:
        stack = _stack(frame)
        if any(file == _IMPORTS for file, _ in stack):  # some modules in C crash when their import is interrupted
            os.write(2, f"error: {INTERRUPTED}\n".encode())
            self._end()
        if _in_callback(stack) and hasattr(signal, "setitimer"):
            before = signal.signal(signal.SIGALRM, self._retry)
            self._alarm = self._alarm or before
            signal.setitimer(signal.ITIMER_REAL, _RETRY_S)
            return
        raise Interrupted

    def _retry(self, number: int, frame: FrameType | None) -> None:
        self._unwind(frame)

    def release(self) -> None:
        """Give the alarm back and allow writing again."""
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
        refuse_writes(False)

    def _end(self) -> None:
        remove_own()
        os._exit(self.exit_code)


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    """Return the file and the name of each function that is running."""
    found = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    return found


def _in_callback(stack: list[tuple[str, str]]) -> bool:
    """Whether one of the functions was called by C code, or by the garbage collector, that swallows what it raises."""
    for file, name in stack:
        prefix = _CALLBACKS.get(PurePath(file).name)
        if name == "__del__" or (prefix is not None and name.startswith(prefix)):
            return True
    return False


@contextmanager
def handled() -> Iterator[Signals]:
    """Handle the signals while the block runs; the handlers before are set again after it.

    A signal that is ignored, as SIGHUP under nohup, stays ignored. In a thread that may not handle signals, nothing is
    changed.
    """
    signals = Signals()
    before = {}
    try:
        for number in _NUMBERS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, signals.stop)
    except ValueError:  # not the main thread
        pass
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signals.release()
