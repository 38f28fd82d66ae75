"""Read a model from a file, a folder, a .zip or an address.

None of them is trusted. What is read here are only the files that belong to a bundle, by their names and within a limit
of size, into memory; whether they are what they claim to be is for `install` to check.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from hearlite.bundle import FILE_NAME, SUFFIXES
from hearlite.errors import InputError, UsageError
from hearlite.files import NotThereError, fetch, parse_json, read_content, require_address

LARGEST_BYTES = 64 << 20  # of a source, and of the files in it together: many times the largest student
_MOST_ENTRIES = 1_000  # of an archive
_ENTRY_MARK = b"PK\x01\x02"  # starts each entry in the directory of a .zip
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ALWAYS = SUFFIXES[:3]
_ONE_HINT = "name the .tflite of the one to install, with its other files beside it"


@dataclass(frozen=True)
class Source:
    """The files of one bundle, as they were found."""

    name: str  # that of the source, without its suffix
    where: str  # the address, without what may be secret in it, or the absolute path
    sha256: str  # of the .zip, or else of the .tflite
    files: dict[str, bytes]  # by name; the .tflite first


@dataclass
class _Reader:
    """Collects files one by one, not more than LARGEST_BYTES together."""

    where: str
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, read: Callable[[int], bytes]) -> None:
        """Add the file that `read` returns, which gets the number of bytes that it may have."""
        self.files[name] = read(LARGEST_BYTES - sum(map(len, self.files.values())))

    def checked(self, model: str) -> dict[str, bytes]:
        """Return the files. Raises InputError when one is missing that a bundle always has."""
        for name in (_beside(model, suffix) for suffix in _ALWAYS):
            if name not in self.files:
                raise InputError(
                    f"{self.where}: {name} is missing",
                    "a model comes with its manifest and its terms: keep the files that 'hearlite export' wrote",
                )
        return self.files


def read_source(text: str, *, sha256: str = "") -> Source:
    """Read the files of a bundle.

    Parameters
    ----------
    text : str
        A .tflite with its other files beside it, a folder or .zip that holds one, or an https:// address of a .tflite
        or .zip.
    sha256 : str
        What the .zip, or else the .tflite, must have; "" for anything.

    Raises
    ------
    UsageError
        When `text` is none of these, or `sha256` is no hash.
    InputError
        When it can't be read, holds no bundle or several, is too large, has another hash, or, for a .zip, when an entry
        in it could reach outside a folder.
    """
    if sha256 and not _SHA256.fullmatch(sha256):
        raise UsageError(f"sha256 is {sha256!r:.80}", "expected 64 hexadecimal digits, as sha256sum prints them")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return _from_address(text, sha256)
    path = Path(text)
    if path.is_dir():
        return _from_folder(path, sha256)
    if path.suffix.lower() == ".zip":
        content = read_content(path, largest=LARGEST_BYTES, hint="name a .zip with a model in it")
        return _from_zip(content, name=path.stem, where=str(path.absolute()), sha256=sha256)
    if path.suffix == ".tflite":
        return _from_file(path, sha256)
    raise UsageError(
        f"SOURCE is {text!r:.200}",
        "expected a .tflite, a folder or .zip with one in it, or the https:// address of one",
    )


def _from_file(path: Path, sha256: str, *, name: str = "") -> Source:
    where = str(path.absolute())
    reader = _Reader(where)
    _require_file_name(path.name, where=where)
    for suffix in SUFFIXES:
        beside = path.with_name(_beside(path.name, suffix))
        if beside == path or beside.exists():
            hint = "name a .tflite file with its manifest beside it"
            reader.add(beside.name, partial(_read, beside, hint=hint))
    digest = _require_hash(reader.files[path.name], sha256, where=where)
    return Source(name or path.stem, where, digest, reader.checked(path.name))


def _read(path: Path, largest: int, *, hint: str) -> bytes:
    return read_content(path, largest=largest, hint=hint)


def _from_folder(folder: Path, sha256: str) -> Source:
    names = [path.name for path in folder.iterdir()]
    model = folder / _only_model(names, where=str(folder))
    return _from_file(model, sha256, name=folder.absolute().resolve().name)


def _from_address(address: str, sha256: str) -> Source:
    require_address(address)
    parts = urlsplit(address)
    where = urlunsplit(parts._replace(query="", fragment=""))  # a query may hold a key that opens the address
    name = unquote(parts.path.rpartition("/")[2])
    stem = Path(name).stem
    if name.lower().endswith(".zip"):
        return _from_zip(fetch(address, largest=LARGEST_BYTES), name=stem, where=where, sha256=sha256)
    if not parts.path.endswith(".tflite"):
        raise UsageError(f"address is {where!r:.200}", "it must end with .tflite or .zip")
    _require_file_name(name, where=where)
    reader = _Reader(where)

    def get(suffix: str, *, optional: bool = False) -> None:
        beside = urlunsplit(parts._replace(path=_beside(parts.path, suffix), fragment=""))
        with contextlib.suppress(*([NotThereError] if optional else [])):
            reader.add(_beside(name, suffix), lambda left: fetch(beside, largest=left))

    get(".tflite")
    digest = _require_hash(reader.files[name], sha256, where=where)
    get(".json")
    get(".NOTICE.txt")
    get(".md", optional=True)
    manifest = parse_json(reader.files[_beside(name, ".json")], where=f"the manifest of {where}")
    if isinstance(manifest, dict):  # what it does not announce is not asked for
        if manifest.get("coordinates") is None:
            get(".inverse.npz", optional=True)
        if manifest.get("heard_sha256"):
            get(".heard.npz", optional=True)
    return Source(stem, where, digest, reader.checked(name))


def _from_zip(content: bytes, *, name: str, where: str, sha256: str) -> Source:
    digest = _require_hash(content, sha256, where=where)
    reader = _Reader(where)
    # Before the archive is opened, which makes an object of each entry.
    if content.count(_ENTRY_MARK) > _MOST_ENTRIES:
        raise InputError(f"{where}: it has more than {_MOST_ENTRIES} entries", "expected the files of one model")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = _safe_entries(archive, where=where)
            model = _only_model(list(entries), where=where)
            for suffix in SUFFIXES:
                path = _beside(model, suffix)
                if path in entries:
                    reader.add(PurePosixPath(path).name, partial(_unpack, archive, entries[path]))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{where}: not a readable .zip: {error!s:.200}", "download or pack it again") from error
    return Source(name, where, digest, reader.checked(PurePosixPath(model).name))


def _safe_entries(archive: zipfile.ZipFile, *, where: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by path. Raises InputError for one that no honest packer makes.

    Nothing is unpacked to disk by these paths; an archive that tries to leave its folder is refused whole all the same.
    """
    hint = "it is damaged or hostile: don't use it"
    entries, seen = {}, set()
    for entry in archive.infolist():
        shown, path = repr(entry.orig_filename)[:200], entry.orig_filename
        parts = path.removesuffix("/").split("/")
        if not path.isprintable() or "\\" in path or ":" in path or not {"", ".", ".."}.isdisjoint(parts):
            raise InputError(f"{where}: entry {shown} is not a path inside the archive", hint)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{where}: entry {shown} is a link or a special file", hint)
        if path.removesuffix("/").lower() in seen:
            raise InputError(f"{where}: entry {shown} is there twice", hint)
        seen.add(path.removesuffix("/").lower())
        if entry.flag_bits & 1:
            raise InputError(f"{where}: entry {shown} is encrypted", "unpack it, and name the folder")
        # macOS packs a shadow of each file: a name with ._ before it, in another folder
        if not entry.is_dir() and not parts[-1].startswith("."):
            entries[path] = entry
    if sum(entry.file_size for entry in entries.values()) > LARGEST_BYTES:
        raise InputError(f"{where}: it unpacks to more than {LARGEST_BYTES} bytes", "a model has far less")
    return entries


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, largest: int) -> bytes:
    if entry.compress_type not in _UNPACKED:
        raise ValueError(f"{entry.filename} is packed by another method than deflate")
    with archive.open(entry) as stream:  # reads what it is asked for, where ZipFile.read unpacks all there is first
        content = stream.read(min(entry.file_size, largest) + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.filename} has {len(content)} bytes and claims {entry.file_size}")
    return content


def _only_model(names: Sequence[str], *, where: str) -> str:
    """Return the .tflite with a manifest beside it. Raises InputError unless there is exactly one."""
    present = set(names)
    models = [name for name in sorted(present) if name.endswith(".tflite") and _beside(name, ".json") in present]
    if len(models) != 1:
        found = (
            f"{len(models)} models: {', '.join(models)!s:.200}" if models else "no .tflite with its manifest (.json)"
        )
        raise InputError(f"{where}: it holds {found}", _ONE_HINT if models else "expected the files of one model")
    _require_file_name(PurePosixPath(models[0]).name, where=where)
    return models[0]


def _beside(model: str, suffix: str) -> str:
    return model.removesuffix(".tflite") + suffix


def _require_file_name(name: str, *, where: str) -> None:
    if not FILE_NAME.fullmatch(name):
        raise InputError(
            f"{where}: the file is called {name!r:.200}",
            "give it its name from the export again, of letters, digits and . _ -",
        )


def _require_hash(content: bytes, sha256: str, *, where: str) -> str:
    digest = hashlib.sha256(content).hexdigest()
    if sha256 and digest != sha256.lower():
        raise InputError(
            f"{where}: its sha256 is {digest}, not {sha256.lower()}", "it is damaged, or not the file that was meant"
        )
    return digest
