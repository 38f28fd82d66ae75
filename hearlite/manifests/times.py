"""Read the times of a manifest, and recognize those in another unit than seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hearlite.errors import InputError
from hearlite.manifests.options import TIME_UNITS
from hearlite.manifests.rows import Row

MAX_TIME_S = 1e7  # 115 days, longer than any recording: a larger number is a mistake
_NAMES = {"s": "seconds", "ms": "milliseconds"}
_SLACK_S = 1.0  # that an event may end after its recording, for instance because a label was drawn by hand
_MAX_RATE_HZ = 48_000  # of usual recordings


def time_s(text: str, *, column: str, unit: str = "s") -> float | None:
    """Parse a time of a manifest.

    Parameters
    ----------
    text : str
        The cell.
    column : str
        Its column, for messages.
    unit : str
        Unit of the number, one of TIME_UNITS.

    Returns
    -------
    float or None
        Seconds, 0 to MAX_TIME_S; None for an empty cell.

    Raises
    ------
    InputError
        When it is anything else.
    """
    if not text:
        return None
    try:
        seconds = float(text) * TIME_UNITS[unit]
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_TIME_S:
        raise InputError(f"{column} is {text!r}", f"expected {_NAMES[unit]} from the start of the recording, 0 or more")
    return seconds


def require_time_unit(rows: Sequence[Row], durations_s: Sequence[float], *, unit: str, where: str) -> None:
    """Require that the times of most rows lie in their recordings.

    Parameters
    ----------
    rows : sequence of Row
        Rows with times.
    durations_s : sequence of float
        Length of each row's recording in seconds.
    unit : str
        Unit of the times, one of TIME_UNITS.
    where : str
        The manifest, for the message.

    Raises
    ------
    InputError
        When half of the rows or more lie outside, but would lie inside if their times were milliseconds or samples.
        The message names that unit.
    """
    outside: list[tuple[Row, str, float, float]] = []
    timed = 0
    for row, recording_s in zip(rows, durations_s, strict=True):
        latest = max(
            ((seconds, text) for text in (row.start, row.end) if (seconds := _seconds(text, unit)) is not None),
            default=None,
        )
        if latest is None:
            continue
        timed += 1
        if latest[0] > recording_s + _SLACK_S:
            outside.append((row, latest[1], float(latest[1]), recording_s))
    if not outside or 2 * len(outside) < timed:
        return

    def fits(scale: float) -> bool:
        return all(number * scale <= recording_s + _SLACK_S for _, _, number, recording_s in outside)

    row, text, _, recording_s = outside[0]
    if unit != "ms" and fits(TIME_UNITS["ms"]):
        name, hint = "milliseconds", "say --time-unit ms, or divide by 1000"
    elif fits(1 / _MAX_RATE_HZ) and not fits(TIME_UNITS["ms"]):
        name, hint = "samples", "divide by the sample rate of the recordings"
    else:
        return
    raise InputError(
        f"{where}: times look like {name}, not {_NAMES[unit]}: row {row.row} has {text}, but {row.name} is"
        f" {recording_s:.1f} s long",
        hint,
    )


def _seconds(text: str, unit: str) -> float | None:
    try:
        seconds = float(text) * TIME_UNITS[unit]
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
