"""A moving part of a long recording, which is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hearlite.audio.clips import Samples


class Window:
    """A part of a recording that is read block by block and only moves forward.

    Attributes
    ----------
    samples : numpy.ndarray
        float32 `[samples]` at 16 kHz; valid until the next `move`.
    start : int
        Number of samples of the recording before these.
    """

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self.samples: Samples = np.zeros(0, np.float32)
        self.start = 0

    def move(self, *, first: int, end: int) -> None:
        """Hold the samples from `first` on, which may not be below an earlier one, to `end` at least.

        Fewer are held where the recording ends. Both count from the recording's start. Raises InputError when the
        recording cannot be read.
        """
        parts = [self.samples]
        there = self.start + len(self.samples)
        while there < end and (block := next(self._blocks, None)) is not None:
            there += len(block)
            if there <= first:  # all of it lies before the window
                parts, self.start = [], there
            else:
                parts.append(block)
        if len(parts) != 1:
            self.samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        else:  # a whole recording is not copied
            self.samples = parts[0]
        behind = min(max(0, first - self.start), len(self.samples))
        self.samples, self.start = self.samples[behind:], self.start + behind
