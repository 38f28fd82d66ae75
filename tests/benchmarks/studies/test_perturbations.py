"""Test that every condition makes the change of its name, by its amount, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.studies.robustness.perturbations import CONDITIONS, REACH_S, Condition, chosen, perturb
from hearlite.data.dataset import ClipRef
from hearlite.data.reading import Clip
from hearlite.errors import UsageError
from hearlite.spec import AUDIO

RATE_HZ, SAMPLES = AUDIO.sample_rate_hz, AUDIO.clip_samples
REACH = round(REACH_S * RATE_HZ)
BY_NAME = {condition.name: condition for condition in CONDITIONS}
FILTERS = ("telephone", "low-pass", "high-pass", "tilt", "device")


def clip(
    sound: NDArray[np.floating], *, start: int = 0, event_s: tuple[float, float] | None = None, name: str = "a.wav"
) -> Clip:
    """Return the clip at sample `start` of `sound`, in int16 steps; `event_s` in seconds of the sound."""
    context = np.rint(sound).astype(np.int16)
    ref = ClipRef(Path(name), name, None, start / RATE_HZ, *(event_s or (None, None)), False, "s", "test", ())
    return Clip(ref, context[start : start + SAMPLES], False, context, start)


def noise(rms: float, *, seed: int = 0, samples: int = SAMPLES) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, rms, samples)


def tones(*hz: float, samples: int = SAMPLES + 2 * REACH) -> NDArray[np.float64]:
    return 3_000.0 * np.sum([np.sin(2 * np.pi * f * np.arange(samples) / RATE_HZ) for f in hz], axis=0)


def db(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def level(pcm: NDArray[np.int16], hz: float) -> float:
    """Return the amplitude of a tone, without the edges."""
    inner = pcm[REACH:-REACH].astype(np.float64)
    window = np.hanning(len(inner))
    return float(np.abs(np.sum(inner * window * np.exp(-2j * np.pi * hz * np.arange(len(inner)) / RATE_HZ))))


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_every_condition_gives_another_clip_and_the_same_one_again(condition: Condition) -> None:
    heard = clip(noise(900.0, samples=SAMPLES + 2 * REACH), start=REACH, event_s=(0.5, 1.3))
    found, again = (
        perturb(heard, condition),
        perturb(clip(heard.context, start=REACH, event_s=(0.5, 1.3), name="other.wav"), condition),
    )
    assert (found.audio.dtype, found.audio.shape) == (np.float32, (SAMPLES,))
    assert not np.array_equal(found.audio, from_int16(heard.pcm))
    np.testing.assert_array_equal(found.audio, again.audio)  # of the content, not the name
    assert found.missing == 0


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
@pytest.mark.parametrize("value", [0, 700])
def test_silence_stays_silence(condition: Condition, value: int) -> None:
    with np.errstate(all="raise"):
        found = perturb(clip(np.full(SAMPLES, value)), condition).pcm
    if value == 0 or condition.kind in FILTERS:  # filters take a constant offset away
        assert not found.any()
    elif condition.kind.endswith("noise"):
        assert np.ptp(found) == 0


@pytest.mark.parametrize("gain_db", [-30.0, -20.0, -10.0, 10.0])
def test_gain_changes_rms_by_that_much(gain_db: float) -> None:
    found = perturb(clip(noise(1_500.0)), BY_NAME[f"gain {gain_db:+g} dB"])
    assert found.clipped == 0
    assert db(found.pcm.std() / clip(noise(1_500.0)).pcm.std()) == pytest.approx(gain_db, abs=0.01)


def test_gain_clips_what_a_recorder_would_clip() -> None:
    loud = clip(tones(997.0, samples=SAMPLES) * 5)  # peaks at 15 000, so at 47 434 after 10 dB
    found = perturb(loud, BY_NAME["gain +10 dB"])
    louder = loud.pcm * np.sqrt(10)
    assert found.clipped == np.sum(louder > 32_767.5) + np.sum(louder < -32_768.5)
    assert found.clipped / SAMPLES == pytest.approx(1 - 2 / np.pi * np.arcsin(32_767 / 47_434), abs=0.01)
    assert (found.pcm.min(), found.pcm.max()) == (-AUDIO.pcm_full_scale, AUDIO.pcm_full_scale - 1)


def test_gain_down_loses_int16_steps_and_float_gain_does_not() -> None:
    quiet = clip(noise(20.0))
    found = perturb(quiet, BY_NAME["gain -30 dB"]).pcm
    assert len(np.unique(found)) < 8 < len(np.unique(quiet.pcm))
    exact = perturb(quiet, BY_NAME["float gain -30 dB"])
    assert (len(np.unique(exact.audio)), exact.clipped) == (len(np.unique(quiet.pcm)), 0)
    assert db(exact.audio.std() / from_int16(quiet.pcm).std()) == pytest.approx(-30.0, abs=1e-4)


def test_float_gain_goes_beyond_full_scale() -> None:
    found = perturb(clip(tones(997.0, samples=SAMPLES) * 5), BY_NAME["float gain +10 dB"])
    assert (found.clipped, found.audio.max()) == (
        0,
        pytest.approx(15_000 * np.sqrt(10) / AUDIO.pcm_full_scale, rel=1e-3),
    )


@pytest.mark.parametrize("later_ms", [-200, -100, 100, 200])
def test_shift_is_what_the_recording_has_there(later_ms: int) -> None:
    heard = clip(noise(900.0, samples=SAMPLES + 2 * REACH), start=REACH)
    first = REACH + round(later_ms * RATE_HZ / 1_000)
    found = perturb(heard, BY_NAME[f"shift {later_ms:+d} ms"])
    np.testing.assert_array_equal(found.pcm, heard.context[first : first + SAMPLES])


def test_shift_of_a_sine_is_its_phase() -> None:
    sine = clip(tones(101.25), start=REACH)
    found = perturb(sine, BY_NAME["shift +100 ms"]).pcm  # 10.125 periods
    expected = 3_000.0 * np.sin(2 * np.pi * (101.25 * (np.arange(SAMPLES) + REACH) / RATE_HZ + 0.125))
    np.testing.assert_allclose(found, expected, atol=1.0)


@pytest.mark.parametrize(("later_ms", "there"), [(200, "end"), (-200, "start")])
def test_shift_beyond_the_recording_is_zeros_and_counted(later_ms: int, there: str) -> None:
    known = REACH // 4  # that the recording has around the clip, on either side
    heard = clip(noise(900.0, samples=SAMPLES + 2 * known), start=known)
    found = perturb(heard, BY_NAME[f"shift {later_ms:+d} ms"])
    lacking = REACH - known
    assert found.missing == lacking
    empty, rest = (
        (found.pcm[-lacking:], found.pcm[:-lacking]) if there == "end" else (found.pcm[:lacking], found.pcm[lacking:])
    )
    assert not empty.any()
    np.testing.assert_array_equal(rest, heard.context[-len(rest) :] if there == "end" else heard.context[: len(rest)])


def test_padding_keeps_the_event_or_the_first_second() -> None:
    heard = clip(noise(900.0, samples=SAMPLES + 2 * REACH), start=REACH, event_s=(0.7, 1.1))
    alone, first = (perturb(heard, BY_NAME[name]).pcm for name in ("event alone", "first 1.0 s"))
    begin, length = round(0.7 * RATE_HZ), round(0.4 * RATE_HZ)
    np.testing.assert_array_equal(alone[:length], heard.context[begin : begin + length])
    assert not alone[length:].any()
    np.testing.assert_array_equal(first[:RATE_HZ], heard.pcm[:RATE_HZ])
    assert not first[RATE_HZ:].any()


@pytest.mark.parametrize("event_s", [None, (0.0, 2.5), (0.1, 2.3)])
def test_a_clip_without_a_short_event_has_nothing_to_pad(event_s: tuple[float, float] | None) -> None:
    heard = clip(noise(900.0, samples=SAMPLES + 2 * REACH), start=REACH, event_s=event_s)
    np.testing.assert_array_equal(perturb(heard, BY_NAME["event alone"]).pcm, heard.pcm)


@pytest.mark.parametrize(
    ("name", "hz", "kept_db"),
    [
        ("telephone band", 300.0, -3.0),
        ("telephone band", 3_400.0, -3.0),
        ("telephone band", 75.0, -24.1),  # two octaves below, 12 dB each
        ("telephone band", 6_800.0, -24.1),  # an octave above
        ("low-pass 2 kHz", 2_000.0, -3.0),
        ("low-pass 2 kHz", 4_000.0, -24.1),
        ("high-pass 200 Hz", 200.0, -3.0),
        ("high-pass 200 Hz", 100.0, -12.3),
        ("tilt -6 dB/octave", 4_000.0, -12.0),
        ("tilt +6 dB/octave", 250.0, -12.0),
        ("tilt +6 dB/octave", 4_000.0, 12.0),
    ],
)
def test_filters_are_as_steep_as_they_say(name: str, hz: float, kept_db: float) -> None:
    heard = clip(tones(1_000.0, hz), start=REACH)  # all of them leave 1 kHz as it is
    found = perturb(heard, BY_NAME[name]).pcm
    assert db(level(found, hz) / level(found, 1_000.0)) - db(
        level(heard.pcm, hz) / level(heard.pcm, 1_000.0)
    ) == pytest.approx(kept_db, abs=0.3)


@pytest.mark.parametrize(
    "condition", [item for item in CONDITIONS if item.kind in FILTERS], ids=lambda condition: condition.name
)
def test_filters_keep_the_level(condition: Condition) -> None:
    heard = clip(noise(900.0, samples=SAMPLES + 2 * REACH), start=REACH)
    assert perturb(heard, condition).pcm.std() == pytest.approx(heard.pcm.std(), rel=1e-3)


@pytest.mark.parametrize("name", ["telephone band", "low-pass 2 kHz", "high-pass 200 Hz", "device response"])
def test_recorders_are_causal(name: str) -> None:
    """A click changes the clip at and after its time only, even if its echo could wrap around to the clip's start."""
    click = np.zeros(SAMPLES)
    click[-40:-20] = 12_000.0 * np.hanning(20)
    found = np.abs(perturb(clip(click), BY_NAME[name]).pcm[:-50].astype(np.float64))
    assert found.max() < 0.02 * np.abs(perturb(clip(click), BY_NAME[name]).pcm.astype(np.float64)).max()


def test_filters_hear_the_sound_before_the_clip() -> None:
    """Without context, a tone would start with the clip, and the high-pass would add a thump."""
    sound = tones(33.75, 2_000.0)  # the low one is at its peak where the clip starts
    with_context, without = clip(sound, start=REACH), clip(sound[REACH : REACH + SAMPLES])
    steady, thump = (
        perturb(item, BY_NAME["high-pass 200 Hz"]).pcm.astype(np.float64) for item in (with_context, without)
    )
    start, later = slice(0, RATE_HZ // 200), slice(SAMPLES // 2, SAMPLES // 2 + RATE_HZ // 10)
    assert np.abs(steady[start]).max() < 1.02 * np.abs(steady[later]).max()
    assert np.abs(thump[start]).max() > 1.2 * np.abs(thump[later]).max()


def test_a_device_is_of_the_clip() -> None:
    found = [perturb(clip(noise(900.0, seed=seed)), BY_NAME["device response"]).pcm for seed in (0, 1)]
    ratios = [np.abs(np.fft.rfft(pcm)) / np.abs(np.fft.rfft(noise(900.0, seed=seed))) for seed, pcm in enumerate(found)]
    ripple_db = [20 * np.log10(np.convolve(ratio, np.ones(200) / 200, "valid")[::200]).std() for ratio in ratios]
    assert min(ripple_db) > 1.0
    assert abs(ripple_db[0] - ripple_db[1]) > 1e-3


@pytest.mark.parametrize(
    "condition", [item for item in CONDITIONS if item.kind.endswith("noise")], ids=lambda condition: condition.name
)
@pytest.mark.parametrize("rms", [300.0, 12_000.0])
def test_noise_is_as_loud_as_it_says(condition: Condition, rms: float) -> None:
    heard = clip(np.clip(noise(rms) + 50.0, -32_000, 32_000))
    x, y = (pcm - pcm.mean() for pcm in (heard.pcm, perturb(heard, condition).pcm))
    turned_down = (x @ y) / (x @ x)  # the noise is as good as uncorrelated
    assert db(turned_down * x.std() / (y - turned_down * x).std()) == pytest.approx(condition.amount, abs=0.2)
    assert perturb(heard, condition).clipped == 0
    if rms == 300.0:
        assert turned_down == pytest.approx(1.0, abs=0.02)  # only what would clip is turned down


def test_pink_noise_falls_by_3_db_an_octave_and_white_does_not() -> None:
    def octaves_db(name: str) -> float:
        heard = clip(noise(300.0))
        added = perturb(heard, BY_NAME[name]).pcm.astype(np.float64) - heard.pcm
        power = np.abs(np.fft.rfft(added)) ** 2
        hz = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
        means = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (200.0, 3_200.0)]
        return float(10 * np.log10(means[1] / means[0]) / 4)

    assert octaves_db("pink noise 0 dB") == pytest.approx(-3.0, abs=0.25)
    assert octaves_db("white noise 0 dB") == pytest.approx(0.0, abs=0.25)


def test_the_noise_of_all_snrs_is_one_noise() -> None:
    heard = clip(noise(900.0))
    some, much = (
        perturb(heard, BY_NAME[f"white noise {snr} dB"]).pcm.astype(np.float64) - heard.pcm for snr in (20, 0)
    )
    assert np.corrcoef(some, much)[0, 1] > 0.999
    other = clip(noise(900.0, seed=1))
    assert (
        abs(np.corrcoef(perturb(other, BY_NAME["white noise 0 dB"]).pcm.astype(np.float64) - other.pcm, much)[0, 1])
        < 0.05
    )


def test_conditions_are_chosen_by_name_or_kind() -> None:
    assert chosen(()) == CONDITIONS
    assert [item.name for item in chosen(("event alone", "gain"))] == [
        "gain -30 dB",
        "gain -20 dB",
        "gain -10 dB",
        "gain +10 dB",
        "event alone",
    ]
    with pytest.raises(UsageError, match=r"no condition 'loud'.*kind.*gain.*name.*gain -30 dB"):
        chosen(("loud",))
    assert len({item.name for item in CONDITIONS}) == len(CONDITIONS)


@pytest.mark.parametrize(("kind", "amount"), [("reverb", 1.0), ("gain", None)])
def test_what_no_kind_means_is_refused(kind: str, amount: float | None) -> None:
    with pytest.raises(UsageError, match="condition 'mine'"):
        perturb(clip(noise(900.0)), Condition("mine", kind, amount, ""))
