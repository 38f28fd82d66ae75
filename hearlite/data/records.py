"""The record cache: clips together with their teacher vectors, in Parquet shards.

Shards are written once; work that was killed resumes with the missing ones. A record is {clip_id, source, subject,
split, corpus, pcm, vector}; `source` is the id of the clip that it is a view of, or its own. Nothing is ever joined by
file name or position: the vector was computed from exactly this PCM. Clips of test subjects are never written, so no
training can use them. Recordings are in random order, so that a shard holds clips of all corpora, which are mixed with
each other and shuffled together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.data.dataset import ClipRef, Dataset, Skipped
from hearlite.data.digest import require_digest, with_digest
from hearlite.data.reading import Clip, clip_id, read_clips
from hearlite.data.views import shared_view
from hearlite.embedders.base import Embedder, EmbedderInfo
from hearlite.errors import InputError
from hearlite.files import read_json, write_json
from hearlite.progress import progress
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, ViewSpec
from hearlite.writing import replacing

SCHEMA = "hearlite-records/4"
SHARD_CLIPS = 256  # 16 MB of PCM: the most that is lost when killed, and that is in memory at a time
TEACHER_BATCH = 32
_INDEX = ("clip_id", "source", "subject", "split", "corpus")
_EXAMPLES = ("pcm", "vector")


@dataclass(frozen=True)
class Shard:
    """The index of one shard file: everything but PCM and vectors."""

    path: Path
    clip_ids: tuple[str, ...]  # one per row, as are the next four
    sources: tuple[str, ...]
    subjects: tuple[str, ...]
    splits: tuple[str, ...]
    corpora: tuple[str, ...]
    skipped: tuple[Skipped, ...]  # clips that could not be read
    silent: dict[str, int]  # number of silent clips by recording


@dataclass(frozen=True)
class Records:
    """A complete record cache."""

    folder: Path
    shards: tuple[Shard, ...]

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Clips that could not be read."""
        found: dict[tuple[str, int | None, str], int] = {}  # a recording may lie in several shards
        for item in (item for shard in self.shards for item in shard.skipped):
            key = (item.file, item.row, item.reason)
            found[key] = found.get(key, 0) + item.clips
        return tuple(Skipped(*key, clips) for key, clips in found.items())

    @property
    def silent(self) -> dict[str, int]:
        """Number of silent clips by recording."""
        return dict(sum((Counter(shard.silent) for shard in self.shards), Counter[str]()))

    def subjects(self, split: str) -> set[str]:
        """Return the subjects of a split."""
        return {
            subject
            for shard in self.shards
            for subject, side in zip(shard.subjects, shard.splits, strict=True)
            if side == split
        }

    def rows(self, split: str, *, clips: int = 0) -> list[NDArray[np.intp]]:
        """Return the row numbers of a split in each shard; of clips that occur twice, the first is taken.

        Parameters
        ----------
        split : str
            "train" or "val".
        clips : int
            Take at most this many clips, those with the smallest ids, with all their views; 0 takes all. Ids are
            hashes, so this is a random sample, and smaller samples are subsets of larger ones.

        Returns
        -------
        list of numpy.ndarray
            Integer `[rows]` for each shard.
        """
        sources = sorted(
            {
                source
                for shard in self.shards
                for source, side in zip(shard.sources, shard.splits, strict=True)
                if side == split
            }
        )
        chosen = set(sources[: clips or None])
        seen: set[str] = set()
        kept = []
        for shard in self.shards:
            rows = []
            for row, (identity, source, side) in enumerate(
                zip(shard.clip_ids, shard.sources, shard.splits, strict=True)
            ):
                if identity not in seen and side == split and source in chosen:
                    rows.append(row)
                seen.add(identity)
            kept.append(np.asarray(rows, dtype=np.intp))
        return kept


@dataclass(frozen=True)
class Views:
    """The number and kind of views recorded of each training clip; validation clips have one, unchanged."""

    count: int = 1  # including the clip itself
    seed: int = 0
    spec: ViewSpec = field(default_factory=ViewSpec)


AS_RECORDED = Views()


@dataclass(frozen=True)
class Worker:
    """One of `count` processes that share the work; the process with index 0 is the chief."""

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief."""
        return self.index == 0


ALONE = Worker()


@dataclass(frozen=True)
class ShardPlan:
    """The path of a shard and the clips that go into it."""

    path: Path
    clips: tuple[ClipRef, ...]


def write_records(
    dataset: Dataset, *, teacher: Embedder, folder: Path, views: Views = AS_RECORDED, worker: Worker = ALONE
) -> Records:
    """Write the record cache for all clips of training and validation subjects; existing shards are kept.

    With several workers, each first writes every `count`-th shard, because the teacher takes most of the time, and then
    whatever is still missing, from the end. No worker waits for another, and at most one shard per worker is computed
    twice, with the same content.

    Parameters
    ----------
    dataset : Dataset
        The clips; those of test subjects are left out.
    teacher : Embedder
        The teacher that computes the vectors.
    folder : Path
        Folder of the records.
    views : Views
        Which views of each training clip are recorded.
    worker : Worker
        This process, if several share the work.

    Returns
    -------
    Records
        The complete cache.

    Raises
    ------
    InputError
        When `folder` holds records of another dataset, teacher or setting, or no training clip can be read.
    """
    plans = plan_shards(dataset, teacher=teacher.info, folder=folder, views=views)
    own, others = (
        plans[worker.index :: worker.count],
        [plan for i, plan in enumerate(plans) if i % worker.count != worker.index],
    )
    shards: dict[Path, Shard] = {}
    done = 0
    with progress(f"records ({teacher.info.name})", total=sum(len(plan.clips) for plan in plans)) as advance:
        for plan in [*own, *reversed(others)]:
            shards[plan.path] = write_shard(plan.clips, teacher=teacher, path=plan.path, views=views)
            done += len(plan.clips)
            advance(done)
    return complete(dataset, [shards[plan.path] for plan in plans])


def plan_shards(
    dataset: Dataset, *, teacher: EmbedderInfo, folder: Path, views: Views = AS_RECORDED
) -> list[ShardPlan]:
    """Return the shards of a complete cache, and mark `folder` as belonging to it.

    Raises InputError when `folder` holds records of another dataset, teacher or setting.
    """
    # All clips of a recording together: it is decoded once.
    order = {clip.name: hashlib.sha256(clip.name.encode(errors="surrogatepass")).digest() for clip in dataset.clips}
    clips = sorted((clip for clip in dataset.clips if clip.split != "test"), key=lambda clip: order[clip.name])
    size = max(1, SHARD_CLIPS // views.count)
    _claim(folder, clips, dataset=dataset, teacher=teacher, views=views)
    starts = range(0, len(clips), size)
    return [
        ShardPlan(folder / f"shard-{i:05d}.parquet", tuple(clips[start : start + size]))
        for i, start in enumerate(starts)
    ]


def complete(dataset: Dataset, shards: Sequence[Shard]) -> Records:
    """Return the cache made of `shards`. Raises InputError when they hold no training clip."""
    if not any("train" in shard.splits for shard in shards):
        reasons = "; ".join(f"{item.file}: {item.reason}" for shard in shards for item in shard.skipped[:3])
        raise InputError(
            f"{dataset.name}: no clip of a training subject could be read", reasons or "check the split column"
        )
    return Records(shards[0].path.parent, tuple(shards))


def write_shard(clips: Sequence[ClipRef], *, teacher: Embedder, path: Path, views: Views = AS_RECORDED) -> Shard:
    """Write one shard unless it exists, and return its index.

    Clips are decoded, varied and embedded; the file appears only when it is complete. Its content depends on the
    arguments alone, so any process can write it.
    """
    if not path.is_file():
        read = list(read_clips(clips, reach_s=views.spec.shift_s if views.count > 1 else 0.0))
        good = [item for item in read if isinstance(item, Clip)]
        skipped = [dataclasses.asdict(item) for item in read if isinstance(item, Skipped)]
        silent = Counter(item.ref.name for item in good if item.silent)
        rows = [(item, pcm) for item in good for pcm in clip_views(item, others=good, views=views)]
        pcm = np.stack([samples for _, samples in rows]) if rows else np.zeros((0, AUDIO.clip_samples), np.int16)
        table = pa.table(
            {
                "clip_id": pa.array([clip_id(samples) for samples in pcm], pa.string()),
                "source": pa.array([clip_id(item.pcm) for item, _ in rows], pa.string()),
                "subject": pa.array([item.ref.subject for item, _ in rows], pa.string()),
                "split": pa.array([item.ref.split for item, _ in rows], pa.string()),
                "corpus": pa.array([item.ref.corpus for item, _ in rows], pa.string()),
                "pcm": pa.array(
                    [samples.astype("<i2").tobytes() for samples in pcm], pa.binary(pcm.shape[1] * pcm.itemsize)
                ),
                "vector": _vectors(pcm, teacher),
            },
            metadata={"hearlite": json.dumps({"schema": SCHEMA, "skipped": skipped, "silent": silent})},
        )
        with replacing(path) as temporary:
            table = with_digest(with_digest(table, _INDEX), _EXAMPLES)
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return read_shard(path)


def read_shard(path: Path) -> Shard:
    """Read a shard's index, without its PCM and vectors. Raises InputError when the file is damaged."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        notes = json.loads((file.schema_arrow.metadata or {})[b"hearlite"])
        if notes["schema"] != SCHEMA:
            raise ValueError(f"schema {notes['schema']!r} is not {SCHEMA!r}")
        table = file.read(list(_INDEX))
        require_digest(table, _INDEX)
        index = table.to_pydict()
        skipped = tuple(
            Skipped(str(item["file"]), item["row"], str(item["reason"]), int(item.get("clips", 1)))
            for item in notes["skipped"]
        )
        ids, sources, subjects, splits, corpora = (tuple(index[name]) for name in _INDEX)
        silent = {str(name): int(count) for name, count in notes["silent"].items()}
        return Shard(path, ids, sources, subjects, splits, corpora, skipped, silent)
    except (pa.ArrowException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: not a readable record shard: {error}", "remove it and run the command again"
        ) from error


def read_examples(shard: Shard, rows: NDArray[np.intp]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Read some rows of a shard: PCM int16 `[n, clip_samples]` and teacher vectors float32 `[n, dim]`.

    Raises InputError when they are damaged.
    """
    try:
        table = pq.read_table(shard.path, columns=list(_EXAMPLES), page_checksum_verification=True)
        require_digest(table, _EXAMPLES)
        pcm = np.frombuffer(b"".join(table["pcm"].take(rows).to_pylist()), dtype="<i2")
        vectors = table["vector"].take(rows).combine_chunks()
        values = np.asarray(vectors.flatten().to_numpy(), dtype=np.float32).reshape(len(rows), vectors.type.list_size)
        return pcm.reshape(len(rows), AUDIO.clip_samples).astype(np.int16, copy=False), values
    except (pa.ArrowException, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{shard.path}: its records are damaged: {error}", "remove it and run 'hearlite distill' again"
        ) from error


def read_records(folder: Path) -> Records:
    """Open an existing cache. Raises InputError when there is none or a shard is damaged."""
    shards = sorted(folder.glob("shard-*.parquet"))
    if not shards:
        raise InputError(
            f"{folder}: no record shards in it",
            "a run needs its records folder; run the same 'hearlite distill' again to make it",
        )
    return Records(folder, tuple(read_shard(path) for path in shards))


def sample_examples(
    records: Records, split: str, *, clips: int, seed: int
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Draw records of a split at random.

    Parameters
    ----------
    records : Records
        The cache.
    split : str
        "train" or "val".
    clips : int
        Maximum number of records.
    seed : int
        Seed of the draw.

    Returns
    -------
    tuple of numpy.ndarray
        PCM int16 `[n, clip_samples]` and teacher vectors float32 `[n, dim]`.

    Raises
    ------
    InputError
        When the split is empty or a shard is damaged.
    """
    places = [(shard, row) for shard, rows in enumerate(records.rows(split)) for row in rows]
    if not places:
        raise InputError(
            f"{records.folder}: no clip of a subject in split {split!r}",
            "put some subjects there, or leave the split column out",
        )
    chosen = sorted(places[i] for i in np.random.default_rng(seed).permutation(len(places))[:clips])
    return gather_examples(records, chosen)


def gather_examples(
    records: Records, places: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Read PCM `[n, clip_samples]` and teacher vectors `[n, dim]` of sorted (shard, row) places."""
    parts = []
    for shard in sorted({shard for shard, _ in places}):
        parts.append(
            read_examples(
                records.shards[shard], np.asarray([row for place, row in places if place == shard], dtype=np.intp)
            )
        )
    return np.concatenate([pcm for pcm, _ in parts]), np.concatenate([vectors for _, vectors in parts])


def clip_views(clip: Clip, *, others: Sequence[Clip], views: Views) -> list[NDArray[np.int16]]:
    """Return the clip and, if it is for training, its further views, int16 `[clip_samples]` each.

    Parameters
    ----------
    clip : Clip
        The clip, with context if views may be shifted.
    others : sequence of Clip
        Clips of the same shard; those for training may be mixed in.
    views : Views
        Number and kind of views.
    """
    identity = clip_id(clip.pcm)
    result = [clip.pcm]
    for view in range(1, views.count if clip.ref.split == "train" else 1):
        partners = [other for other in others if other.ref.split == "train" and other is not clip]
        partner = partners[int(identity[:8], 16) * view % len(partners)].pcm if partners else None
        result.append(
            shared_view(
                clip.context,
                clip_id=identity,
                view=view,
                seed=views.seed,
                start=clip.start,
                partner=partner,
                spec=views.spec,
            )
        )
    return result


def _vectors(pcm: NDArray[np.int16], teacher: Embedder) -> Any:
    dim = teacher.info.dim
    parts = [
        teacher.embed(from_int16(pcm[start : start + TEACHER_BATCH])) for start in range(0, len(pcm), TEACHER_BATCH)
    ]
    vectors = np.concatenate(parts) if parts else np.zeros((0, dim), np.float32)
    if vectors.shape != (len(pcm), dim) or not np.isfinite(vectors).all():
        raise InputError(
            f"teacher {teacher.info.name} output shape {list(vectors.shape)} or values that are not finite for"
            f" {len(pcm)} clips",
            f"expected {dim} numbers each",
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), dim)


def _claim(folder: Path, clips: Sequence[ClipRef], *, dataset: Dataset, teacher: EmbedderInfo, views: Views) -> None:
    """Record in the folder what its shards are made of, or refuse a folder made of something else."""
    places = hashlib.sha256(
        json.dumps([[clip.name, clip.row, clip.start_s, clip.zero_padded] for clip in clips]).encode()
    ).hexdigest()
    expected = {
        "schema": SCHEMA,
        "dataset": dataset.sha256,
        "clips": places,
        "teacher": teacher.fingerprint,
        "audio": to_dict(AUDIO),
        "views": to_dict(views),
        "shard_clips": SHARD_CLIPS,
    }
    path = folder / "records.json"
    if path.exists():
        stored = read_json(path)
        odd = [key for key, value in expected.items() if not isinstance(stored, dict) or stored.get(key) != value]
        if odd:
            raise InputError(
                f"{folder} holds records of another {odd[0]}", "choose another --records folder, or remove this one"
            )
    else:
        write_json(path, expected)
