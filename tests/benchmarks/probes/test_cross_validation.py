"""Cross-validation by subject: nobody is scored by a probe that knows them, folds pool fairly, heard subjects only train."""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.probes.cross_validation import CrossValidation, cross_fit, outer_folds, pooled
from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.probes.heard import set_scored_subjects
from hearlite.benchmarks.run import bench
from hearlite.benchmarks.schema.baselines import PERMUTED
from hearlite.benchmarks.schema.io import read_results
from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.tasks.binary import Task, binary_tasks
from hearlite.bundle import Manifest, heard_path
from hearlite.data.copies import subject_groups
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.duplicates import fingerprint_recordings
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError, UsageError
from hearlite.manifests.splits import subject_hash

OWNERS = np.repeat(np.arange(24), 4)
PEOPLE = np.array([f"s{owner:02}" for owner in OWNERS])
SICK = OWNERS % 3 == 0


def vectors(*, effect: float, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Embeddings that tell the sick by `effect`, and each subject from all others."""
    rng = np.random.default_rng(seed)
    found = 0.5 * rng.standard_normal((len(OWNERS), dim)) + 2 * rng.standard_normal((24, dim))[OWNERS]
    found[:, 0] += effect * SICK
    return found


def test_folds_keep_groups_whole_and_leave_out_who_is_not_scored() -> None:
    groups, scored = np.where(OWNERS == 5, "s03", PEOPLE), OWNERS != 7
    table = outer_folds(SICK, groups, scored, folds=5, seed=0)
    assert set(table[scored]) == set(range(5)) and set(table[~scored]) == {-1}
    assert all(len(set(table[groups == group])) == 1 for group in set(groups))
    assert all(0 < SICK[table == fold].sum() < (table == fold).sum() for fold in range(5))


def test_a_subject_is_scored_by_probes_that_do_not_know_it() -> None:
    """Labels of the scored fold change nothing about its scores."""
    table = outer_folds(SICK, PEOPLE, np.ones(len(OWNERS), bool), folds=4, seed=0)
    inputs = vectors(effect=2.0)
    before = cross_fit("logistic", inputs, SICK, PEOPLE, table, seed=0)
    first = table == 0
    after = cross_fit("logistic", inputs, SICK ^ first, PEOPLE, table, seed=0)
    np.testing.assert_allclose(after.scores[first], before.scores[first])
    np.testing.assert_allclose(after.above_threshold[first], before.above_threshold[first])
    np.testing.assert_allclose(after.probabilities[first], before.probabilities[first])
    assert np.abs(after.scores[~first] - before.scores[~first]).max() > 0.1
    assert len(before.by_fold) == 4 and set(before.chosen) == {"C"}


def test_heard_subjects_train_and_are_not_scored() -> None:
    scored = OWNERS >= 8
    table = outer_folds(SICK, PEOPLE, scored, folds=4, seed=0)
    fit = cross_fit("logistic", vectors(effect=2.0), SICK, PEOPLE, table, seed=0)
    assert len(fit.scores) == scored.sum()
    flipped = cross_fit("logistic", vectors(effect=2.0), SICK ^ ~scored, PEOPLE, table, seed=0)
    assert np.abs(fit.scores - flipped.scores).max() > 0.1


def test_useless_embeddings_come_out_at_a_half() -> None:
    """Pooled as they are, the offsets of the folds' probes would put them far below."""
    raw, fair = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(24)[OWNERS] < 8
        inputs = rng.standard_normal((len(OWNERS), 3)) * 1e-3 + 1.0
        table = outer_folds(labels, PEOPLE, np.ones(len(OWNERS), bool), folds=5, seed=seed)
        fair.append(auroc(cross_fit("logistic", inputs, labels, PEOPLE, table, seed=seed).scores, labels))
        prior = np.array([labels[table != fold].mean() for fold in table])  # what an intercept alone scores
        raw.append(auroc(prior, labels))
    assert np.mean(raw) < 0.45
    assert abs(np.mean(fair) - 0.5) < 0.08  # 12 draws of 8 and 16 subjects: a standard error of 0.035


def test_pooled_standardizes_each_fold() -> None:
    table = np.array([0, 1, 0, 1, -1])
    np.testing.assert_allclose(pooled([np.array([1.0, 3.0]), np.array([9.0, 9.0])], table), [-1.0, 0.0, 1.0, 0.0])


def sick_task() -> tuple[Task, ...]:
    values = np.where(SICK, "yes", "no").tolist()
    splits = ["train"] * len(OWNERS)
    assert binary_tasks(values, column="sick", subjects=PEOPLE.tolist(), splits=splits).tasks == ()  # nobody in test
    return binary_tasks(
        values, column="sick", subjects=PEOPLE.tolist(), splits=splits, scored=np.ones(len(OWNERS), bool)
    ).tasks


def probe(**options: Any) -> Any:
    models = {"teacher": vectors(effect=12.0), "noise": vectors(effect=0.0, seed=1)}
    return run_probes(
        models,
        sick_task(),
        PEOPLE.tolist(),
        ["test"] * len(OWNERS),
        reference="teacher",
        seed=0,
        samples=300,
        cross_validation=CrossValidation(4, np.ones(len(OWNERS), bool), PEOPLE),
        subgroups={"site": ["ab"[owner // 21] for owner in OWNERS]},
        **options,
    )


def test_results_have_the_same_figures_as_a_split_has() -> None:
    results = probe()
    (task,) = results.tasks
    scores = {score.model: score for score in task.scores}
    assert (task.test.positive_subjects, task.test.negative_subjects) == (8, 16)
    assert scores["teacher"].auroc.value > 0.8 > scores["noise"].auroc.value
    assert scores["teacher"].auroc.low < scores["teacher"].auroc.value <= scores["teacher"].auroc.high
    assert abs(scores[PERMUTED].auroc.value - 0.5) < 0.2
    assert scores["teacher"].point is not None and scores["teacher"].calibration is not None
    assert scores["teacher"].point.sensitivity.value > 0.5 and scores["teacher"].point.specificity.value > 0.5
    (site,) = scores["teacher"].subgroups
    assert [group.value for group in site.groups] == ["a"] and site.groups[0].auroc.value > 0.8
    assert results == probe()
    with pytest.raises(UsageError, match="paper's protocol has no folds"):
        probe(clip_wise=True)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 recordings of 12 subjects: too few to set five of each class aside."""
    manifest = write_corpus(tmp_path_factory.mktemp("few") / "corpus", subjects=12, recordings_per_subject=2, seed=5)
    with manifest.open(newline="") as file:
        owners = {row["file"]: row["subject"] for row in csv.DictReader(file)}
    people = sorted(set(owners.values()))
    rows = [f"{name},{owner},{'yn'[people.index(owner) % 2]}" for name, owner in sorted(owners.items())]
    (manifest.parent / "few.csv").write_text("file,subject,label\n" + "\n".join(rows) + "\n")
    return manifest.parent / "few.csv"


def run(dataset: Dataset, out: Path, **options: Any) -> None:
    bench(
        dataset,
        teacher=FakeTeacher(8),
        files=(),
        label_columns=("label",),
        out=out,
        command="hearlite bench",
        **options,
    )


def test_bench_scores_everybody_in_folds_and_says_so(few: Path, tmp_path: Path) -> None:
    dataset = load_dataset(few)
    with pytest.raises(InputError, match="needs 5"):
        run(dataset, tmp_path / "split")
    run(dataset, tmp_path / "folds", folds=4)
    results = read_results(tmp_path / "folds" / "results.json")
    assert (results.folds, results.dataset.test_subjects, results.dataset.train_subjects) == (4, 12, 0)
    assert results.tasks[0].test.positive_subjects + results.tasks[0].test.negative_subjects == 12
    page = (tmp_path / "folds" / "report.html").read_text()
    assert "4-fold cross-validation over 12 subjects: each is scored by probes that were fitted to others" in page
    with pytest.raises(UsageError, match="folds is 1"):
        run(dataset, tmp_path / "one", folds=1)


def test_only_subjects_that_no_file_has_heard_are_scored(few: Path, tmp_path: Path) -> None:
    """One is known by name, one by sound only, and one shares a recording with that one."""
    folder = tmp_path / "data"
    shutil.copytree(few.parent, folder)
    rows = (folder / "few.csv").read_text().splitlines()
    people = sorted({row.split(",")[1] for row in rows[1:]})
    by_name, by_sound, sharing = people[:3]
    owned = {person: [row.split(",")[0] for row in rows[1:] if row.split(",")[1] == person] for person in people}
    shutil.copy(folder / owned[by_sound][1], folder / "copy.wav")
    (folder / "few.csv").write_text("\n".join([*rows, f"copy.wav,{sharing},y"]) + "\n")
    dataset = load_dataset(folder / "few.csv")
    fingerprints = fingerprint_recordings(dataset)
    groups = subject_groups(dataset, fingerprints)
    assert groups[sharing] == groups[by_sound] and len(set(groups.values())) == 11
    model = tmp_path / "student.tflite"
    content = fingerprints.of(owned[by_sound][:1]).content()
    heard_path(model).write_bytes(content)
    manifest = SimpleNamespace(
        name=model.name,
        heard_sha256=hashlib.sha256(content).hexdigest(),
        dataset=SimpleNamespace(trained_subjects=(subject_hash(by_name),)),
        head=None,
    )
    files = [(model, cast(Manifest, manifest))]
    scored, _ = set_scored_subjects(dataset, files, fingerprints, folds=4)
    sides = {clip.subject: clip.split for clip in scored.clips}
    assert {person for person in people if sides[person] == "train"} == {by_name, by_sound, sharing}
    assert {sides[person] for person in people[3:]} == {"test"}
    with pytest.raises(InputError, match="9 subjects are left for 10 folds, as the files were made from 2 of 12"):
        set_scored_subjects(dataset, files, fingerprints, folds=10)
