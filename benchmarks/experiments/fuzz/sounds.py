"""A recording in every format that hearlite reads, to be damaged."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from hearlite.spec import AUDIO

_SECONDS = 1.5
# Suffix, and format and subtype of libsndfile.
_SOUNDFILE = (
    *((".wav", "WAV", "PCM_16"), (".wav", "WAV", "FLOAT"), (".wav", "WAV", "PCM_24"), (".wav", "WAV", "ALAW")),
    *((".wav", "RF64", "PCM_16"), (".flac", "FLAC", "PCM_16"), (".ogg", "OGG", "VORBIS"), (".opus", "OGG", "OPUS")),
    *((".mp3", "MP3", "MPEG_LAYER_III"), (".aiff", "AIFF", "PCM_16"), (".caf", "CAF", "PCM_16")),
)
# Suffix, and container, codec and sampling rate of FFmpeg.
_FFMPEG = (
    (".m4a", "mp4", "aac", AUDIO.sample_rate_hz),
    (".webm", "webm", "libopus", 48_000),
    (".aac", "adts", "aac", AUDIO.sample_rate_hz),
)


@functools.cache
def sample_sounds() -> tuple[tuple[str, bytes], ...]:
    """Return a suffix and a file for each format; every other one has two channels."""
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, (round(_SECONDS * AUDIO.sample_rate_hz), 1))
    found = []
    for number, (suffix, kind, subtype) in enumerate(_SOUNDFILE):
        stream = io.BytesIO()
        channels = np.repeat(sound, 1 + number % 2, axis=1)
        sf.write(stream, channels, AUDIO.sample_rate_hz, format=kind, subtype=subtype)
        found.append((suffix, stream.getvalue()))
    found += [
        (suffix, _encoded(sound[:, 0], container=container, codec=codec, rate_hz=rate_hz))
        for suffix, container, codec, rate_hz in _FFMPEG
    ]
    return tuple(found)


def _encoded(sound: Any, *, container: str, codec: str, rate_hz: int) -> bytes:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as file:
        track: Any = file.add_stream(codec, rate=rate_hz, layout="mono")
        pcm = np.rint(soxr.resample(sound, AUDIO.sample_rate_hz, rate_hz) * AUDIO.pcm_full_scale).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        file.mux([*track.encode(frame), *track.encode(None)])
    return stream.getvalue()
