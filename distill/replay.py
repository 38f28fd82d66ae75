"""The training of a run again, for quantization-aware distillation: the same batches and the same loss.

The caller hands it to quantize, since stages don't import each other.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.data.records import read_records
from hearlite.data.targets import Targets
from hearlite.distill.batches import Batches
from hearlite.distill.losses import DistillationLoss
from hearlite.run import Run


class TrainingReplay:
    """Batches and loss of a finished run, from its folder alone."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def batch(self, step: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """PCM `[n, clip_samples]` and targets `[n, dim]` of a step."""
        return self._batches.at(step)

    def loss(self, prediction: Any, target: Any) -> Any:
        """Return the distillation loss of two `[n, dim]`, a TensorFlow scalar."""
        return self._loss(prediction, target)

    # Read when a recipe trains at all: most don't, and the index of every shard takes a while.

    @cached_property
    def _targets(self) -> Targets:
        return Targets.load(self._run.targets)

    @cached_property
    def _batches(self) -> Batches:
        train = self._run.spec.train
        return Batches(
            read_records(self._run.records),
            targets=self._targets,
            batch_size=train.batch_size,
            seed=train.seed,
            clips=train.clips,
            balance=train.balance,
        )

    @cached_property
    def _loss(self) -> DistillationLoss:
        return DistillationLoss(self._run.spec.train.loss, self._targets)
