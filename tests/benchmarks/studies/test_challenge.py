"""Test the challenge study on sounds that are easy to classify, some of them with another label."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from hearlite.benchmarks.datasets.importer import import_dataset, write_manifest
from hearlite.benchmarks.probes.multiclass import FIGURES, LEAKS, classify, measure, replicates
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.challenge import (
    ALL,
    UNKNOWN,
    ChallengeResults,
    Sounds,
    command,
    score_sides,
    table,
)
from hearlite.benchmarks.tasks import challenge_score
from hearlite.errors import InputError
from hearlite.manifests.splits import subject_hash
from hearlite.serialization import from_dict

HZ = {"normal": 200, "crackle": 600, "wheeze": 1300, "both": 2800}
FLAGS = {"normal": "0\t0", "crackle": "1\t0", "wheeze": "0\t1", "both": "1\t1"}
RATE_HZ = 8_000
# Of every test patient: (class of the sound, class of the annotation), so the score of a classifier that is right about
# the sound is known. 207 is in training, too.
TESTED = {
    "201": [("normal", "normal"), ("crackle", "crackle"), ("wheeze", "wheeze"), ("both", "both")],
    "202": [("normal", "normal"), ("normal", "normal"), ("wheeze", "crackle"), ("crackle", "crackle")],
    "203": [("wheeze", "normal"), ("normal", "wheeze"), ("both", "both")],
    "204": [("normal", "normal"), ("normal", "both")],
    "205": [("normal", "normal"), ("both", "wheeze")],
    "207": [("normal", "normal"), ("crackle", "crackle")],
}


def write_patient(root: Path, name: str, cycles: list[tuple[str, str]]) -> None:
    rng, time_s = np.random.default_rng(int(name[:3])), np.arange(2 * RATE_HZ) / RATE_HZ
    sounds = [
        0.3 * np.sin(2 * np.pi * HZ[heard] * rng.uniform(0.97, 1.03) * time_s) + 0.01 * rng.normal(size=len(time_s))
        for heard, _ in cycles
    ]
    soundfile.write(root / f"{name}.wav", np.concatenate(sounds), RATE_HZ)
    (root / f"{name}.txt").write_text(
        "".join(f"{2 * k}\t{2 * k + 2}\t{FLAGS[label]}\n" for k, (_, label) in enumerate(cycles))
    )


@pytest.fixture(scope="module")
def icbhi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("icbhi") / "ICBHI"
    root.mkdir()
    lines = []
    for patient in ("101", "102", "103", "104", "105", "106", "207"):
        write_patient(root, f"{patient}_1b1_Al_sc_Meditron", [(name, name) for name in HZ for _ in range(2)])
        lines.append(f"{patient}_1b1_Al_sc_Meditron\ttrain\n")
    for patient, cycles in TESTED.items():
        write_patient(root, f"{patient}_2b2_Ar_sc_Meditron", cycles)
        lines.append(f"{patient}_2b2_Ar_sc_Meditron\ttest\n")
    (root / "ICBHI_challenge_train_test.txt").write_text("".join(lines))
    write_manifest(import_dataset("icbhi", root), root / "manifest.csv")
    return root


def test_score_of_the_official_split_by_hand(icbhi: Path, fake_student: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        command,
        [str(icbhi), "--teacher", "spectral", "--model", fake_student, "--out", str(tmp_path)],
        catch_exceptions=False,
    )
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["train"] == {"sounds": {"both": 14, "crackle": 14, "normal": 14, "wheeze": 14}, "subjects": 7}
    whole, fresh = results["sides"]
    assert (whole["side"], whole["of"], whole["sounds"], whole["subjects"], whole["subjects_in_training"]) == (
        "test",
        ALL,
        17,
        6,
        1,
    )
    assert whole["warning"] == LEAKS and fresh["warning"] == ""
    assert (fresh["of"], fresh["sounds"], fresh["subjects"]) == (UNKNOWN, 15, 5)
    for side, sensitivity, specificity in ((whole, 6 / 10, 6 / 7), (fresh, 5 / 9, 5 / 6)):
        teacher, student, duration = side["models"]
        assert (
            duration["model"] == "duration only" and duration["average"]["value"] <= 0.5
        )  # cycles of one length: one class for all
        assert {name: teacher[name]["value"] for name in FIGURES} == {
            "sensitivity": pytest.approx(sensitivity),
            "specificity": pytest.approx(specificity),
            "average": pytest.approx((sensitivity + specificity) / 2),
            "harmonic": pytest.approx(2 * sensitivity * specificity / (sensitivity + specificity)),
        }
        assert teacher["average"]["low"] < teacher["average"]["value"] < teacher["average"]["high"]
        assert student["average_difference"]["value"] == pytest.approx(
            student["average"]["value"] - teacher["average"]["value"]
        )
    read = from_dict(ChallengeResults, results, where="results.json")
    assert read.sides[0].models[0].average_difference == Estimate()
    text = (tmp_path / "table.md").read_text()
    assert text == table(read.sides)
    assert text in ran.output and f"**{LEAKS}** (1)" in text and "0.729 [" in text


def test_a_side_whose_subjects_all_train_leaks_and_has_no_others_and_a_side_of_new_ones_does_not() -> None:
    """Score two sides like SPRSound's intra and inter."""
    rng = np.random.default_rng(0)

    def sounds(first: int) -> Sounds:
        subjects = np.repeat([f"s{number}" for number in range(first, first + 8)], 6).astype(object)
        classes = np.tile(np.array(["Normal", "Wheeze", "Fine Crackle"], dtype=object), 16)
        told = np.stack([classes == "Wheeze", classes == "Fine Crackle"], axis=1) * 4.0
        return Sounds(
            {"teacher": told + rng.normal(size=told.shape), "student": told + 2 * rng.normal(size=told.shape)},
            classes,
            subjects,
        )

    heard = {"student": {subject_hash("s1"), subject_hash("s9")}}
    rows = score_sides(sounds(0), {"inter": sounds(8), "intra": sounds(0)}, heard, normal="Normal", seed=0, samples=100)
    assert [(row.side, row.of, row.subjects_in_training) for row in rows] == [
        ("inter", ALL, 0),
        ("intra", ALL, 8),
    ]
    assert [row.warning for row in rows] == ["", LEAKS]
    assert [row.subjects_distilled_on for row in rows] == [{"student": 1}, {"student": 1}]
    assert all(row.models[0].average.value > row.models[1].average.value > 0.5 for row in rows)
    text = table(rows)
    assert text.count("LEAKS") == 1 and text.count("student was distilled on 1 of these subjects.") == 2


def test_a_manifest_without_the_official_split_is_refused(icbhi: Path, fake_student: str, tmp_path: Path) -> None:
    arguments = [str(icbhi), "--teacher", "spectral", "--model", fake_student, "--out", str(tmp_path)]
    done = CliRunner().invoke(command, [*arguments, "--normal", "Normal"])
    assert isinstance(
        done.exception, InputError
    ) and "'Normal' in 'label'; official_split: test, train; label: both" in str(done.exception)
    done = CliRunner().invoke(command, [*arguments, "--split", "sex"])
    assert isinstance(done.exception, InputError) and "sex: empty" in str(done.exception)


def test_replicates_are_scores_of_resampled_sounds() -> None:
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(8), 6)
    truth, guess = (np.asarray(rng.choice(["normal", "wheeze", "both"], 48), dtype=object) for _ in range(2))
    draws = np.stack([np.bincount(rng.integers(8, size=8), minlength=8) for _ in range(5)]).astype(np.uint16)
    found = replicates(truth, guess, subject_index, draws, normal="normal")
    for column, row in zip(found.T, draws, strict=True):
        clips = np.repeat(np.arange(48), row[subject_index])
        score = challenge_score(truth[clips].tolist(), guess[clips].tolist(), normal="normal")
        np.testing.assert_allclose(column, [score.sensitivity, score.specificity, score.average, score.harmonic])
    lonely = np.zeros((1, 8), dtype=np.uint16)
    lonely[0, 0] = 8
    one = np.where(subject_index == 0, "normal", "wheeze").astype(object)
    assert np.isnan(replicates(one, guess, subject_index, lonely, normal="normal")[[0, 2, 3]]).all()


def test_guessing_scores_a_quarter_below_knowing_and_the_interval_knows_few_subjects() -> None:
    rng = np.random.default_rng(1)
    subject_index = np.repeat(np.arange(40), 5)
    subjects = np.array([f"s{owner}" for owner in subject_index])
    truth = np.asarray(rng.choice(["normal", "crackle", "wheeze"], 200), dtype=object)
    guess = np.asarray(rng.permutation(truth), dtype=object)
    (sure, wild) = measure(truth, {"teacher": truth, "student": guess}, subjects, normal="normal", seed=0, samples=300)
    assert sure["average"]["value"] == 1 and 0.8 < sure["average"]["low"] < 1
    assert wild["average"]["low"] < 1 / 3 + 0.05 < 0.5 and wild["average_difference"]["high"] < -0.4
    few = subject_index < 10
    (_, narrow) = measure(
        truth[few], {"teacher": truth[few], "student": guess[few]}, subjects[few], normal="normal", seed=0, samples=300
    )
    assert narrow["average"]["high"] - narrow["average"]["low"] > wild["average"]["high"] - wild["average"]["low"]


def test_one_training_subject_is_too_few() -> None:
    classes, subjects = np.array(["normal", "wheeze"] * 2, dtype=object), np.array(["s"] * 4)
    with pytest.raises(InputError, match="2 classes in training, the rarest of 1 subjects"):
        classify(np.zeros((4, 2)), classes, np.zeros((1, 2)), subjects=subjects, normal="normal", seed=0)
