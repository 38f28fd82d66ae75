"""Downloads that are whole and right, or not there; and where a user's downloads are kept."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from hearlite.errors import InputError
from hearlite.files import replacing

TIMEOUT_S = 60  # without a byte
_CHUNK_BYTES = 1 << 18


def cache_folder(name: str) -> Path:
    """Below the user's cache folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearlite" / name


def download(
    url: str, target: Path, *, digest: str, size: int, algorithm: str = "sha256", hint: str = "run the command again: what has come is kept"
) -> None:
    """Write `target` when every byte of `url` has come and its hex digest is right. Raises InputError, and then leaves nothing."""
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
            raise InputError(f"{url}: {got} bytes with {algorithm} {hashed.hexdigest()}, expected {size} with {digest}", "run the command again")
