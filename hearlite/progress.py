"""Show progress with the remaining time on stderr: a bar on a terminal, else a line every 15 s."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hearlite.text import printable
from hearlite.writing import require_not_interrupted

LOG_EVERY_S = 15.0


@contextmanager
def progress(what: str, *, total: int, start: int = 0) -> Iterator[Callable[..., None]]:
    """Show the progress of a loop on stderr while the block runs.

    Parameters
    ----------
    what : str
        Label of the progress bar.
    total : int
        Number of items.
    start : int
        Number of items already finished, when work is resumed.

    Yields
    ------
    callable
        `advance(done, note="")`, to be called with the number of items finished so far. It raises KeyboardInterrupt
        if this process was asked to end.
    """
    show = _bar if sys.stderr.isatty() else _lines
    with show(printable(what), total, start) as report:

        def advance(done: int, note: str = "") -> None:
            require_not_interrupted()
            report(done, note)

        yield advance


@contextmanager
def _bar(what: str, total: int, start: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=start, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=note)


@contextmanager
def _lines(what: str, total: int, start: int) -> Iterator[Callable[..., None]]:
    began = last = time.monotonic()
    # Time and count at the first call; the estimate starts there, because the first item includes setting up.
    first: tuple[float, int] | None = None

    def advance(done: int, note: str = "") -> None:
        nonlocal last, first
        now = time.monotonic()
        first = first or (now, done)
        if done < total and now - last < LOG_EVERY_S:
            return
        last = now
        known = done > first[1]
        left = f", {(now - first[0]) / (done - first[1]) * (total - done):.0f} s left" if known and done < total else ""
        print(f"{what}: {done}/{total}, {now - began:.0f} s{left} {note}".rstrip(), file=sys.stderr, flush=True)

    yield advance
