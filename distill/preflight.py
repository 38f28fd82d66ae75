"""Checks before a distillation starts: an empty side of the split, disk, memory, one training step."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from hearlite.audio.clips import from_int16
from hearlite.audio.frontend_tf import Frontend
from hearlite.data.copies import refuse_copies
from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints, fingerprint_recordings
from hearlite.data.records import SHARD_CLIPS
from hearlite.data.targets import fit_targets
from hearlite.distill.augment import Augment
from hearlite.distill.batches import POOL_SHARDS
from hearlite.distill.losses import DistillationLoss
from hearlite.errors import InputError
from hearlite.manifests.rows import SPLITS
from hearlite.spec import AUDIO, StudentSpec, TrainSpec
from hearlite.student import build_network, make_repeatable

# What a training process takes beside its pool of records: 2.4 GB at 8 579 clips, which are 1.1 GB of records
# (benchmarks/results/scaling).
TRAINING_BYTES = 1.3e9
_REHEARSED_CLIPS = 2  # the fewest that have a relation to each other


def require_feasible(dataset: Dataset, *, student: StudentSpec, train: TrainSpec, records: Path) -> None:
    """Check the split, the disk below `records`, memory and one training step. Takes seconds; writes nothing.

    Raises
    ------
    InputError
        If a side of the split that distillation needs is empty, or disk, memory or TensorFlow on this machine do not
        suffice.
    """
    clips = {split: sum(clip.split == split for clip in dataset.clips) for split in ("train", "val")}
    for split, count in clips.items():
        if not count:
            subjects = len({clip.subject for clip in dataset.clips})
            few = "record at least three subjects, or " if subjects < len(SPLITS) else ""
            raise InputError(
                f"{dataset.name}: no clip of a subject in split {split!r}, of {subjects} subjects",
                "distillation learns from subjects in train and chooses its best weights on those in val:"
                f" {few}name both in a 'split' column",
            )
    record_bytes = (
        AUDIO.clip_samples * np.dtype(np.int16).itemsize + student.embedding_dim * np.dtype(np.float32).itemsize
    )
    count = clips["train"] * train.views + clips["val"]
    _require_disk(records, count * record_bytes)
    _require_memory(TRAINING_BYTES + min(count, POOL_SHARDS * SHARD_CLIPS) * record_bytes)
    rehearse(student, train)


def fingerprint_heard(dataset: Dataset, *, folder: Path, allow_duplicates: bool) -> Fingerprints | None:
    """Look for copies among a dataset's recordings, and return the fingerprints of those that training will hear.

    Every recording is read once; remarks on copies are printed to stderr. Nothing is written.

    Parameters
    ----------
    dataset : Dataset
        The dataset, with its test subjects.
    folder : Path
        The run folder.
    allow_duplicates : bool
        Go on although equal recordings are in test and in training.

    Returns
    -------
    Fingerprints or None
        None if `folder` holds a run that has done this before.

    Raises
    ------
    InputError
        When a recording is in test and in training, and `allow_duplicates` is false.
    """
    if (folder / "heard.npz").is_file() or (folder / "weights.npz").is_file():
        return None
    found = fingerprint_recordings(dataset)
    refuse_copies(dataset, found, allowed=allow_duplicates)
    return found.of(clip.name for clip in dataset.clips if clip.split != "test")


def rehearse(student: StudentSpec, train: TrainSpec) -> None:
    """Take one training step of the very network on two clips of noise.

    With the kernels that training will use. Raises InputError if it fails.
    """
    make_repeatable(train.seed)
    rng = np.random.default_rng(train.seed)
    pcm = rng.integers(-1_000, 1_000, (_REHEARSED_CLIPS, AUDIO.clip_samples), np.int16)
    vectors = rng.standard_normal((_REHEARSED_CLIPS, student.embedding_dim)).astype(np.float32)
    targets = fit_targets(vectors, normalisation="centred")  # PHI-S would cost a second, and any linear map will do
    loss, augment, step = (
        DistillationLoss(train.loss, targets),
        Augment(train.augment, seed=train.seed),
        tf.constant(0, tf.int64),
    )
    try:
        network = build_network(student, batchnorm_momentum=train.batchnorm_momentum)
        optimizer = tf_keras.optimizers.AdamW(
            learning_rate=train.peak_lr, weight_decay=train.weight_decay, jit_compile=False
        )
        image = augment.image(
            Frontend(student.frontend)(augment.waveform(tf.constant(from_int16(pcm)), step=step)), step=step
        )
        with tf.GradientTape() as tape:
            value = loss(network(image, training=True), tf.constant(targets.forward(vectors)))
        gradients = tape.gradient(value, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    except (tf.errors.OpError, MemoryError) as error:
        raise InputError(
            f"TensorFlow {tf.__version__} can't take a training step here: {_first_line(error)}",
            "'hearlite doctor' shows its kernels; CUDA_VISIBLE_DEVICES= keeps it on the CPU",
        ) from error
    if not all(bool(tf.reduce_all(tf.math.is_finite(gradient))) for gradient in gradients):
        raise InputError(
            f"TensorFlow {tf.__version__} computes gradients that are not finite here",
            "report what 'hearlite doctor' shows",
        )


def _first_line(error: BaseException) -> str:
    message: Any = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(message).strip().splitlines()[0]


def _require_disk(folder: Path, wanted: float) -> None:
    """`wanted` bytes, less what a run that is resumed has written already."""
    there = sum(path.stat().st_size for path in folder.glob("shard-*.parquet"))
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if wanted - there > free:
        raise InputError(
            f"{folder}: records need up to {(wanted - there) / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            "free some space, or name a folder on another disk with --records",
        )


def _require_memory(wanted: float) -> None:
    available = available_memory()
    if available is not None and wanted > available:
        raise InputError(
            f"training needs about {wanted / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are available",
            "close other programs, or learn from fewer clips: 'clips' in a --config file",
        )


def available_memory() -> int | None:
    """Return the bytes that a new process may take; None where unknown.

    Linux's MemAvailable, or less if a container's limit is lower.
    """
    if sys.platform != "linux":
        return None
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        limit, used = (
            Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
        return found if limit == "max" else min(found, int(limit) - int(used))
    except (OSError, ValueError):
        return found
