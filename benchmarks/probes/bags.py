"""Recordings, or annotated events, that are longer than a clip: their clips as bags, and one vector from each (multiple-instance learning)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.stats.bootstrap import Floats, Owners
from hearlite.dataset import ClipRef
from hearlite.spec import AUDIO


@dataclass(frozen=True, eq=False)
class Bags:
    """What a model gave for the clips of several records."""

    values: Floats  # [clips, dim], those of a record beside each other, in their order in time
    counts: NDArray[np.intp]  # [records], clips of each, at least one

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """[records], the first clip of each."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def owners(self) -> Owners:
        """[clips], the record of each."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sum_of(self, values: Floats) -> Floats:
        """Sums over each record, [records, ...], of values by clip, [clips, ...]."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def max_of(self, values: Floats) -> Floats:
        """Largest in each record, [records, ...], of values by clip, [clips, ...]."""
        return np.asarray(np.maximum.reduceat(values, self.starts, axis=0))

    def mean(self) -> Floats:
        """Mean embedding of each record, [records, dim]."""
        return self.sum_of(self.values) / self.counts[:, None]

    def take(self, records: NDArray[np.intp]) -> Bags:
        """Some of the records, in the order asked for."""
        counts = self.counts[records]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Bags(self.values[np.repeat(self.starts[records], counts) + within], counts)


def records_of(clips: Sequence[ClipRef]) -> tuple[tuple[ClipRef, ...], Owners]:
    """(the first clip of every record, the record of each clip [n]). A row of the manifest is a record; without one, a recording is."""
    first: dict[tuple[str, int | None], ClipRef] = {}
    for clip in clips:
        first.setdefault((clip.name, clip.row), clip)
    place = {key: number for number, key in enumerate(first)}
    return tuple(first.values()), np.asarray([place[clip.name, clip.row] for clip in clips], dtype=np.intp)


def bags_of(values: Floats, records: Owners) -> Bags:
    """Embeddings [n, dim] by the record of each clip [n], records numbered from 0 without a gap."""
    return Bags(values[np.argsort(records, kind="stable")], np.bincount(records).astype(np.intp))


def lengths_of(records: Sequence[ClipRef], of_clip: Owners) -> Floats:
    """How long each record is, [records, 1] in seconds: its annotated event, or all its clips. What this alone reaches is no sound."""
    lengths = np.bincount(of_clip) * AUDIO.clip_s
    for number, record in enumerate(records):
        if record.event_end_s is not None:
            lengths[number] = record.event_end_s - (record.event_start_s or 0.0)
    return np.asarray(lengths[:, None])
