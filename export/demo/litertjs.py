"""LiteRT.js, Google's runtime for .tflite files in browsers: two npm packages (Apache-2.0), fetched once.

The tarballs are kept as they came and checked at every start; nothing is unpacked to disk. No address of a registry
stands in this package.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError, UsageError
from hearlite.files import cache_folder, download, read_json

VERSION = "2.5.3"
_SCOPE = "@litertjs"
_MAX_FILE_BYTES = 1 << 25  # the largest has 9.4 MB
_NPM_TIMEOUT_S = 30
_WASM = tuple(
    f"wasm/litert_wasm{variant}_internal.{kind}" for variant in ("", "_compat") for kind in ("js", "wasm")
)  # with relaxed SIMD, and without
BY_HAND = f"or run 'npm install {_SCOPE}/core@{VERSION}' in a folder, on any machine, and pass --litert FOLDER"


@dataclass(frozen=True)
class NpmPackage:
    """A package of the registry: its tarball by size and content, and the files of it that the page loads."""

    name: str
    size: int
    sha512: str  # hex of the integrity that the registry lists
    files: tuple[str, ...]


PACKAGES = (
    NpmPackage(
        "core",
        11_817_097,
        "3e51a66cc3aaf568ad5fb14ed2385b749c3d1ad85ab6ccae0905e34edff0259a3414b6b0e3cab8b73f08c2a82a08892f8981abf4e1432f59029cde27cd6a3225",
        ("dist/index.js", *_WASM),
    ),
    NpmPackage(
        "wasm-utils",
        4_698,
        "e1f262c3ab4142722cfb48c7fce435ea760e89297cffecd99e7e61dae97c6932878b4e6c56a656e7cd139a4efca42da44f7f40f4e60155d15ac2d799fec23591",
        ("dist/index.js",),
    ),
)


def read_litertjs(folder: Path | None, *, registry: str | None, log: Callable[[str], None]) -> dict[str, bytes]:
    """Return the runtime's files by `package/path`.

    From `folder`, where npm installed it, or from the user's cache, into which they are fetched once.

    Raises UsageError when no registry is known, InputError for another version, a damaged package, or a registry that
    can't be reached.
    """
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        read = (
            _read_installed(package, folder)
            if folder
            else _read_tarball(_fetched(package, registry=registry, log=log), package)
        )
        files |= {f"{package.name}/{path}": content for path, content in read.items()}
    return files


def _read_installed(package: NpmPackage, folder: Path) -> dict[str, bytes]:
    root = folder / "node_modules" / _SCOPE / package.name
    description = read_json(root / "package.json")
    version = description.get("version") if isinstance(description, dict) else None
    if version != VERSION:
        raise InputError(
            f"{root} has version {version}", f"the page was tested with {VERSION}: npm install {_SCOPE}/core@{VERSION}"
        )
    try:
        return {path: (root / path).read_bytes() for path in package.files}
    except OSError as error:
        raise InputError(
            f"{root}: {error.filename}: {error.strerror}", f"install it again: npm install {_SCOPE}/core@{VERSION}"
        ) from error


def _fetched(package: NpmPackage, *, registry: str | None, log: Callable[[str], None]) -> bytes:
    """Return the package's tarball, checked; fetched when the cache lacks it or has a damaged one."""
    target = cache_folder("litertjs") / f"{package.name}-{VERSION}.tgz"
    if not (target.is_file() and hashlib.sha512(target.read_bytes()).hexdigest() == package.sha512):
        base = _registry(registry)
        log(f"fetching {_SCOPE}/{package.name} {VERSION} ({package.size / 1e6:.1f} MB), once, into {target.parent}")
        url = f"{base}/{_SCOPE}/{package.name}/-/{package.name}-{VERSION}.tgz"
        hint = f"run the command again where the registry can be reached, name another by --registry, {BY_HAND}"
        download(url, target, digest=package.sha512, size=package.size, algorithm="sha512", hint=hint)
    return target.read_bytes()


def _read_tarball(tarball: bytes, package: NpmPackage) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        for path in package.files:
            member = archive.getmember(f"package/{path}")
            content = archive.extractfile(member)
            if content is None or member.size > _MAX_FILE_BYTES:
                raise InputError(
                    f"{package.name} {VERSION}: {path} is no file of at most {_MAX_FILE_BYTES} bytes", BY_HAND
                )
            files[path] = content.read()
    return files


def _registry(option: str | None) -> str:
    """Return the user's npm registry: the option, npm's environment variable, or npm's setting.

    Raises UsageError when none is set.
    """
    found = option or os.environ.get("NPM_CONFIG_REGISTRY") or _npm_says()
    if not found:
        raise UsageError("no npm registry is known: npm is not installed here", f"name one: --registry URL, {BY_HAND}")
    if not re.match(r"(https?|file)://", found):
        raise UsageError(f"registry is {found!r}", "expected http://, https:// or file://")
    return found.rstrip("/")


def _npm_says() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    try:
        done = subprocess.run(
            [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=_NPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
