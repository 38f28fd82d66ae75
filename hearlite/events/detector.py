"""Turn scores over time into events: thresholds with hysteresis, merging and a shortest length.

The same rules, in whole steps, are in the Kotlin core and in the page: equal scores give equal events in all three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError


@dataclass(frozen=True)
class EventClass:
    """When a class of sounds begins and ends.

    An event begins where a score reaches `on`, and reaches back and on over the steps that score `off` or more.
    """

    label: str
    on: float  # in (0, 1)
    off: float  # in (0, on]


@dataclass(frozen=True)
class EventRules:
    """How scores become events. Lengths are in seconds; each is rounded to whole steps."""

    step_s: float  # between two scores of a class
    classes: tuple[EventClass, ...]  # in the order of the scores
    shortest_s: float = 0.2  # shorter ones are left out: one step, which is none
    # Gaps up to this are part of an event: coughs of a bout are about 0.3 to 0.5 s apart, and are to be counted.
    gap_s: float = 0.2

    @property
    def shortest_steps(self) -> int:
        """Fewest steps of an event, at least 1."""
        return max(1, round(self.shortest_s / self.step_s))

    @property
    def gap_steps(self) -> int:
        """Most steps below `off` that don't end an event."""
        return max(0, round(self.gap_s / self.step_s))

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for values that have the right type but are not valid; `where` names the source."""
        labels = [item.label for item in self.classes]
        if not labels or len(set(labels)) != len(labels):
            raise InputError(f"{where}: classes of events are {labels!r:.1000}", "expected distinct ones")
        for item in self.classes:
            if not 0.0 < item.off <= item.on < 1.0:
                raise InputError(
                    f"{where}: events of {item.label!r:.80} begin at {item.on} and end below {item.off}",
                    "expected 0 < off <= on < 1",
                )
        if not (0.0 < self.step_s <= 10.0 and 0.0 <= self.shortest_s <= 60.0 and 0.0 <= self.gap_s <= 60.0):
            raise InputError(
                f"{where}: steps of events are {self.step_s} s, the shortest event {self.shortest_s} s, gaps"
                f" {self.gap_s} s",
                "expected a step of more than 0 and at most 10 s, the others 0 to 60 s",
            )


@dataclass(frozen=True)
class Event:
    """A sound of one class, with its place in the recording."""

    label: str
    start_s: float  # from the start of the sound
    end_s: float
    score: float  # the highest of its steps, in [0, 1]
    peak_s: float  # the middle of that step


class EventDetector:
    """Finds events in scores that come step by step.

    Parameters
    ----------
    rules : EventRules
        Classes, thresholds and lengths.
    start_s : float
        Where the first step starts, in seconds.
    """

    def __init__(self, rules: EventRules, *, start_s: float = 0.0) -> None:
        self.rules, self._start_s, self._steps = rules, start_s, 0
        self._open = [_Open() for _ in rules.classes]

    def push(self, scores: NDArray[np.floating]) -> list[Event]:
        """Return the events that end with these steps, in the order in which they end.

        Parameters
        ----------
        scores : numpy.ndarray
            `[steps, classes]` in [0, 1], the steps after those that were pushed before.

        Raises
        ------
        UsageError
            For another number of classes.
        """
        if scores.ndim != 2 or scores.shape[1] != len(self._open):
            raise UsageError(f"scores are {list(scores.shape)}", f"expected [steps, {len(self._open)}]")
        found = []
        for row in scores:
            for index, score in enumerate(row):
                found += self._step(index, float(score))
            self._steps += 1
        return found

    def finish(self) -> list[Event]:
        """Return the events that are still going on: the sound has ended."""
        return [event for index in range(len(self._open)) for event in self._close(index)]

    def _step(self, index: int, score: float) -> list[Event]:
        wanted, state, now = self.rules.classes[index], self._open[index], self._steps
        if score < wanted.off:
            state.low_from = -1
            return self._close(index) if state.first >= 0 and now - state.last > self.rules.gap_steps else []
        if state.low_from < 0:
            state.low_from = now
        if state.first < 0 and score >= wanted.on:
            state.first, state.score = state.low_from, -1.0
        if state.first >= 0:
            state.last = now
            if score > state.score:
                state.score, state.peak = score, now
        return []

    def _close(self, index: int) -> list[Event]:
        state, self._open[index] = self._open[index], _Open()
        steps = state.last + 1 - state.first
        if state.first < 0 or steps < self.rules.shortest_steps:
            return []
        step = self.rules.step_s
        return [
            Event(
                self.rules.classes[index].label,
                self._start_s + state.first * step,
                self._start_s + (state.last + 1) * step,
                state.score,
                self._start_s + (state.peak + 0.5) * step,
            )
        ]


class _Open:
    """What is known of one class; numbers of steps, -1: none."""

    def __init__(self) -> None:
        self.low_from = -1  # first of the current run of steps that score `off` or more
        self.first = -1  # of the event that is going on
        self.last = -1  # its last step that scored `off` or more
        self.score, self.peak = 0.0, -1
