"""A network with everything that the students have, small enough to convert in a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.spec import STUDENT_FRONTEND, Block, StudentSpec

SMALL = StudentSpec(
    size="tiny",
    frontend=STUDENT_FRONTEND,
    stem_channels=4,
    blocks=(
        Block(0, 8, stride=(2, 2)),
        Block(16, 8, stride=(2, 2)),
        Block(16, 8, tap=True),
        Block(16, 12, stride=(2, 2)),
    ),
    head_channels=16,
    embedding_dim=16,
)


def small_images(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """float32 `[count, frames, mels, 1]`: bands of noise at a level of their own, as PCEN gives."""
    from hearlite.spec import AUDIO

    rng = np.random.default_rng(seed)
    frames, mels = STUDENT_FRONTEND.frames(AUDIO.clip_samples), STUDENT_FRONTEND.mels
    envelope = rng.uniform(0.0, 1.0, (count, 1, mels // 8, 1)).repeat(8, axis=2) * rng.uniform(
        0.0, 1.0, (count, frames // 16, 1, 1)
    ).repeat(16, axis=1)
    return (envelope * rng.uniform(0.0, 2.0, (count, frames, mels, 1))).astype(np.float32)


def small_network() -> Any:
    """Keras model, random weights, batch norms that know `small_images`."""
    import tf_keras

    from hearlite.student import build_network

    tf_keras.utils.set_random_seed(0)
    network = build_network(SMALL, batchnorm_momentum=0.5)
    images = small_images(32)
    for _ in range(12):
        network(images, training=True)
    network.get_layer("embedding").bias.assign(np.linspace(-0.1, 0.1, SMALL.embedding_dim))
    return network


def run_file(model: bytes, items: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a .tflite with one output gives, `[n, dim]`."""
    from hearlite.tflite.interpreter import TfliteModel

    runner = TfliteModel(model)
    return np.concatenate([next(iter(runner.run(item[None]).values())) for item in items])
