"""The closed-form end of a training: the embedding's linear layers by ridge regression.

On the trained trunk's features of training clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from hearlite.distill.batches import Weighted
from hearlite.progress import progress
from hearlite.spec import AUDIO

# Clips and views, fifty or more for each feature: more take minutes and change nothing that validation shows.
REFIT_CLIPS = 40_000


def refit_head(network: Any, frontend: Any, examples: Iterable[Weighted], *, ridge: float, total: int = 0) -> None:
    """Ridge regression of the embedding's linear layers on the trunk's pooled features; replaces their weights.

    A short run leaves the last layer behind its trunk. `examples` yields (pcm, targets, weights) of training clips;
    `ridge` is in units of the mean feature variance, `total` the number of clips, for the progress.
    """
    dense = [layer for layer in network.layers if isinstance(layer, tf_keras.layers.Dense)]
    trunk = tf_keras.Model(network.input, tf.concat([layer.input for layer in dense], axis=1))
    # One graph for every length: each shard ends with another rest, and a graph of its own would take seconds and stay
    # in memory.
    predict = tf.function(
        lambda pcm: trunk(frontend(from_pcm(pcm)), training=False),
        input_signature=[tf.TensorSpec([None, AUDIO.clip_samples], tf.int16)],
    )
    width = sum(layer.input_shape[-1] for layer in dense)
    gram, moment = np.zeros((width + 1, width + 1)), np.zeros((width + 1, dense[-1].units))
    done = 0
    with progress("refit the last layers", total=total) as advance:
        for pcm, target, weight in examples:
            features = predict(pcm).numpy().astype(np.float64)
            features = np.hstack([features, np.ones((len(features), 1))])
            weighted = features * weight[:, None]
            gram += weighted.T @ features
            moment += weighted.T @ target
            done += len(pcm)
            advance(done)
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


def from_pcm(pcm: Any) -> Any:
    """int16 tensor -> float32 in [-1, 1), the in-graph twin of audio.from_int16."""
    return tf.cast(pcm, tf.float32) / AUDIO.pcm_full_scale
