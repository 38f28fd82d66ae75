"""Test the cost of a further clip, and the measurement of a real process; no time is asserted."""

import json

import pytest

from hearlite.benchmarks.studies import scaling
from hearlite.benchmarks.studies.scaling import (
    Point,
    ScalingResults,
    growth,
    measure,
    run_process,
    to_results,
    write_plot,
)
from hearlite.errors import InputError
from hearlite.serialization import from_dict, to_dict

POINTS = (Point("embed", 1, 100, 2.0, 1000), Point("embed", 10, 1000, 11.0, 1900), Point("bench", 1, 100, 5.0, 500))


def test_growth_is_per_further_clip():
    (found,) = growth(POINTS)
    assert (found.stage, found.factors) == ("embed", (1, 10))
    assert found.ms_per_clip == pytest.approx(10.0) and found.bytes_per_clip == pytest.approx(1.0)


def test_results_are_json_and_drawn(tmp_path):
    results = to_results(POINTS)
    assert from_dict(ScalingResults, json.loads(json.dumps(to_dict(results))), where="results.json") == results
    write_plot(results.points, tmp_path / "scaling.svg")
    assert "<svg" in (tmp_path / "scaling.svg").read_text()


def test_a_stage_that_fails_says_why(tmp_path):
    with pytest.raises(InputError, match="absent"):
        run_process(["embed", str(tmp_path / "absent"), "--out", str(tmp_path / "x.parquet")])


def test_embedding_is_measured_in_a_process_of_its_own(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "_SUBJECTS", 3)
    monkeypatch.setattr(scaling, "_RECORDINGS", 1)
    (point,) = measure(bundle.i8, factors=[1], stages=["embed"], folder=tmp_path, log=lambda text: None)
    assert (point.stage, point.factor) == ("embed", 1)
    assert point.clips >= 3 and point.seconds > 0 and point.peak_bytes > 10_000_000
