"""Training batches: a function of (seed, step) alone, fair to every clip, with a bounded pool in memory."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

import hearlite.data.records
import hearlite.distill.batches
from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Dataset
from hearlite.data.reading import clip_id
from hearlite.data.records import Records, write_records
from hearlite.data.targets import Targets, fit_targets
from hearlite.distill.batches import Batches, teacher_vectors, val_examples
from hearlite.embedders.fake import FakeTeacher

TEACHER = FakeTeacher(8)


@pytest.fixture(scope="module")
def records(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Records:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearlite.data.records, "SHARD_CLIPS", 5)
        return write_records(dataset, teacher=TEACHER, folder=tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def targets(records: Records) -> Targets:
    return fit_targets(teacher_vectors(records, "train"))


@pytest.fixture(params=[64, 2], ids=["one pool", "pools of 2 shards"])
def pool_shards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(hearlite.distill.batches, "POOL_SHARDS", request.param)
    return int(request.param)


def ids(records: Records, split: str) -> set[str]:
    return {
        shard.clip_ids[row] for shard, rows in zip(records.shards, records.rows(split), strict=True) for row in rows
    }


def make(records: Records, targets: Targets, *, batch_size: int = 4, seed: int = 0) -> Batches:
    return Batches(records, targets=targets, batch_size=batch_size, seed=seed)


def epoch(batches: Batches, number: int) -> list[str]:
    steps = range(number * batches.steps_per_epoch, (number + 1) * batches.steps_per_epoch)
    return [clip_id(row) for step in steps for row in batches.at(step)[0]]


def test_a_batch_is_a_function_of_seed_and_step(records: Records, targets: Targets, pool_shards: int) -> None:
    forwards, backwards = make(records, targets), make(records, targets)
    steps = range(3 * forwards.steps_per_epoch)
    first = {step: forwards.at(step) for step in steps}
    for step in reversed(steps):  # as a resumed run would, out of the blue
        pcm, values = backwards.at(step)
        np.testing.assert_array_equal(pcm, first[step][0])
        np.testing.assert_array_equal(values, first[step][1])
    other = make(records, targets, seed=1)
    assert any(not np.array_equal(other.at(step)[0], first[step][0]) for step in steps)


def test_an_epoch_repeats_no_clip_and_drops_less_than_a_batch_a_pool(
    records: Records, targets: Targets, pool_shards: int
) -> None:
    batches = make(records, targets)
    pools = -(-len(batches.shards) // pool_shards)
    for number in range(3):
        seen = epoch(batches, number)
        assert len(seen) == len(set(seen))
        assert set(seen) <= ids(records, "train")
        assert len(ids(records, "train")) - len(seen) < pools * batches.batch_size
    assert epoch(batches, 0) != epoch(batches, 1)


def test_every_clip_is_seen_once_an_epoch_where_batches_divide_them(records: Records, targets: Targets) -> None:
    batches = make(records, targets, batch_size=1)
    assert sorted(epoch(batches, 2)) == sorted(ids(records, "train"))


def test_every_clip_is_seen_sooner_or_later(records: Records, targets: Targets, pool_shards: int) -> None:
    batches = make(records, targets)
    assert {clip for number in range(12) for clip in epoch(batches, number)} == ids(records, "train")


def test_targets_belong_to_their_audio(records: Records, targets: Targets, pool_shards: int) -> None:
    batches = make(records, targets)
    for step in range(batches.steps_per_epoch):
        pcm, values = batches.at(step)
        np.testing.assert_allclose(values, targets.forward(TEACHER.embed(from_int16(pcm))), atol=1e-5)


def test_batches_larger_than_the_data(records: Records, targets: Targets) -> None:
    batches = make(records, targets, batch_size=10_000)
    assert batches.steps_per_epoch == 1
    assert {clip_id(row) for row in batches.at(7)[0]} == ids(records, "train")


def test_batches_larger_than_a_pool(records: Records, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearlite.distill.batches, "POOL_SHARDS", 1)
    batches = make(records, targets, batch_size=12)
    for step in range(6):
        pcm, values = batches.at(step)
        assert 0 < len(pcm) == len(values)


def test_examples_are_every_training_clip_once(records: Records, targets: Targets) -> None:
    found = [clip_id(row) for pcm, _, _ in make(records, targets).examples() for row in pcm]
    assert sorted(found) == sorted(ids(records, "train"))


def test_validation_examples(records: Records, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = val_examples(records, targets=targets, seed=0)
    assert {clip_id(row) for row in examples.pcm} == ids(records, "val")
    np.testing.assert_allclose(examples.targets, targets.forward(TEACHER.embed(from_int16(examples.pcm))), atol=1e-5)
    monkeypatch.setattr(hearlite.distill.batches, "VAL_CLIPS", 3)
    few = val_examples(records, targets=targets, seed=0)
    assert len(few.pcm) == len(few.targets) == 3


def test_teacher_vectors(records: Records) -> None:
    assert teacher_vectors(records, "train").shape == (len(ids(records, "train")), 8)
    assert teacher_vectors(records, "val").shape == (len(ids(records, "val")), 8)


@pytest.fixture
def two_corpora(records: Records) -> Records:
    """The records as if every third subject came from a corpus of its own."""
    names = sorted({subject for shard in records.shards for subject in shard.subjects})
    small = set(names[::3])
    shards = [
        dataclasses.replace(shard, corpora=tuple("small" if name in small else "large" for name in shard.subjects))
        for shard in records.shards
    ]
    return dataclasses.replace(records, shards=tuple(shards))


def corpus_of(records: Records) -> dict[str, str]:
    return {
        identity: corpus
        for shard in records.shards
        for identity, corpus in zip(shard.clip_ids, shard.corpora, strict=True)
    }


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_corpora_count_as_balance_says(
    two_corpora: Records, targets: Targets, pool_shards: int, balance: float
) -> None:
    of = corpus_of(two_corpora)
    sizes = Counter(of[identity] for identity in ids(two_corpora, "train"))
    share = sizes["small"] ** (1 - balance) / (sizes["small"] ** (1 - balance) + sizes["large"] ** (1 - balance))
    batches = Batches(two_corpora, targets=targets, batch_size=4, seed=0, balance=balance)
    drawn = [identity for number in range(60) for identity in epoch(batches, number)]
    assert sum(of[identity] == "small" for identity in drawn) / len(drawn) == pytest.approx(share, abs=0.05)
    assert set(drawn) == ids(two_corpora, "train")
    weights = np.concatenate([weight for _, _, weight in batches.examples()])
    found = [clip_id(row) for pcm, _, _ in batches.examples() for row in pcm]
    assert weights.mean() == pytest.approx(1.0)
    mine = weights[[of[identity] == "small" for identity in found]]
    assert mine.sum() / weights.sum() == pytest.approx(share)


def test_a_balanced_batch_is_a_function_of_seed_and_step(two_corpora: Records, targets: Targets) -> None:
    one, other = (Batches(two_corpora, targets=targets, batch_size=4, seed=0, balance=1.0) for _ in range(2))
    steps = range(2 * one.steps_per_epoch)
    first = {step: one.at(step)[0] for step in steps}
    for step in reversed(steps):
        np.testing.assert_array_equal(other.at(step)[0], first[step])


def test_some_examples_are_drawn_from_all_shards(records: Records, targets: Targets) -> None:
    batches = make(records, targets)
    everything = [clip_id(row) for pcm, _, _ in batches.examples() for row in pcm]
    for most in (1, len(everything) // 2, len(everything) + 5):
        found = [clip_id(row) for pcm, _, _ in batches.examples(most=most) for row in pcm]
        assert len(found) == min(most, len(everything))
        assert found == [name for name in everything if name in set(found)], "in order, each once"
        assert found == [clip_id(row) for pcm, _, _ in batches.examples(most=most) for row in pcm]
