"""Test that self-training gains where classes are clusters, and that hidden labels and test clips change nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.studies.self_training import (
    DRAWS,
    ROUNDS,
    SHARES,
    SelfTrainingResults,
    SelfTrainingRow,
    command,
    self_train,
    semi_supervised,
    table,
)
from hearlite.benchmarks.tasks.binary import Task
from hearlite.errors import InputError
from hearlite.serialization import from_dict

DIM = 20


def clusters(clips: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make embeddings and labels, a quarter positive: two clouds well apart along one direction of many."""
    rng = np.random.default_rng(seed)
    labels = rng.random(clips) < 0.25
    return rng.normal(size=(clips, DIM)) + 2.0 * np.outer(np.where(labels, 1, -1), np.eye(DIM)[0]), labels


def test_self_training_learns_from_clips_without_labels_on_average() -> None:
    gains = []
    for seed in range(12):
        (known, labels), (hidden, truth), (test, answers) = (
            clusters(clips, seed=10 * seed + k) for k, clips in enumerate((16, 600, 400))
        )
        alone, _, _ = self_train(known, labels, hidden[:0], test, c=0.1)
        scores, pseudo, taken = self_train(known, labels, hidden, test, c=0.1)
        gains.append(auroc(scores, answers) - auroc(alone, answers))
        assert np.mean(pseudo[taken] == truth[taken]) > 0.55
        assert taken.sum() == pytest.approx(ROUNDS[-1] * 600, abs=2)
        assert pseudo[taken].mean() == pytest.approx(labels.mean(), abs=0.01)
        assert not pseudo[~taken].any()
    assert np.mean(gains) > 0.02


def test_a_test_clip_is_scored_alone() -> None:
    known, labels = clusters(16, seed=5)
    hidden, _ = clusters(100, seed=2)
    test, _ = clusters(50, seed=3)
    whole, _, _ = self_train(known, labels, hidden, test, c=0.1)
    np.testing.assert_allclose(self_train(known, labels, hidden, test[:5], c=0.1)[0], whole[:5])


def study(labels: np.ndarray, values: np.ndarray) -> tuple[SelfTrainingRow, ...]:
    subject_index = np.repeat(np.arange(120), 5)
    subjects, tested = np.array([f"s{owner:03d}" for owner in subject_index]), subject_index >= 80
    task = Task("sick", "1", labels, np.ones(len(labels), dtype=bool))
    noise = values + 2 * np.random.default_rng(9).normal(size=values.shape)
    return semi_supervised({"teacher": values, "student": noise}, [task], subjects, tested, seed=0, samples=200)


def test_gains_are_paired_and_draws_are_counted() -> None:
    values, labels = clusters(600, seed=4)
    rows = study(labels, values)
    assert [row.share for row in rows] == list(SHARES)
    for row in rows:
        assert row.parts + row.parts_left_out == DRAWS
        for item in row.models:
            assert item.gain.value == pytest.approx(item.self_trained.value - item.supervised.value)
            assert item.gain.low < item.gain.value < item.gain.high
            assert 0.5 < item.pseudo_labels_right <= 1
    assert rows[0].subjects > rows[-1].subjects
    assert rows[-1].models[0].supervised.value <= rows[0].models[0].supervised.value + 0.02


def test_labels_that_say_nothing_gain_nothing() -> None:
    values = np.random.default_rng(6).normal(size=(600, DIM))
    labels = np.random.default_rng(7).random(600) < 0.4
    for row in study(labels, values):
        for item in row.models:
            assert item.gain.low <= 0 <= item.gain.high
            assert 0.35 < item.self_trained.value < 0.65


def test_too_few_labels_are_an_error_with_a_remedy() -> None:
    labels = np.repeat(np.arange(120), 5) == 0
    with pytest.raises(InputError, match=r"sick=1: 25 % of the training subjects can't be probed; label more"):
        study(labels | (np.arange(600) == 599), np.random.default_rng(0).normal(size=(600, DIM)))


def test_the_command_writes_results_table_and_plot(labelled: Path, fake_student: str, tmp_path: Path) -> None:
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
    ran = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["schema"] == "hearlite-semi-supervised/2" and results["test_subjects"] == 6
    text = table(from_dict(SelfTrainingResults, results, where="results.json"))
    assert (tmp_path / "table.md").read_text() == text
    assert text.count("[") == 6 * len(SHARES) and "all 6 test subjects" in text
    assert "25 % (" in (tmp_path / "semi_supervised.svg").read_text()
