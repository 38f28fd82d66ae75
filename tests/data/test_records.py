"""The record cache: made once, resumed after a kill, refused when it is another's, and never with a test subject in
it.
"""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hearlite.data.records
from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.reading import clip_id
from hearlite.data.records import (
    Records,
    Views,
    Worker,
    gather_examples,
    read_examples,
    read_records,
    read_shard,
    sample_examples,
    write_records,
)
from hearlite.embedders.base import Clips, Embeddings
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError
from hearlite.spec import AUDIO


class CountingTeacher(FakeTeacher):
    """A fake teacher that counts its clips and, at `fails_at`, dies like a killed process."""

    def __init__(self, dim: int = 8, *, seed: int = 0, fails_at: int | None = None) -> None:
        super().__init__(dim, seed=seed)
        self.seen = 0
        self.fails_at = fails_at

    def embed(self, clips: Clips) -> Embeddings:
        self.seen += len(clips)
        if self.fails_at is not None and self.seen >= self.fails_at:
            raise KeyboardInterrupt
        return super().embed(clips)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(hearlite.data.records, "SHARD_CLIPS", 8)
    monkeypatch.setattr(hearlite.data.records, "TEACHER_BATCH", 4)
    return 8


def contents(records: Records) -> list[Any]:
    """(clip ids, splits, vectors) of each shard, comparable."""
    rows = [read_examples(shard, np.arange(len(shard.clip_ids))) for shard in records.shards]
    return [
        (shard.clip_ids, shard.splits, vectors.tolist())
        for shard, (_, vectors) in zip(records.shards, rows, strict=True)
    ]


def test_records_hold_the_clip_and_its_own_vector(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    teacher = FakeTeacher(8)
    records = write_records(dataset, teacher=teacher, folder=tmp_path)
    usable = [clip for clip in dataset.clips if clip.split != "test"]
    assert len(records.shards) == -(-len(usable) // small_shards)
    assert sum(len(shard.clip_ids) for shard in records.shards) == len(usable)
    for shard in records.shards:
        pcm, vectors = read_examples(shard, np.arange(len(shard.clip_ids)))
        assert pcm.dtype == np.int16
        assert pcm.shape[1] == AUDIO.clip_samples
        assert [clip_id(row) for row in pcm] == list(shard.clip_ids)
        np.testing.assert_array_equal(vectors, teacher.embed(from_int16(pcm)))


def test_test_subjects_are_never_written(dataset: Dataset, tmp_path: Path) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    tested = {clip.subject for clip in dataset.clips if clip.split == "test"}
    assert tested
    for shard in records.shards:
        assert not tested & set(shard.subjects)
        assert set(shard.splits) <= {"train", "val"}
    assert records.subjects("train").isdisjoint(records.subjects("val"))
    assert records.subjects("train") == {clip.subject for clip in dataset.clips if clip.split == "train"}


def test_a_killed_run_goes_on_where_it_stopped(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    whole = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path / "whole")
    dying = CountingTeacher(fails_at=small_shards + 5)
    with pytest.raises(KeyboardInterrupt):
        write_records(dataset, teacher=dying, folder=tmp_path / "killed")
    files = sorted(path.name for path in (tmp_path / "killed").iterdir())
    assert files == ["records.json", "shard-00000.parquet"]  # the shard that was being made left nothing behind

    again = CountingTeacher()
    resumed = write_records(dataset, teacher=again, folder=tmp_path / "killed")
    assert contents(resumed) == contents(whole)
    assert again.seen == sum(len(shard.clip_ids) for shard in whole.shards) - small_shards  # at most a shard was lost

    finished = CountingTeacher()
    write_records(dataset, teacher=finished, folder=tmp_path / "killed")
    assert finished.seen == 0


def test_a_lost_shard_is_made_again(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    before = contents(records)
    records.shards[1].path.unlink()
    teacher = CountingTeacher()
    assert contents(write_records(dataset, teacher=teacher, folder=tmp_path)) == before
    assert teacher.seen == small_shards


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign"])
def test_a_damaged_shard_is_named(dataset: Dataset, tmp_path: Path, damage: str) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    path = records.shards[0].path
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "foreign": b"PAR1 no parquet PAR1"}[damage])
    with pytest.raises(InputError, match=path.name) as caught:
        write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    assert "remove it" in caught.value.hint


def test_damaged_audio_in_a_shard_is_named(dataset: Dataset, tmp_path: Path) -> None:
    """One bit of the audio in the middle; the index at the end of the file is whole."""
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    path = records.shards[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=path.name) as caught:
        shard = read_shard(path)
        read_examples(shard, np.arange(len(shard.clip_ids)))
    assert "remove it" in caught.value.hint


@pytest.mark.parametrize("teacher", [FakeTeacher(8, seed=1), FakeTeacher(9)], ids=["another seed", "another dim"])
def test_another_teachers_folder_is_refused(dataset: Dataset, tmp_path: Path, teacher: FakeTeacher) -> None:
    write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
    with pytest.raises(InputError, match="another teacher") as caught:
        write_records(dataset, teacher=teacher, folder=tmp_path)
    assert "--records" in caught.value.hint
    assert sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.iterdir()) == before


def test_another_datasets_folder_is_refused(corpus: Path, dataset: Dataset, tmp_path: Path) -> None:
    write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    with pytest.raises(InputError, match="another"):
        write_records(
            dataclasses.replace(dataset, clips=dataset.clips[:-6], sha256="0" * 64),
            teacher=FakeTeacher(8),
            folder=tmp_path,
        )
    with pytest.raises(InputError, match="another clips"):
        write_records(load_dataset(corpus, framing="zero-pad"), teacher=FakeTeacher(8), folder=tmp_path)


def test_a_clip_that_occurs_twice_counts_once(corpus: Path, tmp_path: Path) -> None:
    """The same sound under another name, and for another subject: only what is in it identifies a clip."""
    folder = tmp_path / "corpus"
    shutil.copytree(corpus.parent, folder)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    original = next(row for row in rows if row["split"] == "train")
    shutil.copy(folder / original["file"], folder / "audio" / "copy.flac")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(original))
        writer.writeheader()
        writer.writerows([*rows, {**original, "file": "audio/copy.flac", "subject": "another"}])
    once = write_records(load_dataset(corpus), teacher=FakeTeacher(8), folder=tmp_path / "once")
    twice = write_records(load_dataset(folder), teacher=FakeTeacher(8), folder=tmp_path / "twice")
    assert sum(len(shard.clip_ids) for shard in twice.shards) > sum(len(shard.clip_ids) for shard in once.shards)
    assert sum(len(rows) for rows in twice.rows("train")) == sum(len(rows) for rows in once.rows("train"))


def test_unreadable_recordings_are_listed_not_dropped(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(corpus.parent, folder)
    dataset = load_dataset(folder)
    victim = next(clip for clip in dataset.clips if clip.split == "train")
    content = victim.file.read_bytes()
    victim.file.write_bytes(content[:200] + bytes(len(content) - 200))  # the header is whole, the sound is gone
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path / "records")
    assert {item.file for item in records.skipped} == {victim.name}
    assert sum(len(shard.clip_ids) for shard in records.shards) == sum(
        clip.split != "test" and clip.name != victim.name for clip in dataset.clips
    )


def test_a_teacher_that_returns_nan_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    class Broken(FakeTeacher):
        def embed(self, clips: Clips) -> Embeddings:
            return super().embed(clips) * np.float32(np.nan)

    with pytest.raises(InputError, match="not finite"):
        write_records(dataset, teacher=Broken(8), folder=tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


def test_no_training_subject(dataset: Dataset, tmp_path: Path) -> None:
    rest = dataclasses.replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.split != "train"))
    with pytest.raises(InputError, match="no clip of a training subject"):
        write_records(rest, teacher=FakeTeacher(8), folder=tmp_path)


def test_read_records(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path / "records")
    assert read_records(tmp_path / "records") == records
    with pytest.raises(InputError, match="no record shards"):
        read_records(tmp_path)


def test_samples_are_seeded_and_of_their_split(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path)
    ids = {
        split: {
            shard.clip_ids[row] for shard, rows in zip(records.shards, records.rows(split), strict=True) for row in rows
        }
        for split in ("train", "val")
    }
    pcm, vectors = sample_examples(records, "val", clips=5, seed=1)
    assert len(pcm) == len(vectors) == 5
    assert {clip_id(row) for row in pcm} <= ids["val"]
    np.testing.assert_array_equal(pcm, sample_examples(records, "val", clips=5, seed=1)[0])
    assert {clip_id(row) for row in sample_examples(records, "train", clips=10_000, seed=0)[0]} == ids["train"]
    with pytest.raises(InputError, match="'test'"):
        sample_examples(records, "test", clips=5, seed=0)


def test_gathered_vectors_belong_to_their_audio(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    teacher = FakeTeacher(8)
    records = write_records(dataset, teacher=teacher, folder=tmp_path)
    pcm, vectors = gather_examples(records, [(0, 1), (0, 7), (2, 0)])
    assert [clip_id(row) for row in pcm] == [
        records.shards[0].clip_ids[1],
        records.shards[0].clip_ids[7],
        records.shards[2].clip_ids[0],
    ]
    np.testing.assert_array_equal(vectors, teacher.embed(from_int16(pcm)))


def test_workers_share_the_shards(dataset: Dataset, tmp_path: Path, small_shards: int) -> None:
    """Each makes its own first, the last one finds all there; the content is that of one worker."""
    whole = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path / "whole")
    assert len(whole.shards) == 4
    dying = CountingTeacher(
        fails_at=sum(len(whole.shards[index].clip_ids) for index in (1, 3)) + 1
    )  # in the first shard that isn't its own
    with pytest.raises(KeyboardInterrupt):
        write_records(dataset, teacher=dying, folder=tmp_path / "shared", worker=Worker(1, 2))
    names = sorted(path.name for path in (tmp_path / "shared").glob("*.parquet"))
    assert names == ["shard-00001.parquet", "shard-00003.parquet"]
    survivor = CountingTeacher()
    shared = write_records(dataset, teacher=survivor, folder=tmp_path / "shared", worker=Worker(0, 2))
    assert contents(shared) == contents(whole)
    assert survivor.seen == sum(len(whole.shards[index].clip_ids) for index in (0, 2))


def test_a_number_of_clips_is_a_fair_and_nested_draw_with_all_views(
    dataset: Dataset, tmp_path: Path, small_shards: int
) -> None:
    records = write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path, views=Views(3))

    def drawn(clips: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for shard, rows in zip(records.shards, records.rows("train", clips=clips), strict=True):
            for row in rows:
                counts[shard.sources[row]] = counts.get(shard.sources[row], 0) + 1
        return counts

    everything = drawn(0)
    assert len(drawn(5)) == 5
    assert set(drawn(5)) < set(drawn(9)) < set(everything) == set(drawn(10_000))
    assert drawn(9) == {source: everything[source] for source in drawn(9)}  # with as many views as they have
    assert sum(everything.values()) > 2 * len(everything)
    assert set(everything) == {
        shard.clip_ids[row]
        for shard in records.shards
        for row in range(len(shard.clip_ids))
        if shard.splits[row] == "train" and shard.clip_ids[row] == shard.sources[row]
    }
