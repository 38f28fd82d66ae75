"""End a command on SIGINT, SIGTERM and SIGHUP: nothing half-written stays, and the exit code tells the signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hearlite.writing import remove_own

# SIGHUP does not exist on Windows.
_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """The signal that asked this process to end, if any did.

    Attributes
    ----------
    received : int
        Its number; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0

    @property
    def exit_code(self) -> int:
        """128 and the number, as shells report a process that a signal ended."""
        return 128 + (self.received or signal.SIGINT)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: unwind by KeyboardInterrupt, and at the second end at once."""
        if self.received:
            remove_own()
            os._exit(self.exit_code)
        self.received = number
        raise KeyboardInterrupt


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
