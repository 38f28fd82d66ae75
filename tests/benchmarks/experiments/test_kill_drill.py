"""The drill interrupts commands in fact, and sees what they lose or leave behind."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hearlite.benchmarks.experiments import kill_drill
from hearlite.benchmarks.experiments.kill_drill import DRILLS, Point, command
from hearlite.errors import GateError

GOOD = Point("embed", "SIGTERM", after_s=1.0, exit_code=143, attempts=1, equal=True)
LEAVE = """
import subprocess, sys, time
from pathlib import Path
Path(".hearlite-abcdefgh.npz").write_bytes(b"half")
if not Path("interrupted").exists():
    Path("interrupted").touch()
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)
"""


@pytest.mark.slow
def test_embedding_survives_both_signals(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--points", "2", "--only", "embed", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "2 of 2 points good" in done.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(point["signal"], point["exit_code"], point["equal"]) for point in results["points"]] == [
        ("SIGKILL", 128 + signal.SIGKILL, True),
        ("SIGTERM", 128 + signal.SIGTERM, True),
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "table.md"}


@pytest.mark.parametrize(
    "bad",
    [
        {"equal": False},
        {"exit_code": 0},  # a signal that was swallowed
        {"exit_code": 1},
        {"exit_code": 137},
        {"left": ("a.parquet.parts",)},
        {"children": 1},
    ],
)
def test_what_makes_a_point_bad(bad: dict[str, object]) -> None:
    assert GOOD.good
    assert not replace(GOOD, **bad).good  # type: ignore[arg-type]


def test_what_a_command_leaves_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that leaves a temporary file and a child process, and whose file is another one at the second run."""
    (tmp_path / "before").mkdir()
    monkeypatch.setattr(kill_drill, "tied", lambda command: [sys.executable, "-c", LEAVE])
    drill = replace(DRILLS[0], digest=lambda folder: {"file": "another"})
    stage = kill_drill.Stage(tmp_path / "before", {"file": "one"}, seconds=2.0, arguments=())
    draw = kill_drill.random.Random(1)
    monkeypatch.setattr(draw, "uniform", lambda low, high: high)
    point = kill_drill.interrupt(drill, stage, tmp_path / "work", number="SIGKILL", draw=draw)
    assert (point.exit_code, point.children, point.equal, point.attempts) == (137, 1, False, 1)
    assert point.left == (".hearlite-abcdefgh.npz",) and not point.good


def test_bad_points_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_drill, "prepare", lambda folder, *, drills, seed: _stages(folder))

    def interrupt(drill: object, stage: object, work: Path, **options: object) -> Point:
        work.mkdir(exist_ok=True)
        (work / "log.txt").write_text("no such module")
        return replace(GOOD, equal=False)

    monkeypatch.setattr(kill_drill, "interrupt", interrupt)
    done = CliRunner().invoke(command, ["--points", "3", "--only", "embed", "--out", str(tmp_path)])
    assert isinstance(done.exception, GateError) and "3 of 3 points are not good" in str(done.exception)
    assert (tmp_path / "log-2.txt").read_text() == "no such module"
    assert "| embed | SIGTERM | 3 | 0 | 0 | 0 | 143 |" in (tmp_path / "table.md").read_text()


def _stages(folder: Path) -> dict[str, kill_drill.Stage]:
    return {"embed": kill_drill.Stage(folder, {}, seconds=1.0, arguments=())}
