"""The README tells the truth: its table comes from the committed results, its commands exist, and its Python snippet
runs.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from fixtures import BENCH

from hearlite.benchmarks.report.committed import LARGEST_BYTES, RESULTS, compact, pages, read_index
from hearlite.benchmarks.report.html import write_report
from hearlite.benchmarks.report.markdown import at_a_glance, results_page
from hearlite.benchmarks.schema.io import read_results
from hearlite.cli.main import cli
from hearlite.errors import InputError
from hearlite.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_pages_of_results_are_what_the_results_say() -> None:
    entries = read_index(RESULTS)
    for path, text in pages(RESULTS, entries).items():
        assert path.name == "index.json" or path.read_text(encoding="utf-8") == text, "run: make results"


def test_results_are_slim(tmp_path: Path) -> None:
    """A slim benchmark is read as any other, says whose copy it is, and has the same tables."""
    folder = tmp_path / "results" / "sprsound-yamnet"
    folder.mkdir(parents=True)
    shutil.copy(BENCH, folder / "results.json")
    whole = at_a_glance(folder.parent), results_page(folder.parent, [("sprsound-yamnet", "what", "a command")])
    (folder / "results.json").write_bytes(compact(BENCH))
    slimmed = read_results(folder / "results.json")
    assert slimmed.slimmed_from == sha256_of(BENCH) and (folder / "results.json").stat().st_size < BENCH.stat().st_size
    assert all(
        score.calibration is None and not score.roc.true_positive for task in slimmed.tasks for score in task.scores
    )
    assert (
        at_a_glance(folder.parent),
        results_page(folder.parent, [("sprsound-yamnet", "what", "a command")]),
    ) == whole
    write_report(folder / "results.json", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "ROC curves" not in page and "are not in this results.json" in page
    assert compact(folder / "results.json") == (folder / "results.json").read_bytes(), "once more changes nothing"
    assert len(compact(BENCH)) < LARGEST_BYTES


def test_a_result_that_nothing_is_said_of_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "about.toml").write_text("results = []")
    with pytest.raises(InputError, match="'new' is not both there and described"):
        read_index(tmp_path)


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    return [shlex.split(" ".join(line)) for line in lines if line and line[0].endswith("hearlite")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_is_one_that_hearlite_knows(words: list[str]) -> None:
    with click.Context(cli) as above:
        command = cli.get_command(above, words[1])
    assert command is not None
    with click.Context(command, info_name=words[1], resilient_parsing=True) as context:
        command.make_parser(context).parse_args(words[2:])  # raises NoSuchOption
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("--")} <= known


def test_there_are_commands_to_check() -> None:
    assert {words[1] for words in commands()} >= {"distill", "quantize", "export", "bench"}


def test_the_python_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of them, one after the other, with the model that comes along."""
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    for path in ("cough.wav", "night.flac", "recordings/another.wav"):
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 80_000), 44_100)
    names: dict[str, Any] = {}
    exec("\n".join(snippets), names)
    assert names["vectors"].shape == (1, 1024) and np.isfinite(names["vectors"]).all()
    assert names["table"].num_rows == 1 and names["table"]["file"].to_pylist() == ["another.wav"]
    assert names["stream"].finish() == []


def test_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 130
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
