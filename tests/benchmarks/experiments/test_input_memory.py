"""The study of memory measures real processes; its sizes here are small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hearlite.benchmarks.experiments.input_memory import command, peak_of, write_manifest
from hearlite.errors import InputError


def test_peaks_are_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--rows", "300", "--hours", "0.1", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "results.json").read_text())["peaks"]
    assert [peak["clips"] for peak in found] == [300, 180]
    assert all(peak["megabytes"] >= 0.9 * peak["idle_megabytes"] > 10 for peak in found)
    assert "0.1 h of silence in one FLAC" in (tmp_path / "table.md").read_text()


def test_a_process_that_fails_is_no_peak(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ended with 1"):
        peak_of(tmp_path / "missing.csv", how="load")
    assert peak_of(write_manifest(tmp_path, rows=10), how="load")[0] == 10
