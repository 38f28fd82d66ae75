"""Write a manifest for a user's own copy of a public dataset, without moving or changing a recording.

The manifest's `split` never has a subject on two sides. Where an official split has, its sides stay in
`official_split`, for who wants to show a leaking figure beside the honest one.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hearlite import files
from hearlite.benchmarks.datasets import DATASETS
from hearlite.benchmarks.datasets.source import Log, Row, Source
from hearlite.benchmarks.tasks.binary import MIN_SUBJECTS, TEST_SPLIT, TRAIN_SPLITS
from hearlite.data.dataset import Skipped, split_of
from hearlite.errors import InputError, UsageError

_TRAIN, _VAL = TRAIN_SPLITS


@dataclass(frozen=True)
class Imported:
    """The rows of a manifest, and all that was left out of it."""

    name: str  # one of DATASETS
    folder: Path
    rows: tuple[Row, ...]
    splits: tuple[str, ...]  # of each row; () where a hash of the subject has to decide, as load_dataset does
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def source(self) -> Source:
        """Return the dataset's description."""
        return open_source(self.name)


def open_source(name: str) -> Source:
    """Return the dataset of a name in DATASETS. Raises UsageError for another."""
    if name not in DATASETS:
        raise UsageError(
            f"dataset is {name!r}", f"use one of {', '.join(DATASETS)}; any other needs a manifest CSV of its own"
        )
    module, _, attribute = DATASETS[name].partition(".")
    source: Source = getattr(import_module(f"hearlite.benchmarks.datasets.{module}"), attribute)
    return source


def import_dataset(name: str, folder: Path) -> Imported:
    """Read the annotations of a public dataset that the user unpacked to `folder`.

    Raises UsageError for an unknown name, InputError when `folder` is not that dataset or nothing in it can be used.
    What can't be used is listed.
    """
    source = open_source(name)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", f"unpack {source.title} there: {source.url}")
    log = Log()
    rows = source.read(folder, log)
    if not rows:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in log.skipped[:3])
        raise InputError(
            f"{folder}: nothing of {source.title} can be used",
            reasons or f"is this what {source.url} unpacks to?",
        )
    splits, notes = leak_free_splits(rows, trained=log.trained)
    return Imported(
        name, folder, tuple(rows), tuple(splits), tuple(log.skipped), (*source.caveats, *log.notes(), *notes)
    )


def leak_free_splits(rows: list[Row], *, trained: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Return (split of each row, notes) from the official sides, with no subject on two.

    A subject in official training anywhere trains.

    So what is tested here is a part of what is tested officially. Rows without an official side train, and so does who
    is in `trained`. Where there is no side at all, or too few subjects are left to test, the splits are []. Without an
    official validation set a hash makes a tenth of the training subjects one.
    """
    if not any(row.side for row in rows):
        return [], ["no official split: a hash of the subject decides"]
    heard: dict[str, set[str]] = {subject: {_TRAIN} for subject in trained}
    for row in rows:
        heard.setdefault(row.subject, set()).add(row.side or _TRAIN)
    side = {
        subject: next(split for split in (_TRAIN, _VAL, TEST_SPLIT) if split in sides)
        for subject, sides in heard.items()
    }
    notes = _leaks(rows, side)
    new = sum(split == TEST_SPLIT for split in side.values())
    if new < MIN_SUBJECTS:
        few = f"{new} subjects of the official test are new to training, a task needs {MIN_SUBJECTS}"
        return [], [*notes, f"{few}: a hash of the subject decides instead. Is the copy complete?"]
    if _VAL not in side.values():
        side = {
            subject: _VAL if split == _TRAIN and split_of(subject) == _VAL else split for subject, split in side.items()
        }
        notes.append("no official validation set: a hash takes it from the training subjects")
    return [side[row.subject] for row in rows], notes


def _leaks(rows: list[Row], side: dict[str, str]) -> list[str]:
    """Return a note on the rows whose official side is not their subject's."""
    moved = [row for row in rows if (row.side or _TRAIN) != side[row.subject]]
    if not moved:
        return []
    subjects, tested = len({row.subject for row in moved}), sum(row.side == TEST_SPLIT for row in moved)
    found = f"the official split has {subjects} subjects on two sides, {tested} rows of them are tested"
    return [f"{found}: official_split keeps that and results on it leak, split never tests them"]


def write_manifest(imported: Imported, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the manifest and, beside it, `<name>.source.json`; return a summary.

    The latter has source, licence, notes and everything skipped.

    Paths in a manifest stay below its folder, so `out` must lie in the dataset's folder or above it. Raises UsageError
    otherwise, or when another file is there and not `overwrite`, or where nothing can be written. The same import again
    changes nothing.
    """
    if out.suffix.lower() != ".csv" or out.is_dir():
        raise UsageError(f"{out} is no name of a CSV", f"use for instance {imported.folder / 'manifest.csv'}")
    text, about = _table(imported, _way_down(imported.folder, out)), _about(imported)
    if out.exists() and out.read_bytes() != text.encode() and not overwrite:
        raise UsageError(
            f"{out} is there and differs from what would be written",
            "choose another name, or --overwrite to replace it",
        )
    try:
        files.write_json(out.with_suffix(".source.json"), about)
        files.write_bytes(out, text.encode())
    except PermissionError as error:
        raise UsageError(f"{out} can't be written: {error.strerror}", _remedy(imported.folder)) from error
    reasons = Counter(item.reason for item in imported.skipped)
    left_out = {f"skipped: {reason}": count for reason, count in reasons.most_common()}
    return {
        "manifest": str(out),
        **{key: about[key] for key in ("dataset", "licence", "labels", "rows", "subjects", "splits", "notes")},
        **left_out,
    }


def _way_down(folder: Path, out: Path) -> Path:
    """From the manifest's folder to the dataset's."""
    try:
        return folder.resolve().relative_to(out.parent.resolve())
    except ValueError as error:
        raise UsageError(
            f"{out}: a manifest refers to recordings below its own folder only, and {folder} is not", _remedy(folder)
        ) from error


def _remedy(folder: Path) -> str:
    return (
        f"write it to {folder / 'manifest.csv'} or to a folder above; where none can be written, import a copy: "
        f"cp -al {folder} COPY takes no space on the same disk"
    )


def _table(imported: Imported, prefix: Path) -> str:
    """Return the manifest: event times only where there are events, a split only where all rows have one."""
    rows = imported.rows
    events = any(row.start_s is not None for row in rows)
    official = any(row.official for row in rows)
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    head = [
        "file",
        *(["start_s", "end_s"] if events else []),
        "subject",
        *(["split"] if imported.splits else []),
        *(["official_split"] * official),
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*head, *columns])
    for row, split in zip(rows, imported.splits or [""] * len(rows), strict=True):
        line = {"file": (prefix / row.file).as_posix(), "start_s": _seconds(row.start_s), "end_s": _seconds(row.end_s)}
        line |= {"subject": row.subject, "split": split, "official_split": row.official}
        writer.writerow(
            [*(line[column] for column in head), *(_one_line(row.cells.get(column, "")) for column in columns)]
        )
    return stream.getvalue()


def _about(imported: Imported) -> dict[str, Any]:
    source, rows = imported.source, imported.rows
    side = dict(zip((row.subject for row in rows), imported.splits, strict=False))
    return {
        "dataset": source.title,
        "url": source.url,
        "paper": source.paper,
        "licence": source.licence,
        "labels": list(source.labels),
        "metadata": list(source.metadata),
        "rows": len(rows),
        "subjects": len({row.subject for row in rows}),
        "splits": dict(sorted(Counter(side.values()).items())),  # subjects
        "notes": list(imported.notes),
        "skipped": [{"file": item.file, "row": item.row, "reason": item.reason} for item in imported.skipped],
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def _one_line(text: str) -> str:
    return " ".join(text.split())
