"""What would stop a distillation later is found before it starts, and nothing is written then."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
from small import SMALL

from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints
from hearlite.data.records import Records, write_records
from hearlite.distill import preflight
from hearlite.distill.preflight import available_memory, fingerprint_heard, rehearse, require_feasible
from hearlite.distill.train import distill
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError
from hearlite.spec import TrainSpec

pytestmark = pytest.mark.kernels


def check(dataset: Dataset, folder: Path, **changes: Any) -> None:
    require_feasible(dataset, student=SMALL, train=TrainSpec(**changes), records=folder)


def without(dataset: Dataset, split: str) -> Dataset:
    return dataclasses.replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.split != split))


def test_a_good_dataset_passes_and_nothing_is_written(dataset: Dataset, tmp_path: Path) -> None:
    check(dataset, tmp_path / "run" / "records")
    check(without(dataset, "test"), tmp_path / "run" / "records")  # distillation reads no test subject
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_side_is_named_before_the_teacher_hears_anything(
    dataset: Dataset, tmp_path: Path, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(*_: Any) -> None:
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr(FakeTeacher, "embed", embed)
    with pytest.raises(InputError, match=f"no clip of a subject in split '{split}'") as caught:
        distill(
            without(dataset, split),
            teacher=FakeTeacher(16),
            size="tiny",
            train=TrainSpec(steps=1),
            folder=tmp_path / "run",
        )
    assert "'split' column" in caught.value.hint
    assert list(tmp_path.iterdir()) == []  # so the mended dataset may use the same folder


def test_fewer_subjects_than_sides_are_too_few(dataset: Dataset, tmp_path: Path) -> None:
    one = next(clip for clip in dataset.clips if clip.split == "train")
    with pytest.raises(InputError, match=r"'val', of 1 subjects; .*at least three subjects"):
        check(dataclasses.replace(dataset, clips=(one,)), tmp_path)


def test_recordings_on_two_sides_are_found_before_the_teacher_hears_anything(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def embed(*_: Any) -> None:
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr(FakeTeacher, "embed", embed)
    train, test = (next(clip for clip in dataset.clips if clip.split == split) for split in ("train", "test"))
    copied = dataclasses.replace(test, file=train.file, name="copy.wav", subject="someone else")
    both = dataclasses.replace(dataset, clips=(*dataset.clips, copied))
    settings: Any = {
        "teacher": FakeTeacher(16),
        "size": "tiny",
        "train": TrainSpec(steps=1),
        "folder": tmp_path / "run",
    }
    with pytest.raises(InputError, match=r"1 recording is in test and in training: .* = copy\.wav"):
        distill(both, **settings)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="the teacher was asked"):
        distill(both, **settings, allow_duplicates=True)
    assert "WARNING: 1 recording is both in test and in training" in capsys.readouterr().err
    heard = Fingerprints.load(tmp_path / "run" / "heard.npz")
    assert len(heard.names) == len({clip.name for clip in dataset.clips if clip.split != "test"})
    assert fingerprint_heard(both, folder=tmp_path / "run", allow_duplicates=False) is None  # a run that goes on


def test_a_full_disk_is_found_first(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: FakeTeacher
) -> None:
    folder = tmp_path / "records"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(InputError, match=r"records need up to 0\.\d GB, and 0\.0 GB are free") as caught:
        check(dataset, folder)
    assert "--records" in caught.value.hint
    records: Records = write_records(dataset, teacher=teacher, folder=folder)
    written = sum(shard.path.stat().st_size for shard in records.shards)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2_500_000 - written))
    check(dataset, folder, views=1)  # 29 clips of 64 kB: what is written already needs no room


def test_too_little_memory_is_found_first(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_memory", lambda: 500_000_000)
    with pytest.raises(InputError, match=r"needs about 1\.\d GB of memory, and 0\.5 GB are available"):
        check(dataset, tmp_path)
    monkeypatch.setattr(preflight, "available_memory", lambda: None)  # unknown, as on macOS and Windows
    check(dataset, tmp_path)


def test_available_memory_is_below_what_the_machine_has() -> None:
    available = available_memory()
    assert available is None or 0 < available < 1 << 50


@pytest.mark.parametrize(
    "error", [tf.errors.UnimplementedError(None, None, "no kernel for this\nmore"), MemoryError("too big")]
)
def test_a_step_that_this_machine_cannot_take(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(preflight, "build_network", build)
    with pytest.raises(InputError, match=r"can't take a training step here: (no kernel for this|too big)") as caught:
        rehearse(SMALL, TrainSpec())
    assert "hearlite doctor" in caught.value.hint and "more" not in caught.value.message


def test_a_step_of_every_loss_and_augmentation() -> None:
    rehearse(SMALL, TrainSpec())  # its defaults switch all of them on
