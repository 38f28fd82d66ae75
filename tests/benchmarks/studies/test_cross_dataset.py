"""Test transfer between datasets that share a sign, and to one where the sign is reversed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.studies.cross_dataset import Side, TransferResults, command, matrix, sides, table
from hearlite.benchmarks.studies.inputs import Models, embedded_by
from hearlite.data.dataset import load_dataset
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError, UsageError
from hearlite.serialization import from_dict


def made_up(seed: int, *, sign: float) -> tuple[Side, Side]:
    rng = np.random.default_rng(seed)
    found = []
    for subjects in (30, 20):
        subject_index = np.repeat(np.arange(subjects), 4)
        labels = subject_index % 2 == 0
        values = rng.normal(size=(len(subject_index), 4)) + np.outer(labels, [sign, 1.5, 0, 0]) * [1, sign, 1, 1]
        found.append(
            Side({"teacher": values, "noise": rng.normal(size=(len(subject_index), 2))}, labels, subject_index)
        )
    return found[0], found[1]


def test_what_is_shared_carries_over_and_what_is_reversed_does_not() -> None:
    rows = matrix(
        {"a": made_up(0, sign=1), "b": made_up(1, sign=1), "c": made_up(2, sign=-1)},
        reference="teacher",
        seed=0,
        samples=200,
    )
    assert [(row.train, row.test) for row in rows] == [(one, other) for one in "abc" for other in "abc"]
    cells = {(row.train, row.test): row.models for row in rows}
    for here, there in (("a", "a"), ("a", "b"), ("b", "a"), ("c", "c")):
        assert cells[here, there][0].auroc.low > 0.7
    for here, there in (("a", "c"), ("c", "b")):
        assert cells[here, there][0].auroc.high < 0.4
    assert cells["a", "b"][1].difference.high < 0 and cells["a", "b"][0].difference.value is None
    text = table(rows)
    assert text.count("**") == 4 and text.count("| trained on, tested on | a | b | c |") == 2
    assert text.count("[") == 18


def test_sides_are_of_labelled_clips_and_need_subjects_of_both_classes(labelled: Path) -> None:
    dataset = load_dataset(labelled, label_columns=("narrow",))
    found = embedded_by(dataset, Models({"teacher": FakeTeacher(8)}, ()))
    train, test = sides(found, column="narrow", positive="yes")
    assert len(train.labels) + len(test.labels) == len(dataset.clips)
    assert train.vectors["teacher"].shape == (len(train.labels), 8)
    assert (int(train.subject_index.max()) + 1, int(test.subject_index.max()) + 1) == (14, 6)
    with pytest.raises(InputError, match=r"a class of 0 subjects in train, needs 5; its values of 'narrow': no, yes"):
        sides(found, column="narrow", positive="wide")


def test_one_dataset_is_no_transfer(labelled: Path) -> None:
    done = CliRunner().invoke(
        command,
        [
            str(labelled),
            "--teacher",
            "fake:8",
            "--model",
            "m.tflite",
            "--label",
            "narrow",
            "--positive",
            "yes",
            "--out",
            "nowhere",
        ],
    )
    assert isinstance(done.exception, UsageError) and "two or more" in str(done.exception)


def test_the_command_writes_a_matrix_for_every_model(labelled: Path, fake_student: str, tmp_path: Path) -> None:
    shutil.copytree(labelled.parent, tmp_path / "other")
    other = (tmp_path / "other" / labelled.name).rename(tmp_path / "other" / "other.csv")
    arguments = [
        "--teacher",
        "fake:8",
        "--model",
        fake_student,
        "--label",
        "narrow",
        "--positive",
        "yes",
        "--out",
        str(tmp_path / "out"),
    ]
    ran = CliRunner().invoke(command, [str(labelled), str(other), *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [item["name"] for item in results["datasets"]] == [labelled.name, "other.csv"] and len(results["rows"]) == 4
    same = [row["models"][0]["auroc"]["value"] for row in results["rows"]]
    assert len(set(same)) == 1  # a copy is the same data
    assert "text" not in results["rows"][0]["models"][0]
    read = from_dict(TransferResults, results, where="results.json")
    assert (tmp_path / "out" / "table.md").read_text() == table(read.rows)
