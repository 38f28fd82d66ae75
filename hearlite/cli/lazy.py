"""Commands that are imported only when they are run or asked for help, because their modules are slow.

`study` runs a study of hearlite.benchmarks, and `arm` counts on emulated ARM cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from hearlite.benchmarks.studies import STUDIES


class LazyCommand(click.Command):
    """A placeholder for the click command called `attribute` in `module`."""

    def __init__(self, name: str, *, module: str, summary: str, attribute: str = "command") -> None:
        super().__init__(name, short_help=summary)
        self.module, self.attribute = module, attribute

    def load(self) -> click.Command:
        """Import the module and return its command, renamed to this one's name."""
        command: click.Command = getattr(import_module(self.module), self.attribute)
        command.name = self.name
        return command


class SectionedGroup(click.Group):
    """A group that lists its commands under headings and loads lazy ones.

    `sections` maps each heading to its commands.
    """

    def __init__(
        self, *arguments: object, sections: Mapping[str, tuple[click.Command, ...]], **settings: object
    ) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        self.sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name, loaded if it is lazy."""
        command = super().get_command(ctx, cmd_name)
        return command.load() if isinstance(command, LazyCommand) else command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the sections."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for --help, section by section."""
        width = max(len(name) for name in self.commands)
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(item.name).ljust(width), item.get_short_help_str(limit=90)) for item in commands]
                )


_COMMANDS = tuple(LazyCommand(name, module=item.module, summary=item.summary) for name, item in STUDIES.items())


@click.group(cls=SectionedGroup, sections={"Studies": _COMMANDS})
def study() -> None:
    """Run a study, such as label-efficiency or robustness.

    Each study answers one question about students and their teacher; `hearlite study NAME --help` describes it.
    """


listen = LazyCommand(
    "listen", module="hearlite.cli.listen", summary="Find events, such as coughs, in recordings of any length."
)
enroll = LazyCommand(
    "enroll",
    module="hearlite.cli.listen",
    summary="Teach a model your own sound by a few examples.",
    attribute="enroll",
)
arm = LazyCommand(
    "arm",
    module="hearlite.benchmarks.arm.command",
    summary="Count instructions of exported files on emulated ARM cores.",
)
