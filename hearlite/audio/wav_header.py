"""Read WAV files that were written to a pipe, filling in the sizes missing from their header."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from hearlite.errors import InputError

_MAX_CHUNKS = 1_000  # RIFF chunks to walk before the data chunk


class _RepairedWav(io.FileIO):
    """A WAV file whose missing sizes are filled in while it is read.

    A program that writes to a pipe cannot go back to set them, and libsndfile then reads 0 samples.
    """

    sizes: tuple[tuple[int, bytes], ...] = ()  # (offset, bytes) to read instead of the file's

    def readinto(self, buffer: Any, /) -> int:
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for offset, size in self.sizes:
            for at, byte in enumerate(size, start=offset - start):
                if 0 <= at < count:
                    view[at] = byte
        return count


def _missing_wav_sizes(path: Path, file: io.FileIO) -> tuple[tuple[int, bytes], ...]:
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
            there = path.stat().st_size - body
            riff_size = struct.unpack(f"{order}I", form[4:8])[0]
            if long_size is None and there and _is_placeholder(size, riff_size=riff_size, body=body):
                return (4, struct.pack(f"{order}I", min(there + body - 8, 2**32 - 1))), (
                    body - 4,
                    struct.pack(f"{order}I", min(there, 2**32 - 1)),
                )
            promised = size if long_size is None else long_size
            if promised > there:
                raise InputError(
                    f"{path}: truncated: its header promises {promised} bytes of sound, {there} are there",
                    "copy or record it again",
                )
            return ()
        if head[:4] == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        file.seek(body + size + size % 2)
    raise InputError(f"{path}: a WAV without a data chunk", "it is truncated or damaged; copy it again")


def _is_placeholder(size: int, *, riff_size: int, body: int) -> bool:
    """Return whether a data chunk's size was never filled in.

    ffmpeg, sox and arecord writing to a pipe leave 0, under a RIFF size that ends there, or a size near 2 or 4 GiB.
    """
    if size == 0:
        return bool(riff_size + 8 <= body or riff_size >= 2**31 - 2**16)
    return any(limit - 2**16 < size <= limit for limit in (2**31, 2**32 - 1))
