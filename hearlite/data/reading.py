"""Read the sound of clips: one recording after another, a long one in parts."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite import audio
from hearlite.data.dataset import ClipRef, Skipped
from hearlite.errors import InputError
from hearlite.spec import AUDIO
from hearlite.text import listed

_LISTED = 10  # recordings named in a remark


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded clip: int16 `[clip_samples]`."""

    ref: ClipRef
    pcm: NDArray[np.int16]
    silent: bool  # silent clips are embedded too, with a warning
    context: NDArray[np.int16]  # the clip with the sound around it, as much as `read_clips` was asked for
    start: int  # of the clip in its context, in samples


def clip_id(pcm: NDArray[np.int16]) -> str:
    """Return a clip's identity: 32 hex digits of the sha256 of its little-endian int16 samples.

    It never depends on a file name or a position. Raises InputError for another dtype.
    """
    if pcm.dtype != np.int16:
        raise InputError(f"PCM has dtype {pcm.dtype}", "expected int16; use hearlite.audio.to_int16")
    return hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()[:32]


def reading_order(clips: Iterable[ClipRef]) -> list[ClipRef]:
    """Return clips in the order in which `read_clips` reads them: a recording's together, ascending by their start.

    Recordings are ordered by their first clips.
    """
    by_file: dict[Path, list[ClipRef]] = {}
    for ref in clips:
        by_file.setdefault(ref.file, []).append(ref)
    return [ref for refs in by_file.values() for ref in sorted(refs, key=lambda ref: ref.start_s)]


def read_clips(clips: Iterable[ClipRef], *, reach_s: float = 0.0) -> Iterator[Clip | Skipped]:
    """Decode clips one after another, going on past recordings that cannot be read.

    Each recording is decoded once. One at a time is in memory and, of a long one (`audio.read_blocks`), only a part.

    Parameters
    ----------
    clips : iterable of ClipRef
        The clips to read; they come in `reading_order`.
    reach_s : float
        Seconds of the recording before and after each clip to include as context.

    Yields
    ------
    Clip or Skipped
        A Skipped stands for all clips of a recording that cannot be read, and for a clip beyond the end of one. Silent
        clips are yielded and marked.
    """
    for file, group in itertools.groupby(reading_order(clips), key=lambda ref: ref.file):
        refs = list(group)
        try:
            window = audio.Window(audio.read_blocks(file))
            window.move(first=0, end=1)
        except InputError as error:
            yield Skipped(refs[0].name, refs[0].row if len(refs) == 1 else None, str(error), clips=len(refs))
            continue
        reach = round(reach_s * AUDIO.sample_rate_hz)
        for ref in refs:
            first = round(ref.start_s * AUDIO.sample_rate_hz)
            window.move(first=max(0, first - reach), end=first + AUDIO.clip_samples + reach)
            yield _read_clip(ref, window, reach=reach)


def silent_text(silent: Mapping[str, int]) -> str:
    """Return a remark on silent clips, counted by recording: "3 clips are silent: 2 in a.wav, 1 in b.wav"."""
    number = sum(silent.values())
    named = [f"{count} in {name}" for name, count in silent.items()]
    return f"{number} clip{'s are' if number > 1 else ' is'} silent: " + listed(
        named, _LISTED, rest=" and others in {} more recordings"
    )


def _read_clip(ref: ClipRef, window: audio.Window, *, reach: int) -> Clip | Skipped:
    try:
        clip = _cut(window, ref)
    except InputError as error:  # the header promised more sound than was decoded
        return Skipped(ref.name, ref.row, str(error))
    pcm = audio.to_int16(clip)
    context, start = _context(window, ref, pcm, reach=reach)
    return Clip(ref, pcm, audio.is_silent(clip), context, start)


def _context(
    window: audio.Window, ref: ClipRef, pcm: NDArray[np.int16], *, reach: int
) -> tuple[NDArray[np.int16], int]:
    """Return the clip with the sound around it, and where it starts there; a padded clip has no context."""
    first = round(ref.start_s * AUDIO.sample_rate_hz) - window.start
    if not reach or ref.zero_padded or first + len(pcm) > len(window.samples):
        return pcm, 0
    begin = max(0, first - reach)
    return audio.to_int16(window.samples[begin : first + len(pcm) + reach]), first - begin


def _cut(window: audio.Window, ref: ClipRef) -> audio.Samples:
    if ref.zero_padded and ref.event_end_s is not None:
        return audio.cut_event_zero_padded(
            window.samples, start_s=ref.start_s, end_s=ref.event_end_s, before=window.start
        )
    return audio.cut(window.samples, start_s=ref.start_s, before=window.start)
