"""The student's private views do what they say, repeat exactly, and leave alone what is off; shared views are what a
teacher can be asked about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

tf = pytest.importorskip("tensorflow")

from tensorflow.python.framework import config as tf_config  # noqa: E402  the only place that can switch determinism off again

from hearlite.audio.frontend_tf import Frontend  # noqa: E402
from hearlite.data.views import shared_view  # noqa: E402
from hearlite.distill.augment import Augment, freq_mixstyle, mask_bands  # noqa: E402
from hearlite.errors import InputError, UsageError  # noqa: E402
from hearlite.spec import AUDIO, STUDENT_FRONTEND, AugmentSpec, ViewSpec  # noqa: E402

pytestmark = pytest.mark.kernels

Array = NDArray[Any]

CLIP, RATE_HZ, FULL_SCALE = AUDIO.clip_samples, AUDIO.sample_rate_hz, AUDIO.pcm_full_scale
OFF = AugmentSpec(
    gain_db=0.0,
    dc_offset=0.0,
    tilt_db_per_octave=0.0,
    low_pass_p=0.0,
    high_pass_p=0.0,
    device_p=0.0,
    noise_p=0.0,
    mixstyle_p=0.0,
    mask_share=0.0,
)
NO_VIEWS = ViewSpec(shift_s=0.0, mixup_db=(0.0, 0.0), noise_snr_db=(0.0, 0.0), crop_s=(0.0, 0.0))


def noise(rows: int, samples: int, *, rms: float = 0.05, seed: int = 0) -> Array:
    return (rms * np.random.default_rng(seed).standard_normal((rows, samples))).astype(np.float32)


def on_grid(clips: Array) -> Array:
    return np.asarray(np.round(clips * FULL_SCALE) / FULL_SCALE, dtype=np.float32)


def trained_subjects(clips: Array, *, step: int = 0, seed: int = 0, **parts: Any) -> Array:
    """`clips` with only `parts` switched on."""
    return np.asarray(Augment(dataclasses.replace(OFF, **parts), seed=seed).waveform(tf.constant(clips), step=step))


def seen(image: Array, *, step: int = 0, seed: int = 0, **parts: Any) -> Array:
    return np.asarray(Augment(dataclasses.replace(OFF, **parts), seed=seed).image(tf.constant(image), step=step))


def rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=-1)))


def db(ratio: Any) -> Array:
    return np.asarray(20.0 * np.log10(ratio))


def level(clips: Array, low_hz: float, high_hz: float) -> Array:
    """Amplitude of each clip within a band."""
    hz = np.fft.rfftfreq(clips.shape[1], 1.0 / RATE_HZ)
    return rms(np.abs(np.fft.rfft(clips))[:, (hz >= low_hz) & (hz < high_hz)])


@pytest.fixture
def images() -> Array:
    """`[6, 40, 20, 1]`, every clip and band with statistics of its own."""
    rng = np.random.default_rng(1)
    return (
        rng.uniform(0.1, 1.0, (6, 1, 20, 1))
        + rng.uniform(0.05, 0.5, (6, 1, 20, 1)) * rng.standard_normal((6, 40, 20, 1))
    ).astype(np.float32)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """TensorFlow's deterministic kernels, as training runs, and back: it is a switch of the whole process."""
    before = tf_config.is_op_determinism_enabled()
    tf.config.experimental.enable_op_determinism()
    yield
    if not before:
        tf_config.disable_op_determinism()


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_p": 1.5},
        {"gain_db": -1.0},
        {"mask_share": float("nan")},
        {"low_pass_hz": (2_000.0, 1_000.0)},
        {"high_pass_hz": (0.0, 300.0)},
        {"peak_dbfs": (-50.0, float("inf"))},
        {"mixstyle_alpha": 0.0},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        AugmentSpec(**wrong)


def test_off_changes_no_bit(images: Array) -> None:
    clips = noise(3, 4_000)  # not on the int16 grid: even rounding would show
    np.testing.assert_array_equal(trained_subjects(clips), clips)
    np.testing.assert_array_equal(seen(images), images)


def test_same_seed_and_step_give_the_same_views_and_others_give_others(images: Array) -> None:
    clips = noise(4, 4_000)

    def both(*, seed: int, step: int) -> tuple[Array, Array]:
        augment = Augment(dataclasses.replace(AugmentSpec(), mixstyle_p=1.0, noise_p=1.0), seed=seed)
        return np.asarray(augment.waveform(tf.constant(clips), step=step)), np.asarray(
            augment.image(tf.constant(images), step=step)
        )

    first, again = both(seed=3, step=7), both(seed=3, step=7)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for other in (both(seed=3, step=8), both(seed=4, step=7)):
        assert (np.abs(other[0] - first[0]).max(axis=1) > 0).all()
        assert not np.array_equal(other[1], first[1])


@pytest.mark.usefixtures("deterministic")
def test_graph_mode_with_deterministic_kernels_gives_what_eager_mode_gives(images: Array) -> None:
    clips, augment = tf.constant(noise(4, 4_000)), Augment(AugmentSpec(), seed=1)
    waveform = tf.function(lambda batch, step: augment.waveform(batch, step=step))
    image = tf.function(lambda batch, step: augment.image(batch, step=step))
    for step in (0, 1, 2**40):
        index = tf.constant(step, tf.int64)
        # Constant folding may round once differently, and then a sample lands on the next int16 step.
        np.testing.assert_allclose(
            waveform(clips, index), augment.waveform(clips, step=step), rtol=0, atol=1.001 / FULL_SCALE
        )
        np.testing.assert_allclose(image(images, index), augment.image(images, step=step), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(waveform(clips, index), waveform(clips, index))
    assert waveform.experimental_get_tracing_count() == 1


def test_a_row_depends_on_no_other_row(images: Array) -> None:
    clips, strangers = noise(6, 4_000), noise(6, 4_000, rms=0.3, seed=9)
    parts = dataclasses.replace(AugmentSpec(), noise_p=1.0, device_p=1.0)
    augment = Augment(parts, seed=0)
    alone = np.asarray(augment.waveform(tf.constant(clips), step=5))
    for i in range(6):
        mixed = strangers.copy()
        mixed[i] = clips[i]
        np.testing.assert_array_equal(np.asarray(augment.waveform(tf.constant(mixed), step=5))[i], alone[i])
    np.testing.assert_array_equal(
        np.asarray(augment.waveform(tf.constant(clips[:2]), step=5)), alone[:2]
    )  # nor on how many there are
    np.testing.assert_array_equal(seen(images, mask_share=0.5)[:2], seen(images[:2], mask_share=0.5))


def test_rows_with_the_same_clip_get_different_views() -> None:
    views = trained_subjects(np.repeat(noise(1, 4_000), 8, axis=0), gain_db=20.0, noise_p=1.0, device_p=1.0)
    assert len(np.unique(views, axis=0)) == 8


def test_silence_stays_finite(images: Array) -> None:
    clips = np.zeros((4, CLIP), np.float32)
    clips[1] = 0.5  # a constant is silence too
    augment = Augment(AugmentSpec(noise_p=1.0, device_p=1.0, mixstyle_p=1.0), seed=0)
    views = augment.waveform(tf.constant(clips), step=0)
    assert np.ptp(np.asarray(views), axis=1).max() == 0.0  # no noise relative to nothing
    image = augment.image(Frontend(STUDENT_FRONTEND)(views), step=0)
    assert np.isfinite(np.asarray(views)).all()
    assert np.isfinite(np.asarray(image)).all()


@pytest.mark.parametrize("loudness", [0.001, 0.05, 1.0])
def test_every_view_could_be_an_int16_recording(loudness: float) -> None:
    views = (
        np.asarray(Augment(AugmentSpec(), seed=0).waveform(tf.constant(noise(8, 4_000, rms=loudness)), step=0))
        * FULL_SCALE
    )
    np.testing.assert_array_equal(views, np.round(views))
    assert views.min() >= -FULL_SCALE
    assert views.max() <= FULL_SCALE - 1


def test_gain_is_uniform_in_its_range_and_stops_at_the_peak_limits() -> None:
    clips = on_grid(
        np.clip(noise(200, 400, rms=0.02), -0.06, 0.06)
    )  # peak at -24 dB: 20 dB up and down are within the limits
    gains = db(rms(trained_subjects(clips, gain_db=20.0)) / rms(clips))
    assert -20.1 < gains.min() < -18.0
    assert 18.0 < gains.max() < 20.1
    assert abs(gains.mean()) < 2.5

    loud = np.tile(np.sin(np.arange(400) * 0.1).astype(np.float32), (200, 1))
    small = np.abs(loud[0]) < 0.1  # never clipped: they show the gain
    assert db(rms(trained_subjects(loud, gain_db=20.0)[:, small]) / rms(loud[:, small])).max() < 6.1
    quiet = on_grid(loud * 5e-4)  # -66 dB
    assert db(rms(trained_subjects(quiet, gain_db=20.0)) / rms(quiet)).min() > -0.5


def test_gain_clips_and_leaves_int16_steps() -> None:
    sine = 0.9 * np.sin(np.arange(4_000) * 0.1).astype(np.float32)[None]
    clipped = trained_subjects(np.repeat(sine, 50, axis=0), gain_db=20.0)
    assert (clipped.max(axis=1) == (FULL_SCALE - 1) / FULL_SCALE).any()
    faint = trained_subjects(np.repeat(sine * 0.01, 50, axis=0), gain_db=20.0)
    assert min(len(np.unique(row)) for row in faint) < 250  # from 590 steps


def test_dc_offset_moves_the_clip_and_nothing_else() -> None:
    clips = on_grid(noise(50, 400))
    difference = trained_subjects(clips, dc_offset=0.01) - clips
    assert np.ptp(difference, axis=1).max() < 1.001 / FULL_SCALE
    assert 0.008 < np.abs(difference).max() <= 0.0101
    assert difference.min() < 0 < difference.max()


def test_low_pass_attenuates_above_its_corner_and_spares_what_is_below() -> None:
    clips = noise(3, CLIP, rms=0.1)
    out = trained_subjects(clips, low_pass_p=1.0, low_pass_hz=(2_000.0, 2_000.0))
    np.testing.assert_allclose(db(level(out, 100, 1_000) / level(clips, 100, 1_000)), 0.0, atol=0.3)
    np.testing.assert_allclose(db(level(out, 1_950, 2_050) / level(clips, 1_950, 2_050)), -3.0, atol=0.5)
    assert (db(level(out, 4_000, 8_000) / level(clips, 4_000, 8_000)) < -24.0).all()


def test_high_pass_attenuates_below_its_corner_and_spares_what_is_above() -> None:
    clips = noise(3, CLIP, rms=0.1)
    out = trained_subjects(clips, high_pass_p=1.0, high_pass_hz=(300.0, 300.0))
    np.testing.assert_allclose(db(level(out, 1_000, 8_000) / level(clips, 1_000, 8_000)), 0.0, atol=0.2)
    assert (db(level(out, 20, 75) / level(clips, 20, 75)) < -24.0).all()


def test_tilt_is_a_straight_line_in_octaves() -> None:
    clips = noise(120, CLIP // 4, rms=0.02)
    out = trained_subjects(clips, tilt_db_per_octave=2.0)
    edges_hz = 100.0 * 2.0 ** np.arange(0.0, 6.5, 0.5)
    curves = np.stack([db(level(out, a, b) / level(clips, a, b)) for a, b in pairwise(edges_hz)], axis=1)
    slopes, offsets = np.polyfit(0.5 * np.arange(curves.shape[1]), curves.T, 1)
    line = offsets[:, None] + slopes[:, None] * 0.5 * np.arange(curves.shape[1])
    assert np.abs(curves - line).max() < 0.6
    assert -2.05 < slopes.min() < -1.5
    assert 1.5 < slopes.max() < 2.05


def test_a_device_rings_after_the_sound_and_colours_it_differently_each_time() -> None:
    click = np.zeros((12, CLIP), np.float32)
    click[:, 1_000] = 0.5
    out = trained_subjects(click, device_p=1.0) ** 2
    after = out[:, 1_000:1_256].sum(axis=1) / out.sum(axis=1)
    assert (after > 0.995).all()  # causal and short, but for the mean that goes and the grid of responses
    assert (out[:, 1_001:1_256].sum(axis=1) > 0.01 * out[:, 1_000]).all()
    clips = noise(12, CLIP, rms=0.02)
    coloured = trained_subjects(clips, device_p=1.0)
    bands = np.stack(
        [db(level(coloured, hz, hz + 100) / level(clips, hz, hz + 100)) for hz in range(200, 7_800, 100)], axis=1
    )
    assert (bands.std(axis=1) > 0.5).all()
    assert bands.std(axis=1).max() > 2.0
    assert np.abs(np.corrcoef(bands)[np.triu_indices(12, 1)]).max() < 0.7


def test_parts_are_as_frequent_as_their_probability() -> None:
    clips = on_grid(noise(500, 256))
    clips -= clips.mean(axis=1, keepdims=True)
    for out in (
        trained_subjects(clips, low_pass_p=0.3),
        trained_subjects(clips, high_pass_p=0.3),
        trained_subjects(clips, device_p=0.3),
        trained_subjects(clips, noise_p=0.3),
    ):
        changed = np.abs(out - clips).max(axis=1) > 1.001 / FULL_SCALE
        assert 0.2 < changed.mean() < 0.4


@pytest.mark.parametrize("samples", [CLIP, 4_096])  # a power of two has no spare room of its own
def test_nothing_wraps_around(samples: int) -> None:
    clips = np.zeros((8, samples), np.float32)
    clips[:, -1] = 0.9
    out = trained_subjects(clips, device_p=1.0)
    assert np.abs(out[:, : samples // 2] - np.median(out, axis=1)[:, None]).max() < 0.005


@pytest.mark.parametrize("snr_db", [5.0, 20.0])
def test_noise_has_the_ratio_asked_for(snr_db: float) -> None:
    clips = on_grid(noise(12, CLIP, rms=0.05))
    clips[::2, CLIP // 2 :] = 0.0  # half a recording counts as it is
    clips -= clips.mean(axis=1, keepdims=True)
    added = trained_subjects(clips, noise_p=1.0, noise_snr_db=(snr_db, snr_db)) - clips
    np.testing.assert_allclose(db(rms(clips) / rms(added)), snr_db, atol=1.0)


def test_noise_is_gaussian_independent_and_between_white_and_brown() -> None:
    clips = noise(30, CLIP, rms=0.1)
    added = trained_subjects(clips, noise_p=1.0, noise_snr_db=(0.0, 0.0)) - clips
    assert np.abs(np.corrcoef(added)[np.triu_indices(30, 1)]).max() < 0.3
    kurtosis = (added**4).mean(axis=1) / (added**2).mean(axis=1) ** 2
    np.testing.assert_allclose(kurtosis, 3.0, atol=0.6)
    per_octave = (db(level(added, 3_200, 6_400)) - db(level(added, 100, 200))) / 5.0
    assert -6.5 < per_octave.min() < -4.5
    assert -1.5 < per_octave.max() < 0.5


def test_freq_mixstyle_takes_over_the_partners_statistics(images: Array) -> None:
    partner = np.array([1, 2, 3, 4, 5, 0])
    swapped = np.asarray(freq_mixstyle(tf.constant(images), partner=partner, own=tf.zeros(6)))
    assert swapped.shape == images.shape
    np.testing.assert_allclose(swapped.mean(axis=1), images[partner].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(swapped.std(axis=1), images[partner].std(axis=1), rtol=1e-2)
    np.testing.assert_allclose(
        np.corrcoef(swapped[0, :, 3, 0], images[0, :, 3, 0])[0, 1], 1.0, atol=1e-4
    )  # the events stay

    np.testing.assert_allclose(freq_mixstyle(tf.constant(images), partner=partner, own=tf.ones(6)), images, atol=1e-6)
    half = np.asarray(freq_mixstyle(tf.constant(images), partner=partner, own=tf.fill([6], 0.5)))
    np.testing.assert_allclose(half.mean(axis=1), (images.mean(axis=1) + images[partner].mean(axis=1)) / 2, atol=1e-5)


def test_freq_mixstyle_survives_bands_that_never_change(images: Array) -> None:
    images[:3, :, 4] = 0.0
    mixed = np.asarray(freq_mixstyle(tf.constant(images), partner=np.array([3, 4, 5, 0, 1, 2]), own=tf.zeros(6)))
    assert np.isfinite(mixed).all()
    assert np.abs(mixed).max() < 10.0


def test_mixstyle_changes_its_share_of_a_batch_and_leaves_the_rest_alone(images: Array) -> None:
    batch = np.tile(images, (60, 1, 1, 1))
    changed = np.abs(seen(batch, mixstyle_p=0.4) - batch).max(axis=(1, 2, 3)) > 0
    assert 0.3 < changed.mean() < 0.45  # a partner may have the same statistics


def test_mask_bands_zeroes_exactly_those_bands(images: Array) -> None:
    out = np.asarray(
        mask_bands(tf.constant(images), first=tf.range(6.0), width=tf.constant([0.0, 1.0, 2.0, 3.0, 4.0, 20.0]))
    )
    for row, width in enumerate([0, 1, 2, 3, 4, 20]):
        expected = images[row].copy()
        expected[:, row : row + width] = 0.0
        np.testing.assert_array_equal(out[row], expected)


def test_one_mask_of_at_most_a_fifth_lies_anywhere(images: Array) -> None:
    batch = np.tile(np.abs(images) + 0.1, (60, 1, 1, 1))
    out = seen(batch, mask_share=0.2)
    masked = (out == 0.0).all(axis=(1, 3))  # [n, mels]
    np.testing.assert_array_equal(out, np.where(masked[:, None, :, None], np.float32(0.0), batch))
    widths = masked.sum(axis=1)
    assert set(widths) == {0, 1, 2, 3, 4}
    assert (np.abs(np.diff(np.pad(masked, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1) <= 2).all()  # contiguous
    assert masked.any(axis=0).all()


@pytest.fixture(scope="module")
def recording() -> NDArray[np.int16]:
    """3 s; the clip that the tests look at starts at 0.5 s."""
    values = (3_000 * np.random.default_rng(5).standard_normal(CLIP * 3 // 2)).astype(np.int16)
    values.flags.writeable = False
    return values


START = CLIP // 4


def partner_of(recording: NDArray[np.int16]) -> NDArray[np.int16]:
    return recording[:CLIP][::-1] // 3


def test_view_0_is_the_clip_and_a_view_is_a_function_of_its_arguments(recording: NDArray[np.int16]) -> None:
    clip = recording[START : START + CLIP]

    def views(*, clip_id: str = "a", seed: int = 0) -> list[Array]:
        return [
            shared_view(recording, clip_id=clip_id, view=view, seed=seed, start=START, partner=partner_of(recording))
            for view in range(9)
        ]

    first = views()
    np.testing.assert_array_equal(first[0], clip)
    assert all(view.shape == (CLIP,) and view.dtype == np.int16 for view in first)
    assert len({view.tobytes() for view in first}) == 9
    assert [view.tobytes() for view in views()] == [view.tobytes() for view in first]
    for others in (views(clip_id="b"), views(seed=1)):
        assert all(a.tobytes() != b.tobytes() for a, b in zip(others[1:], first[1:], strict=True))


def test_three_views_of_a_clip_are_of_three_kinds(recording: NDArray[np.int16]) -> None:
    clip, spec = recording[START : START + CLIP], ViewSpec(crop_p=0.0)
    for clip_id in "abc":
        views = [
            shared_view(
                recording, clip_id=clip_id, view=view, seed=0, start=START, partner=partner_of(recording), spec=spec
            )
            for view in (1, 2, 3)
        ]
        shifted = [view for view in views if view.tobytes() in recording.tobytes()]
        changed = [np.corrcoef(view, clip)[0, 1] for view in views if view.tobytes() not in recording.tobytes()]
        assert (len(shifted), len(changed)) == (1, 2)
        assert min(changed) > 0.6


def test_a_share_of_the_views_is_cut_besides(recording: NDArray[np.int16]) -> None:
    def cut(crop_p: float) -> list[bool]:
        spec = ViewSpec(crop_p=crop_p)
        views = [
            shared_view(
                recording, clip_id="a", view=view, seed=0, start=START, partner=partner_of(recording), spec=spec
            )
            for view in range(200)
        ]
        return [not view[-CLIP // 10 :].any() for view in views]

    assert not any(cut(0.0))
    assert cut(1.0) == [False] + 199 * [True]  # view 0 is the clip
    assert 70 < sum(cut(0.5)) < 130


def test_a_shift_brings_in_real_context_and_never_zeros(recording: NDArray[np.int16]) -> None:
    spec = dataclasses.replace(NO_VIEWS, shift_s=0.2)
    windows = np.lib.stride_tricks.sliding_window_view(recording, CLIP)
    for start, lowest, highest in (
        (START, START - 3_200, START + 3_200),
        (0, 0, 3_200),
        (CLIP // 2, CLIP // 2 - 3_200, CLIP // 2),
    ):
        moves = set()
        for view in range(1, 30):
            out = shared_view(recording, clip_id="a", view=view, seed=0, start=start, spec=spec)
            places = [
                place
                for place in range(lowest, highest + 1)
                if windows[place, 0] == out[0] and np.array_equal(windows[place], out)
            ]
            assert len(places) == 1
            moves |= set(places)
        assert len(moves) > 20
    clip = recording[:CLIP]
    np.testing.assert_array_equal(
        shared_view(clip, clip_id="a", view=1, seed=0, spec=spec), clip
    )  # no context, no shift


def test_mixup_puts_the_partner_that_far_below_and_never_clips(recording: NDArray[np.int16]) -> None:
    clip, partner = recording[:CLIP], partner_of(recording)
    spec = dataclasses.replace(NO_VIEWS, mixup_db=(10.0, 10.0))
    added = shared_view(clip, clip_id="a", view=1, seed=0, partner=partner, spec=spec) - clip.astype(float)
    np.testing.assert_allclose(db(rms(clip) / rms(added)), 10.0, atol=0.1)
    assert np.corrcoef(added, partner)[0, 1] > 0.999

    extreme = np.where(np.arange(CLIP) % 64 < 32, np.int16(-FULL_SCALE), np.int16(FULL_SCALE - 1))
    mixed = shared_view(extreme, clip_id="a", view=1, seed=0, partner=np.roll(extreme, 16), spec=spec)
    expected = extreme + np.roll(extreme, 16) * 10.0**-0.5
    np.testing.assert_allclose(
        mixed, expected * (FULL_SCALE / np.abs(expected).max()), atol=5.0
    )  # turned down; neither clipped nor wrapped
    silence = np.zeros(CLIP, np.int16)
    np.testing.assert_array_equal(
        shared_view(silence, clip_id="a", view=1, seed=0, partner=partner, spec=spec), silence
    )
    np.testing.assert_array_equal(shared_view(clip, clip_id="a", view=1, seed=0, partner=silence, spec=spec), clip)


def test_shared_noise_has_the_ratio_asked_for(recording: NDArray[np.int16]) -> None:
    clip = recording[:CLIP]
    for view in range(1, 6):
        out = shared_view(
            clip, clip_id="a", view=view, seed=0, spec=dataclasses.replace(NO_VIEWS, noise_snr_db=(15.0, 15.0))
        )
        np.testing.assert_allclose(db(rms(clip) / rms(out - clip.astype(float))), 15.0, atol=0.1)


def test_a_crop_keeps_a_piece_and_pads_its_end(recording: NDArray[np.int16]) -> None:
    clip = recording[:CLIP]
    lengths_s = []
    for view in range(1, 40):
        out = shared_view(clip, clip_id="a", view=view, seed=0, spec=dataclasses.replace(NO_VIEWS, crop_s=(0.5, 1.8)))
        kept = int(np.flatnonzero(out)[-1]) + 1
        assert out[:kept].tobytes() in clip.tobytes()
        lengths_s.append(kept / RATE_HZ)
    assert 0.49 < min(lengths_s) < 0.7
    assert 1.6 < max(lengths_s) <= 1.8


def test_unusable_audio_is_refused(recording: NDArray[np.int16]) -> None:
    unusable: list[tuple[Any, int]] = [
        (recording[: CLIP - 1], 0),
        (recording, CLIP),
        (recording, -1),
        (recording / 1.0, 0),
        (recording[None], 0),
    ]
    for pcm, start in unusable:
        with pytest.raises(InputError, match="pcm is"):
            shared_view(pcm, clip_id="a", view=1, seed=0, start=start)
    with pytest.raises(InputError, match="partner"):
        shared_view(recording, clip_id="a", view=1, seed=0, partner=recording)
    with pytest.raises(UsageError, match="crop_s"):
        ViewSpec(crop_s=(0.5, 5.0))
    with pytest.raises(UsageError, match="crop_p"):
        ViewSpec(crop_p=1.5)


def test_a_warp_moves_pitch_and_keeps_the_level() -> None:
    """A tone at half the speed is an octave lower; silence stays silence."""
    tone = np.round(8000 * np.sin(2 * np.pi * 1000 * np.arange(CLIP) / AUDIO.sample_rate_hz)).astype(np.int16)
    for speed in (0.5, 1.0, 2.0):
        spec = dataclasses.replace(NO_VIEWS, warp_p=1.0, warp_speed=(speed, speed), warp_db=0.0, crop_p=0.0)
        spec = dataclasses.replace(spec, noise_snr_db=(300.0, 300.0))  # a kind that adds nothing
        out = shared_view(tone, clip_id="a", view=1, seed=0, spec=spec)
        spectrum = np.abs(np.fft.rfft(out.astype(float)))
        assert np.argmax(spectrum) * AUDIO.sample_rate_hz / CLIP == pytest.approx(1000 * speed, rel=0.01)
        assert out.std() == pytest.approx(tone.std(), rel=0.02)
    silence = np.zeros(CLIP, np.int16)
    assert not shared_view(silence, clip_id="a", view=1, seed=0, spec=ViewSpec(warp_p=1.0)).any()
    loud = np.random.default_rng(0).integers(-32768, 32767, CLIP).astype(np.int16)
    assert shared_view(loud, clip_id="a", view=1, seed=0, spec=ViewSpec(warp_p=1.0)).std() > 1000


def test_a_warp_changes_the_balance_of_bands_and_is_drawn_by_its_probability() -> None:
    noise = np.random.default_rng(0).normal(0, 3000, CLIP).astype(np.int16)
    spec = ViewSpec(warp_p=0.5, warp_speed=(1.0, 1.0), crop_p=0.0, mixup_db=(0.0, 0.0), noise_snr_db=(300.0, 300.0))
    changed = 0
    for identity in map(str, range(200)):
        out = shared_view(noise, clip_id=identity, view=1, seed=0, spec=spec)
        changed += bool(np.abs(out - noise).max() > 100)
        assert np.array_equal(out, shared_view(noise, clip_id=identity, view=1, seed=0, spec=spec))
    assert 75 < changed < 125
    for wrong in ({"warp_p": 2.0}, {"warp_speed": (0.1, 1.0)}, {"warp_db": -1.0}):
        with pytest.raises(UsageError):
            ViewSpec(**wrong)
