"""What a log shows of a long run."""

from __future__ import annotations

import pytest

from hearlite import progress as module
from hearlite.progress import progress


def test_the_time_left_does_not_count_setting_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of 1000 steps takes 90 s, for a graph is traced and kernels are chosen; the others take 1 s each."""
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: False, raising=False)
    with progress("train", total=1000) as advance:
        for done in range(1, 1001):
            now += 90.0 if done == 1 else 1.0
            advance(done, "loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: 1/1000, 90 s loss 0.5"  # nothing is known yet of what is left
    assert lines[1] == "train: 16/1000, 105 s, 984 s left loss 0.5"
    assert lines[-1] == "train: 1000/1000, 1089 s loss 0.5"


def test_a_resumed_run_counts_its_own_steps_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    with progress("train", total=1000, start=900) as advance:
        for done in range(901, 940):
            now += 2.0
            advance(done)
    assert "train: 916/1000, 32 s, 168 s left" in capsys.readouterr().err.splitlines()
