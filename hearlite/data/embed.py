"""Embed a whole dataset and write one Parquet file keyed by the clips' content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hearlite.data.dataset import Dataset, Skipped
from hearlite.data.embeddings_file import embeddings_writer
from hearlite.data.reading import Clip
from hearlite.data.vector_parts import BATCH, Log, batched, embed_parts, kept_parts
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError


def embed_dataset(
    dataset: Dataset, *, embedder: Embedder, out: Path, log: Log | None = None
) -> tuple[dict[str, Any], list[Skipped]]:
    """Embed every readable clip of a dataset and write the vectors to a Parquet file.

    Clips that occur twice are embedded once. Until the file is complete, what is done is kept in `OUT.parts`, and the
    same call goes on from there.

    Parameters
    ----------
    dataset : Dataset
        The clips.
    embedder : Embedder
        The model.
    out : Path
        The .parquet to write or replace.
    log : callable, optional
        Prints a line about parts that are there.

    Returns
    -------
    tuple of dict and list of Skipped
        Counts for printing (`file`, `clips`, `dim`, `silent` by recording, `skipped`), and the clips that could not be
        read.

    Raises
    ------
    InputError
        When no clip can be read, `out` cannot be written, or another process is writing it.
    """
    skipped: list[Skipped] = []
    silent: Counter[str] = Counter()
    clips = 0
    with (
        kept_parts(out, dataset, {"": embedder}, unique=True, log=log) as kept,
        embeddings_writer(out, info=embedder.info) as add,
    ):
        for part in embed_parts(dataset, {"": embedder}, kept=kept, unique=True):
            skipped += part.skipped
            silent.update(part.silent)
            if part.ids:
                add(part.ids, part.vectors[""])
                clips += len(part.ids)
        if not clips:
            raise InputError(f"{dataset.name}: no clip could be read", skipped[0].reason if skipped else "")
    counts = {
        "file": str(out),
        "clips": clips,
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
