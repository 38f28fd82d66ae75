"""Embed a whole dataset in batches and write one Parquet file keyed by the clips' content."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Clip, Dataset, Skipped, clip_id, read_clips
from hearlite.data.embeddings_file import embeddings_writer
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.progress import progress

BATCH = 32
Item = TypeVar("Item")


def embed_dataset(dataset: Dataset, *, embedder: Embedder, out: Path) -> tuple[dict[str, Any], list[Skipped]]:
    """Embed every readable clip of a dataset and write the vectors to a Parquet file.

    Clips that occur twice are embedded once.

    Parameters
    ----------
    dataset : Dataset
        The clips.
    embedder : Embedder
        The model.
    out : Path
        The .parquet to write or replace.

    Returns
    -------
    tuple of dict and list of Skipped
        Counts for printing (`file`, `clips`, `dim`, `silent` by recording, `skipped`), and the clips that could not be
        read.

    Raises
    ------
    InputError
        When no clip can be read.
    """
    seen: set[str] = set()
    skipped: list[Skipped] = []
    silent: Counter[str] = Counter()
    done = 0
    with (
        embeddings_writer(out, info=embedder.info) as add,
        progress(f"embed ({embedder.info.name})", total=len(dataset.clips)) as advance,
    ):
        for clips, unread in clip_batches(read_clips(dataset.clips)):
            skipped += unread
            silent.update(clip.ref.name for clip in clips if clip.silent)
            new = {clip_id(clip.pcm): clip.pcm for clip in clips}
            new = {name: pcm for name, pcm in new.items() if name not in seen}
            if new:
                add(list(new), embedder.embed(from_int16(np.stack(list(new.values())))))
                seen.update(new)
            done += len(clips) + sum(item.clips for item in unread)
            advance(done)
        if not seen:
            raise InputError(f"{dataset.name}: no clip could be read", skipped[0].reason if skipped else "")
    counts = {
        "file": str(out),
        "clips": len(seen),
        "dim": embedder.info.dim,
        "silent": dict(silent),
        "skipped": [
            {"file": item.file, "row": item.row, "reason": item.reason} for item in (*dataset.skipped, *skipped)
        ],
    }
    return counts, skipped


def clip_batches(read: Iterable[Clip | Skipped]) -> Iterator[tuple[list[Clip], list[Skipped]]]:
    """Group the items of `read_clips` by BATCH into clips and those that could not be read.

    Either list may be empty.
    """
    for batch in batched(read, BATCH):
        yield [item for item in batch if isinstance(item, Clip)], [item for item in batch if isinstance(item, Skipped)]


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of at most `size` items, as itertools.batched does from Python 3.12 on."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
