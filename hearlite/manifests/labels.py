"""Make classes of the labels that people write: words for a missing value, spellings, and the positive class.

All of a manifest is looked at once, when it is loaded. Every command that reads it, whatever part of the subjects it
uses, therefore has the same classes.
"""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from hearlite.errors import InputError
from hearlite.manifests.options import ManifestOptions
from hearlite.manifests.rows import Row
from hearlite.text import listed

YES = frozenset({"1", "true", "yes", "y", "positive", "pos", "present", "abnormal", "sick", "ill", "case"})
NO = frozenset(
    {"0", "-1", "false", "no", "n", "negative", "neg", "absent", "normal", "healthy", "well", "control", "none"}
)
# Values that may stand for an unknown label, or be a class: the user is told, and nothing is done.
DOUBTFUL = frozenset({"-1", "?", "-", "unknown", "missing", "undefined", "unspecified", "not available", "not known"})
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_LISTED = 3  # of the things in a note


def clean_labels(rows: list[Row], options: ManifestOptions) -> tuple[list[Row], list[str]]:
    """Empty the labels that mean a missing value, and write each class in one way.

    Values are one class when they are equal as numbers ("1" and "1.0"), or but for case, white space and Unicode form
    ("TRUE" and "True"). The class is called by its most frequent spelling.

    Parameters
    ----------
    rows : list of Row
        Rows of a manifest; the list is changed.
    options : ManifestOptions
        Has the words for a missing value.

    Returns
    -------
    tuple of list of Row and list of str
        The rows, and notes for the user.
    """
    if not rows:
        return [], []
    columns = [name for name, _ in rows[0].labels]
    counts = [Counter(row.labels[place][1] for row in rows) for place in range(len(columns))]
    notes: list[str] = []
    written: list[dict[str, str]] = []
    for column, count in zip(columns, counts, strict=True):
        classes = _classes(count, options)
        written.append(classes)
        notes += _notes(column, count, classes)
    if all(value == own for classes in written for value, own in classes.items()):
        return rows, notes
    cleaned: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}
    for place, row in enumerate(rows):
        if row.labels not in cleaned:
            cleaned[row.labels] = tuple(
                (name, classes[value]) for (name, value), classes in zip(row.labels, written, strict=True)
            )
        rows[place] = dataclasses.replace(row, labels=cleaned[row.labels])
    return rows, notes


def find_positives(rows: Sequence[Row], options: ManifestOptions) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Find the classes of each label column that are asked for, each against all others.

    A column with two classes has one positive class: the one that the user named, else the one that means yes ("1",
    "positive", "TB+"), else the one whose opposite means no ("normal", "0"), else the rarer. A column with more has
    every class, or those that the user named.

    Parameters
    ----------
    rows : sequence of Row
        Rows from `clean_labels`.
    options : ManifestOptions
        Has the positive classes that the user named.

    Returns
    -------
    tuple of dict and list of str
        Positive classes by column, and a note for each column where the rarer class was taken.

    Raises
    ------
    InputError
        When a positive class that the user named is in no label column.
    """
    columns = [name for name, _ in rows[0].labels] if rows else []
    counts = {
        column: Counter(row.labels[place][1] for row in rows if row.labels[place][1])
        for place, column in enumerate(columns)
    }
    named = _named(options.positives, counts)
    positives: dict[str, tuple[str, ...]] = {}
    notes = []
    for column, count in counts.items():
        if column in named:
            positives[column] = tuple(sorted(named[column]))
        elif len(count) == 2:
            positive, guessed = choose_positive(count)
            positives[column] = (positive,)
            if guessed:
                (other,) = set(count) - {positive}
                notes.append(
                    f"column {column!r}: {positive!r} is taken for the positive class, as it is rarer than {other!r};"
                    " --positive names another"
                )
        else:
            positives[column] = tuple(sorted(count))
    return positives, notes


def choose_positive(counts: Mapping[str, int]) -> tuple[str, bool]:
    """Choose the positive one of two classes.

    Parameters
    ----------
    counts : dict of str to int
        Number of occurrences of either.

    Returns
    -------
    tuple of str and bool
        The class, and whether it was only chosen as the rarer one.
    """
    yes = [value for value in counts if class_key(value) in _keys(YES) or value.endswith("+")]
    if len(yes) == 1:
        return yes[0], False
    no = [
        value for value in counts if class_key(value) in _keys(NO) or value.lower().startswith(("no ", "non-", "not "))
    ]
    if len(no) == 1:
        return next(value for value in counts if value != no[0]), False
    return min(counts, key=lambda value: (counts[value], value)), True


def _named(positives: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> dict[str, set[str]]:
    """Return the classes that the user named, by column."""
    named: dict[str, set[str]] = {}
    for text in positives:
        column, equals, value = (part.strip() for part in text.partition("="))
        columns = [column] if equals and column in counts else list(counts)
        value = value if equals and column in counts else text.strip()
        found = [(name, own) for name in columns for own in counts[name] if class_key(own) == class_key(value)]
        if not found:
            known = "; ".join(f"{name}: {', '.join(map(repr, sorted(counts[name])[:10]))}" for name in columns)
            raise InputError(f"--positive is {text!r}, which no label column has", f"the values are {known or 'none'}")
        for name, own in found:
            named.setdefault(name, set()).add(own)
    return named


def _classes(count: Mapping[str, int], options: ManifestOptions) -> dict[str, str]:
    """Return the class of each value; "" for a missing one."""
    spellings: dict[str, list[str]] = {}
    for value in count:
        if not options.is_missing(value):
            spellings.setdefault(class_key(value), []).append(value)
    own = {key: min(values, key=lambda value: (-count[value], value)) for key, values in spellings.items()}
    return {value: "" if options.is_missing(value) else " ".join(own[class_key(value)].split()) for value in count}


def _notes(column: str, count: Mapping[str, int], classes: Mapping[str, str]) -> list[str]:
    notes = []
    emptied = sorted(value for value in count if value and not classes[value])
    if emptied:
        notes.append(
            f"column {column!r}: {sum(count[value] for value in emptied)} of {sum(count.values())} cells hold"
            f" {_list(emptied)} and count as empty; --no-missing-words takes such words for a value"
        )
    spelled: dict[str, list[str]] = {}
    for value, own in classes.items():
        if own:
            spelled.setdefault(own, []).append(value)
    several = [f"{' and '.join(map(repr, sorted(values)))}" for values in spelled.values() if len(values) > 1]
    if several:
        notes.append(f"column {column!r}: spellings of one class: {listed(several, _LISTED, between='; ')}")
    doubtful = sorted(own for own in spelled if own.lower() in DOUBTFUL)
    if doubtful and len(spelled) - len(doubtful) > 1:
        cells = sum(count[value] for own in doubtful for value in spelled[own])
        notes.append(
            f"column {column!r}: {cells} cells hold {_list(doubtful)}, which is taken for a class; if it means unknown,"
            f" add --missing {doubtful[0]!r}"
        )
    return notes


def _list(values: Sequence[str]) -> str:
    return listed([repr(value) for value in values], _LISTED)


def class_key(value: str) -> str:
    """Return what the spellings of one class have in common: its number, or its text without case and white space."""
    if _NUMBER.fullmatch(value):
        number = float(value)
        if math.isfinite(number):
            return repr(number + 0.0)
    return unicodedata.normalize("NFC", " ".join(value.split()).casefold())


def _keys(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(class_key, words))
