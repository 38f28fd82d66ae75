"""Test that components are scikit-learn's, of training clips alone, and that pictures are reproducible."""

import numpy as np
import pytest

from hearlite.benchmarks.report.dot_plot import COLOURS
from hearlite.benchmarks.studies.embedding_pca import components, grouped, write_picture
from hearlite.errors import InputError


def made_up():
    rng = np.random.default_rng(0)
    return rng.normal(size=(90, 6)) * np.array([5, 3, 1, 1, 1, 1]) + rng.normal(size=(90, 1)), np.arange(90) % 3 == 0


def test_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    values, tested = made_up()
    points, shares = components(values, tested)
    fitted = PCA(2).fit(values[~tested])
    np.testing.assert_allclose(np.abs(points), np.abs(fitted.transform(values[tested])), atol=1e-9)
    np.testing.assert_allclose(shares, fitted.explained_variance_ratio_)


def test_test_clips_move_no_component_and_signs_do_not_flip():
    values, tested = made_up()
    points, _ = components(values, tested)
    moved = values.copy()
    moved[0] += 100
    np.testing.assert_allclose(components(moved, tested)[0][1:], points[1:])
    np.testing.assert_allclose(components(-values, tested)[0], -points)
    assert np.isfinite(components(np.concatenate([values, np.ones((90, 1))], axis=1), tested)[0]).all()
    with pytest.raises(InputError, match="two components need"):
        components(values[:, :1], tested)


def test_labels_beyond_the_colours_are_other_and_unlabelled_clips_are_left_out():
    labels = [f"class {k}" for k in range(9) for _ in range(9 - k)] + [""] * 4
    groups = grouped(labels)
    assert list(groups) == [*(f"class {k}" for k in range(len(COLOURS) - 1)), "all others"]
    assert sum(int(inside.sum()) for inside in groups.values()) == 45
    assert list(grouped(["b", "a", "b"])) == ["b", "a"] and grouped([""]) == {}


def test_the_picture_is_the_same_twice(tmp_path):
    values, tested = made_up()
    drawn = {"teacher": components(values, tested), "student_i8": components(values[:, ::-1], tested)}
    groups = grouped(["cough $x$" if k % 2 else "breath" for k in range(30)])
    pictures = []
    for name in ("a.svg", "b.svg"):
        write_picture(drawn, groups, tmp_path / name, title="lungs")
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    for text in (b"cough $x$", b"student_i8", b"of variance"):
        assert text in pictures[0]
