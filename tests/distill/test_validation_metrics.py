"""The figure that training stops by: blind to what a linear probe is blind to, and not to what the cosine is blind
to.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.data.targets import Targets, fit_targets
from hearlite.distill.validation_metrics import (
    MIN_CLIPS,
    PROBES,
    mean_cosine,
    probe_directions,
    random_probe_correlation,
)
from hearlite.errors import InputError

DIM = 32
SCALES = np.arange(1, DIM + 1) ** -0.75  # variances fall as k^-1.5


def vectors(clips: int, *, seed: int = 0) -> NDArray[np.float32]:
    """A teacher's, with a falling spectrum, a mean, and axes that are not its coordinates."""
    turn = np.linalg.qr(np.random.default_rng(99).standard_normal((DIM, DIM)))[0]
    return np.asarray(
        5.0 + 3.0 * (np.random.default_rng(seed).standard_normal((clips, DIM)) * SCALES) @ turn, dtype=np.float32
    )


@pytest.fixture(scope="module")
def targets() -> Targets:
    return fit_targets(vectors(2000))


def test_no_scale_or_offset_matters(targets: Targets) -> None:
    wanted, directions = targets.forward(vectors(200, seed=1)), probe_directions(targets)
    assert directions.shape == (DIM, PROBES)
    assert random_probe_correlation(wanted, wanted, directions=directions) == pytest.approx(1.0)
    assert random_probe_correlation(0.1 * wanted + 3.0, wanted, directions=directions) == pytest.approx(1.0)
    assert random_probe_correlation(-wanted, wanted, directions=directions) == pytest.approx(-1.0)


def test_unrelated_and_constant_students_keep_nothing(targets: Targets) -> None:
    wanted, directions = targets.forward(vectors(2000, seed=1)), probe_directions(targets)
    assert abs(random_probe_correlation(targets.forward(vectors(2000, seed=2)), wanted, directions=directions)) < 0.05
    assert random_probe_correlation(np.ones_like(wanted), wanted, directions=directions) == 0.0


def test_small_directions_count_more_than_in_the_cosine(targets: Targets) -> None:
    """A student that knows the few largest directions alone has a high cosine, and no probe would be happy with it."""
    wanted, directions = targets.forward(vectors(500, seed=1)), probe_directions(targets)
    axes = wanted @ targets.rotation.T
    axes[:, 8:] = 0.0
    large_only = axes @ targets.rotation
    assert mean_cosine(large_only, wanted) > 0.85
    assert random_probe_correlation(large_only, wanted, directions=directions) < 0.8


@pytest.mark.parametrize("normalisation", ["standardised", "centred"])
def test_the_figure_does_not_depend_on_the_normalisation(targets: Targets, normalisation: str) -> None:
    """The same student, told in the coordinates of two normalisations, is as good in both."""
    other = fit_targets(vectors(2000), normalisation=normalisation)
    truth = vectors(300, seed=1)
    student = truth + np.random.default_rng(3).standard_normal(truth.shape).astype(np.float32)
    found = [
        random_probe_correlation(t.forward(student), t.forward(truth), directions=probe_directions(t))
        for t in (targets, other)
    ]
    assert found[0] == pytest.approx(found[1], abs=0.02)  # other axes' signs, so other random probes of the same kind
    assert 0.3 < found[0] < 0.95


def test_two_clips_always_correlate(targets: Targets) -> None:
    few = targets.forward(vectors(MIN_CLIPS - 1))
    with pytest.raises(InputError, match="2 clips of validation subjects"):
        random_probe_correlation(few, few, directions=probe_directions(targets))
