"""Commands of modules that are slow to import: only their name and summary are known until they are run or asked for
their help.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click


class LazyCommand(click.Command):
    """Stands for the click command called `command` in `module`."""

    def __init__(self, name: str, *, module: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self.module = module

    def load(self) -> click.Command:
        command: click.Command = import_module(self.module).command
        command.name = self.name
        return command


class SectionedGroup(click.Group):
    """A group that loads its lazy commands and lists all commands under headings."""

    def __init__(
        self, *arguments: object, sections: Mapping[str, tuple[click.Command, ...]], **settings: object
    ) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        self.sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        return found.load() if isinstance(found, LazyCommand) else found

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.commands)
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(item.name).ljust(width), item.get_short_help_str(limit=90)) for item in commands]
                )
