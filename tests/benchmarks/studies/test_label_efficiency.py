"""Test that parts are of whole subjects and nested, and that all labels give the figure of `hearlite bench`."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies import label_efficiency
from hearlite.benchmarks.studies.label_efficiency import SHARES, EfficiencyResults, draw_subset, efficiency, table
from hearlite.benchmarks.tasks.binary import binary_tasks
from hearlite.serialization import from_dict

SUBJECTS, CLIPS = 80, 4


@pytest.fixture(scope="module")
def made_up():
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    sick = (subject_index % 2 == 0) & (rng.random(len(subject_index)) < 0.7)
    embeddings = rng.normal(size=(len(subject_index), 12)) + 0.5 * np.outer(sick, rng.normal(size=12))
    subjects, splits = (
        np.array([f"s{owner}" for owner in subject_index]),
        np.where(subject_index % 4 < 2, "train", "test"),
    )
    tasks = binary_tasks(
        [str(int(value)) for value in sick], column="sick", subjects=subjects.tolist(), splits=splits.tolist()
    ).tasks
    return {"teacher": embeddings, "copy": embeddings}, tasks, subjects, splits == "test", splits


def test_parts_are_of_whole_subjects_and_lie_within_each_other(made_up):
    _, (task,), subjects, tested, _ = made_up
    labels, people = task.labels[~tested], subjects[~tested]
    whole = set(people)
    for draw in range(3):
        parts = [draw_subset(labels, people, share=share, draw=draw, seed=0) for share in SHARES]
        assert parts[0].all()
        names = [set(people[part]) for part in parts]
        assert all(set(people[~part]) == whole - set(people[part]) for part in parts)
        assert all(smaller <= larger for larger, smaller in itertools.pairwise(names))
        assert [len(part) for part in names] == sorted((len(part) for part in names), reverse=True)
        assert labels[parts[-1]].any() and not labels[parts[-1]].all()
    assert set(people[draw_subset(labels, people, share=0.1, draw=0, seed=0)]) != set(
        people[draw_subset(labels, people, share=0.1, draw=1, seed=0)]
    )


def test_all_labels_give_the_figure_of_bench_and_few_give_less(made_up, monkeypatch):
    models, tasks, subjects, tested, splits = made_up
    monkeypatch.setattr(label_efficiency, "DRAWS", 2)
    rows = efficiency(models, tasks, subjects, tested, seed=0, samples=200)
    assert [row.share for row in rows] == list(SHARES)
    bench = run_probes(models, tasks, subjects.tolist(), splits.tolist(), reference="teacher", seed=0, samples=200)
    teacher, copy = rows[0].models
    expected = bench.tasks[0].scores[0].auroc
    assert (teacher.auroc.value, teacher.auroc.low) == pytest.approx((expected.value, expected.low))
    assert copy.difference == Estimate(0.0, 0.0, 0.0)
    assert rows[-1].models[0].auroc.value < teacher.auroc.value - 0.01
    assert rows[0].subjects == 40 and rows[-1].subjects < 10
    assert [row.parts + row.parts_without_two_classes for row in rows] == [1, 2, 2, 2, 2]
    text = table(rows)
    assert text.startswith("| training subjects | teacher | copy |\n|---|---|---|\n| 100 % (40) | ")
    assert text.count("[") == 2 * len(SHARES)


def test_the_command_compares_teacher_student_and_baseline(
    labelled: Path, fake_student: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_efficiency, "SHARES", (1.0,))
    arguments = [
        str(labelled),
        "--teacher",
        "fake:8",
        "--model",
        fake_student,
        "--label",
        "narrow",
        "--out",
        str(tmp_path),
    ]
    ran = CliRunner().invoke(label_efficiency.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert [item["model"] for item in results["rows"][0]["models"]] == ["teacher", fake_student, "spectral"]
    assert results["models"] == [{"name": fake_student, "sha256": "0" * 64, "precision": "i8"}]
    read = from_dict(EfficiencyResults, results, where="results.json")
    assert (tmp_path / "table.md").read_text() == table(read.rows)
    assert table(read.rows) in ran.output
