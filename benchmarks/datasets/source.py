"""Tools for parsers of public datasets: rows, a log of what is left out, and careful reading.

A parser never opens a recording: `hearlite.data.dataset` does, and lists what it cannot decode. Nor does it guess: a
row that it does not understand is left out with the reason, and a value is left empty and counted.
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
    """One row of the manifest."""

    file: PurePosixPath  # below the dataset's folder
    subject: str
    cells: dict[str, str]  # label and metadata columns; "" is unknown
    start_s: float | None = None  # of the event; None: the whole recording
    end_s: float | None = None
    side: str = ""  # train, val or test by the official split; "" if that does not list the recording
    official: str = ""  # the official split's own name


@dataclass
class Log:
    """A record of what a parser left out, and of oddities that it found."""

    skipped: list[Skipped] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)
    trained: set[str] = field(default_factory=set)  # subjects of official training, even those without a row

    def skip(self, file: str, reason: str, *, row: int | None = None) -> None:
        """Note that a row is left out, and why.

        Parameters
        ----------
        file : str
            File or item that is left out.
        reason : str
            Why it is.
        row : int, optional
            Row of the table, from 1.
        """
        self.skipped.append(Skipped(file, row, reason))

    def notes(self) -> list[str]:
        """Return the oddities as sentences with counts."""
        return [f"{count} x {what}" for what, count in self.odd.items()]

    def age(self, text: str, *, oldest: float = OLDEST_YEARS) -> str:
        """Return an age as written, or "" if it is missing or impossible.

        An impossible age is counted as an oddity.

        Parameters
        ----------
        text : str
            Age in years.
        oldest : float
            Highest possible age, in years.

        Returns
        -------
        str
            The age in years, or "".
        """
        if text.strip().lower() in _NOTHING:
            return ""
        if 0 <= number(text) <= oldest:
            return text.strip()
        self.odd[f"an age that is no number in 0 ... {oldest:g} years, left empty"] += 1
        return ""

    def sex(self, text: str) -> str:
        """Return male, female or other; "" if unknown.

        M, F, and SPRSound's 0 (male) and 1 (female) are understood. Anything else is left empty and counted.
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
        """Return "1" for yes and "0" for no; "" if unknown.

        An answer that is neither is left empty and counted.
        """
        key = text.strip().lower()
        if key not in _YES | _NO | _NOTHING:
            self.odd["a yes-or-no answer that is neither, left empty"] += 1
        return "1" if key in _YES else "0" if key in _NO else ""


@dataclass(frozen=True)
class Source:
    """A public dataset: its origin, its terms, the columns of its manifest, and its reader."""

    title: str
    url: str
    paper: str
    licence: str  # as the source states it; read the live terms yourself
    labels: tuple[str, ...]  # columns to probe
    metadata: tuple[str, ...]  # columns that describe the person or the recording
    read: Callable[[Path, Log], list[Row]]
    caveats: tuple[str, ...] = ()  # limitations that affect results; they become notes of the manifest


def number(text: str) -> float:
    """Return the text as a finite number, or NaN if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def find_file(root: Path, *names: str) -> Path | None:
    """Find a file below `root` by one of several names, in any case.

    If several match, the one nearest to the top is returned; None if none does.
    """
    wanted = {name.lower() for name in names}
    found = [path for path in root.rglob("*") if path.name.lower() in wanted and path.is_file()]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises InputError if it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error}", "download it again") from error


def read_json(path: Path) -> Any:
    """Read a JSON file with `files.read_json`.

    Raises InputError if it cannot be read, is not valid JSON, or is nested too deeply.
    """
    try:
        return files.read_json(path)
    except RecursionError as error:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from error


def read_table(path: Path | None, *, name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read the rows of a CSV file.

    Parameters
    ----------
    path : Path or None
        The file; None if it was not found.
    name : str
        The file's name, for the error if it was not found.
    columns : tuple of str
        Columns that it must have.

    Returns
    -------
    list of dict of str to str
        Cells of each row by column, without surrounding blanks; "" for cells that a short row lacks.

    Raises
    ------
    InputError
        If the file is missing, cannot be read, is not a CSV, or lacks a column.
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
