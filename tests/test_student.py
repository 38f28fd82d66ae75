"""The student's sizes as a snapshot, its independence of the clip's length, and its weights on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.errors import InputError, UsageError
from hearlite.files import read_arrays, write_arrays
from hearlite.run import Run
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM, STUDENTS, student_spec
from hearlite.student import StudentEmbedder, build_network, count_macs, load_network, weights_of, with_frontend

TINY = student_spec("tiny", embedding_dim=24)


@pytest.fixture(scope="module")
def network() -> Any:
    tf_keras.utils.set_random_seed(0)
    return build_network(TINY)


@pytest.mark.parametrize(
    ("size", "parameters", "macs"),
    [("tiny", 413_120, 12_263_296), ("small", 1_244_096, 41_614_400), ("base", 1_814_576, 107_341_056)],
)
def test_parameters_and_macs(size: str, parameters: int, macs: int) -> None:
    """A snapshot: whoever changes an architecture changes these, and says so. Parameters as trained, batch norms and their statistics included."""
    network = build_network(STUDENTS[size])
    assert (network.count_params(), count_macs(network)) == (parameters, macs)
    assert network.output_shape == (None, HEAR_EMBEDDING_DIM)


def test_macs_of_a_layer_by_hand() -> None:
    """The stem: 3 x 3 x 1 weights for 80 x 32 places in 16 channels; time and frequency are halved once."""
    stem = build_network(TINY).get_layer("stem")
    assert stem.output_shape == (None, 80, 32, 16)
    assert count_macs(tf_keras.Model(stem.input, stem.output)) == 80 * 32 * 16 * 9


def test_unknown_size() -> None:
    with pytest.raises(UsageError, match=r"'huge'.*tiny, small, base"):
        student_spec("huge", embedding_dim=8)


def test_only_layers_that_quantize(network: Any) -> None:
    kinds = {type(layer).__name__ for layer in network.layers}
    assert kinds == {"InputLayer", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add", "GlobalAveragePooling2D", "Dense"}


def test_the_same_weights_take_other_lengths(network: Any) -> None:
    """Fully convolutional in time. A hop of half the samples makes twice the frames of the same clip."""
    longer_frontend = dataclasses.replace(TINY.frontend, hop_samples=TINY.frontend.hop_samples // 2)
    longer = build_network(dataclasses.replace(TINY, frontend=longer_frontend))
    assert longer.input_shape[1] == 2 * network.input_shape[1]
    longer.set_weights(network.get_weights())
    image = np.random.default_rng(0).random((1, *network.input_shape[1:])).astype(np.float32)
    periodic = np.concatenate([image] * 2, axis=1)
    once, twice = network(image).numpy(), longer(periodic).numpy()
    assert once.shape == twice.shape == (1, TINY.embedding_dim)
    # pooled over time, a repeated image differs from a single one at the seam only
    assert np.linalg.norm(once - twice) < 0.2 * np.linalg.norm(once)


def test_a_clip_does_not_depend_on_its_batch(network: Any, clips: NDArray[np.int16]) -> None:
    model = with_frontend(network, TINY)
    audio = from_int16(clips[:4])
    together = model(audio, training=False).numpy()
    alone = np.concatenate([model(clip[None], training=False).numpy() for clip in audio])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4 * np.abs(together).max())


def test_weights_round_trip(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, weights_of(network))
    again = load_network(TINY, path)
    assert [weight.name for weight in again.weights] == [weight.name for weight in network.weights]
    for ours, theirs in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", ["another size", "another dim", "one missing", "one more"])
def test_weights_that_do_not_fit_are_refused(network: Any, tmp_path: Path, damage: str) -> None:
    arrays, spec, path = weights_of(network), TINY, tmp_path / "weights.npz"
    if damage == "another size":
        spec = student_spec("small", embedding_dim=TINY.embedding_dim)
    elif damage == "another dim":
        spec = student_spec("tiny", embedding_dim=TINY.embedding_dim + 1)
    elif damage == "one missing":
        del arrays["stem/kernel:0"]
    else:
        arrays["extra"] = np.zeros(3, np.float32)
    write_arrays(path, arrays)
    with pytest.raises(InputError, match="does not fit the") as caught:
        load_network(spec, path)
    assert "hearlite distill" in caught.value.hint


def test_damaged_weights_are_refused(tmp_path: Path, network: Any) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, weights_of(network))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"not a readable \.npz"):
        load_network(TINY, path)


def test_student_embedder(tiny_run: Run, clips: NDArray[np.int16]) -> None:
    embedder = StudentEmbedder(tiny_run)
    vectors = embedder.embed(from_int16(clips))
    assert vectors.shape == (len(clips), embedder.info.dim) == (8, 32)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.embed(np.zeros((0, AUDIO.clip_samples), np.float32)).shape == (0, 32)
    assert embedder.info.licence == tiny_run.spec.teacher.licence
    assert embedder.info.standin == tiny_run.spec.teacher.standin
    with pytest.raises(InputError, match="shape"):
        embedder.embed(from_int16(clips)[:, :-1])


def test_weights_hold_no_objects(tiny_run: Run) -> None:
    assert {array.dtype for array in read_arrays(tiny_run.weights).values()} == {np.dtype(np.float32)}
