"""The sandbox: emulator, ARM system libraries, runtimes and LLVM tools in one folder.

Set up without root and without touching the system.

A part is unpacked beside its place and renamed when it is whole; box.json comes last and vouches for all of it. So a
set-up that was killed leaves whole parts and whole downloads, and the next one goes on from there.
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
    """A finished box."""

    folder: Path
    versions: Mapping[str, str]  # litert, tflite_runtime, qemu, llvm, glibc
    signature: str  # of Debian's release: "good", or why it was not checked


def open_box(folder: Path) -> Box:
    """Open a finished sandbox, its files checked.

    Raises InputError when it isn't there, is unfinished, of another version of hearlite, or damaged.
    """
    if not (folder / "box.json").is_file():
        raise InputError(f"{folder} holds no finished box", "set it up: hearlite arm")
    facts = read_json(folder / "box.json")
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA or facts.get("key") != _key():
        raise InputError(f"{folder} was set up by another version of hearlite", "set it up again: hearlite arm")
    for path, sha256 in facts["files"].items():
        if not (folder / path).is_file() or sha256_of(folder / path) != sha256:
            raise InputError(f"{folder / path} is missing or damaged", f"delete {folder} and run the command again")
    return Box(folder=folder, versions=facts["versions"], signature=facts["signature"])


def set_up(folder: Path, *, mirror: str | None = None, log: Callable[[str], None]) -> Box:
    """Set up the sandbox in `folder` as far as it isn't yet; a finished one costs no download.

    Raises UsageError on another host, InputError.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UsageError(f"this is {platform.system()} on {platform.machine()}", "the box runs on Linux x86-64")
    with _locked(folder):
        if (folder / "box.json").is_file() and read_json(folder / "box.json").get("key") == _key():
            box = open_box(folder)
            _remove_leavings(folder)
            return box
        (folder / "box.json").unlink(missing_ok=True)
        source = open_mirror(mirror)
        log(f"setting up {folder}: about 185 MB are fetched, once")
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
    """Everything into `downloads`; returns the packages by architecture and name."""
    downloads.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, set[str]] = {}
    for part in PARTS:
        wanted.setdefault(part.architecture, set()).update(part.packages)
    found = {}
    for architecture, names in wanted.items():
        index = source.fetch_index(architecture, downloads / f"Packages-{architecture}.xz")
        found[architecture] = read_index(index, names=names)
    every = [(architecture, package) for architecture, packages in found.items() for package in packages.values()]
    size = sum(package.size for _, package in every) / 1e6
    log(f"fetching {len(every)} packages, {size:.0f} MB, LiteRT {LITERT_VERSION} and tflite-runtime {TFLITE_VERSION}")
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        jobs: list[Future[Any]] = [
            pool.submit(source.fetch, p.path, _deb(downloads, p), sha256=p.sha256, size=p.size) for _, p in every
        ]
        jobs += [pool.submit(fetch_wheel, wheel, downloads) for wheel in WHEELS.values()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


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
    """`target` filled beside its place, then renamed. One that is there with this key is kept."""
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
    """Remove what a finished sandbox doesn't need, and what an interrupted set-up left."""
    for path in (
        folder / "downloads",
        *(folder / part.name for part in PARTS if part.temporary),
        *folder.glob(f"{_BUILDING}*"),
    ):
        shutil.rmtree(path, ignore_errors=True)


def _key() -> str:
    """Of everything that this version of hearlite would put into a box."""
    return _hash([*(source.read_text(encoding="utf-8") for source in SOURCES), repr(PARTS), repr(WHEELS), *VOUCHED])


def _hash(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One set-up at a time in a folder; a second one waits for the first and then finds its box."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
