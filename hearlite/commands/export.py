"""`export`: a run as files for apps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hearlite.commands.options import DATA, PLATFORMS, force_option, framing_option, json_option, print_data, report_dataset
from hearlite.errors import UsageError


@click.command()
@click.argument("source", metavar="RUN|FILE", type=DATA)
@click.option("--to", type=DATA, required=True, help="Folder for the bundle.")
@click.option("--recipe", "names", multiple=True, help="A recipe of RUN, or float32; default: float32 and the first that passed.")
@click.option("--for", "platform", type=click.Choice(PLATFORMS), help="Also a folder for an app, with a snippet. FILE: an exported .tflite.")
@click.option("--head", "labelled", type=DATA, help="Labelled recordings: fuse a classifier fitted to their training subjects as a second output.")
@click.option("--label", "label_columns", multiple=True, help="Label column of --head; may be repeated.  [default: label]")
@framing_option
@force_option
@json_option
def export(
    source: Path,
    to: Path,
    names: tuple[str, ...],
    platform: str | None,
    labelled: Path | None,
    label_columns: tuple[str, ...],
    framing: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write self-contained .tflite files of a RUN: audio in, embedding out, with manifest, model card and NOTICE."""
    if labelled is None and label_columns:
        raise UsageError(f"--label {label_columns[0]} is of no recordings", "name them with --head")
    if source.suffix == ".tflite":
        if platform is None or names or labelled:
            raise UsageError(f"{source} is exported already", f"name what for: --for {PLATFORMS[0]}; recipes and heads are of a run")
        files = [source]
    else:
        from hearlite.export.tflite import export_files
        from hearlite.quantize.recipe import AUTO
        from hearlite.run import open_run

        run = open_run(source)
        fit_head = _fit_head(run, labelled, label_columns=label_columns, framing=framing)
        files = export_files(run, to=to, names=names, preferred=AUTO, fit_head=fit_head, force=force)
    if platform is not None:
        from hearlite.export.package import package

        files = [part for file in files for part in package(file, platform=platform, to=to / f"{file.stem}_{platform}", force=force)]
    print_data([{"file": str(file), "bytes": file.stat().st_size} for file in files], as_json=as_json)


def _fit_head(run: Any, data: Path | None, *, label_columns: tuple[str, ...], framing: str) -> Any:
    """What fits a head to an exported file, None without labelled recordings."""
    from hearlite.benchmarks.head import HeadProbe
    from hearlite.dataset import DEFAULT_LABELS, load_dataset

    if data is None:
        return None
    dataset = load_dataset(data, framing=framing, label_columns=label_columns or DEFAULT_LABELS)
    report_dataset(dataset)
    return HeadProbe(dataset, label_columns or DEFAULT_LABELS, heard=run.spec.dataset.heard)
