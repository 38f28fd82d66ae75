"""Build a network with all parts of a student, small enough to convert in a second."""

from __future__ import annotations

import dataclasses
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

_PATCHES = {"stem_kernel": (4, 4), "stem_stride": (4, 4)}
# The same as SMALL with the other kinds of blocks, unequal strides and stems that cut patches.
SMALL_SHAPES = {
    "narrow": dataclasses.replace(
        SMALL,
        **_PATCHES,
        blocks=(
            Block(16, 8, kind="narrow"),
            Block(16, 8, (3, 5), (2, 2), kind="narrow"),
            Block(16, 8, kind="narrow", tap=True),
            Block(16, 12, (3, 3), (1, 2), kind="narrow"),
        ),
    ),
    "dense": dataclasses.replace(
        SMALL,
        **_PATCHES,
        blocks=(
            Block(0, 8, stride=(2, 2), kind="dense"),
            Block(12, 8, kind="dense", tap=True),
            Block(12, 12, (3, 3), (1, 2), kind="dense"),
        ),
    ),
    "mixed": dataclasses.replace(
        SMALL,
        **_PATCHES,
        blocks=(
            Block(12, 8, stride=(2, 2), kind="dense"),
            Block(12, 8, kind="dense", tap=True),
            Block(24, 12, (3, 5), (1, 2), kind="narrow"),
        ),
    ),
    "2d-1d": dataclasses.replace(
        SMALL,
        **_PATCHES,
        blocks=(
            Block(12, 8, stride=(2, 2), kind="dense"),
            Block(16, 16, (1, 0), kind="dense"),
            Block(16, 16, (3, 1), kind="dense", tap=True),
        ),
    ),
    "1d": dataclasses.replace(
        SMALL,
        stem_channels=16,
        stem_kernel=(4, STUDENT_FRONTEND.mels),
        stem_stride=(4, STUDENT_FRONTEND.mels),
        blocks=(
            Block(16, 16, (5, 1), (2, 1), kind="dense"),
            Block(16, 16, (3, 1), kind="dense", tap=True),
        ),
    ),
}


def small_images(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Generate images like those that PCEN outputs: bands of noise, each at a level of its own.

    Parameters
    ----------
    count : int
        Number of images.
    seed : int
        Seed of the noise.

    Returns
    -------
    float32 array [count, frames, mels, 1]
        The images.
    """
    from hearlite.spec import AUDIO

    rng = np.random.default_rng(seed)
    frames, mels = STUDENT_FRONTEND.frames(AUDIO.clip_samples), STUDENT_FRONTEND.mels
    envelope = rng.uniform(0.0, 1.0, (count, 1, mels // 8, 1)).repeat(8, axis=2) * rng.uniform(
        0.0, 1.0, (count, frames // 16, 1, 1)
    ).repeat(16, axis=1)
    return (envelope * rng.uniform(0.0, 2.0, (count, frames, mels, 1))).astype(np.float32)


def small_network(spec: StudentSpec = SMALL) -> Any:
    """Return a Keras model with random weights, and batch norms adapted to `small_images`."""
    import tf_keras

    from hearlite.student import build_network

    tf_keras.utils.set_random_seed(0)
    network = build_network(spec, batchnorm_momentum=0.5)
    images = small_images(32)
    for _ in range(12):
        network(images, training=True)
    network.get_layer("embedding").bias.assign(np.linspace(-0.1, 0.1, spec.embedding_dim))
    return network


def run_file(model: bytes, items: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a .tflite file with one output.

    Parameters
    ----------
    model : bytes
        Content of the file.
    items : float32 array [n, ...]
        Inputs.

    Returns
    -------
    float32 array [n, dim]
        Outputs.
    """
    from hearlite.tflite.interpreter import TfliteModel

    runner = TfliteModel(model)
    return np.concatenate([next(iter(runner.run(item[None]).values())) for item in items])
