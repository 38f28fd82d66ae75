"""Embedding that is interrupted goes on where it was, and its result does not tell."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from hearlite.benchmarks.probes.embeddings import embed_clips
from hearlite.data import vector_parts
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.embed import embed_dataset
from hearlite.data.vector_parts import embed_parts, kept_parts
from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings
from hearlite.errors import InputError

INFO = EmbedderInfo(name="sum", kind="test", dim=3, licence="none", fingerprint="a" * 64, surrogate_note="", notice="")


class Interrupting:
    """An embedder that is interrupted after some calls."""

    def __init__(self, calls: int = 1000, info: EmbedderInfo = INFO) -> None:
        self.info = info
        self.left = calls
        self.clips = 0

    def embed(self, clips: Clips) -> Embeddings:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.clips += len(clips)
        return np.stack([clips[:, :3].sum(axis=1), clips.max(axis=1), np.arange(len(clips))], axis=1).astype(np.float32)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "coughs"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(12):
        sf.write(folder / f"{number:02d}.wav", generator.uniform(-0.5, 0.5, 16_000 * 4), 16_000)
    (folder / "05.wav").write_bytes((folder / "04.wav").read_bytes())  # both are embedded once
    sf.write(folder / "06.wav", np.zeros(16_000 * 4), 16_000)
    found = load_dataset(folder, hop_s=0.5)
    content = bytearray((folder / "09.wav").read_bytes())
    content[24:28] = bytes(4)  # its rate, after the header was read
    (folder / "09.wav").write_bytes(content)
    return found


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_parts, "BATCH", 4)
    monkeypatch.setattr(vector_parts, "PART_BATCHES", 2)


@pytest.mark.parametrize("calls", [1, 2, 5, 9])
def test_a_file_whose_embedding_was_interrupted_is_the_same(tmp_path: Path, dataset: Dataset, calls: int) -> None:
    whole = embed_dataset(dataset, embedder=Interrupting(), out=tmp_path / "whole.parquet")
    out = tmp_path / "resumed.parquet"
    with pytest.raises(KeyboardInterrupt):
        embed_dataset(dataset, embedder=Interrupting(calls), out=out)
    assert not out.exists() and [path.name for path in tmp_path.glob(".hearlite-*")] == []
    lines: list[str] = []
    again = Interrupting()
    resumed = embed_dataset(dataset, embedder=again, out=out, log=lines.append)
    assert {**resumed[0], "file": ""} == {**whole[0], "file": ""}
    assert [item.file for item in resumed[1]] == [item.file for item in whole[1]] == ["09.wav"]
    assert resumed[0]["silent"] == {"06.wav": 5}
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "resumed.parquet.parts").exists()
    if calls >= 2:
        assert again.clips < 50 and lines == [f"note: going on with the parts in {out}.parts"]


def test_vectors_in_memory_are_the_same(tmp_path: Path, dataset: Dataset) -> None:
    whole = embed_clips(dataset, {"a": Interrupting(), "b": Interrupting()})
    output = tmp_path / "embeddings"
    for calls in (3, 1, 9, None):
        embedders = {"a": Interrupting(), "b": Interrupting(1000 if calls is None else calls)}
        with kept_parts(output, dataset, embedders) as kept:
            if calls is None:
                resumed = embed_clips(dataset, embedders, kept=kept)
                break
            with pytest.raises(KeyboardInterrupt):
                embed_clips(dataset, embedders, kept=kept)
            copy = {path: path.read_bytes() for path in kept.glob("*")}
        for path, content in copy.items():  # the block above ended well, which removes them
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    assert resumed.clips == whole.clips and resumed.silent == whole.silent and resumed.skipped == whole.skipped == 1
    for name, vectors in whole.vectors.items():
        np.testing.assert_array_equal(resumed.vectors[name], vectors)


def test_parts_of_another_model_or_other_recordings_are_not_used(tmp_path: Path, dataset: Dataset) -> None:
    out = tmp_path / "a.parquet"
    with pytest.raises(KeyboardInterrupt):
        embed_dataset(dataset, embedder=Interrupting(5), out=out)
    other = Interrupting(info=dataclasses.replace(INFO, fingerprint="b" * 64))
    lines: list[str] = []
    embed_dataset(dataset, embedder=other, out=out, log=lines.append)
    assert other.clips == 46 and len(lines) == 1 and "parts of other recordings or another model" in lines[0]
    fewer = dataclasses.replace(dataset, clips=dataset.clips[:-1])
    shorter = Interrupting()
    embed_dataset(fewer, embedder=shorter, out=out)
    assert shorter.clips == 45


def test_a_damaged_part_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    out = tmp_path / "a.parquet"
    with pytest.raises(KeyboardInterrupt):
        embed_dataset(dataset, embedder=Interrupting(5), out=out)
    first = min((tmp_path / "a.parquet.parts").rglob("*.parquet"))
    content = bytearray(first.read_bytes())
    content[len(content) // 3] ^= 1
    first.write_bytes(content)
    with pytest.raises(InputError, match="not a readable part"):
        embed_dataset(dataset, embedder=Interrupting(), out=out)


def _limited(dataset: Dataset, out: Path, most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        embed_dataset(dataset, embedder=Interrupting(), out=out)
    except InputError as error:
        os._exit(3 if str(error).startswith(f"{out} can't be written: File too large; raise the limit") else 1)
    os._exit(0)


@pytest.mark.parametrize("most", [500, 2_500])  # a part has 1,600 bytes, the file 4,000
def test_a_file_that_is_too_large_is_named_as_the_user_named_it(tmp_path: Path, dataset: Dataset, most: int) -> None:
    """Arrow wraps the error of the system; with the smaller limit not even a part fits."""
    out = tmp_path / "a.parquet"
    process = multiprocessing.get_context("fork").Process(target=_limited, args=(dataset, out, most))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    parts = list(tmp_path.rglob("*.parquet"))
    assert bool(parts) == (most > 500)
    assert {path.name for path in tmp_path.iterdir()} == {"coughs"} | ({"a.parquet.parts"} if parts else set())
    embed_dataset(dataset, embedder=Interrupting(), out=out)
    assert {path.name for path in tmp_path.iterdir()} == {"coughs", "a.parquet"}


def test_two_runs_do_not_write_one_file(tmp_path: Path, dataset: Dataset) -> None:
    out = tmp_path / "a.parquet"
    with (
        kept_parts(out, dataset, {"": Interrupting()}),
        pytest.raises(InputError, match=r"a\.parquet: another hearlite command is writing it"),
    ):
        embed_dataset(dataset, embedder=Interrupting(), out=out)
    embed_dataset(dataset, embedder=Interrupting(), out=out)
    assert pq.read_table(out).num_rows == 46


def test_a_part_does_not_depend_on_where_the_run_was_interrupted(tmp_path: Path, dataset: Dataset) -> None:
    kept = tmp_path / "kept"
    parts = list(embed_parts(dataset, {"": Interrupting()}, kept=kept, unique=True))
    for number in range(len(parts)):
        for path in sorted(kept.glob("*"))[number:]:
            path.unlink()
        again = list(embed_parts(dataset, {"": Interrupting()}, kept=kept, unique=True))
        assert [(part.places, part.ids, part.skipped) for part in again] == [
            (part.places, part.ids, part.skipped) for part in parts
        ]
        digests = [hashlib.sha256(part.vectors[""].tobytes()).hexdigest() for part in again]
        assert digests == [hashlib.sha256(part.vectors[""].tobytes()).hexdigest() for part in parts]
