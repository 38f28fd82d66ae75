"""Read recordings as float32 mono at 16 kHz: the only decoding, resampling and scaling code.

WAV, FLAC, Ogg and MP3 are decoded block by block with libsndfile, and by FFmpeg (containers.py) whatever that would
shorten or does not know; soxr resamples. Channels are averaged, or the strongest is taken where they cancel each other.
A file that cannot be read in full is refused, never shortened: libsndfile itself reads the rest of a cut file silently.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from hearlite.audio.clips import Samples, from_int16
from hearlite.audio.containers import SLACK_S, Container, decode, find_demuxer, scan, tag_bytes
from hearlite.audio.wav_header import _missing_wav_sizes, _RepairedWav
from hearlite.errors import InputError
from hearlite.spec import AUDIO

# libsndfile's names. Its rarer parsers are not offered to hostile files.
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".m4a", ".mp4", ".aac", ".3gp", ".amr", ".webm", ".mka", ".aif", ".aiff", ".aifc", ".caf"),
)
READABLE = "WAV, FLAC, Ogg, Opus, MP3, M4A, AAC, 3GP, AMR, WebM, AIFF or CAF"
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000  # electronic stethoscopes start at 4 kHz, studio converters end at 384 kHz
MAX_CHANNELS = 16
MAX_RECORDING_H = 12.0  # a night; 2.8 GB as float32. Also limits what a small hostile file can unpack to
LONG_S = 600.0  # a recording of 10 minutes takes 38 MB; a longer one is read in parts
MAX_PEAK = 8.0  # 18 dB over full scale: room for MP3 overshoot, not for a float file that holds integers

_BLOCK_FRAMES = 65_536
_HEAD_BYTES = 4_096
_CANCELLED = 0.2  # of the power that channels with nothing in common would leave in their mean: opposite polarity
_MPEG_FRAME = 1_152  # samples in an MPEG-1 layer III frame: an MP3 without a Xing header can promise one frame too many
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's SF_COUNT_MAX: a FLAC that was written to a pipe


def duration_s(path: Path) -> float:
    """Return the length of a recording in seconds, from its header, pages or frames where these tell.

    Other files are decoded. Raises InputError as `read_recording` does.
    """
    with _opened(path) as sound:
        if sound.frames is not None:
            return float(sound.frames / sound.rate_hz)
    return sum(map(len, read_blocks(path))) / AUDIO.sample_rate_hz


def read_recording(path: Path) -> Samples:
    """Read a whole recording as mono float32 `[samples]` at 16 kHz.

    PCM is scaled by 1 / full scale. Channels are averaged; where they cancel each other, as a cable with one polarity
    swapped makes them, the strongest channel is taken. A recording that goes beyond full scale is scaled down to it.
    Resampling is soxr HQ in a stream, equal to its one-shot result; memory stays near the size of the result.

    Raises
    ------
    InputError
        When the file cannot be decoded in full: it is missing, empty, truncated or not audio, holds NaN, has fewer than
        2 samples, or exceeds the limits of this module. The message names file, value and remedy.
    """
    return next(read_blocks(path, whole_s=math.inf))


def read_blocks(path: Path, *, whole_s: float | None = None) -> Iterator[Samples]:
    """Read a recording as `read_recording` does, a long one in memory that does not grow with its length.

    Parameters
    ----------
    path : Path
        The recording.
    whole_s : float, optional
        A recording of at most so many seconds, by default LONG_S, comes as one block. A longer one comes in blocks of
        any length, and is decoded twice: once to see that it can be read in full, before any block comes, and how its
        channels and level are.

    Yields
    ------
    numpy.ndarray
        float32 `[samples]`; joined, the blocks are what `read_recording` returns.

    Raises
    ------
    InputError
        As `read_recording` does, before the first block.
    """
    most_s = LONG_S if whole_s is None else whole_s
    survey, samples = _Survey(), 0
    kept: bytearray | None = bytearray()  # grows in place: a list of blocks would need twice the memory to join
    for block in _mono(path, survey=survey):
        samples += len(block)
        if kept is not None:
            kept += block.tobytes()
        if max(samples / AUDIO.sample_rate_hz, survey.promised_s) > most_s:
            kept = None
    if min(survey.frames, samples) < 2:
        raise InputError(
            f"{path}: holds {survey.frames} samples at {survey.rate_hz} Hz",
            "a recording needs at least 2 samples at 16 kHz",
        )
    again = _mono(path, survey=_Survey(), channel=survey.channel)
    if kept is None:
        blocks: Iterable[Samples] = again
    elif survey.channel is None:
        blocks = [np.frombuffer(kept, dtype=np.float32)]
    else:
        blocks = [np.concatenate(list(again))]
    for block in blocks:
        yield block if survey.peak <= 1.0 else block / np.float32(survey.peak)


@dataclass
class _Survey:
    """What a pass over a whole file found."""

    rate_hz: int = 0
    promised_s: float = 0.0  # length by the header; 0 where it tells none
    frames: int = 0
    peak: float = 1.0  # at least full scale
    powers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # of the mean, and of each channel

    @property
    def channel(self) -> int | None:
        """The channel to take; None for the mean of all, unless they cancel each other there."""
        mean, each = self.powers[0], self.powers[1:]
        return int(each.argmax()) if len(each) > 1 and mean < _CANCELLED * each.mean() / len(each) else None


def _mono(path: Path, *, survey: _Survey, channel: int | None = None) -> Iterator[Samples]:
    """Yield the mean of the channels, or one of them, at 16 kHz and before scaling; fill in `survey`."""
    with _opened(path) as sound:
        survey.rate_hz = sound.rate_hz
        survey.promised_s = (sound.frames or 0) / sound.rate_hz
        resampler = (
            soxr.ResampleStream(sound.rate_hz, AUDIO.sample_rate_hz, 1, dtype="float32", quality="HQ")
            if sound.rate_hz != AUDIO.sample_rate_hz
            else None
        )
        for block in sound.blocks:  # [frames, channels]
            survey.frames += len(block)
            survey.peak = max(survey.peak, _check_block(path, block, seconds=survey.frames / sound.rate_hz))
            mono = block.mean(axis=1, dtype=np.float32) if channel is None else np.ascontiguousarray(block[:, channel])
            squares = np.concatenate(
                [[np.square(mono, dtype=np.float64).sum()], np.square(block, dtype=np.float64).sum(axis=0)]
            )
            survey.powers = squares if survey.frames == len(block) else survey.powers + squares
            yield mono if resampler is None else resampler.resample_chunk(mono)
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if sound.frames is not None and survey.frames < sound.frames - sound.slack:
            raise InputError(
                f"{path}: decodes to {survey.frames} of the {sound.frames} samples its header promises",
                "it is truncated or damaged; copy it again",
            )


def from_array(sound: NDArray[Any], *, rate_hz: float) -> Samples:
    """Convert mono samples of any rate to float32 at 16 kHz, as `read_recording` would from a file.

    Parameters
    ----------
    sound : numpy.ndarray
        Samples `[n]`, at least 2: floating point, taken as it is, or int16, divided by full scale.
    rate_hz : float
        Their sampling rate, 4000 to 384000 Hz.

    Returns
    -------
    numpy.ndarray
        float32 `[samples]` at 16 kHz.

    Raises
    ------
    InputError
        For another shape or dtype, NaN, a peak above MAX_PEAK, or a rate outside the limits.
    """
    values = np.asarray(sound)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(
            f"samples have shape {list(values.shape)}",
            "expected [n], at least 2 of them; average channels first: samples.mean(axis=1)",
        )
    if values.dtype != np.int16 and values.dtype.kind != "f":
        raise InputError(f"samples have dtype {values.dtype}", "expected floating point in [-1, 1], or int16")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"the sampling rate is {rate_hz:g} Hz", f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
    samples = from_int16(values) if values.dtype == np.int16 else values.astype(np.float32)
    peak = float(np.abs(samples).max())
    if not peak <= MAX_PEAK:  # NaN too
        raise InputError(
            f"samples reach {peak:g}",
            f"expected [-1, 1], at most {MAX_PEAK:g}: divide integers by their full scale, remove NaN",
        )
    return (
        samples
        if rate_hz == AUDIO.sample_rate_hz
        else soxr.resample(samples, rate_hz, AUDIO.sample_rate_hz, quality="HQ")
    )


class _ForwardSoundFile(sf.SoundFile):
    """A SoundFile that only reads forward.

    soundfile otherwise seeks after each block, which FLACs of unknown length refuse and MP3s do inexactly.
    """

    def seekable(self) -> bool:
        """Return False, which keeps soundfile from seeking."""
        return False


@dataclass(frozen=True)
class _Sound:
    """An open file: its rate, how many samples it promises (None: not known), and its blocks `[frames, channels]`."""

    rate_hz: int
    frames: int | None
    slack: int  # samples that may be missing of those
    blocks: Iterator[NDArray[np.float32]]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Sound]:
    """Open a file and check its header.

    Errors of the decoders and the system become InputErrors, also those raised while the caller reads.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
            raise InputError(f"{path}: {what}", f"name a {READABLE} file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes)", "record or copy it again")
        if path.suffix.lower() == ".raw":  # the one suffix that makes soundfile expect parameters
            raise InputError(f"{path}: raw samples have no header", "convert it to WAV with its rate and sample type")
        with _RepairedWav(path) as file:
            file.start = _behind_tag(file)
            file.seek(0)
            head = file.read(_HEAD_BYTES)
            demuxer = find_demuxer(head) or ("mp3" if file.start and head[:4] not in (b"RIFF", b"fLaC") else None)
            container = scan(path, demuxer) if demuxer else None
            file.start = 0 if container else file.start
            file.seek(0)
            if container is None:
                file.sizes = _missing_wav_sizes(path, file)
                file.seek(0)
            if container is None or (container.demuxer in ("ogg", "mp3") and not container.spans):
                with _ForwardSoundFile(file) as sound:
                    if container is None or _reads_all(sound, container):
                        _check_header(path, sound)
                        frames = None if sound.frames == _UNKNOWN_FRAMES else sound.frames
                        slack = _MPEG_FRAME if sound.format == "MP3" else 0
                        yield _Sound(sound.samplerate, frames, slack, _blocks(sound))
                        return
        assert container is not None
        rate_hz, blocks = decode(path, container)
        _check_rate(path, rate_hz)
        seconds = container.seconds
        if seconds is not None:
            _check_length(path, seconds=seconds)
        frames = None if seconds is None else round(seconds * rate_hz)
        yield _Sound(rate_hz, frames, round(SLACK_S * rate_hz), blocks)
    except sf.LibsndfileError as error:
        hint = (
            f"expected {READABLE}; if it plays elsewhere, convert it: ffmpeg -i IN -ac 1 -ar"
            f" {AUDIO.sample_rate_hz} OUT.wav"
        )
        raise InputError(f"{path}: not readable as audio: {error.error_string}", hint) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "check its name and permissions") from error


def _behind_tag(file: _RepairedWav) -> int:
    """Return the first byte behind an ID3 tag at the start of a file; 0 without one."""
    head = file.read(10)
    file.seek(0)
    return tag_bytes(head, 0) if head[:3] == b"ID3" and len(head) == 10 else 0


def _reads_all(sound: sf.SoundFile, container: Container) -> bool:
    """Return whether libsndfile will read all that the pages or frames of a file hold."""
    if container.seconds is None or sound.frames == _UNKNOWN_FRAMES:
        return False
    return bool(abs(sound.frames / sound.samplerate - container.seconds) <= SLACK_S)


def _blocks(sound: sf.SoundFile) -> Iterator[NDArray[np.float32]]:
    while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block


def _check_header(path: Path, sound: sf.SoundFile) -> None:
    if sound.format not in FORMATS:
        raise InputError(f"{path}: format is {sound.format}", f"use {READABLE}")
    _check_rate(path, sound.samplerate)
    if not 1 <= sound.channels <= MAX_CHANNELS:
        raise InputError(
            f"{path}: has {sound.channels} channels", f"expected 1 to {MAX_CHANNELS}; keep the ones that were recorded"
        )
    if sound.frames < 2:
        raise InputError(
            f"{path}: holds {sound.frames} samples at {sound.samplerate} Hz",
            "a recording needs at least 2 samples at 16 kHz",
        )
    if sound.frames != _UNKNOWN_FRAMES:
        _check_length(path, seconds=sound.frames / sound.samplerate)


def _check_rate(path: Path, rate_hz: int) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(
            f"{path}: sampling rate is {rate_hz} Hz",
            f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; correct its header or resample it",
        )


def _check_block(path: Path, block: NDArray[np.float32], *, seconds: float) -> float:
    """Return the peak of a block that is sound."""
    _check_length(path, seconds=seconds)
    if block.shape[1] > MAX_CHANNELS:
        raise InputError(
            f"{path}: has {block.shape[1]} channels", f"expected 1 to {MAX_CHANNELS}; keep the ones that were recorded"
        )
    peak = float(np.abs(block).max())  # NaN when the block holds one
    if not math.isfinite(peak):
        raise InputError(f"{path}: holds NaN or infinite samples before {seconds:.3g} s", "export it again as PCM")
    if peak > MAX_PEAK:
        raise InputError(
            f"{path}: a sample is {peak:g}",
            f"float files must be scaled to [-1, 1] (up to {MAX_PEAK:g} is read); divide by full scale",
        )
    return peak


def _check_length(path: Path, *, seconds: float) -> None:
    if seconds > MAX_RECORDING_H * 3600:
        raise InputError(
            f"{path}: is {seconds / 3600:.1f} h long", f"split it into recordings of at most {MAX_RECORDING_H:g} h"
        )
