"""Give every subject of a dataset one split: train, val or test."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from hearlite.errors import InputError
from hearlite.manifests.rows import SPLITS, Row

SPLIT_SHARES = (0.7, 0.1, 0.2)  # of the subjects, in the order of SPLITS; heuristic, no published source


def split_of(subject: str, *, seed: int = 0) -> str:
    """Return the split of a subject: 70 % train, 10 % val, 20 % test.

    It is a hash of seed and name alone, so it stays the same when more data is added.
    """
    share = (
        int.from_bytes(hashlib.sha256(f"{seed}:{subject}".encode(errors="surrogatepass")).digest()[:8], "big") / 2**64
    )
    for split, limit in zip(SPLITS, np.cumsum(SPLIT_SHARES), strict=True):
        if share < limit:
            return split
    return SPLITS[-1]


def subject_hash(subject: str) -> str:
    """Return 12 hex digits of the sha256 of a subject's name.

    That is enough to check whether a student was trained on a subject without storing names.
    """
    return hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:12]


def with_subjects_and_splits(rows: list[Row], *, seed: int) -> tuple[list[Row], list[str]]:
    """Fill in missing subjects and splits, in the list itself.

    Raises InputError when a column is only partly filled, or a subject or recording is in two splits.
    """
    notes = []
    for column in ("subject", "split"):
        empty = [row for row in rows if not getattr(row, column)]
        if empty and len(empty) < len(rows):
            raise InputError(
                f"row {empty[0].row}: no {column}, but other rows have one",
                f"fill in the column '{column}' or leave it out",
            )
    if rows and not rows[0].subject:
        notes.append("no subject column: every recording counts as its own subject")
    hashed = bool(rows) and not rows[0].split
    for place, row in enumerate(rows):
        if not (row.subject and row.split):
            subject = row.subject or row.name
            rows[place] = dataclasses.replace(row, subject=subject, split=row.split or split_of(subject, seed=seed))
    subjects = _one_side(rows, what="subject")
    _one_side(rows, what="name")
    if hashed:
        counts = ", ".join(f"{list(subjects.values()).count(split)} {split}" for split in SPLITS)
        notes.append(f"no split column: subjects split by a hash with seed {seed}: {counts}")
    return rows, notes


def _one_side(rows: list[Row], *, what: str) -> dict[str, str]:
    sides: dict[str, str] = {}
    for row in rows:
        key = getattr(row, what)
        side = sides.setdefault(key, row.split)
        if side != row.split:
            kind = "recording" if what == "name" else what
            raise InputError(
                f"{kind} {key!r} is in {side} and, in row {row.row}, in {row.split}",
                "keep all its rows in one split: a model must not be tested on what it was trained on",
            )
    return sides
