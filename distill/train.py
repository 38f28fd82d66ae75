"""Training: records and targets in, weights.npz out.

Killed at any moment and started again, it ends with the same weights.

That holds because batches are a function of (seed, step), TensorFlow runs its deterministic kernels, and a checkpoint
holds everything else: weights, their moving average, the optimizer's moments, the step and the history. None of it says
how many replicas there were. On a GPU, which has no deterministic kernels for all of it, the weights are the same but
for rounding. Replicas split the global batch and see its loss and its batch statistics, so that their number changes
rounding and augmentation, nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from hearlite.audio.frontend_tf import Frontend
from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints
from hearlite.data.records import Views, Worker, write_records
from hearlite.data.targets import Targets, fit_targets
from hearlite.distill.augment import Augment
from hearlite.distill.batches import Batch, Batches, Examples, balanced_weights, teacher_vectors, val_examples
from hearlite.distill.distribute import agreed, first_replica, shared_out, strategy, worker
from hearlite.distill.history import HISTORY, Journal, Row
from hearlite.distill.losses import DistillationLoss
from hearlite.distill.preflight import fingerprint_heard, require_feasible
from hearlite.distill.refit import REFIT_CLIPS, from_pcm, refit_head
from hearlite.distill.validation_metrics import mean_cosine, probe_directions, random_probe_correlation
from hearlite.embedders.base import Embedder
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays, write_json
from hearlite.manifests.splits import subject_hash
from hearlite.progress import progress
from hearlite.run import DatasetInfo, Run, RunSpec, create_run
from hearlite.spec import StudentSpec, TrainSpec, student_spec
from hearlite.student import EMBED_BATCH, build_network, make_repeatable, weights_of
from hearlite.writing import locked


@dataclass
class TrainState:
    """What a checkpoint holds besides the network and the optimizer."""

    step: int = 0
    best: float = -1.0  # validation probe correlation of `Trainer.best`
    history: list[Row] = field(default_factory=list)


class Trainer:
    """One run's training loop, in this process; others may run the same one beside it."""

    def __init__(self, run: Run, *, batches: Batches, val: Examples, targets: Targets) -> None:
        self.run, self.spec, self.batches, self.val, self.targets = run, run.spec.train, batches, val, targets
        self.strategy, self.chief = strategy(), worker().is_chief
        make_repeatable(self.spec.seed)
        momentum = self.spec.batchnorm_momentum
        with self.strategy.scope():
            self.network = build_network(
                run.spec.student, batchnorm_momentum=momentum, synchronized=self.strategy.num_replicas_in_sync > 1
            )
            self.optimizer = tf_keras.optimizers.AdamW(
                learning_rate=self.spec.peak_lr, weight_decay=self.spec.weight_decay, jit_compile=False
            )
            self.optimizer.exclude_from_weight_decay(var_names=["_bn", "bias"])
            self.optimizer.build(self.network.trainable_variables)
            self.average = [_replicated_alike(weight) for weight in self.network.weights]
        self.trained = build_network(
            run.spec.student, batchnorm_momentum=momentum
        )  # a plain network for what comes out of training
        self.frontend = Frontend(run.spec.student.frontend)
        self.augment = Augment(self.spec.augment, seed=self.spec.seed)
        self.loss = DistillationLoss(self.spec.loss, targets)
        self.directions = probe_directions(targets)
        self.best = self._values(self.network.weights)
        self.state = TrainState()
        self._train_step = tf.function(self._distributed_step)
        self._predict = tf.function(self._infer)

    def fit(self) -> None:
        """Train to the end, refit the head, write weights.npz and metrics.json."""
        spec = self.spec
        self._resume()
        self.journal = Journal(self.run, history=self.state.history) if self.chief else None
        seen: list[NDArray[np.float32]] = []  # loss and gradient norm of each step since the last checkpoint
        last = self.state.step if self._exhausted() else spec.steps
        with progress(f"distill {self.run.spec.student.size}", total=spec.steps, start=self.state.step) as advance:
            for step, batch in self._batches(range(self.state.step, last)):
                seen.append(self.train_step(step, batch))
                if (step + 1) % spec.checkpoint_every == 0 or step + 1 == spec.steps:
                    self._checkpoint(step + 1, *np.mean(seen, axis=0).tolist())
                    seen = []
                advance(step + 1, f"loss {self.state.history[-1][1]:.3f}" if self.state.history else "")
                if self._exhausted():
                    break
        if self.journal:
            self._finish(self.journal)
        agreed([0.0], among=self.strategy)  # no process returns before the chief has written the weights

    def train_step(self, step: int, batch: Batch) -> NDArray[np.float32]:
        """Learn from the batch of a step; its loss and gradient norm, `[2]`."""
        self.optimizer.learning_rate.assign(learning_rate(step, self.spec))
        numbers = tf.constant(step, tf.int64), tf.constant(average_decay(step, self.spec), tf.float32)
        found: NDArray[np.float32] = first_replica(
            self._train_step(*shared_out(batch, among=self.strategy), *numbers), of=self.strategy
        )
        return found

    def _batches(self, steps: range) -> Iterator[tuple[int, Batch]]:
        """Each step's batch, read while the one before is trained on."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = reader.submit(self.batches.at, steps[0]) if steps else None
            for step in steps:
                assert ahead is not None
                batch = ahead.result()
                ahead = reader.submit(self.batches.at, step + 1) if step + 1 < steps.stop else None
                yield step, batch

    def _distributed_step(self, pcm: Any, target: Any, step: Any, decay: Any) -> Any:
        return self.strategy.run(self._step, args=(pcm, target, step, decay))

    def _step(self, pcm: Any, target: Any, step: Any, decay: Any) -> Any:
        """One replica's part of a step."""
        replica = tf.distribute.get_replica_context()
        own_step = step * replica.num_replicas_in_sync + tf.cast(
            replica.replica_id_in_sync_group, tf.int64
        )  # no two replicas augment alike
        image = self.augment.image(self.frontend(self.augment.waveform(from_pcm(pcm), step=own_step)), step=own_step)
        with tf.GradientTape() as tape:
            prediction = self.network(image, training=True)
            if (
                replica.num_replicas_in_sync > 1
            ):  # the relational loss is of the whole batch: every replica sees it and computes the whole loss
                prediction, target = replica.all_gather(
                    (prediction, tf.identity(target)), axis=0
                )  # an input has no device, a copy has
            loss = self.loss(prediction, target)
        gradients = tape.gradient(loss, self.network.trainable_variables)
        if replica.num_replicas_in_sync > 1:
            # the gradient of all_gather sums over replicas the slices of their equal losses, the sum here adds what
            # each slice does: so the mean
            gradients = replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        gradients, norm = tf.clip_by_global_norm(gradients, self.spec.clip_norm)
        self.optimizer.apply_gradients(
            zip(gradients, self.network.trainable_variables, strict=True), skip_gradients_aggregation=True
        )
        for average, weight in zip(self.average, self.network.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * weight)
        return tf.stack([loss, norm])

    def _infer(self, pcm: Any) -> Any:
        return self.trained(self.frontend(from_pcm(pcm)), training=False)

    def _checkpoint(self, step: int, loss: float, gradient_norm: float) -> None:
        """Every process evaluates, so that all know when to stop; the chief writes."""
        if not math.isfinite(loss):
            raise InputError(f"the loss became {loss} near step {step}", "lower peak_lr; the last checkpoint is kept")
        self.trained.set_weights(self._values(self.average))
        val_loss, val_cosine, val_probes = agreed(self._evaluate(), among=self.strategy)
        if val_probes > self.state.best:
            self.state.best, self.best = val_probes, self.trained.get_weights()
        self.state.step = step
        self.state.history.append(
            (step, loss, gradient_norm, learning_rate(step - 1, self.spec), val_loss, val_cosine, val_probes)
        )
        if not self.journal:
            return
        arrays = {f"weight{i:04d}": value for i, value in enumerate(self._values(self.network.weights))}
        arrays |= {f"average{i:04d}": value for i, value in enumerate(self._values(self.average))}
        arrays |= {f"optimizer{i:04d}": value for i, value in enumerate(self._values(self.optimizer.variables))}
        arrays |= {f"best{i:04d}": value for i, value in enumerate(self.best)}
        arrays |= {
            "step": np.array(step),
            "best": np.array(self.state.best),
            "history": np.asarray(self.state.history, dtype=np.float64),
        }
        write_arrays(self.run.state, arrays)
        self.journal.write(self.state.history)

    def _resume(self) -> None:
        if self.run.state.is_file():
            arrays = read_arrays(self.run.state)
            try:
                for name, variables in (
                    ("weight", self.network.weights),
                    ("average", self.average),
                    ("optimizer", self.optimizer.variables),
                ):
                    for i, variable in enumerate(variables):
                        variable.assign(arrays[f"{name}{i:04d}"])
                self.best = [arrays[f"best{i:04d}"] for i in range(len(self.average))]
                history = [tuple(row) for row in arrays["history"].reshape(-1, len(HISTORY)).tolist()]
                self.state = TrainState(int(arrays["step"]), float(arrays["best"]), history)
            except (KeyError, ValueError) as error:
                raise InputError(
                    f"{self.run.state}: the checkpoint does not fit this student: {error}", "remove it to start again"
                ) from error
        (step,) = agreed([self.state.step], among=self.strategy)
        if step != self.state.step:
            raise InputError(
                f"this process resumes at step {self.state.step}, others don't",
                "give all of them one and the same run folder",
            )

    def _evaluate(self) -> tuple[float, float, float]:
        """Distillation loss, mean centred cosine and probe correlation of `trained` on validation subjects."""
        predicted, wanted = self.embed(self.val.pcm), self.val.targets
        loss = float(self.loss(tf.constant(predicted), tf.constant(wanted)))
        return (
            loss,
            mean_cosine(predicted, wanted),
            random_probe_correlation(predicted, wanted, directions=self.directions),
        )

    def embed(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """int16 `[n, clip_samples]` -> float32 `[n, dim]` by `trained` as it is now."""
        parts = [self._predict(pcm[i : i + EMBED_BATCH]).numpy() for i in range(0, len(pcm), EMBED_BATCH)]
        return np.concatenate(parts)

    def _exhausted(self) -> bool:
        """Whether the last `patience` checkpoints brought nothing better than one before them."""
        found = [row[HISTORY.index("val_random_probe_correlation")] for row in self.state.history]
        return bool(self.spec.patience) and len(found) - 1 - int(np.argmax(found or [0.0])) >= self.spec.patience

    def _finish(self, journal: Journal) -> None:
        """Return the best checkpoint's average weights, with the head refitted where validation improves."""
        self.trained.set_weights(self.best)
        _, cosine, before = self._evaluate()
        clips = min(REFIT_CLIPS, sum(len(rows) for rows in self.batches.rows))
        examples = self.batches.examples(most=REFIT_CLIPS)
        refit_head(self.trained, self.frontend, examples, ridge=self.spec.ridge, total=clips)
        _, cosine_after, after = self._evaluate()
        if after < before:  # too few clips for the closed form: keep the trained head
            self.trained.set_weights(self.best)
        metrics = {
            "val_random_probe_correlation": max(before, after),
            "val_centred_cosine": cosine if after < before else cosine_after,
        }
        metrics |= {
            "val_random_probe_correlation_before_refit": before,
            "val_random_probe_correlation_after_refit": after,
        }
        metrics |= {"val_centred_cosine_before_refit": cosine, "val_centred_cosine_after_refit": cosine_after}
        metrics |= {"val_clips": float(len(self.val.pcm)), "steps": float(self.state.step)}
        journal.close(self.state.history)  # a run killed right after its last checkpoint has not written its last row
        write_json(self.run.metrics, metrics)
        write_arrays(self.run.weights, weights_of(self.trained))

    def _values(self, variables: list[Any]) -> list[NDArray[Any]]:
        return [first_replica(variable, of=self.strategy) for variable in variables]


def distill(
    dataset: Dataset,
    *,
    teacher: Embedder,
    size: str,
    train: TrainSpec,
    folder: Path,
    records_folder: Path | None = None,
    heard: Fingerprints | None = None,
    allow_duplicates: bool = False,
) -> Run:
    """`distill_student` for the student of a size."""
    student = student_spec(size, embedding_dim=teacher.info.dim)
    return distill_student(
        dataset,
        teacher=teacher,
        student=student,
        train=train,
        folder=folder,
        records_folder=records_folder,
        heard=heard,
        allow_duplicates=allow_duplicates,
    )


def distill_student(
    dataset: Dataset,
    *,
    teacher: Embedder,
    student: StudentSpec,
    train: TrainSpec,
    folder: Path,
    records_folder: Path | None = None,
    heard: Fingerprints | None = None,
    allow_duplicates: bool = False,
) -> Run:
    """Run the whole stage in one resumable run folder: records, targets, training.

    A finished run is returned as it is. `heard` is what `fingerprint_heard` returned, if it was called before.

    The processes of TF_CONFIG call it with the same arguments and a folder that they share. All make records, the chief
    writes the rest.
    """
    train_clips = [clip for clip in dataset.clips if clip.split == "train"]
    info = DatasetInfo(
        name=dataset.name,
        sha256=dataset.sha256,
        train_clips=len(train_clips),
        train_subjects=len({clip.subject for clip in train_clips}),
        synthetic=dataset.synthetic,
        trained_subjects=tuple(sorted({subject_hash(clip.subject) for clip in dataset.clips if clip.split != "test"})),
    )
    among, me = strategy(), worker()
    if not (folder / "weights.npz").is_file():  # before the run folder exists: its spec would refuse the mended dataset
        require_feasible(dataset, student=student, train=train, records=records_folder or folder / "records")
        heard = heard or fingerprint_heard(dataset, folder=folder, allow_duplicates=allow_duplicates)
    records_name = "records" if records_folder is None else str(records_folder.resolve())
    spec = RunSpec(student, train, teacher.info, info, records_name)
    with nullcontext() if me.count > 1 else locked(folder):  # the processes of a cluster share the folder
        return _train(dataset, teacher=teacher, run=create_run(folder, spec), heard=heard, among=among, me=me)


def _train(dataset: Dataset, *, teacher: Embedder, run: Run, heard: Fingerprints | None, among: Any, me: Worker) -> Run:
    if run.weights.is_file():
        return run
    if me.is_chief and heard is not None:
        heard.save(run.heard)
    train = run.spec.train
    records = write_records(
        dataset, teacher=teacher, folder=run.records, views=Views(train.views, spec=train.view), worker=me
    )
    if me.is_chief and not run.targets.is_file():  # one process fits them: another machine's LAPACK might turn the axes
        weights = None
        if train.balance:
            rows = records.rows("train", clips=train.clips)
            weights = np.concatenate(balanced_weights(records, rows, balance=train.balance))
        fit_targets(
            teacher_vectors(records, "train", clips=train.clips),
            normalisation=train.normalisation,
            weights=weights,
        ).save(run.targets)
    agreed([0.0], among=among)
    targets = Targets.load(run.targets)
    replicas = among.num_replicas_in_sync
    batches = Batches(
        records,
        targets=targets,
        batch_size=train.batch_size,
        seed=train.seed,
        clips=train.clips,
        replicas=replicas,
        balance=train.balance,
    )
    Trainer(run, batches=batches, val=val_examples(records, targets=targets, seed=train.seed), targets=targets).fit()
    return run


def learning_rate(step: int, spec: TrainSpec) -> float:
    """Linear warm-up, then cosine to 0."""
    warmup = max(1, round(spec.steps * spec.warmup_fraction))
    if step < warmup:
        return spec.peak_lr * (step + 1) / warmup
    return spec.peak_lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, spec.steps - warmup)))


def average_decay(step: int, spec: TrainSpec) -> float:
    """EMA decay, shorter at the start so that the initial weights are forgotten."""
    return min(spec.ema_decay, (1.0 + step) / (10.0 + step))


def _replicated_alike(weight: Any) -> Any:
    """Return a moving average that each replica keeps for itself.

    They are the same everywhere, so nothing is sent.
    """
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(weight, trainable=False, synchronization=tf.VariableSynchronization.ON_READ, aggregation=first)
