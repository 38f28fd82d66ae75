"""Fit a personal head to recordings: own examples of a sound, and other sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.audio import Samples, from_int16, is_silent, read_blocks, read_recording, to_int16
from hearlite.errors import InputError
from hearlite.events.personal import MOST_OTHERS, PersonalHead, Vectors, fit_head
from hearlite.manifests.manifest import find_rows
from hearlite.manifests.table import SUFFIXES
from hearlite.spec import AUDIO

# Places of an example in a window, in seconds: `listen` cuts windows a second apart, wherever a sound may be.
_PLACES_S = (0.5, 1.0, 1.5)
_LOUDNESS_S = 0.2  # an example is where it is loudest, over the shortest event
_HOP_S = 1.0  # between windows of other sounds, as of `listen`

Embed = Callable[[NDArray[np.float32]], Vectors]


def enroll_recordings(
    examples: Sequence[Path],
    others: Sequence[Path] = (),
    *,
    embed: Embed,
    model: str,
    label: str,
    threshold: float | None = None,
) -> tuple[PersonalHead, list[str]]:
    """Fit a head to recordings; see `fit_head`.

    Parameters
    ----------
    examples : sequence of Path
        Recordings with one example each, folders of them or manifests. What surrounds the loudest 0.2 s is taken.
    others : sequence of Path
        Recordings, folders or manifests of other sounds, all of which is taken.
    embed : callable
        Turns float32 clips `[n, clip_samples]` into vectors `[n, dim]`.
    model : str
        Fingerprint of the model.
    label : str
        Name of the class.
    threshold : float, optional
        Score at which an event begins, instead of the one that is found.

    Returns
    -------
    PersonalHead and list of str
        The head, and notes for the user.

    Raises
    ------
    InputError
        When a recording can't be read or is silent, or one is both an example and another sound.
    UsageError
        For too few examples, or too many.
    """
    own, foreign = _recordings(examples), _recordings(others)
    both = sorted({path.resolve() for path in own} & {path.resolve() for path in foreign})
    if both:
        raise InputError(f"{both[0]} is an example and another sound", "name it once")
    notes = [] if foreign else ["nothing tells how many other sounds are taken for it: name some with --others"]
    own_vectors = [embed(_example(path)) for path in own]
    foreign_vectors = []
    for path in foreign:
        windows = np.array([vector for clips in _batches(path) for vector in embed(clips)])
        if len(windows):
            foreign_vectors.append(windows)
    count = sum(map(len, foreign_vectors))
    if count > MOST_OTHERS:
        every = -(-count // MOST_OTHERS)
        firsts = np.cumsum([0, *map(len, foreign_vectors)])[:-1]
        foreign_vectors = [part[-first % every :: every] for first, part in zip(firsts, foreign_vectors, strict=True)]
        foreign_vectors = [part for part in foreign_vectors if len(part)]
        notes.append(f"of {count} windows of other sounds, one in {every} is taken")
    if foreign and count < 2:
        raise InputError(f"the other sounds have {count} windows that are not silent", "name longer ones, or none")
    return fit_head(own_vectors, foreign_vectors, label=label, model=model, threshold=threshold), notes


def _recordings(places: Sequence[Path]) -> list[Path]:
    found = list[Path]()
    for place in places:
        if place.is_file() and place.suffix.lower() not in SUFFIXES:
            found.append(place)
        else:
            root, rows, _ = find_rows(place, label_columns=())
            found += dict.fromkeys(root / row.name for row in rows)
    return list(dict.fromkeys(found))


def _example(path: Path) -> NDArray[np.float32]:
    """Return the windows `[places, clip_samples]` around the loudest part of a recording."""
    samples = read_recording(path)
    if is_silent(samples):
        raise InputError(f"{path} is silent", "record it again")
    length = min(round(_LOUDNESS_S * AUDIO.sample_rate_hz), len(samples))
    energy = np.cumsum(np.concatenate([[0.0], np.square(samples - samples.mean(), dtype=np.float64)]))
    centre = int(np.argmax(energy[length:] - energy[:-length])) + length // 2
    padded = np.pad(samples, AUDIO.clip_samples)
    starts = [AUDIO.clip_samples + centre - round(place * AUDIO.sample_rate_hz) for place in _PLACES_S]
    return _rounded(np.stack([padded[start : start + AUDIO.clip_samples] for start in starts]))


def _batches(path: Path) -> Iterator[NDArray[np.float32]]:
    """Yield windows `[n, clip_samples]` of a recording, without the silent ones; the last is padded with zeros."""
    hop, held = round(_HOP_S * AUDIO.sample_rate_hz), np.zeros(0, np.float32)
    cut = 0
    for block in read_blocks(path):
        held = np.concatenate([held, block])
        count = max(0, (len(held) - AUDIO.clip_samples) // hop + 1)
        yield _sounding([held[index * hop :][: AUDIO.clip_samples] for index in range(count)])
        held, cut = held[count * hop :], cut + count
    if not cut:
        yield _sounding([np.pad(held, (0, AUDIO.clip_samples - len(held)))])


def _sounding(windows: Sequence[Samples]) -> NDArray[np.float32]:
    kept = [window for window in windows if not is_silent(window)]
    return _rounded(np.stack(kept)) if kept else np.zeros((0, AUDIO.clip_samples), np.float32)


def _rounded(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    return from_int16(to_int16(clips))  # as the clips of every dataset are
