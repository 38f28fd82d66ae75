"""A made-up minute with coughs and speech in quiet noise, and a head and rules that find events in it.

The head is fitted to the very minute, and its thresholds lie where no score of it is near: tests compare what two
implementations find, never how well.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16, to_int16
from hearlite.audio.synth import DEVICES, draw_subject, recording
from hearlite.events.detector import EventClass, EventRules
from hearlite.events.scorer import FileScorer
from hearlite.events.stream import EventStream
from hearlite.spec import AUDIO
from hearlite.tflite.classifier import FittedHead, Head, HeadLabel
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.steps import Steps, add_steps

MICROPHONE_HZ = 44_100
LABELS = {"cough": "cough", "speech": "speech_babble"}  # of the head: class of synthetic sounds
# Starts in seconds: apart, in a row, across windows, and a last one that the sound's end cuts.
_STARTS_S = {
    "cough": (2.0, 8.3, 9.1, 9.9, 21.7, 34.0, 43.1, 44.0, 52.6),
    "speech": (13.2, 27.9, 38.4, 47.6, 58.5),
}
_LENGTH_S, _NOISE_DB = 59.3, -45.0
_RIDGE, _GAIN = 0.1, 14.0  # of the head


def minute(rate_hz: int = MICROPHONE_HZ) -> NDArray[np.int16]:
    """Return the minute at MICROPHONE_HZ, or resampled to another rate, int16 `[samples]`."""
    made = _made()[0]
    return made if rate_hz == MICROPHONE_HZ else to_int16(soxr.resample(from_int16(made), MICROPHONE_HZ, rate_hz))


@functools.cache
def _made() -> tuple[NDArray[np.int16], dict[str, list[tuple[float, float]]]]:
    """Return the minute, and where each label sounds in it, in seconds."""
    rng = np.random.default_rng(0)
    sound = 10.0 ** (_NOISE_DB / 20.0) * rng.standard_normal(round(_LENGTH_S * MICROPHONE_HZ))
    device, places = dataclasses.replace(DEVICES[0], sample_rate_hz=MICROPHONE_HZ), {}
    for label, starts_s in _STARTS_S.items():
        places[label] = [(start_s, start_s + _place(sound, label, start_s, device, rng)) for start_s in starts_s]
    return to_int16(_muffled(sound).astype(np.float32)), places


def _muffled(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a sound without what lies above 6.5 kHz, where no resampler to AUDIO.sample_rate_hz begins to fall."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1.0 / MICROPHONE_HZ)
    return np.fft.irfft(spectrum * np.clip((6_500.0 - hz) / 500.0, 0.0, 1.0), len(sound))


def _place(sound: NDArray[np.float64], label: str, start_s: float, device: object, rng: np.random.Generator) -> float:
    """Add a sound to the minute, and return its length in seconds."""
    taken, begin_s, end_s = recording(LABELS[label], rng=rng, subject=draw_subject(rng), device=device, duration_s=3.0)
    alone = taken[round(begin_s * MICROPHONE_HZ) : round(end_s * MICROPHONE_HZ)]
    alone = 0.3 * alone / np.abs(alone).max()
    first = round(start_s * MICROPHONE_HZ)
    heard = sound[first : first + len(alone)]
    heard += alone[: len(heard)]
    return len(heard) / MICROPHONE_HZ


def fit_head(content: bytes) -> FittedHead:
    """Fit a sigmoid for each of LABELS to the steps of the minute's windows; it implements FitHead."""
    content, steps = add_steps(content, outputs=("embedding",), window_s=AUDIO.clip_s)
    model, sound = TfliteModel(content), from_int16(minute(AUDIO.sample_rate_hz))
    rows, shares = [], []
    for start in range(0, len(sound) - AUDIO.clip_samples, round(steps.step_s * AUDIO.sample_rate_hz)):
        rows.append(model.run(sound[None, start : start + AUDIO.clip_samples])[steps.embedding])
        starts_s = start / AUDIO.sample_rate_hz + steps.step_s * np.arange(steps.count)
        shares.append([[_share(places, at_s, steps.step_s) for places in _made()[1].values()] for at_s in starts_s])
    features, wanted = np.concatenate(rows).astype(float), np.concatenate(shares)
    mean = features.mean(axis=0)
    centred = features - mean
    gram = centred.T @ centred + _RIDGE * centred.var() * len(centred) * np.eye(centred.shape[1])
    weights = _GAIN * np.linalg.solve(gram, centred.T @ (wanted - wanted.mean(axis=0))).T
    bias = _GAIN * (wanted.mean(axis=0) - 0.5) - weights @ mean
    labels = tuple(
        HeadLabel(label, positive_subjects=1, negative_subjects=1, auroc=0.5, low=None, high=None, threshold=0.5)
        for label in LABELS
    )
    head = Head("sigmoid", "scores", labels, "a made-up minute", "0" * 64, True, len(rows), 1, 0, (), "none")
    return FittedHead(head, weights, bias)


def _share(places: Sequence[tuple[float, float]], start_s: float, length_s: float) -> float:
    """Return the share of a stretch of the minute in which a label sounds."""
    shared = (min(start_s + length_s, last) - max(start_s, first) for first, last in places)
    return sum(max(0.0, part) for part in shared) / length_s


def find_rules(content: bytes, steps: Steps) -> EventRules:
    """Return rules by which the minute has several events of each label; it implements FindRules.

    No score is near a threshold, nor between one and the score by another resampler.
    """
    classes = tuple(EventClass(label, on=0.5, off=0.5) for label in LABELS)
    rules = EventRules(steps.step_s, classes, shortest_s=2 * steps.step_s, gap_s=2 * steps.step_s)
    scorer = FileScorer(content, steps=steps, rules=rules)
    versions = np.stack([_timeline(scorer, sound) for sound in (minute(AUDIO.sample_rate_hz), _without_a_slope())])
    chosen = []
    for index, item in enumerate(classes):
        low, high = np.sort(versions[:, :, index].astype(float), axis=0)
        chosen.append(
            dataclasses.replace(item, on=_between(low, high, 0.90, 0.98), off=_between(low, high, 0.80, 0.90))
        )
    return dataclasses.replace(rules, classes=tuple(chosen))


def _timeline(scorer: FileScorer, sound: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the scores over time of a sound, `[steps, labels]`."""
    stream = EventStream(scorer, keep_scores=True)
    stream.push(sound)
    stream.finish()
    return np.concatenate(stream.timeline)


def _without_a_slope() -> NDArray[np.int16]:
    """Return the minute resampled with all that the rate can hold, as the Kotlin core nearly does."""
    wide = from_int16(minute())
    samples = round(len(wide) * AUDIO.sample_rate_hz / MICROPHONE_HZ)
    narrow = np.fft.irfft(np.fft.rfft(wide)[: samples // 2 + 1], samples) * samples / len(wide)
    return to_int16(narrow.astype(np.float32))


def _between(low: NDArray[np.float64], high: NDArray[np.float64], first: float, last: float) -> float:
    """Return the threshold between two quantiles that is farthest from all scores, which lie in `low` to `high`."""
    candidates = np.linspace(np.quantile(low, first), np.quantile(high, last), 1_000)
    distances = np.maximum(low - candidates[:, None], candidates[:, None] - high).min(axis=1)
    return float(candidates[np.argmax(distances)])
