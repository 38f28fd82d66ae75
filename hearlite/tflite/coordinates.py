"""Turn a student's embedding into its teacher's coordinates, inside the .tflite.

`TeacherCoordinates` describes that in a manifest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.files import read_arrays
from hearlite.tflite.builder import add_hybrid_linear, add_operator, add_tensor
from hearlite.tflite.model_file import load, save

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TeacherCoordinates:
    """How a file's embedding came to be in the teacher's coordinates, so that the teacher's classifiers take it.

    Each principal direction of the teacher's vectors is multiplied by its reliability: the slope of the teacher on the
    student over clips of subjects that the student did not learn from, between 0 and 1. What a student doesn't know is
    then 0 instead of noise.
    """

    corpus: str  # the dataset whose clips it was fitted to; "" for all that the student was distilled on

    directions: int  # principal directions that are kept
    reliability: float  # mean over these, each in 0 to 1
    clips: int  # that it was fitted to
    subjects: int  # of them; validation subjects
    # Share of the teacher's variance that the embedding explains, each clip by a fit to other subjects; below 0 where
    # the teacher's mean would be nearer.
    explained: float
    explained_unshrunk: float  # the same with every reliability at 1

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for values that have the right type but are not valid."""
        if min(self.directions, self.clips, self.subjects) < 1 or not 0 <= self.reliability <= 1:
            raise InputError(
                f"{where}: the teacher's coordinates are {self}",
                "expected at least one direction, clip and subject, and a reliability of 0 to 1",
            )


@dataclass(frozen=True)
class Inverse:
    """The way from a file's own coordinates to its teacher's: embedding @ inverse + mean."""

    mean: NDArray[np.float32]  # [dim]
    inverse: NDArray[np.float32]  # [dim, dim]


def inverse_path(model: Path) -> Path:
    """Return the path of the matrix that belongs to a .tflite file in coordinates of its own."""
    return model.with_name(f"{model.stem}.inverse.npz")


def read_inverse(model: Path, *, dim: int) -> Inverse | None:
    """Return the way to the teacher's coordinates for embeddings of `dim` dimensions, None without the .inverse.npz.

    Raises
    ------
    InputError
        When it is damaged or of another size.
    """
    path = inverse_path(model)
    if not path.is_file():
        return None
    arrays = read_arrays(path)
    shapes = {name: values.shape for name, values in arrays.items()}
    if shapes != {"mean": (dim,), "inverse": (dim, dim)} or not all(
        np.isfinite(values).all() for values in arrays.values()
    ):
        raise InputError(
            f"{path}: it holds {shapes}", f"expected finite mean [{dim}] and inverse [{dim}, {dim}]; export again"
        )
    return Inverse(**arrays)


def append_linear(content: bytes, *, down: Floats, shift: Floats, up: Floats, mean: Floats) -> bytes:
    """Append two linear layers to a .tflite: its embedding e becomes up @ (down @ e + shift) + mean.

    Both have int8 weights. The rows of `up` are scaled alike before they are rounded, and each output by a float32 of
    its own afterwards, because a teacher's coordinates differ in size and one scale for all would lose the small ones.

    Parameters
    ----------
    content : bytes
        A .tflite whose only output is a float32 embedding `[1, dim]`; its name in the signature stays.
    down : array [k, dim]
        First layer. Rows of its output should vary alike: they are rounded to int8 together in each call.
    shift : array [k]
        Added to it: best what gives it mean 0.
    up : array [out, k]
        Second layer.
    mean : array [out]
        Added at the end.

    Returns
    -------
    bytes
        The .tflite with an embedding `[1, out]`.

    Raises
    ------
    InputError
        When the model's output does not fit.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = load(content)
    graph = model.subgraphs[0]
    given = int(graph.outputs[0])
    shape = [int(size) for size in graph.tensors[given].shape]
    if len(graph.outputs) != 1 or shape != [1, down.shape[1]] or graph.tensors[given].type != schema.TensorType.FLOAT32:
        raise InputError(f"coordinates of {down.shape[1]} dimensions do not fit an output of {shape}")
    (entry,) = model.signatureDefs[0].outputs
    name = graph.tensors[given].name
    graph.tensors[given].name = b"student/" + name
    norms = np.linalg.norm(up, axis=1, keepdims=True)
    norms[norms == 0] = 1.0  # a coordinate that no direction reaches stays at its mean
    hidden = add_hybrid_linear(model, given, down, name="coordinates/down", bias=shift)
    even = add_hybrid_linear(model, hidden, up / norms, name="coordinates/up")
    sizes = add_tensor(model, "coordinates/sizes", [len(mean)], norms[:, 0])
    scaled = add_tensor(model, "coordinates/scaled", [1, len(mean)])
    multiply, add = schema.MulOptionsT(), schema.AddOptionsT()
    add_operator(model, schema.BuiltinOperator.MUL, [even, sizes], scaled, multiply, schema.BuiltinOptions.MulOptions)
    offset = add_tensor(model, "coordinates/mean", [len(mean)], mean)
    result = add_tensor(model, name.decode(), [1, len(mean)])
    add_operator(model, schema.BuiltinOperator.ADD, [scaled, offset], result, add, schema.BuiltinOptions.AddOptions)
    graph.outputs, entry.tensorIndex = [result], result
    return save(model)


def hartley_matrix(size: int) -> Floats:
    """Return an orthogonal matrix `[size, size]` that spreads every direction over all coordinates.

    The discrete Hartley transform; of white directions of different variance it makes coordinates that vary nearly
    alike.
    """
    angle = 2.0 * math.pi * np.outer(np.arange(size), np.arange(size)) / size
    return np.asarray((np.cos(angle) + np.sin(angle)) / math.sqrt(size))
