"""The synthetic corpus: reproducible, consistent, all or nothing, and each class sounds as the literature says it
does.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from hearlite.audio import synth
from hearlite.data.dataset import load_dataset
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Float64 = NDArray[np.float64]

RATE_HZ = AUDIO.sample_rate_hz
STUDIO = synth.Device("studio", RATE_HZ, 1.0, 1e6, -90.0)  # hears everything, adds nothing


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synth.write_corpus(
        tmp_path_factory.mktemp("synth") / "corpus", subjects=6, recordings_per_subject=9, seed=3
    ).parent


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def events(label: str, *, count: int = 15) -> list[Float64]:
    """Events of a class, 40 dB above the breath, from different subjects."""
    found = []
    for index in range(count):
        rng = np.random.default_rng([7, index])
        subject = dataclasses.replace(synth.draw_subject(rng), breath_db=-40.0)
        samples, start_s, end_s = synth.recording(label, rng=rng, subject=subject, device=STUDIO, duration_s=4.0)
        found.append(samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)])
    return found


def power(event: Float64) -> tuple[Float64, Float64]:
    """(Hz, power) of the whole event, from 60 Hz on: mains hum is no part of a class."""
    spectrum = np.abs(np.fft.rfft(event * np.hanning(len(event)))) ** 2
    hz = np.fft.rfftfreq(len(event), 1.0 / RATE_HZ)
    return hz[hz > 65.0], spectrum[hz > 65.0]


def peak_hz(label: str) -> Float64:
    spectra = [power(event) for event in events(label)]
    return np.array([hz[spectrum.argmax()] for hz, spectrum in spectra])


def median_hz(event: Float64) -> float:
    """Half of the event's power lies below."""
    hz, spectrum = power(event)
    return float(hz[np.searchsorted(np.cumsum(spectrum), 0.5 * spectrum.sum())])


def tonality(label: str) -> float:
    """Median share of a 64 ms frame's power within 35 Hz of its peak."""
    shares = []
    for event in events(label):
        frames = np.lib.stride_tricks.sliding_window_view(event, RATE_HZ * 64 // 1000)[:: RATE_HZ // 50]
        spectra = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1)) ** 2
        near = [
            frame[max(0, peak - 2) : peak + 3].sum() / frame.sum()
            for frame, peak in zip(spectra, spectra.argmax(axis=1), strict=True)
        ]
        shares.append(np.median(near))
    return float(np.median(shares))


def kurtosis(event: Float64) -> float:
    return float(np.mean(event**4) / np.mean(event**2) ** 2)


def envelope(event: Float64, *, block_s: float) -> Float64:
    block = round(block_s * RATE_HZ)
    blocks = event[: len(event) // block * block].reshape(-1, block)
    return np.asarray(np.sqrt((blocks**2).mean(axis=1)))


# --- the corpus


def test_a_seed_fixes_every_byte(corpus: Path, tmp_path: Path) -> None:
    again = synth.write_corpus(tmp_path / "again", subjects=6, recordings_per_subject=9, seed=3).parent
    assert contents(again) == contents(corpus)


def test_another_seed_gives_other_sounds(corpus: Path, tmp_path: Path) -> None:
    other = contents(synth.write_corpus(tmp_path / "other", subjects=3, recordings_per_subject=2, seed=4).parent)
    here = contents(corpus)
    audio = [name for name in other if name.endswith(".flac")]
    assert len(audio) == 6
    assert all(other[name] != here[name] for name in audio)


def test_the_manifest_is_what_lies_there(corpus: Path) -> None:
    found = rows(corpus)
    assert tuple(found[0]) == synth.COLUMNS
    assert {row["file"] for row in found} == {name for name in contents(corpus) if name.endswith(".flac")}
    assert {row["label"] for row in found} == set(synth.CLASSES)
    assert {row["device"] for row in found} <= {device.name for device in synth.DEVICES}
    assert {row["synthetic"] for row in found} == {"yes"}
    assert len(found) == len({row["file"] for row in found}) == 54


def test_every_subject_makes_every_sound_and_stays_on_one_side(corpus: Path) -> None:
    labels, splits = defaultdict(list), defaultdict(set)
    for row in rows(corpus):
        labels[row["subject"]].append(row["label"])
        splits[row["subject"]].add(row["split"])
        assert Path(row["file"]).name.startswith(row["subject"] + "_")
    assert all(sorted(made) == sorted(synth.CLASSES) for made in labels.values())
    assert sorted(side for sides in splits.values() for side in sides) == [
        "test",
        "test",
        "train",
        "train",
        "train",
        "val",
    ]


def test_split_shares_of_sixty_subjects() -> None:
    splits = synth.draw_splits(60, rng=np.random.default_rng(0))
    assert [splits.count(split) for split in ("train", "val", "test")] == [36, 6, 18]
    assert splits[:36] != ["train"] * 36


def test_recordings_are_sound(corpus: Path) -> None:
    rate_of = {device.name: device.sample_rate_hz for device in synth.DEVICES}
    peaks = []
    for row in rows(corpus):
        info = soundfile.info(corpus / row["file"])
        assert (info.format, info.subtype, info.channels, info.samplerate) == (
            "FLAC",
            "PCM_16",
            1,
            rate_of[row["device"]],
        )
        assert 2.5 <= info.duration <= 6.0
        assert 0.0 <= float(row["start_s"]) < float(row["end_s"]) <= info.duration
        pcm = np.abs(soundfile.read(corpus / row["file"], dtype="int16")[0].astype(np.int32))
        assert (pcm >= AUDIO.pcm_full_scale - 1).sum() <= 4
        peaks.append(pcm.max() / AUDIO.pcm_full_scale)
    assert min(peaks) > 0.05
    assert max(peaks) < 1.0
    assert max(peaks) / min(peaks) > 4.0  # levels vary


def test_the_dataset_reader_takes_all_of_it(corpus: Path) -> None:
    dataset = load_dataset(corpus)
    assert dataset.skipped == ()
    assert {clip.label("label") for clip in dataset.clips} == set(synth.CLASSES)
    assert {clip.split for clip in dataset.clips} == {"train", "val", "test"}


def test_the_notice_says_what_it_is(corpus: Path) -> None:
    notice = (corpus / "SYNTHETIC.md").read_text(encoding="utf-8")
    assert "seed 3" in notice
    assert "there is no person and no patient" in notice
    assert json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))["synthetic"] is True


# --- all or nothing, once


def test_an_existing_corpus_is_reused(corpus: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    assert synth.write_corpus(corpus, subjects=6, recordings_per_subject=9, seed=3) == corpus / "manifest.csv"
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


@pytest.mark.parametrize("changed", [{"seed": 4}, {"subjects": 7}, {"recordings_per_subject": 8}])
def test_a_corpus_of_other_parameters_is_an_error(corpus: Path, changed: dict[str, int]) -> None:
    wanted = {"subjects": 6, "recordings_per_subject": 9, "seed": 3} | changed
    before = contents(corpus)
    with pytest.raises(InputError, match="other parameters") as raised:
        synth.write_corpus(
            corpus,
            subjects=wanted["subjects"],
            recordings_per_subject=wanted["recordings_per_subject"],
            seed=wanted["seed"],
        )
    assert "another folder" in raised.value.hint
    assert contents(corpus) == before


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no synthetic corpus"):
        synth.write_corpus(tmp_path, subjects=3, recordings_per_subject=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert synth.write_corpus(tmp_path, subjects=3, recordings_per_subject=1, seed=0).is_file()


def test_a_corpus_that_lost_a_recording_is_an_error(tmp_path: Path) -> None:
    folder = synth.write_corpus(tmp_path / "corpus", subjects=3, recordings_per_subject=1, seed=0).parent
    next((folder / "audio").iterdir()).unlink()
    with pytest.raises(InputError, match="2 of 3 recordings"):
        synth.write_corpus(folder, subjects=3, recordings_per_subject=1, seed=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    write, written = soundfile.write, []

    def fails_at_the_third(path: Path, *args: object, **kwargs: object) -> None:
        written.append(path)
        if len(written) == 3:
            raise error("disk full")
        write(path, *args, **kwargs)

    monkeypatch.setattr(soundfile, "write", fails_at_the_third)
    with pytest.raises((KeyboardInterrupt, InputError)):
        synth.write_corpus(tmp_path / "corpus", subjects=3, recordings_per_subject=2, seed=0)
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("subjects", "recordings", "seed"), [(2, 1, 0), (3, 0, 0), (3, 1, -1)])
def test_impossible_numbers_are_refused(tmp_path: Path, subjects: int, recordings: int, seed: int) -> None:
    with pytest.raises(UsageError, match="at least 3 subjects"):
        synth.write_corpus(tmp_path / "corpus", subjects=subjects, recordings_per_subject=recordings, seed=seed)
    assert list(tmp_path.iterdir()) == []


# --- the sounds


@pytest.mark.parametrize("label", synth.CLASSES)
@pytest.mark.parametrize("device", synth.DEVICES, ids=lambda device: device.name)
def test_a_recording_is_finite_and_in_range(label: str, device: synth.Device) -> None:
    rng = np.random.default_rng(1)
    samples, start_s, end_s = synth.recording(
        label, rng=rng, subject=synth.draw_subject(rng), device=device, duration_s=2.5
    )
    assert samples.dtype == np.float64
    assert samples.shape == (round(2.5 * device.sample_rate_hz),)
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() < 1.0
    assert 0.0 <= start_s < end_s <= 2.5


def test_an_unknown_label_and_a_short_recording_are_refused() -> None:
    rng = np.random.default_rng(1)
    subject = synth.draw_subject(rng)
    with pytest.raises(UsageError, match=r"hiccup.*speech_babble"):
        synth.recording("hiccup", rng=rng, subject=subject, device=STUDIO, duration_s=4.0)
    with pytest.raises(UsageError, match="2 s is too short"):
        synth.recording("cough", rng=rng, subject=subject, device=STUDIO, duration_s=2.0)


def test_a_wheeze_is_a_tone_of_100_to_1000_hz() -> None:
    peaks = peak_hz("wheeze")
    assert np.mean((peaks > 100.0) & (peaks < 1_100.0)) == 1.0
    assert tonality("wheeze") > 0.85
    assert tonality("breath") < 0.5
    assert all(len(event) / RATE_HZ > 0.1 for event in events("wheeze"))


def test_a_rhonchus_lies_below_300_hz_and_a_stridor_above_400() -> None:
    assert np.median([median_hz(event) for event in events("rhonchus")]) < 300.0
    assert np.mean(peak_hz("rhonchus") <= 300.0) > 0.9
    assert np.mean((peak_hz("stridor") > 380.0) & (peak_hz("stridor") < 1_200.0)) > 0.9


def test_crackles_are_impulses_and_fine_ones_are_higher() -> None:
    fine, coarse = events("fine_crackle"), events("coarse_crackle")
    breath = np.median([kurtosis(event) for event in events("breath")])  # Gaussian noise has 3, the flow adds to it
    assert np.median([kurtosis(event) for event in fine]) > 2.0 * breath
    assert np.median([kurtosis(event) for event in coarse]) > 2.0 * breath
    assert 300.0 < np.median(peak_hz("fine_crackle")) < 800.0
    assert 120.0 < np.median(peak_hz("coarse_crackle")) < 400.0
    assert np.median([median_hz(event) for event in fine]) > 1.4 * np.median([median_hz(event) for event in coarse])


def test_a_cough_starts_with_a_burst() -> None:
    early = [np.argmax(envelope(event, block_s=0.01)[:25]) for event in events("cough")]
    assert np.median(early) <= 4  # the loudest 10 ms of the first cough are in its first 50 ms
    ratio = [
        envelope(event, block_s=0.01)[:5].mean() / envelope(event, block_s=0.01)[12:18].mean()
        for event in events("cough")
    ]
    assert np.median(ratio) > 2.0


def test_a_snore_is_a_pulse_train_of_20_to_200_hz() -> None:
    found = []
    for event in events("snore"):
        middle = np.abs(event[len(event) // 2 :][: RATE_HZ // 4])
        middle = middle - middle.mean()
        lags = np.fft.irfft(np.abs(np.fft.rfft(middle, n=2 * len(middle))) ** 2)[: len(middle) // 2]
        found.append(lags[RATE_HZ // 200 : RATE_HZ // 20].max() / lags[0])
    assert np.median(found) > 0.2


def test_speech_is_modulated_by_syllables() -> None:
    def syllabic(label: str) -> float:
        shares = []
        for event in events(label):
            curve = envelope(event, block_s=0.02)
            spectrum = np.abs(np.fft.rfft((curve - curve.mean()) * np.hanning(len(curve)))) ** 2
            hz = np.fft.rfftfreq(len(curve), 0.02)
            shares.append(spectrum[(hz > 2.0) & (hz < 8.0)].sum() / spectrum[hz > 0.0].sum())
        return float(np.median(shares))

    assert syllabic("speech_babble") > syllabic("breath") + 0.1


def test_a_subjects_vocal_tract_and_chest_are_heard() -> None:
    def breath(chest_hz: float) -> float:
        subject = dataclasses.replace(synth.draw_subject(np.random.default_rng(0)), chest_hz=chest_hz, breath_db=-40.0)
        samples, start_s, end_s = synth.recording(
            "breath", rng=np.random.default_rng(5), subject=subject, device=STUDIO, duration_s=4.0
        )
        return median_hz(samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)])

    assert breath(900.0) > 1.5 * breath(300.0)
