"""Write events: tables of all recordings (CSV, JSON lines, Parquet), and one track each for Audacity or Raven."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hearlite.errors import UsageError
from hearlite.events.detector import Event
from hearlite.events.recordings import Heard
from hearlite.spec import AUDIO

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("file", "label", "start_s", "end_s", "peak_s", "score")
_TIME = 3  # decimals: a millisecond
_SCORE = 4


def rows(heard: Sequence[Heard]) -> list[dict[str, object]]:
    """Return a row for each event, with COLUMNS as keys."""
    return [
        {
            "file": item.file,
            "label": event.label,
            "start_s": round(event.start_s, _TIME),
            "end_s": round(event.end_s, _TIME),
            "peak_s": round(event.peak_s, _TIME),
            "score": round(event.score, _SCORE),
        }
        for item in heard
        for event in item.events
    ]


def as_csv(heard: Sequence[Heard]) -> bytes:
    """Return a CSV with COLUMNS."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(heard))
    return text.getvalue().encode()


def as_json_lines(heard: Sequence[Heard]) -> bytes:
    """Return a JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(heard)).encode()


def as_table(heard: Sequence[Heard]) -> pa.Table:
    """Return a pyarrow table with COLUMNS."""
    import pyarrow as pa

    numbers = ("start_s", "end_s", "peak_s", "score")
    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in COLUMNS])
    return pa.Table.from_pylist(rows(heard), schema=schema)


def as_parquet(heard: Sequence[Heard]) -> bytes:
    """Return a Parquet file with COLUMNS."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(as_table(heard), sink)
    return sink.getvalue()


def as_audacity(events: Sequence[Event]) -> bytes:
    """Return a label track of Audacity: start, end and label, with tabs between."""
    return "".join(f"{event.start_s:.6f}\t{event.end_s:.6f}\t{event.label}\n" for event in events).encode()


def as_raven(events: Sequence[Event], *, file: str) -> bytes:
    """Return a selection table of Raven Pro."""
    head = (
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
        "Begin File",
        "Label",
        "Score",
    )
    lines = ["\t".join(head)]
    for number, event in enumerate(events, start=1):
        place = f"{event.start_s:.3f}\t{event.end_s:.3f}\t0.0\t{AUDIO.sample_rate_hz / 2:.1f}"
        lines.append(f"{number}\tSpectrogram 1\t1\t{place}\t{Path(file).name}\t{event.label}\t{event.score:.4f}")
    return ("\n".join(lines) + "\n").encode()


TABLES: dict[str, Callable[[Sequence[Heard]], bytes]] = {
    ".csv": as_csv,
    ".jsonl": as_json_lines,
    ".parquet": as_parquet,
}
TRACKS = {"audacity": ".txt", "raven": ".selections.txt"}  # endings of the files, one for each recording


def table_writer(path: Path) -> Callable[[Sequence[Heard]], bytes]:
    """Return what makes the table that a file's ending stands for. Raises UsageError for another ending."""
    if path.suffix.lower() not in TABLES:
        raise UsageError(f"events can't be written to {path.name!r}", f"use a file that ends in {', '.join(TABLES)}")
    return TABLES[path.suffix.lower()]
