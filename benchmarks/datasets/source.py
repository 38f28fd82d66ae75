"""What the parsers of public datasets share: rows, a log of what is left out, and careful reading.

A parser never opens a recording: `hearlite.data.dataset` does, and lists what it can't decode. It never guesses either:
what it doesn't understand is left out with the reason, or empty and counted.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from hearlite import files
from hearlite.benchmarks.tasks.demographics import OLDEST_YEARS
from hearlite.data.dataset import Skipped
from hearlite.errors import InputError

_YES, _NO, _NOTHING = (
    frozenset({"true", "yes", "y", "1"}),
    frozenset({"false", "no", "n", "0"}),
    frozenset({"", "na", "nan", "none"}),
)


@dataclass(frozen=True)
class Row:
    """One line of the manifest."""

    file: PurePosixPath  # below the dataset's folder
    subject: str
    cells: dict[str, str]  # label and metadata columns; "" is unknown
    start_s: float | None = None  # of the event; None: the whole recording
    end_s: float | None = None
    side: str = ""  # train, val or test in the official split, "" where it has no place for the recording
    official: str = ""  # the official split's own name


@dataclass
class Log:
    """What a parser left out, and what it found odd."""

    skipped: list[Skipped] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)
    trained: set[str] = field(default_factory=set)  # subjects of official training that may have no row

    def skip(self, file: str, reason: str, *, row: int | None = None) -> None:
        """Note that a row is left out, and why."""
        self.skipped.append(Skipped(file, row, reason))

    def notes(self) -> list[str]:
        """Return what was cleaned, as sentences with counts."""
        return [f"{count} x {what}" for what, count in self.odd.items()]

    def age(self, text: str, *, oldest: float = OLDEST_YEARS) -> str:
        """Return an age in years as it stands, "" when there is none; an impossible one is emptied and counted."""
        if text.strip().lower() in _NOTHING:
            return ""
        if 0 <= number(text) <= oldest:
            return text.strip()
        self.odd[f"an age that is no number in 0 ... {oldest:g} years, left empty"] += 1
        return ""

    def sex(self, text: str) -> str:
        """Return male, female or other; "" when unknown.

        M/F and SPRSound's 0/1 are understood; anything else is emptied and counted.
        """
        known = {
            "0": "male",
            "m": "male",
            "male": "male",
            "1": "female",
            "f": "female",
            "female": "female",
            "other": "other",
        }
        key = text.strip().lower()
        if key not in known and key not in _NOTHING:
            self.odd["a sex that is none of male, female, other, left empty"] += 1
        return known.get(key, "")

    def flag(self, text: str) -> str:
        """1 or 0; "" when unknown."""
        key = text.strip().lower()
        if key not in _YES | _NO | _NOTHING:
            self.odd["a yes-or-no answer that is neither, left empty"] += 1
        return "1" if key in _YES else "0" if key in _NO else ""


@dataclass(frozen=True)
class Source:
    """A public dataset: where it comes from, under which terms, what its manifest holds, and how its files are read."""

    title: str
    url: str
    paper: str
    licence: str  # as the source states it; read the live terms yourself
    labels: tuple[str, ...]  # columns to probe
    metadata: tuple[str, ...]  # columns that describe the person or the recording
    read: Callable[[Path, Log], list[Row]]
    caveats: tuple[str, ...] = ()  # what a reader of a result must know; they become notes


def number(text: str) -> float:
    """Return a finite number, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def find_file(root: Path, *names: str) -> Path | None:
    """Return the first file below `root` with one of these names, in any case, nearest to the top."""
    wanted = {name.lower() for name in names}
    found = [path for path in root.rglob("*") if path.name.lower() in wanted and path.is_file()]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def read_text(path: Path) -> str:
    """Read a UTF-8 text file. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error}", "download it again") from error


def read_json(path: Path) -> Any:
    """Like `files.read_json`, also for a file that is nested too deeply to be read. Raises InputError."""
    try:
        return files.read_json(path)
    except RecursionError as error:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from error


def read_table(path: Path | None, *, name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read the rows of a CSV with at least `columns`, cells stripped.

    A cell is "" where a row is too short. Raises InputError.
    """
    if path is None:
        raise InputError(f"no {name} in the dataset's folder", "name the folder that the dataset was unpacked to")
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="", strict=True)
        reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        missing = [column for column in columns if column not in reader.fieldnames]
        if missing:
            raise InputError(
                f"{path}: no column {missing[0]!r}", f"its columns: {', '.join(reader.fieldnames) or 'none'}"
            )
        return [{column: value.strip() for column, value in row.items() if isinstance(value, str)} for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV: {error}", "download it again") from error
