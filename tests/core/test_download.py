"""Downloads are whole and right, or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hearlite.errors import InputError
from hearlite.files import cache_folder, download


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_download_is_whole_or_not_there(tmp_path: Path, algorithm: str) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"content")
    right = hashlib.new(algorithm, b"content").hexdigest()
    target = tmp_path / "out" / "file"
    for digest, size in ((right, 6), (right, 8), ("0" * len(right), 7)):
        with pytest.raises(InputError, match="expected"):
            download(source.as_uri(), target, digest=digest, size=size, algorithm=algorithm)
        assert list(target.parent.iterdir()) == []
    download(source.as_uri(), target, digest=right, size=7, algorithm=algorithm)
    assert target.read_bytes() == b"content"


def test_what_cannot_be_fetched_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do this"):
        download((tmp_path / "absent").as_uri(), tmp_path / "out", digest="", size=1, hint="do this")
    assert not (tmp_path / "out").exists()


def test_downloads_are_kept_below_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("arm") == tmp_path / "hearlite" / "arm"
