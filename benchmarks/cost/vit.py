"""A SavedModel with HeAR's signature and architecture in any size, with random weights: SHAPE ONLY.

For the tests of the `hear:` path, and as the yardstick of latency: at HEAR_VIT it costs what HeAR costs. The
architecture is that of the model card of google/hear: the published frontend, ViT with 16 x 16 patches, CLS token,
learned positions, pre-norm blocks, a linear output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM, HEAR_FRONTEND

PATCH = 16  # frames and mel bands; HeAR's image of 192 x 128 has 12 x 8 patches
_NORM_EPSILON = 1e-6  # layer norm [google/hear]


@dataclass(frozen=True)
class VitSize:
    """Width, blocks, attention heads and hidden units of a ViT."""

    width: int
    depth: int
    heads: int
    mlp: int

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads, self.mlp) < 1 or self.width % self.heads:
            raise UsageError(f"ViT size is {self}", "all must be positive and the width a multiple of the heads")


HEAR_VIT = VitSize(width=1024, depth=24, heads=16, mlp=4096)  # ViT-L, google/hear

_Shapes = dict[str, tuple[int, ...]]


def parameter_shapes(size: VitSize, *, dim: int = HEAR_EMBEDDING_DIM) -> _Shapes:
    """Shape of every weight by name, without building anything."""
    width = size.width
    shapes: _Shapes = {
        "patch/kernel": (PATCH * PATCH, width),
        "patch/bias": (width,),
        "cls": (1, 1, width),
        "positions": (1, _patches() + 1, width),
    }
    for i in range(size.depth):
        linears = {
            "qkv": (width, 3 * width),
            "proj": (width, width),
            "fc1": (width, size.mlp),
            "fc2": (size.mlp, width),
        }
        for name, (inputs, outputs) in linears.items():
            shapes |= {f"{i}/{name}/kernel": (inputs, outputs), f"{i}/{name}/bias": (outputs,)}
        shapes |= {f"{i}/{norm}/{part}": (width,) for norm in ("norm1", "norm2") for part in ("scale", "bias")}
    return shapes | {"norm/scale": (width,), "norm/bias": (width,), "head/kernel": (width, dim), "head/bias": (dim,)}


def parameter_count(size: VitSize, *, dim: int = HEAR_EMBEDDING_DIM) -> int:
    """Return the number of weights: 303.2 million for HEAR_VIT."""
    return sum(math.prod(shape) for shape in parameter_shapes(size, dim=dim).values())


def build_hear_like_saved_model(
    folder: Path, *, size: VitSize = HEAR_VIT, dim: int = HEAR_EMBEDDING_DIM, seed: int = 0
) -> None:
    """Write a SavedModel with HeAR's signature and seeded random weights.

    `serving_default`, `x` float32 `[n, clip_samples]` -> `output_0` float32 `[n, dim]`.

    Raises InputError if the folder exists, MissingExtraError without TensorFlow. HEAR_VIT takes 1.2 GB.
    """
    if folder.exists():
        raise InputError(f"{folder} exists", "name a new folder")
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise MissingExtraError("a HeAR-shaped SavedModel", "tensorflow", "train") from error
    module = hear_like_module(size=size, dim=dim, seed=seed)

    @tf.function(input_signature=[tf.TensorSpec([None, AUDIO.clip_samples], tf.float32, name="x")])
    def serve(x: Any) -> dict[str, Any]:
        return {"output_0": module.embed(x)}

    module.serve = serve
    temporary = folder.with_name(f".{folder.name}.tmp")
    tf.saved_model.save(module, str(temporary), signatures={"serving_default": serve})
    temporary.replace(folder)


def hear_like_module(*, size: VitSize = HEAR_VIT, dim: int = HEAR_EMBEDDING_DIM, seed: int = 0) -> Any:
    """Return a tf.Module whose `embed` takes float32 `[n, clip_samples]` to float32 `[n, dim]`.

    Seeded random weights.
    """
    import tensorflow as tf

    from hearlite.audio.frontend_tf import Frontend

    rng = np.random.default_rng(seed)
    module = tf.Module()
    module.frontend = Frontend(HEAR_FRONTEND)
    module.weights = {
        name: tf.Variable(_initial(name, shape, rng), name=name)
        for name, shape in parameter_shapes(size, dim=dim).items()
    }
    module.embed = lambda clips: _vit(tf, module.weights, module.frontend(clips), size)
    return module


def _patches() -> int:
    return (HEAR_FRONTEND.frames(AUDIO.clip_samples) // PATCH) * (HEAR_FRONTEND.mels // PATCH)


def _initial(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    if name.endswith("/scale"):
        return np.ones(shape, dtype=np.float32)
    if name.endswith("/bias"):
        return np.zeros(shape, dtype=np.float32)
    return rng.standard_normal(shape, dtype=np.float32) / np.float32(
        math.sqrt(shape[0])
    )  # LeCun: no layer shrinks or blows up what it gets


def _vit(tf: Any, weights: Any, image: Any, size: VitSize) -> Any:
    """Return the embedding `[n, dim]` of an image `[n, frames, mels, 1]`.

    The CLS token of the last layer norm through a linear layer.
    """
    rows, columns = image.shape[1] // PATCH, image.shape[2] // PATCH
    x = tf.reshape(image, [-1, rows, PATCH, columns, PATCH])
    x = tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4]), [-1, rows * columns, PATCH * PATCH])  # [n, patches, pixels]
    x = _linear(tf, weights, "patch", x)  # [n, patches, width]
    x = (
        tf.concat([tf.repeat(weights["cls"], tf.shape(x)[0], axis=0), x], axis=1) + weights["positions"]
    )  # [n, tokens, width]
    for i in range(size.depth):
        x += _attention(tf, weights, f"{i}", _norm(tf, weights, f"{i}/norm1", x), size)
        hidden = tf.nn.gelu(_linear(tf, weights, f"{i}/fc1", _norm(tf, weights, f"{i}/norm2", x)), approximate=True)
        x += _linear(tf, weights, f"{i}/fc2", hidden)
    return _linear(tf, weights, "head", _norm(tf, weights, "norm", x)[:, 0])


def _attention(tf: Any, weights: Any, block: str, x: Any, size: VitSize) -> Any:
    per_head = size.width // size.heads
    qkv = tf.reshape(_linear(tf, weights, f"{block}/qkv", x), [-1, x.shape[1], 3, size.heads, per_head])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))  # [n, heads, tokens, per_head]
    attention = tf.nn.softmax(
        tf.matmul(query, key, transpose_b=True) / math.sqrt(per_head)
    )  # [n, heads, tokens, tokens]
    mixed = tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3])  # [n, tokens, heads, per_head]
    return _linear(tf, weights, f"{block}/proj", tf.reshape(mixed, [-1, x.shape[1], size.width]))


def _linear(tf: Any, weights: Any, name: str, x: Any) -> Any:
    return tf.matmul(x, weights[f"{name}/kernel"]) + weights[f"{name}/bias"]


def _norm(tf: Any, weights: Any, name: str, x: Any) -> Any:
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + _NORM_EPSILON) * weights[f"{name}/scale"] + weights[f"{name}/bias"]
