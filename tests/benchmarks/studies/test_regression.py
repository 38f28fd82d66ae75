"""Test that embeddings of synthetic spirometry beat the mean, and that figures are those of plain numpy."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.datasets.synthetic_spirometry import write_spirometry_corpus
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.regression import RegressionResults, Samples, command, regression, table
from hearlite.benchmarks.tasks.regression import RegressionTask
from hearlite.errors import InputError
from hearlite.serialization import from_dict


def made_up() -> tuple[RegressionTask, Samples]:
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(90), 3)
    values = np.repeat(rng.normal(70, 10, size=90), 3)
    informative = values[:, None] / 10 + rng.normal(size=(270, 4))
    vectors = {
        "teacher": informative,
        "student": informative + rng.normal(size=informative.shape),
        "deaf": rng.normal(size=(270, 4)),
    }
    task = RegressionTask("fvc", values, np.arange(270) % 9 > 0)
    return task, Samples(vectors, np.array([f"s{owner:02d}" for owner in subject_index]), subject_index >= 50)


def test_models_stand_beside_the_mean_and_the_teacher() -> None:
    task, samples = made_up()
    found = regression(task, samples, probes=("ridge",), seed=0, replicates=400)
    rows = {row.model: row for row in found.rows}
    assert list(rows) == ["", "teacher", "student", "deaf"] and (found.train_subjects, found.test_subjects) == (
        50,
        40,
    )
    tested = task.labelled & samples.tested
    of_mean = np.abs(task.values[tested] - task.values[task.labelled & ~samples.tested].mean()).mean()
    assert rows[""].mae.value == pytest.approx(of_mean)
    assert rows[""].pearson.value is None
    assert rows[""].to_mean == rows[""].to_teacher == Estimate()
    for model in ("teacher", "student"):
        assert rows[model].to_mean.high < 0
        assert rows[model].mae.low < rows[model].mae.value < rows[model].mae.high < of_mean
        assert rows[model].mae.value == pytest.approx(
            np.abs(np.array(found.predicted[f"{model} ridge"]) - found.truth).mean()
        )
    assert rows["student"].to_teacher.low > 0
    assert rows["deaf"].to_mean.low < 0 < rows["deaf"].to_mean.high or abs(rows["deaf"].to_mean.value) < 0.2
    text = table([found], synthetic=False)
    assert "| mean of training samples |  | " in text and "nothing about people" not in text


def test_the_command_on_synthetic_spirometry(fake_student: str, tmp_path: Path) -> None:
    manifest = write_spirometry_corpus(tmp_path / "blows", subjects=40, recordings_per_subject=2, seed=1)
    arguments = [
        str(manifest),
        "--teacher",
        "spectral",
        "--model",
        fake_student,
        "--target",
        "fev1_fvc",
        "--out",
        str(tmp_path / "out"),
    ]
    ran = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["schema"] == "hearlite-regression/1" and results["dataset"]["synthetic"]
    (target,) = results["targets"]
    mean, teacher, student = target["rows"]
    assert teacher["to_mean"]["high"] < 0 and teacher["mae"]["value"] < 0.75 * mean["mae"]["value"]
    assert student["model"] == fake_student and student["to_teacher"]["value"] is not None
    text = (tmp_path / "out" / "table.md").read_text()
    assert text == table(from_dict(RegressionResults, results, where="results.json").targets, synthetic=True)
    assert "say nothing about people" in text and "fev1_fvc" in text
    assert "fev1_fvc, measured" in (tmp_path / "out" / "regression.svg").read_text()


def test_words_are_no_target(labelled: Path, fake_student: str, tmp_path: Path) -> None:
    arguments = [
        str(labelled),
        "--teacher",
        "fake:8",
        "--model",
        fake_student,
        "--target",
        "narrow",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, InputError) and "finite numbers" in str(done.exception)
