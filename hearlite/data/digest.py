"""Digests of a table in its Parquet file, for what page checksums leave out: headers of pages, and the footer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

NOTES_KEY = b"hearlite"  # of a schema's metadata: what hearlite says about a file, as JSON


def with_digest(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the table with a sha256 of its notes and of some columns in its metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _key(columns): _sha256(table, columns)})


def require_digest(table: pa.Table, columns: Sequence[str]) -> None:
    """Require that some columns, and the notes, are as they were when `with_digest` was called with them.

    Raises
    ------
    ValueError
        When they are not. Tables without a digest, as hearlite 0.1 wrote them, pass.
    """
    expected = (table.schema.metadata or {}).get(_key(columns))
    if expected is not None and expected != _sha256(table, columns):
        raise ValueError("its content has changed since it was written")


def _key(columns: Sequence[str]) -> bytes:
    return f"hearlite.sha256:{','.join(columns)}".encode()


def _sha256(table: pa.Table, columns: Sequence[str]) -> bytes:
    """Hash the values, however they are chunked; lists of numbers and fixed binary by their bytes, others as JSON."""
    digest = hashlib.sha256((table.schema.metadata or {}).get(NOTES_KEY, b""))
    for name in columns:
        column = table[name]
        digest.update(json.dumps([name, len(column), column.null_count]).encode())
        if pa.types.is_fixed_size_list(column.type):
            digest.update(f"{column.type.value_type}[{column.type.list_size}]".encode())
            for chunk in column.chunks:
                digest.update(np.ascontiguousarray(chunk.flatten().to_numpy(zero_copy_only=False)).tobytes())
        elif pa.types.is_fixed_size_binary(column.type):
            for value in column.to_pylist():
                digest.update(value or b"")
        else:
            digest.update(json.dumps(column.to_pylist()).encode())
    return digest.hexdigest().encode()
