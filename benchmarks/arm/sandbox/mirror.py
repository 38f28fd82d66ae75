"""Find a Debian mirror in this machine's apt configuration, and check its release file and hashes.

This package contains no address of a mirror: on a host without apt sources for Debian, the user names one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError, UsageError
from hearlite.files import TIMEOUT_S, download, sha256_of

# Its qemu-user 7.2 is linked dynamically and therefore supports plugins; later suites link it statically, without them.
SUITE = "bookworm"
APT_FOLDER = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # from the package debian-archive-keyring
_DEBIAN_SUITES = (
    SUITE,
    "bullseye",
    "trixie",
    "forky",
    "sid",
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
)
_MAX_RELEASE_BYTES = 1 << 22  # bookworm's InRelease has 151 kB
_HINT = "name a mirror of Debian's main archive: --mirror URL, the folder that contains dists/ and pool/"


@dataclass(frozen=True)
class Mirror:
    """A mirror and the contents of its release file."""

    address: str
    files: dict[str, tuple[str, int]]  # path below dists/SUITE: (sha256, bytes), from the release file
    signature: str  # "good", or why it was not checked

    def fetch(self, path: str, target: Path, *, sha256: str, size: int) -> None:
        """Download a file of the mirror, unless `target` is the right file already.

        Parameters
        ----------
        path : str
            Path below the mirror's address.
        target : Path
            File to write. After an error it doesn't exist, or is as before.
        sha256 : str
            Expected hash.
        size : int
            Expected size in bytes.

        Raises
        ------
        InputError
            If the file can't be downloaded, or has another size or hash.
        """
        if not (target.is_file() and target.stat().st_size == size and sha256_of(target) == sha256):
            download(f"{self.address}/{path}", target, digest=sha256, size=size)

    def fetch_index(self, architecture: str, target: Path) -> bytes:
        """Download the package index of Debian's component main.

        Parameters
        ----------
        architecture : str
            Debian's name, such as "amd64" or "arm64".
        target : Path
            File to write.

        Returns
        -------
        bytes
            Content of the Packages.xz.

        Raises
        ------
        InputError
            If the release file doesn't list the index, or it can't be downloaded.
        """
        path = f"main/binary-{architecture}/Packages.xz"
        if path not in self.files:
            raise InputError(f"{self.address} has no {path} in {SUITE}", _HINT)
        sha256, size = self.files[path]
        self.fetch(f"dists/{SUITE}/{path}", target, sha256=sha256, size=size)
        return target.read_bytes()


def open_mirror(
    address: str | None = None, *, allow_unsigned: bool = False, apt: Path = APT_FOLDER, keyring: Path = KEYRING
) -> Mirror:
    """Open a Debian mirror: read its release file and check it.

    Parameters
    ----------
    address : str, optional
        http://, https:// or file:// address of the folder that contains dists/ and pool/. By default the first Debian
        mirror in apt's sources.
    allow_unsigned : bool
        Trust the mirror and the connection to it where this machine can't check Debian's signature. A signature that is
        bad is refused all the same.
    apt : Path
        Folder of apt's configuration.
    keyring : Path
        Debian's public keys, with which gpgv checks the release file.

    Returns
    -------
    Mirror
        The mirror, with the hashes in its release file.

    Raises
    ------
    UsageError
        If apt's sources name no Debian mirror, or the address has another scheme.
    InputError
        If the release file can't be read, belongs to another suite, or its signature is bad or can't be checked here.
    """
    addresses = [address] if address else list(dict.fromkeys(apt_sources(apt)))
    if not addresses:
        raise UsageError(f"{apt} names no Debian mirror", _HINT)
    base = addresses[0].rstrip("/")
    if not re.match(r"(https?|file)://", base):
        raise UsageError(f"the mirror is {base!r}", f"expected http://, https:// or file://; {_HINT}")
    release = _get(f"{base}/dists/{SUITE}/InRelease", limit=_MAX_RELEASE_BYTES)
    text, signature = _signed_text(release, keyring, allow_unsigned=allow_unsigned)
    fields = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"(Origin|Codename): ", line))
    if fields != {"Origin": "Debian", "Codename": SUITE}:
        raise InputError(f"{base} is not Debian {SUITE}: its release file has {fields}", _HINT)
    listed = re.findall(r"^ ([0-9a-f]{64}) +([0-9]{1,12}) (\S+)$", text, flags=re.MULTILINE)
    return Mirror(address=base, files={path: (sha256, int(size)) for sha256, size, path in listed}, signature=signature)


def apt_sources(folder: Path) -> Iterator[str]:
    """Yield the addresses of Debian's main archive in apt's sources, those for SUITE first.

    `folder` is the folder of apt's configuration. Other vendors' repositories are left out and never contacted.
    """
    paths = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    entries = [entry for path in paths if path.is_file() for entry in _entries(path)]
    for own in (True, False):
        yield from (uri for uri, suite in entries if suite in _DEBIAN_SUITES and (suite == SUITE) is own)


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (address, suite) of every binary source with the component main, in either format of apt.

    The formats are described in man 5 sources.list.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".sources":
        for stanza in re.split(r"\n\s*\n", text):
            lines = re.sub(
                r"\n[ \t]+", " ", "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
            ).splitlines()
            fields = {key.strip().lower(): value.split() for key, _, value in (line.partition(":") for line in lines)}
            if (
                "deb" in fields.get("types", ())
                and "main" in fields.get("components", ())
                and fields.get("enabled", ["yes"]) != ["no"]
            ):
                yield from ((uri, suite) for uri in fields.get("uris", ()) for suite in fields.get("suites", ()))
    elif path.suffix == ".list":
        for match in re.finditer(
            r"^[ \t]*deb[ \t]+(?:\[[^\]\n]*\][ \t]*)?(\S+)[ \t]+(\S+)[ \t]+([^#\n]*)", text, flags=re.MULTILINE
        ):
            if "main" in match[3].split():
                yield match[1], match[2]


def _get(url: str, *, limit: int) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            content: bytes = response.read(limit + 1)
    except (OSError, urllib.error.URLError) as error:
        raise InputError(f"{url}: {error}", _HINT) from error
    if len(content) > limit:
        raise InputError(f"{url} has more than {limit} bytes", _HINT)
    return content


def _signed_text(release: bytes, keyring: Path, *, allow_unsigned: bool) -> tuple[str, str]:
    """Return the signed part of an InRelease and "good".

    If this machine can't check signatures and that is allowed, return all of it and the reason.
    """
    gpgv = shutil.which("gpgv")
    if gpgv is None or not keyring.is_file():
        missing = "gpgv" if gpgv is None else keyring.name
        if not allow_unsigned:
            raise InputError(
                f"Debian's signature of the package index can't be checked: no {missing} here",
                "install gpgv and debian-archive-keyring, or trust the mirror: hearlite arm --allow-unsigned-index",
            )
        return release.decode("utf-8", errors="replace"), f"not checked: no {missing} here"
    with tempfile.TemporaryDirectory() as folder:
        signed, plain = Path(folder) / "InRelease", Path(folder) / "Release"
        signed.write_bytes(release)
        done = subprocess.run(
            [gpgv, "--quiet", "--keyring", keyring, "--output", plain, signed], capture_output=True, check=False
        )
        if done.returncode or not plain.is_file():
            raise InputError(
                f"the release's signature is bad: {done.stderr.decode(errors='replace').strip()[-300:]}", _HINT
            )
        return plain.read_text(encoding="utf-8", errors="replace"), "good"
