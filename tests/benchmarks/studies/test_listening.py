"""Hours that are made up of real events and background: what is placed is known, what is found is counted once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from hearlite.benchmarks.datasets.placed_events import Placed, cut_events, joined, place_events, write_recording
from hearlite.benchmarks.studies.listening import alarms_of, at_threshold, matched, recall_of
from hearlite.errors import InputError
from hearlite.events.detector import Event, EventClass, EventRules
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz


def burst(seconds: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, round(seconds * RATE)).astype(np.float32)


def test_events_are_what_rises_above_the_noise() -> None:
    samples = np.random.default_rng(1).normal(0, 0.002, 4 * RATE).astype(np.float32)
    for start in (0.5, 1.5, 1.9):  # the last two are 0.1 s apart: one event
        samples[round(start * RATE) : round(start * RATE) + len(burst())] += burst()
    first, second = cut_events(samples)
    assert len(first) / RATE == pytest.approx(0.3, abs=0.07)
    assert len(second) / RATE == pytest.approx(0.7, abs=0.07)
    assert cut_events(np.zeros(RATE, np.float32)) == []


def test_background_has_its_length_and_level() -> None:
    pieces = [burst(3.0, seed) * gain for seed, gain in ((0, 0.01), (1, 1.0))]
    found = joined(pieces, seconds=60.0, rng=np.random.default_rng(0))
    assert len(found) == 60 * RATE
    seconds = np.square(found.reshape(60, RATE)).mean(axis=1)
    assert 10 * np.log10(np.median(seconds)) == pytest.approx(-30.0, abs=1.0)
    with pytest.raises(InputError, match="silent"):
        joined([np.zeros(RATE, np.float32)], seconds=1.0, rng=np.random.default_rng(0))


def test_events_have_the_level_that_is_said() -> None:
    background = joined([burst(5.0)], seconds=120.0, rng=np.random.default_rng(0))
    kinds = {"a": [("s1", burst(0.4, 3))], "b": [("s2", burst(0.2, 4))]}
    sound, placed = place_events(background, kinds, snrs_db=(20.0, 0.0), rng=np.random.default_rng(0))
    assert [item.label for item in placed[:4]] == ["a", "b", "a", "b"]
    assert [item.snr_db for item in placed[:4]] == [20.0, 20.0, 0.0, 0.0]
    assert all(later.start_s - item.end_s >= 6.0 for item, later in itertools.pairwise(placed))
    item = placed[0]
    part = slice(round(item.start_s * RATE), round(item.end_s * RATE))
    scale = np.abs(sound[: 5 * RATE]).max() / np.abs(background[: 5 * RATE]).max()
    added = sound[part] / scale - background[part]
    assert 10 * np.log10(np.square(added).mean() / np.square(background).mean()) == pytest.approx(20.0, abs=0.1)
    assert np.abs(sound).max() <= 1.0


def event(label: str, start_s: float, end_s: float) -> Event:
    return Event(label, start_s, end_s, 0.9, start_s)


def test_an_event_is_found_once() -> None:
    placed = [Placed("a", 1.0, 1.5, 10.0, "s1"), Placed("a", 2.0, 2.4, 10.0, "s2"), Placed("b", 5.0, 5.5, 0.0, "s1")]
    wide = event("a", 1.2, 2.2)  # lies over both, and stands for one
    assert matched(placed, [wide, event("a", 5.0, 5.4)]) == [wide, None, None]
    near = event("b", 5.7, 6.0)
    assert matched(placed, [near])[2] is near
    assert matched(placed, [event("b", 5.9, 6.0)]) == [None, None, None]


def test_recall_with_its_interval() -> None:
    placed = [Placed("a", float(i), i + 0.5, 10.0 if i % 2 or i < 4 else 0.0, f"s{i // 4}") for i in range(20)]
    pairs = [(item, event("a", item.start_s + 0.1, item.end_s - 0.2) if item.snr_db else None) for item in placed]
    found = recall_of("a", None, pairs, seed=0)
    assert (found.events, found.sources, found.recall) == (20, 5, 0.6)
    assert found.recall_low is not None and found.recall_low < 0.6 < found.recall_high
    assert (found.start_error_s, found.end_error_s) == (pytest.approx(0.1), pytest.approx(0.2))
    assert recall_of("a", 10.0, pairs, seed=0).recall == 1.0
    assert recall_of("a", 0.0, pairs, seed=0).start_error_s is None


def test_false_alarms_an_hour() -> None:
    none, some = alarms_of("a", "rain", 0, hours=2.0), alarms_of("a", "rain", 10, hours=2.0)
    assert (none.per_hour, none.low, none.high) == (0.0, 0.0, pytest.approx(1.844, abs=0.001))
    assert (some.per_hour, some.low, some.high) == (
        5.0,
        pytest.approx(2.398, abs=0.001),
        pytest.approx(9.195, abs=0.001),
    )


def test_what_was_made_can_be_listened_to(tmp_path: Path) -> None:
    write_recording(tmp_path / "kept", burst(2.0), [Placed("cough", 0.5, 0.8, 20.0, "s1, b")])
    samples, rate = sf.read(tmp_path / "kept" / "recording.wav", dtype="float32")
    assert rate == RATE and np.abs(samples - np.clip(burst(2.0), -1, 1)).max() < 1e-4
    rows = (tmp_path / "kept" / "placed.csv").read_text().splitlines()
    assert rows == ["label,start_s,end_s,snr_db,source", 'cough,0.5,0.8,20.0,"s1, b"']


def test_a_threshold_finds_fewer_events_and_fewer_false_ones() -> None:
    rules = EventRules(0.2, (EventClass("cough", 0.5, 0.25), EventClass("sneeze", 0.5, 0.25)))
    scores = np.full((50, 2), 0.1)
    scores[5, 0], scores[20, 0], scores[40, 0], scores[30, 1] = 0.9, 0.7, 0.8, 1.0
    placed = [
        Placed("cough", 1.0, 1.2, 20.0, "a"),
        Placed("cough", 4.0, 4.2, 20.0, "b"),
        Placed("sneeze", 6, 6.2, 0, "c"),
    ]
    low, middle, high = (at_threshold(rules, scores, placed, "cough", on) for on in (0.6, 0.75, 0.95))
    assert (low.recall, low.per_hour) == (1.0, pytest.approx(360.0)), "at 8 s there is none"
    assert (middle.recall, middle.per_hour) == (0.5, pytest.approx(360.0))
    assert (high.recall, high.per_hour) == (0.0, 0.0)
