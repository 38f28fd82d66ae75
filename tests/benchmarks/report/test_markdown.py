"""The README tells the truth: its table comes from the committed results, its commands exist, and its Python snippet
runs.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from hearlite.benchmarks.report.markdown import BEGIN, END, TABLES, render, render_all
from hearlite.cli.main import cli
from hearlite.spec import AUDIO

ROOT = Path(__file__).resolve().parent.parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_results_table_is_generated_from_the_committed_results() -> None:
    written = README.partition(BEGIN)[2].partition(END)[0]
    folder = ROOT / "benchmarks" / "results"
    assert written.strip() == render(folder).strip(), "run: python -m hearlite.benchmarks.report.markdown"
    assert (folder / TABLES).read_text(encoding="utf-8") == render_all(folder), (
        "run: python -m hearlite.benchmarks.report.markdown"
    )


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    return [shlex.split(" ".join(line)) for line in lines if line and line[0].endswith("hearlite")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_is_one_that_hearlite_knows(words: list[str]) -> None:
    command = cli.commands[words[1]]
    with click.Context(command, info_name=words[1], resilient_parsing=True) as context:
        command.make_parser(context).parse_args(words[2:])  # raises NoSuchOption
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("--")} <= known


def test_there_are_commands_to_check() -> None:
    assert {words[1] for words in commands()} >= {"quickstart", "distill", "quantize", "export", "bench"}


def test_the_python_snippet_runs(bundle: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    model = bundle.i8  # type: ignore[attr-defined]
    monkeypatch.chdir(tmp_path)
    soundfile.write("cough_16k_mono.wav", np.random.default_rng(0).normal(0, 0.1, 20_000), AUDIO.sample_rate_hz)
    (tmp_path / "hearlite_small_2s_i8.tflite").write_bytes(model.read_bytes())
    names: dict[str, object] = {}
    exec(snippet, names)
    embedding = names["embedding"]
    assert isinstance(embedding, np.ndarray) and embedding.shape == (1, 32) and np.isfinite(embedding).all()
