"""Options shared by commands, and functions that print their results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hearlite.manifests.options import ManifestOptions
from hearlite.names import FRAMINGS, SIZES
from hearlite.text import printable

Result = TypeVar("Result")
DATA = click.Path(path_type=Path)
_WIDEST = 100_000  # characters of a row that is not to be broken


class Option(click.Option):
    """A click option that still accepts its `former` names, which help and messages do not show."""

    def __init__(self, declarations: Sequence[str], *, former: Sequence[str] = (), **settings: Any) -> None:
        super().__init__([*declarations, *former], **settings)
        self.former = frozenset(former)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's line for --help, with its current names only."""
        return self._with_current_names(lambda: super(Option, self).get_help_record(ctx))

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the option's name for error messages, with its current names only."""
        return self._with_current_names(lambda: super(Option, self).get_error_hint(ctx))

    def _with_current_names(self, call: Callable[[], Result]) -> Result:
        names = self.opts
        self.opts = [name for name in names if name not in self.former]
        try:
            return call()
        finally:
            self.opts = names


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
teacher_option = click.option(
    "--teacher",
    default="spectral",
    show_default=True,
    help="Teacher: spectral | hear:DIR | saved-model:DIR | tflite:FILE[#OUTPUT] | embeddings:FILE.parquet",
)
labels_option = click.option(
    "--label",
    "label_columns",
    multiple=True,
    default=("label",),
    show_default=True,
    help="Label column of the manifest; may be repeated.",
)
framing_option = click.option(
    "--framing",
    type=click.Choice(FRAMINGS),
    default="context",
    show_default=True,
    help="Padding of events shorter than 2 s: real context from the recording, or zeros.",
)
hop_option = click.option(
    "--hop",
    "hop_s",
    type=float,
    default=2.0,
    show_default=True,
    help="Seconds between the starts of 2 s windows in long sounds.",
)
size_option = click.option(
    "--size", type=click.Choice(SIZES), default="small", show_default=True, help="Size of the student."
)
allow_duplicates_option = click.option(
    "--allow-duplicates",
    is_flag=True,
    help="Go on although equal recordings are in test and in training; what is measured then is too good.",
)
OVERWRITE = "Replace files that exist and have different content."
ALLOW_FAILED_GATE = (
    "Keep a file that fails its quality gate or self-test; it is marked as failed wherever it is described."
)
overwrite_option = click.option(
    "--overwrite", "overwrite", cls=Option, former=("--force",), is_flag=True, help=OVERWRITE
)
allow_failed_gate_option = click.option(
    "--allow-failed-gate", "allow_failed_gate", cls=Option, former=("--force",), is_flag=True, help=ALLOW_FAILED_GATE
)


def default_model() -> Path:
    """Return the file that a command takes when none is named: a model that comes with hearlite."""
    from hearlite.models.registry import DEFAULT_MODEL, find_model

    return find_model(DEFAULT_MODEL)


def echo(text: str) -> None:
    """Print one line on stderr, with control characters escaped.

    Messages hold names of files, columns and labels, and a terminal obeys what stands in them.
    """
    click.echo(printable(text), err=True)


def print_data(data: Any, *, as_json: bool, wrap: bool = True) -> None:
    """Print data on stdout, as JSON or as a table.

    Parameters
    ----------
    data : dict or list of dict
        One record, printed as a table of keys and values, or several, printed as rows.
    as_json : bool
        Print JSON instead of a table.
    wrap : bool
        Break long cells to fit a width; without it each row is one line.
    """
    if as_json:
        click.echo(json.dumps(data, allow_nan=False))  # ASCII: a file name may hold bytes that are not UTF-8
        return
    from rich.box import HEAVY_HEAD
    from rich.console import Console
    from rich.table import Table

    rows = data if isinstance(data, list) else [{"": key, "value": value} for key, value in data.items()]
    plain = not sys.stdout.isatty() or not wrap  # no borders in pipes and files
    table = Table(
        *(_cell(str(key)) for key in rows[0]) if rows else (),
        box=None if plain else HEAVY_HEAD,
        pad_edge=not plain,
        show_header=isinstance(data, list),
    )
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(soft_wrap=plain, width=None if wrap else _WIDEST).print(table)


def report_dataset(dataset: Any, *, skipped: Sequence[Any] = (), silent: Mapping[str, int] | None = None) -> None:
    """Print remarks about a dataset on stderr: notes, silent clips, and everything that was skipped.

    Parameters
    ----------
    dataset : Dataset
        Has `notes` and `skipped`.
    skipped : sequence of Skipped
        More rows or recordings that were skipped.
    silent : dict of str to int, optional
        Number of silent clips by recording.
    """
    for note in dataset.notes:
        echo(f"note: {note}")
    if silent:
        from hearlite.data.reading import silent_text

        echo(f"warning: {silent_text(silent)}; they are embedded anyway")
    for item in (*dataset.skipped, *skipped):
        row = "" if item.row is None else f" (row {item.row})"
        clips = f" ({item.clips} clips)" if item.clips > 1 else ""
        echo(f"skipped: {item.file}{row}: {item.reason}{clips}")


def labelled_dataset(data: Path | None, *, labels: Sequence[str], framing: str, options: ManifestOptions) -> Any:
    """Load the labelled recordings that an option names and print remarks about them.

    Returns None if `data` is None.
    """
    from hearlite.data.dataset import load_dataset

    if data is None:
        return None
    dataset = load_dataset(data, framing=framing, label_columns=tuple(labels), options=options)
    report_dataset(dataset)
    return dataset


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (dict, list)):
        lines = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
        value = "\n".join(map(printable, value)) if lines else printable(json.dumps(value, ensure_ascii=False))
        return escape(value)
    return escape(printable(str(value)))
