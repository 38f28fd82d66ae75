"""Recordings -> float32 mono at 16 kHz -> 2 s clips: the only decoding, resampling and scaling code.

WAV, FLAC, Ogg and MP3 through libsndfile, block by block; any rate through soxr; channels are averaged. A file that can't be read in full is
refused, never shortened: libsndfile reads what is there of a truncated WAV and says nothing.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Samples = NDArray[np.float32]  # [samples] mono at AUDIO.sample_rate_hz, nominally in [-1, 1)

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")  # libsndfile's names; its rarer parsers stay closed to hostile files
SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000  # electronic stethoscopes start at 4 kHz, studio converters end at 384 kHz
MAX_CHANNELS = 16
MAX_RECORDING_H = 12.0  # a night; 2.8 GB as float32. Also bounds what a small hostile file may unpack to
MAX_PEAK = 8.0  # 18 dB over full scale: room for MP3 overshoot, not for a float file that holds integers

_BLOCK_FRAMES = 65_536
_MPEG_FRAME = 1_152  # samples in an MPEG-1 layer III frame: an MP3 without a Xing header promises up to one too many
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's SF_COUNT_MAX: a FLAC that was written to a pipe
_MAX_CHUNKS = 1_000  # RIFF chunks to walk before the data chunk


def from_int16(pcm: NDArray[np.int16]) -> Samples:
    """int16 PCM of any shape -> float32 in [-1, 1): x / full scale. Raises InputError for another dtype."""
    if pcm.dtype != np.int16:
        raise InputError(f"PCM has dtype {pcm.dtype}", "expected int16")
    return pcm.astype(np.float32) / np.float32(AUDIO.pcm_full_scale)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """float32 of any shape -> int16 PCM: x * full scale, rounded half to even, clipped to the int16 range. Raises InputError for NaN or inf."""
    if not np.isfinite(samples).all():
        raise InputError("samples hold NaN or infinite values", "remove them before converting to int16")
    limits = np.iinfo(np.int16)
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * np.float32(AUDIO.pcm_full_scale)), limits.min, limits.max).astype(np.int16)
    return pcm


def is_silent(samples: Samples) -> bool:
    """Whether nothing was recorded: the peak, or the range around a constant offset, is below one int16 step."""
    step = 1 / AUDIO.pcm_full_scale
    return samples.size == 0 or bool(np.abs(samples).max() < step or np.ptp(samples) < step)


def duration_s(path: Path) -> float:
    """Length of a recording, from its header alone (a FLAC whose header doesn't say is decoded). Raises InputError as `read_recording` does."""
    with _opened(path) as sound:
        if sound.frames != _UNKNOWN_FRAMES:
            return float(sound.frames / sound.samplerate)
    return len(read_recording(path)) / AUDIO.sample_rate_hz


def read_recording(path: Path) -> Samples:
    """A whole WAV, FLAC, Ogg or MP3 file as mono float32 `[samples]` at 16 kHz; PCM scales by 1 / full scale, channels are averaged.

    Resampling is soxr HQ in a stream, equal to its one-shot result; memory stays near the size of the result. Raises InputError, with file, value
    and remedy, for anything that can't be decoded in full: missing, empty, truncated, not audio, NaN, fewer than 2 samples, out of the limits above.
    """
    with _opened(path) as sound:
        rate_hz = sound.samplerate
        resampler = soxr.ResampleStream(rate_hz, AUDIO.sample_rate_hz, 1, dtype="float32", quality="HQ") if rate_hz != AUDIO.sample_rate_hz else None
        result = bytearray()  # grows in place: a list of blocks would need twice the memory to join
        frames = 0
        while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):  # [frames, channels]
            frames += len(block)
            _check_block(path, block, seconds=frames / rate_hz)
            mono = block.mean(axis=1, dtype=np.float32)
            result += (mono if resampler is None else resampler.resample_chunk(mono)).tobytes()
        if resampler is not None:
            result += resampler.resample_chunk(np.zeros(0, np.float32), last=True).tobytes()
        slack = _MPEG_FRAME if sound.format == "MP3" else 0
        if sound.frames != _UNKNOWN_FRAMES and frames < sound.frames - slack:
            raise InputError(
                f"{path}: decodes to {frames} of the {sound.frames} samples its header promises", "it is truncated or damaged; copy it again"
            )
    samples: Samples = np.frombuffer(result, dtype=np.float32)
    if min(frames, len(samples)) < 2:
        raise InputError(f"{path}: holds {frames} samples at {rate_hz} Hz", "a recording needs at least 2 samples at 16 kHz")
    return samples


def from_array(sound: NDArray[Any], *, rate_hz: float) -> Samples:
    """Samples `[n]`, mono, as what `read_recording` gives of a file that holds them: float32 `[samples]` at 16 kHz.

    Floating point counts as it is, int16 by full scale. Raises InputError for another shape or dtype, NaN, a peak or a rate out of the limits above.
    """
    values = np.asarray(sound)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"samples have shape {list(values.shape)}", "expected [n], at least 2 of them; average channels first: samples.mean(axis=1)")
    if values.dtype != np.int16 and values.dtype.kind != "f":
        raise InputError(f"samples have dtype {values.dtype}", "expected floating point in [-1, 1], or int16")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"the sampling rate is {rate_hz:g} Hz", f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
    samples = from_int16(values) if values.dtype == np.int16 else values.astype(np.float32)
    peak = float(np.abs(samples).max())
    if not peak <= MAX_PEAK:  # NaN too
        raise InputError(f"samples reach {peak:g}", f"expected [-1, 1], at most {MAX_PEAK:g}: divide integers by their full scale, remove NaN")
    return samples if rate_hz == AUDIO.sample_rate_hz else soxr.resample(samples, rate_hz, AUDIO.sample_rate_hz, quality="HQ")


def clip_starts_s(*, recording_s: float, start_s: float | None = None, end_s: float | None = None, hop_s: float = AUDIO.clip_s) -> list[float]:
    """Where the clips of a recording, or of an event [start_s, end_s) in it, start, in seconds.

    A clip every `hop_s` while it fits, and one more that ends where the sound ends, so that all of it is covered. A recording shorter than a clip
    gives [0.0]. An event shorter than a clip gives ONE clip, centred on it and shifted to stay in the recording: real context instead of zeros,
    because zeros tell a classifier how long the event was. Raises InputError for bounds without sound between them, UsageError for a hop that
    would skip sound.
    """
    rate_hz, clip = AUDIO.sample_rate_hz, AUDIO.clip_samples
    if not 1 <= hop_s * rate_hz <= clip:
        raise UsageError(f"hop_s is {hop_s:g}", f"use 0 < hop_s <= {AUDIO.clip_s:g}: a longer hop would skip sound")
    _check_bounds(recording_s=recording_s, start_s=start_s, end_s=end_s)
    recording, hop = round(recording_s * rate_hz), round(hop_s * rate_hz)  # samples, so that windows tile without rounding drift
    first = 0 if start_s is None else round(start_s * rate_hz)
    end = recording if end_s is None else min(recording, round(end_s * rate_hz))
    if end - first <= clip:
        centred = (first + end - clip) // 2
        return [max(0, min(centred, recording - clip)) / rate_hz]
    starts = list(range(first, end - clip + 1, hop))
    if starts[-1] + clip < end:
        starts.append(end - clip)
    return [start / rate_hz for start in starts]


def cut(samples: Samples, *, start_s: float) -> Samples:
    """The clip of `samples` that starts at `start_s`: float32 `[clip_samples]`, zeros after the recording's end. Raises InputError outside of it."""
    return cut_event_zero_padded(samples, start_s=start_s, end_s=start_s + AUDIO.clip_s)


def cut_event_zero_padded(samples: Samples, *, start_s: float, end_s: float) -> Samples:
    """The event [start_s, end_s) alone, at most its first 2 s, zeros after it: float32 `[clip_samples]`. Raises InputError as `clip_starts_s` does.

    The framing of several published benchmarks, kept to show what it leaks: the zeros give away the event's duration. `clip_starts_s` and `cut`
    are the framing to use.
    """
    _check_bounds(recording_s=len(samples) / AUDIO.sample_rate_hz, start_s=start_s, end_s=end_s)
    first = round(start_s * AUDIO.sample_rate_hz)
    length = min(AUDIO.clip_samples, round((end_s - start_s) * AUDIO.sample_rate_hz))
    clip = np.zeros(AUDIO.clip_samples, dtype=np.float32)
    sound = samples[first : first + length]
    clip[: len(sound)] = sound
    return clip


def _check_bounds(*, recording_s: float, start_s: float | None, end_s: float | None) -> None:
    start_s, end_s = 0.0 if start_s is None else start_s, recording_s if end_s is None else end_s
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s >= 0):
        raise InputError(f"an event goes from {start_s} s to {end_s} s", "use finite times from 0 s on")
    if start_s >= recording_s:
        raise InputError(f"an event starts at {start_s:g} s, but its recording is {recording_s:g} s long", "check its times and file")
    if end_s <= start_s:
        raise InputError(f"an event goes from {start_s:g} s to {end_s:g} s", "its end must come after its start")


class _ForwardSoundFile(sf.SoundFile):
    """A SoundFile read straight on. soundfile otherwise seeks after each block, which FLACs of unknown length refuse and MP3s do inexactly."""

    def seekable(self) -> bool:
        return False


class _RepairedWav(io.FileIO):
    """A WAV written to a pipe, with the sizes in place that its writer couldn't go back to: libsndfile reads 0 samples otherwise."""

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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sf.SoundFile]:
    """An open file whose header was checked. Whatever libsndfile or the system says, also while it is read, becomes an InputError."""
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
            raise InputError(f"{path}: {what}", "name a WAV, FLAC, Ogg or MP3 file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes)", "record or copy it again")
        if path.suffix.lower() == ".raw":  # soundfile goes by this one suffix
            raise InputError(f"{path}: raw samples have no header", "convert it to WAV with its rate and sample type")
        with _RepairedWav(path) as file:
            file.sizes = _missing_wav_sizes(path, file)
            file.seek(0)
            with _ForwardSoundFile(file) as sound:
                _check_header(path, sound)
                yield sound
    except sf.LibsndfileError as error:
        hint = f"expected WAV, FLAC, Ogg or MP3; if it plays elsewhere, convert it: ffmpeg -i IN -ac 1 -ar {AUDIO.sample_rate_hz} OUT.wav"
        raise InputError(f"{path}: not readable as audio: {error.error_string}", hint) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "check its name and permissions") from error


def _missing_wav_sizes(path: Path, file: io.FileIO) -> tuple[tuple[int, bytes], ...]:
    """The (offset, bytes) that complete a WAV which was written to a pipe; () for all other files. Raises InputError for a truncated WAV."""
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
                return (4, struct.pack(f"{order}I", min(there + body - 8, 2**32 - 1))), (body - 4, struct.pack(f"{order}I", min(there, 2**32 - 1)))
            promised = size if long_size is None else long_size
            if promised > there:
                raise InputError(f"{path}: truncated: its header promises {promised} bytes of sound, {there} are there", "copy or record it again")
            return ()
        if head[:4] == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        file.seek(body + size + size % 2)
    raise InputError(f"{path}: a WAV without a data chunk", "it is truncated or damaged; copy it again")


def _is_placeholder(size: int, *, riff_size: int, body: int) -> bool:
    """Whether a data chunk's size was never filled in: 0 under a RIFF that ends there, or near 2 or 4 GiB (ffmpeg, sox and arecord to a pipe)."""
    if size == 0:
        return bool(riff_size + 8 <= body or riff_size >= 2**31 - 2**16)
    return any(limit - 2**16 < size <= limit for limit in (2**31, 2**32 - 1))


def _check_header(path: Path, sound: sf.SoundFile) -> None:
    if sound.format not in FORMATS:
        raise InputError(f"{path}: format is {sound.format}", "use WAV, FLAC, Ogg or MP3")
    if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
        raise InputError(
            f"{path}: sampling rate is {sound.samplerate} Hz", f"expected {MIN_RATE_HZ} - {MAX_RATE_HZ} Hz; correct its header or resample it"
        )
    if not 1 <= sound.channels <= MAX_CHANNELS:
        raise InputError(f"{path}: has {sound.channels} channels", f"expected 1 - {MAX_CHANNELS}; keep the ones that were recorded")
    if sound.frames < 2:
        raise InputError(f"{path}: holds {sound.frames} samples at {sound.samplerate} Hz", "a recording needs at least 2 samples at 16 kHz")
    if sound.frames != _UNKNOWN_FRAMES:
        _check_length(path, seconds=sound.frames / sound.samplerate)


def _check_block(path: Path, block: NDArray[np.float32], *, seconds: float) -> None:
    _check_length(path, seconds=seconds)
    peak = float(np.abs(block).max())  # NaN when the block holds one
    if not math.isfinite(peak):
        raise InputError(f"{path}: holds NaN or infinite samples before {seconds:.3g} s", "export it again as PCM")
    if peak > MAX_PEAK:
        raise InputError(f"{path}: a sample is {peak:g}", f"float files must be scaled to [-1, 1] (up to {MAX_PEAK:g} is read); divide by full scale")


def _check_length(path: Path, *, seconds: float) -> None:
    if seconds > MAX_RECORDING_H * 3600:
        raise InputError(f"{path}: is {seconds / 3600:.1f} h long", f"split it into recordings of at most {MAX_RECORDING_H:g} h")
