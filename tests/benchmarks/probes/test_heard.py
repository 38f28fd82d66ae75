"""Test recordings that training has heard are found by their sound, though subjects and files have other names."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile as sf

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.probes.heard import Heard, copies_in_test, find_heard
from hearlite.benchmarks.run import bench
from hearlite.benchmarks.schema.io import read_results
from hearlite.bundle import Manifest, heard_path
from hearlite.data.copies import Copies
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.duplicates import fingerprint_recordings, training_fingerprints
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 recordings of 30 subjects, in a manifest without split and with random labels."""
    manifest = write_corpus(tmp_path_factory.mktemp("heard") / "corpus", subjects=30, recordings_per_subject=2, seed=4)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    files = sorted({row["file"]: row["subject"] for row in rows}.items())
    assert len(files) == 60
    labels = np.random.default_rng(0).permutation(60) < 30
    write(
        manifest.parent / "all.csv", [(*pair, "", "yn"[int(label)]) for pair, label in zip(files, labels, strict=True)]
    )
    return manifest.parent / "all.csv"


def write(path: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    path.write_text("file,subject,split,label\n" + "".join(",".join(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[tuple[str, str, str, str]]:
    with path.open(newline="") as file:
        return [(row["file"], row["subject"], row["split"], row["label"]) for row in csv.DictReader(file)]


def with_copies(recordings: Path, folder: Path, *, gain: float = 1.0) -> Path:
    """All recordings in train and, under other names, in test."""
    rows = []
    for number, (file, subject, _, label) in enumerate(read(recordings)):
        folder.mkdir(exist_ok=True)
        shutil.copy(recordings.parent / file, folder / f"a{number}.wav")
        if gain == 1.0:
            shutil.copy(recordings.parent / file, folder / f"b{number}.wav")
        else:
            samples, rate = sf.read(recordings.parent / file)
            sf.write(folder / f"b{number}.wav", gain * samples, rate)
        rows += [(f"a{number}.wav", subject, "train", label), (f"b{number}.wav", f"other {subject}", "test", label)]
    return write(folder / "manifest.csv", rows)


def run(dataset: Dataset, out: Path, **options: Any) -> dict[str, Any]:
    return bench(
        dataset,
        teacher=FakeTeacher(8),
        files=(),
        label_columns=("label",),
        out=out,
        command="hearlite bench",
        **options,
    )


def test_the_same_recordings_in_train_and_test_are_refused(recordings: Path, tmp_path: Path) -> None:
    """Random labels reached an AUROC of 1.000 without a word."""
    dataset = load_dataset(with_copies(recordings, tmp_path / "data"))
    with pytest.raises(
        InputError, match=r"60 recordings are in test and in training: a0\.wav \(\S+, train\) = b0\.wav"
    ):
        run(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # before anything is embedded


def test_allowed_copies_are_in_results_and_report(recordings: Path, tmp_path: Path) -> None:
    dataset = load_dataset(with_copies(recordings, tmp_path / "data"))
    lines: list[str] = []
    run(dataset, tmp_path / "out", allow_duplicates=True, log=lines.append)
    assert lines[0].startswith("WARNING: 60 recordings are both in test and in training (equal)")
    results = read_results(tmp_path / "out" / "results.json")
    (found,) = results.copies
    assert (found.where, found.exact, found.near) == ("training", 60, 0) and results.copies_searched
    assert any(note.startswith("WARNING: 60 recordings are both") for note in results.notes)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "60 equal (allowed by --allow-duplicates), 0 nearly equal. Figures are too good" in page


def test_nearly_the_same_recordings_are_warned_of(recordings: Path, tmp_path: Path) -> None:
    dataset = load_dataset(with_copies(recordings, tmp_path / "data", gain=0.5))
    run(dataset, tmp_path / "out")
    (found,) = read_results(tmp_path / "out" / "results.json").copies
    assert found.exact == 0 and found.near >= 58
    assert "Figures may be too good" in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture
def student(recordings: Path, tmp_path: Path) -> tuple[Path, Manifest]:
    """A file with the fingerprints of what it was distilled on: whole recordings, whatever the windows."""
    dataset = load_dataset(recordings, hop_s=1.0, events=False)
    model = tmp_path / "student.tflite"
    content = training_fingerprints(dataset).content()
    heard_path(model).write_bytes(content)
    manifest = SimpleNamespace(name=model.name, heard_sha256=hashlib.sha256(content).hexdigest())
    return model, cast(Manifest, manifest)


def renamed(recordings: Path, folder: Path, split: str, to: str) -> Dataset:
    """The recordings of one side, as copies under other names and all on side `to`, cut into other windows."""
    folder.mkdir()
    rows = []
    for number, clip in enumerate({clip.name: clip for clip in load_dataset(recordings).clips}.values()):
        if clip.split == split:
            shutil.copy(clip.file, folder / f"r{number}.wav")
            rows.append((f"r{number}.wav", f"person {number}", to, ""))
    write(folder / "manifest.csv", rows)
    return load_dataset(folder, hop_s=0.7)


def look(student: tuple[Path, Manifest], dataset: Dataset) -> Heard:
    return find_heard(*student, dataset, fingerprint_recordings(dataset))


def test_recordings_that_a_student_has_heard_are_refused_under_any_name(
    recordings: Path, student: tuple[Path, Manifest], tmp_path: Path
) -> None:
    dataset = renamed(recordings, tmp_path / "data", "train", "test")
    heard = look(student, dataset)
    assert heard.known and heard.of_dataset and len(heard.exact) == len({clip.name for clip in dataset.clips}) > 30
    with pytest.raises(InputError, match=r"student\.tflite has heard \d+ of the test recordings, whatever") as caught:
        heard.require_allowed(allowed=False)
    assert "--allow-duplicates" in caught.value.hint
    heard.require_allowed(allowed=True)
    (note,) = heard.notes()
    assert note.startswith("WARNING: student.tflite has heard")
    (found,) = copies_in_test(Copies(), [heard])
    assert (found.where, found.exact, len(found.examples)) == ("student.tflite", len(heard.exact), 20)


def test_what_it_has_not_heard_it_has_not_heard(
    recordings: Path, student: tuple[Path, Manifest], tmp_path: Path
) -> None:
    heard = look(student, renamed(recordings, tmp_path / "data", "test", "test"))
    assert heard == Heard("student.tflite", True) and not heard.of_dataset and heard.notes() == []
    heard.require_allowed(allowed=False)


def test_recordings_heard_that_train_the_probes_are_no_fault_but_of_the_dataset(
    recordings: Path, student: tuple[Path, Manifest], tmp_path: Path
) -> None:
    heard = look(student, renamed(recordings, tmp_path / "data", "train", "train"))
    assert heard.others > 30 and heard.of_dataset and heard.notes() == []


def test_without_fingerprints_only_names_are_known(recordings: Path, student: tuple[Path, Manifest]) -> None:
    model, manifest = student
    dataset = load_dataset(recordings)
    heard_path(model).unlink()
    heard = look(student, dataset)
    assert not heard.known and "student.heard.npz is not beside it" in heard.notes()[0]
    older = cast(Manifest, SimpleNamespace(name=manifest.name, heard_sha256=""))
    (note,) = look((model, older), dataset).notes()
    assert note.endswith("by the names of subjects only: it comes without fingerprints")


def test_other_fingerprints_than_the_manifests_are_refused(recordings: Path, student: tuple[Path, Manifest]) -> None:
    model, _ = student
    dataset = load_dataset(recordings)
    one = dataclasses.replace(dataset, clips=dataset.clips[:1])
    training_fingerprints(one).save(heard_path(model))
    with pytest.raises(InputError, match=r"student\.heard\.npz: its sha256 is not the manifest's"):
        look(student, dataset)
