"""Two linear layers behind a student, in the .tflite itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.tflite.coordinates import append_linear, hartley_matrix

pytestmark = pytest.mark.kernels


def turned(seed: int, *, dim: int, out: int, k: int) -> tuple[NDArray[np.float64], ...]:
    """(down, shift, up, mean), with outputs of very different size."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(1e-3, 10.0, out)[:, None]
    return rng.normal(size=(k, dim)), rng.normal(size=k), sizes * rng.normal(size=(out, k)), rng.normal(size=out)


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_the_file_computes_what_numpy_does(bundle: SimpleNamespace, clips: NDArray[np.int16], precision: str) -> None:
    content = getattr(bundle, precision).read_bytes()
    audio = from_int16(clips)
    plain = TfliteEmbedder(content).embed(audio).astype(np.float64)
    down, shift, up, mean = turned(0, dim=plain.shape[1], out=48, k=16)
    model = TfliteEmbedder(append_linear(content, down=down, shift=shift, up=up, mean=mean), output="embedding")
    assert model.info.dim == 48
    expected, found = (plain @ down.T + shift) @ up.T, model.embed(audio) - mean
    # Of each coordinate, however small it is: int8 has 127 steps, in each of two layers. A coordinate whose terms happen
    # to cancel shows more of the rounding than most (by 0.05 with some kernels); one step for all would leave more than 1.
    error = np.sqrt(((found - expected) ** 2).mean(axis=0) / (expected**2).mean(axis=0))
    assert np.median(error) < 0.03, error
    assert error.max() < 0.15, error


def test_coordinates_that_do_not_fit_are_refused(bundle: SimpleNamespace) -> None:
    down, shift, up, mean = turned(0, dim=31, out=48, k=16)
    with pytest.raises(InputError, match=r"31 dimensions do not fit an output of \[1, 32\]"):
        append_linear(bundle.f32.read_bytes(), down=down, shift=shift, up=up, mean=mean)


@pytest.mark.parametrize("size", [1, 2, 48, 53])
def test_directions_are_spread_by_a_rotation(size: int) -> None:
    matrix = hartley_matrix(size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)
    spread = (matrix**2) @ np.geomspace(1.0, 1e-3, size)
    assert spread.max() < 2.1 * spread.mean()
