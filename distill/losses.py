"""Distillation losses on PHI-S targets, float32 `[batch, dim]` each; no labels anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from hearlite.data.targets import Targets
from hearlite.spec import LossSpec


def huber(prediction: Any, target: Any) -> Any:
    """Mean Huber loss with threshold 1, which is one standard deviation of a target coordinate (Huber 1964)."""
    error = tf.abs(prediction - target)
    return tf.reduce_mean(tf.where(error < 1.0, 0.5 * error**2, error - 0.5))


def centred_cosine(prediction: Any, target: Any) -> Any:
    """Return 1 - cosine.

    The targets have mean 0; the raw cosine of two HeAR vectors says nothing (0.98 same class, 0.92 different).
    """
    return 1.0 - tf.reduce_mean(tf.reduce_sum(_unit(prediction) * _unit(target), axis=1))


def relational(prediction: Any, target: Any) -> Any:
    """Return the mean squared difference of the batch's cosine-similarity matrices.

    Similarity-preserving distillation, arXiv:1907.09682.
    """
    ours, theirs = _unit(prediction), _unit(target)
    return tf.reduce_mean((tf.matmul(ours, ours, transpose_b=True) - tf.matmul(theirs, theirs, transpose_b=True)) ** 2)


def whitened(prediction: Any, target: Any, *, rotation: Any, weights: Any) -> Any:
    """Return the squared error in PCA axes, each weighted by 1 / (variance + shrinkage).

    Probes read small directions too, but noise must not rule.
    """
    return tf.reduce_mean(weights * tf.matmul(prediction - target, rotation, transpose_b=True) ** 2)


class DistillationLoss:
    """Weighted sum of the four; a weight of 0 costs nothing."""

    def __init__(self, spec: LossSpec, targets: Targets) -> None:
        self.spec = spec
        # numpy, not tensors: a tensor made while a tf.function is traced belongs to that graph, and the next graph
        # can't use it
        self.rotation = targets.rotation
        weights = 1.0 / (targets.eigenvalues + spec.whitened_shrink)  # the eigenvalues' mean is 1
        self.weights = (weights / (weights * targets.eigenvalues).mean()).astype(
            np.float32
        )  # predicting the mean costs 1

    def __call__(self, prediction: Any, target: Any) -> Any:
        """Return the weighted sum of the losses, a scalar."""
        spec, total = self.spec, tf.constant(0.0)
        if spec.huber:
            total += spec.huber * huber(prediction, target)
        if spec.centred_cosine:
            total += spec.centred_cosine * centred_cosine(prediction, target)
        if spec.relational:
            total += spec.relational * relational(prediction, target)
        if spec.whitened:
            total += spec.whitened * whitened(prediction, target, rotation=self.rotation, weights=self.weights)
        return total


def _unit(vectors: Any) -> Any:
    return tf.math.l2_normalize(vectors, axis=1, epsilon=1e-12)
