"""Join a table of metadata to the rows of a manifest, by recording or by subject."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from hearlite.errors import InputError
from hearlite.manifests.options import ManifestOptions
from hearlite.manifests.rows import Row, checked_split
from hearlite.manifests.table import open_table
from hearlite.text import listed

_LISTED = 3  # names in a note


def join(
    rows: Sequence[Row], path: Path, *, label_columns: tuple[str, ...], options: ManifestOptions
) -> tuple[list[Row], tuple[str, ...], list[str]]:
    """Add the labels, splits and subjects of a metadata table to rows.

    The table is joined by its column `file`: the recording's path, its name, or its name without the suffix; or,
    without such a column, by its column `subject`.

    Parameters
    ----------
    rows : sequence of Row
        Rows of the manifest.
    path : Path
        The metadata CSV.
    label_columns : tuple of str
        Label columns to read; those that the table lacks are left as they are.
    options : ManifestOptions
        Has the table's names for the columns, and the words for a missing value.

    Returns
    -------
    tuple of list of Row, tuple of str and list of str
        The rows, the columns of the table, and notes on what has no counterpart.

    Raises
    ------
    InputError
        When the table has neither `file` nor `subject`, a column that the rows have already, two different rows for one
        recording or subject, or nothing to join.
    """
    keys = ("file", "subject")
    table = open_table(path, is_header=lambda columns: any(options.find(name, columns) for name in keys))
    key = next((name for name in keys if options.find(name, table.columns)), None)
    if key is None:
        raise InputError(
            f"{path}: no column 'file' or 'subject' to join by: {', '.join(table.columns)}",
            "say which it is with --column subject=COLUMN",
        )
    wanted = [name for name in ("subject", "split", *label_columns) if name != key]
    own = {name: column for name in wanted if (column := options.find(name, table.columns)) is not None}
    _require_new(rows, own, path)
    values: dict[str, dict[str, str]] = {}
    key_column = options.find(key, table.columns) or key
    texts = [key_column, *(own[name] for name in ("subject",) if name in own)]
    for line, cells in table.rows(tuple(dict.fromkeys((key_column, *own.values()))), verbatim=texts):
        found = {name: cells[column] for name, column in own.items()}
        if values.setdefault(cells[key_column], found) != found:
            raise InputError(
                f"{path}, row {line}: {key} {cells[key_column]!r} is there twice, with different values",
                "keep one row for each",
            )
        checked_split(options.filled(found.get("split", "")), where=f"{path}, row {line}")
    find = _by_file(values, rows) if key == "file" else lambda row: row.subject if row.subject in values else None
    joined, used, lacking = [], set[str](), list[str]()
    for row in rows:
        match = find(row)
        if match is None:
            lacking.append(row.name if key == "file" else row.subject)
        else:
            used.add(match)
        joined.append(_with(row, values.get(match or "", {}), own, options))
    if rows and not used:
        raise InputError(
            f"{path}: its column {key_column!r} has none of the {key}s, such as"
            f" {(rows[0].name if key == 'file' else rows[0].subject)!r}",
            f"it has {next(iter(values), '(no rows)')!r}; say which column to join by with --column {key}=COLUMN",
        )
    notes = []
    if lacking:
        notes.append(f"{_count(lacking, key)} no row in {path.name}: {_list(lacking)}")
    spare = [name for name in values if name not in used]
    if spare:
        notes.append(f"{path.name}: {_count(spare, key)} no recording: {_list(spare)}")
    return joined, table.columns, notes


def _require_new(rows: Sequence[Row], own: dict[str, str], path: Path) -> None:
    filled = {name for name, _ in (rows[0].labels if rows else ())}
    filled |= {name for name in ("subject", "split") if any(getattr(row, name) for row in rows)}
    both = [name for name in own if name in filled]
    if both:
        raise InputError(
            f"{path}: column {both[0]!r} is in the manifest, or in other metadata, too",
            f"keep one, or say which to use with --column {both[0]}=COLUMN",
        )


def _by_file(values: dict[str, dict[str, str]], rows: Sequence[Row]) -> Callable[[Row], str | None]:
    """Return a function that finds the key of a row's recording: by its path, else its name, else its stem."""
    by_form: tuple[Callable[[str], str], ...] = (
        lambda name: name,
        lambda name: PurePosixPath(name).name,
        lambda name: PurePosixPath(name).stem,
    )
    tables = []
    for form in by_form:
        keys: dict[str, str | None] = {}
        for key in values:
            short = form(key.replace("\\", "/"))
            keys[short] = None if short in keys else key  # None: several, so that it tells nothing
        names: dict[str, set[str]] = {}
        for row in rows:
            names.setdefault(form(row.name), set()).add(row.name)
        tables.append((form, {short: key for short, key in keys.items() if key and len(names.get(short, ())) < 2}))

    def find(row: Row) -> str | None:
        return next((keys[form(row.name)] for form, keys in tables if form(row.name) in keys), None)

    return find


def _with(row: Row, found: dict[str, str], own: dict[str, str], options: ManifestOptions) -> Row:
    subject, split = (
        options.filled(found.get(name, "")) if name in own else getattr(row, name) for name in ("subject", "split")
    )
    labels = tuple((name, found.get(name, "")) for name in own if name not in ("subject", "split"))
    return dataclasses.replace(row, labels=(*row.labels, *labels), subject=subject, split=split)


def _count(names: list[str], key: str) -> str:
    number = len(set(names))
    kind = "recording" if key == "file" else "subject"
    return f"{number} {kind}{' has' if number == 1 else 's have'}"


def _list(names: list[str]) -> str:
    return listed([repr(name) for name in dict.fromkeys(names)], _LISTED)
