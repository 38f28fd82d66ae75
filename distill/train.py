"""Training: records and targets in, weights.npz out. Killed at any moment and started again, it ends with the same weights.

That holds because batches are a function of (seed, step), TensorFlow runs its deterministic kernels, and a checkpoint holds everything else:
weights, their moving average, the optimizer's moments, the step and the history.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from hearlite.dataset import Dataset
from hearlite.distill.augment import Augment
from hearlite.distill.data import Batches, Examples, teacher_vectors, val_examples
from hearlite.distill.losses import DistillationLoss
from hearlite.distill.targets import Targets, fit_targets
from hearlite.embedder import Embedder
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays, write_bytes, write_json
from hearlite.frontend_tf import Frontend
from hearlite.progress import progress
from hearlite.records import Views, write_records
from hearlite.run import DatasetInfo, Run, RunSpec, create_run
from hearlite.spec import AUDIO, TrainSpec, student_spec
from hearlite.student import EMBED_BATCH, build_network, weights_of

HISTORY = ("step", "loss", "learning_rate", "val_loss", "val_centred_cosine")


@dataclass
class TrainState:
    """What a checkpoint holds besides the network and the optimizer."""

    step: int = 0
    best: float = -1.0  # validation cosine of `Trainer.best`
    history: list[tuple[float, ...]] = field(default_factory=list)


class Trainer:
    """One run's training loop."""

    def __init__(self, run: Run, *, batches: Batches, val: Examples, targets: Targets) -> None:
        self.run, self.spec, self.batches, self.val, self.targets = run, run.spec.train, batches, val, targets
        tf_keras.utils.set_random_seed(self.spec.seed)
        tf.config.experimental.enable_op_determinism()
        self.network = build_network(run.spec.student, batchnorm_momentum=self.spec.batchnorm_momentum)
        self.frontend = Frontend(run.spec.student.frontend)
        self.augment = Augment(self.spec.augment, seed=self.spec.seed)
        self.loss = DistillationLoss(self.spec.loss, targets)
        self.optimizer = tf_keras.optimizers.AdamW(learning_rate=self.spec.peak_lr, weight_decay=self.spec.weight_decay, jit_compile=False)
        self.optimizer.exclude_from_weight_decay(var_names=["_bn", "bias"])
        self.optimizer.build(self.network.trainable_variables)
        self.average = [tf.Variable(weight, trainable=False) for weight in self.network.weights]
        self.best = self.network.get_weights()
        self.state = TrainState()
        self._train_step = tf.function(self._step)
        self._predict = tf.function(self._infer)

    def fit(self) -> dict[str, float]:
        """Train to the end, refit the head, write weights.npz and metrics.json; returns the metrics on validation subjects."""
        spec = self.spec
        self._resume()
        losses: list[float] = []
        with progress(f"distill {self.run.spec.student.size}", total=spec.steps, start=self.state.step) as advance:
            for step in range(self.state.step, self.state.step if self._exhausted() else spec.steps):
                pcm, target = self.batches.at(step)
                self.optimizer.learning_rate.assign(learning_rate(step, spec))
                losses.append(self._train_step(pcm, target, tf.constant(step, tf.int64), tf.constant(average_decay(step, spec), tf.float32)))
                if (step + 1) % spec.checkpoint_every == 0 or step + 1 == spec.steps:
                    self._checkpoint(step + 1, float(np.mean(losses)))
                    losses = []
                advance(step + 1, f"loss {self.state.history[-1][1]:.3f}" if self.state.history else "")
                if self._exhausted():
                    break
        return self._finish()

    def _step(self, pcm: Any, target: Any, step: Any, decay: Any) -> Any:
        image = self.augment.image(self.frontend(self.augment.waveform(from_pcm(pcm), step=step)), step=step)
        with tf.GradientTape() as tape:
            loss = self.loss(self.network(image, training=True), target)
        gradients = tape.gradient(loss, self.network.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, self.spec.clip_norm)
        self.optimizer.apply_gradients(zip(gradients, self.network.trainable_variables, strict=True))
        for average, weight in zip(self.average, self.network.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * weight)
        return loss

    def _infer(self, pcm: Any) -> Any:
        return self.network(self.frontend(from_pcm(pcm)), training=False)

    def _checkpoint(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise InputError(f"the loss became {loss} near step {step}", "lower peak_lr; the last checkpoint is kept")
        own = self.network.get_weights()
        self.network.set_weights([average.numpy() for average in self.average])
        val_loss, val_cosine = self._evaluate()
        if val_cosine > self.state.best:
            self.state.best, self.best = val_cosine, self.network.get_weights()
        self.network.set_weights(own)
        self.state.step = step
        self.state.history.append((step, loss, learning_rate(step - 1, self.spec), val_loss, val_cosine))
        arrays = {f"weight{i:04d}": value for i, value in enumerate(own)}
        arrays |= {f"average{i:04d}": value.numpy() for i, value in enumerate(self.average)}
        arrays |= {f"optimizer{i:04d}": value.numpy() for i, value in enumerate(self.optimizer.variables)}
        arrays |= {f"best{i:04d}": value for i, value in enumerate(self.best)}
        arrays |= {"step": np.int64(step), "best": np.float64(self.state.best), "history": np.asarray(self.state.history, dtype=np.float64)}
        write_arrays(self.run.state, arrays)
        self._write_history()

    def _resume(self) -> None:
        if not self.run.state.is_file():
            return
        arrays = read_arrays(self.run.state)
        try:
            self.network.set_weights([arrays[f"weight{i:04d}"] for i in range(len(self.average))])
            for name, variables in (("average", self.average), ("optimizer", self.optimizer.variables)):
                for i, variable in enumerate(variables):
                    variable.assign(arrays[f"{name}{i:04d}"])
            self.best = [arrays[f"best{i:04d}"] for i in range(len(self.average))]
            self.state = TrainState(int(arrays["step"]), float(arrays["best"]), [tuple(row) for row in arrays["history"].tolist()])
        except (KeyError, ValueError) as error:
            raise InputError(f"{self.run.state}: the checkpoint does not fit this student: {error}", "remove it to start again") from error

    def _evaluate(self) -> tuple[float, float]:
        """Distillation loss and mean centred cosine on validation subjects."""
        predicted = self.embed(self.val.pcm)
        loss = float(self.loss(tf.constant(predicted), tf.constant(self.val.targets)))
        return loss, mean_cosine(predicted, self.val.targets)

    def embed(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """int16 `[n, clip_samples]` -> float32 `[n, dim]` by the network as it is now."""
        parts = [self._predict(pcm[i : i + EMBED_BATCH]).numpy() for i in range(0, len(pcm), EMBED_BATCH)]
        return np.concatenate(parts)

    def _exhausted(self) -> bool:
        """Whether the last `patience` checkpoints brought nothing better than one before them."""
        cosines = [row[HISTORY.index("val_centred_cosine")] for row in self.state.history]
        return bool(self.spec.patience) and len(cosines) - 1 - int(np.argmax(cosines or [0.0])) >= self.spec.patience

    def _finish(self) -> dict[str, float]:
        """The best checkpoint's average weights, with the head refitted where that helps on validation subjects."""
        self.network.set_weights(self.best)
        before = self._evaluate()[1]
        refit_head(self.network, self.frontend, self.batches.examples(), ridge=self.spec.ridge)
        after = self._evaluate()[1]
        if after < before:  # too few clips for the closed form: keep the trained head
            self.network.set_weights(self.best)
        metrics = {"val_centred_cosine": max(before, after), "val_centred_cosine_before_refit": before, "val_centred_cosine_after_refit": after}
        metrics |= {"val_clips": float(len(self.val.pcm)), "steps": float(self.state.step)}
        self._write_history()  # a run killed right after its last checkpoint has not written its last row
        write_json(self.run.metrics, metrics)
        write_arrays(self.run.weights, weights_of(self.network))
        return metrics

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HISTORY)
        writer.writerows(self.state.history)
        write_bytes(self.run.history, text.getvalue().encode())


def distill(dataset: Dataset, *, teacher: Embedder, size: str, train: TrainSpec, folder: Path, records_folder: Path | None = None) -> Run:
    """The whole stage: records, targets, training, in one resumable run folder. A finished one is returned as it is."""
    train_clips = [clip for clip in dataset.clips if clip.split == "train"]
    info = DatasetInfo(dataset.name, dataset.sha256, len(train_clips), len({clip.subject for clip in train_clips}), dataset.synthetic)
    records_name = "records" if records_folder is None else str(records_folder.resolve())
    spec = RunSpec(student_spec(size, embedding_dim=teacher.info.dim), train, teacher.info, info, records_name)
    run = create_run(folder, spec)
    if run.weights.is_file():
        return run
    records = write_records(dataset, teacher=teacher, folder=run.records, views=Views(train.views, train.seed, train.view))
    targets = Targets.load(run.targets) if run.targets.is_file() else fit_targets(teacher_vectors(records, "train"))
    targets.save(run.targets)
    batches = Batches(records, targets=targets, batch_size=train.batch_size, seed=train.seed)
    Trainer(run, batches=batches, val=val_examples(records, targets=targets, seed=train.seed), targets=targets).fit()
    return run


def refit_head(network: Any, frontend: Any, examples: Any, *, ridge: float) -> None:
    """Closed-form ridge regression of the embedding's linear layers on the trunk's pooled features; replaces their weights.

    A short run leaves the last layer behind its trunk. `examples` yields (pcm, targets) batches of training clips.
    """
    dense = [layer for layer in network.layers if isinstance(layer, tf_keras.layers.Dense)]
    trunk = tf_keras.Model(network.input, tf.concat([layer.input for layer in dense], axis=1))
    predict = tf.function(lambda pcm: trunk(frontend(from_pcm(pcm)), training=False))
    width = sum(layer.input_shape[-1] for layer in dense)
    gram, moment = np.zeros((width + 1, width + 1)), np.zeros((width + 1, dense[-1].units))
    for pcm, target in examples:
        features = predict(pcm).numpy().astype(np.float64)
        features = np.hstack([features, np.ones((len(features), 1))])
        gram += features.T @ features
        moment += features.T @ target
    count, sums = gram[-1, -1], gram[-1, :-1]
    variance = float(np.diag(gram)[:-1].mean() / count - ((sums / count) ** 2).mean())
    penalty = np.full(width + 1, ridge * max(variance, 1e-12) * count)
    penalty[-1] = 0.0  # the bias is free
    solution = np.linalg.solve(gram + np.diag(penalty), moment)
    start = 0
    for layer in dense:
        rows = layer.input_shape[-1]
        kernel = solution[start : start + rows].astype(np.float32)
        layer.set_weights([kernel, solution[-1].astype(np.float32)] if layer.use_bias else [kernel])
        start += rows


def learning_rate(step: int, spec: TrainSpec) -> float:
    """Linear warm-up, then cosine to 0."""
    warmup = max(1, round(spec.steps * spec.warmup_fraction))
    if step < warmup:
        return spec.peak_lr * (step + 1) / warmup
    return spec.peak_lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, spec.steps - warmup)))


def average_decay(step: int, spec: TrainSpec) -> float:
    """EMA decay, shorter at the start so that the initial weights are forgotten."""
    return min(spec.ema_decay, (1.0 + step) / (10.0 + step))


def mean_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean cosine of the rows of two centred `[n, dim]`."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-12)))


def from_pcm(pcm: Any) -> Any:
    """int16 tensor -> float32 in [-1, 1), the in-graph twin of audio.from_int16."""
    return tf.cast(pcm, tf.float32) / AUDIO.pcm_full_scale
