"""Run `hearlite arm FILE.tflite ... --out FOLDER`: benchmark exported files on emulated ARM cores.

No ARM processor is needed. The first call sets up a sandbox below the user's cache folder, from a Debian mirror (apt's,
or the one of --mirror) and the package index that pip uses; without files the command does only that. It writes
results.json and table.md. The exit code is 4 if a file's outputs on ARM differ from those on this machine by more than
is allowed, if its instruction counts vary between calls, or, with --against, if they differ from an earlier run.
"""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.benchmarks.arm.cores import CORES
from hearlite.benchmarks.arm.measure import list_failures, measure, read_model, to_results
from hearlite.benchmarks.arm.regression_check import changed, read_results
from hearlite.benchmarks.arm.sandbox.sandbox import set_up
from hearlite.benchmarks.arm.table import table
from hearlite.benchmarks.schema.provenance import command_line
from hearlite.errors import GateError, UsageError
from hearlite.files import cache_folder, write_bytes, write_json
from hearlite.models.option import MODEL


@click.command()
@click.argument("files", type=MODEL, nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for results.json and table.md.")
@click.option(
    "--core",
    "core_names",
    type=click.Choice(list(CORES)),
    multiple=True,
    help="Core to emulate; may be repeated.  [default: all]",
)
@click.option(
    "--mirror",
    help="Address of a Debian mirror, http://, https:// or file://.  [default: from this machine's apt sources]",
)
@click.option(
    "--allow-unsigned-index",
    is_flag=True,
    help="Trust the mirror where gpgv or Debian's keys are missing, so that its signature can't be checked.",
)
@click.option(
    "--box",
    "box_folder",
    type=click.Path(path_type=Path),
    help="Folder of the sandbox.  [default: below the user's cache folder]",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="results.json of an earlier run, whose instruction counts must be reproduced exactly.",
)
def command(
    files: tuple[Path, ...],
    out: Path | None,
    core_names: tuple[str, ...],
    mirror: str | None,
    allow_unsigned_index: bool,
    box_folder: Path | None,
    against: Path | None,
) -> None:
    """Count the instructions of exported FILES on emulated ARM cores.

    Also estimates cycles, and compares the outputs with those on this machine.
    """
    if files and out is None:
        raise UsageError("--out is missing", "name a folder for results.json and table.md")
    if against and not files:
        raise UsageError(
            f"--against {against} is given without a file to count", "name the .tflite files of that run, and --out"
        )
    before = read_results(against) if against else None
    models = [read_model(path) for path in files]
    cores = [CORES[name] for name in dict.fromkeys(core_names or CORES)]
    folder = (box_folder or cache_folder("arm")).absolute()
    box = set_up(folder, mirror=mirror, allow_unsigned=allow_unsigned_index, log=_log)
    if out is None:
        return _log(f"the sandbox in {box.folder} is ready")
    measured = [measure(box, model, cores=cores, log=_log) for model in models]
    results = to_results(measured, cores=cores, box=box, command=command_line())
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
    if failures := [*list_failures(measured), *(changed(results, before, log=_log) if before else ())]:
        raise GateError(
            "; ".join(failures),
            f"{out / 'results.json'} has the figures; do not ship these files for ARM before the cause is understood",
        )
    return None


def _log(text: str) -> None:
    click.echo(text, err=True)
