"""What commands share: options, and how they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

PROBES = ("logistic", "svm", "forest", "boosting", "mlp")  # of benchmarks/probes/classifiers.py, which is slow to import
PLATFORMS = ("android", "ios", "flutter", "react-native", "web", "python")  # export/package.py's, which is not imported for --help
DATA = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print data as JSON on stdout.")
teacher_option = click.option(
    "--teacher", default="spectral", show_default=True, help="spectral | hear:DIR | saved-model:DIR | tflite:FILE[#OUTPUT] | embeddings:FILE.parquet"
)
labels_option = click.option("--label", "label_columns", multiple=True, default=("label",), show_default=True, help="Label column; may be repeated.")
framing_option = click.option(
    "--framing", type=click.Choice(["context", "zero-pad"]), default="context", show_default=True, help="What stands around a short event."
)
hop_option = click.option("--hop", "hop_s", type=float, default=2.0, show_default=True, help="Seconds between windows of long sounds.")
size_option = click.option("--size", type=click.Choice(["tiny", "small", "base"]), default="small", show_default=True)
force_option = click.option("--force", is_flag=True, help="Go on past a failed gate, or replace files; marked in the output.")


def command_line() -> str:
    """The command as the user typed it, for results.json."""
    import shlex

    return shlex.join(["hearlite", *sys.argv[1:]])


def print_data(data: Any, *, as_json: bool) -> None:
    """Data on stdout: JSON, or a table of a list of records, or of one record's keys and values."""
    if as_json:
        click.echo(json.dumps(data, allow_nan=False))  # ASCII: a file name may hold bytes that are no UTF-8
        return
    from rich.console import Console
    from rich.table import Table

    rows = data if isinstance(data, list) else [{"": key, "value": value} for key, value in data.items()]
    table = Table(*(str(key) for key in rows[0])) if rows else Table()
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def report_dataset(dataset: Any, *, skipped: Sequence[Any] = (), silent: int = 0) -> None:
    """What a user should know about the recordings, on stderr: notes, silence, and everything that was skipped."""
    for note in dataset.notes:
        click.echo(f"note: {note}", err=True)
    if silent:
        click.echo(f"warning: {silent} clips are silent; they are embedded all the same, check those recordings", err=True)
    for item in (*dataset.skipped, *skipped):
        click.echo(f"skipped: {item.file}{'' if item.row is None else f' (row {item.row})'}: {item.reason}", err=True)


def labelled_dataset(data: Path | None, *, labels: Sequence[str], framing: str) -> Any:
    """The recordings of an option that asks for labelled ones, reported; None without it."""
    from hearlite.data.dataset import load_dataset

    if data is None:
        return None
    dataset = load_dataset(data, framing=framing, label_columns=tuple(labels))
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
        value = "\n".join(value) if lines else json.dumps(value, ensure_ascii=False)
    return escape(str(value).encode(errors="backslashreplace").decode())
