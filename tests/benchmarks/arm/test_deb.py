"""Reading Debian's indexes and packages: what they hold, and what is refused."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path

import pytest
from mirrors import make_deb, member, stanza

from hearlite.benchmarks.arm.sandbox import deb as debs
from hearlite.benchmarks.arm.sandbox.deb import read_index, unpack
from hearlite.errors import InputError

DEB = make_deb(member("./usr/bin/tool", b"x", mode=0o755))


def index(*stanzas: str) -> bytes:
    return lzma.compress("\n".join(stanzas).encode())


def test_index_gives_the_packages_that_are_asked_for():
    found = read_index(index(stanza("a", DEB), stanza("ab", DEB), stanza("libc6+x", DEB)), names=["a", "libc6+x"])
    assert sorted(found) == ["a", "libc6+x"]
    assert (found["a"].version, found["a"].path, found["a"].size) == ("1:2.0-3", "pool/a.deb", len(DEB))


def test_missing_package_is_named():
    with pytest.raises(InputError, match="no package b, c;"):
        read_index(index(stanza("a", DEB)), names=["a", "b", "c"])


@pytest.mark.parametrize(
    "field",
    [
        {"Filename": "../x.deb"},
        {"Filename": "/etc/x.deb"},
        {"Filename": "pool/x.sh"},
        {"Size": "-1"},
        {"Size": "0"},
        {"Size": "99999999999"},
        {"SHA256": "abc"},
    ],
)
def test_index_entries_that_cannot_be_right_are_refused(field):
    with pytest.raises(InputError, match=r"index entry 'a'|leaves its folder"):
        read_index(index(stanza("a", DEB, **field)), names=["a"])


def test_bombs_and_damage_are_refused(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"Packages\.xz is damaged"):
        read_index(index(stanza("a", DEB))[:-8], names=["a"])
    monkeypatch.setattr(debs, "MAX_INDEX_BYTES", 10)
    with pytest.raises(InputError, match="unpacks to more than 10 bytes"):
        read_index(index(stanza("a", DEB)), names=["a"])
    monkeypatch.setattr(debs, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(InputError, match="unpacks to more than 1000 bytes"):
        unpack(make_deb(member("usr/zeros", bytes(100_000))), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(debs, "MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        unpack(make_deb(*(member(f"usr/{i}") for i in range(3))), tmp_path)


def test_unpacks_files_links_and_modes_where_bookworm_has_them(tmp_path):
    deb = make_deb(
        member("./lib/", kind=tarfile.DIRTYPE, mode=0o755),
        member("./lib/x86/libc.so.6", b"code", mode=0o755),
        member("./usr/lib/x86/libc.so", kind=tarfile.SYMTYPE, link="/lib/x86/libc.so.6"),
        member("./lib64/ld.so", kind=tarfile.SYMTYPE, link="../lib/x86/libc.so.6"),
        member("./usr/lib/x86/copy", kind=tarfile.LNKTYPE, link="./lib/x86/libc.so.6"),
        member("./usr/share/doc/long", b"words"),
    )
    names = unpack(deb, tmp_path, keep=["usr/lib", "usr/lib64/ld.so"])
    assert names == ["usr/lib/x86/libc.so.6", "usr/lib/x86/libc.so", "usr/lib64/ld.so", "usr/lib/x86/copy"]
    assert {(tmp_path / name).read_bytes() for name in names} == {b"code"}
    assert (tmp_path / "usr/lib/x86/libc.so.6").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "usr/share").exists()
    assert not (tmp_path / "usr/lib/x86/copy").is_symlink()


@pytest.mark.parametrize(
    "bad",
    [
        [member("../outside", b"x")],
        [member("/outside", b"x")],
        [member("usr/../../outside", b"x")],
        [member("usr/link", kind=tarfile.SYMTYPE, link="../../outside")],
        [member("usr/link", kind=tarfile.SYMTYPE, link="/../outside")],
        [member("usr/null", kind=tarfile.CHRTYPE)],
        [member("usr/pipe", kind=tarfile.FIFOTYPE)],
        [
            member("usr/a", kind=tarfile.SYMTYPE, link="b"),
            member("usr/a/file", b"x"),
        ],  # inside, but the archive wrote the link itself
    ],
)
def test_hostile_archives_are_refused(tmp_path, bad):
    box = tmp_path / "box"
    box.mkdir()
    with pytest.raises(InputError):
        unpack(make_deb(*bad), box)
    assert not (tmp_path / "outside").exists()
    assert not any(path.is_file() for path in box.rglob("*"))


def test_hard_links_reach_only_into_the_archive(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(InputError, match="damaged"):
        unpack(make_deb(member("usr/a", kind=tarfile.LNKTYPE, link="../secret")), tmp_path / "box")
    assert not (tmp_path / "box/usr/a").exists()


@pytest.mark.parametrize(
    "cut", [b"", DEB[:4], DEB[:30], DEB[: len(DEB) - 20], DEB.replace(b"data.tar.xz", b"data.tar.zz"), b"PK" + DEB[2:]]
)
def test_damaged_packages_are_refused(tmp_path, cut):
    with pytest.raises(InputError):
        unpack(cut, tmp_path)


def test_a_second_package_replaces_files_not_folders(tmp_path: Path):
    unpack(make_deb(member("usr/a", b"1")), tmp_path)
    unpack(make_deb(member("usr/a", b"2"), member("usr/b", b"3")), tmp_path)
    assert (tmp_path / "usr/a").read_bytes() == b"2"
