"""Set up the sandbox: emulator, ARM system libraries, runtimes and LLVM tools in one folder.

It needs no root and leaves the rest of the system alone.

Each part is unpacked into a temporary folder, which is renamed when it is complete. box.json is written last and
certifies the whole sandbox. A set-up that was killed therefore leaves complete parts and complete downloads, from which
the next one continues. README.md in this folder has an overview.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlite.benchmarks.arm.sandbox.deb import Package, read_index, unpack
from hearlite.benchmarks.arm.sandbox.mirror import Mirror, open_mirror
from hearlite.benchmarks.arm.sandbox.packages import PARTS, VOUCHED, Part
from hearlite.benchmarks.arm.sandbox.toolchain import SOURCES, build_programs
from hearlite.benchmarks.arm.sandbox.wheels import LITERT_VERSION, TFLITE_VERSION, WHEELS, fetch_wheel, unpack_wheel
from hearlite.errors import InputError, UsageError
from hearlite.files import read_json, sha256_of, write_json

SCHEMA = "hearlite-armbox/1"
_PARALLEL_DOWNLOADS = 4
_BUILDING = ".building."


@dataclass(frozen=True)
class Box:
    """A complete sandbox."""

    folder: Path
    versions: Mapping[str, str]  # of litert, tflite_runtime, qemu, llvm and glibc
    signature: str  # of Debian's release file: "good", or why it was not checked


def open_box(folder: Path) -> Box:
    """Open a complete sandbox and check its files.

    Raises
    ------
    InputError
        If `folder` contains no complete sandbox, one set up by another version of hearlite, or a damaged one.
    """
    if not (folder / "box.json").is_file():
        raise InputError(f"{folder} contains no complete sandbox", "set it up: hearlite arm")
    facts = _read_facts(folder)
    if facts.get("schema") != SCHEMA or facts.get("key") != _key():
        raise InputError(f"{folder} was set up by another version of hearlite", "set it up again: hearlite arm")
    tables = [facts.get("files"), facts.get("versions"), {"signature": facts.get("signature")}]
    if not all(isinstance(of, dict) and all(isinstance(text, str) for text in of.values()) for of in tables):
        raise InputError(f"{folder / 'box.json'} is damaged", f"delete {folder} and run the command again")
    for path, sha256 in facts["files"].items():
        if not (folder / path).is_file() or sha256_of(folder / path) != sha256:
            raise InputError(f"{folder / path} is missing or damaged", f"delete {folder} and run the command again")
    return Box(folder=folder, versions=facts["versions"], signature=facts["signature"])


def _read_facts(folder: Path) -> dict[str, Any]:
    """Read box.json; its fields are not checked."""
    facts = read_json(folder / "box.json", hint=f"delete {folder} and run the command again")
    if not isinstance(facts, dict):
        raise InputError(f"{folder / 'box.json'} is damaged", f"delete {folder} and run the command again")
    return facts


def set_up(folder: Path, *, mirror: str | None = None, allow_unsigned: bool = False, log: Callable[[str], None]) -> Box:
    """Set up the sandbox in a folder; a complete one is only checked, without a download.

    Parameters
    ----------
    folder : Path
        Folder of the sandbox; it is created if necessary.
    mirror : str, optional
        Address of a Debian mirror; by default the first one in apt's sources.
    allow_unsigned : bool
        Trust the mirror where this machine can't check Debian's signature of the package index.
    log : callable
        Called with a line of text for each step.

    Returns
    -------
    Box
        The complete sandbox.

    Raises
    ------
    UsageError
        If this machine isn't Linux on x86-64, no mirror is found, or pip is missing.
    InputError
        If a download fails or doesn't match its hash, the package index's signature is bad or can't be checked, a
        compiler fails, or the sandbox is damaged.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UsageError(f"this is {platform.system()} on {platform.machine()}", "the sandbox runs on Linux x86-64")
    with _locked(folder):
        if (folder / "box.json").is_file() and _read_facts(folder).get("key") == _key():
            box = open_box(folder)
            _remove_leavings(folder)
            return box
        (folder / "box.json").unlink(missing_ok=True)
        source = open_mirror(mirror, allow_unsigned=allow_unsigned)
        log(f"setting up {folder}: downloads about 185 MB, once")
        packages = _fetch(source, folder / "downloads", log=log)
        for part in PARTS:
            debs = [packages[part.architecture][name] for name in part.packages]
            key = _hash([*(package.sha256 for package in debs), repr(part), repr(WHEELS.get(part.name))])
            _make(folder / part.name, key=key, fill=_filler(part, debs, folder / "downloads"), log=log)
        _make(folder / "bin", key=_key(), fill=lambda out: build_programs(folder, out), log=log)
        _finish(folder, packages, source.signature)
        _remove_leavings(folder)
        return open_box(folder)


def _fetch(source: Mirror, downloads: Path, *, log: Callable[[str], None]) -> dict[str, dict[str, Package]]:
    """Download everything into `downloads`; return the packages by architecture and name."""
    downloads.mkdir(parents=True, exist_ok=True)
    names: dict[str, set[str]] = {}
    for part in PARTS:
        names.setdefault(part.architecture, set()).update(part.packages)
    packages = {}
    for architecture in names:
        index = source.fetch_index(architecture, downloads / f"Packages-{architecture}.xz")
        packages[architecture] = read_index(index, names=names[architecture])
    every = [package for by_name in packages.values() for package in by_name.values()]
    size = sum(package.size for package in every) / 1e6
    log(
        f"downloading {len(every)} packages, {size:.0f} MB, LiteRT {LITERT_VERSION} and tflite-runtime {TFLITE_VERSION}"
    )
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        jobs: list[Future[Any]] = [
            pool.submit(source.fetch, p.path, _deb(downloads, p), sha256=p.sha256, size=p.size) for p in every
        ]
        jobs += [pool.submit(fetch_wheel, wheel, downloads) for wheel in WHEELS.values()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return packages


def _deb(downloads: Path, package: Package) -> Path:
    return downloads / f"{package.sha256}.deb"


def _filler(part: Part, debs: list[Package], downloads: Path) -> Callable[[Path], None]:
    def fill(out: Path) -> None:
        for package in debs:
            unpack(_deb(downloads, package).read_bytes(), out, keep=part.keep, drop=part.drop)
        if wheel := WHEELS.get(part.name):
            unpack_wheel(downloads / wheel.file_name, wheel, out)

    return fill


def _make(target: Path, *, key: str, fill: Callable[[Path], None], log: Callable[[str], None]) -> None:
    """Fill a temporary folder beside `target` and rename it; keep a `target` that has this key already."""
    if (target / "part.json").is_file() and read_json(target / "part.json") == {"key": key}:
        return
    log(f"making {target.name}")
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{_BUILDING}{target.name}."))
    try:
        fill(building)
        write_json(building / "part.json", {"key": key})
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _finish(folder: Path, packages: Mapping[str, Mapping[str, Package]], signature: str) -> None:
    host = packages["amd64"]
    versions = {"litert": LITERT_VERSION, "tflite_runtime": TFLITE_VERSION}
    versions |= {
        name: host[package].version
        for name, package in (("qemu", "qemu-user"), ("llvm", "llvm-19"), ("glibc", "libc6"))
    }
    facts: dict[str, Any] = {"schema": SCHEMA, "key": _key(), "versions": versions, "signature": signature}
    facts["packages"] = {
        architecture: {name: vars(package) for name, package in of.items()} for architecture, of in packages.items()
    }
    facts["files"] = {path: sha256_of(folder / path) for path in VOUCHED}
    write_json(folder / "box.json", facts)


def _remove_leavings(folder: Path) -> None:
    """Remove what a complete sandbox doesn't need, and temporary folders of an interrupted set-up."""
    for path in (
        folder / "downloads",
        *(folder / part.name for part in PARTS if part.temporary),
        *folder.glob(f"{_BUILDING}*"),
    ):
        shutil.rmtree(path, ignore_errors=True)


def _key() -> str:
    """Hash everything that decides the contents of this version's sandbox."""
    return _hash([*(source.read_text(encoding="utf-8") for source in SOURCES), repr(PARTS), repr(WHEELS), *VOUCHED])


def _hash(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Allow one set-up at a time in a folder; a second one waits, and then finds the sandbox complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
