"""Outputs over time: their mean is the embedding, and that of their logits the head's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.errors import InputError, UsageError
from hearlite.tflite.classifier import FittedHead, Head, HeadLabel, fuse
from hearlite.tflite.coordinates import append_linear
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.steps import add_steps

pytestmark = pytest.mark.kernels


def head(dim: int, *, kind: str = "sigmoid") -> FittedHead:
    rng = np.random.default_rng(0)
    labels = tuple(HeadLabel(name, 1, 1, 0.5, None, None, 0.5) for name in ("cough", "sneeze", "other"))
    description = Head(kind, "scores", labels, "data", "0" * 64, True, 2, 2, 0, (), "rule")
    return FittedHead(description, rng.normal(size=(3, dim)) / np.sqrt(dim), rng.normal(size=3))


def logits(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = scores.astype(np.float64)
    return np.log(wide) - np.log1p(-wide)


@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-5), ("i8", 0.03)])
def test_the_mean_over_time_is_the_whole(
    bundle: SimpleNamespace, clips: NDArray[np.int16], precision: str, tolerance: float
) -> None:
    """In float32 exactly, but for the order of additions; in int8 within a step of what the head's layers read."""
    content = getattr(bundle, precision).read_bytes()
    plain = TfliteModel(content)
    fitted = head(plain.outputs[0].shape[-1])
    fused = fuse(content, fitted)
    over_time, steps = add_steps(fused, outputs=("embedding", "scores"), window_s=2.0, head=fitted)
    assert (steps.count, steps.step_s) == (10, pytest.approx(0.2))
    before, after = TfliteModel(fused), TfliteModel(over_time)
    for clip in from_int16(clips):
        old, new = before.run(clip[None]), after.run(clip[None])
        for name in ("embedding", "scores"):
            assert np.array_equal(old[name], new[name]), "what was there does not change"
        scale = np.abs(new["embedding"]).max()
        assert np.abs(new["embedding_steps"].mean(axis=0) - new["embedding"][0]).max() <= tolerance * scale
        found, whole = logits(new["scores_steps"]).mean(axis=0), logits(new["scores"][0])
        assert np.abs(found - whole).max() <= tolerance * max(1.0, np.abs(whole).max())
        assert np.ptp(new["embedding_steps"], axis=0).max() > 0.01 * scale, "and they do differ over time"


def test_a_step_sees_its_own_time(bundle: SimpleNamespace, clips: NDArray[np.int16]) -> None:
    """A change at the end of the window leaves the first steps nearly as they are."""
    content, _ = add_steps(bundle.f32.read_bytes(), outputs=("embedding",), window_s=2.0)
    model = TfliteModel(content)
    clip = from_int16(clips[0])
    other = clip.copy()
    other[-3_200:] = np.random.default_rng(0).normal(0, np.abs(clip).mean(), 3_200).astype(np.float32)
    change = np.abs(model.run(clip[None])["embedding_steps"] - model.run(other[None])["embedding_steps"]).mean(axis=1)
    assert change[-1] > 3.0 * change[:4].max()


def test_steps_may_lean_on_their_window(bundle: SimpleNamespace, clips: NDArray[np.int16]) -> None:
    content = bundle.f32.read_bytes()
    fitted = head(TfliteModel(content).outputs[0].shape[-1])
    alone, leaning = (
        TfliteModel(add_steps(fuse(content, fitted), outputs=("scores",), window_s=2.0, head=fitted, focus=focus)[0])
        for focus in (1.0, 0.25)
    )
    for clip in from_int16(clips[:3]):
        own, mixed = (logits(model.run(clip[None])["scores_steps"]) for model in (alone, leaning))
        assert mixed == pytest.approx(0.25 * own + 0.75 * own.mean(axis=0), abs=1e-4)
        assert mixed.mean(axis=0) == pytest.approx(own.mean(axis=0), abs=1e-4)


def test_softmax_of_steps_sums_to_1(bundle: SimpleNamespace, clips: NDArray[np.int16]) -> None:
    fitted = head(32, kind="softmax")
    content, steps = add_steps(fuse(bundle.f32.read_bytes(), fitted), outputs=("scores",), window_s=2.0, head=fitted)
    assert (steps.embedding, steps.scores) == ("", "scores_steps")
    found = TfliteModel(content).run(from_int16(clips[:1]))["scores_steps"]
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_what_can_not_be_had_is_refused(bundle: SimpleNamespace) -> None:
    content = bundle.f32.read_bytes()
    with pytest.raises(UsageError, match="need a classifier head"):
        add_steps(content, outputs=("scores",), window_s=2.0)
    with pytest.raises(UsageError, match="use scores or embedding"):
        add_steps(content, outputs=("logits",), window_s=2.0)
    dim = TfliteModel(content).outputs[0].shape[-1]
    turned = append_linear(content, down=np.eye(dim), shift=np.zeros(dim), up=np.eye(dim), mean=np.zeros(dim))
    with pytest.raises(InputError, match="the student's own coordinates"):
        add_steps(turned, outputs=("embedding",), window_s=2.0)
