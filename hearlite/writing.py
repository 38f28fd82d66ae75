"""Write files so that nothing is half-written, lost or left behind, and lock folders that a run works in.

A file is written under a temporary name beside it and renamed at the end. The writer holds a lock on it that ends with
the process, however that ends. What a killed run left is so told from what another is writing, and removed when a file
is next written in that folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hearlite.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = ".hearlite.lock"
_PREFIX = ".hearlite-"
_TEMPORARY = re.compile(r"\.hearlite-[a-z0-9_]{8}(\.[^.]*)?")  # as tempfile.mkstemp makes them
_CROWDED_BYTES = 1 << 20  # with less space than this, an error without a number (numpy's) is taken for a full disk

_DISK_FULL = "free some space, or write to another disk"
_NO_PERMISSION = "change the permissions of its folder, or write to another one"
_IN_THE_WAY = "remove what is in the way, or use another name"
HINTS = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or write to another disk",
    errno.EROFS: "write to a folder on another disk",
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOTDIR: "a part of its path is a file: use another folder",
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.EMFILE: "raise the number of files that may be open (ulimit -n)",
    errno.EIO: "check the disk, or write to another one",
}

_cleaned: set[Path] = set()  # folders that this process has looked through
_own: set[Path] = set()  # temporary files and locks of this process
_refused = False


@contextmanager
def replacing(path: Path, *, output: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` if the block succeeds and deleted if it raises.

    It lies in the same folder, which is created if missing.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    output : Path, optional
        What errors name instead of `path`, for a file whose name the user did not choose.

    Raises
    ------
    InputError
        When the file cannot be written, as on a full or read-only disk. The message names it and the remedy.
    KeyboardInterrupt
        After `refuse_writes(True)`.
    """
    places = {str(place) for place in (path, *path.parents)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():  # found now, not when the file is complete; so is a name that is too long
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with contextlib.suppress(FileNotFoundError):
            path.lstat()
        _remove_left(path.parent)
        with _temporary(path) as temporary:
            places.add(str(temporary))
            yield temporary
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 would hide the file from the group that the umask allows
            require_not_interrupted()
            temporary.replace(path)
    except OSError as error:
        about_path = error.filename is None or str(error.filename) in places
        if about_path and _cause(path, error):
            raise write_error(output or path, error) from error
        raise


@contextmanager
def locked(folder: Path, *, output: Path | None = None) -> Iterator[None]:
    """Keep other runs of hearlite out of a folder, which is created if missing, while the block runs.

    Errors name `output`, by default the folder.

    Raises
    ------
    InputError
        When another process holds it, or it cannot be written.
    """
    path = folder / LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _open_locked(path)
    except OSError as error:
        raise write_error(output or folder, error) from error
    if handle is None:
        raise InputError(
            f"{output or folder}: another hearlite command is writing it",
            "wait until it has ended, or use another name",
        )
    _own.add(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove an open file
            path.unlink(missing_ok=True)
        os.close(handle)
        _own.discard(path)


def write_error(path: Path, error: OSError) -> InputError:
    """Return the error for a user whose file or folder `path` cannot be written."""
    number = _cause(path, error)
    reason = os.strerror(number) if number else (error.strerror or str(error))
    hint = HINTS.get(number, "check that its folder exists and is writable")
    if number == errno.ENOSPC:  # many MB may be free: a disk can be out of inodes, or this one file too large for it
        reason += f" ({_disk(path).free / 1e6:,.1f} MB are free on its disk)"
    return InputError(f"{path} can't be written: {reason}", hint)


def refuse_writes(refused: bool) -> None:
    """Let no file be replaced from now on, or allow it again.

    For a process that was asked to end. Code that swallows the exception of an interruption goes on with less than it
    should have, and what it makes must not be kept.
    """
    global _refused
    _refused = refused


def require_not_interrupted() -> None:
    """Raise KeyboardInterrupt if this process was asked to end and goes on, because the exception was swallowed."""
    if _refused:
        raise KeyboardInterrupt


def remove_own() -> None:
    """Remove the temporary files and locks of this process, for when it must end at once."""
    for path in list(_own):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _cause(path: Path, error: OSError) -> int:
    """Return the number of an error that HINTS knows; 0 for another."""
    if error.errno is None:
        return errno.ENOSPC if _disk(path).free < _CROWDED_BYTES else 0
    return error.errno if error.errno in HINTS else 0


def _disk(path: Path) -> Any:
    """Return the usage of the disk that a file lies on or would lie on."""
    return shutil.disk_usage(next(place for place in (*path.parents, Path("/")) if place.exists()))


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=path.suffix)
        if sys.platform == "win32":  # does not rename an open file
            os.close(handle)
            break
        if _try_lock(handle) and os.path.lexists(name):
            break
        os.close(handle)  # another process has taken it for one that was left
    temporary = Path(name)
    _own.add(temporary)
    try:
        yield temporary
    finally:
        if sys.platform != "win32":
            os.close(handle)
        temporary.unlink(missing_ok=True)
        _own.discard(temporary)


def _remove_left(folder: Path) -> None:
    """Remove the temporary files in a folder whose writers are dead."""
    if sys.platform == "win32" or folder in _cleaned:
        return
    _cleaned.add(folder)
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):  # gone already, or another user's
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if _try_lock(handle):
                        path.unlink(missing_ok=True)
                finally:
                    os.close(handle)


def _open_locked(path: Path) -> int | None:
    """Open and lock a file; None when another process holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if not _try_lock(handle):
            os.close(handle)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)  # its former holder removed it between the two steps


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            return True  # a file system without locks: nothing to be held by
        raise
    return True
