"""Store embeddings in a Parquet file and use the file as a teacher.

`hearlite embed` writes the file; EmbeddingsTeacher looks clips up in it. A large teacher can thus run once, on another
machine, and the rest of hearlite does not need it. Columns: `clip_id` (string: the hash of the clip's int16 PCM) and
`embedding` (list of float). The file's metadata, key `hearlite`, is JSON that describes the embedder.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hearlite.audio.clips import to_int16
from hearlite.data.digest import NOTES_KEY, Digest, require_digest
from hearlite.data.reading import clip_id
from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips
from hearlite.errors import InputError
from hearlite.files import sha256_of
from hearlite.writing import replacing

ROW_GROUP = 4_096  # rows that are written at once: 8 MB of HeAR's vectors
_COLUMNS = ("clip_id", "embedding")
_METADATA_TEXTS = ("teacher", "kind", "licence", "notice", "surrogate_note", "fingerprint")


@contextmanager
def embeddings_writer(path: Path, *, info: EmbedderInfo) -> Iterator[Callable[[Sequence[str], Embeddings], None]]:
    """Write an embeddings file bit by bit; at most about ROW_GROUP vectors are held in memory.

    An existing file is replaced at the end, and stays as it is if the block raises.

    Parameters
    ----------
    path : Path
        The .parquet to write.
    info : EmbedderInfo
        The embedder that computed the vectors.

    Yields
    ------
    callable
        `add(clip_ids, embeddings)`, which adds float32 `[n, dim]` for `n` clip ids. It raises InputError unless there
        is one finite row per id.
    """
    metadata = {"teacher" if key == "name" else key: value for key, value in dataclasses.asdict(info).items()}
    schema = pa.schema(
        [("clip_id", pa.string()), ("embedding", pa.list_(pa.float32(), info.dim))],
        {NOTES_KEY: json.dumps(metadata)},
    )
    ids: list[str] = []
    rows: list[Embeddings] = []

    digest = Digest(_COLUMNS, notes=schema.metadata[NOTES_KEY])

    def flush(writer: pq.ParquetWriter) -> None:
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(rows).ravel()), info.dim)
        table = pa.Table.from_arrays([pa.array(ids, pa.string()), vectors], schema=schema)
        digest.add(table)
        writer.write_table(table)
        ids.clear()
        rows.clear()

    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer:

        def add(clip_ids: Sequence[str], embeddings: Embeddings) -> None:
            expected = (len(clip_ids), info.dim)
            if embeddings.shape != expected or not np.isfinite(embeddings).all():
                raise InputError(
                    f"embeddings {list(embeddings.shape)} for {len(clip_ids)} clips",
                    f"expected finite {list(expected)}",
                )
            ids.extend(clip_ids)
            rows.append(embeddings.astype(np.float32))
            if len(ids) >= ROW_GROUP:
                flush(writer)

        yield add
        if ids:
            flush(writer)
        writer.add_key_value_metadata({digest.key: digest.value()})


class EmbeddingsTeacher:
    """An Embedder that looks up vectors in a file by the clip's content; it cannot embed any other clip.

    Licence, notice and surrogate note are taken from the file's metadata, which describes the teacher that computed the
    vectors; without metadata the licence is unknown.

    Parameters
    ----------
    path : str or Path
        A Parquet file from `hearlite embed`, or any with the columns `clip_id` and `embedding`.

    Raises
    ------
    InputError
        When the file has other columns, rows of unequal length, values that are not finite, or two vectors for one
        clip.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        ids, self._vectors, metadata = _read(self.path)
        self._row = {name: row for row, name in reversed(list(enumerate(ids)))}
        for row, name in enumerate(ids):
            if not np.array_equal(self._vectors[row], self._vectors[self._row[name]]):
                raise InputError(
                    f"{self.path}: clip {name} has two vectors, in rows {self._row[name]} and {row}",
                    "write the file with one teacher",
                )
        dim = self._vectors.shape[1]
        if metadata and metadata["dim"] != dim:
            raise InputError(
                f"{self.path}: vectors have {dim} values, its metadata says {metadata['dim']}",
                "write it again with hearlite embed",
            )
        name = f"embeddings:{path}"
        self.info = EmbedderInfo(
            name=name,
            kind="embeddings",
            dim=dim,
            licence=metadata.get("licence", "unknown"),
            fingerprint=sha256_of(self.path),
            surrogate_note=metadata.get(
                "surrogate_note", f"{name} stands in for HeAR: vectors that nobody said the origin of"
            ),
            notice=metadata.get("notice", ""),
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Look up float32 clips `[n, clip_samples]` in [-1, 1) and return float32 `[n, dim]`.

        Raises InputError when the file lacks any of the clips.
        """
        ids = [clip_id(to_int16(clip)) for clip in as_clips(clips)]
        missing = [name for name in ids if name not in self._row]
        if missing:
            raise InputError(
                f"{self.path} lacks the vectors of {len(missing)} of {len(ids)} clips, first {missing[0]}",
                "run hearlite embed with the same teacher on these recordings, cut the same way",
            )
        return self._vectors[[self._row[name] for name in ids]]


def _read(path: Path) -> tuple[list[str], Embeddings, dict[str, Any]]:
    """Read ids, vectors and metadata ({} if there is none) of a Parquet file."""
    if not path.is_file():
        raise InputError(
            f"{path}: {'not a regular file' if path.exists() else 'no such file'}", "write one with hearlite embed"
        )
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.metadata.metadata or {}
            table = file.read(list(_COLUMNS)).select(_COLUMNS)
        require_digest(table.replace_schema_metadata(metadata), _COLUMNS)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:  # ValueError: names that are not UTF-8
        raise InputError(
            f"{path}: not readable as Parquet with the columns clip_id and embedding:"
            f" {' '.join(str(error).split())[:200]}"
        ) from error
    if table.num_rows == 0:
        raise InputError(f"{path} has no rows", "write it again with hearlite embed")
    ids, lists = table["clip_id"], table["embedding"]
    nested = (
        pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type) or pa.types.is_fixed_size_list(lists.type)
    )
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)) or not (
        nested and pa.types.is_floating(lists.type.value_type)
    ):
        raise InputError(
            f"{path}: clip_id is {ids.type} and embedding {lists.type}", "expected string and list of float"
        )
    return ids.to_pylist(), _vectors(ids, lists, path=path), _metadata(metadata, path=path)


def _vectors(ids: Any, lists: Any, *, path: Path) -> Embeddings:
    flat = [chunk.flatten() for chunk in lists.chunks]
    if ids.null_count or lists.null_count or any(part.null_count for part in flat):
        raise InputError(f"{path} holds empty cells", "every row needs an id and a whole vector")
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) != 1 or lengths[0] == 0:
        raise InputError(f"{path}: vectors of {sorted(lengths)} values", "expected one length of at least 1")
    vectors: Embeddings = (
        np.concatenate([part.to_numpy(zero_copy_only=False) for part in flat])
        .astype(np.float32)
        .reshape(-1, lengths[0])
    )
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise InputError(
            f"{path}: {broken.size} of {len(vectors)} vectors hold NaN or infinity, first in row {broken[0]}",
            "leave those clips out",
        )
    return vectors


def _metadata(metadata: dict[bytes, bytes], *, path: Path) -> dict[str, Any]:
    if NOTES_KEY not in metadata:
        return {}
    try:
        data = json.loads(metadata[NOTES_KEY])
    except ValueError as error:
        raise InputError(f"{path}: its metadata is not JSON: {error}", "write it again with hearlite embed") from error
    if (
        not isinstance(data, dict)
        or not all(isinstance(data.get(key), str) for key in _METADATA_TEXTS)
        or not isinstance(data.get("dim"), int)
    ):
        raise InputError(
            f"{path}: its metadata lacks texts or numbers", f"expected {', '.join(_METADATA_TEXTS)} and dim"
        )
    return data
