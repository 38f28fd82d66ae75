"""Forms of a training step are timed in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow")

from hearlite.benchmarks.experiments import training_forms
from hearlite.benchmarks.experiments.training_forms import FORMS, Form, command, measure


@pytest.mark.slow
def test_a_form_is_timed_in_its_own_process() -> None:
    (rate,) = measure("tiny", steps=1, rounds=1, forms=(Form("plain", 1),))
    assert rate.clips_per_s == rate.slowest == rate.fastest > 0
    assert rate.times_first == 1.0
    assert rate.first_step_s > 64 / rate.clips_per_s  # it traces


def test_forms_take_turns_and_are_compared_with_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pool:
        def __init__(self, processes: int, **_: object) -> None:
            assert processes in (1, 2)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, function: object, form: Form, size: str, steps: int) -> Pool:
            order.append(form.name)
            self.form = form
            return self

        def result(self) -> tuple[float, float]:
            return 3.0, 0.5 if self.form.xla else 0.25

    order: list[str] = []
    monkeypatch.setattr(training_forms, "ProcessPoolExecutor", Pool)
    found = CliRunner().invoke(command, ["--steps", "2", "--rounds", "2", "--out", str(tmp_path / "a")])
    assert found.exit_code == 0, found.output
    assert order == 2 * [form.name for form in FORMS for _ in range(form.processes)]
    rows = {row["form"]: row for row in json.loads((tmp_path / "a" / "results.json").read_text())["forms"]}
    assert [rows[form.name]["times_first"] for form in FORMS] == [1.0, 1.0, 2.0, 0.5, 1.0]
    assert "| one thread, XLA | 128 |" in (tmp_path / "a" / "table.md").read_text()
