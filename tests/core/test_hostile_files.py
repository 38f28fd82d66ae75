"""Files that are not what they should be: JSON and TOML of any content, archives, and what is no file at all."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hearlite import files
from hearlite.errors import InputError
from hearlite.files import parse_json, read_arrays, read_content, read_json, regular_file, write_arrays
from hearlite.serialization import from_dict, load_toml


@dataclass(frozen=True)
class Settings:
    """A dataclass as settings and manifests are."""

    rate: float = 0.0
    steps: int = 0
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "not valid JSON"),
        ("[" * 1_000 + "]" * 1_000, "not valid JSON"),
        ('{"a":' * 65 + "1" + "}" * 65, "more than 64 levels"),
        ("9" * 400, "too large for int64"),
        ("9" * 5_000, "not valid JSON"),
        (f"-{1 << 63}1", "too large for int64"),
        ("1e999", "too large"),
        ("[NaN]", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' is there twice"),
        ("{'a': 1}", "not valid JSON"),
        ("", "not valid JSON"),
    ],
    ids=lambda text: text[:20],
)
def test_json_that_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(path) in str(caught.value) and says in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_json_that_is_read() -> None:
    assert parse_json('{"a": [1, 2.5, null, true, "\\ud800"]}', where="") == {"a": [1, 2.5, None, True, "\ud800"]}
    assert parse_json(str((1 << 63) - 1), where="") == (1 << 63) - 1
    assert parse_json("[" * 64 + "]" * 64, where="")  # the deepest that is allowed


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'"\xff"')
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_json(tmp_path / "a.json")


def test_a_json_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(files.LARGEST_JSON_BYTES + 1)
    with pytest.raises(InputError, match=rf"large\.json: it has {files.LARGEST_JSON_BYTES + 1} bytes"):
        read_json(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps = " + "9" * 5_000, "not valid TOML"),
        ("steps = 0x" + "f" * 400, "too large for int64"),
        ("rate = inf", "rate is not a finite number"),
        ("rate = nan", "rate is not a finite number"),
        ("names = " + "[" * 2_000 + "]" * 2_000, "not valid TOML"),
        ("names = 2020-01-01", "expected a list"),
        ("steps = 1\nsteps = 2", "not valid TOML"),
        ('names = ["a", 1]', "expected str"),
        ("other = 1", "unknown key 'other'"),
    ],
    ids=lambda text: text[:20],
)
def test_toml_that_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_toml(Settings, path)
    assert str(path) in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize("value", [10**400, float("inf"), float("nan"), "1", None, True, [1.0]], ids=repr)
def test_what_is_no_finite_number_is_no_float(value: object) -> None:
    with pytest.raises(InputError, match="somewhere: rate is") as caught:
        from_dict(Settings, {"rate": value}, where="somewhere")
    assert len(str(caught.value)) < 400


def test_a_whole_number_is_a_float() -> None:
    assert from_dict(Settings, {"rate": 3}, where="").rate == 3.0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_never_blocks(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.json", tmp_path / "folder.json"
    os.mkfifo(pipe)
    folder.mkdir()
    (tmp_path / "link.json").symlink_to(pipe)
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    says = {
        pipe: "it is a named pipe",
        tmp_path / "link.json": "it is a named pipe",
        folder: "it is a folder",
        Path("/dev/zero"): "it is a device",
        tmp_path / "loop.json": "symbolic links",
        tmp_path / "absent.json": "No such file",
        tmp_path / "n\0l.json": "null",
    }
    for path, words in says.items():
        for function in (regular_file, read_content, read_json, read_arrays, lambda path: load_toml(Settings, path)):
            with pytest.raises(InputError) as caught:
                function(path)
            assert str(path) in str(caught.value) and words in str(caught.value)


def test_a_socket_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(InputError, match="s: it is a socket"):
            regular_file(Path("s"))


def test_arrays_that_expand_to_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(10_000_000))
    with pytest.raises(InputError, match=r"bomb\.npz: not a readable \.npz: \d+ bytes unpack to 80000\d+"):
        read_arrays(path)
    write_arrays(path, {"a": np.zeros(1_000)})
    assert list(read_arrays(path)) == ["a"]


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}",
        "(" * 200,
    ],
)
def test_arrays_with_a_hostile_header_are_refused(header: str, tmp_path: Path) -> None:
    path, npy = tmp_path / "hostile.npz", io.BytesIO()
    text = header.encode().ljust(4_000)
    npy.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy.getvalue())
    with pytest.raises(InputError, match=r"hostile\.npz: not a readable"):
        read_arrays(path)
