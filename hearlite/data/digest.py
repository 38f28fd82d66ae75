"""Digests of a table in its Parquet file, for what page checksums leave out: headers of pages, and the footer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

NOTES_KEY = b"hearlite"  # of a schema's metadata: what hearlite says about a file, as JSON


class Digest:
    """A sha256 of a file's notes and of some columns, whatever the portions in which their rows come.

    Lists of numbers and fixed binary are hashed by their bytes, other values as JSON.

    Attributes
    ----------
    key : bytes
        Its name in the metadata.
    """

    def __init__(self, columns: Sequence[str], *, notes: bytes) -> None:
        self.key = f"hearlite.sha256:{','.join(columns)}".encode()
        self._notes = notes
        self._columns = {name: hashlib.sha256() for name in columns}
        self._types = dict.fromkeys(columns, "")

    def add(self, table: pa.Table) -> None:
        """Hash the rows of a table that has these columns, and perhaps others."""
        for name, digest in self._columns.items():
            column = table[name]
            if pa.types.is_fixed_size_list(column.type) and not column.null_count:
                # The same bytes are other vectors of another length.
                self._types[name] = f"{column.type.value_type}[{column.type.list_size}]"
                for chunk in column.chunks:
                    digest.update(np.ascontiguousarray(chunk.flatten().to_numpy(zero_copy_only=False)).tobytes())
            elif pa.types.is_fixed_size_binary(column.type) and not column.null_count:
                for value in column.to_pylist():
                    digest.update(value)
            else:
                for value in column.to_pylist():
                    digest.update(json.dumps(value, default=repr).encode() + b"\n")

    def value(self) -> bytes:
        """Return the digest of all rows so far, in hexadecimal."""
        digest = hashlib.sha256(self._notes)
        for name, of_column in self._columns.items():
            digest.update(f"{name}\0{self._types[name]}\0".encode() + of_column.digest())
        return digest.hexdigest().encode()


def with_digest(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the table with a sha256 of its notes and of some columns in its metadata."""
    digest = _of(table, columns)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), digest.key: digest.value()})


def require_digest(table: pa.Table, columns: Sequence[str]) -> None:
    """Require that some columns, and the notes, are as they were when their digest was written.

    Raises
    ------
    ValueError
        When they are not. Tables without a digest, as hearlite 0.1 wrote them, pass.
    """
    metadata = table.schema.metadata or {}
    key = Digest(columns, notes=b"").key
    if key in metadata and metadata[key] != _of(table, columns).value():
        raise ValueError("its content has changed since it was written")


def _of(table: pa.Table, columns: Sequence[str]) -> Digest:
    digest = Digest(columns, notes=(table.schema.metadata or {}).get(NOTES_KEY, b""))
    digest.add(table)
    return digest
