"""A Debian mirror: found in this machine's apt configuration, its release file and hashes checked.

No address of a mirror stands in this package: a host without apt sources of Debian names one itself.
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

SUITE = (
    "bookworm"  # its qemu-user 7.2 is linked dynamically and so has plugins; later suites link it statically, without
)
APT_FOLDER = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # package debian-archive-keyring
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
_HINT = "name a mirror of Debian's main archive: --mirror URL, the folder that holds dists/ and pool/"


@dataclass(frozen=True)
class Mirror:
    """An address, and the files that its release vouches for: path below dists/SUITE -> (sha256, bytes)."""

    address: str
    files: dict[str, tuple[str, int]]
    signature: str  # "good", or why it was not checked

    def fetch(self, path: str, target: Path, *, sha256: str, size: int) -> None:
        """Make `target` the mirror's file `path`; one that is there already and right is kept.

        Raises InputError, and then leaves nothing.
        """
        if not (target.is_file() and target.stat().st_size == size and sha256_of(target) == sha256):
            download(f"{self.address}/{path}", target, digest=sha256, size=size)

    def fetch_index(self, architecture: str, target: Path) -> bytes:
        """Fetch the Packages.xz of main for amd64, arm64, ..."""
        path = f"main/binary-{architecture}/Packages.xz"
        if path not in self.files:
            raise InputError(f"{self.address} has no {path} in {SUITE}", _HINT)
        sha256, size = self.files[path]
        self.fetch(f"dists/{SUITE}/{path}", target, sha256=sha256, size=size)
        return target.read_bytes()


def open_mirror(address: str | None = None, *, apt: Path = APT_FOLDER, keyring: Path = KEYRING) -> Mirror:
    """Open `address`, or the first mirror of Debian that apt's sources name.

    Raises UsageError when there is none, InputError when it can't be used.
    """
    addresses = [address] if address else list(dict.fromkeys(apt_sources(apt)))
    if not addresses:
        raise UsageError(f"{apt} names no mirror of Debian", _HINT)
    base = addresses[0].rstrip("/")
    if not re.match(r"(https?|file)://", base):
        raise UsageError(f"mirror is {base!r}", f"expected http://, https:// or file://; {_HINT}")
    release = _get(f"{base}/dists/{SUITE}/InRelease", limit=_MAX_RELEASE_BYTES)
    text, signature = _signed_text(release, keyring)
    fields = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"(Origin|Codename): ", line))
    if fields != {"Origin": "Debian", "Codename": SUITE}:
        raise InputError(f"{base} is not Debian {SUITE}: its release says {fields}", _HINT)
    listed = re.findall(r"^ ([0-9a-f]{64}) +([0-9]{1,12}) (\S+)$", text, flags=re.MULTILINE)
    return Mirror(address=base, files={path: (sha256, int(size)) for sha256, size, path in listed}, signature=signature)


def apt_sources(folder: Path) -> Iterator[str]:
    """Return addresses of Debian's main archive in apt's sources, those of SUITE first.

    Other vendors' repositories are never asked.
    """
    paths = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    entries = [entry for path in paths if path.is_file() for entry in _entries(path)]
    for own in (True, False):
        yield from (uri for uri, suite in entries if suite in _DEBIAN_SUITES and (suite == SUITE) is own)


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Return (address, suite) of every binary source with the component main.

    From either of apt's two formats (man 5 sources.list).
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


def _signed_text(release: bytes, keyring: Path) -> tuple[str, str]:
    """Return what Debian's keys signed of an InRelease, and "good".

    All of it, and why not, where this machine can't check.
    """
    gpgv = shutil.which("gpgv")
    if gpgv is None or not keyring.is_file():
        return release.decode(
            "utf-8", errors="replace"
        ), f"not checked: no {'gpgv' if gpgv is None else keyring.name} here"
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
