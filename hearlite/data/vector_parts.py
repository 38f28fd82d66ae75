"""Embed a dataset part by part; the parts are kept in a folder, so that an interrupted run goes on where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Dataset, Skipped
from hearlite.data.digest import require_digest, with_digest
from hearlite.data.reading import Clip, clip_id, read_clips, reading_order
from hearlite.embedders.base import Embedder, Embeddings
from hearlite.errors import InputError
from hearlite.progress import progress
from hearlite.spec import AUDIO
from hearlite.writing import locked, replacing

SCHEMA = "hearlite-parts/1"
BATCH = 32
PART_BATCHES = 8  # 256 clips are lost at most; at 1 s a clip, as HeAR takes on a CPU, four minutes
_SUFFIX = ".parts"
Item = TypeVar("Item")
Log = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Part:
    """Vectors of clips that follow each other in reading order."""

    clips: int  # accounted for: embedded, embedded before, or not readable
    places: tuple[int, ...]  # of the embedded clips, in reading order
    ids: tuple[str, ...]  # of the embedded clips
    vectors: dict[str, Embeddings]  # by model, float32 [embedded, dim]
    skipped: tuple[Skipped, ...]
    silent: dict[str, int]  # number of silent clips by recording


@contextmanager
def kept_parts(
    output: Path, dataset: Dataset, embedders: Mapping[str, Embedder], *, unique: bool = False, log: Log | None = None
) -> Iterator[Path]:
    """Yield the folder in `OUTPUT.parts` for the parts of these clips and models; remove it if the block succeeds.

    Parameters
    ----------
    output : Path
        The file that the parts are for.
    dataset : Dataset
        The clips.
    embedders : dict of str to Embedder
        Models by name.
    unique : bool
        As for `embed_parts`.
    log : callable, optional
        Prints a line: that a run goes on, or that `OUTPUT.parts` holds parts of other clips or models, which stay.

    Raises
    ------
    InputError
        When another process holds the folder, or it cannot be written.
    """
    folder = output.with_name(f"{output.name}{_SUFFIX}")
    own = folder / _key(dataset, embedders, unique=unique)
    try:
        with locked(folder, output=output):
            if log and any(path.is_dir() and path != own for path in folder.iterdir()):
                log(f"note: {folder} holds parts of other recordings or another model; remove it if nobody needs them")
            if log and own.is_dir():
                log(f"note: going on with the parts in {folder}")
            try:
                yield own
                shutil.rmtree(own, ignore_errors=True)
            finally:
                _remove_empty(own)
    finally:
        _remove_empty(folder)


def embed_parts(
    dataset: Dataset, embedders: Mapping[str, Embedder], *, kept: Path | None = None, unique: bool = False
) -> Iterator[Part]:
    """Embed all clips of a dataset with all models, decoding each once.

    Parameters
    ----------
    dataset : Dataset
        The clips.
    embedders : dict of str to Embedder
        Models by name.
    kept : Path, optional
        Where parts are kept, from `kept_parts`. Those that are there are read instead of embedded.
    unique : bool
        Embed a clip that occurs several times once.

    Yields
    ------
    Part
        PART_BATCHES batches each, in reading order; what is yielded does not depend on where a run was interrupted.

    Raises
    ------
    InputError
        When a kept part is damaged, or a part cannot be written.
    """
    order = reading_order(dataset.clips)
    done = number = 0
    seen: set[str] = set()
    names = ", ".join(dict.fromkeys(embedder.info.name for embedder in embedders.values())) or "nothing"
    with progress(f"embed ({names})" if len(embedders) < 2 else "embed", total=len(order)) as advance:
        while kept and (path := _part_path(kept, number)).exists():
            part = _read_part(path, embedders)
            done, number = done + part.clips, number + 1
            seen.update(part.ids if unique else ())
            advance(done)
            yield part
        for batches in batched(batched(read_clips(order[done:]), BATCH), PART_BATCHES):
            part = _joined([_embed(batch, embedders, seen=seen, unique=unique) for batch in batches], first=done)
            if kept:
                _write_part(part, _part_path(kept, number))
            done, number = done + part.clips, number + 1
            advance(done)
            yield part


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of at most `size` items, as itertools.batched does from Python 3.12 on."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _embed(read: Sequence[Clip | Skipped], embedders: Mapping[str, Embedder], *, seen: set[str], unique: bool) -> Part:
    """Embed one batch; its places count from the batch's first clip."""
    clips = 0
    places, ids, pcm = [], [], []
    silent: Counter[str] = Counter()
    for item in read:
        if isinstance(item, Skipped):
            clips += item.clips
            continue
        silent.update([item.ref.name] if item.silent else [])
        name = clip_id(item.pcm)
        if not unique or name not in seen:
            places.append(clips)
            ids.append(name)
            pcm.append(item.pcm)
            seen.add(name)
        clips += 1
    audio = from_int16(np.stack(pcm)) if pcm else np.zeros((0, AUDIO.clip_samples), np.float32)
    vectors = {
        name: embedder.embed(audio) if pcm else np.zeros((0, embedder.info.dim), np.float32)
        for name, embedder in embedders.items()
    }
    unread = tuple(item for item in read if isinstance(item, Skipped))
    return Part(clips, tuple(places), tuple(ids), vectors, unread, dict(silent))


def _joined(parts: Sequence[Part], *, first: int) -> Part:
    """Return batches as one part, whose places count from the dataset's first clip."""
    starts = list(itertools.accumulate((part.clips for part in parts), initial=first))
    return Part(
        clips=starts[-1] - first,
        places=tuple(start + place for part, start in zip(parts, starts, strict=False) for place in part.places),
        ids=tuple(name for part in parts for name in part.ids),
        vectors={name: np.concatenate([part.vectors[name] for part in parts]) for name in parts[0].vectors},
        skipped=tuple(item for part in parts for item in part.skipped),
        silent=dict(sum((Counter(part.silent) for part in parts), Counter[str]())),
    )


def _key(dataset: Dataset, embedders: Mapping[str, Embedder], *, unique: bool) -> str:
    """Return a name for the parts of these clips and models: a hash of both."""
    digest = hashlib.sha256(
        json.dumps(
            [
                *(SCHEMA, BATCH, PART_BATCHES, AUDIO.sample_rate_hz, AUDIO.clip_samples, unique, dataset.sha256),
                {name: [embedder.info.fingerprint, embedder.info.dim] for name, embedder in embedders.items()},
            ]
        ).encode()
    )
    for ref in dataset.clips:
        place = [ref.name, ref.row, ref.start_s, ref.event_start_s, ref.event_end_s, ref.zero_padded]
        digest.update(json.dumps(place).encode())
    return digest.hexdigest()[:16]


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds something, or is gone
        folder.rmdir()


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.parquet"


def _write_part(part: Part, path: Path) -> None:
    columns = {"place": pa.array(part.places, pa.int64()), "clip_id": pa.array(part.ids, pa.string())}
    for name, vectors in part.vectors.items():
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns[f"vector:{name}"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    notes = {"clips": part.clips, "skipped": list(map(dataclasses.asdict, part.skipped)), "silent": part.silent}
    table = pa.table(columns, metadata={"hearlite": json.dumps(notes)})
    folder = path.parent.parent  # of OUTPUT.parts/KEY/PART
    with replacing(path, output=folder.with_suffix("") if folder.suffix == _SUFFIX else None) as temporary:
        pq.write_table(with_digest(table, list(columns)), temporary, write_page_checksum=True)


def _read_part(path: Path, embedders: Mapping[str, Embedder]) -> Part:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        require_digest(table, ["place", "clip_id", *(f"vector:{name}" for name in embedders)])
        notes: dict[str, Any] = json.loads((table.schema.metadata or {})[b"hearlite"])
        vectors = {
            name: table[f"vector:{name}"].combine_chunks().flatten().to_numpy().reshape(-1, embedder.info.dim)
            for name, embedder in embedders.items()
        }
        skipped = tuple(Skipped(**item) for item in notes["skipped"])
        return Part(
            int(notes["clips"]),
            tuple(table["place"].to_pylist()),
            tuple(table["clip_id"].to_pylist()),
            vectors,
            skipped,
            dict(notes["silent"]),
        )
    except (pa.ArrowException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable part: {error}", "remove it and run the command again") from error
