"""Find the events of recordings, one after the other, however long they are, and go on after an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.audio import Samples, Window, read_blocks
from hearlite.errors import InputError
from hearlite.events.detector import Event, EventRules
from hearlite.events.stream import EventStream, StepScorer
from hearlite.files import parse_json
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import AUDIO

_BLOCK = AUDIO.sample_rate_hz * 10  # samples between two looks at the clock


@dataclass(frozen=True)
class Heard:
    """The events of one recording."""

    file: str
    duration_s: float
    events: tuple[Event, ...]  # by start


def find_events(
    blocks: Iterable[Samples], scorer: StepScorer, *, file: str = "", advance: Callable[[float], None] | None = None
) -> Heard:
    """Return the events of a sound.

    Parameters
    ----------
    blocks : iterable of array
        float32 `[samples]` each, at AUDIO.sample_rate_hz.
    scorer : StepScorer
        The model.
    file : str
        Name of the recording.
    advance : callable, optional
        Told how many seconds have been heard so far.

    Raises
    ------
    InputError
        When the recording can't be read in full.
    """
    stream, found = EventStream(scorer), list[Event]()
    for block in blocks:
        for start in range(0, len(block), _BLOCK):
            found += stream.push(block[start : start + _BLOCK])
            if advance is not None:
                advance(stream.heard_s)
    found += stream.finish()
    return Heard(file, stream.heard_s, tuple(sorted(found, key=lambda event: (event.start_s, event.label))))


class Journal:
    """What has been found so far, in a file with a line for each recording, to go on after an interruption.

    Its first line says by which model and rules; a journal of others is begun anew. A line that was cut off is heard
    again.

    Parameters
    ----------
    path : Path
        The file.
    made_by : str
        The model's hash.
    rules : EventRules
        How its scores become events.
    """

    def __init__(self, path: Path, *, made_by: str, rules: EventRules) -> None:
        self.path, self.heard = path, dict[str, Heard]()
        told = json.dumps(to_dict(rules), sort_keys=True)
        self._head = json.dumps({"made_by": hashlib.sha256(f"{made_by} {told}".encode()).hexdigest()})
        lines = path.read_text("utf-8", errors="replace").split("\n") if path.is_file() else []
        kept = [self._head]
        if lines and lines[0] == self._head:
            for line in lines[1:-1]:  # what follows the last newline was cut off
                try:
                    heard = from_dict(Heard, parse_json(line, where=str(path)), where=str(path))
                except InputError:
                    break
                self.heard[heard.file] = heard
                kept.append(line)
        path.write_text("\n".join(kept) + "\n", "utf-8")

    def add(self, heard: Heard) -> None:
        """Keep what was found in one more recording."""
        self.heard[heard.file] = heard
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(to_dict(heard), ensure_ascii=False) + "\n")


def rates(heard: Sequence[Heard], rules: EventRules) -> dict[str, tuple[int, float]]:
    """Return how many events of each class were found, and how many an hour."""
    hours = sum(item.duration_s for item in heard) / 3600.0
    counts = {item.label: 0 for item in rules.classes}
    for item in heard:
        for event in item.events:
            counts[event.label] += 1
    return {label: (count, count / hours if hours else 0.0) for label, count in counts.items()}


def cut_out_of(
    path: Path, events: Sequence[Event], *, before_s: float, after_s: float
) -> Iterator[tuple[Event, Samples]]:
    """Yield the sound of each event with what surrounds it, float32 `[samples]` at AUDIO.sample_rate_hz, by start."""
    window = Window(read_blocks(path))
    for event in sorted(events, key=lambda item: item.start_s):
        first = max(0, round((event.start_s - before_s) * AUDIO.sample_rate_hz))
        end = round((event.end_s + after_s) * AUDIO.sample_rate_hz)
        window.move(first=first, end=end)
        yield event, window.samples[first - window.start : end - window.start]
