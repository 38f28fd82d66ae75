"""Shapes of peers have the geometry that is published. The largest is counted, never built."""

import pytest

from hearlite.benchmarks.cost.reference_models import FRILL, HEAR, MN04, MN10, SHAPES, shape_footprint, shape_path
from hearlite.benchmarks.cost.vit import HEAR_VIT, parameter_count
from hearlite.errors import UsageError

PUBLISHED_WITHIN = 0.01  # batch norms' statistics, which some count


def test_an_unknown_shape_is_refused():
    with pytest.raises(UsageError, match="peer is 'hear'"):
        shape_path("hear")


@pytest.mark.parametrize("name", [FRILL, MN04, MN10])
def test_convolutional_shapes_have_the_published_parameters(name):
    pytest.importorskip("tensorflow", reason="the extra `train` is not installed")
    from hearlite.benchmarks.cost.reference_networks import _WIDTHS, efficientat, frill

    model = frill() if name == FRILL else efficientat(_WIDTHS[name])
    trained = sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)
    assert trained == pytest.approx(SHAPES[name].parameters, rel=PUBLISHED_WITHIN)


def test_transformers_have_the_published_parameters():
    pytest.importorskip("tensorflow", reason="the extra `train` is not installed")
    from hearlite.benchmarks.cost.reference_networks import VITS

    assert VITS[HEAR] == HEAR_VIT
    for name, size in VITS.items():
        assert parameter_count(size) == pytest.approx(SHAPES[name].parameters, rel=PUBLISHED_WITHIN)


@pytest.mark.slow
def test_a_shape_is_built_once_into_the_cache(tmp_path):
    pytest.importorskip("tensorflow", reason="the extra `train` is not installed")
    found = shape_footprint(MN04, folder=tmp_path)
    assert found.kind == "shape" and found.note.startswith("shape only") and found.audio_s == 10.0
    assert found.macs == pytest.approx(0.11e9, rel=0.05)  # as published
    before = shape_path(MN04, folder=tmp_path).stat().st_mtime_ns
    assert shape_footprint(MN04, folder=tmp_path) == found
    assert shape_path(MN04, folder=tmp_path).stat().st_mtime_ns == before
