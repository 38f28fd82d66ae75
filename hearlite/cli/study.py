"""`study`: one question each, answered by a module of hearlite.benchmarks; and `arm`, the benchmark on emulated ARM
cores.
"""

from __future__ import annotations

import click

from hearlite.benchmarks.studies import STUDIES
from hearlite.cli.lazy import LazyCommand, SectionedGroup

_COMMANDS = tuple(LazyCommand(name, module=item.module, summary=item.summary) for name, item in STUDIES.items())


@click.group(cls=SectionedGroup, sections={"Studies": _COMMANDS})
def study() -> None:
    """Run a study, such as label-efficiency or robustness."""


arm = LazyCommand(
    "arm",
    module="hearlite.benchmarks.arm.command",
    summary="Count instructions of exported files on emulated ARM cores.",
)
