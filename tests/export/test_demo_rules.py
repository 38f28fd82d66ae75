"""The page's rules of events, run alone by Node: the same events as Python's, to the bit, from the same scores."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from event_vectors import write_vectors

NODE = shutil.which("node")
SCRIPT = Path(__file__).parent.parent / "support/events_test.mjs"
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on the PATH")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Python's cases, and what the page makes of them."""
    folder = tmp_path_factory.mktemp("events")
    expected = write_vectors(folder / "vectors.json")
    page = folder / "page"
    page.mkdir()
    for file in resources.files("hearlite.export.demo").joinpath("page").iterdir():
        (page / file.name).write_bytes(file.read_bytes())
    (page / "package.json").write_text('{"type": "module"}')  # as the page's <script type=module> says
    command = [str(NODE), str(SCRIPT), str(folder / "vectors.json"), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return expected, json.loads(done.stdout)


def test_scores_become_the_same_events(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    expected, found = both
    assert len(found["detector"]) == len(expected["detector"])
    for wanted, got in zip(expected["detector"], found["detector"], strict=True):
        assert got["pushed"] == wanted["pushed"] and got["left"] == wanted["left"]
    assert sum(len(case["pushed"]) for case in expected["detector"]) > 300
    assert any(case["left"] for case in expected["detector"])


def test_windows_are_joined_alike(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    expected, found = both
    for wanted, got in zip(expected["timeline"], found["timeline"], strict=True):
        assert got["ready"] == wanted["ready"] and got["left"] == wanted["left"]


def test_sound_becomes_the_same_events_however_it_is_cut(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    expected, found = both
    for wanted, ways in zip(expected["stream"], found["stream"], strict=True):
        for got in ways:
            assert got["events"] == wanted["events"] and got["timeline"] == wanted["timeline"]
    assert sum(len(case["events"]) for case in expected["stream"]) > 30


def test_what_is_downloaded_is_what_listen_writes(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    expected, found = both
    for wanted, (got, *_) in zip(expected["stream"], found["stream"], strict=True):
        assert got["audacity"] == wanted["audacity"]
        tables = [list(csv.reader(io.StringIO(text))) for text in (got["csv"], wanted["csv"])]
        assert [row[:2] for row in tables[0]] == [row[:2] for row in tables[1]] and tables[0][0] == tables[1][0]
        for ours, theirs in zip(tables[0][1:], tables[1][1:], strict=True):
            assert list(map(float, ours[2:])) == pytest.approx(list(map(float, theirs[2:])), abs=1.01e-3)
        for label, rate in ((row["label"], [row["count"], row["perHour"]]) for row in got["rates"]):
            assert rate == pytest.approx(wanted["rates"][label])
