"""JSON and .npz files, hashes, the user's folders, and downloads."""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import os
import stat
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
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


LARGEST_JSON_BYTES = 64 << 20  # a benchmark of 9 tasks and 6 models writes 0.3 MB
_LARGEST_INTEGER = 1 << 63  # what int64 holds; larger numbers overflow floats and array indices
_DEEPEST = 64  # levels; a results.json has 9
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular_file(path: Path, *, hint: str = "name a regular file") -> int:
    """Check that `path` is a regular file, which can be read without waiting, and return its size in bytes.

    Opening a named pipe blocks until something writes to it, and reading a device may never end.

    Raises
    ------
    InputError
        When it is missing or anything else, such as a folder; the message says what it is.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: the name holds a NUL
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}", hint) from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "not a file")
        raise InputError(f"{path}: it is {kind}", hint)
    return found.st_size


def read_content(path: Path, *, largest: int | None = None, hint: str = "name a regular file") -> bytes:
    """Read a regular file of at most `largest` bytes. Raises InputError, which names the file."""
    size = regular_file(path, hint=hint)
    if largest is not None and size > largest:
        raise InputError(f"{path}: it has {size} bytes", f"at most {largest} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", hint) from error


def read_json(path: Path, *, hint: str = "") -> Any:
    """Read a JSON file of at most LARGEST_JSON_BYTES by `parse_json`. Raises InputError, which names the file."""
    return parse_json(read_content(path, largest=LARGEST_JSON_BYTES), where=str(path), hint=hint)


def parse_json(content: bytes | str, *, where: str, hint: str = "") -> Any:
    """Parse JSON that may come from anybody.

    Beside what is no JSON, refused are NaN and infinity, numbers that int64 or float64 can't hold, a key that is there
    twice, and more than 64 levels of nesting.

    Parameters
    ----------
    content : bytes or str
        The JSON; bytes are UTF-8.
    where : str
        Its source, for the message.
    hint : str
        Remedy in the error.

    Raises
    ------
    InputError
        When it is refused.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        data = json.loads(text, parse_constant=_no_number, parse_float=_float, object_pairs_hook=_once)
        require_plain(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON: {error!s:.200}", hint) from error
    return data


def require_plain(data: Any) -> None:
    """Raise ValueError for nested data with more than 64 levels, or integers beyond int64."""
    level = [data]
    for _ in range(_DEEPEST):
        for value in level:
            if isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
                raise ValueError("an integer is too large for int64")
        level = [
            part
            for value in level
            if isinstance(value, (dict, list))
            for part in ([*value, *value.values()] if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number that JSON has")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r:.80} is there twice")
    return found


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name to a .npz, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **dict(arrays))  # type: ignore[arg-type]  # numpy 2's allow_pickle shares the namespace of the arrays' names


_MOST_EXPANSION = 20  # times; hearlite writes .npz uncompressed, and a zip bomb expands a thousandfold


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a .npz. Raises InputError when it is missing, damaged or holds pickled objects."""
    size = regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > _MOST_EXPANSION * size:
            raise ValueError(f"{size} bytes unpack to {unpacked}")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
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
LONGEST_S = 1_800  # for all bytes of one address in `fetch`, so that a server can't hold a command for ever
_CHUNK_BYTES = 1 << 18
# ValueError: what is no address, or redirects to one; UnicodeError is one too.
_DOWNLOAD_ERRORS = (OSError, http.client.HTTPException, ValueError)
_THIS_MACHINE = ("localhost", "127.0.0.1")
_NOT_THERE = (404, 410)  # HTTP statuses


def cache_folder(name: str) -> Path:
    """Return hearlite's folder `name` in the user's cache folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearlite" / name


def data_folder(name: str) -> Path:
    """Return hearlite's folder `name` among the user's data, for what a command can't simply make again.

    It lies below XDG_DATA_HOME or ~/.local/share (XDG Base Directory Specification), on macOS below
    ~/Library/Application Support, and on Windows below LOCALAPPDATA.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "hearlite" / name


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
        except _DOWNLOAD_ERRORS as error:
            raise InputError(f"{url}: {error}", hint) from error
        if got != size or hashed.hexdigest() != digest:
            raise InputError(
                f"{url}: {got} bytes with {algorithm} {hashed.hexdigest()}, expected {size} with {digest}",
                "run the command again",
            )


class _OnlyToHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https:// and refuses all others: a server must not choose what is read on this side."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request for the new address."""
        if urlsplit(newurl).scheme != "https":
            raise ValueError(f"it redirects to {newurl!r:.200}, and only https:// is followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def require_address(address: str) -> None:
    """Raise UsageError unless an address is https://, or http:// on this machine, without a password in it."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"address is {address!r:.200}: {error}", "write it as https://HOST/PATH") from error
    if "@" in parts.netloc:
        raise UsageError(
            f"the address at {parts.hostname} holds a user's name or password",
            "leave it out: addresses are recorded; download the file by other means and name it",
        )
    local = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
    if not parts.hostname or not (parts.scheme == "https" or local):
        raise UsageError(
            f"address is {address!r:.200}", "only https:// is read, and http:// on localhost; or name a file"
        )


class NotThereError(InputError):
    """The server of an address has no such file."""


def fetch(address: str, *, largest: int) -> bytes:
    """Return what an address answers with, where nobody has said beforehand what that is: check it.

    Parameters
    ----------
    address : str
        https://, or http:// on this machine. Redirections are followed to https:// alone.
    largest : int
        Most bytes that are read.

    Raises
    ------
    UsageError
        When the address is of another kind.
    NotThereError
        When the server has no such file.
    InputError
        When it can't be read in full, is larger, stalls for TIMEOUT_S or takes longer than LONGEST_S.
    """
    require_address(address)
    # A proxy can't reach this machine's own servers.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(address).scheme == "http" else []
    opener = urllib.request.build_opener(_OnlyToHttps, *proxies)
    parts, got, end = [], 0, time.monotonic() + LONGEST_S
    try:
        with opener.open(address, timeout=TIMEOUT_S) as response:
            declared: int | None = response.length
            if declared is not None and declared > largest:
                raise ValueError(f"it has {declared} bytes, and at most {largest} are read")
            # read1 returns what is there, so that one byte a second can't outlast LONGEST_S. It is not asked for more
            # than was declared: before Python 3.13 it would wait for that.
            while got != declared and (chunk := response.read1(_CHUNK_BYTES)):
                parts.append(chunk)
                got += len(chunk)
                if got > largest:
                    raise ValueError(f"it has more than {largest} bytes, which are all that is read")
                if time.monotonic() > end:
                    raise ValueError(f"it has not come in {LONGEST_S} s")
            if declared is not None and got < declared:
                raise ValueError(f"it ended {declared - got} bytes too early")
    except _DOWNLOAD_ERRORS as error:
        absent = isinstance(error, urllib.error.HTTPError) and error.code in _NOT_THERE
        kind = NotThereError if absent else InputError
        raise kind(f"{address}: {error}", "check the address and the network, and run the command again") from error
    return b"".join(parts)
