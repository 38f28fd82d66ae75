"""How a manifest is read: the settings of `load_dataset`, and the command line's options for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hearlite.errors import UsageError

ROLES = ("file", "start_s", "end_s", "subject", "split", "synthetic")  # columns that hearlite itself reads
ALIASES = {"start_s": ("start",), "end_s": ("end",)}  # accepted without being asked for
TIME_UNITS = {"s": 1.0, "ms": 1e-3}  # in seconds

# Words that pandas reads as a missing value (STR_NA_VALUES in pandas/_libs/parsers.pyx, pandas 2.2), in lower case.
MISSING_WORDS = (
    *("#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>"),
    *("n/a", "na", "nan", "none", "null"),
)


@dataclass(frozen=True)
class ManifestOptions:
    """How to read a manifest.

    Attributes
    ----------
    columns : dict of str to str
        The manifest's own name for a column that hearlite uses: one of ROLES, or a label column.
    metadata : tuple of Path
        CSV files with more columns, joined by `file` or, without such a column, by `subject`.
    audio_root : Path, optional
        Folder that the manifest's paths are relative to, and that absolute ones must lie in; by default the manifest's
        own folder, without absolute paths.
    missing : tuple of str
        Words that count as an empty cell in subjects, splits and labels, in any case.
    positives : tuple of str
        Positive classes, each "VALUE" or "COLUMN=VALUE"; by default see `hearlite.manifests.labels.find_positives`.
    time_unit : str
        Unit of the manifest's times, one of TIME_UNITS.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    metadata: tuple[Path, ...] = ()
    audio_root: Path | None = None
    missing: tuple[str, ...] = MISSING_WORDS
    positives: tuple[str, ...] = ()
    time_unit: str = "s"

    def __post_init__(self) -> None:
        if self.time_unit not in TIME_UNITS:
            raise UsageError(f"time_unit is {self.time_unit!r}", f"use one of {', '.join(TIME_UNITS)}")
        object.__setattr__(self, "missing", tuple(word.strip().lower() for word in self.missing))

    def find(self, name: str, present: Sequence[str]) -> str | None:
        """Return what a table with the columns `present` calls the column `name`; None if it has none."""
        names = (self.columns.get(name, name), name, *ALIASES.get(name, ()))
        return next((one for one in names if one in present), None)

    def is_missing(self, value: str) -> bool:
        """Return whether a cell is empty or holds a word for it."""
        return not value or value.lower() in self.missing

    def filled(self, value: str) -> str:
        """Return a cell's value, "" for a word that means an empty cell."""
        return "" if self.is_missing(value) else value


DEFAULT_OPTIONS = ManifestOptions()
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="NAME=COLUMN",
        help=f"The manifest's own name for {', '.join(ROLES[:5])} or a label, such as subject=patient_id; may be"
        " repeated.",
    ),
    click.option(
        "--metadata",
        type=click.Path(path_type=Path),
        multiple=True,
        help="CSV with more columns, joined by file or, without that, by subject; may be repeated.",
    ),
    click.option(
        "--audio-root",
        type=click.Path(path_type=Path),
        help="Folder that paths in the manifest start from; absolute paths in it are allowed.  [default: the"
        " manifest's folder]",
    ),
    click.option(
        "--missing",
        multiple=True,
        metavar="WORD",
        help="Word that means an empty cell, besides nan, NA, none, null and the like; may be repeated.",
    ),
    click.option(
        "--no-missing-words",
        is_flag=True,
        help="Take nan, NA, none, null and the like for values, not for empty cells.",
    ),
    click.option(
        "--time-unit", type=click.Choice(list(TIME_UNITS)), default="s", show_default=True, help="Of start and end."
    ),
)
_POSITIVE = click.option(
    "--positive",
    "positives",
    multiple=True,
    metavar="[COLUMN=]VALUE",
    help="Positive class of a label column.  [default: the value that means yes, else the rarer one]",
)


def manifest_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a manifest to a command, which gets them as `manifest`, a ManifestOptions."""
    return _POSITIVE(unlabelled_manifest_options(function))


def unlabelled_manifest_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options, without those that only matter to labels."""

    @wraps(function)
    def parsed(
        *,
        columns: tuple[str, ...],
        metadata: tuple[Path, ...],
        audio_root: Path | None,
        missing: tuple[str, ...],
        no_missing_words: bool,
        time_unit: str,
        positives: tuple[str, ...] = (),
        **others: Any,
    ) -> Any:
        options = ManifestOptions(
            dict(map(_pair, columns)),
            metadata,
            audio_root,
            (*missing, *(() if no_missing_words else MISSING_WORDS)),
            positives,
            time_unit,
        )
        return function(manifest=options, **others)

    for option in reversed(_OPTIONS):
        parsed = option(parsed)
    return parsed


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = (part.strip() for part in text.partition("="))
    if not (name and equals and column):
        raise UsageError(f"--column is {text!r}", "give hearlite's name and the manifest's, such as subject=patient_id")
    return next((role for role, others in ALIASES.items() if name in others), name), column
