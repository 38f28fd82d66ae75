"""The teacher's own probe on students."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.benchmarks.probes.cross_validation import CrossValidation
from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.probes.head_transfer import in_teacher_space
from hearlite.benchmarks.tasks.binary import binary_tasks
from hearlite.bundle import read_manifest
from hearlite.embedders.base import EmbedderInfo
from hearlite.tflite.coordinates import TeacherCoordinates, inverse_path

SUBJECTS, CLIPS, DIM = 60, 5, 12


def made_up() -> tuple[NDArray[np.float64], list[str], list[str], list[str]]:
    """(embeddings, sick, subjects, splits)."""
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(SUBJECTS), CLIPS)
    sick = index % 4 == 0
    embeddings = rng.normal(size=(len(index), DIM)) + np.outer(sick, rng.normal(size=DIM))
    splits = ["test" if owner % 3 == 0 else "train" for owner in index]
    return embeddings, [str(int(value)) for value in sick], [f"s{owner}" for owner in index], splits


@pytest.mark.parametrize("probe", ["logistic", "forest"])
@pytest.mark.parametrize("folds", [0, 3])
def test_a_student_that_is_its_teacher_loses_nothing(probe: str, folds: int) -> None:
    teacher, sick, subjects, splits = made_up()
    rng = np.random.default_rng(1)
    (task,) = binary_tasks(sick, column="sick", subjects=subjects, splits=splits).tasks
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    noise = rng.normal(size=teacher.shape)
    found = run_probes(
        {"teacher": teacher, "student": teacher @ turn, "noise": noise},
        [task],
        subjects,
        splits,
        reference="teacher",
        seed=0,
        probe=probe,
        in_teacher_space={"student": teacher, "noise": noise},
        cross_validation=CrossValidation(folds, np.ones(len(subjects), bool), np.asarray(subjects)) if folds else None,
        samples=200,
    )
    scores = {score.model: score for score in found.summary}
    carried = {item.model: item for item in found.head_transfer}
    assert set(carried) == {"student", "noise"}
    of_teacher = scores["teacher"].auroc.value
    assert of_teacher is not None and of_teacher > 0.8
    # Folds are standardized by themselves here, and by training subjects for the teacher's own scores.
    assert carried["student"].auroc.value == pytest.approx(of_teacher, abs=0.03 if folds else 1e-3)
    assert carried["student"].retention.value == pytest.approx(1.0, abs=0.06 if folds else 2e-3)
    difference = carried["student"].difference
    own = scores["student"].auroc.value
    assert own is not None and difference.value == pytest.approx(carried["student"].auroc.value - own)
    assert difference.low is not None and difference.high is not None
    assert difference.low <= difference.value <= difference.high
    assert abs((carried["noise"].auroc.value or 0.0) - 0.5) < 0.2
    assert found.tasks[0].head_transfer == found.head_transfer  # the mean over one task


def test_without_files_there_is_nothing_to_carry() -> None:
    teacher, sick, subjects, splits = made_up()
    (task,) = binary_tasks(sick, column="sick", subjects=subjects, splits=splits).tasks
    found = run_probes(
        {"teacher": teacher, "student": teacher}, [task], subjects, splits, reference="teacher", seed=0, samples=100
    )
    assert (found.head_transfer, found.tasks[0].head_transfer) == ((), ())


def test_vectors_in_the_teachers_coordinates(bundle: SimpleNamespace, tmp_path: Path) -> None:
    manifest = read_manifest(bundle.f32)
    vectors = np.random.default_rng(0).normal(size=(4, manifest.dim)).astype(np.float32)
    found = in_teacher_space(bundle.f32, manifest, vectors, teacher=manifest.teacher)
    with np.load(inverse_path(bundle.f32), allow_pickle=False) as stored:
        np.testing.assert_allclose(found, vectors @ stored["inverse"] + stored["mean"], rtol=1e-4, atol=1e-5)
    assert in_teacher_space(tmp_path / "moved.tflite", manifest, vectors, teacher=manifest.teacher) is None
    other = EmbedderInfo("other", manifest.dim, "fake", "none", "0" * 64)
    assert in_teacher_space(bundle.f32, manifest, vectors, teacher=other) is None
    teachers = dataclasses.replace(manifest, coordinates=TeacherCoordinates("", 4, 0.5, 10, 5, 0.5, 0.4))
    np.testing.assert_array_equal(in_teacher_space(bundle.f32, teachers, vectors, teacher=manifest.teacher), vectors)
