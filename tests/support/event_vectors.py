"""Write what Python makes of scores and of sound, for the page's own rules of events to repeat to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import Samples, from_int16
from hearlite.events.detector import Event, EventClass, EventDetector, EventRules
from hearlite.events.formats import as_audacity, as_csv
from hearlite.events.recordings import Heard, rates
from hearlite.events.stream import EventStream, ScoreTimeline
from hearlite.spec import AUDIO

STEPS = 10  # of a window
_CLASSES = (EventClass("cough", on=0.6, off=0.3), EventClass("quiet cough, close", on=0.25, off=0.25))


class LoudnessScorer:
    """A StepScorer that any language repeats to the bit: the highest and the middle of each step's samples.

    A clip that was not rounded to int16 before gives other scores.
    """

    steps = STEPS

    def __init__(self, rules: EventRules) -> None:
        self.rules = rules

    def scores(self, clip: Samples) -> NDArray[np.float32]:
        """Return `[steps, 2]`."""
        parts = np.abs(clip.reshape(STEPS, -1))
        return np.stack([parts.max(axis=1), parts[:, parts.shape[1] // 2]], axis=1)


def write_vectors(path: Path) -> dict[str, Any]:
    """Write the cases to a JSON file, and return them.

    `detector` has rules, scores and events; `timeline` windows and their means; `stream` sound in int16, and events,
    scores over time and files of it.
    """
    rng = np.random.default_rng(0)
    cases = {
        "audio": dataclasses.asdict(AUDIO) | {"clip_samples": AUDIO.clip_samples},
        "steps": STEPS,
        "detector": [_detected(rules, scores) for rules in _rules() for scores in _scores(rng)],
        "timeline": [_joined(steps, firsts, rng) for steps, firsts in _placed()],
        "stream": [_streamed(seconds, rng) for seconds in (0.05, 1.3, 2.0, 2.00005, 7.31, 33.3333)],
    }
    path.write_text(json.dumps(cases, allow_nan=False), encoding="utf-8")
    return cases


def _rules() -> list[EventRules]:
    """Rules with no gap, with lengths that round to the even neighbour, and with long ones."""
    return [
        EventRules(0.2, _CLASSES, shortest_s=0.0, gap_s=0.0),
        EventRules(0.2, _CLASSES, shortest_s=0.5, gap_s=0.3),  # 2.5 and 1.5 steps
        EventRules(0.1, _CLASSES, shortest_s=0.7, gap_s=0.45),
    ]


def _scores(rng: np.random.Generator) -> list[NDArray[np.float32]]:
    random = rng.random((400, 2)).astype(np.float32)
    smooth = np.stack([np.convolve(column, np.ones(4) / 4, mode="same") for column in random.T], axis=1)
    steps = np.array([0.0, 0.25, 0.3, 0.6, 1.0], np.float32)  # on the thresholds, and float32's 0.3 and 0.6 beside them
    return [random, smooth.astype(np.float32), rng.choice(steps, (300, 2)), np.ones((7, 2), np.float32)]


def _detected(rules: EventRules, scores: NDArray[np.float32]) -> dict[str, Any]:
    detector = EventDetector(rules)
    pushed, left = detector.push(scores), detector.finish()
    return {
        "rules": dataclasses.asdict(rules),
        "scores": scores.tolist(),
        "pushed": list(map(_event, pushed)),
        "left": list(map(_event, left)),
    }


def _placed() -> list[tuple[int, list[int]]]:
    """Steps of a window, and the first steps of windows: by the half, and a last one that is nearer."""
    return [(10, [0]), (10, [0, 5, 10, 15, 17]), (5, [0, 2, 4, 6, 7]), (1, [0, 1, 2])]


def _joined(steps: int, firsts: list[int], rng: np.random.Generator) -> dict[str, Any]:
    timeline, windows = ScoreTimeline(steps, 2), rng.random((len(firsts), steps, 2)).astype(np.float32)
    ready = [timeline.add(first, window).tolist() for first, window in zip(firsts, windows, strict=True)]
    return {
        "steps": steps,
        "firsts": firsts,
        "windows": windows.reshape(len(firsts), -1).tolist(),
        "ready": ready,
        "left": timeline.finish().tolist(),
    }


def _streamed(seconds: float, rng: np.random.Generator) -> dict[str, Any]:
    rules = EventRules(AUDIO.clip_s / STEPS, _CLASSES, shortest_s=0.2, gap_s=0.2)
    length = round(seconds * AUDIO.sample_rate_hz)
    loudness = np.repeat(10.0 ** rng.uniform(-1.5, 0.0, length // 4_000 + 1), 4_000)[:length]
    loudness[160_000:250_000] = 0.0  # windows of silence, which are not scored
    pcm = np.clip(loudness * rng.uniform(-32_768, 32_767, length), -32_768, 32_767).astype(np.int16)
    between = rng.choice(np.array([0.0, 0.5, 0.25, -0.5], np.float32), length)  # of a step, as resampled sound has
    between[loudness == 0.0] = 0.0
    samples = np.clip(from_int16(pcm) + between / np.float32(AUDIO.pcm_full_scale), -1.0, 1.0)
    stream = EventStream(LoudnessScorer(rules), keep_scores=True)
    found = stream.push(samples) + stream.finish()
    heard = Heard("a, b.wav", stream.heard_s, tuple(sorted(found, key=lambda event: (event.start_s, event.label))))
    return {
        "rules": dataclasses.asdict(rules),
        "samples": (samples * np.float32(4 * AUDIO.pcm_full_scale)).astype(int).tolist(),  # in quarters of a step
        "events": list(map(_event, found)),
        "timeline": np.concatenate([*stream.timeline, np.zeros((0, 2))]).tolist(),
        "seconds": stream.heard_s,
        "rates": {label: list(rate) for label, rate in rates([heard], rules).items()},
        "csv": as_csv([heard]).decode(),
        "audacity": as_audacity(heard.events).decode(),
    }


def _event(event: Event) -> dict[str, Any]:
    """Return an event as the page writes it."""
    return {
        "label": event.label,
        "start": event.start_s,
        "end": event.end_s,
        "score": event.score,
        "peak": event.peak_s,
    }
