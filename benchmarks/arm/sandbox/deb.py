"""Read Debian's package index and .deb files with the standard library alone.

Both are treated as hostile input, even if their hashes match.
"""

from __future__ import annotations

import io
import lzma
import posixpath
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hearlite.errors import InputError

MAX_PACKAGE_BYTES = 1 << 27  # 128 MiB; the largest package that is needed, libllvm19, has 26 MB
MAX_INDEX_BYTES = 1 << 28  # bookworm's main/binary-amd64 has 50 MB unpacked
MAX_UNPACKED_BYTES = 1 << 30  # per package; libllvm19 has 130 MB
MAX_MEMBERS = 100_000  # files and folders per package
_AR_MAGIC, _AR_HEADER_BYTES = b"!<arch>\n", 60  # man 5 ar, man 5 deb
_MERGED = ("bin", "lib", "lib64", "sbin")  # top-level folders that bookworm moved below usr/
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Package:
    """An entry of a Packages index: the file to fetch, its size and its hash."""

    name: str
    version: str
    path: str  # below the mirror's address
    size: int  # bytes
    sha256: str


def read_index(content: bytes, *, names: Collection[str]) -> dict[str, Package]:
    """Read the entries of some packages from a Packages.xz.

    Parameters
    ----------
    content : bytes
        Content of the Packages.xz.
    names : collection of str
        Names of the packages.

    Returns
    -------
    dict of str to Package
        Entries by name, one for each of `names`.

    Raises
    ------
    InputError
        If the index is damaged, a package is missing, or a field has an invalid value.
    """
    with tempfile.TemporaryFile() as raw:
        _unxz(content, raw, limit=MAX_INDEX_BYTES, what="Packages.xz")
        text = raw.read().decode("utf-8", errors="replace")
    alternatives = "|".join(map(re.escape, names))
    packages = {}
    for stanza in re.finditer(rf"^Package: (?:{alternatives})\n(?:.+\n?)+", text, flags=re.MULTILINE):
        fields = dict(line.split(": ", 1) for line in stanza[0].splitlines() if ": " in line and not line[0].isspace())
        packages[fields["Package"]] = _package(fields)
    missing = sorted(set(names) - set(packages))
    if missing:
        raise InputError(
            f"the mirror's index has no package {', '.join(missing)}",
            "name a mirror of Debian's main archive with --mirror",
        )
    return packages


def unpack(deb: bytes, folder: Path, *, keep: Collection[str] = (), drop: Collection[str] = ()) -> list[str]:
    """Unpack the files of a .deb below a folder.

    Files of folders that bookworm moved below usr/ are written there. Links stay inside `folder`: an absolute target is
    relative to it.

    Parameters
    ----------
    deb : bytes
        Content of the .deb.
    folder : Path
        Folder to unpack to.
    keep : collection of str
        If not empty, only these paths and those below them are unpacked.
    drop : collection of str
        Names of files and folders that are left out in any folder.

    Returns
    -------
    list of str
        Paths of the unpacked files and links, below `folder`.

    Raises
    ------
    InputError
        If the archive is damaged, has a path or link that leaves `folder`, contains devices, or exceeds the limits of
        this module.
    """
    with tempfile.TemporaryFile() as raw:
        _unxz(_data_tar(deb), raw, limit=MAX_UNPACKED_BYTES, what="data.tar.xz")
        try:
            with tarfile.open(fileobj=raw, mode="r:") as archive:
                return list(_unpack_members(archive, folder.resolve(), keep=keep, drop=drop))
        except (tarfile.TarError, KeyError) as error:  # KeyError: a hard link to a file that isn't in the archive
            raise InputError(f"data.tar is damaged: {error}", "run the set-up again") from error


def _package(fields: dict[str, str]) -> Package:
    name, path, size, digest = (fields.get(key, "") for key in ("Package", "Filename", "Size", "SHA256"))
    if _inside(path) != path or not path.endswith(".deb"):
        raise InputError(f"index entry {name!r}: Filename is {path!r}", "expected a .deb below the mirror's address")
    if not re.fullmatch(r"[0-9]{1,12}", size) or not 0 < int(size) <= MAX_PACKAGE_BYTES:
        raise InputError(f"index entry {name!r}: Size is {size!r}", f"expected 1 to {MAX_PACKAGE_BYTES} bytes")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InputError(f"index entry {name!r}: SHA256 is {digest!r}", "expected 64 hexadecimal digits")
    return Package(name=name, version=fields.get("Version", ""), path=path, size=int(size), sha256=digest)


def _data_tar(deb: bytes) -> bytes:
    """Return the member data.tar.xz of a .deb's outer ar archive."""
    if deb[: len(_AR_MAGIC)] != _AR_MAGIC:
        raise InputError(f"not a .deb: it begins with {deb[:8]!r}", "run the set-up again")
    start = len(_AR_MAGIC)
    while start < len(deb):
        header = deb[start : start + _AR_HEADER_BYTES]
        size = header[48:58].strip()  # decimal, as text
        if header[58:] != b"`\n" or not size.isdigit() or start + _AR_HEADER_BYTES + int(size) > len(deb):
            raise InputError(f"the .deb is damaged: bad ar header at byte {start}", "run the set-up again")
        name = header[:16].decode("ascii", errors="replace").strip().rstrip("/")
        start += _AR_HEADER_BYTES
        if name == "data.tar.xz":
            return deb[start : start + int(size)]
        start += int(size) + int(size) % 2  # members begin at even bytes
    raise InputError("the .deb has no data.tar.xz", "only packages with bookworm's compression can be read")


def _unxz(content: bytes, raw: IO[bytes], *, limit: int, what: str) -> None:
    """Unpack into a temporary file and rewind it.

    So a decompression bomb takes `limit` bytes of disk and no memory.
    """
    try:
        with lzma.open(io.BytesIO(content)) as unpacked:
            while chunk := unpacked.read(_CHUNK_BYTES):
                raw.write(chunk)
                if raw.tell() > limit:
                    raise InputError(
                        f"{what} unpacks to more than {limit} bytes",
                        "no file of a Debian mirror does: use another mirror",
                    )
    except (lzma.LZMAError, EOFError) as error:
        raise InputError(f"{what} is damaged: {error}", "run the set-up again") from error
    raw.seek(0)


def _unpack_members(
    archive: tarfile.TarFile, folder: Path, *, keep: Collection[str], drop: Collection[str]
) -> Iterator[str]:
    for count, member in enumerate(archive):
        path = _merged(_inside(member.name))
        if count >= MAX_MEMBERS:
            raise InputError(
                f"the package has more than {MAX_MEMBERS} files", "no Debian package does: use another mirror"
            )
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise InputError(
                f"the package contains {member.name!r}, which is neither a file nor a folder nor a link",
                "no package of the sandbox does: use another mirror",
            )
        if member.isdir() or (keep and not any(path == kept or path.startswith(f"{kept}/") for kept in keep)):
            continue
        if not set(drop).isdisjoint(path.split("/")):
            continue
        target = folder / path
        _require_real_folders(target, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if member.issym():
            target.symlink_to(_relative_link(path, member.linkname))
            yield path
            continue
        # A hard link is copied: extractfile follows it inside the archive, never on disk.
        source = archive.extractfile(member)
        if source is None:
            raise InputError(
                f"the package links {member.name!r} to {member.linkname!r}, which is not a file", "run the set-up again"
            )
        with target.open("xb") as out:
            shutil.copyfileobj(source, out)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
        yield path


def _inside(path: str) -> str:
    """Return `path` without "./" and doubled slashes; raise InputError if it is absolute or contains ".."."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise InputError(f"path {path!r} leaves its folder", "no path of a Debian mirror does: use another mirror")
    return "/".join(parts)


def _merged(path: str) -> str:
    return f"usr/{path}" if path.split("/", 1)[0] in _MERGED else path


def _relative_link(path: str, target: str) -> str:
    """Return the target of the link at `path`, relative to the link's folder.

    An absolute target starts at the folder that is unpacked to.
    """
    folder = posixpath.dirname(path)
    whole = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
    return posixpath.relpath(_merged(_inside(posixpath.normpath(whole))), folder or ".")


def _require_real_folders(target: Path, folder: Path) -> None:
    """Refuse to write through a link that an earlier member of the archive created."""
    for parent in target.relative_to(folder).parents:
        if (folder / parent).is_symlink():
            raise InputError(
                f"the package writes through its own link {parent}", "no Debian package does: use another mirror"
            )
