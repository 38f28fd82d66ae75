"""Give every subject of a dataset one split: train, val or test.

A manifest may say it in a column `split`. Otherwise a hash of the subject's name decides, so that a subject stays where
it is when more are added. Chance may leave a side of few subjects empty, or without a class; then the fewest subjects
are moved that mend it, those whose hashes lie nearest to the side that they go to. Everything follows from the
manifest's own files, subjects and column `label`, whatever columns a command asks for: `distill`, which uses no
labels, and `bench` put a subject on the same side.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hearlite.errors import InputError
from hearlite.manifests.rows import SPLITS, Row
from hearlite.text import listed

SPLIT_SHARES = (0.7, 0.1, 0.2)  # of the subjects, in the order of SPLITS; heuristic, no published source
_LARGE = 4  # times the median number of rows: such subjects are spread over the sides like a class; heuristic
_LISTED = 5  # spellings in a note
_WHOLE_NUMBER = re.compile(r"0*(\d+)(\.0*)?")
_SPACE_BUT_BETWEEN_DIGITS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")


def split_of(subject: str, *, seed: int = 0) -> str:
    """Return the split that the hash of a subject's name gives: 70 % train, 10 % val, 20 % test.

    It depends on seed and name alone.
    """
    share = _share(subject, seed=seed)
    for split, limit in zip(SPLITS, np.cumsum(SPLIT_SHARES), strict=True):
        if share < limit:
            return split
    return SPLITS[-1]


def assign_splits(
    subjects: Mapping[str, int], *, classes: Mapping[str, frozenset[str]] | None = None, seed: int = 0
) -> dict[str, str]:
    """Split subjects by the hashes of their names, and move the fewest that leave no side short.

    A side is short if it holds less than half of its share, and crowded if it holds more than one and a half. This is
    looked at among the subjects of each class, among those of a class that have many rows, and among all. From three
    subjects on, none of these groups leaves a side empty. Spellings of one name go to the same side.

    Parameters
    ----------
    subjects : dict of str to int
        Number of rows of each subject.
    classes : dict of str to set of str, optional
        Classes that each subject has rows of; a subject counts for the rarest of them.
    seed : int
        Seed of the hash.

    Returns
    -------
    dict of str to str
        Split of each subject.
    """
    spelled: dict[str, list[str]] = {}
    for name in subjects:
        spelled.setdefault(subject_key(name), []).append(name)
    people = {min(names): names for names in spelled.values()}
    found = {
        person: frozenset().union(*((classes or {}).get(name, ()) for name in people[person])) for person in people
    }
    count = Counter(value for values in found.values() for value in values)
    rarest = {
        person: min(values, key=lambda value: (count[value], value), default="") for person, values in found.items()
    }
    rows = {person: sum(subjects[name] for name in names) for person, names in people.items()}
    large = _LARGE * statistics.median(rows.values()) if rows else 0
    splits = {person: split_of(person, seed=seed) for person in people}
    by_size: dict[tuple[str, bool], list[str]] = {}
    by_class: dict[str, list[str]] = {}
    for person in sorted(people):
        by_size.setdefault((rarest[person], rows[person] >= large), []).append(person)
        by_class.setdefault(rarest[person], []).append(person)
    shares = {person: _share(person, seed=seed) for person in people}
    for group in (*by_size.values(), *by_class.values()):
        _balance(group, splits, shares)
    _balance(list(people), splits, shares, groups=list(by_class.values()))
    return {name: splits[person] for person, names in people.items() for name in names}


def subject_hash(subject: str) -> str:
    """Return 12 hex digits of the sha256 of a subject's name.

    That is enough to check whether a student was trained on a subject without storing names.
    """
    return hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:12]


def subject_key(subject: str) -> str:
    """Return what the likely spellings of one name have in common.

    These differ in case, white space, Unicode form, invisible characters, or in zeros around a whole number ("7", "007"
    and "7.0").
    """
    visible = "".join(sign for sign in subject if sign.isspace() or unicodedata.category(sign)[0] != "C")
    text = unicodedata.normalize("NFC", visible.strip()).casefold()
    text = unicodedata.normalize("NFC", _SPACE_BUT_BETWEEN_DIGITS.sub("", text))
    number = _WHOLE_NUMBER.fullmatch(text)
    return (number[1] if number else text) or subject


def with_subjects_and_splits(
    rows: list[Row], *, seed: int, readable: Callable[[Row], bool]
) -> tuple[list[Row], list[str]]:
    """Fill in missing subjects and splits, in the list itself.

    Parameters
    ----------
    rows : list of Row
        Rows of a manifest.
    seed : int
        Seed of the automatic split.
    readable : callable
        Whether a row's recording can be read; a side of the automatic split is not filled by others.

    Returns
    -------
    tuple of list of Row and list of str
        The rows, and notes for the user: how subjects were split, and names that may be spellings of one.

    Raises
    ------
    InputError
        When a column is only partly filled, or a subject or recording is in two splits.
    """
    notes = []
    for column in ("subject", "split"):
        empty = [row for row in rows if not getattr(row, column)]
        if empty and len(empty) < len(rows):
            raise InputError(
                f"row {empty[0].row}: no {column}, but other rows have one",
                f"fill in the column '{column}' or leave it out",
            )
    named = bool(rows) and bool(rows[0].subject)
    if rows and not named:
        notes.append("no subject column: every recording counts as its own subject")
    automatic = bool(rows) and not rows[0].split
    splits: dict[str, str] = {}
    if automatic:
        usable = [row for row in rows if readable(row)]
        count, classes = Counter(row.subject or row.name for row in usable), _classes(usable)
        splits = assign_splits(count, classes=classes, seed=seed)
        moved = sum(split != split_of(subject, seed=seed) for subject, split in splits.items())
        sides = ", ".join(f"{list(splits.values()).count(split)} {split}" for split in SPLITS)
        notes.append(
            f"no split column: subjects split by a hash with seed {seed}: {sides}"
            + (f"; {moved} moved so that no side{' or class' if classes else ''} is short" if moved else "")
        )
    for place, row in enumerate(rows):
        if not (row.subject and row.split):
            subject = row.subject or row.name
            rows[place] = dataclasses.replace(
                row, subject=subject, split=row.split or splits.get(subject) or split_of(subject, seed=seed)
            )
    subjects = _one_side(rows, what="subject")
    _one_side(rows, what="name")
    if named:
        notes += spelling_notes(subjects)
    return rows, notes


def spelling_notes(splits: Mapping[str, str]) -> list[str]:
    """Return notes on subjects whose names may be spellings of one, those on two sides of the split first.

    Parameters
    ----------
    splits : dict of str to str
        Split of each subject.
    """
    spelled: dict[str, list[str]] = {}
    for name in splits:
        spelled.setdefault(subject_key(name), []).append(name)
    several = [sorted(names) for names in spelled.values() if len(names) > 1]
    across = [names for names in several if len({splits[name] for name in names}) > 1]
    within = [names for names in several if names not in across]
    notes = []
    if across:
        shown = listed(
            [" and ".join(f"{name!a} ({splits[name]})" for name in names) for names in across], _LISTED, between="; "
        )
        notes.append(
            f"subjects on two sides of the split whose names may mean one person: {shown}; give one person one"
            " name, or a model is tested on people whom it was trained on"
        )
    if within:
        shown = listed([" and ".join(f"{name!a}" for name in names) for names in within], _LISTED, between="; ")
        notes.append(f"subjects that count as different people, but may be one: {shown}")
    return notes


def _classes(rows: Sequence[Row]) -> dict[str, frozenset[str]]:
    """Return the classes of each subject, by the column `label` of the manifest's own file."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.stratum:
            found.setdefault(row.subject or row.name, set()).add(row.stratum)
    return {subject: frozenset(values) for subject, values in found.items()}


def _share(subject: str, *, seed: int) -> float:
    """Return the hash of a seed and a name as a number in [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{subject}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _balance(
    people: Sequence[str],
    splits: dict[str, str],
    shares: Mapping[str, float],
    *,
    groups: Sequence[Sequence[str]] | None = None,
) -> None:
    """Move subjects among the sides, in `splits` itself, while one is short or crowded.

    `groups` are not to be made short by it where that can be helped.
    """
    if len(people) < len(SPLITS):
        return
    wanted = _whole_shares(len(people))
    limits = np.cumsum(SPLIT_SHARES)
    while True:
        held = Counter(splits[person] for person in people)
        if all(_enough(wanted[split]) <= held[split] <= _most(wanted[split]) for split in SPLITS):
            return
        to = min(SPLITS, key=lambda split: held[split] - wanted[split])
        source = max(SPLITS, key=lambda split: held[split] - wanted[split])
        low, high = limits[SPLITS.index(to)] - SPLIT_SHARES[SPLITS.index(to)], limits[SPLITS.index(to)]
        needed = _needed(groups or (), splits, side=source)
        movable = [person for person in people if splits[person] == source]
        chosen = min(
            movable,
            key=lambda person: (person in needed, max(low - shares[person], shares[person] - high), person),
        )
        splits[chosen] = to


def _needed(groups: Sequence[Sequence[str]], splits: Mapping[str, str], *, side: str) -> set[str]:
    """Return the subjects without whom their group would be short on a side."""
    found: set[str] = set()
    for group in groups:
        there = [person for person in group if splits[person] == side]
        if len(group) >= len(SPLITS) and len(there) <= _enough(_whole_shares(len(group))[side]):
            found.update(there)
    return found


def _whole_shares(count: int) -> dict[str, int]:
    """Return how many of `count` subjects, at least three, each side is to hold: one at least."""
    exact = dict(zip(SPLITS, (share * count for share in SPLIT_SHARES), strict=True))
    wanted = {split: max(1, math.floor(value)) for split, value in exact.items()}
    while sum(wanted.values()) < count:
        wanted[max(SPLITS, key=lambda split: exact[split] - wanted[split])] += 1
    while sum(wanted.values()) > count:
        wanted[max(SPLITS, key=lambda split: wanted[split] - exact[split] if wanted[split] > 1 else -math.inf)] -= 1
    return wanted


def _enough(wanted: int) -> int:
    return max(1, wanted // 2)


def _most(wanted: int) -> int:
    return wanted + max(1, wanted // 2)


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
