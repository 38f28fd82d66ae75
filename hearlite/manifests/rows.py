"""A row of a manifest."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.errors import InputError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)  # a manifest may hold a million
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
    stratum: str = ""  # class in the manifest's column `label`, whatever labels are asked for; "" for none


def checked_split(split: str, *, where: str) -> str:
    """Return a split, or "" for none. Raises InputError, naming `where`, for an unknown one."""
    if split and split not in SPLITS:
        raise InputError(f"{where}: split is {split!r}", f"use one of {', '.join(SPLITS)}")
    return split
