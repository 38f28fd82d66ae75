"""Make hours of sound of which every event is known: real events, cut out of recordings, in real background."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearlite.audio import Samples, to_int16
from hearlite.errors import InputError
from hearlite.files import write_bytes
from hearlite.spec import AUDIO

_RATE = AUDIO.sample_rate_hz
_FRAME = _RATE // 50  # samples of 20 ms, in which loudness is measured
# Of a recording's loudest frame: what is quieter is between events. Half of it starts a new one after _PAUSE.
_ABOVE_DB = -25.0
_PAUSE, _SHORTEST, _LONGEST = 15, 5, 150  # frames: 0.3 s between events, which last 0.1 to 3 s
_FADE = _RATE // 10  # samples over which one piece of background becomes the next
_BETWEEN_S = (6.0, 12.0)  # from one event to the next


@dataclass(frozen=True)
class Placed:
    """A real event in the made-up recording."""

    label: str
    start_s: float
    end_s: float
    snr_db: float
    source: str  # whose sound it is


def cut_events(samples: Samples) -> list[Samples]:
    """Return the parts of a recording that rise above its own noise, each with 20 ms around."""
    frames = len(samples) // _FRAME
    power = (samples[: frames * _FRAME].reshape(frames, _FRAME).astype(np.float64) ** 2).mean(axis=1)
    if not frames or power.max() <= 0.0:
        return []
    loud = np.flatnonzero(power > power.max() * 10.0 ** (_ABOVE_DB / 10.0))
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE) + 1)
    found = []
    for part in parts:
        first, last = int(part[0]), int(part[-1]) + 1
        if _SHORTEST <= last - first <= _LONGEST:
            found.append(samples[max(0, first - 1) * _FRAME : (last + 1) * _FRAME])
    return found


def joined(pieces: Sequence[Samples], *, seconds: float, rng: np.random.Generator) -> Samples:
    """Return background of a length, from pieces in random order that fade into each other; each to an rms of -30 dB.

    Raises InputError when no piece is long enough.
    """
    usable = [piece for piece in pieces if len(piece) > 2 * _FADE and float(np.square(piece).mean()) > 0.0]
    if not usable:
        raise InputError("no piece of background is longer than 0.2 s and not silent", "name other recordings")
    wanted, total, parts = round(seconds * _RATE), 0, list[Samples]()
    ramp = np.linspace(0.0, 1.0, _FADE, dtype=np.float32)
    while total < wanted:
        for index in rng.permutation(len(usable)):
            piece = usable[index] * np.float32(10.0**-1.5 / np.sqrt(np.square(usable[index]).mean()))
            if parts:
                piece = piece.copy()
                piece[:_FADE] = piece[:_FADE] * ramp + parts[-1][-_FADE:] * ramp[::-1]
                parts[-1] = parts[-1][:-_FADE]
                total -= _FADE
            parts.append(np.clip(piece, -1.0, 1.0))
            total += len(piece)
            if total >= wanted:
                break
    return np.concatenate(parts)[:wanted]


def place_events(
    background: Samples,
    events: Mapping[str, Sequence[tuple[str, Samples]]],
    *,
    snrs_db: Sequence[float],
    rng: np.random.Generator,
) -> tuple[Samples, list[Placed]]:
    """Put events of all classes into background, every class and level in turn.

    Parameters
    ----------
    background : array [samples]
        At 16 kHz.
    events : mapping of str to sequence of (str, array)
        Of each class, who made it and its sound.
    snrs_db : sequence of float
        Levels of an event's rms above the background's.
    rng : numpy.random.Generator
        Draws times and events.

    Returns
    -------
    array [samples]
        The recording, attenuated where it would clip.
    list of Placed
        What is in it, by time.
    """
    power = float(np.square(background).mean())
    sound, placed = background.astype(np.float32).copy(), list[Placed]()
    kinds = [(label, snr) for snr in snrs_db for label in events]
    at, number = rng.uniform(*_BETWEEN_S), 0
    while True:
        label, snr_db = kinds[number % len(kinds)]
        source, event = events[label][int(rng.integers(len(events[label])))]
        first = round(at * _RATE)
        if first + len(event) + _RATE > len(sound):
            break
        # Of the background's mean power: a dog barks and is silent, and a cough between barks is as loud as any.
        gain = 10.0 ** (snr_db / 20.0) * np.sqrt(power / np.square(event).mean())
        sound[first : first + len(event)] += np.float32(gain) * event
        placed.append(Placed(label, first / _RATE, (first + len(event)) / _RATE, snr_db, source))
        at, number = placed[-1].end_s + rng.uniform(*_BETWEEN_S), number + 1
    return sound / max(1.0, float(np.abs(sound).max())), placed


def write_recording(folder: Path, recording: Samples, placed: Sequence[Placed]) -> None:
    """Write what was made as recording.wav, int16, and placed.csv, a row for each event."""
    import soundfile as sf

    content = io.BytesIO()
    sf.write(content, to_int16(recording), _RATE, format="WAV", subtype="PCM_16")
    write_bytes(folder / "recording.wav", content.getvalue())
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    rows.writerow([field.name for field in dataclasses.fields(Placed)])
    rows.writerows(dataclasses.astuple(item) for item in placed)
    write_bytes(folder / "placed.csv", lines.getvalue().encode())
