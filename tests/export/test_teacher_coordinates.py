"""The way from a student's embedding to its teacher's coordinates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hearlite.audio.clips import from_int16
from hearlite.bundle import open_bundle, read_manifest
from hearlite.data.targets import Targets, fit_targets
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.export import coordinates as module
from hearlite.export.coordinates import fit, slopes
from hearlite.export.tflite import export
from hearlite.run import Run
from hearlite.tflite.coordinates import inverse_path, read_inverse

DIM, CLIPS, SUBJECTS = 64, 1200, 60


def world(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.str_], Targets]:
    """(student, teacher, subjects, targets): the student's noise is alike in all directions, the teacher's variance
    falls.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    teacher = (rng.normal(size=(CLIPS, DIM)) * np.geomspace(3.0, 0.02, DIM)) @ axes + 1.0
    targets = fit_targets(teacher.astype(np.float32))
    noise = 0.5 * rng.normal(size=(CLIPS, DIM))
    student = targets.forward(teacher.astype(np.float32)) + noise
    subjects = np.asarray([f"s{k % SUBJECTS}" for k in range(CLIPS)])
    return student.astype(np.float32), teacher.astype(np.float32), subjects, targets


def along_axes(vectors: NDArray[np.float32], targets: Targets) -> NDArray[np.float64]:
    """Targets or embeddings along the teacher's principal directions."""
    return vectors.astype(np.float64) @ targets.rotation.T


def test_reliability_is_the_share_of_signal() -> None:
    student, teacher, _, targets = world()
    found = slopes(along_axes(student, targets), along_axes(targets.forward(teacher), targets))
    expected = targets.eigenvalues / (targets.eigenvalues + 0.25)
    np.testing.assert_allclose(found, expected, atol=0.06)
    assert found[0] > 0.95 and found[-1] < 0.1


def test_a_fit_explains_more_than_the_plain_way_back() -> None:
    student, teacher, subjects, targets = world()
    mapping, described = fit(student, teacher, subjects, targets)
    plain = ((targets.backward(student) - teacher) ** 2).sum()
    shrunk = ((mapping(student) - teacher) ** 2).sum()
    spread = ((teacher - targets.mean) ** 2).sum()
    assert described.explained == pytest.approx(1 - shrunk / spread, abs=0.01)
    assert described.explained_unshrunk == pytest.approx(1 - plain / spread, abs=0.01)
    assert described.explained > described.explained_unshrunk + 0.1
    assert described.directions < DIM and (described.clips, described.subjects) == (CLIPS, SUBJECTS)


def test_what_is_said_of_a_fit_is_of_other_subjects() -> None:
    """A student that knows nothing explains nothing, also where its few subjects would fit by chance."""
    student, teacher, _, targets = world()
    few = slice(0, 40)
    subjects = np.asarray([f"s{k % 5}" for k in range(40)])
    nothing = np.random.default_rng(1).normal(size=student.shape).astype(np.float32)
    _, described = fit(nothing[few], teacher[few], subjects, targets)
    assert described.explained < 0.0


def test_a_head_of_the_teacher_works_on_the_student() -> None:
    """It weighs small directions, along which the student is noise."""
    student, teacher, subjects, targets = world()
    rng = np.random.default_rng(3)
    labels = along_axes(targets.forward(teacher), targets)[:, :4].sum(axis=1) + rng.normal(size=CLIPS) > 0
    fitted = slice(0, 600)
    head = LogisticRegression(C=1000.0, max_iter=5000).fit(teacher[fitted], labels[fitted])
    mapping, _ = fit(student[fitted], teacher[fitted], subjects[fitted], targets)
    held_out = slice(600, CLIPS)
    by = {
        name: roc_auc_score(labels[held_out], head.decision_function(vectors))
        for name, vectors in (
            ("plain", targets.backward(student[held_out])),
            ("shrunk", mapping(student[held_out])),
        )
    }
    own = LogisticRegression(C=0.1, max_iter=5000).fit(student[fitted], labels[fitted])
    best = roc_auc_score(labels[held_out], own.decision_function(student[held_out]))
    assert by["shrunk"] > by["plain"] + 0.1
    assert by["shrunk"] > best - 0.01


@pytest.mark.kernels
@pytest.mark.parametrize("recipe", ["", "static_wi8_ai8"])
def test_a_file_in_the_teachers_coordinates(
    quantized_run: Run, tmp_path: Path, clips: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    with pytest.raises(InputError, match="its records have 1 validation subjects"):
        export(quantized_run, to=tmp_path, recipe=recipe, coordinates="teacher")
    for wrong, said in (
        ({"coordinates": "mine"}, "use one of student, teacher"),
        ({"corpus": "lungs"}, "corpus 'lungs' has no effect"),
        ({"coordinates": "teacher", "corpus": "lungs"}, "was distilled on a single dataset"),
    ):
        with pytest.raises(UsageError, match=said):
            export(quantized_run, to=tmp_path, recipe=recipe, **wrong)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "MIN_SUBJECTS", 1)
    own = export(quantized_run, to=tmp_path, recipe=recipe, allow_failed_gate=True)
    model = export(quantized_run, to=tmp_path, recipe=recipe, coordinates="teacher", allow_failed_gate=True)
    assert model.name == f"{own.stem}_teacher.tflite"
    embedder, manifest = open_bundle(model)
    assert manifest.coordinates is not None and manifest.coordinates.subjects == 1
    assert read_manifest(own).coordinates is None
    assert inverse_path(own).is_file() and not inverse_path(model).is_file()
    audio = from_int16(clips)
    vectors, teacher, subjects = module._validation(TfliteEmbedder(own), quantized_run, corpus="")
    mapping, described = fit(vectors, teacher, subjects, Targets.load(quantized_run.targets))
    assert described == manifest.coordinates
    expected = mapping(TfliteEmbedder(own).embed(audio))
    found = embedder.embed(audio)
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected - expected.mean(axis=0))
    card = model.with_suffix(".md").read_text()
    assert "classifiers of its embeddings take it unchanged" in card and "## Coordinates" in card
    assert "don't fit it" in own.with_suffix(".md").read_text()


def test_a_damaged_way_back_is_named(tmp_path: Path) -> None:
    model = tmp_path / "a.tflite"
    assert read_inverse(model, dim=3) is None
    for arrays in ({"mean": np.zeros(3)}, {"mean": np.zeros(3), "inverse": np.full((3, 3), np.nan)}):
        np.savez(inverse_path(model), **arrays)
        with pytest.raises(InputError, match="expected finite mean"):
            read_inverse(model, dim=3)


def test_impossible_coordinates_are_refused(tmp_path: Path) -> None:
    _, described = fit(*world())
    described.require_valid(where="a.json")
    for changes in ({"directions": 0}, {"reliability": 1.5}, {"subjects": -1}):
        with pytest.raises(InputError, match=r"a\.json: the teacher's coordinates"):
            dataclasses.replace(described, **changes).require_valid(where="a.json")


def test_directions_are_those_of_the_clips() -> None:
    """Of two corpora far from each other, what tells them apart is what a student knows best."""
    _, teacher, subjects, _ = world()
    apart, far = np.eye(DIM, dtype=np.float32)[0] * 100.0, np.arange(CLIPS) % 2 == 0
    moved = np.where(far[:, None], teacher + apart, teacher)
    targets = fit_targets(moved)
    noise = 0.02 * np.random.default_rng(5).normal(size=moved.shape).astype(np.float32)
    noisy = targets.forward(moved) + noise
    _, together = fit(noisy, moved, subjects, targets)
    _, alone = fit(noisy[far], moved[far], subjects[far], targets)
    assert together.directions < alone.directions
    assert together.explained > alone.explained
