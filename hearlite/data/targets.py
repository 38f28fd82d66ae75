"""What the student learns to predict: the teacher's vectors, centred and PHI-S-standardised (arXiv:2410.01680).

PCA, then a rotation that gives every coordinate the same variance, then ONE scalar. An error is then uniform over
coordinates, and int8's is too, while distances keep the teacher's geometry up to that scalar: L2-regularised linear
probes can't tell the difference. The other normalisations are what PHI-S is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """z = (teacher - mean) @ projection, and back: teacher = z @ inverse + mean."""

    mean: Float32  # [dim]
    projection: Float32  # [dim, dim]: PCA axes, rotated, divided by the scalar
    inverse: Float32  # [dim, dim]
    rotation: Float32  # [dim, dim] orthogonal: z @ rotation.T is z in PCA axes
    eigenvalues: Float32  # [dim] of z's covariance in PCA axes, descending, mean 1

    def forward(self, vectors: Float32) -> Float32:
        """Teacher vectors `[n, dim]` -> targets `[n, dim]`."""
        return np.asarray((vectors - self.mean) @ self.projection, dtype=np.float32)

    def backward(self, targets: Float32) -> Float32:
        """Targets or embeddings `[n, dim]` -> the teacher's own coordinates `[n, dim]`."""
        return targets @ self.inverse + self.mean

    def save(self, path: Path) -> None:
        """Write the arrays to an .npz."""
        write_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Targets:
        """Read what `save` wrote. Raises InputError."""
        arrays = read_arrays(path)
        if set(arrays) != set(cls.__dataclass_fields__):
            raise InputError(f"{path}: holds {sorted(arrays)}", f"expected {sorted(cls.__dataclass_fields__)}")
        return cls(**arrays)


def fit_targets(
    vectors: Float32, *, normalisation: str = "phi-s", weights: NDArray[np.float64] | None = None
) -> Targets:
    """Fitted on the training records' teacher vectors `[n, dim]`; `normalisation` is one of NORMALISATIONS.

    `weights` `[n]` say how much each counts, by default alike.

    Raises InputError when they are constant or too few.
    """
    if len(vectors) < 2:
        raise InputError(f"{len(vectors)} training clips", "at least 2 are needed, hundreds to learn anything")
    values = np.asarray(vectors, dtype=np.float64)
    mean = np.average(values, axis=0, weights=weights)
    covariance = np.atleast_2d(np.cov(values - mean, rowvar=False, aweights=weights))
    scale = np.sqrt(np.diag(covariance).mean())
    if scale <= 1e-6 * max(1.0, float(np.abs(mean).max())):
        raise InputError(
            f"the teacher gives all {len(vectors)} clips the same vector",
            "check the teacher and the recordings with: hearlite embed",
        )
    scales = np.full(len(mean), scale)  # of the teacher's coordinates
    if normalisation == "standardised":
        deviations = np.sqrt(np.diag(covariance))
        scales = np.where(deviations > 1e-6 * scale, deviations, scale)  # a coordinate that never changes stays at 0
    eigenvalues, axes = np.linalg.eigh(covariance / np.outer(scales, scales))
    eigenvalues, axes = np.maximum(eigenvalues[::-1], 0.0), axes[:, ::-1]
    axes = axes * np.sign(
        axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    )  # eigh's signs are arbitrary: fix them for repeatable runs
    rotation = equalising_rotation(eigenvalues) if normalisation == "phi-s" else axes.T
    turn = axes @ rotation  # the identity where the coordinates stay the teacher's
    return Targets(
        mean=mean.astype(np.float32),
        projection=(turn / scales[:, None]).astype(np.float32),
        inverse=(turn.T * scales).astype(np.float32),
        rotation=rotation.astype(np.float32),
        eigenvalues=eigenvalues.astype(np.float32),
    )


def equalising_rotation(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthogonal `[dim, dim]` that spreads `eigenvalues` evenly.

    Every diagonal entry of R.T @ diag(eigenvalues) @ R is their mean.

    A Hadamard matrix where dim is a power of two, as in PHI-S. Otherwise the Hadamard matrix of dim's power-of-two
    factor times a Hartley matrix of the odd rest, which is even only nearly; plane rotations then make it exact (at
    most dim - 1 are needed, Schur-Horn).
    """
    dim = len(eigenvalues)
    power = dim & -dim
    hadamard = np.ones((1, 1))
    while len(hadamard) < power:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    odd = dim // power
    angle = 2.0 * np.pi * np.outer(np.arange(odd), np.arange(odd)) / odd
    rotation = np.kron(hadamard, np.cos(angle) + np.sin(angle)) / np.sqrt(dim)
    return rotation if odd == 1 else _exactly_even(rotation, eigenvalues)


def _exactly_even(rotation: NDArray[np.float64], eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate pairs of columns, one variance above the mean and one below, until each has the mean."""
    rotation = rotation.copy()
    mean = eigenvalues.mean()
    for _ in range(len(eigenvalues)):
        variances = (rotation**2 * eigenvalues[:, None]).sum(axis=0)
        high, low = int(variances.argmax()), int(variances.argmin())
        if variances[high] - variances[low] < 1e-9 * mean:
            break
        a, b = rotation[:, high], rotation[:, low]
        cross = float((a * b * eigenvalues).sum())
        # cos^2 v_high + sin^2 v_low - 2 sin cos cross = mean, solved for t = tan: one of the two columns becomes exact
        quadratic = variances[low] - mean
        root = np.sqrt(cross**2 - quadratic * (variances[high] - mean))
        tangent = (cross + root) / quadratic
        cosine = 1.0 / np.sqrt(1.0 + tangent**2)
        rotation[:, high], rotation[:, low] = cosine * (a - tangent * b), cosine * (b + tangent * a)
    return rotation
