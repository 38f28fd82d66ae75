"""Scores over time become events: hysteresis, gaps, the shortest length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventClass, EventDetector, EventRules

RULES = EventRules(0.2, (EventClass("cough", 0.6, 0.3),))


def find(scores: list[float], rules: EventRules = RULES, *, pieces: int = 1) -> list[Event]:
    detector, found = EventDetector(rules), list[Event]()
    for part in np.array_split(np.array(scores)[:, None], pieces):
        found += detector.push(part)
    return found + detector.finish()


def steps(events: list[Event]) -> list[tuple[int, int]]:
    return [(round(event.start_s / 0.2), round(event.end_s / 0.2)) for event in events]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 0.5, 0.5, 0], []),  # never reaches `on`
        ([0, 0.7, 0, 0, 0], [(1, 2)]),
        ([0, 0.4, 0.7, 0.4, 0, 0, 0], [(1, 4)]),  # reaches back and on to `off`
        ([0.7, 0, 0.4, 0, 0, 0], [(0, 3)]),  # a gap of one step is within
        ([0.7, 0, 0, 0.7, 0, 0], [(0, 1), (3, 4)]),  # of two it is not
        ([0.4, 0, 0.7], [(2, 3)]),  # a run that ended is not reached back to
        ([0, 0.7, 0.7], [(1, 3)]),  # the sound ends in it
        ([0.6, 0.3, 0.29, 0.29], [(0, 2)]),  # thresholds themselves count
    ],
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_events(scores: list[float], expected: list[tuple[int, int]], pieces: int) -> None:
    assert steps(find(scores, pieces=pieces)) == expected


def test_the_highest_step_is_the_peak() -> None:
    (event,) = find([0, 0.65, 0.9, 0.7, 0])
    assert event == Event("cough", pytest.approx(0.2), pytest.approx(0.8), 0.9, pytest.approx(0.5))


def test_short_events_are_left_out() -> None:
    rules = dataclasses.replace(RULES, shortest_s=0.4)
    assert steps(find([0, 0.9, 0, 0, 0, 0.9, 0.9, 0, 0], rules)) == [(5, 7)]


def test_classes_are_independent() -> None:
    rules = EventRules(0.2, (EventClass("a", 0.6, 0.3), EventClass("b", 0.5, 0.5)))
    detector = EventDetector(rules, start_s=10.0)
    found = detector.push(np.array([[0.9, 0.0], [0.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    assert [(event.label, round(event.start_s, 6)) for event in found] == [("a", 10.0), ("b", 10.2)]
    assert detector.finish() == []


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected \[steps, 1\]"):
        EventDetector(RULES).push(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (dataclasses.replace(RULES, classes=()), "distinct"),
        (dataclasses.replace(RULES, classes=RULES.classes * 2), "distinct"),
        (dataclasses.replace(RULES, classes=(EventClass("a", 0.3, 0.6),)), "off <= on"),
        (dataclasses.replace(RULES, classes=(EventClass("a", 1.0, 0.6),)), "on < 1"),
        (dataclasses.replace(RULES, step_s=0.0), "more than 0"),
        (dataclasses.replace(RULES, gap_s=1e9), "0 to 60"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: EventRules, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rules.require_valid(where="manifest.json")
