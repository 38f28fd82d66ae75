"""Copies of recordings are found whatever they are called, after codecs, gain, resampling, shifts and cuts; others aren't."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
import soxr

from hearlite.audio.clips import Samples, to_int16
from hearlite.audio.fingerprint import FRAME_SAMPLES, HOP_SAMPLES, LAG_FRAMES, WEAK_BITS, fingerprint
from hearlite.audio.synth import CLASSES, DEVICES, draw_subject, recording
from hearlite.data.copies import find_copies
from hearlite.data.dataset import load_dataset
from hearlite.data.duplicates import Fingerprints, find_matches, fingerprint_recordings
from hearlite.errors import InputError
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz


def sound(seed: int, *, seconds: float = 3.0) -> Samples:
    """A cough, breath or the like, of a person and a device of its own, with noise."""
    rng = np.random.default_rng(seed)
    device = DEVICES[seed % len(DEVICES)]
    samples, _, _ = recording(
        CLASSES[seed % len(CLASSES)], rng=rng, subject=draw_subject(rng), device=device, duration_s=seconds
    )
    return soxr.resample(samples.astype(np.float32), device.sample_rate_hz, RATE).astype(np.float32)


def coded(samples: Samples, *, container: str, codec: str, rate: int) -> Samples:
    """The same sound after a codec at 32 kbit/s."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as out:
        track = out.add_stream(codec, rate=rate)
        track.layout, track.bit_rate = "mono", 32_000
        frame = av.AudioFrame.from_ndarray(
            (np.clip(samples, -1, 1) * 32_767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        adapt = av.AudioResampler(track.codec_context.format, "mono", rate, track.codec_context.frame_size or 1_152)
        for part in (*adapt.resample(frame), *adapt.resample(None)):
            out.mux(track.encode(part))
        out.mux(track.encode(None))
    stream.seek(0)
    with av.open(stream) as source:
        adapt = av.AudioResampler("flt", "mono", RATE)
        parts = [part.to_ndarray()[0] for frame in source.decode(audio=0) for part in adapt.resample(frame)]
        parts += [part.to_ndarray()[0] for part in adapt.resample(None)]
    return np.concatenate(parts)


def through(rate: int) -> Callable[[Samples], Samples]:
    return lambda samples: soxr.resample(soxr.resample(samples, RATE, rate), rate, RATE)


ALTERED: dict[str, Callable[[Samples], Samples]] = {
    "the same": lambda samples: samples,
    "quieter": lambda samples: 0.25 * samples,
    "inverted": lambda samples: -samples,
    "8 kHz": through(8_000),
    "44.1 kHz": through(44_100),
    "0.3 s later": lambda samples: np.concatenate([np.zeros(4_807, np.float32), samples]),
    "without 0.4 s": lambda samples: samples[6_405:],
    "from the middle": lambda samples: samples[len(samples) // 4 : -len(samples) // 4],
    "MP3": lambda samples: coded(samples, container="mp3", codec="libmp3lame", rate=RATE),
    "Opus": lambda samples: coded(samples, container="ogg", codec="libopus", rate=48_000),
    "MP3 of a part": lambda samples: coded(samples[9_000:42_000], container="mp3", codec="libmp3lame", rate=RATE),
    "in a longer one": lambda samples: np.concatenate([sound(90), samples, sound(91)]),
}


def fingerprints(tmp_path: Path, sounds: dict[str, Samples]) -> Fingerprints:
    for name, samples in sounds.items():
        sf.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    return fingerprint_recordings(load_dataset(tmp_path))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Fingerprints:
    """Forty different recordings."""
    folder = tmp_path_factory.mktemp("many")
    return fingerprints(folder, {f"{seed:02}.wav": sound(seed) for seed in range(40)})


def test_no_two_different_recordings_match(many: Fingerprints) -> None:
    assert len(many.names) == 40
    assert find_matches(many) == []


@pytest.mark.parametrize("how", ALTERED)
def test_altered_copies_are_found_and_nothing_else_is(many: Fingerprints, how: str, tmp_path: Path) -> None:
    chosen = (3, 17, 26, 33)
    copies = fingerprints(tmp_path, {f"{seed:02}.wav": ALTERED[how](sound(seed)) for seed in chosen})
    found = find_matches(copies, many)
    assert [(copies.names[match.one], many.names[match.other]) for match in found] == [
        (f"{seed:02}.wav", f"{seed:02}.wav") for seed in chosen
    ]
    assert [match.exact for match in found] == [how == "the same"] * len(chosen)
    back = find_matches(many, copies)  # either may be the longer or the better one
    assert {(match.other, match.one) for match in back} == {(match.one, match.other) for match in found}


def test_parts_of_any_length_have_one_fingerprint() -> None:
    samples = sound(5)
    whole, parts = fingerprint([samples]), fingerprint(np.array_split(samples, [1, 700, 9_000, 9_001, 30_000]))
    assert whole.digest == parts.digest != 0
    np.testing.assert_array_equal(whole.bits, parts.bits)
    np.testing.assert_array_equal(whole.weak, parts.weak)
    assert len(whole.bits) == (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES + 1 - LAG_FRAMES
    assert {bin(mask).count("1") for mask in whole.weak.tolist()} <= {0, WEAK_BITS}


def test_a_long_recording_is_read_in_parts(many: Fingerprints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearlite.audio.decode.LONG_S", 1.0)
    (match,) = find_matches(fingerprints(tmp_path, {"a.wav": sound(7)}), many)
    assert (many.names[match.other], match.exact) == ("07.wav", True)


def test_silence_hum_and_short_sounds_are_not_copies_of_each_other(tmp_path: Path) -> None:
    time = np.arange(3 * RATE) / RATE
    rng = np.random.default_rng(0)
    hum = 0.1 * np.sin(2 * np.pi * 50 * time) + 0.05 * np.sin(2 * np.pi * 150 * time)
    sounds = {
        **{f"silent{n}.wav": np.zeros(2 * RATE) for n in range(3)},
        **{f"offset{n}.wav": np.full(2 * RATE, 0.25) for n in range(2)},
        **{f"hum{n}.wav": hum + 0.01 * rng.standard_normal(len(hum)) for n in range(4)},
        **{f"noise{n}.wav": 0.1 * rng.standard_normal(3 * RATE) for n in range(4)},
        **{f"short{n}.wav": 0.1 * rng.standard_normal(RATE // 5) for n in range(3)},
    }
    assert find_matches(fingerprints(tmp_path, sounds)) == []


def test_equal_recordings_are_found_however_short(tmp_path: Path) -> None:
    click = sound(2)[:2_000]
    found = find_matches(fingerprints(tmp_path, {"a.wav": click, "b.wav": sound(1), "c.wav": click}))
    assert [(match.one, match.other, match.exact, match.different) for match in found] == [(0, 2, True, 0.0)]


def test_another_format_of_the_same_samples_is_equal(tmp_path: Path) -> None:
    for name in ("a.flac", "b.wav"):
        sf.write(tmp_path / name, to_int16(sound(4)), RATE)
    (match,) = find_matches(fingerprint_recordings(load_dataset(tmp_path)))
    assert match.exact


def test_they_are_written_and_read_again(many: Fingerprints, tmp_path: Path) -> None:
    many.save(tmp_path / "heard.npz")
    loaded = Fingerprints.load(tmp_path / "heard.npz")
    assert len(find_matches(many, loaded)) == 40
    part = many.of(["03.wav", "05.wav"])
    assert part.names == ("03.wav", "05.wav")
    assert [(match.one, match.other) for match in find_matches(part, loaded)] == [(0, 3), (1, 5)]
    assert find_matches(many.of([]), loaded) == find_matches(many, many.of([])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": np.array([0, 5], np.int64)},
        {"starts": np.array([0, 9, 2, 4], np.int64)},
        {"bits": np.zeros(4, np.int64)},
        {"weak": np.zeros(3, np.uint32)},
    ],
)
def test_damaged_fingerprints_are_refused(changes: dict[str, np.ndarray], tmp_path: Path) -> None:
    good = {
        "digests": np.zeros(3, np.uint64),
        "bits": np.zeros(4, np.uint32),
        "weak": np.zeros(4, np.uint32),
        "starts": np.array([0, 1, 2, 4], np.int64),
    }
    np.savez(tmp_path / "good.npz", **good)
    assert Fingerprints.load(tmp_path / "good.npz").names == ("", "", "")
    np.savez(tmp_path / "bad.npz", **{**good, **changes})
    with pytest.raises(InputError, match="not the fingerprints"):
        Fingerprints.load(tmp_path / "bad.npz")


def test_copies_are_told_apart_by_side_and_subject(tmp_path: Path) -> None:
    rows = [
        ("train1.wav", "s1", "train", sound(1)),
        ("test1.wav", "s2", "test", sound(1)),  # equal, across
        ("train2.wav", "s1", "train", sound(2)),
        ("test2.wav", "s2", "test", 0.5 * sound(2)),  # nearly
        ("val2.wav", "s3", "val", 0.25 * sound(2)),
        ("test3.wav", "s2", "test", sound(3)),
        ("test4.wav", "s4", "test", sound(3)),  # one side, two subjects
        ("train5.wav", "s1", "train", sound(5)),
        ("train6.wav", "s1", "train", sound(5)),  # one subject
    ]
    for name, _, _, samples in rows:
        sf.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    (tmp_path / "manifest.csv").write_text(
        "file,subject,split\n" + "".join(f"{name},{subject},{split}\n" for name, subject, split, _ in rows)
    )
    dataset = load_dataset(tmp_path)
    copies = find_copies(dataset, fingerprint_recordings(dataset))
    assert copies.exact == ("train1.wav (s1, train) = test1.wav (s2, test)",)
    assert set(copies.near) == {
        "train2.wav (s1, train) = test2.wav (s2, test)",
        "val2.wav (s3, val) = test2.wav (s2, test)",
    }
    assert copies.tuned == ("train2.wav (s1, train) = val2.wav (s3, val)",)
    assert copies.renamed == ("test3.wav (s2, test) = test4.wav (s4, test)",)
    exact, near, tuned, renamed = copies.notes()
    assert exact.startswith("WARNING: 1 recording is both in test and in training (equal)") and "test1.wav" in exact
    assert near.startswith("WARNING: 2 recordings are both in test and in training (nearly equal)")
    assert "train and in val" in tuned and "two subjects" in renamed
    with pytest.raises(
        InputError, match=r"1 recording is in test and in training: train1\.wav .* = test1\.wav"
    ) as caught:
        copies.require_allowed(allowed=False, where="data")
    assert "--allow-duplicates" in caught.value.hint
    copies.require_allowed(allowed=True, where="data")
