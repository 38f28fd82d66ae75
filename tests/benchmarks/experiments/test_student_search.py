"""A search trains every candidate once, judges it by clips that it has not heard, and ranks it beside its cost."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from small import SMALL, SMALL_SHAPES

pytest.importorskip("tensorflow")

import hearlite.spec
from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.experiments import ablation_table, search_trials, student_search
from hearlite.benchmarks.experiments.search_table import Fidelity, SearchRow, Trial, mean_ranks, means, table
from hearlite.benchmarks.experiments.student_costs import FileCost, StudentCost, measure_costs
from hearlite.benchmarks.experiments.student_search import SearchResults, require_disjoint
from hearlite.benchmarks.experiments.variants import load_variants
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.data.dataset import load_dataset
from hearlite.errors import HearliteError, InputError
from hearlite.serialization import from_dict
from hearlite.spec import AUDIO, STUDENTS, TrainSpec, student_spec

LIST = """
[[variant]]
name = "today"
[[variant]]
name = "dense"
[variant.overrides]
"student.blocks.*.kind" = "dense"
"""
COST = StudentCost(1_000_000, 2_000_000, FileCost(4_000, 0.5, {"tiny": 1.0}), FileCost(1_000, 0.25, {"tiny": 2.0}))


def test_the_list_of_faster_students_has_steps_of_200_or_250_ms() -> None:
    """As the sizes have, and each candidate changes the size that it is named after."""
    variants = {variant.name: variant for variant in load_variants("faster")}
    for name, variant in variants.items():
        assert (variant.size or "tiny") == name.partition("-")[0]
        student, train = variant.specs(student_spec(variant.size or "tiny", embedding_dim=8), TrainSpec())
        assert train == TrainSpec()
        stride = math.prod(block.stride[0] for block in student.blocks) * student.stem_stride[0]
        steps = student.frontend.frames(AUDIO.clip_samples) / stride
        assert AUDIO.clip_s / steps == (0.25 if name.endswith("-hop250") else 0.2), name
    for size in STUDENTS:
        today = student_spec(size, embedding_dim=8)
        assert variants[size].specs(today, TrainSpec())[0] == today


def fidelity(cosine: float, probes: float) -> Fidelity:
    return Fidelity("somewhere", cosine, probes)


def test_ranks_weigh_validation_as_much_as_all_that_is_left_out() -> None:
    ranks = mean_ranks(
        {
            "a": [fidelity(0.9, 0.4), fidelity(0.5, 0.1), fidelity(0.5, 0.1)],
            "b": [fidelity(0.8, 0.3), fidelity(0.7, 0.3), fidelity(0.6, 0.1)],
            "c": [fidelity(0.7, 0.2), fidelity(0.6, 0.2), fidelity(0.4, 0.2)],
        }
    )
    # by hand: on validation 1, 2, 3; left out (3 + 3 + 2 + 2.5) / 4, (1 + 1 + 1 + 2.5) / 4, (2 + 2 + 3 + 1) / 4
    assert ranks == pytest.approx({"a": (1 + 2.625) / 2, "b": (2 + 1.375) / 2, "c": (3 + 2) / 2})
    assert mean_ranks({"a": [fidelity(0.5, 0.5)], "b": [fidelity(0.6, 0.4)]}) == {"a": 1.5, "b": 1.5}
    assert mean_ranks({}) == {}


def test_means_over_seeds() -> None:
    trials = [
        Trial("", fidelity(0.5, 0.2), (fidelity(0.2, 0.1), fidelity(0.4, 0.3)), 0.98, 10, 1.0),
        Trial("", fidelity(0.7, 0.4), (fidelity(0.4, 0.1), fidelity(0.6, 0.5)), 0.96, 10, 3.0),
    ]
    kept = Estimate(0.9, 0.8, 1.0)
    found = means(trials, retention=[None, kept])
    assert (found["validation"].centred_cosine, found["validation"].probe_correlation) == pytest.approx((0.6, 0.3))
    assert [item.centred_cosine for item in found["left_out"]] == pytest.approx([0.3, 0.5])
    assert [item.retention for item in found["left_out"]] == [None, kept]
    assert found["seed_deviation"] == pytest.approx(np.std([0.3, 0.5], ddof=1))
    assert found["int8_centred_cosine"] == pytest.approx(0.97)
    assert found["seconds_per_step"] == pytest.approx(12.0)
    assert means(trials[:1], retention=[None, None])["seed_deviation"] is None


def test_the_table_puts_the_best_first_and_shows_cost_before_anything_is_trained() -> None:
    untrained = SearchRow("later", "tiny", {}, COST, 0)
    lines = table([untrained]).splitlines()
    assert lines[2].startswith("| later | – | 0 | – | –")
    assert "| later | 2.0 | 1.00 | 1.0\u202fkB | 0.250 | 0.500 | 2.00 | 1.00 |" in lines
    trial = Trial("", fidelity(0.5, 0.2), (fidelity(0.25, 0.125),), 0.98, 10, 1.0)
    rows = [
        untrained,
        *(
            SearchRow(name, "tiny", {}, COST, 1, rank=rank, **means([trial], retention=[Estimate(0.9, 0.81, 1.0)]))
            for name, rank in (("worse", 2.0), ("better", 1.0))
        ),
    ]
    text = table(rows)
    assert [line.split(" | ")[0] for line in text.splitlines()[2:5]] == ["| better", "| worse", "| later"]
    assert "somewhere: cosine" in text
    assert "| 0.500 | 0.200 | 0.250 | 0.125 | – | 90\u202f% [81, 100] | 0.9800 | 6.000 |" in text


def test_costs_are_compared_with_the_same_precision() -> None:
    found = measure_costs({"a": SMALL, "b": SMALL_SHAPES["dense"]}, references={"tiny": SMALL_SHAPES["1d"]}, runs=2)
    assert list(found) == ["a", "b"]
    assert found["a"].macs != found["b"].macs
    assert found["a"].int8.bytes < found["a"].float32.bytes
    assert all(file.times_faster["tiny"] > 0 for cost in found.values() for file in (cost.int8, cost.float32))


def test_a_dataset_that_is_trained_on_is_not_left_out(tmp_path: Path) -> None:
    both = [load_dataset(write_corpus(tmp_path / name, subjects=8, recordings_per_subject=1, seed=0)) for name in "ab"]
    with pytest.raises(InputError, match=r"subjects are trained on, first '"):
        require_disjoint(both[0], both[1:])
    tested = dataclasses.replace(
        both[0], clips=tuple(dataclasses.replace(clip, split="test") for clip in both[0].clips)
    )
    require_disjoint(tested, both[1:])


class InThisProcess:
    """Stands in for a pool of processes: the small students exist in this one only."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Any, *arguments: Any, **options: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except HearliteError as error:
            future.set_exception(error)
        return future


@pytest.mark.slow
def test_a_search_from_recordings_to_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("tiny", "small"):
        monkeypatch.setitem(hearlite.spec.STUDENTS, size, SMALL)
    monkeypatch.setattr(ablation_table, "SAMPLES", 50)
    monkeypatch.setattr(student_search, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(search_trials, "_CALIBRATION_CLIPS", 4)
    corpora = {}
    for name, seed in (("heard", 0), ("unheard", 1)):
        path = write_corpus(tmp_path / name, subjects=32, recordings_per_subject=2, seed=seed)
        rows = path.read_text().splitlines()
        lines = [line.split(",") for line in rows[1:]]
        for i, cells in enumerate(lines):  # a label that every subject has both of, and people of its own
            cells[3], cells[4] = "AB"[i % 2], f"{name}-{cells[4]}"
        path.write_text("\n".join([rows[0], *(",".join(cells) for cells in lines)]) + "\n")
        corpora[name] = path
    (tmp_path / "list.toml").write_text(LIST)
    out = tmp_path / "out"
    arguments = [str(corpora["heard"]), "--leave-out", str(corpora["unheard"]), "--teacher", "fake:16"]
    arguments += ["--candidates", str(tmp_path / "list.toml"), "--steps", "3", "--seed", "1"]
    arguments += ["--runs", "2", "--hop", "2", "--out", str(out)]
    ran = CliRunner().invoke(student_search.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    read = from_dict(SearchResults, json.loads((out / "results.json").read_text()), where="results.json")
    assert [row.candidate for row in read.candidates] == ["today", "dense"]
    assert (out / "table.md").read_text() == table(read.candidates)
    assert sorted(row.rank or 0.0 for row in read.candidates)[0] < 2.0
    for row in read.candidates:
        assert row.seeds == 1 and row.seed_deviation is None
        (unheard,) = row.left_out
        assert unheard.dataset == read.left_out[0].name and unheard.retention is not None
        assert -1.0 <= unheard.centred_cosine <= 1.0
    assert len(list(out.glob("records-*"))) == 1
    changed = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    again = CliRunner().invoke(student_search.command, arguments, catch_exceptions=False)
    assert again.output.splitlines()[-12:] == ran.output.splitlines()[-12:]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")} == changed

    (out / "today-s1" / "search.json").unlink()
    (out / "today-s1" / "spec.json").write_text("{}")  # a folder that is none of this search's
    partly = CliRunner().invoke(student_search.command, arguments)
    assert isinstance(partly.exception, InputError)
    rows = {row["candidate"]: row for row in json.loads((out / "results.json").read_text())["candidates"]}
    assert (rows["today"]["seeds"], rows["dense"]["seeds"]) == (0, 1)  # the other went on
