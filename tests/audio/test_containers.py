"""Compressed recordings are read to their last byte or refused: joined, cut, gapped, tagged, from phones and browsers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from hearlite import audio
from hearlite.audio.containers import find_demuxer, scan
from hearlite.data.dataset import Skipped, load_dataset
from hearlite.data.reading import read_clips
from hearlite.errors import InputError

av = pytest.importorskip("av")
RATE = 16_000
PHONES = {".m4a": "aac", ".webm": "libopus", ".3gp": "aac", ".aiff": "pcm_s16be", ".caf": "pcm_s16be", ".aac": "aac"}


def noise(seconds: float, *, seed: int = 0) -> NDArray[np.float32]:
    """Bursts, so that a part of it sounds unlike another."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE)
    return (0.3 * rng.standard_normal(n) * (np.sin(np.arange(n) * 6 / RATE) > 0)).clip(-0.9, 0.9).astype(np.float32)


def encode(path: Path, sound: NDArray[np.float32], codec: str) -> Path:
    """Write a recording by FFmpeg's encoder."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48_000 if codec == "libopus" else RATE)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=stream.rate)
        fifo = av.AudioFifo()
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size, partial=True)) is not None:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def written(path: Path, seconds: float, **options: str) -> Path:
    sf.write(path, noise(seconds), RATE, **options)
    return path


@pytest.mark.parametrize(("suffix", "codec"), PHONES.items())
def test_what_phones_write_is_read(tmp_path: Path, suffix: str, codec: str) -> None:
    try:
        path = encode(tmp_path / f"visit{suffix}", noise(4.0), codec)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg writes no {codec} in {suffix}: {error}")
    assert suffix in audio.SUFFIXES
    samples = audio.read_recording(path)
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.15)
    assert audio.duration_s(path) == pytest.approx(4.0, abs=0.15)
    louder = np.sqrt(np.mean(samples**2)) / np.sqrt(np.mean(noise(4.0) ** 2))
    assert 0.6 < louder < 1.2


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
def test_joined_files_are_read_to_their_end(tmp_path: Path, suffix: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    first, second = (written(tmp_path / f"{name}{suffix}", 4.0, **options) for name in "ab")
    joined = tmp_path / f"joined{suffix}"
    content = second.read_bytes()
    if suffix == ".ogg" or suffix == ".opus":  # another stream in the chain must have a serial number of its own
        content = with_serial(content, 77)
    joined.write_bytes(first.read_bytes() + content)
    assert audio.duration_s(joined) == pytest.approx(8.0, abs=0.25)
    assert len(audio.read_recording(joined)) / RATE == pytest.approx(8.0, abs=0.25)


def with_serial(ogg: bytes, serial: int) -> bytes:
    """The same Ogg stream under another serial number, its pages' checksums made anew."""
    table = [0] * 256
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table[index] = value
    pages, at = bytearray(ogg), 0
    while at < len(pages):
        segments = pages[at + 26]
        end = at + 27 + segments + sum(pages[at + 27 : at + 27 + segments])
        pages[at + 14 : at + 18] = struct.pack("<I", serial)
        pages[at + 22 : at + 26] = bytes(4)
        crc = 0
        for byte in pages[at:end]:
            crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
        pages[at + 22 : at + 26] = struct.pack("<I", crc)
        at = end
    return bytes(pages)


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    path = written(tmp_path / f"cut{suffix}", 8.0, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    for read in (audio.read_recording, audio.duration_s):
        with pytest.raises(InputError, match="truncated"):
            read(path)


def test_an_ogg_cut_at_the_end_of_a_page_is_refused_too(tmp_path: Path) -> None:
    path = written(tmp_path / "cut.ogg", 8.0)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"OggS")])
    with pytest.raises(InputError, match="has no end"):
        audio.read_recording(path)


def test_an_ogg_without_a_page_of_its_middle_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "gap.ogg", 8.0)
    data = path.read_bytes()
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    middle = len(pages) // 2
    path.write_bytes(data[: pages[middle]] + data[pages[middle + 1] :])
    with pytest.raises(InputError, match="page is missing"):
        audio.read_recording(path)


def test_an_mp3_without_a_header_of_its_length_is_read_in_full(tmp_path: Path) -> None:
    path = written(tmp_path / "stream.mp3", 12.0)
    data = path.read_bytes()
    place = max(data.find(b"Xing"), data.find(b"Info"))
    assert place > 0
    start = data.rindex(b"\xff", 0, place)
    length = next(at for at in range(place, len(data)) if data[at] == 0xFF and data[at + 1] & 0xE0 == 0xE0) - start
    path.write_bytes(data[start + length :])
    assert len(audio.read_recording(path)) / RATE == pytest.approx(12.0, abs=0.3)
    assert audio.duration_s(path) == pytest.approx(12.0, abs=0.3)


def test_junk_within_an_mp3_is_refused_and_tags_are_not(tmp_path: Path) -> None:
    path = written(tmp_path / "sound.mp3", 4.0)
    data = path.read_bytes()
    tag = b"ID3\x04\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    path.write_bytes(tag + data + b"TAG" + bytes(125))
    assert len(audio.read_recording(path)) / RATE == pytest.approx(4.0, abs=0.2)
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(range(1, 200)) * 9 + data[half:])
    with pytest.raises(InputError, match=r"neither an MP3 frame nor a tag|not readable"):
        audio.read_recording(path)


def test_a_wav_behind_a_tag_is_read_in_full(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.wav", 4.0)
    tagged = tmp_path / "tagged.wav"
    tagged.write_bytes(b"ID3\x04\0\0" + bytes([0, 0, 1, 0]) + bytes(128) + plain.read_bytes())
    np.testing.assert_array_equal(audio.read_recording(tagged), audio.read_recording(plain))
    assert audio.duration_s(tagged) == 4.0


def test_a_wav_with_sound_behind_the_sound_that_it_counts_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "more.wav", 8.0)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 2 * RATE)
    path.write_bytes(data)
    with pytest.raises(InputError, match="follow the sound that its header counts"):
        audio.read_recording(path)


def test_a_wav_whose_writer_counted_the_header_in_is_read_in_full(tmp_path: Path) -> None:
    path = written(tmp_path / "header.wav", 8.0)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 2 * 8 * RATE + 16)
    path.write_bytes(data)
    assert len(audio.read_recording(path)) == 8 * RATE


def test_sound_beyond_full_scale_is_scaled_not_clipped(tmp_path: Path) -> None:
    sound = noise(4.0)
    sf.write(tmp_path / "loud.wav", 4 * sound / np.abs(sound).max(), RATE, subtype="FLOAT")
    samples = audio.read_recording(tmp_path / "loud.wav")
    assert np.abs(samples).max() == 1.0
    np.testing.assert_allclose(samples, sound / np.abs(sound).max(), atol=1e-6)


def test_channels_of_opposite_polarity_do_not_cancel(tmp_path: Path) -> None:
    sound, hiss = noise(4.0), 0.002 * np.random.default_rng(1).standard_normal(4 * RATE)
    sf.write(tmp_path / "swapped.wav", np.column_stack([sound, -sound + hiss]), RATE, subtype="FLOAT")
    samples = audio.read_recording(tmp_path / "swapped.wav")
    assert abs(np.corrcoef(samples, sound)[0, 1]) > 0.99
    rng = np.random.default_rng(2)
    apart = rng.uniform(-0.5, 0.5, (4 * RATE, 2))
    sf.write(tmp_path / "apart.wav", apart, RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read_recording(tmp_path / "apart.wav"), apart.mean(axis=1), atol=1e-6)


def test_a_codec_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.caf", 1.0, format="CAF", subtype="PCM_16")
    content = path.read_bytes()
    assert content.count(b"lpcm") == 1
    path.write_bytes(content.replace(b"lpcm", b"zzzz"))
    with pytest.raises(InputError, match=r"a\.caf: its sound is in a codec that FFmpeg does not know"):
        audio.read_recording(path)


def test_an_unknown_file_gets_no_demuxer() -> None:
    assert find_demuxer(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" + bytes(64)) is None
    assert find_demuxer(bytes(64)) is None


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_bytes_at_random_end_in_an_error_for_users(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"fuzz{suffix}", 2.0)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
        try:
            samples = audio.read_recording(path)
        except InputError:
            continue
        assert np.isfinite(samples).all()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        audio.read_recording(path)


def test_what_a_folder_holds_is_read_or_listed(tmp_path: Path) -> None:
    written(tmp_path / "visit.wav", 4.0)
    (tmp_path / "notes.docx").write_bytes(b"words")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "folder.mp3").mkdir()
    dataset = load_dataset(tmp_path)
    assert any("1 other file is not read: notes.docx" in note for note in dataset.notes)
    assert {item.file for item in dataset.skipped} == {"gone.wav", "folder.mp3"}
    assert {clip.name for clip in dataset.clips} == {"visit.wav"}


def test_a_damaged_recording_is_listed_once(tmp_path: Path) -> None:
    path = written(tmp_path / "night.flac", 30.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    (item,) = read_clips(load_dataset(tmp_path).clips)
    assert isinstance(item, Skipped) and item.clips == 15


def test_scan_of_an_empty_chain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.ogg"
    path.write_bytes(b"OggS" + bytes(10))
    with pytest.raises(InputError, match="truncated"):
        scan(path, "ogg")
