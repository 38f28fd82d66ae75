"""Read the rows of a manifest CSV, or list the recordings of a folder that has none."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from hearlite import audio
from hearlite.errors import InputError

MANIFESTS = ("manifest.csv", "labels.csv")
DEFAULT_LABELS = ("label",)
SPLITS = ("train", "val", "test")
_LISTED = 10  # names in a note


@dataclass(frozen=True)
class Row:
    """One recording or event before it is cut into clips; times are still text."""

    row: int | None  # line in the manifest; None without one
    name: str  # posix path relative to the folder
    start: str = ""
    end: str = ""
    subject: str = ""
    split: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    synthetic: bool = False


def find_rows(path: Path, *, label_columns: tuple[str, ...]) -> tuple[Path, list[Row], list[str]]:
    """Find the recordings in a folder, a manifest CSV or a single file.

    Parameters
    ----------
    path : Path
        What the user named.
    label_columns : tuple of str
        Label columns to read; an unknown one is an error, unless they are DEFAULT_LABELS.

    Returns
    -------
    tuple of Path, list of Row and list of str
        The folder that names are relative to, the rows, and notes for the user.

    Raises
    ------
    InputError
        When there is no audio, or the manifest is invalid.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder", "name a folder of recordings, a manifest .csv or a recording"
        )
    if path.is_dir():
        manifests = [path / name for name in MANIFESTS if (path / name).is_file()]
        if len(manifests) > 1:
            raise InputError(f"{path}: holds both {' and '.join(MANIFESTS)}", "name the one to use")
        if manifests:
            return _read_manifest(manifests[0], label_columns=label_columns)
        found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*"))
        # Dangling links, pipes and folders with such a name stay: reading them says what they are.
        names = [name for name in found if PurePosixPath(name).suffix.lower() in audio.SUFFIXES]
        others = [name for name in found if name not in set(names) and (path / name).is_file()]
        if not names:
            raise InputError(
                f"{path}: no audio in it",
                f"expected {', '.join(MANIFESTS)} or files ending in {', '.join(audio.SUFFIXES)}",
            )
    elif path.suffix.lower() == ".csv":
        return _read_manifest(path, label_columns=label_columns)
    else:
        audio.duration_s(path)  # raises InputError if this one recording cannot be read
        path, names, others = path.parent, [path.name], []
    _check_label_columns(path, wanted=label_columns, present=())
    return path, [Row(None, name) for name in names], ["no manifest: no labels", *_not_read(others)]


def _not_read(others: list[str]) -> list[str]:
    """Return a note on the files of a folder that are no recordings by their names."""
    seen = [name for name in others if not PurePosixPath(name).name.startswith(".")]
    if not seen:
        return []
    listed = ", ".join(seen[:_LISTED]) + (f" and {len(seen) - _LISTED} more" if len(seen) > _LISTED else "")
    return [f"{len(seen)} other file{'s are' if len(seen) > 1 else ' is'} not read: {listed}"]


def _read_manifest(path: Path, *, label_columns: tuple[str, ...]) -> tuple[Path, list[Row], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = [column.strip() for column in next(reader, ())]
            _check_columns(path, columns, label_columns=label_columns)
            labels = tuple(column for column in label_columns if column in columns)
            rows = [_manifest_row(path, columns, row, number=reader.line_num, labels=labels) for row in reader if row]
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror or error}", "name a manifest CSV, a folder or a recording"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a UTF-8 CSV: {error}", "save it as comma-separated UTF-8") from error
    return path.parent, rows, [] if labels else ["the manifest has no label column: no labels"]


def _check_columns(path: Path, columns: list[str], *, label_columns: tuple[str, ...]) -> None:
    if "file" not in columns:
        raise InputError(
            f"{path}: no column 'file' in its first line: {', '.join(columns) or '(empty)'}",
            "name the column of audio paths 'file'",
        )
    for column in columns:
        if columns.count(column) > 1 or {column, f"{column}_s"} <= set(columns) & {"start", "start_s", "end", "end_s"}:
            raise InputError(
                f"{path}: column {column!r} is there twice",
                "keep one of start and start_s, of end and end_s, and of any other name",
            )
    _check_label_columns(path, wanted=label_columns, present=columns)


def _check_label_columns(path: Path, *, wanted: tuple[str, ...], present: Sequence[str]) -> None:
    unknown = [column for column in wanted if column not in present]
    if unknown and wanted != DEFAULT_LABELS:  # the default is optional, as the user did not ask for it
        raise InputError(f"{path}: no label column {unknown[0]!r}", f"its columns: {', '.join(present) or 'none'}")


def _manifest_row(path: Path, columns: list[str], row: list[str], *, number: int, labels: tuple[str, ...]) -> Row:
    where = f"{path}, row {number}"
    if len(row) != len(columns):
        hint = "quote values that hold commas" if len(row) > len(columns) else "an empty cell needs its comma too"
        raise InputError(f"{where}: {len(row)} cells, but the first line has {len(columns)} columns", hint)
    cells = {column: value.strip() for column, value in zip(columns, row, strict=True)}
    split = cells.get("split", "")
    if split and split not in SPLITS:
        raise InputError(f"{where}: split is {split!r}", f"use one of {', '.join(SPLITS)}")
    name = _checked_name(cells["file"], root=path.parent, where=where)
    start, end = (cells.get(f"{column}_s", cells.get(column, "")) for column in ("start", "end"))
    synthetic = cells.get("synthetic", "").lower() in ("yes", "true", "1")
    return Row(
        number,
        name,
        start,
        end,
        cells.get("subject", ""),
        split,
        tuple((column, cells[column]) for column in labels),
        synthetic,
    )


def _checked_name(name: str, *, root: Path, where: str) -> str:
    """Return a path of a manifest in posix form.

    Raises InputError when it is empty or leaves the manifest's folder, directly or by a symbolic link.
    """
    posix = PurePosixPath(name.replace("\\", "/"))
    try:
        outside = not (root / posix).resolve().is_relative_to(root.resolve())
        wrong = "leads out of the manifest's folder" if outside else "has '..' in it" if ".." in posix.parts else ""
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL character
        wrong = "can't be followed"
    if posix.is_absolute() or PureWindowsPath(name).drive:
        wrong = "is an absolute path"
    if wrong or not name:
        hint = "use a path below the manifest's folder, without '..' or links that leave it"
        raise InputError(f"{where}: file is {name!r}, which {wrong or 'is empty'}", hint)
    return posix.as_posix()


def time_s(text: str, *, column: str) -> float | None:
    """Parse a time in seconds; None if empty. Raises InputError, naming `column`, unless it is 0 or more."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{column} is {text!r}", "expected seconds from the start of the recording, 0 or more")
    return seconds
