"""JSON and .npz files, hashes, and verified downloads into the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.writing import replacing


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write `data` to `path` as JSON, atomically.

    Raises ValueError for NaN and infinity, which JSON lacks; write null instead.
    """
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises InputError when it cannot be read or parsed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name to a .npz, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **dict(arrays))  # type: ignore[arg-type]  # numpy 2's allow_pickle shares the namespace of the arrays' names


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a .npz. Raises InputError when it is missing, damaged or holds pickled objects."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # a hostile or truncated .npz raises many types, from zipfile, zlib and numpy
        raise InputError(f"{path}: not a readable .npz: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(stream.read()).hexdigest()
        )


TIMEOUT_S = 60  # without a byte received
_CHUNK_BYTES = 1 << 18


def cache_folder(name: str) -> Path:
    """Return hearlite's folder `name` in the user's cache folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearlite" / name


def download(
    url: str,
    target: Path,
    *,
    digest: str,
    size: int,
    algorithm: str = "sha256",
    hint: str = "run the command again: what has come is kept",
) -> None:
    """Download `url` to `target`, which appears only if size and digest are right.

    Parameters
    ----------
    url : str
        What to download.
    target : Path
        File to write or replace.
    digest : str
        Expected hash of the content, in hexadecimal.
    size : int
        Expected number of bytes; reading stops once it is exceeded.
    algorithm : str
        A hash of hashlib.
    hint : str
        Remedy in the error raised when the download fails.

    Raises
    ------
    InputError
        When the download fails, stalls for TIMEOUT_S, or has another size or digest.
    """
    hashed, got = hashlib.new(algorithm), 0
    with replacing(target) as temporary, temporary.open("wb") as out:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
                while got <= size and (chunk := response.read(_CHUNK_BYTES)):
                    out.write(chunk)
                    hashed.update(chunk)
                    got += len(chunk)
        except (OSError, urllib.error.URLError) as error:
            raise InputError(f"{url}: {error}", hint) from error
        if got != size or hashed.hexdigest() != digest:
            raise InputError(
                f"{url}: {got} bytes with {algorithm} {hashed.hexdigest()}, expected {size} with {digest}",
                "run the command again",
            )
