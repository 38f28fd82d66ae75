"""Bits that change in a file of records or of parts, where Parquet's checksums do not look: refused, or no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hearlite.audio.synth import write_corpus
from hearlite.data.dataset import Skipped, load_dataset
from hearlite.data.digest import require_digest, with_digest
from hearlite.data.records import read_examples, read_shard, write_shard
from hearlite.data.vector_parts import Part, _read_part, _write_part
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError


def readable_after_a_flip(path: Path, places: range, read: Callable[[Path], str]) -> dict[str, int]:
    """Flip one bit of each byte in turn; how often the content was refused, and how often it was the same."""
    content, expected = path.read_bytes(), read(path)
    changed = path.with_name("changed.parquet")
    found = {"refused": 0, "same": 0}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        changed.write_bytes(damaged)
        try:
            assert read(changed) == expected, f"bit {place % 8} of byte {place}"
        except InputError as error:
            assert "remove it" in error.hint
            found["refused"] += 1
        else:
            found["same"] += 1
    return found


def test_no_bit_of_a_shard_s_footer_changes_records(tmp_path: Path) -> None:
    write_corpus(tmp_path / "sounds", subjects=8, recordings_per_subject=1, seed=0)
    clips = [clip for clip in load_dataset(tmp_path / "sounds", hop_s=1.0).clips if clip.split != "test"][:2]
    path = tmp_path / "shard.parquet"
    write_shard(clips, teacher=FakeTeacher(3), path=path)

    def read(path: Path) -> str:
        shard = read_shard(path)
        pcm, vectors = read_examples(shard, np.arange(len(shard.clip_ids)))
        index = (shard.clip_ids, shard.sources, shard.subjects, shard.splits, shard.skipped, shard.silent)
        return repr((index, pcm.tobytes(), vectors.tobytes()))

    size = path.stat().st_size
    footer = int.from_bytes(path.read_bytes()[-8:-4], "little")  # the footer's length, before the closing PAR1
    found = readable_after_a_flip(path, range(size - 8 - footer, size), read)
    assert found["refused"] > footer // 2


def test_no_bit_of_a_part_changes_vectors(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    part = Part(
        5, (0, 1, 3), ("a" * 32, "b" * 32, "c" * 32), {"": vectors}, (Skipped("f.wav", 3, "bad"),), {"x.wav": 1}
    )
    path = tmp_path / "part.parquet"
    _write_part(part, path)

    def read(path: Path) -> str:
        found = _read_part(path, {"": FakeTeacher(3)})
        return repr((found.clips, found.places, found.ids, found.skipped, found.silent, found.vectors[""].tobytes()))

    found = readable_after_a_flip(path, range(path.stat().st_size), read)
    assert found["refused"] > path.stat().st_size // 2


def test_tables_without_a_digest_are_read_and_chunks_make_no_difference(tmp_path: Path) -> None:
    table = pa.table({"a": ["x", "y", "z"], "b": [1, 2, 3]}, metadata={"hearlite": "{}"})
    require_digest(table, ["a", "b"])
    sealed = with_digest(table, ["a", "b"])
    pq.write_table(sealed, tmp_path / "t.parquet", row_group_size=1)
    require_digest(pq.read_table(tmp_path / "t.parquet"), ["a", "b"])
    other = pa.table({"a": ["x", "y", "z"], "b": [1, 2, 4]}, metadata=sealed.schema.metadata)
    with pytest.raises(ValueError, match="has changed"):
        require_digest(other, ["a", "b"])
    notes = sealed.replace_schema_metadata({**sealed.schema.metadata, b"hearlite": b"[]"})
    with pytest.raises(ValueError, match="has changed"):
        require_digest(notes, ["a", "b"])
