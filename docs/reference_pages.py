"""Reference pages made of the code: every command's help, settings, and fields of the files that hearlite writes."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.schema.results import DatasetInfo, ModelInfo, Results, TaskResult
from hearlite.benchmarks.stats.estimates import Estimate, Paired, Score
from hearlite.bundle import Manifest
from hearlite.cli.main import cli
from hearlite.gate import GateResult
from hearlite.run import RunSpec
from hearlite.spec import AugmentSpec, LossSpec, QatSpec, QuantSpec, StudentSpec, TrainSpec, ViewSpec

SETTINGS = (TrainSpec, LossSpec, AugmentSpec, ViewSpec)
FILES = {
    "manifest": ("Manifest of an exported file", (Manifest, GateResult)),
    "run": ("Run folder", (RunSpec, StudentSpec)),
    "recipe": ("Quantization recipe", (QuantSpec, QatSpec)),
    "results": ("results.json", (Results, DatasetInfo, ModelInfo, TaskResult, Score, Paired, Estimate)),
}


def write_pages(folder: Path) -> None:
    """Write the generated parts of the reference, only where they changed, so that Sphinx rebuilds little."""
    pages = {"commands.md": commands(), "settings.md": "\n".join(_table(kind, 2) for kind in SETTINGS)}
    for name, (_, kinds) in FILES.items():
        pages[f"{name}.md"] = "\n".join(_table(kind) for kind in kinds)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Return the help of every command, in the order of `hearlite --help`."""
    parts = []
    for context, command in _walk(cli, "hearlite", None):
        title = context.command_path
        parts.append(f"{'#' * (2 + title.count(' ', 9))} {title}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _walk(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[click.Context, click.Command]]:
    with click.Context(command, info_name=name, parent=parent, max_content_width=92, terminal_width=92) as context:
        yield context, command
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    yield from _walk(found, child, context)


def _table(kind: type[Any], level: int = 3) -> str:
    """Return a table of a dataclass: field, type, default, and the comment that stands with it in the source."""
    comments = _comments(kind)
    first = inspect.getdoc(kind) or ""
    lines = [f"{'#' * level} {kind.__name__}\n", first.partition("\n\n")[0].replace("\n", " "), ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        if field.default_factory is not dataclasses.MISSING:
            default = "its own defaults"
        cells = (f"`{field.name}`", f"`{field.type}`", default, comments.get(field.name, ""))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _comments(kind: type[Any]) -> dict[str, str]:
    """Return the comment beside or above each field."""
    lines = inspect.getsource(kind).splitlines()
    (body,) = ast.parse(inspect.cleandoc("\n".join(lines))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            inside = lines[node.lineno - 1 : (node.end_lineno or node.lineno)]
            words = [line.partition("  # ")[2] or line.strip().removeprefix("# ") for line in inside if "# " in line]
            above = node.lineno - 2
            while lines[above].strip().startswith("#"):
                words.insert(0, lines[above].strip().removeprefix("# "))
                above -= 1
            found[node.target.id] = " ".join(words).strip()
    return found
