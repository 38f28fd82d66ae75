"""Read the rows of a manifest, or list the recordings of a folder that has none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from hearlite import audio
from hearlite.errors import InputError, UsageError
from hearlite.manifests.labels import class_key
from hearlite.manifests.metadata import join
from hearlite.manifests.options import ALIASES, DEFAULT_OPTIONS, ROLES, ManifestOptions
from hearlite.manifests.rows import Row, checked_split
from hearlite.manifests.table import SUFFIXES, open_table
from hearlite.text import listed

MANIFESTS = ("manifest.csv", "labels.csv")
DEFAULT_LABELS = ("label",)
_LISTED = 10  # names in a note
# Names of a column of audio paths in the metadata of public datasets; only used to suggest one.
_FILE_NAMES = ("path", "filename", "file_name", "filepath", "file_path", "fname", "recording", "audio", "wav", "name")


def find_rows(
    path: Path, *, label_columns: tuple[str, ...], options: ManifestOptions = DEFAULT_OPTIONS
) -> tuple[Path, list[Row], list[str]]:
    """Find the recordings in a folder, a manifest or a single file.

    Parameters
    ----------
    path : Path
        What the user named.
    label_columns : tuple of str
        Label columns to read; an unknown one is an error, unless they are DEFAULT_LABELS.
    options : ManifestOptions
        How to read the manifest.

    Returns
    -------
    tuple of Path, list of Row and list of str
        The folder that names are relative to, the rows, and notes for the user.

    Raises
    ------
    InputError
        When there is no audio, or the manifest or the metadata is invalid.
    UsageError
        When an option names a column that hearlite has no use for.
    """
    for name in options.columns:
        if name not in (*ROLES, *label_columns):
            raise UsageError(
                f"--column names {name!r}",
                f"use one of {', '.join(ROLES)}, or a column that --label or --subgroup names",
            )
    found = _find(path, label_columns, options)
    rows, columns, notes = found.rows, list(found.columns), list(found.notes)
    for table in options.metadata:
        rows, more, joined = join(rows, table, label_columns=label_columns, options=options)
        columns += more
        notes += joined
    absent = [theirs for theirs in options.columns.values() if theirs not in columns]
    if absent:
        raise InputError(
            f"--column names {absent[0]!r}, which {path} lacks", f"its columns: {', '.join(columns) or 'none'}"
        )
    labels = [name for name, _ in rows[0].labels] if rows else []
    unknown = [column for column in label_columns if column not in labels]
    if unknown and label_columns != DEFAULT_LABELS:  # the default is optional, as the user did not ask for it
        raise InputError(f"{path}: no label column {unknown[0]!r}", f"its columns: {', '.join(columns) or 'none'}")
    if not labels:
        notes.insert(0, "no label column: no labels" if found.columns else "no manifest: no labels")
    return found.root, rows, notes


@dataclass(frozen=True)
class _Found:
    root: Path
    rows: list[Row]
    columns: tuple[str, ...] = ()  # of the manifest
    notes: tuple[str, ...] = ()


def _find(path: Path, label_columns: tuple[str, ...], options: ManifestOptions) -> _Found:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", "name a folder of recordings, a manifest or a recording")
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return _read_manifest(path, label_columns, options)
    if path.is_dir():
        manifests = [path / name for name in MANIFESTS if (path / name).is_file()]
        if len(manifests) > 1:
            raise InputError(f"{path}: holds both {' and '.join(MANIFESTS)}", "name the one to use")
        if manifests:
            return _read_manifest(manifests[0], label_columns, options)
        found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*"))
        # Dangling links, pipes and folders with such a name stay: reading them says what they are.
        names = [name for name in found if PurePosixPath(name).suffix.lower() in audio.SUFFIXES]
        others = [name for name in found if name not in set(names) and (path / name).is_file()]
        if not names:
            raise InputError(
                f"{path}: no audio in it",
                f"expected {', '.join(MANIFESTS)} or files ending in {', '.join(audio.SUFFIXES)}",
            )
    else:
        audio.duration_s(path)  # raises InputError if this one recording cannot be read
        path, names, others = path.parent, [path.name], []
    if options.audio_root:
        raise UsageError(f"--audio-root is {options.audio_root}, but {path} has no manifest", "leave it out")
    return _Found(path, [Row(None, name) for name in names], notes=_not_read(others))


def _not_read(others: list[str]) -> tuple[str, ...]:
    """Return a note on the files of a folder that are no recordings by their names."""
    seen = [name for name in others if not PurePosixPath(name).name.startswith(".")]
    if not seen:
        return ()
    return (f"{len(seen)} other file{'s are' if len(seen) > 1 else ' is'} not read: {listed(seen, _LISTED)}",)


def _read_manifest(path: Path, label_columns: tuple[str, ...], options: ManifestOptions) -> _Found:
    root = options.audio_root or path.parent
    table = open_table(path, is_header=lambda columns: options.find("file", columns) is not None)
    roles = {role: column for role in ROLES if (column := options.find(role, table.columns)) is not None}
    if "file" not in roles:
        likely = next((column for column in table.columns if column.casefold() in _FILE_NAMES), "COLUMN")
        raise InputError(
            f"{path}: no column 'file' in its first line: {', '.join(table.columns)}",
            f"name the column of audio paths 'file', or say which it is with --column file={likely}",
        )
    for role, others in ALIASES.items():
        both = [name for name in (role, *others) if name in table.columns]
        if len(both) > 1 and role not in options.columns:
            raise InputError(f"{path}: has the columns {' and '.join(both)}", "keep one of them")
    labels = {name: column for name in label_columns if (column := options.find(name, table.columns)) is not None}
    names: dict[str, str] = {}  # checked, by what the manifest holds
    rows = []
    once: dict[str, str] = {}  # cells repeat: each text is kept once
    classes: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {}
    texts = [roles[role] for role in ("file", "subject") if role in roles]
    # The automatic split must not depend on a command's options, so it looks at this very column and no other.
    stratum = DEFAULT_LABELS[0] if table.columns.count(DEFAULT_LABELS[0]) == 1 else None
    strata: dict[str, str] = {}
    read = (*roles.values(), *labels.values(), *((stratum,) if stratum else ()))
    for line, cells in table.rows(tuple(dict.fromkeys(read)), verbatim=texts):
        row = {role: once.setdefault(cells[column], cells[column]) for role, column in roles.items()}
        values = tuple(cells[column] for column in labels.values())
        if values not in classes:
            classes[values] = tuple(zip(labels, values, strict=True))
        where = f"{path}, row {line}"
        if row["file"] not in names:
            names[row["file"]] = _checked_name(row["file"], root=root, where=where, absolute=bool(options.audio_root))
        subject, split = (options.filled(row.get(role, "")) for role in ("subject", "split"))
        label = cells[stratum] if stratum else ""
        if label not in strata:
            strata[label] = class_key(DEFAULT_OPTIONS.filled(label))
        rows.append(
            Row(
                line,
                names[row["file"]],
                row.get("start_s", ""),
                row.get("end_s", ""),
                subject,
                checked_split(split, where=where),
                classes[values],
                row.get("synthetic", "").lower() in ("yes", "true", "1"),
                strata[label],
            )
        )
    unnamed = table.columns.count("")
    notes = (f"{unnamed} column{'s' if unnamed > 1 else ''} without a name not read",) if unnamed else ()
    return _Found(root, rows, table.columns, notes)


def _checked_name(name: str, *, root: Path, where: str, absolute: bool) -> str:
    """Return a path of a manifest in posix form, relative to `root`.

    Raises InputError when it is empty, leaves `root` directly or by a symbolic link, or is absolute where that is not
    allowed.
    """
    posix = PurePosixPath(name.replace("\\", "/"))
    wrong = "" if name else "is empty"
    if not absolute and (posix.is_absolute() or PureWindowsPath(name).drive):
        wrong = "is an absolute path"
    elif not wrong:
        try:
            if not (root / posix).resolve().is_relative_to(root.resolve()):
                wrong = f"leads out of {root}"
            elif posix.is_absolute():
                posix = PurePosixPath(os.path.relpath(posix, root.absolute()).replace(os.sep, "/"))
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL character
            wrong = "can't be followed"
        if ".." in posix.parts:
            wrong = wrong or "has '..' in it"
    if wrong:
        hint = f"use a path below {root}, without '..' or links that leave it"
        raise InputError(
            f"{where}: file is {name!r}, which {wrong}",
            hint if absolute else f"{hint}; --audio-root allows absolute paths below another folder",
        )
    return posix.as_posix()
