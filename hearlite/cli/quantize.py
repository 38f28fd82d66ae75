"""`quantize`: which recipe, and what its gate is measured on."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import DATA, force_option, framing_option, json_option, labelled_dataset, print_data
from hearlite.errors import UsageError


@click.command()
@click.argument("run_folder", metavar="RUN", type=DATA)
@click.option("--recipe", default="auto", show_default=True, help="One of quantize/recipes, a .json file, or auto: the first that passes its gate.")
@click.option("--data", type=DATA, help="Labelled recordings: gate the AUROC loss too, on subjects that are not in test.")
@click.option("--label", "label_columns", multiple=True, help="Label column of --data; may be repeated.  [default: label]")
@framing_option
@force_option
@json_option
def quantize(run_folder: Path, recipe: str, data: Path | None, label_columns: tuple[str, ...], framing: str, force: bool, as_json: bool) -> None:
    """Quantize the network of a finished RUN, to int8 where that passes its gate, and compare with the float32 one through both files."""
    from hearlite import api
    from hearlite.data.dataset import DEFAULT_LABELS
    from hearlite.gate import read_verdict
    from hearlite.quantize.gate import summary

    if data is None and label_columns:
        raise UsageError(f"--label {label_columns[0]} is of no recordings", "name them with --data")
    labels = label_columns or DEFAULT_LABELS
    folder = api.quantize(run_folder, recipe=recipe, data=labelled_dataset(data, labels=labels, framing=framing), labels=labels, force=force)
    print_data({"recipe": folder.name, "folder": str(folder), **summary(read_verdict(folder / "compare.json"))}, as_json=as_json)
