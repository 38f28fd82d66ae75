"""Make Debian mirrors of a few bytes, for the tests of the ARM sandbox."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

from hearlite.benchmarks.arm.sandbox.mirror import SUITE


def make_deb(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a .deb with the given members in data.tar.xz; `member` makes them."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": lzma.compress(raw.getvalue())}
    out = b"!<arch>\n"
    for name, content in parts.items():
        out += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )
    return out


def member(
    path: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a .deb.

    Parameters
    ----------
    path : str
        Its path.
    content : bytes
        Its content.
    kind : bytes
        Its type, a constant of tarfile.
    link : str
        The target of a link.
    mode : int
        Its permissions.

    Returns
    -------
    info : tarfile.TarInfo
        The header.
    content : bytes
        The content.
    """
    info = tarfile.TarInfo(path)
    info.size, info.type, info.linkname, info.mode = len(content), kind, link, mode
    return info, content


def stanza(name: str, deb: bytes, **changed: str) -> str:
    """Return an entry of a Packages index.

    Parameters
    ----------
    name : str
        Name of the package.
    deb : bytes
        Content of its .deb, whose size and hash are entered.
    **changed : str
        Fields that replace the right ones.

    Returns
    -------
    str
        The entry.
    """
    fields = {
        "Package": name,
        "Version": "1:2.0-3",
        "Filename": f"pool/{name}.deb",
        "Size": str(len(deb)),
        "SHA256": hashlib.sha256(deb).hexdigest(),
    }
    fields |= changed
    return (
        "".join(f"{key}: {value}\n" for key, value in fields.items())
        + "Description: a package\n of a test: with colons\n"
    )


def make_mirror(folder: Path, packages: Mapping[str, Mapping[str, bytes]]) -> str:
    """Write a mirror.

    Parameters
    ----------
    folder : Path
        Folder to write to.
    packages : mapping
        Content of the .debs, by architecture and name.

    Returns
    -------
    str
        Its file:// address.
    """
    listed = []
    for architecture, debs in packages.items():
        index = lzma.compress(
            "\n".join(
                stanza(name, deb, Filename=f"pool/{architecture}/{name}.deb") for name, deb in debs.items()
            ).encode()
        )
        path = f"main/binary-{architecture}/Packages.xz"
        _write(folder / "dists" / SUITE / path, index)
        listed.append(f" {hashlib.sha256(index).hexdigest()} {len(index):>8} {path}")
        for name, deb in debs.items():
            _write(folder / "pool" / architecture / f"{name}.deb", deb)
    release = "\n".join(["Origin: Debian", f"Codename: {SUITE}", "SHA256:", *listed]) + "\n"
    _write(folder / "dists" / SUITE / "InRelease", release.encode())
    return folder.as_uri()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
