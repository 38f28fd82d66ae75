"""How a benchmark that is run as `python -m hearlite.benchmarks.NAME` ends: with its output, or with one clear error and its exit code."""

from __future__ import annotations

import sys

import click

from hearlite.errors import HearliteError


def run_module(command: click.Command) -> None:
    """Run a module's command on the process's arguments."""
    try:
        command()
    except HearliteError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
