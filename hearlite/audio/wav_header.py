"""Read WAV files that were written to a pipe, filling in the sizes missing from their header."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from hearlite.errors import InputError

_MAX_CHUNKS = 1_000  # RIFF chunks to walk before the data chunk
_HEADER_BYTES = 44  # of a plain WAV


class _RepairedWav(io.FileIO):
    """A WAV file whose missing sizes are filled in while it is read.

    A program that writes to a pipe cannot go back to set them, and libsndfile then reads 0 samples.
    """

    sizes: tuple[tuple[int, bytes], ...] = ()  # (offset, bytes) to read instead of the file's
    start = 0  # first byte of the WAV, behind a tag that a player put in front

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(offset + self.start if whence == 0 else offset, whence) - self.start

    def tell(self) -> int:
        return super().tell() - self.start

    def readinto(self, buffer: Any, /) -> int:
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for offset, size in self.sizes:
            for at, byte in enumerate(size, start=offset - start):
                if 0 <= at < count:
                    view[at] = byte
        return count


def _missing_wav_sizes(path: Path, file: _RepairedWav) -> tuple[tuple[int, bytes], ...]:
    """Return the (offset, bytes) that complete a WAV written to a pipe; () for all other files.

    Raises InputError for a truncated WAV.
    """
    form = file.read(12)
    if form[:4] not in (b"RIFF", b"RIFX", b"RF64") or form[8:] != b"WAVE":
        return ()
    order = ">" if form[:4] == b"RIFX" else "<"
    long_size = None  # RF64 keeps its 64-bit sizes in a ds64 chunk
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        (size,) = struct.unpack(f"{order}I", head[4:])
        body = file.tell()
        if head[:4] == b"data":
            there = path.stat().st_size - file.start - body
            riff_size = struct.unpack(f"{order}I", form[4:8])[0]
            if long_size is None and there and _is_placeholder(size, riff_size=riff_size, body=body):
                return (4, struct.pack(f"{order}I", min(there + body - 8, 2**32 - 1))), (
                    body - 4,
                    struct.pack(f"{order}I", min(there, 2**32 - 1)),
                )
            promised = size if long_size is None else long_size
            whole = riff_size + 8 == there + body  # the other size of the header counts what is there
            if whole and there < promised <= there + _HEADER_BYTES:  # the writer counted its header in
                return ((body - 4, struct.pack(f"{order}I", there)),) if long_size is None else ()
            if promised > there:
                raise InputError(
                    f"{path}: truncated: its header promises {promised} bytes of sound, {there} are there",
                    "copy or record it again",
                )
            _check_behind(path, file, body + promised + promised % 2, there + body, order=order)
            return ()
        if head[:4] == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        file.seek(body + size + size % 2)
    raise InputError(f"{path}: a WAV without a data chunk", "it is truncated or damaged; copy it again")


def _check_behind(path: Path, file: _RepairedWav, at: int, end: int, *, order: str) -> None:
    """Refuse a WAV with bytes behind its sound that are no chunk: sound that its header does not count."""
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        size = struct.unpack(f"{order}I", head[4:])[0]
        if not all(32 <= byte < 127 for byte in head[:4]) or at + 8 + size > end:
            raise InputError(
                f"{path}: {end - at} bytes follow the sound that its header counts, and are no chunk of a WAV",
                "its header is wrong or it is damaged; repair it: ffmpeg -ignore_length 1 -i IN OUT.wav",
            )
        at += 8 + size + size % 2


def _is_placeholder(size: int, *, riff_size: int, body: int) -> bool:
    """Return whether a data chunk's size was never filled in.

    ffmpeg, sox and arecord writing to a pipe leave 0, under a RIFF size that ends there, or a size near 2 or 4 GiB.
    """
    if size == 0:
        return bool(riff_size + 8 <= body or riff_size >= 2**31 - 2**16)
    return any(limit - 2**16 < size <= limit for limit in (2**31, 2**32 - 1))
