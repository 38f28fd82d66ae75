"""Test that attention finds a sign in one clip of many, and the mean a faint one in all of them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.probes.multiple_instance import (
    PENALTIES,
    ClipBags,
    fit_attention,
    group_clips,
    group_recordings,
    loss_and_gradient,
    recording_lengths,
    weights_of,
)
from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.studies.recording_pooling import (
    METHODS,
    SINGLE,
    PoolingResults,
    RecordCounts,
    command,
    pooling,
    scores_by_method,
    table,
)
from hearlite.benchmarks.tasks.binary import binary_tasks
from hearlite.data.dataset import load_dataset
from hearlite.errors import InputError
from hearlite.serialization import from_dict

DIM = 6


def made_up(*, faint: bool, records: int = 160, seed: int = 0) -> tuple[ClipBags, np.ndarray, np.ndarray]:
    """Make bags, labels and subjects, with two records for each subject.

    The sign is faint in every clip, or plain in one clip that another dimension marks.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(3, 9, size=records)
    labels = rng.random(records) < 0.5
    subject_index = np.repeat(np.arange(records), counts)
    values = rng.normal(size=(len(subject_index), DIM))
    if faint:
        values[:, 0] += 0.9 * labels[subject_index]
    else:
        marked = np.cumsum(counts) - 1 - rng.integers(counts)
        values[:, 1] *= 0.1
        values[marked, 1] += 3.0
        values[marked, 0] += np.where(labels, 2.0, -2.0)
    return ClipBags(values, counts), labels, np.array([f"s{record // 2:02d}" for record in range(records)])


def halves(*, faint: bool) -> tuple[ClipBags, np.ndarray, ClipBags, np.ndarray, np.ndarray]:
    bags, labels, subjects = made_up(faint=faint)
    first, last = np.arange(80), np.arange(80, 160)
    return (
        bags.take(first),
        labels[first],
        bags.take(last),
        labels[last],
        fold_table(labels[first], subjects[first], seed=0),
    )


def test_bags_are_what_a_loop_over_records_gives() -> None:
    bags, _, _ = made_up(faint=True, records=12)
    parts = np.split(bags.values, np.cumsum(bags.counts)[:-1])
    np.testing.assert_allclose(bags.mean(), [part.mean(axis=0) for part in parts])
    np.testing.assert_array_equal(bags.maxima(bags.values), [part.max(axis=0) for part in parts])
    taken = bags.take(np.array([5, 0, 11]))
    np.testing.assert_array_equal(taken.values, np.concatenate([parts[5], parts[0], parts[11]]))
    mixed = np.random.default_rng(0).permutation(len(bags.values))
    again = group_clips(bags.values[mixed], bags.subject_index[mixed])
    np.testing.assert_allclose(again.mean(), bags.mean())
    np.testing.assert_array_equal(again.counts, bags.counts)


def test_a_row_of_the_manifest_is_a_record(corpus: Path) -> None:
    clips = load_dataset(corpus).clips
    records, of_clip = group_recordings(clips)
    assert len(records) == len({(clip.name, clip.row) for clip in clips}) == of_clip.max() + 1
    assert all(records[number].row == clip.row for number, clip in zip(of_clip, clips, strict=True))
    event, whole = records[0], dataclasses.replace(records[0], event_start_s=None, event_end_s=None)
    lengths = recording_lengths([event, whole], np.array([0, 1, 1, 1]))
    assert lengths.tolist() == [[event.event_end_s - event.event_start_s], [6.0]]


def test_the_gradient_of_attention_is_that_of_its_loss() -> None:
    from scipy.optimize import check_grad

    bags, labels, _ = made_up(faint=False, records=20)
    start = 0.3 * np.random.default_rng(1).normal(size=2 * DIM + 1)
    parts = [lambda x, part=part: loss_and_gradient(x, bags, labels, c=0.5, penalty=0.1)[part] for part in (0, 1)]
    error = check_grad(*parts, start)
    assert error < 1e-6
    weights = weights_of(1e3 * np.random.default_rng(2).normal(size=len(bags.values)), bags)
    np.testing.assert_allclose(bags.sums(weights), 1.0)


def test_attention_finds_the_clip_that_matters_and_the_mean_a_sign_that_is_everywhere() -> None:
    train, labels, test, truth, folds = halves(faint=False)
    scores, penalty = scores_by_method(train, labels, test, folds=folds, seed=0)
    aurocs = {
        method: float(np.mean([auroc(row, truth) for row in np.atleast_2d(values)]))
        for method, values in scores.items()
    }
    assert list(aurocs) == list(METHODS)
    assert aurocs["attention"] > 0.95 > aurocs["mean embedding"] + 0.02 > aurocs[SINGLE] + 0.02
    assert penalty < np.inf
    train, labels, test, truth, folds = halves(faint=True)
    scores, _ = scores_by_method(train, labels, test, folds=folds, seed=0)
    singles = np.mean([auroc(row, truth) for row in scores[SINGLE]])
    assert (
        auroc(scores["mean embedding"], truth) > singles + 0.08 and auroc(scores["mean score"], truth) > singles + 0.08
    )
    assert auroc(scores["max score"], truth) < auroc(scores["mean score"], truth)


def test_attention_that_may_not_leave_the_mean_is_the_mean() -> None:
    train, labels, test, _, folds = halves(faint=True)
    mean = fit_probe(train.mean(), labels, test.mean(), folds=folds)
    found = fit_attention(train, labels, test, folds=folds)
    if found.chosen["attention penalty"] == PENALTIES[0]:
        np.testing.assert_array_equal(found.scores, mean.scores)
    assert auroc(found.scores, mean.scores > np.median(mean.scores)) > 0.95


def test_test_records_change_nothing_of_each_other() -> None:
    train, labels, test, _, folds = halves(faint=False)
    whole, _ = scores_by_method(train, labels, test, folds=folds, seed=0)
    some, _ = scores_by_method(train, labels, test.take(np.arange(10)), folds=folds, seed=0)
    for method in METHODS:
        if method != SINGLE:  # its clips are drawn anew
            np.testing.assert_allclose(some[method], whole[method][:10], atol=1e-9)


def test_rows_compare_with_the_single_clip_and_with_the_teacher() -> None:
    bags, labels, subjects = made_up(faint=True)
    tested = np.arange(len(labels)) >= 80
    tasks = binary_tasks(
        [str(int(value)) for value in labels],
        column="sick",
        subjects=subjects.tolist(),
        splits=np.where(tested, "test", "train").tolist(),
    ).tasks
    noisy = ClipBags(bags.values + 2 * np.random.default_rng(3).normal(size=bags.values.shape), bags.counts)
    found = pooling({"teacher": bags, "student": noisy}, tasks, subjects, tested, seed=0, samples=300)
    assert [row.method for row in found.mean] == list(METHODS)
    single, mean = found.mean[0].models, found.mean[2].models
    assert single[0].to_single_clip.value is None and single[0].to_teacher.value is None
    for before, after in zip(single, mean, strict=True):
        assert after.to_single_clip.value == pytest.approx(after.auroc.value - before.auroc.value)
    assert mean[0].to_single_clip.low > 0
    assert mean[1].to_teacher.high < 0
    assert found.tasks[0].test == RecordCounts(records=80, positive=int(labels[80:].sum()), subjects=40)


def test_the_command_writes_results_table_and_plot(labelled: Path, fake_student: str, tmp_path: Path) -> None:
    whole = labelled.parent / "whole.csv"
    lines = [line.split(",") for line in labelled.read_text().splitlines()]
    whole.write_text("\n".join(",".join([line[0], *line[3:]]) for line in lines) + "\n")
    arguments = ["--teacher", "fake:8", "--model", fake_student, "--label", "narrow", "--out", str(tmp_path)]
    ran = CliRunner().invoke(command, [str(whole), *arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["schema"] == "hearlite-pooling/1" and results["records"]["test"] == 24
    assert [item["model"] for item in results["mean"][0]["models"]] == ["teacher", fake_student, "duration only"]
    assert (tmp_path / "table.md").read_text() == table(from_dict(PoolingResults, results, where="results.json"))
    assert (tmp_path / "table.md").read_text() in ran.output
    assert (tmp_path / "table.md").read_text().count("\n| ") == len(METHODS)
    svg = (tmp_path / "pooling.svg").read_text()
    assert all(method in svg for method in METHODS)


def test_records_of_one_clip_are_nothing_to_pool(labelled: Path, fake_student: str, tmp_path: Path) -> None:
    arguments = [
        str(labelled),
        "--teacher",
        "fake:8",
        "--model",
        fake_student,
        "--label",
        "narrow",
        "--framing",
        "zero-pad",
    ]
    done = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path)])
    assert isinstance(done.exception, InputError) and "one clip each" in str(done.exception)
