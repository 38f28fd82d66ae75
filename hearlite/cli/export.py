"""`export`: a run as files for apps."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import DATA, PLATFORMS, force_option, framing_option, json_option, labelled_dataset, print_data
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
        from hearlite import api
        from hearlite.data.dataset import DEFAULT_LABELS

        labels = label_columns or DEFAULT_LABELS
        dataset = labelled_dataset(labelled, labels=labels, framing=framing)
        files = api.export(source, out=to, recipes=names, classifier_data=dataset, labels=labels, force=force)
    if platform is not None:
        from hearlite.export.package import package

        files = [part for file in files for part in package(file, platform=platform, to=to / f"{file.stem}_{platform}", force=force)]
    print_data([{"file": str(file), "bytes": file.stat().st_size} for file in files], as_json=as_json)
