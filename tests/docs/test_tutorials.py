"""Tutorials, and the guide to Python, do what they say: their commands and snippets run in order, on small synthetic data.

A comment `<!-- test: replace A with B; add C to COMMAND -->` on a page says what the test changes.
"""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bundles

from hearlite.run import Run
from hearlite.serialization import to_dict
from hearlite.spec import TrainSpec

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = [*sorted((DOCS / "tutorials").glob("*.md")), DOCS / "guide" / "python-api.md"]
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
TIMEOUT_S = 300
pytestmark = pytest.mark.slow


def changes(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(texts to replace, options to add to a command) of a page."""
    found = "; ".join(re.findall(r"<!-- test: (.*?) -->", text, re.DOTALL))
    replaced = re.findall(r"replace (\S+) with (\S+?)(?:;|$)", found)
    added = [
        (name, options)
        for options, names in re.findall(r"add (--.*?) to ([a-z and]+)", found)
        for name in names.split(" and ")
    ]
    return replaced, added


@pytest.fixture
def folder(
    tmp_path: Path, bundle: Bundles, quantized_run: Run, other_subjects: Path, tiny_train: TrainSpec
) -> Iterator[Path]:
    """What the pages suppose: an exported file, its run, recordings, and labelled ones."""
    for path in bundle.i8.parent.glob("hearlite_tiny_2s_i8.*"):
        shutil.copy(path, tmp_path)
    shutil.copytree(quantized_run.folder, tmp_path / "runs" / "tiny")
    shutil.copytree(other_subjects.parent, tmp_path / "labelled", ignore=shutil.ignore_patterns("*.csv", "*.json"))
    shutil.copy(other_subjects, tmp_path / "labelled" / "manifest.csv")
    with other_subjects.open(newline="") as file:
        names = list(dict.fromkeys(row["file"] for row in csv.DictReader(file)))[:24]
    (tmp_path / "recordings").mkdir()
    for index, name in enumerate(names):
        to = "recording.wav" if index == 0 else f"{index}{Path(name).suffix}"
        shutil.copy(other_subjects.parent / name, tmp_path / "recordings" / to)
    settings = [f"{key} = {value}" for key, value in to_dict(tiny_train).items() if isinstance(value, (int, float))]
    (tmp_path / "few.toml").write_text("\n".join(settings))
    yield tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_runs(page: Path, folder: Path) -> None:
    text = page.read_text(encoding="utf-8")
    replaced, added = changes(text)
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    snippets: list[str] = []
    for language, body in BLOCK.findall(text):
        if language == "python":
            snippets.append(body)
            continue
        if snippets:
            run([sys.executable, "-c", "\n".join(snippets)], folder)
            snippets = []
        for line in body.splitlines():
            program, name, *arguments = shlex.split(line, comments=True)
            assert program == "hearlite"
            options = [option for command, more in added if command == name for option in shlex.split(more)]
            run([sys.executable, "-m", "hearlite", name, *arguments, *options], folder)
    if snippets:
        run([sys.executable, "-c", "\n".join(snippets)], folder)


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{shlex.join(command)[:300]}\n{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"
