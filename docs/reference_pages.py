"""Reference pages made of the code: every command's help, settings, and fields of the files that hearlite writes."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.schema.results import Results
from hearlite.bundle import Manifest
from hearlite.cli.main import cli
from hearlite.distill.presets import FOLDER as PRESETS
from hearlite.events.personal import PersonalHead
from hearlite.export.foreign_head import LinearHead
from hearlite.run import RunSpec
from hearlite.spec import AugmentSpec, LossSpec, QuantSpec, TrainSpec, ViewSpec

SETTINGS = {"Top level": TrainSpec, "[loss]": LossSpec, "[augment]": AugmentSpec, "[view]": ViewSpec}
# In the order of the page.
FILES = {
    "manifest": Manifest,
    "run": RunSpec,
    "recipe": QuantSpec,
    "head": LinearHead,
    "personal": PersonalHead,
    "results": Results,
}
HELP_WIDTH = 88  # characters; what the page shows without a scroll bar


def write_pages(folder: Path) -> None:
    """Write the generated parts of the reference, only where they changed, so that Sphinx rebuilds little."""
    pages = {"commands.md": commands()}
    preset = re.sub(r"(?m)^#.*\n", "", (PRESETS / "small.toml").read_text(encoding="utf-8"))
    pages["preset.md"] = f"```toml\n{preset}```\n"
    pages["settings.md"] = "\n".join(_table(kind, title, 2) for title, kind in SETTINGS.items())
    shown: dict[str, type[Any]] = {kind.__name__: kind for kind in SETTINGS.values()}  # title: what it describes
    for name, kind in FILES.items():
        pages[f"{name}.md"] = "\n".join(_tables(kind, shown))
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
    settings = command.context_settings
    with click.Context(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH, **settings) as context:
        yield context, command
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    yield from _walk(found, child, context)


def _tables(kind: type[Any], shown: dict[str, type[Any]]) -> Iterator[str]:
    """Yield the table of a dataclass, then those of the objects in it that the page has not shown yet."""
    if kind in shown.values():
        return
    title = f"{kind.__name__} of {kind.__module__}" if kind.__name__ in shown else kind.__name__
    shown[title] = kind
    yield _table(kind, title)
    for hint in typing.get_type_hints(kind).values():
        for inner in _parts(hint):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                yield from _tables(inner, shown)


def _parts(hint: Any) -> Iterator[Any]:
    """Yield the types in a type hint: of `tuple[Metric, ...] | None`, Metric and NoneType."""
    inside = typing.get_args(hint)
    if not inside:
        yield hint
    for part in inside:
        yield from _parts(part)


def _table(kind: type[Any], title: str, level: int = 3) -> str:
    """Return a table of a dataclass: field, type, default, and the comment that stands with it in the source."""
    comments = _comments(kind)
    first = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    lines = [f"{'#' * level} {title}\n", _as_text(first), ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        if field.default_factory is not dataclasses.MISSING:
            default = "its own defaults"
        cells = (f"`{field.name}`", f"`{field.type}`", default, _as_text(comments.get(field.name, "")))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _as_text(comment: str) -> str:
    """Return a comment as Markdown: strings as code, without the keys of the sources that its module lists."""
    return re.sub(r'"([^"\s]*)"', r'`"\1"`', re.sub(r" ?\[(hear|PCEN)\]", "", comment))


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
