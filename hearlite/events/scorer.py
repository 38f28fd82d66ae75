"""Scores over time of an exported file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hearlite.audio.clips import Samples
from hearlite.errors import InputError
from hearlite.events.detector import EventRules
from hearlite.events.stream import Scores
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.steps import Steps


class FileScorer:
    """Runs a file with scores over time; it implements StepScorer.

    Parameters
    ----------
    model : Path or bytes
        The .tflite.
    steps : Steps
        Description of its outputs over time, of its manifest.
    rules : EventRules
        How its scores become events, of its manifest or changed.
    threads : int
        Number of CPU threads, at least 1.

    Raises
    ------
    InputError
        When the file can't be opened, or has no such output.
    """

    def __init__(self, model: Path | bytes, *, steps: Steps, rules: EventRules, threads: int = 1) -> None:
        self.rules, self.steps, self._name = rules, steps.count, steps.scores
        self._model = TfliteModel(model, threads=threads)
        expected = (steps.count, len(rules.classes))
        shapes = {output.name: output.shape for output in self._model.outputs}
        if shapes.get(self._name) != expected:
            raise InputError(
                f"{self._model.label}: its outputs are {shapes}", f"expected {self._name!r} of {list(expected)}"
            )

    def scores(self, clip: Samples) -> Scores:
        """Return the scores of a window, `[steps, classes]`.

        Parameters
        ----------
        clip : numpy.ndarray
            float32 `[clip_samples]` in [-1, 1).

        Raises
        ------
        InputError
            When the file outputs NaN.
        """
        found = self._model.run(clip[None])[self._name]
        if not np.isfinite(found).all():
            raise InputError(f"{self._model.label} returns NaN or infinity")
        return np.asarray(found, np.float32)
