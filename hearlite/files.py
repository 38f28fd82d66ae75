"""Files that are whole or not there: atomic writes, hashes, and downloads into the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends well, and vanishes when it doesn't."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 would hide the file from the group that the umask allows
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """JSON; NaN is refused: what is not a number must be null."""
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A .npz of plain arrays."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **dict(arrays))  # type: ignore[arg-type]  # numpy 2's allow_pickle shares the namespace of the arrays' names


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz; pickled objects inside are refused."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # a hostile or cut .npz fails in zipfile, zlib or numpy with many types
        raise InputError(f"{path}: not a readable .npz: {error}") from error


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(stream.read()).hexdigest()
        )


TIMEOUT_S = 60  # without a byte
_CHUNK_BYTES = 1 << 18


def cache_folder(name: str) -> Path:
    """Below the user's cache folder (XDG Base Directory Specification)."""
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
    """Write `target` when every byte of `url` has come and its hex digest is right. Raises InputError, and then leaves
    nothing.
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
