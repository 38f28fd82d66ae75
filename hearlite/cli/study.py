"""The commands `study`, which runs a study of hearlite.benchmarks, and `arm`, for emulated ARM cores."""

from __future__ import annotations

import click

from hearlite.benchmarks.studies import STUDIES
from hearlite.cli.lazy import LazyCommand, SectionedGroup

_COMMANDS = tuple(LazyCommand(name, module=item.module, summary=item.summary) for name, item in STUDIES.items())


@click.group(cls=SectionedGroup, sections={"Studies": _COMMANDS})
def study() -> None:
    """Run a study, such as label-efficiency or robustness.

    Each study answers one question about students and their teacher; `hearlite study NAME --help` describes it.
    """


arm = LazyCommand(
    "arm",
    module="hearlite.benchmarks.arm.command",
    summary="Count instructions of exported files on emulated ARM cores.",
)
