"""What the pages name is there: files of the repository, links, commands with their options, and every kind of thing that
a table lists.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hearlite.benchmarks.datasets import DATASETS
from hearlite.benchmarks.studies import STUDIES
from hearlite.cli.main import cli
from hearlite.embedders.open import TEACHERS
from hearlite.names import CLASSIFIERS, PLATFORMS, SIZES

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
TOP = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("docs", "build")]
PAGES = [
    *(page for page in sorted(DOCS.rglob("*.md")) if "generated" not in page.parts and page.name != "results.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "android_harness/README.md")),
]
GONE = {"benchmarks/frontend_forms.py"}  # the page says in which commit it still is
OPTION = re.compile(r"--[a-z][a-z0-9-]+")


def names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_files_exist(page: Path) -> None:
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)+)/?`", page.read_text(encoding="utf-8"))
    inside = {name for name in named if name.split("/")[0] in TOP and "NAME" not in name} - GONE
    assert not [name for name in sorted(inside) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_commands_have_these_options(page: Path) -> None:
    for line in commands(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)
        command, depth = find(words[1:])
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
        assert set(OPTION.findall(" ".join(words[depth + 1 :]))) <= known, line


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_options_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z][a-z0-9-]+)", text))
    assert named <= {option for command in every(cli) for parameter in command.params for option in parameter.opts}


def every(command: click.Command) -> Iterator[click.Command]:
    """Yield a command and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every(found)


def commands(text: str) -> Iterator[str]:
    """Yield the calls of hearlite in blocks of shell code and between backticks."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (line for line in block.splitlines() if re.match(r"hearlite [a-z]", line))
    for code in re.findall(r"`(hearlite [a-z][^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield code.replace("\n", " ")


def find(words: list[str]) -> tuple[click.Command, int]:
    """Return the command that the first words name, and how many of them do."""
    command: click.Command = cli
    for depth, word in enumerate(words):
        if not isinstance(command, click.Group) or word.isupper() or word.startswith("-"):
            return command, depth
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no {' '.join(['hearlite', *words[: depth + 1]])}"
        command = found
    return command, len(words)


@pytest.mark.parametrize(
    ("page", "listed"),
    [
        ("guide/studies.md", STUDIES),
        ("guide/teachers.md", TEACHERS),
        ("guide/recordings.md", DATASETS),
        ("guide/distill.md", SIZES),
        ("guide/quantize.md", [path.stem for path in (ROOT / "quantize" / "recipes").glob("*.json")]),
        ("deploy/index.md", PLATFORMS),
    ],
)
def test_everything_is_listed(page: str, listed: list[str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert listed
    assert not [name for name in listed if not re.search(rf"`{re.escape(name)}\b", text)]


def test_classifiers_are_listed() -> None:
    (options,) = re.findall(r"`--probe ([^`]*)`", (DOCS / "guide" / "benchmark.md").read_text(encoding="utf-8"))
    assert set(options.split("\\|")) == set(CLASSIFIERS) - {"logistic"}
