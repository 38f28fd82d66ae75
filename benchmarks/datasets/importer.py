"""Write a manifest for a user's own copy of a public dataset, without moving or changing a recording.

The manifest's `split` never has a subject on two sides. If the official split does, its sides stay in
`official_split`, so that a leaking figure can be shown beside the leak-free one.
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
from hearlite.data.dataset import Skipped
from hearlite.errors import InputError, UsageError
from hearlite.manifests.splits import split_of

_TRAIN, _VAL = TRAIN_SPLITS


@dataclass(frozen=True)
class Imported:
    """The rows of a manifest, and everything that was left out of it."""

    name: str  # one of DATASETS
    folder: Path
    rows: tuple[Row, ...]
    splits: tuple[str, ...]  # of each row; empty if load_dataset must derive them from a hash of the subject
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def source(self) -> Source:
        """The dataset's description."""
        return open_source(self.name)


def open_source(name: str) -> Source:
    """Return the Source of a dataset by its name in DATASETS.

    Raises UsageError for any other name.
    """
    if name not in DATASETS:
        raise UsageError(
            f"dataset is {name!r}", f"use one of {', '.join(DATASETS)}; any other needs a manifest CSV of its own"
        )
    module, _, attribute = DATASETS[name].partition(".")
    source: Source = getattr(import_module(f"hearlite.benchmarks.datasets.{module}"), attribute)
    return source


def import_dataset(name: str, folder: Path) -> Imported:
    """Read the annotations of a public dataset that the user has unpacked.

    Parameters
    ----------
    name : str
        One of DATASETS.
    folder : Path
        Folder that the dataset was unpacked to.

    Returns
    -------
    Imported
        Rows of the manifest, and a list of everything that cannot be used.

    Raises
    ------
    UsageError
        If `name` is unknown.
    InputError
        If `folder` does not hold that dataset, or nothing in it can be used.
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
    """Assign each row to a split, following the official one but with no subject on two sides.

    A subject that is in official training anywhere goes to train, so the test side is a part of the official one.
    Rows without an official side go to train. Without an official validation set, a hash moves a tenth of the
    training subjects to it.

    Parameters
    ----------
    rows : list of Row
        Rows with their official sides.
    trained : iterable of str
        Further subjects that belong to training, with or without a row.

    Returns
    -------
    splits : list of str
        Split of each row; empty if no row has an official side, or fewer than MIN_SUBJECTS subjects are left to test.
    notes : list of str
        How the splits differ from the official ones.
    """
    if not any(row.side for row in rows):
        return [], ["no official split: a hash of the subject decides"]
    official: dict[str, set[str]] = {subject: {_TRAIN} for subject in trained}
    for row in rows:
        official.setdefault(row.subject, set()).add(row.side or _TRAIN)
    side = {
        subject: next(split for split in (_TRAIN, _VAL, TEST_SPLIT) if split in sides)
        for subject, sides in official.items()
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
    """Return a note on the rows whose official side is not that of their subject."""
    moved = [row for row in rows if (row.side or _TRAIN) != side[row.subject]]
    if not moved:
        return []
    subjects, tested = len({row.subject for row in moved}), sum(row.side == TEST_SPLIT for row in moved)
    leak = f"the official split has {subjects} subjects on two sides, {tested} rows of them are tested"
    return [f"{leak}: official_split keeps these rows, so results on it leak; split never tests them"]


def write_manifest(imported: Imported, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the manifest and, beside it, `<name>.source.json`.

    The latter holds source, licence, notes and everything skipped. Importing the same dataset again changes nothing.

    Parameters
    ----------
    imported : Imported
        As from `import_dataset`.
    out : Path
        The CSV to write. Manifests refer to recordings below their own folder only, so it must lie in the dataset's
        folder or in a folder above.
    overwrite : bool
        Replace an existing file that differs.

    Returns
    -------
    dict
        Summary: path, dataset, licence, labels, counts, notes, and counts of what was skipped by reason.

    Raises
    ------
    UsageError
        If `out` is not a CSV, lies elsewhere, cannot be written, or exists with other content and `overwrite` is
        False.
    """
    if out.suffix.lower() != ".csv" or out.is_dir():
        raise UsageError(f"{out} is not the name of a CSV file", f"use for instance {imported.folder / 'manifest.csv'}")
    text, about = _table(imported, _way_down(imported.folder, out)), _about(imported)
    if out.exists() and out.read_bytes() != text.encode() and not overwrite:
        raise UsageError(
            f"{out} exists and differs from what would be written",
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
    """Return the path from the manifest's folder to the dataset's."""
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
    """Return the manifest as CSV text.

    It has event times only if there are events, and splits only if all rows have one.
    """
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
