"""mel-PCEN against librosa and tf.signal, the layer against numpy, in Keras and as a converted file; what must not
change an image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.frontend import (
    frontend_numpy,
    hann,
    mel_matrix,
    normalise,
    pcen,
    power_spectrum,
    resize_matrix,
    smoother_matrix,
)
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO, HEAR_FRONTEND, STUDENT_FRONTEND, STUDENTS, FrontendSpec
from hearlite.tflite.interpreter import TfliteModel

pytestmark = pytest.mark.kernels

SPECS = {"hear": HEAR_FRONTEND, "student": STUDENT_FRONTEND, "base": STUDENTS["base"].frontend}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


@pytest.fixture(scope="module")
def audio(clips: NDArray[np.int16]) -> NDArray[np.float32]:
    """float32 `[n, clip_samples]`: synthetic respiratory sounds, then noise, quiet noise, a click, silence, and noise
    on a DC offset.
    """
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1.0, 1.0, AUDIO.clip_samples)
    click = np.zeros(AUDIO.clip_samples)
    click[AUDIO.clip_samples // 3] = 0.9
    made = np.stack([0.3 * noise, 1e-3 * noise, click, np.zeros_like(noise), 0.6 + 0.05 * noise])
    return np.vstack([from_int16(clips), made.astype(np.float32)])


@pytest.fixture(scope="module")
def tones() -> NDArray[np.float32]:
    t = np.arange(AUDIO.clip_samples) / AUDIO.sample_rate_hz
    return np.asarray([np.sin(2 * np.pi * hz * t) for hz in (100.0, 440.0, 1234.5, 3000.0, 7000.0)], dtype=np.float32)


@pytest.fixture(scope="module")
def layers() -> dict[str, Any]:
    tf = pytest.importorskip("tensorflow")
    from hearlite.audio.frontend_tf import Frontend

    return {name: tf.function(Frontend(spec)) for name, spec in SPECS.items()}


@each_spec
def test_mel_matrix_is_that_of_tensorflow(spec: FrontendSpec) -> None:
    tf = pytest.importorskip("tensorflow")
    theirs = tf.signal.linear_to_mel_weight_matrix(
        spec.mels, spec.fft_length // 2 + 1, spec.sample_rate_hz, spec.low_hz, spec.high_hz, dtype=tf.float64
    ).numpy()
    np.testing.assert_allclose(mel_matrix(spec), theirs, rtol=0, atol=1e-9)


def test_hears_mel_matrix_has_four_empty_bands() -> None:
    matrix = mel_matrix(HEAR_FRONTEND)
    assert np.flatnonzero(~matrix.any(axis=0)).tolist() == [0, 3, 6, 13]
    assert np.count_nonzero(matrix) == 394
    assert not matrix[0].any()  # the DC bin


@each_spec
def test_power_spectrum_is_that_of_librosa(spec: FrontendSpec, audio: NDArray[np.float32]) -> None:
    import librosa

    clips = normalise(audio.astype(np.float64), spec=spec)
    ours = power_spectrum(clips, spec=spec)
    tail = (spec.stft_frames(AUDIO.clip_samples) - 1) * spec.hop_samples + spec.window_samples - AUDIO.clip_samples
    padded = np.pad(clips, ((0, 0), (0, tail)))
    theirs = (
        np.abs(
            librosa.stft(
                padded, n_fft=spec.fft_length, hop_length=spec.hop_samples, win_length=spec.window_samples, center=False
            )
        )
        ** 2
    )
    np.testing.assert_allclose(ours, theirs.transpose(0, 2, 1), rtol=1e-9, atol=1e-9)


def test_hann_is_periodic() -> None:
    from scipy.signal import get_window

    np.testing.assert_allclose(
        hann(HEAR_FRONTEND), get_window("hann", HEAR_FRONTEND.window_samples, fftbins=True), atol=1e-15
    )


def test_pcen_is_that_of_librosa() -> None:
    import librosa

    energy = np.random.default_rng(0).lognormal(0.0, 4.0, (2, 50, 16))
    spec = HEAR_FRONTEND
    theirs = [
        librosa.pcen(
            clip.T,
            gain=spec.pcen_alpha,
            bias=spec.pcen_delta,
            power=1.0 / spec.pcen_root,
            b=spec.pcen_smoothing,
            eps=spec.pcen_floor,
            zi=(1.0 - spec.pcen_smoothing) * clip.T[:, :1],  # so that the smoother starts at the first frame
        ).T
        for clip in energy
    ]
    np.testing.assert_allclose(pcen(energy, spec=spec), theirs, rtol=1e-9, atol=1e-12)


def test_smoother_matrix_is_the_recursion() -> None:
    energy = np.random.default_rng(0).lognormal(size=(1, 40, 3))
    spec = dataclasses.replace(HEAR_FRONTEND, pcen_alpha=0.0, pcen_delta=0.0, pcen_root=1.0)
    assert np.array_equal(pcen(energy, spec=spec), energy)  # without gain and root, PCEN is the identity
    smooth = [energy[0, 0]]
    for frame in energy[0, 1:]:
        smooth.append(0.96 * smooth[-1] + 0.04 * frame)
    np.testing.assert_allclose(smoother_matrix(40, smoothing=0.04) @ energy[0], smooth, rtol=1e-12)


@pytest.mark.parametrize(("frames", "resized"), [(200, 192), (192, 200), (7, 20), (20, 7), (5, 5)])
def test_resize_is_that_of_tensorflow(frames: int, resized: int) -> None:
    tf = pytest.importorskip("tensorflow")
    image = np.random.default_rng(0).standard_normal((1, frames, 8, 1)).astype(np.float32)
    theirs = tf.image.resize(image, (resized, 8), method="bilinear", antialias=False).numpy()[0, :, :, 0]
    np.testing.assert_allclose(
        resize_matrix(frames, resized) @ image[0, :, :, 0], theirs, atol=1e-4
    )  # they find positions in float32


@pytest.mark.parametrize("name", SPECS)
def test_layer_equals_numpy(name: str, audio: NDArray[np.float32], layers: dict[str, Any]) -> None:
    image = layers[name](audio).numpy()[..., 0]
    np.testing.assert_allclose(image, frontend_numpy(audio, spec=SPECS[name]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SPECS)
def test_layer_equals_numpy_on_pure_tones_within_their_rounding(
    name: str, tones: NDArray[np.float32], layers: dict[str, Any]
) -> None:
    """All bands of a full-scale tone but its own hold nothing except float32 rounding, 140 dB down, and PCEN amplifies
    that most: hence 1e-3.
    """
    image = layers[name](tones).numpy()[..., 0]
    np.testing.assert_allclose(image, frontend_numpy(tones, spec=SPECS[name]), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["hear", "student"])
def test_converted_file_equals_numpy(name: str, audio: NDArray[np.float32], tones: NDArray[np.float32]) -> None:
    pytest.importorskip("tensorflow")
    from hearlite.tflite.convert import convert_frontend

    model = TfliteModel(convert_frontend(SPECS[name]))
    for clips, atol in ((audio, 1e-4), (tones, 1e-3)):
        images = np.concatenate([next(iter(model.run(clip[None]).values())) for clip in clips])[..., 0]
        np.testing.assert_allclose(images, frontend_numpy(clips, spec=SPECS[name]), rtol=0, atol=atol)


@pytest.mark.parametrize("name", SPECS)
def test_an_image_does_not_depend_on_its_batch(name: str, audio: NDArray[np.float32], layers: dict[str, Any]) -> None:
    """A quiet clip beside a loud one: HeAR's published code normalises over the batch and would squash it."""
    together, alone = (
        frontend_numpy(audio, spec=SPECS[name]),
        [frontend_numpy(clip[None], spec=SPECS[name])[0] for clip in audio],
    )
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-9)
    layer = layers[name]
    np.testing.assert_allclose(
        layer(audio).numpy(), np.concatenate([layer(clip[None]).numpy() for clip in audio]), rtol=0, atol=1e-5
    )


def test_images_are_those_of_last_time(clips: NDArray[np.int16], golden: Callable[..., None]) -> None:
    """Every fourth frame and band of two clips, from numpy; the layer is compared with numpy above."""
    images = {
        name: frontend_numpy(from_int16(clips[:2]), spec=spec)[:, ::4, ::4].astype(np.float32)
        for name, spec in SPECS.items()
    }
    golden("frontend", images, atol=1e-5)


def test_shapes() -> None:
    clip = np.random.default_rng(0).uniform(-1, 1, (1, AUDIO.clip_samples)).astype(np.float32)
    assert frontend_numpy(clip, spec=HEAR_FRONTEND).shape == (1, 192, 128)
    assert frontend_numpy(clip, spec=STUDENT_FRONTEND).shape == (1, 160, 64)
    for spec in SPECS.values():
        assert frontend_numpy(clip, spec=spec).shape[1] == spec.frames(AUDIO.clip_samples)


@each_spec
def test_silence_is_zero_and_everything_is_finite(spec: FrontendSpec, audio: NDArray[np.float32]) -> None:
    silent = np.zeros((1, AUDIO.clip_samples), np.float32)
    image = frontend_numpy(silent, spec=spec)
    assert np.isfinite(image).all()
    np.testing.assert_array_equal(
        image, frontend_numpy(silent + np.float32(0.25), spec=spec)
    )  # a constant is silence too
    assert np.isfinite(frontend_numpy(audio, spec=spec)).all()


def test_the_callers_array_is_not_modified(audio: NDArray[np.float32]) -> None:
    for clips in (audio, audio.astype(np.float64)):
        before = clips.copy()
        frontend_numpy(clips, spec=HEAR_FRONTEND)
        np.testing.assert_array_equal(clips, before)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    exponent=st.integers(-4, 0),
    offset=st.sampled_from([0.0, 0.25, -0.5, 0.125]),
    name=st.sampled_from(["hear", "student"]),
)
def test_gain_and_offset_change_nothing(
    seed: int, exponent: int, offset: float, name: str, layers: dict[str, Any]
) -> None:
    """Gains by powers of two keep every bit of a float; offsets round away what their exponent has no room for, so
    samples have 12 bits here.
    """
    rng = np.random.default_rng(seed)
    clip = (np.round(rng.uniform(-0.5, 0.5, (1, AUDIO.clip_samples)) * 4096) / 4096).astype(np.float32)
    changed = clip * np.float32(2.0**exponent) + np.float32(offset)
    spec = SPECS[name]
    np.testing.assert_allclose(
        frontend_numpy(changed, spec=spec), frontend_numpy(clip, spec=spec), rtol=0, atol=1e-5
    )  # range_floor's doing
    np.testing.assert_allclose(layers[name](changed).numpy(), layers[name](clip).numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(AUDIO.clip_samples,), (1, 100), (1, 1, AUDIO.clip_samples)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        frontend_numpy(np.zeros(shape, np.float32), spec=HEAR_FRONTEND)


@pytest.mark.parametrize(
    "change",
    [
        {"fft_length": 256},
        {"window_samples": 401, "fft_length": 401},
        {"hop_samples": 0},
        {"hop_samples": 800},  # longer than the window: samples between two frames would go unheard
        {"low_hz": 8_000.0},
        {"high_hz": 9_000.0},
        {"low_hz": -1.0},
        {"mels": 0},
    ],
    ids=str,
)
def test_impossible_frontends_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        dataclasses.replace(HEAR_FRONTEND, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"fft_length": 2 * STUDENT_FRONTEND.window_samples, "hop_samples": 160},  # 40 columns: every bin sees the mean
        {"fft_length": 512, "hop_samples": 160},  # 16 columns of 32 rows: some bins are found twice
        {"hop_samples": 133, "low_hz": 0.0},  # 1 column: nothing divides both hop and window
        {"hop_samples": 250},  # 8 steps of 250 ms
        {"hop_samples": 320, "mels": 40, "low_hz": 0.0},  # columns of 16 and frames that overlap by a quarter
    ],
    ids=str,
)
def test_other_frontends_equal_numpy(change: dict[str, Any], audio: NDArray[np.float32]) -> None:
    pytest.importorskip("tensorflow")
    from hearlite.audio.frontend_tf import Frontend

    spec = dataclasses.replace(STUDENT_FRONTEND, **change)
    np.testing.assert_allclose(
        Frontend(spec)(audio).numpy()[..., 0], frontend_numpy(audio, spec=spec), rtol=0, atol=1e-4
    )
