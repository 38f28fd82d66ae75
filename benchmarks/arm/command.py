"""`hearlite arm FILE.tflite ... --out FOLDER`: what exported files cost on ARM cores, on a PC without one.

The first call sets up its box below the user's cache folder, from a Debian mirror (apt's, or --mirror) and the package
index that pip uses; without files it does only that. Writes results.json and table.md. Exit 4 when a file computes on
ARM what it doesn't compute here, when its counts vary, or with --against when they are not those of an earlier day.
"""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.benchmarks.arm.cores import CORES
from hearlite.benchmarks.arm.measure import list_failures, measure, read_model, to_results
from hearlite.benchmarks.arm.regression_check import changed, read_results
from hearlite.benchmarks.arm.sandbox.sandbox import set_up
from hearlite.benchmarks.arm.table import table
from hearlite.errors import GateError, UsageError
from hearlite.files import cache_folder, write_bytes, write_json
from hearlite.provenance import command_line


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for results.json and table.md.")
@click.option(
    "--core", "core_names", type=click.Choice(list(CORES)), multiple=True, help="May be repeated.  [default: all]"
)
@click.option(
    "--mirror",
    help="Address of a Debian mirror, http://, https:// or file://.  [default: the one of this machine's apt]",
)
@click.option(
    "--box",
    "box_folder",
    type=click.Path(path_type=Path),
    help="Where the box is.  [default: below the user's cache folder]",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="results.json of an earlier run: its counts must come again, to the instruction.",
)
def command(
    files: tuple[Path, ...],
    out: Path | None,
    core_names: tuple[str, ...],
    mirror: str | None,
    box_folder: Path | None,
    against: Path | None,
) -> None:
    """Count the instructions of exported FILES on emulated ARM cores.

    Also estimates cycles, and compares their outputs with this machine's.
    """
    if files and out is None:
        raise UsageError("--out is missing", "name a folder for results.json and table.md")
    if against and not files:
        raise UsageError(
            f"--against {against} is given, but no file to count", "name the .tflite files of that run, and --out"
        )
    before = read_results(against) if against else None
    models = [read_model(path) for path in files]
    cores = [CORES[name] for name in dict.fromkeys(core_names or CORES)]
    box = set_up((box_folder or cache_folder("arm")).absolute(), mirror=mirror, log=_log)
    if out is None:
        return _log(f"the box in {box.folder} is ready")
    measured = [measure(box, model, cores=cores, log=_log) for model in models]
    results = to_results(measured, cores=cores, box=box, command=command_line())
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
    if failures := [*list_failures(measured), *(changed(results, before, log=_log) if before else ())]:
        raise GateError(
            "; ".join(failures),
            f"{out / 'results.json'} holds the figures; do not ship these files for ARM before it is understood",
        )
    return None


def _log(text: str) -> None:
    click.echo(text, err=True)
