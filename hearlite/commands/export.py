"""`export`: a run as files for apps."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.commands.options import DATA, PLATFORMS, force_option, json_option, print_data
from hearlite.errors import UsageError


@click.command()
@click.argument("source", metavar="RUN|FILE", type=DATA)
@click.option("--to", type=DATA, required=True, help="Folder for the bundle.")
@click.option("--recipe", "names", multiple=True, help="A recipe of RUN, or float32; default: float32 and the first that passed.")
@click.option("--for", "platform", type=click.Choice(PLATFORMS), help="Also a folder for an app, with a snippet. FILE: an exported .tflite.")
@force_option
@json_option
def export(source: Path, to: Path, names: tuple[str, ...], platform: str | None, force: bool, as_json: bool) -> None:
    """Write self-contained .tflite files of a RUN: audio in, embedding out, with manifest, model card and NOTICE."""
    if source.suffix == ".tflite":
        if platform is None or names:
            raise UsageError(f"{source} is exported already", f"name what for: --for {PLATFORMS[0]}; recipes are of a run")
        files = [source]
    else:
        from hearlite.export.tflite import export_files
        from hearlite.quantize.recipe import AUTO
        from hearlite.run import open_run

        files = export_files(open_run(source), to=to, names=names, preferred=AUTO, force=force)
    if platform is not None:
        from hearlite.export.package import package

        files = [part for file in files for part in package(file, platform=platform, to=to / f"{file.stem}_{platform}", force=force)]
    print_data([{"file": str(file), "bytes": file.stat().st_size} for file in files], as_json=as_json)
