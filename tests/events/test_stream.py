"""Sound that comes piece by piece: the same events, however it is cut, at any rate, across a gap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.audio.clips import Samples
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventClass, EventRules
from hearlite.events.stream import EventStream, Scores, ScoreTimeline
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz


class Loudness:
    """Scores each step by its peak, and counts the windows."""

    steps = 10

    def __init__(self) -> None:
        self.rules = EventRules(0.2, (EventClass("loud", 0.6, 0.3),))
        self.windows: list[Samples] = []

    def scores(self, clip: Samples) -> Scores:
        self.windows.append(clip)
        return np.abs(clip).reshape(self.steps, -1).max(axis=1)[:, None]


def sound(seconds: float, *loud_s: float, rate: int = RATE) -> NDArray[np.float32]:
    samples = np.full(round(seconds * rate), 0.01, np.float32)
    for start in loud_s:
        samples[round(start * rate) : round((start + 0.25) * rate)] = 0.8
    return samples


def run(pieces: list[NDArray[np.float32]], *, rate: float = RATE) -> tuple[list[Event], Scores]:
    stream = EventStream(Loudness(), rate_hz=rate, keep_scores=True)
    found = [event for piece in pieces for event in stream.push(piece)] + stream.finish()
    return found, np.concatenate(stream.timeline or [np.zeros((0, 1), np.float32)])


@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.99, 2.0, 2.2, 3.0, 3.1, 12.345])
def test_pieces_make_no_difference(seconds: float) -> None:
    samples = sound(seconds, 0.0, 0.8 * seconds)
    whole, timeline = run([samples])
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), 40))
    pieces, same = run(np.split(samples, cuts))
    assert whole == pieces and np.array_equal(timeline, same)
    assert len(timeline) == -(-len(samples) // 3_200), "a score for every step that holds sound, and no other"
    assert max(event.end_s for event in whole) <= seconds + 1e-9


def test_times_are_those_of_the_sound() -> None:
    found, _ = run([sound(20.0, 0.0, 3.25, 7.0, 7.9, 19.7)])
    starts = [event.start_s for event in found]
    assert starts == pytest.approx([0.0, 3.2, 7.0, 7.8, 19.6])


def test_every_window_is_heard_once_and_the_last_one_reaches_the_end() -> None:
    scorer = Loudness()
    stream = EventStream(scorer)
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * RATE + 1_000).astype(np.float32)
    stream.push(samples)
    stream.finish()
    assert len(scorer.windows) == 5  # at 0, 1, 2 and 3 s, and one of whole steps that reaches the end
    assert np.abs(scorer.windows[2] - samples[2 * RATE : 4 * RATE]).max() <= 1 / AUDIO.pcm_full_scale
    last = scorer.windows[-1]
    assert np.abs(last[: 1_000 + 2 * RATE - 3_200] - samples[-(1_000 + 2 * RATE - 3_200) :]).max() < 1e-4
    assert not last[1_000 + 2 * RATE - 3_200 :].any()


def test_silence_has_no_events() -> None:
    scorer = Loudness()
    scorer.scores = lambda clip: np.ones((10, 1), np.float32)  # type: ignore[method-assign]
    stream = EventStream(scorer)
    assert stream.push(np.zeros(10 * RATE, np.float32)) + stream.finish() == []


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_rates(rate: int) -> None:
    found, _ = run([sound(10.0, 2.0, 6.0, rate=rate)], rate=rate)
    assert [event.start_s for event in found] == pytest.approx([2.0, 6.0], abs=0.21)


def test_int16_is_taken_too() -> None:
    floats = sound(6.0, 2.0)
    pcm = np.rint(floats * AUDIO.pcm_full_scale).astype(np.int16)
    assert run([pcm])[0] == run([floats])[0]  # type: ignore[list-item]


def test_a_gap_ends_what_goes_on() -> None:
    stream = EventStream(Loudness())
    found = stream.push(sound(4.0, 3.8))
    found += stream.restart(60.0)
    assert [event.start_s for event in found] == pytest.approx([3.8])
    found = stream.push(sound(4.0, 1.0)) + stream.finish()
    assert [event.start_s for event in found] == pytest.approx([61.0])
    assert stream.heard_s == pytest.approx(64.0)


def test_windows_that_overlap_are_averaged() -> None:
    timeline = ScoreTimeline(4, 1)
    assert len(timeline.add(0, np.full((4, 1), 0.2))) == 0
    assert timeline.add(2, np.full((4, 1), 0.6)).ravel() == pytest.approx([0.2, 0.2])
    assert timeline.finish().ravel() == pytest.approx([0.4, 0.4, 0.6, 0.6])


def test_other_samples_are_refused() -> None:
    stream = EventStream(Loudness())
    for wrong in (np.zeros((2, 100), np.float32), np.zeros(100, np.int32)):
        with pytest.raises(InputError, match="expected mono"):
            stream.push(wrong)
    with pytest.raises(InputError, match="NaN"):
        stream.push(np.full(2 * RATE, np.nan, np.float32))
    with pytest.raises(UsageError):
        EventStream(Loudness(), rate_hz=0)
