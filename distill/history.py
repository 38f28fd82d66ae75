"""The history of a training: history.csv, and the same figures for TensorBoard where it is installed.

Both are made from the checkpoint.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from hearlite.files import write_bytes
from hearlite.run import Run

HISTORY = (
    "step",
    "loss",
    "gradient_norm",
    "learning_rate",
    "val_loss",
    "val_centred_cosine",
    "val_random_probe_correlation",
)
Row = tuple[float, ...]  # one number for each of HISTORY


class Journal:
    """A run's history.csv and tensorboard/."""

    def __init__(self, run: Run, *, history: Sequence[Row]) -> None:
        """Start from `history`, that of the checkpoint.

        A killed run's events may go further or less far: they are written anew, and no step is there twice.
        """
        self.run, self._writer = run, None
        folder = run.folder / "tensorboard"
        if importlib.util.find_spec("tensorboard") is None:  # comes with TensorFlow, but nothing else needs it
            return
        for stale in folder.glob("events.out.tfevents.*"):
            stale.unlink()
        self._writer = tf.summary.create_file_writer(str(folder))
        for row in history:
            self._scalars(row)

    def write(self, history: Sequence[Row]) -> None:
        """`history` has one more row than before."""
        write_history(self.run.history, history)
        self._scalars(history[-1])

    def close(self, history: Sequence[Row]) -> None:
        """All of `history` is in history.csv, be it that a kill came between the checkpoint and its last row."""
        write_history(self.run.history, history)
        if self._writer is not None:
            self._writer.close()

    def _scalars(self, row: Row) -> None:
        if self._writer is None:
            return
        with self._writer.as_default(step=int(row[0])):
            for name, value in zip(HISTORY[1:], row[1:], strict=True):
                tf.summary.scalar(name, value)
        self._writer.flush()


def write_history(path: Path, history: Sequence[Row]) -> None:
    """Write history.csv in full, in case the process was killed after its last checkpoint."""
    text = io.StringIO()
    writer: Any = csv.writer(text, lineterminator="\n")
    writer.writerow(HISTORY)
    writer.writerows(history)
    write_bytes(path, text.getvalue().encode())
