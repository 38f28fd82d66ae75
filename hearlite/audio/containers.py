"""Decode the compressed formats of phones and browsers by FFmpeg: Ogg, Opus, MP3, M4A, 3GP, WebM, AMR, AIFF, CAF.

FFmpeg (through PyAV, whose wheels bring it) decodes what it can and says little about the rest. So the pages of an Ogg
file and the frames of an MP3 are walked first: what is cut, lacks pages or holds something else is refused, and files
joined end to end are read to their end. The demuxer is chosen here, by the first bytes, from a short list, and reads
from the open file: hostile files get no more of FFmpeg than that.
"""

from __future__ import annotations

import io
import mmap
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError

DAMAGED = "it is truncated or damaged; copy or record it again"
_MIN_BYTES = 16
_WAVE_MP3 = 0x55  # format tag of MPEG layer III in a RIFF WAVE file [mmreg.h]
SLACK_S = 0.15  # encoders add and decoders drop up to 2 x 1152 samples of delay and padding, at 16 kHz 0.14 s
_BITRATES = {  # kbit/s by index 1 ... 14 [ISO/IEC 11172-3, 13818-3], layer III
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_KHZ = {3: (44.1, 48, 32), 2: (22.05, 24, 16), 0: (11.025, 12, 8)}  # by version bits
_ZEROS = b"\0" * 4


@dataclass(frozen=True)
class Container:
    """What the first bytes and the structure of a file say."""

    demuxer: str  # FFmpeg's name
    seconds: float | None = None  # of sound, by its pages or frames; None where only decoding tells
    spans: tuple[tuple[int, int], ...] = ()  # first and last byte of what is to be decoded; () for the whole file


def find_demuxer(head: bytes) -> str | None:
    """Return FFmpeg's demuxer for a file that starts with `head`, at least 64 bytes; None for those of libsndfile."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        place = head.find(b"fmt ")
        coded = place >= 0 and head[place + 8 : place + 10] == struct.pack("<H", _WAVE_MP3)
        return "wav" if coded else None
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    for magic, name in ((b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "matroska"), (b"#!AMR", "amr"), (b"caff", "caf")):
        if head.startswith(magic):
            return name
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS: the sync word with layer 0
        return "aac"
    if head.startswith(b"ID3") or _mpeg_frame(head[:4]):
        return "mp3"
    return None


def scan(path: Path, demuxer: str) -> Container:
    """Walk a file's pages or frames. Raises InputError for one that is cut, has gaps or holds something else."""
    if demuxer not in ("ogg", "mp3"):
        return Container(demuxer)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if demuxer == "ogg":
            return Container(demuxer, _scan_ogg(path, data))
        seconds, spans = _scan_mp3(path, data)
        return Container(demuxer, seconds, spans if len(spans) > 1 else ())


class _Spans(io.RawIOBase):
    """The parts of a file that are sound, as one file: FFmpeg stops at a tag between two MP3 files that were joined."""

    def __init__(self, path: Path, spans: tuple[tuple[int, int], ...]) -> None:
        self._file, self._spans, self._at = path.open("rb"), spans, 0
        self._starts = list(accumulate((end - start for start, end in spans), initial=0))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._starts[-1])[whence])
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        end = self._starts[-1] if size < 0 else min(self._starts[-1], self._at + size)
        parts = []
        while self._at < end:
            index = bisect_right(self._starts, self._at) - 1
            count = min(end, self._starts[index + 1]) - self._at
            self._file.seek(self._spans[index][0] + self._at - self._starts[index])
            parts.append(self._file.read(count))
            self._at += count
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()
        super().close()


def decode(path: Path, container: Container) -> tuple[int, Iterator[NDArray[np.float32]]]:
    """Open a file and return its sampling rate in Hz and its blocks, float32 `[frames, channels]`.

    The blocks raise InputError for a packet that can't be decoded, a change of rate or channels, and an end before what
    the container promises.
    """
    import av
    from av.error import FFmpegError

    av.logging.set_level(av.logging.PANIC)  # FFmpeg would print to stderr; what matters is raised
    try:
        source = _Spans(path, container.spans) if container.spans else path.open("rb")
        file = av.open(source, mode="r", format=container.demuxer)
    except (FFmpegError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not file.streams.audio:
        file.close()
        raise InputError(f"{path}: holds no sound", "name a recording with an audio track")
    stream = file.streams.audio[0]
    if stream.codec_context is None:  # the file names a codec that does not exist
        file.close()
        raise InputError(f"{path}: its sound is in a codec that FFmpeg does not know", "convert it to WAV or FLAC")
    return stream.codec_context.sample_rate, _blocks(path, source, file, stream, container)


def _blocks(path: Path, source: Any, file: Any, stream: Any, container: Container) -> Iterator[NDArray[np.float32]]:
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    rate, promised = stream.codec_context.sample_rate, container.seconds
    if promised is None and stream.duration is not None:
        promised = float(stream.duration * stream.time_base)
    packed = AudioResampler(format="flt")
    frames, channels = 0, 0
    try:
        for packet in file.demux(stream):
            for frame in packet.decode():
                count = len(frame.layout.channels)
                channels = channels or count
                if (frame.sample_rate, count) != (rate, channels):
                    raise InputError(
                        f"{path}: changes from {rate} Hz and {channels} channels to {frame.sample_rate} Hz and {count}"
                        f" after {frames / rate:.1f} s",
                        "split it into recordings of one format",
                    )
                frames += frame.samples
                for part in packed.resample(frame):
                    yield part.to_ndarray().reshape(-1, channels).astype(np.float32, copy=False)
    except (FFmpegError, ValueError) as error:
        raise _unreadable(path, error, after_s=frames / rate) from error
    finally:
        file.close()
        source.close()
    if promised is not None and frames / rate < promised - SLACK_S:
        raise InputError(f"{path}: decodes to {frames / rate:.2f} s of the {promised:.2f} s that it holds", DAMAGED)


def _unreadable(path: Path, error: Exception, *, after_s: float = 0.0) -> InputError:
    text = getattr(error, "strerror", None) or str(error)
    place = f" after {after_s:.1f} s" if after_s else ""
    return InputError(f"{path}: not readable as audio{place}: {text}", DAMAGED)


def _scan_ogg(path: Path, data: Any) -> float | None:
    """Return the seconds of all streams, one after the other. Every page must be there, and every stream must end."""
    at, total, known = 0, 0.0, True
    streams: dict[int, dict[str, Any]] = {}
    while at < len(data):
        if data[at : at + 4] != b"OggS" or at + 27 > len(data):
            raise InputError(f"{path}: {len(data) - at} bytes after its last whole Ogg page", DAMAGED)
        flags, granule, serial, sequence = struct.unpack("<BqII", data[at + 5 : at + 22])
        segments = data[at + 27 : at + 27 + data[at + 26]]
        body, end = at + 27 + len(segments), at + 27 + len(segments) + sum(segments)
        if len(segments) < data[at + 26] or end > len(data):
            raise InputError(f"{path}: is cut within an Ogg page", DAMAGED)
        if flags & 2:  # the beginning of a stream
            streams[serial] = {"codec": data[body : min(end, body + 32)], "sequence": sequence - 1, "granule": 0}
        stream = streams.get(serial)
        if stream is None or sequence != stream["sequence"] + 1:
            raise InputError(f"{path}: an Ogg page is missing at byte {at}", DAMAGED)
        stream["sequence"] = sequence
        stream["granule"] = granule if granule >= 0 else stream["granule"]
        if flags & 4:  # the end of it
            seconds = _ogg_seconds(stream["codec"], stream["granule"])
            total, known = total + (seconds or 0.0), known and seconds is not None
            del streams[serial]
        at = end
    if streams:
        raise InputError(f"{path}: its Ogg stream has no end", "it is truncated; copy or record it again")
    return total if known else None


def _ogg_seconds(head: bytes, granule: int) -> float | None:
    if head.startswith(b"OpusHead") and len(head) >= 12:
        skipped: int = struct.unpack("<H", head[10:12])[0]
        return max(0.0, (granule - skipped) / 48_000)  # RFC 7845
    if head.startswith(b"\x01vorbis") and len(head) >= 16:
        rate = int(struct.unpack("<I", head[12:16])[0])
        return granule / rate if rate else None
    return None  # FLAC in Ogg, Speex: decoding tells


def _mpeg_frame(head: bytes) -> tuple[int, int, int] | None:
    """Return (rate in Hz, samples, bytes) of an MPEG layer III frame; None where these 4 bytes start none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bitrate, rate, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or rate == 3 or bitrate in (0, 15):
        return None
    hz = round(1_000 * _RATES_KHZ[version][rate])
    kbit = _BITRATES[1 if version == 3 else 2][bitrate - 1]
    samples = 1_152 if version == 3 else 576
    return hz, samples, samples // 8 * kbit * 1_000 // hz + padding


def _scan_mp3(path: Path, data: Any) -> tuple[float, tuple[tuple[int, int], ...]]:
    """Return the seconds of all frames, and where they lie.

    Between them only tags may stand; the last frame may be cut.
    """
    at, samples, rate, promised, counted = 0, 0, 0, 0, 0
    spans: list[list[int]] = []
    while at < len(data):
        if skip := tag_bytes(data, at):
            at += skip
            continue
        frame = _mpeg_frame(data[at : at + 4])
        if frame is None:
            rest = data[at : at + 4096]
            if not rest.strip(b"\0"):  # padding
                at += len(rest)
                continue
            if rest.startswith(_ZEROS):
                at += len(rest) - len(rest.lstrip(b"\0"))
                continue
            raise InputError(f"{path}: at byte {at} of {len(data)} is neither an MP3 frame nor a tag", DAMAGED)
        hz, size, length = frame
        if rate and hz != rate:
            raise InputError(f"{path}: changes from {rate} to {hz} Hz", "split it into recordings of one format")
        rate = hz
        if at + length > len(data):
            break  # less than 0.08 s, as a recorder that was switched off leaves it
        if (frames := _promised_frames(data[at : at + min(length, 192)])) is not None:
            _check_frames(path, promised, counted)
            promised, counted = frames, 0
            if spans:  # the header of a file that was joined: no sound
                at += length
                continue
        else:
            samples, counted = samples + size, counted + 1
        if spans and spans[-1][1] == at:
            spans[-1][1] = at + length
        else:
            spans.append([at, at + length])
        at += length
    _check_frames(path, promised, counted)
    if not samples:
        raise InputError(f"{path}: holds no whole MP3 frame", DAMAGED)
    return samples / rate, tuple((start, end) for start, end in spans)


def _check_frames(path: Path, promised: int, counted: int) -> None:
    if counted < promised - 1:
        raise InputError(f"{path}: holds {counted} of the {promised} MP3 frames that its header promises", DAMAGED)


def _promised_frames(frame: bytes) -> int | None:
    """Return the frames that a Xing, Info or VBRI header promises (0: not said); None for a frame of sound."""
    for magic in (b"Xing", b"Info"):
        place = frame.find(magic, 4, 44)
        if place >= 0 and len(frame) >= place + 12:
            flags, frames = struct.unpack(">II", frame[place + 4 : place + 12])
            return int(frames) if flags & 1 else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int(struct.unpack(">I", frame[50:54])[0])
    return None


def tag_bytes(data: Any, at: int) -> int:
    """Return the length of the ID3 or APE tag at this place; 0 where there is none."""
    if data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        return size + (20 if data[at + 5] & 0x10 else 10)
    if data[at : at + 3] == b"TAG":
        return 128
    if data[at : at + 8] == b"APETAGEX" and at + 16 <= len(data):
        return 32 + int(struct.unpack("<I", data[at + 12 : at + 16])[0])
    return 0
