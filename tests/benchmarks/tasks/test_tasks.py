"""Regression tasks, the challenge score, and the synthetic spirometry that ties a number to a sound."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hearlite.audio.clips import from_int16
from hearlite.audio.synth import DEVICES
from hearlite.benchmarks.datasets.synthetic_spirometry import (
    OBSTRUCTED_BELOW,
    TAU_S,
    exhalation,
    fev1_fvc,
    write_spirometry_corpus,
)
from hearlite.benchmarks.tasks import challenge_score
from hearlite.benchmarks.tasks.binary import binary_tasks, distinct_tasks
from hearlite.benchmarks.tasks.regression import regression_tasks
from hearlite.data.dataset import load_dataset
from hearlite.data.reading import Clip, read_clips
from hearlite.errors import InputError, UsageError

SUBJECTS = [f"s{index}" for index in range(12)]
SPLITS = ["train"] * 5 + ["val"] + ["test"] * 6


def test_a_number_for_each_labelled_clip() -> None:
    values = ["0.5", "", " 1e-1 ", "-2", "3", "4", "5", *["6"] * 5]
    (task,) = regression_tasks(values, column="fvc", subjects=SUBJECTS, splits=SPLITS, min_subjects=5).tasks
    assert task.name == "fvc"
    assert task.labelled.tolist() == [True, False, *[True] * 10]
    assert task.values[task.labelled].tolist() == [0.5, 0.1, -2, 3, 4, 5, *[6] * 5]
    assert np.isfinite(task.values).all()  # also where nothing is known: arithmetic on all of them must not spread NaN


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([""] * 12, "no labelled clip"),
        (["1"] * 4 + [""] * 2 + ["2"] * 6, "4 labelled subjects in train, needs 5"),
        (["1", "2"] * 3 + ["2"] * 4 + [""] * 2, "4 labelled subjects in test, needs 5"),
        (["1"] * 6 + ["2"] * 6, "one value only in train (1)"),
    ],
)
def test_what_can_be_no_regression_is_left_out_with_the_reason(values: list[str], reason: str) -> None:
    found = regression_tasks(values, column="fvc", subjects=SUBJECTS, splits=SPLITS)
    assert found.tasks == ()
    assert [(item.name, item.reason) for item in found.left_out] == [("fvc", reason)]


def test_several_clips_of_a_subject_count_once() -> None:
    subjects = ["a"] * 6 + SUBJECTS[6:]
    (left_out,) = regression_tasks([str(i) for i in range(12)], column="x", subjects=subjects, splits=SPLITS).left_out
    assert left_out.reason == "1 labelled subjects in train, needs 5"


@pytest.mark.parametrize("value", ["wet", "nan", "inf", "1,5"])
def test_a_target_that_is_no_number_is_an_error_and_not_a_class(value: str) -> None:
    with pytest.raises(InputError, match=f"'fvc' holds '{value}'"):
        regression_tasks([value, *["1"] * 11], column="fvc", subjects=SUBJECTS, splits=SPLITS)


def test_a_regression_checks_lengths_and_leaks_as_a_binary_task_does() -> None:
    for make in (regression_tasks, binary_tasks):
        with pytest.raises(InputError, match="11 values for 12 clips"):
            make(["1"] * 11, column="x", subjects=SUBJECTS, splits=SPLITS)
        with pytest.raises(InputError, match="in test and in training"):
            make(["1"] * 12, column="x", subjects=["s"] * 12, splits=SPLITS)


def test_challenge_score_of_a_confusion_that_was_counted_by_hand() -> None:
    truth = ["normal"] * 4 + ["crackle"] * 3 + ["wheeze"] * 2 + ["both"]
    guess = ["normal", "normal", "normal", "both", "crackle", "wheeze", "normal", "wheeze", "crackle", "both"]
    score = challenge_score(truth, guess, normal="normal")
    assert (score.sensitivity, score.specificity) == (3 / 6, 3 / 4)  # a crackle that was called a wheeze was not found
    assert score.average == pytest.approx(0.625)
    assert score.harmonic == pytest.approx(0.6)


def test_challenge_score_of_calling_everything_normal() -> None:
    score = challenge_score(["normal", "wheeze"], ["normal", "normal"], normal="normal")
    assert (score.sensitivity, score.specificity, score.average, score.harmonic) == (0, 1, 0.5, 0)
    assert challenge_score(["n", "w"], ["w", "n"], normal="n").harmonic == 0


def test_challenge_score_needs_both_kinds_and_a_guess_each() -> None:
    with pytest.raises(InputError, match="needs both"):
        challenge_score(["normal"], ["normal"], normal="normal")
    with pytest.raises(InputError, match="2 predictions for 1"):
        challenge_score(["normal"], ["normal", "normal"], normal="normal")


@pytest.fixture(scope="module")
def blows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spirometry_corpus(
        tmp_path_factory.mktemp("blows") / "corpus", subjects=40, recordings_per_subject=2, seed=1
    )


def test_fev1_fvc_spans_health_and_obstruction() -> None:
    assert fev1_fvc(TAU_S[0]) > 0.9 > OBSTRUCTED_BELOW > 0.5 > fev1_fvc(TAU_S[1])


def test_a_blow_of_narrow_airways_decays_slowly() -> None:
    def half_life(tau_s: float) -> float:
        """Energy of 0.75 - 1.25 s after the onset over that of 0.1 - 0.6 s."""
        shares = []
        for seed in range(8):
            sound, start_s = exhalation(np.random.default_rng(seed), tau_s=tau_s, flow_power=1.66, device=DEVICES[0])
            early, late = (
                sound[round((start_s + at) * DEVICES[0].sample_rate_hz) :][: DEVICES[0].sample_rate_hz // 2]
                for at in (0.1, 0.75)
            )
            shares.append(float(np.mean(late**2) / np.mean(early**2)))
        return float(np.median(shares))

    assert half_life(0.45) < half_life(0.8) < half_life(1.4)


def test_the_sound_predicts_the_ratio_better_than_the_mean_does(blows: Path) -> None:
    """The whole path: manifest, clips, task; one crude feature and a line. Without a tie between sound and number it
    could not beat the mean.
    """
    dataset = load_dataset(blows, label_columns=("fev1_fvc",))
    clips = [clip for clip in read_clips(dataset.clips) if isinstance(clip, Clip)]
    refs = [clip.ref for clip in clips]
    splits = [ref.split for ref in refs]
    (task,) = regression_tasks(
        [ref.label("fev1_fvc") for ref in refs],
        column="fev1_fvc",
        subjects=[ref.subject for ref in refs],
        splits=splits,
    ).tasks
    sound = np.stack([from_int16(clip.pcm) for clip in clips])
    half = sound.shape[1] // 4
    decay = np.log(np.mean(sound[:, half : 2 * half] ** 2, axis=1) / np.mean(sound[:, :half] ** 2, axis=1))
    trained = np.asarray(splits) != "test"
    line = np.polyfit(decay[trained], task.values[trained], 1)
    error = np.abs(np.polyval(line, decay[~trained]) - task.values[~trained]).mean()
    of_the_mean = np.abs(task.values[trained].mean() - task.values[~trained]).mean()
    assert error < 0.8 * of_the_mean
    assert dataset.synthetic


def test_spirometry_corpus_is_reproducible_and_one_number_a_subject(blows: Path, tmp_path: Path) -> None:
    with blows.open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_subject = {row["subject"]: (row["fev1_fvc"], row["split"]) for row in rows}
    assert len(by_subject) == 40
    assert all((row["fev1_fvc"], row["split"]) == by_subject[row["subject"]] for row in rows)
    assert {row["label"] for row in rows} == {"normal", "obstructed"}
    assert all((float(row["fev1_fvc"]) < OBSTRUCTED_BELOW) == (row["label"] == "obstructed") for row in rows)
    again = write_spirometry_corpus(tmp_path / "again", subjects=40, recordings_per_subject=2, seed=1)
    assert again.read_bytes() == blows.read_bytes()
    name = rows[7]["file"]
    assert (again.parent / name).read_bytes() == (blows.parent / name).read_bytes()


def test_spirometry_corpus_refuses_impossible_numbers_and_other_corpora(blows: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="subjects=2"):
        write_spirometry_corpus(tmp_path / "x", subjects=2, recordings_per_subject=1, seed=0)
    with pytest.raises(InputError, match="other parameters"):
        write_spirometry_corpus(blows.parent, subjects=3, recordings_per_subject=1, seed=0)


def test_columns_that_ask_the_same_are_asked_once() -> None:
    kinds = ["normal"] * 6 + ["wheeze"] * 6 + ["crackle"] * 6 + [""]
    abnormal = ["0" if kind == "normal" else "1" if kind else "" for kind in kinds]
    subjects, splits = [str(i) for i in range(19)], ["train"] * 19
    sets = [
        binary_tasks(values, column=name, subjects=subjects, splits=splits, min_subjects=0)
        for name, values in (("kind", kinds), ("abnormal", abnormal))
    ]
    found = distinct_tasks([task for item in sets for task in item.tasks])
    assert [task.name for task in found.tasks] == ["kind=crackle", "kind=wheeze", "abnormal=1"], (
        "the one that was made to be asked stays"
    )
    assert [(item.name, item.reason) for item in found.left_out] == [
        ("kind=normal", "it asks the same question about the same clips as abnormal=1")
    ]
    unlabelled = binary_tasks(
        [*abnormal[:-1], "1"], column="other", subjects=subjects, splits=splits, min_subjects=0
    ).tasks
    assert len(distinct_tasks([*sets[0].tasks, *unlabelled]).tasks) == 4, "another clip more is another question"
