"""The command `quantize`, which quantizes a run by a recipe and applies its quality gate."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import (
    DATA,
    allow_duplicates_option,
    allow_failed_gate_option,
    framing_option,
    json_option,
    labelled_dataset,
    print_data,
)
from hearlite.errors import UsageError
from hearlite.manifests.options import ManifestOptions, manifest_options


@click.command()
@click.argument("run_folder", metavar="RUN", type=DATA)
@click.option(
    "--recipe",
    default="auto",
    show_default=True,
    help="Name of a recipe, such as static_wi8_ai8, a .json file, or auto: the first that passes its gate.",
)
@click.option(
    "--data",
    type=DATA,
    help="Labelled recordings; the gate then limits the AUROC drop too, on subjects outside the test split.",
)
@click.option(
    "--label", "label_columns", multiple=True, help="Label column of --data; may be repeated.  [default: label]"
)
@manifest_options
@framing_option
@allow_failed_gate_option
@allow_duplicates_option
@json_option
def quantize(
    run_folder: Path,
    recipe: str,
    data: Path | None,
    label_columns: tuple[str, ...],
    manifest: ManifestOptions,
    framing: str,
    allow_failed_gate: bool,
    allow_duplicates: bool,
    as_json: bool,
) -> None:
    """Quantize a finished RUN.

    RUN is a run folder of `hearlite distill`. Keeps the first recipe that passes its quality gate, and reports how far
    its embeddings are from the float32 student's, measured with the .tflite files of both.
    """
    from hearlite import api
    from hearlite.gate import read_gate_result
    from hearlite.manifests.manifest import DEFAULT_LABELS
    from hearlite.quantize.gate import summary

    if data is None and label_columns:
        raise UsageError(
            f"--label {label_columns[0]} has no effect without --data", "name the labelled recordings with --data"
        )
    labels = label_columns or DEFAULT_LABELS
    folder = api.quantize(
        run_folder,
        recipe=recipe,
        data=labelled_dataset(data, labels=labels, framing=framing, options=manifest),
        labels=labels,
        allow_failed_gate=allow_failed_gate,
        allow_duplicates=allow_duplicates,
    )
    print_data(
        {"recipe": folder.name, "folder": str(folder), **summary(read_gate_result(folder / "compare.json"))},
        as_json=as_json,
    )
