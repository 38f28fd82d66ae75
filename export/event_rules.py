"""Choose the scores at which events begin and end, from clips of subjects that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.errors import InputError
from hearlite.events.detector import EventClass, EventRules
from hearlite.events.scorer import FileScorer
from hearlite.tflite.steps import Steps

# Candidates for the score at which an event begins: below the first a head is not sure of anything, and above the last
# little is left.
_GRID = np.linspace(0.1, 0.95, 86)
# Of F-beta (van Rijsbergen 1979): precision weighs twice as much as recall, since events are rarer in long recordings
# than in the clips of corpora of events.
_BETA = 0.5
_OFF = 0.5  # of that score: where an event ends; a heuristic, measured by hearlite study listening
_FEWEST = 10  # clips that must be decided either way
_DEFAULT = 0.5  # without them


def choose_rules(
    content: bytes, steps: Steps, *, labels: Sequence[str], clips: NDArray[np.int16], heard: NDArray[np.bool_]
) -> EventRules:
    """Return the rules by which a file finds best what the network of its head's teacher hears.

    For each class, the score at which an event begins is the one that decides clips best as the teacher does, by the
    F0.5 of the highest score of a clip's steps.

    Parameters
    ----------
    content : bytes
        The .tflite, with scores over time.
    steps : Steps
        Description of these.
    labels : sequence of str
        The classes, in the order of the scores.
    clips : array [n, clip_samples]
        int16 clips of validation subjects.
    heard : array [n, labels]
        Which classes the teacher hears in them.

    Returns
    -------
    EventRules

    Raises
    ------
    InputError
        When the file has no scores over time.
    """
    if not steps.scores:
        raise InputError("the file has no scores over time", "export it with scores over time")
    default = EventRules(steps.step_s, tuple(EventClass(label, _DEFAULT, _DEFAULT * _OFF) for label in labels))
    scorer = FileScorer(content, steps=steps, rules=default)
    best = np.stack([scorer.scores(clip).max(axis=0) for clip in from_int16(clips)])
    chosen = tuple(
        EventClass(label, on, round(on * _OFF, 4))
        for label, on in ((label, _begins(best[:, number], heard[:, number])) for number, label in enumerate(labels))
    )
    return EventRules(steps.step_s, chosen)


def _begins(scores: NDArray[np.float32], heard: NDArray[np.bool_]) -> float:
    """Return the threshold with the best F0.5; of equals, the middle one."""
    if min(heard.sum(), (~heard).sum()) < _FEWEST:
        return _DEFAULT
    found = scores[None, :] >= _GRID[:, None]  # [thresholds, clips]
    right = (found & heard).sum(axis=1)
    score = (1.0 + _BETA**2) * right / (found.sum(axis=1) + _BETA**2 * heard.sum())
    equal = np.flatnonzero(score >= score.max() - 1e-9)
    return round(float(_GRID[equal[len(equal) // 2]]), 4)
