"""From record shards to training batches.

Every batch is a function of (seed, step), so a resumed run gets what an uninterrupted one would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.data.records import Records, read_examples, sample_examples
from hearlite.data.targets import Targets
from hearlite.errors import InputError
from hearlite.spec import AUDIO

POOL_SHARDS = 64  # shuffled together in memory: 16 384 clips, 1 GB
VAL_CLIPS = 1_024  # evaluated at each checkpoint
Batch = tuple[NDArray[np.int16], NDArray[np.float32]]  # PCM [n, clip_samples] and targets [n, dim]
Weighted = tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float64]]  # the same with weights [n], mean 1


@dataclass(frozen=True)
class Examples:
    """int16 `[n, clip_samples]` and their targets float32 `[n, dim]`."""

    pcm: NDArray[np.int16]
    targets: NDArray[np.float32]


def teacher_vectors(records: Records, split: str, *, clips: int = 0) -> NDArray[np.float32]:
    """Return the teacher vectors of a split, `[n, dim]`: all, or those of `clips` clips."""
    parts = [
        read_examples(shard, rows)[1]
        for shard, rows in zip(records.shards, records.rows(split, clips=clips), strict=True)
    ]
    return np.concatenate(parts)


def val_examples(records: Records, *, targets: Targets, seed: int) -> Examples:
    """Clips of validation subjects, at most VAL_CLIPS of them. Raises InputError when there are none."""
    pcm, vectors = sample_examples(records, "val", clips=VAL_CLIPS, seed=seed)
    return Examples(pcm, targets.forward(vectors))


def balanced_weights(
    records: Records, rows: Sequence[NDArray[np.intp]], *, balance: float
) -> list[NDArray[np.float64]]:
    """Return the weight of each of `rows` (as from `Records.rows`), with mean 1.

    A corpus of n rows gets a share of n ** (1 - balance): its own size with 0, the same as any other with 1.
    """
    corpora = [[shard.corpora[row] for row in found] for shard, found in zip(records.shards, rows, strict=True)]
    counts = Counter(name for names in corpora for name in names)
    each = {name: count**-balance for name, count in counts.items()}
    mean = sum(each[name] * count for name, count in counts.items()) / max(1, counts.total())
    return [np.asarray([each[name] / mean for name in names]) for names in corpora]


class Batches:
    """Shuffled training batches of all training clips, or of `clips`.

    Memory is bounded by POOL_SHARDS however many records there are.
    """

    def __init__(
        self,
        records: Records,
        *,
        targets: Targets,
        batch_size: int,
        seed: int,
        clips: int = 0,
        replicas: int = 1,
        balance: float = 0.0,
    ) -> None:
        """Prepare batches of `batch_size`, rounded down to a multiple of `replicas`.

        With `balance`, clips are drawn by the weights of `balanced_weights`: some twice in an epoch, some not at all.

        Raises InputError where there are fewer clips than replicas.
        """
        self.records, self.targets, self.seed = records, targets, seed
        self.rows = records.rows("train", clips=clips)
        self.balance, self.weights = balance, balanced_weights(records, self.rows, balance=balance)
        self.shards = [index for index, rows in enumerate(self.rows) if len(rows)]
        examples = sum(len(rows) for rows in self.rows)
        pools = -(-len(self.shards) // POOL_SHARDS)
        self.batch_size = min(batch_size, examples // pools) // replicas * replicas
        if not self.batch_size:
            raise InputError(
                f"batches of {min(batch_size, examples // pools)} clips for {replicas} replicas",
                "use a larger batch_size, or fewer replicas",
            )
        self.steps_per_epoch = examples // self.batch_size - (pools - 1)  # each pool drops less than a batch
        self._pool: tuple[tuple[int, ...], Examples] | None = None
        self._plan: tuple[int, list[tuple[tuple[int, ...], NDArray[np.intp]]]] | None = None

    def at(self, step: int) -> Batch:
        """Return the batch of a step."""
        epoch, index = divmod(step, self.steps_per_epoch)
        shards, chosen = self._epoch(epoch)[index]
        pool = self._load(shards)
        return pool.pcm[chosen], pool.targets[chosen]

    def examples(self, *, most: int = 0) -> Iterator[Weighted]:
        """Every training clip once, or `most` of them drawn at random, in order, in batches, with its weight."""
        count = sum(map(len, self.rows))
        chosen = np.zeros(count, bool)
        chosen[np.random.default_rng(self.seed).permutation(count)[: most or count]] = True
        by_shard = np.split(chosen, np.cumsum([len(rows) for rows in self.rows])[:-1])
        for shard in self.shards:
            drawn = by_shard[shard]
            pcm, vectors = read_examples(self.records.shards[shard], self.rows[shard][drawn])
            weights = self.weights[shard][drawn]
            for start in range(0, len(pcm), self.batch_size):
                yield (
                    pcm[start : start + self.batch_size],
                    self.targets.forward(vectors[start : start + self.batch_size]),
                    weights[start : start + self.batch_size],
                )

    def _epoch(self, epoch: int) -> list[tuple[tuple[int, ...], NDArray[np.intp]]]:
        """(shards of the pool, rows in the pool) of each batch."""
        if self._plan is None or self._plan[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            order = [self.shards[i] for i in rng.permutation(len(self.shards))]
            plan = []
            for start in range(0, len(order), POOL_SHARDS):
                shards = tuple(sorted(order[start : start + POOL_SHARDS]))
                clips = self._draw(shards, rng)
                plan += [
                    (shards, clips[i : i + self.batch_size])
                    for i in range(0, len(clips) - self.batch_size + 1, self.batch_size)
                ]
            self._plan = (epoch, plan)
        return self._plan[1]

    def _draw(self, shards: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.intp]:
        """Return as many rows of a pool as it has, each nearly as often as its weight says, in random order."""
        size = sum(len(self.rows[shard]) for shard in shards)
        if not self.balance:
            return rng.permutation(size)
        # Systematic sampling: a row of weight w comes floor(w) or ceil(w) times.
        order = rng.permutation(size)
        ends = np.cumsum(np.concatenate([self.weights[shard] for shard in shards])[order])
        found = np.searchsorted(ends, (np.arange(size) + rng.random()) * ends[-1] / size, side="right")
        return rng.permutation(order[np.minimum(found, size - 1)])

    def _load(self, shards: tuple[int, ...]) -> Examples:
        if self._pool is None or self._pool[0] != shards:
            self._pool = None  # free the old pool first
            pcm = np.empty((sum(len(self.rows[shard]) for shard in shards), AUDIO.clip_samples), np.int16)
            vectors, start = [], 0
            for shard in shards:  # into its place: a list to concatenate would hold every clip twice
                pcm[start : start + len(self.rows[shard])], found = read_examples(
                    self.records.shards[shard], self.rows[shard]
                )
                vectors.append(found)
                start += len(found)
            self._pool = (shards, Examples(pcm, self.targets.forward(np.concatenate(vectors))))
        return self._pool[1]
