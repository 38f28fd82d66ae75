"""Events of a sound that comes piece by piece, at any rate: from a microphone, a pipe or a recording of many hours."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from hearlite.audio.clips import Samples, from_int16, is_silent, to_int16
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventDetector, EventRules
from hearlite.spec import AUDIO

Scores = NDArray[np.float32]


class StepScorer(Protocol):
    """A model with scores over time."""

    rules: EventRules
    steps: int  # in a window of AUDIO.clip_samples

    def scores(self, clip: Samples) -> Scores:
        """Return `[steps, classes]` in [0, 1] of a window, float32 `[clip_samples]` in [-1, 1)."""


class ScoreTimeline:
    """Joins the scores of overlapping windows: those of a step are the mean over the windows that hold it.

    Windows follow each other by half their steps, so that a step near the end of one is nearer the middle of the next.
    """

    def __init__(self, steps: int, classes: int) -> None:
        self.steps, self.hop = steps, max(1, steps // 2)
        self._sums, self._counts = np.zeros((steps, classes)), np.zeros((steps, 1))
        self.first = 0  # step at which `_sums` starts

    def add(self, first: int, scores: Scores) -> Scores:
        """Add a window that starts at step `first`, and return the steps before it, which no later one holds."""
        ready = self._take(first - self.first)
        self._sums += scores
        self._counts += 1
        return ready

    def finish(self) -> Scores:
        """Return the steps that are left."""
        return self._take(self.steps)

    def _take(self, count: int) -> Scores:
        heard = int((self._counts[:, 0] > 0).sum())  # 0 before the first window
        ready = (self._sums / np.maximum(self._counts, 1.0))[: min(count, heard)]
        for values in (self._sums, self._counts):
            values[: self.steps - count] = values[count:]
            values[self.steps - count :] = 0.0
        self.first += count
        return ready.astype(np.float32)


class EventStream:
    """Finds events in sound as it comes.

    Events come out when they have ended and the windows that hold them have been heard, about two seconds later. How
    the sound is cut into pieces makes no difference.

    Parameters
    ----------
    scorer : StepScorer
        The model.
    rate_hz : float
        Of the samples that are pushed.
    start_s : float
        Time of the first sample, added to all times.

    Attributes
    ----------
    timeline : list of numpy.ndarray
        With `keep_scores`, the scores `[steps, classes]` of all steps so far, piece by piece.
    """

    def __init__(
        self,
        scorer: StepScorer,
        *,
        rate_hz: float = AUDIO.sample_rate_hz,
        start_s: float = 0.0,
        keep_scores: bool = False,
    ) -> None:
        if not rate_hz > 0:
            raise UsageError(f"rate_hz is {rate_hz}", "expected more than 0")
        self._scorer, self._rate_hz, self._keep = scorer, rate_hz, keep_scores
        self.timeline: list[Scores] = []
        self._begin(start_s)

    def _begin(self, start_s: float) -> None:
        rules = self._scorer.rules
        self._start_s, self._received = start_s, 0
        self._detector = EventDetector(rules, start_s=start_s)
        self._scores = ScoreTimeline(self._scorer.steps, len(rules.classes))
        self._step = AUDIO.clip_samples // self._scorer.steps  # samples
        # Samples at AUDIO.sample_rate_hz from `_held_from` on: from the last window's start, which the last one needs.
        self._held: Samples = np.zeros(0, np.float32)
        self._held_from = self._next = self._heard = 0  # first sample of the next window; end of the last one
        self._resampler = (
            None
            if self._rate_hz == AUDIO.sample_rate_hz
            else soxr.ResampleStream(self._rate_hz, AUDIO.sample_rate_hz, 1, dtype="float32", quality="HQ")
        )

    @property
    def heard_s(self) -> float:
        """Time up to which sound has been pushed, in seconds."""
        return self._start_s + self._received / self._rate_hz

    def push(self, samples: NDArray[Any]) -> list[Event]:
        """Take the next samples, and return the events that have ended.

        Parameters
        ----------
        samples : numpy.ndarray
            `[n]`, mono: floating point in [-1, 1] or int16.

        Raises
        ------
        InputError
            For another shape or dtype, or NaN.
        """
        values = np.asarray(samples)
        if values.ndim != 1 or not (values.dtype == np.int16 or values.dtype.kind == "f"):
            raise InputError(
                f"samples are {values.dtype} {list(values.shape)}", "expected mono [n], floating point or int16"
            )
        self._received += len(values)
        wide = from_int16(values) if values.dtype == np.int16 else values.astype(np.float32)
        return self._take(wide if self._resampler is None else self._resampler.resample_chunk(wide))

    def finish(self) -> list[Event]:
        """Return the events that are left: the sound has ended."""
        found = []
        if self._resampler is not None:
            found += self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        total = self._held_from + len(self._held)
        if total > self._heard:  # one more window, of whole steps, that reaches the end; zeros may follow it
            first = max(0, math.ceil((total - AUDIO.clip_samples) / self._step) * self._step)
            found += self._hear(first)
        sounding = math.ceil(total / self._step) - self._scores.first  # the other steps hold zeros alone
        found += self._found(self._scores.finish()[: max(0, sounding)]) + self._detector.finish()
        end_s = self._start_s + total / AUDIO.sample_rate_hz
        return [dataclasses.replace(event, end_s=min(event.end_s, end_s)) for event in found]

    def restart(self, start_s: float) -> list[Event]:
        """Return the events that are left, and go on with sound that starts at `start_s`, after a gap."""
        found = self.finish()
        self._begin(start_s)
        return found

    def _take(self, samples: Samples) -> list[Event]:
        """Hear every window that these samples, at AUDIO.sample_rate_hz, complete."""
        self._held = np.concatenate([self._held, samples])
        found: list[Event] = []
        while self._held_from + len(self._held) >= self._next + AUDIO.clip_samples:
            found += self._hear(self._next)
            self._held, self._held_from = self._held[self._next - self._held_from :], self._next
            self._next += self._scores.hop * self._step
        return found

    def _hear(self, first: int) -> list[Event]:
        """Score the window that starts at sample `first`."""
        sound = self._held[first - self._held_from :][: AUDIO.clip_samples]
        clip = np.zeros(AUDIO.clip_samples, np.float32)
        clip[: len(sound)] = from_int16(to_int16(sound))  # rounded, as the clips of every dataset are
        shape = (self._scorer.steps, len(self._scorer.rules.classes))
        # A normalized spectrogram of silence is one of rounding errors.
        scores = np.zeros(shape, np.float32) if is_silent(clip) else self._scorer.scores(clip)
        self._heard = first + AUDIO.clip_samples
        return self._found(self._scores.add(first // self._step, scores))

    def _found(self, scores: Scores) -> list[Event]:
        if self._keep and len(scores):
            self.timeline.append(scores)
        return self._detector.push(scores)
