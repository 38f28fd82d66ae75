"""Quantization-aware distillation: the float student learns on with its rounding simulated.

The loss is distillation's own; no labels. Batch norms are folded before (quantize/fold.py), and ranges keep what
quantize/ranges.py chose for the float network: moving min-max observers would round wider than the file does. What
comes out is float32 weights, which go into a file as those of any network do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.frontend_tf import Frontend
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays
from hearlite.progress import progress
from hearlite.quantize.qat import set_ranges, simulate, trained_network
from hearlite.serialization import to_dict
from hearlite.spec import QatSpec, Range, StudentSpec, TrainSpec
from hearlite.student import make_repeatable

Batch = Callable[[int], tuple[NDArray[np.int16], NDArray[np.float32]]]
Loss = Callable[[Any, Any], Any]
# of the steps: Adam's first ones are of full length whatever the gradient, and the network starts where it should end
_WARM_UP = 0.1


@dataclass(frozen=True)
class Trained:
    """What quantization-aware distillation leaves."""

    network: Any  # with its new weights
    simulated: Any  # the fake-quantized Keras model


def train_quantized(
    network: Any,
    *,
    student: StudentSpec,
    train: TrainSpec,
    qat: QatSpec,
    ranges: dict[str, Range],
    batch: Batch,
    loss: Loss,
    checkpoint: Path,
    float_sums: bool = False,
) -> Trained:
    """Fine-tune a finished `network` under simulated int8; the same arguments give the same weights, also after a kill.

    `network` has no batch norms (quantize/fold.py). `ranges` are those of every layer's output by name. `batch(step)`
    gives PCM int16 `[n, clip_samples]` and targets `[n, dim]`. A `qat.student_share` of the loss is towards the float
    network's own output, the rest towards the teacher's. `float_sums` is the recipe's. Raises UsageError for a layer
    that has no rule, InputError for a layer without a range or a damaged checkpoint; one of another training is written
    over.
    """
    make_repeatable(train.seed)
    frontend = Frontend(student.frontend)
    simulated = simulate(network, float_sums=float_sums)
    set_ranges(simulated, ranges)
    optimizer = tf_keras.optimizers.Adam(learning_rate=train.peak_lr / qat.lr_divisor, jit_compile=False)
    variables = simulated.trainable_variables
    optimizer.build(variables)
    steps = max(1, round(train.steps * qat.fraction))

    @tf.function
    def step(clips: Any, target: Any) -> Any:
        image = frontend(clips)
        own = network(image, training=False)
        with tf.GradientTape() as tape:
            found = simulated(image, training=False)  # True would let the observers move
            value = (1.0 - qat.student_share) * loss(found, target) + qat.student_share * loss(found, own)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(value, variables), train.clip_norm)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    state = _State(checkpoint, simulated, optimizer, made_by=_identity(student, train, qat, ranges, float_sums))
    first, value = state.resume(), float("nan")
    with progress(f"qat {student.size}", total=steps, start=first) as advance:
        for index in range(first, steps):
            pcm, target = batch(train.steps + index)
            warm = min(1.0, (index + 1) / max(1.0, _WARM_UP * steps))
            optimizer.learning_rate.assign(
                train.peak_lr / qat.lr_divisor * warm * 0.5 * (1.0 + np.cos(np.pi * index / steps))
            )
            value = float(step(from_int16(pcm), target))
            if not np.isfinite(value):
                raise InputError(
                    f"the loss became {value} at step {index}", "raise qat.lr_divisor; the last checkpoint is kept"
                )
            if (index + 1) % qat.checkpoint_every == 0 or index + 1 == steps:
                state.save(index + 1)
            advance(index + 1, f"loss {value:.3f}")
    return Trained(trained_network(simulated, network), simulated)


def _identity(student: StudentSpec, train: TrainSpec, qat: QatSpec, ranges: dict[str, Range], float_sums: bool) -> str:
    """Of a training: a checkpoint of other settings is none of it."""
    told = [
        to_dict(student),
        to_dict(train),
        to_dict(qat),
        {name: list(ends) for name, ends in sorted(ranges.items())},
        float_sums,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class _State:
    """The checkpoint: everything that a step changes."""

    def __init__(self, path: Path, simulated: Any, optimizer: Any, *, made_by: str) -> None:
        self.path, self.simulated, self.optimizer, self.made_by = path, simulated, optimizer, made_by

    def save(self, step: int) -> None:
        arrays = {f"weight{i:04d}": value for i, value in enumerate(self.simulated.get_weights())}
        arrays |= {f"optimizer{i:04d}": value.numpy() for i, value in enumerate(self.optimizer.variables)}
        write_arrays(self.path, arrays | {"step": np.int64(step), "made_by": np.asarray(self.made_by)})

    def resume(self) -> int:
        if not self.path.is_file():
            return 0
        arrays = read_arrays(self.path)
        if str(arrays.get("made_by")) != self.made_by:
            return 0
        try:
            self.simulated.set_weights([arrays[f"weight{i:04d}"] for i in range(len(self.simulated.weights))])
            for i, variable in enumerate(self.optimizer.variables):
                variable.assign(arrays[f"optimizer{i:04d}"])
            return int(arrays["step"])
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{self.path}: the checkpoint does not fit this student: {error}", "remove it to start again"
            ) from error
