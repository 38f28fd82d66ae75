"""A made-up minute of the demo's synthetic sounds, and a head and rules that find events in it.

The head is fitted to the very minute, and its thresholds lie where no score is near: tests compare what the page and
Python find, never how well.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from hearlite.audio.clips import Samples, from_int16
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.events.detector import Event, EventClass, EventRules
from hearlite.events.scorer import FileScorer
from hearlite.events.stream import EventStream
from hearlite.export.demo.examples import sound
from hearlite.spec import AUDIO
from hearlite.tflite.classifier import FittedHead, Head, HeadLabel
from hearlite.tflite.steps import Steps

LABELS = {"cough": "cough", "snoring": "snore", "throat_clearing": "stridor"}  # label: class of synthetic sounds
_LENGTH_S, _HOP_S, _RIDGE, _SLOPE = 59.3, 0.5, 0.03, 10.0
_STARTS_S = {  # of sounds of up to two seconds: apart, close, and one that the end cuts
    "cough": (2.0, 3.4, 21.7, 34.0, 44.1, 45.2, 52.6),
    "snoring": (6.1, 11.2, 25.6, 38.4, 58.3),
    "throat_clearing": (15.3, 29.9, 48.5),
}


@functools.cache
def _made() -> tuple[NDArray[np.int16], dict[str, list[tuple[float, float]]]]:
    """Return the minute, and where each label sounds in it, in seconds."""
    rate, rng = AUDIO.sample_rate_hz, np.random.default_rng(0)
    minute = rng.integers(-30, 31, round(_LENGTH_S * rate)).astype(np.int16)
    minute[18 * rate : 21 * rate] = 0  # digital silence, which no network hears
    places: dict[str, list[tuple[float, float]]] = {}
    for label, starts_s in _STARTS_S.items():
        for number, start_s in enumerate(starts_s):
            pcm, begin_s, end_s = sound(LABELS[label], number)
            heard = pcm[round(begin_s * rate) : round(min(end_s, begin_s + AUDIO.clip_s) * rate)]
            where = minute[round(start_s * rate) :][: len(heard)]
            where += heard[: len(where)] // 2
            places.setdefault(label, []).append((start_s, start_s + len(where) / rate))
    return minute, places


def minute() -> NDArray[np.int16]:
    """Return the minute, int16 `[samples]` at AUDIO.sample_rate_hz."""
    return _made()[0]


def write_minute(path: Path, *, times: int = 1) -> Path:
    """Write the minute, several times over, as a WAV."""
    sf.write(path, np.tile(minute(), times), AUDIO.sample_rate_hz, subtype="PCM_16")
    return path


def python_events(model: Path, steps: Steps, rules: EventRules, pcm: NDArray[np.int16]) -> list[Event]:
    """Return what Python finds, by start."""
    stream = EventStream(FileScorer(model, steps=steps, rules=rules))
    return sorted(stream.push(pcm) + stream.finish(), key=lambda event: (event.start_s, event.label))


def fit_head(content: bytes) -> FittedHead:
    """Fit a sigmoid for each of LABELS: its logit grows with the share of a window in which the label sounds."""
    heard, rate = from_int16(minute()), AUDIO.sample_rate_hz
    starts = range(0, len(heard) - AUDIO.clip_samples, round(_HOP_S * rate))
    embedder = TfliteEmbedder(content)
    features = embedder.embed(np.stack([heard[start : start + AUDIO.clip_samples] for start in starts])).astype(float)
    shares = np.array([[_share(places, start / rate) for places in _made()[1].values()] for start in starts])
    mean = features.mean(axis=0)
    centred = features - mean
    gram = centred @ centred.T
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = _SLOPE * (centred.T @ np.linalg.solve(gram, shares - shares.mean(axis=0))).T
    bias = _SLOPE * (shares.mean(axis=0) - 0.4) - weights @ mean
    labels = tuple(
        HeadLabel(label, positive_subjects=1, negative_subjects=1, auroc=0.5, low=None, high=None, threshold=0.5)
        for label in LABELS
    )
    head = Head("sigmoid", "scores", labels, "a made-up minute", "0" * 64, True, len(features), 1, 0, (), "none")
    return FittedHead(head, weights, bias)


def _share(places: list[tuple[float, float]], start_s: float) -> float:
    end_s = start_s + AUDIO.clip_s
    return sum(max(0.0, min(end_s, last) - max(start_s, first)) for first, last in places) / AUDIO.clip_s


def find_rules(content: bytes, steps: Steps) -> EventRules:
    """Return rules by which the minute has several events of each label; it implements FindRules."""
    rules = EventRules(steps.step_s, tuple(EventClass(label, on=0.5, off=0.5) for label in LABELS))
    stream = EventStream(FileScorer(content, steps=steps, rules=rules), keep_scores=True)
    stream.push(minute())
    stream.finish()
    scores = np.concatenate(stream.timeline)
    chosen = [
        dataclasses.replace(item, on=_between(values, 0.92), off=_between(values, 0.84))
        for item, values in zip(rules.classes, scores.T, strict=True)
    ]
    return dataclasses.replace(rules, classes=tuple(chosen))


def _between(values: Samples, quantile: float) -> float:
    """Return the middle of the widest gap between scores near a quantile."""
    ordered = np.sort(values.astype(float))
    near = ordered[int((quantile - 0.03) * len(ordered)) : int((quantile + 0.03) * len(ordered))]
    widest = int(np.argmax(np.diff(near)))
    return float(near[widest] + near[widest + 1]) / 2
