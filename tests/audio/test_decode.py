"""Decoding, resampling, scaling and windows. Every file is made here; nothing is downloaded."""

from __future__ import annotations

import itertools
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlite import audio
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz
CLIP = AUDIO.clip_samples


def sine(*, rate_hz: int, seconds: float = 1.0, tone_hz: float = 1_000.0, peak: float = 0.5) -> np.ndarray:
    return peak * np.sin(2 * np.pi * tone_hz * np.arange(round(rate_hz * seconds)) / rate_hz)


def write(path: Path, samples: np.ndarray, *, rate_hz: int = RATE, subtype: str = "PCM_16") -> Path:
    sf.write(path, samples, rate_hz, subtype=subtype)
    return path


def patched(path: Path, *, offset: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(value)] = value
    path.write_bytes(data)
    return path


def test_every_int16_value_survives_the_round_trip() -> None:
    pcm = np.arange(-(2**15), 2**15).astype(np.int16)
    samples = audio.from_int16(pcm)
    assert samples.dtype == np.float32
    assert samples.min() == -1.0 and samples.max() < 1.0
    np.testing.assert_array_equal(audio.to_int16(samples), pcm)


@given(st.floats(-3, 3, width=32))
def test_to_int16_rounds_half_to_even_and_clips(value: float) -> None:
    expected = max(-(2**15), min(2**15 - 1, round(value * AUDIO.pcm_full_scale)))  # Python's round is half to even
    assert audio.to_int16(np.array([value], np.float32))[0] == expected


def test_scaling_refuses_what_it_would_corrupt() -> None:
    with pytest.raises(InputError, match="NaN"):
        audio.to_int16(np.array([np.nan], np.float32))
    with pytest.raises(InputError, match="dtype int32"):
        audio.from_int16(np.zeros(3, np.int32))


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 22_050, 44_100, 96_000, 384_000])
def test_resampling_keeps_frequency_amplitude_and_time(tmp_path: Path, rate_hz: int) -> None:
    samples = audio.read_recording(write(tmp_path / "tone.wav", sine(rate_hz=rate_hz), rate_hz=rate_hz))
    assert samples.dtype == np.float32 and len(samples) == RATE
    inner = slice(RATE // 10, -RATE // 10)  # the filter rings where the sound begins and ends
    np.testing.assert_allclose(samples[inner], sine(rate_hz=RATE)[inner], atol=1e-3)


def test_a_recording_longer_than_a_block_equals_one_shot_resampling(tmp_path: Path) -> None:
    source = np.random.default_rng(0).uniform(-0.5, 0.5, 200_001).astype(np.float32)
    samples = audio.read_recording(write(tmp_path / "noise.wav", source, rate_hz=44_100, subtype="FLOAT"))
    np.testing.assert_array_equal(samples, soxr.resample(source, 44_100, RATE, quality="HQ"))


def test_16_khz_pcm_is_read_bit_exactly(tmp_path: Path) -> None:
    pcm = np.random.default_rng(0).integers(-(2**15), 2**15, 70_000).astype(np.int16)
    for suffix in (".wav", ".flac"):
        np.testing.assert_array_equal(audio.to_int16(audio.read_recording(write(tmp_path / f"a{suffix}", pcm))), pcm)


def test_96_khz_24_bit_stereo_is_averaged(tmp_path: Path) -> None:
    left = sine(rate_hz=96_000)
    path = write(tmp_path / "stereo.wav", np.stack([left, 0.5 * left], axis=1), rate_hz=96_000, subtype="PCM_24")
    samples = audio.read_recording(path)
    assert audio.duration_s(path) == 1.0
    np.testing.assert_allclose(samples[2_000:-2_000], 0.75 * sine(rate_hz=RATE)[2_000:-2_000], atol=1e-3)


@pytest.mark.parametrize(("suffix", "subtype"), [(".ogg", "VORBIS"), (".opus", "OPUS"), (".mp3", "MPEG_LAYER_III")])
def test_compressed_formats_are_read(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = tmp_path / f"tone{suffix}"
    sf.write(
        path, sine(rate_hz=48_000, seconds=2), 48_000, format="MP3" if suffix == ".mp3" else "OGG", subtype=subtype
    )
    samples = audio.read_recording(path)
    assert len(samples) == pytest.approx(2 * RATE, abs=1_200)
    assert np.abs(samples[8_000:24_000]).max() == pytest.approx(0.5, abs=0.05)


def data_size_at(path: Path) -> int:
    return path.read_bytes().index(b"data") + 4


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (2**32 - 1, 2**32 - 1),
        (2**32 - 1, 0),
        (0, 0),
        (36, 0),
        (8, 0),
        (0x7FFFF024, 0x7FFFF000),
        (0x7FFFFF24, 0x7FFFFF00),
    ],
)
def test_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path, riff_size: int, data_size: int) -> None:
    path = write(tmp_path / "pipe.wav", sine(rate_hz=RATE))
    expected = audio.read_recording(path)
    patched(path, offset=4, value=struct.pack("<I", riff_size))
    patched(path, offset=data_size_at(path), value=struct.pack("<I", data_size))
    np.testing.assert_array_equal(audio.read_recording(path), expected)
    assert audio.duration_s(path) == 1.0


def test_wav_without_samples_before_other_chunks_is_empty_not_a_pipe(tmp_path: Path) -> None:
    path = write(tmp_path / "none.wav", np.zeros(0))
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 400) + bytes(400))
    patched(path, offset=4, value=struct.pack("<I", path.stat().st_size - 8))
    with pytest.raises(InputError, match="holds 0 samples"):
        audio.read_recording(path)


def test_truncation_is_seen_behind_a_chunk_of_odd_size(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.wav", sine(rate_hz=RATE))
    data = path.read_bytes()
    at = data.index(b"data")
    path.write_bytes(data[:at] + b"junk" + struct.pack("<I", 3) + bytes(4) + data[at:])  # 3 bytes and one of padding
    assert audio.duration_s(path) == 1.0
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="truncated"):
        audio.duration_s(path)


def test_flac_of_unknown_length_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "pipe.flac", sine(rate_hz=RATE, seconds=9.0))
    expected = audio.read_recording(path)
    low_bits = path.read_bytes()[21] & 0xF0  # STREAMINFO: 36 bits of total samples, 0 means unknown
    patched(path, offset=21, value=bytes([low_bits, 0, 0, 0, 0]))
    np.testing.assert_array_equal(audio.read_recording(path), expected)
    assert audio.duration_s(path) == 9.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize("share", [0.4, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut{suffix}"
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 4), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cut.*(truncated|not readable)"):
        audio.read_recording(path)


def test_wav_that_misses_one_byte_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.wav", sine(rate_hz=RATE))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"promises {2 * RATE} bytes of sound, {2 * RATE - 1} are there"):
        audio.duration_s(path)


def test_bad_paths_and_contents_each_get_their_own_error(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not audio, whatever its name says")
    (tmp_path / "samples.raw").write_bytes(bytes(100))
    (tmp_path / "header.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    write(tmp_path / "other.au", sine(rate_hz=RATE))
    expected = {
        "missing.wav": "does not exist",
        ".": "is a folder",
        "empty.wav": "0 bytes",
        "text.wav": "not readable as audio",
        "samples.raw": "no header",
        "header.wav": "without a data chunk",
        "other.au": "format is AU",
    }
    for name, message in expected.items():
        for read in (audio.read_recording, audio.duration_s):
            with pytest.raises(InputError, match=message) as caught:
                read(tmp_path / name)
            assert str(tmp_path / name) in caught.value.message and caught.value.hint


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 40.0])
def test_samples_that_are_no_sound_are_refused(tmp_path: Path, bad: float) -> None:
    samples = sine(rate_hz=RATE)
    samples[5_000] = bad
    with pytest.raises(InputError, match="a sample is 40" if bad == 40 else "NaN or infinite"):
        audio.read_recording(write(tmp_path / "bad.wav", samples, subtype="FLOAT"))


@pytest.mark.parametrize("count", [0, 1])
def test_recordings_without_sound_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(InputError, match=f"holds {count} samples"):
        audio.read_recording(write(tmp_path / "short.wav", np.zeros(count)))


def test_recording_that_resamples_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 10 samples at 384000 Hz"):
        audio.read_recording(write(tmp_path / "short.wav", np.zeros(10), rate_hz=384_000))


@pytest.mark.parametrize("rate_hz", [1, 3_999, 384_001, 2**31 - 1])
def test_sampling_rates_out_of_range_name_the_range(tmp_path: Path, rate_hz: int) -> None:
    path = patched(write(tmp_path / "rate.wav", sine(rate_hz=RATE)), offset=24, value=struct.pack("<I", rate_hz))
    with pytest.raises(InputError, match=f"{rate_hz} Hz; expected 4000 to 384000 Hz"):
        audio.read_recording(path)


@pytest.mark.parametrize("rate_hz", [0, 2**32 - 1])  # the second is -1 to libsndfile
def test_impossible_sampling_rates_are_refused(tmp_path: Path, rate_hz: int) -> None:
    path = patched(write(tmp_path / "rate.wav", sine(rate_hz=RATE)), offset=24, value=struct.pack("<I", rate_hz))
    with pytest.raises(InputError, match=r"rate\.wav: not readable"):
        audio.read_recording(path)


def test_too_many_channels_and_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 17 channels; expected 1 to 16"):
        audio.read_recording(write(tmp_path / "wide.wav", np.zeros((100, 17))))
    path = write(tmp_path / "bomb.flac", np.zeros(4_000), rate_hz=4_000)
    patched(path, offset=22, value=b"\xff\xff\xff\xff")  # STREAMINFO promises 298 h
    with pytest.raises(InputError, match=r"298\.3 h long; split it"):
        audio.duration_s(path)


def test_silence_is_told_from_sound(tmp_path: Path) -> None:
    step = np.float32(1 / AUDIO.pcm_full_scale)
    assert audio.is_silent(np.zeros(CLIP, np.float32))
    assert audio.is_silent(np.full(CLIP, 0.3, np.float32))  # a constant offset
    assert audio.is_silent(0.9 * step * np.resize(np.array([1, -1], np.float32), CLIP))
    assert not audio.is_silent(step * np.resize(np.array([1, -1], np.float32), CLIP))
    assert audio.is_silent(audio.read_recording(write(tmp_path / "off.wav", np.zeros(100))))  # read, not refused


seconds = st.integers(2, 20 * RATE).map(lambda samples: samples / RATE)
hops = st.integers(RATE // 10, CLIP).map(lambda samples: samples / RATE)


@given(recording_s=seconds, hop_s=hops)
@settings(max_examples=200)
def test_windows_of_a_recording_cover_all_of_it(recording_s: float, hop_s: float) -> None:
    starts = audio.clip_starts_s(recording_s=recording_s, hop_s=hop_s)
    assert starts[0] == 0 and starts == sorted(set(starts))
    assert all(later - earlier <= hop_s + 1e-9 for earlier, later in itertools.pairwise(starts))
    assert starts[-1] + AUDIO.clip_s == pytest.approx(recording_s, abs=1e-9) or recording_s < AUDIO.clip_s


@given(recording_s=seconds, hop_s=hops, data=st.data())
@settings(max_examples=300)
def test_windows_of_an_event_hold_it_and_real_context(recording_s: float, hop_s: float, data: st.DataObject) -> None:
    recording = round(recording_s * RATE)
    first = data.draw(st.integers(0, recording - 1))
    end = data.draw(st.integers(first + 1, recording + RATE))  # annotations may run past the end
    starts = [
        round(start * RATE)
        for start in audio.clip_starts_s(recording_s=recording_s, start_s=first / RATE, end_s=end / RATE, hop_s=hop_s)
    ]
    end = min(end, recording)
    covered = np.zeros(recording + CLIP, bool)
    for start in starts:
        assert 0 <= start <= max(0, recording - CLIP)  # never zeros where the recording has a clip's length
        covered[start : start + CLIP] = True
    assert covered[first:end].all()
    if end - first <= CLIP:
        assert len(starts) == 1
        if CLIP <= first <= recording - 2 * CLIP:  # far from both edges: centred to half a sample
            assert abs((first - starts[0]) - (starts[0] + CLIP - end)) <= 1
    else:
        assert all(first <= start and start + CLIP <= end for start in starts)


def test_window_examples() -> None:
    assert audio.clip_starts_s(recording_s=6.0, hop_s=2.0) == [0, 2, 4]
    assert audio.clip_starts_s(recording_s=6.5, hop_s=2.0) == [0, 2, 4, 4.5]
    assert audio.clip_starts_s(recording_s=0.5, hop_s=2.0) == [0]
    assert audio.clip_starts_s(recording_s=9.0, start_s=4.0, end_s=5.0, hop_s=2.0) == [3.5]
    assert audio.clip_starts_s(recording_s=9.0, start_s=0.1, end_s=0.5, hop_s=2.0) == [0]
    assert audio.clip_starts_s(recording_s=9.0, start_s=8.5, hop_s=2.0) == [7]
    assert audio.clip_starts_s(recording_s=9.0, start_s=1.0, end_s=6.0, hop_s=1.0) == [1, 2, 3, 4]


@pytest.mark.parametrize(("start_s", "end_s"), [(-0.1, 1), (math.nan, 1), (0, math.inf), (1, 1), (2, 1), (5, 6)])
def test_events_without_sound_are_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(InputError, match="event"):
        audio.clip_starts_s(recording_s=5.0, start_s=start_s, end_s=end_s, hop_s=1.0)


@pytest.mark.parametrize("hop_s", [0, -1, math.nan, 2.1])
def test_hops_that_stand_still_or_skip_sound_are_refused(hop_s: float) -> None:
    with pytest.raises(UsageError, match="hop_s is"):
        audio.clip_starts_s(recording_s=5.0, hop_s=hop_s)


def test_cut_pads_only_at_the_end() -> None:
    samples = np.arange(1, 3 * RATE + 1, dtype=np.float32)
    np.testing.assert_array_equal(audio.cut(samples, start_s=0.5), samples[RATE // 2 : RATE // 2 + CLIP])
    late = audio.cut(samples, start_s=2.0)
    assert late.shape == (CLIP,) and late.dtype == np.float32
    np.testing.assert_array_equal(late[:RATE], samples[-RATE:])
    assert not late[RATE:].any()
    with pytest.raises(InputError, match="starts at 3 s"):
        audio.cut(samples, start_s=3.0)


def test_zero_padded_framing_holds_the_event_alone() -> None:
    samples = np.ones(10 * RATE, np.float32)
    assert audio.cut_event_zero_padded(samples, start_s=3.0, end_s=3.25).sum() == RATE / 4
    assert audio.cut_event_zero_padded(samples, start_s=3.0, end_s=8.0).sum() == CLIP
    assert audio.cut(samples, start_s=3.0).sum() == CLIP
