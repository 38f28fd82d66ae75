"""A few seconds of fuzzing with fixed seeds; and that the counting sees every kind of bug it is meant to count."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.experiments.fuzz import batch, mutators, run, targets
from hearlite.benchmarks.experiments.fuzz.batch import BUGS, CRASH, EXIT_1, HANG, OK, REFUSED, TRACEBACK, run_case
from hearlite.benchmarks.experiments.fuzz.samples import (
    sample_manifest,
    sample_model,
    sample_results,
    sample_run,
    write_sample_bundle,
)
from hearlite.benchmarks.experiments.fuzz.targets import TARGETS, Case, Target
from hearlite.benchmarks.schema.io import read_results
from hearlite.errors import InputError
from hearlite.tflite.model_file import load_any

CASES = {"models": 40, "bundles": 25, "results": 30, "recipes": 120}


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_inputs_end_well(target: str, tmp_path: Path) -> None:
    """In this process: the first cases of the command's seed 0."""
    found = []
    for number in range(CASES.get(target, 30)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.append(run_case(target, seed=0, number=number, folder=folder))
    assert [item for item in found if item[0] in BUGS] == []
    assert {outcome for outcome, _ in found} == {OK, REFUSED}, "nothing is tested if all is refused, or nothing"
    reasons = {message.replace(str(tmp_path), "")[:60] for outcome, message in found if outcome == REFUSED}
    assert len(reasons) >= 8, "one reason for everything would hide what lies behind it"


@pytest.mark.parametrize("target", ["models", "bundles", "results", "recipes"])  # damaged by what is replaced here
def test_undamaged_inputs_are_not_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a broken sample would be refused a thousand times, and look like a good result."""
    monkeypatch.setattr(targets, "damage", lambda content, rng: content)
    monkeypatch.setattr(targets, "damage_model", lambda content, rng: content)
    monkeypatch.setattr(targets, "damage_json", lambda data, rng: json.dumps(data).encode())
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome, message = run_case(target, seed=0, number=number, folder=folder)
        # `check` runs: the sample was never trained, so it fails a check of quality, and nothing else.
        assert outcome == OK or "fails 1 of" in message, message


def test_a_case_follows_from_its_number(tmp_path: Path) -> None:
    for target in TARGETS:
        contents = []
        for attempt in ("a", "b"):
            folder = tmp_path / target / attempt
            folder.mkdir(parents=True)
            batch.make_case(target, seed=3, number=5, folder=folder)
            contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert contents[0] == contents[1]


def fails(with_: Callable[[Case], object]) -> Target:
    return Target("", lambda case: None, lambda case: with_(case) and None)


def raising(error: BaseException) -> Callable[[Case], object]:
    def read(case: Case) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda case: None, OK),
        (raising(InputError("no")), REFUSED),
        (raising(RecursionError("deep")), TRACEBACK),
        (raising(OverflowError("large")), TRACEBACK),
        (lambda case: case.command(["info", "/nonexistent.tflite"]), REFUSED),
        (lambda case: case.command(["--version"]), OK),
    ],
)
def test_outcomes_of_one_case(
    read: Callable[[Case], object], outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, "fake", fails(read))
    assert run_case("fake", seed=0, number=0, folder=tmp_path)[0] == outcome


def test_exit_code_1_is_told_from_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearlite.bundle.describe", raising(KeyError("x")))  # as a bug in a command
    monkeypatch.setitem(TARGETS, "fake", fails(lambda case: case.command(["info", "x.tflite"])))
    outcome, message = run_case("fake", seed=0, number=0, folder=tmp_path)
    assert outcome == EXIT_1 and "this is a bug in hearlite: KeyError" in message


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Write a batch that does something at case 1, after case 0 ended well."""
    (tmp_path / "stand_in_batch.py").write_text(
        "import json, os, signal, sys, time\n"
        "say = lambda number, outcome: print(json.dumps(dict(number=number, outcome=outcome, detail='')), flush=True)\n"
        "for number in range(int(sys.argv[3]), int(sys.argv[4])):\n"
        "    say(number, None)\n"
        f"    if number == 1:\n        {does}\n"
        "    say(number, 'ok')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", CRASH),
        ("os._exit(0)", CRASH),  # a model that ends the process is no success
        ("time.sleep(60)", HANG),
    ],
)
def test_a_batch_that_dies_is_counted_and_the_next_case_goes_on(
    does: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, does)
    counts, bugs = run.fuzz("models", cases=4, seed=0, case_s=1.5, module="stand_in_batch", log=lambda text: None)
    assert counts == {OK: 3, outcome: 1}
    assert [(bug.number, bug.outcome) for bug in bugs] == [(1, outcome)]


def test_a_batch_that_can_not_start_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before its first case"):
        run.fuzz("models", cases=2, seed=0, module="no_such_module_at_all", log=lambda text: None)


def test_the_command_writes_counts_and_exits_with_4_for_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "fuzz"
    done = CliRunner().invoke(run.command, ["--recipes", "5", "--out", str(out)])
    assert done.exit_code == 0, done.output
    data = json.loads((out / "results.json").read_text())
    assert sum(data["counts"]["recipes"].values()) == 5 and data["bugs"] == [] and list(data["counts"]) == ["recipes"]
    assert "| recipes: a recipe, a preset and a run's spec.json | 5 |" in (out / "table.md").read_text()
    monkeypatch.setattr(run, "fuzz", lambda *_, **__: (run.Counter({CRASH: 1}), [run.Bug("recipes", 3, CRASH, "d")]))
    done = CliRunner().invoke(run.command, ["--recipes", "1", "--out", str(out)])
    assert isinstance(done.exception, Exception) and getattr(done.exception, "exit_code", 0) == 4
    assert json.loads((out / "results.json").read_text())["bugs"] == [
        {"target": "recipes", "number": 3, "outcome": CRASH, "detail": "d"}
    ]


def test_mutators_change_something_and_nothing_that_was_given() -> None:
    content, data = sample_model(), sample_manifest(sample_model())
    before = json.dumps(data)
    for mutator in (*mutators.BYTES, mutators.damage_model):
        changed = [mutator(content, np.random.default_rng(seed)) for seed in range(20)]
        assert len({bytes(item) for item in changed} - {content}) > 5, mutator.__name__
    assert len({mutators.damage_json(data, np.random.default_rng(seed)) for seed in range(50)}) > 40
    assert json.dumps(data) == before


def test_a_changed_model_is_often_still_a_model() -> None:
    """Else it would end at the flatbuffer, and no later check would ever be tried."""
    readable = 0
    for seed in range(60):
        try:
            load_any(mutators.damage_model(sample_model(), np.random.default_rng(seed)), where="")
            readable += 1
        except InputError as error:
            readable += "is damaged:" in str(error)  # understood, and refused for what it says
    assert readable >= 20


def test_samples_have_every_field() -> None:
    assert sample_results()["cost"]["android"][0]["benchmark_model"] is not None
    assert sample_manifest(sample_model())["quantization"]["auroc"]["tasks"]
    assert sample_run()["dataset"]["trained_subjects"] == ["m"]


def test_the_batch_prints_outcomes_alone(capsys: pytest.CaptureFixture[str]) -> None:
    batch.run_cases("recipes", seed=0, first=0, last=3, out=sys.stdout)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == [0, 0, 1, 1, 2, 2]
    assert [line["outcome"] is None for line in lines] == [True, False] * 3


@pytest.mark.parametrize("number", [1e308, -1e308, 1e19])
def test_a_number_that_overflows_where_it_is_shown_is_refused(number: float, tmp_path: Path) -> None:
    data = sample_results()
    data["models"][0]["quantization"]["auroc"]["high"] = number
    (tmp_path / "results.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"results\.json: it holds the number"):
        read_results(tmp_path / "results.json")


def test_a_sample_that_is_refused_as_it_is_is_no_sample(tmp_path: Path) -> None:
    write_sample_bundle(tmp_path / "sample.tflite", {"schema": "of another version"}, content=sample_model())
    with pytest.raises(InputError, match="schema"):
        targets.use_sample(tmp_path / "sample.tflite")
