"""From a folder, manifest or recording to clips: rows, errors, splits, reading."""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import example, given
from hypothesis import strategies as st

from hearlite import audio
from hearlite.data.dataset import Dataset, Skipped, combine, load_dataset
from hearlite.data.reading import Clip, clip_id, read_clips, silent_text
from hearlite.errors import InputError, UsageError
from hearlite.manifests.splits import assign_splits, split_of
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz


def record(path: Path, *, seconds: float = 3.0, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recordings of 3 s: a.wav, b.wav, sub/c.wav."""
    root = tmp_path / "coughs"
    for seed, name in enumerate(["a.wav", "b.wav", "sub/c.wav"]):
        record(root / name, seed=seed)
    return root


def manifest(folder: Path, text: str, *, name: str = "manifest.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def load(folder: Path, text: str, *, label_columns: tuple[str, ...] = ("label",), framing: str = "context") -> Dataset:
    return load_dataset(manifest(folder, text), label_columns=label_columns, framing=framing)


def test_folder_without_manifest_takes_every_recording_as_its_own_subject(folder: Path) -> None:
    (folder / "notes.txt").write_text("not audio")
    (folder / "broken.wav").write_text("not audio")
    dataset = load_dataset(folder)
    assert [(clip.name, clip.start_s) for clip in dataset.clips] == [
        (n, s) for n in ("a.wav", "b.wav", "sub/c.wav") for s in (0.0, 1.0)
    ]
    assert all(clip.subject == clip.name and clip.label("label") == "" for clip in dataset.clips)
    assert {clip.name: clip.split for clip in dataset.clips} == assign_splits(
        dict.fromkeys(("a.wav", "b.wav", "sub/c.wav"), 1)
    )
    assert [(item.file, item.row) for item in dataset.skipped] == [("broken.wav", None)]
    assert any("own subject" in note for note in dataset.notes)
    assert dataset.name == "coughs"


def test_one_recording_is_a_dataset(folder: Path) -> None:
    dataset = load_dataset(folder / "sub" / "c.wav", hop_s=0.5)
    assert [(clip.name, clip.start_s) for clip in dataset.clips] == [("c.wav", 0.0), ("c.wav", 0.5), ("c.wav", 1.0)]


def test_manifest_with_events_labels_and_a_byte_order_mark(folder: Path) -> None:
    text = (
        'file,start_s,end_s,label,subject,split,site\na.wav,1.0,1.5,"wet, deep",p1,train,x\nsub/c.wav,,,dry,p2,test,y\n'
    )
    manifest(folder, text, encoding="utf-8-sig")
    event, *whole = load_dataset(folder, label_columns=("label", "site")).clips
    assert (event.row, event.start_s, event.event_start_s, event.event_end_s) == (2, 0.25, 1.0, 1.5)
    assert (event.subject, event.split, event.label("label"), event.label("site")) == ("p1", "train", "wet, deep", "x")
    assert [(clip.row, clip.start_s, clip.event_start_s, clip.split) for clip in whole] == [
        (3, 0.0, None, "test"),
        (3, 1.0, None, "test"),
    ]
    assert len({event, *whole}) == 3  # hashable


def test_start_and_end_are_accepted_without_unit(folder: Path) -> None:
    clip = load(folder, "file,start,end\na.wav,1.0,1.5\n").clips[0]
    assert (clip.event_start_s, clip.event_end_s) == (1.0, 1.5)
    with pytest.raises(InputError, match="has the columns start_s and start; keep one"):
        load(folder, "file,start,start_s\na.wav,1.0,1.0\n")


def test_zero_pad_framing_takes_the_event_alone_and_whole_recordings_as_ever(folder: Path) -> None:
    rows = "file,start,end\na.wav,1.0,1.5\nb.wav,,\n"
    dataset = load(folder, rows, framing="zero-pad")
    padded, context = (
        next(read_clips(load(folder, rows, framing=framing).clips)) for framing in ("zero-pad", "context")
    )
    assert isinstance(padded, Clip) and isinstance(context, Clip)
    assert [clip.start_s for clip in dataset.clips] == [1.0, 0.0, 1.0]
    assert padded.pcm[: RATE // 2].any() and not padded.pcm[RATE // 2 :].any()
    np.testing.assert_array_equal(padded.pcm[: RATE // 2], context.pcm[RATE * 3 // 4 : RATE * 5 // 4])
    with pytest.raises(UsageError, match=r"'pad'; use one of context, zero-pad"):
        load(folder, rows, framing="pad")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("gone.wav,,", "does not exist"),
        ("sub,,", "is a folder"),
        ("b.wav,soon,2", "start is 'soon'"),
        ("b.wav,-1,2", "start is '-1'"),
        ("b.wav,nan,2", "start is 'nan'"),
        ("b.wav,0,inf", "end is 'inf'"),
        ("b.wav,2,1", "end must come after"),
        ("b.wav,1,1", "end must come after"),
        ("b.wav,3.0,4", "recording is 3 s long"),
    ],
)
def test_unusable_rows_are_skipped_and_listed_with_their_row(folder: Path, row: str, reason: str) -> None:
    dataset = load(folder, f"file,start,end\na.wav,,\n{row}\na.wav,0,1\n")
    assert [clip.row for clip in dataset.clips] == [2, 2, 4]
    (skipped,) = dataset.skipped
    assert skipped.row == 3 and skipped.file == row.split(",")[0] and reason in skipped.reason


def test_events_past_the_end_are_cut_there_and_noted(folder: Path) -> None:
    dataset = load(folder, "file,start,end\na.wav,2.5,3.2\n")
    assert dataset.clips[0].event_end_s == 3.0 and dataset.clips[0].start_s == 1.0
    assert "1 events end after their recording and were cut at its end" in dataset.notes


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(
            (name, "leads out of")
            for name in ("../secret.wav", "sub/../../secret.wav", "..\\secret.wav", "link.wav", "linked/secret.wav")
        ),
        ("sub/../a.wav", r"has '\.\.' in it"),
        ("{outside}", "is an absolute path"),
        ("C:\\secret.wav", "is an absolute path"),
        ("", "is empty"),
    ],
)
def test_paths_that_leave_the_manifests_folder_are_refused(folder: Path, name: str, wrong: str) -> None:
    secret = record(folder.parent / "secret.wav")
    (folder / "link.wav").symlink_to(secret)
    (folder / "linked").symlink_to(folder.parent)
    with pytest.raises(InputError, match=rf"row 3: file is '.*', which {wrong}.*; use a path below .*coughs, without"):
        load(folder, f"file,label\na.wav,x\n{name.format(outside=secret)},x\n")


def test_links_below_the_folder_and_windows_separators_are_fine(folder: Path) -> None:
    (folder / "alias.wav").symlink_to(folder / "a.wav")
    assert [clip.name for clip in load(folder, "file\nalias.wav\nsub\\c.wav\n").clips[::2]] == [
        "alias.wav",
        "sub/c.wav",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line holds no names of columns"),
        ("path,label\na.wav,x\n", "no column 'file' in its first line: path, label"),
        ("file,split\na.wav,train\nb.wav,valid\n", "row 3: split is 'valid'; use one of train, val, test"),
        ("file,split\na.wav,train\nb.wav,\n", "row 3: no split, but other rows have one"),
        ("file,subject\na.wav,p1\nb.wav,\n", "row 3: no subject, but other rows have one"),
        (
            "file,subject,split\na.wav,p1,train\nb.wav,p2,val\nsub/c.wav,p1,test\n",
            "subject 'p1' is in train and, in row 4, in test",
        ),
        ("file,subject,split\na.wav,p1,train\na.wav,p2,test\n", "recording 'a.wav' is in train and, in row 3, in test"),
        ("file,label\na.wav,x,y\n", "row 2: 3 cells, but its first line names 2 columns; quote values"),
        (
            "file,start,end,label,subject\n\na.wav,0,1\n",
            "row 3: 3 cells, but its first line names 5 columns; an empty cell needs its comma",
        ),
        ("file,file\na.wav,b.wav\n", "'file' is there twice"),
        ('file,label\na.wav,"x\n', "not a CSV: unexpected end of data"),
        ("file,label\na.wav\0,x\n", "control character|NUL"),  # Python 3.10 refuses a NUL itself
        ("file,label\na.wav,x\x1b[31m\n", r"row 2: label is 'x\\x1b\[31m', which holds a control character"),
        ("file,label\n", "no usable clip; the manifest has no rows"),
        ("file\ngone.wav\nlost.wav\n", r"no usable clip; gone\.wav \(row 2\): .*does not exist.*lost\.wav \(row 3\)"),
    ],
)
def test_manifests_that_cannot_be_trusted_are_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(folder, text)


def test_manifest_in_another_encoding_is_refused(folder: Path) -> None:
    manifest(folder, "file,label\na.wav,Atemgeräusch\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"not UTF-8: .*save it as UTF-8"):
        load_dataset(folder)


def test_unknown_label_column_lists_the_columns(folder: Path) -> None:
    with pytest.raises(InputError, match="no label column 'colour'; its columns: file, site"):
        load(folder, "file,site\na.wav,x\n", label_columns=("colour",))
    (folder / "manifest.csv").unlink()
    with pytest.raises(InputError, match="no label column 'colour'; its columns: none"):
        load_dataset(folder, label_columns=("colour",))


def test_what_the_user_names_must_be_clear(folder: Path, tmp_path: Path) -> None:
    manifest(folder, "file\na.wav\n", name="labels.csv")
    assert {clip.name for clip in load_dataset(folder).clips} == {"a.wav"}
    manifest(folder, "file\nb.wav\n", name="manifest.csv")
    with pytest.raises(InputError, match=r"both manifest\.csv and labels\.csv"):
        load_dataset(folder)
    (tmp_path / "none").mkdir()
    for path, message in [
        ("none", "none: no audio in it"),
        *((name, f"{name}: no such file or folder; name a folder") for name in ("gone", "gone.csv", "gone.wav")),
    ]:
        with pytest.raises(InputError, match=message):
            load_dataset(tmp_path / path)


def test_hash_split_is_stable() -> None:
    assert [split_of(f"p{n}") for n in range(8)] == GOLDEN_SEED_0
    assert [split_of(f"p{n}", seed=2) for n in range(8)] == GOLDEN_SEED_2


GOLDEN_SEED_0 = ["val", "test", "train", "val", "train", "train", "test", "train"]
GOLDEN_SEED_2 = ["test", "train", "val", "test", "train", "val", "train", "test"]


def test_hash_split_is_near_70_10_20() -> None:
    counts = Counter(split_of(f"subject-{n}", seed=3) for n in range(10_000))
    for split, share in [("train", 0.7), ("val", 0.1), ("test", 0.2)]:
        assert counts[split] / 10_000 == pytest.approx(share, abs=0.015)  # over 3 standard deviations


@given(subject=st.text(), seed=st.integers())
@example(subject="\udcff.wav", seed=0)  # how Python spells a file name that is not UTF-8
def test_every_subject_has_a_split(subject: str, seed: int) -> None:
    assert split_of(subject, seed=seed) in ("train", "val", "test")


def test_sha256_follows_the_data_and_not_its_place_or_framing(folder: Path, tmp_path: Path) -> None:
    rows = "file,start,end,label\na.wav,0,1,x\nb.wav,,,y\n"
    first = load(folder, rows).sha256
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert load(moved, rows).sha256 == first
    assert load(folder, rows + "gone.wav,,,z\n").sha256 == first  # a row that doesn't count
    assert load(folder, rows, framing="zero-pad").sha256 == first
    assert load_dataset(folder, hop_s=0.5).sha256 == first
    relabelled = load(folder, rows.replace("y", "z"))
    assert relabelled.sha256 == first
    assert relabelled.labels_sha256 != load(folder, rows).labels_sha256
    assert load(folder, rows.replace("0,1", "0,2")).sha256 != first
    record(folder / "b.wav", seconds=4.0)
    assert load(folder, rows).sha256 != first


def test_clip_id_is_the_content() -> None:
    pcm = np.arange(-5, 5, dtype=np.int16)
    assert clip_id(pcm) == clip_id(pcm.astype(">i2").astype(np.int16)) == GOLDEN_ID
    assert clip_id(pcm[::-1]) != clip_id(pcm)
    with pytest.raises(InputError, match="dtype float32"):
        clip_id(pcm.astype(np.float32))


GOLDEN_ID = "8058376c661ad57fee1962ff039c44c6"


def test_reading_decodes_each_recording_once_and_goes_on_after_a_bad_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load(folder, "file,start,end\na.wav,0,1\nb.wav,0,1\na.wav,1,3\nsub/c.wav,,\n")
    damaged = bytearray((folder / "b.wav").read_bytes())
    damaged[24:28] = struct.pack("<I", 1)  # its rate, after the header was checked
    (folder / "b.wav").write_bytes(damaged)
    decoded = []
    read = audio.read_blocks
    monkeypatch.setattr(audio, "read_blocks", lambda path: decoded.append(path.name) or read(path))
    results = list(read_clips(dataset.clips))
    assert decoded == ["a.wav", "b.wav", "c.wav"]
    assert [item.row if isinstance(item, Skipped) else item.ref.row for item in results] == [2, 4, 3, 5, 5]
    (bad,) = [item for item in results if isinstance(item, Skipped)]
    assert bad.file == "b.wav" and "sampling rate is 1 Hz" in bad.reason
    source = audio.read_recording(folder / "a.wav")
    clip = results[1]
    assert isinstance(clip, Clip) and clip.pcm.dtype == np.int16 and not clip.silent
    np.testing.assert_array_equal(clip.pcm, audio.to_int16(source[RATE : RATE + AUDIO.clip_samples]))


@pytest.mark.parametrize("rate_hz", [RATE, 44_100])
def test_a_long_recording_is_cut_in_parts_as_it_is_as_a_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int
) -> None:
    sound = np.random.default_rng(3).uniform(-1.5, 1.5, (rate_hz * 30, 2)).astype(np.float32)
    sf.write(folder / "a.wav", sound, rate_hz, subtype="FLOAT")
    rows = "file,start,end\na.wav,,\na.wav,9,9.4\na.wav,28.9,29.9\na.wav,3,4\n"
    dataset = load_dataset(manifest(folder, rows), hop_s=0.7)
    whole = {item.ref: item for item in read_clips(dataset.clips, reach_s=0.5)}
    monkeypatch.setattr("hearlite.audio.decode.LONG_S", 5.0)
    read = audio.read_blocks

    def watched(path: Path) -> Iterator[audio.Samples]:
        for block in read(path):
            assert len(block) < 30 * RATE, "read as a whole"
            yield block

    monkeypatch.setattr(audio, "read_blocks", watched)
    parts = list(read_clips(dataset.clips, reach_s=0.5))
    assert len(parts) == len(whole) > 40
    assert [item.ref.start_s for item in parts] == sorted(item.ref.start_s for item in whole.values())
    for item in parts:
        assert (item.start, item.silent) == (whole[item.ref].start, whole[item.ref].silent)
        np.testing.assert_array_equal(item.pcm, whole[item.ref].pcm)
        np.testing.assert_array_equal(item.context, whole[item.ref].context)


def test_a_long_recording_that_is_damaged_gives_no_clip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.write(folder / "a.flac", np.random.default_rng(3).uniform(-0.5, 0.5, RATE * 20), RATE)
    dataset = load(folder, "file\na.flac\n")
    content = bytearray((folder / "a.flac").read_bytes())
    content[len(content) * 3 // 4 :] = bytes(len(content) - len(content) * 3 // 4)
    (folder / "a.flac").write_bytes(content)
    monkeypatch.setattr("hearlite.audio.decode.LONG_S", 5.0)
    (skipped,) = read_clips(dataset.clips)
    assert isinstance(skipped, Skipped) and skipped.clips == len(dataset.clips)


def test_silent_clips_are_named() -> None:
    assert silent_text({"a.wav": 1}) == "1 clip is silent: 1 in a.wav"
    assert silent_text({"a.wav": 2, "b.wav": 1}) == "3 clips are silent: 2 in a.wav, 1 in b.wav"
    many = silent_text({f"{number}.wav": 1 for number in range(12)})
    assert many.startswith("12 clips") and many.endswith("1 in 9.wav and others in 2 more recordings")


def test_silent_clips_are_read_and_say_so(folder: Path) -> None:
    sf.write(folder / "a.wav", np.zeros(100), RATE)
    (clip,) = read_clips(load(folder, "file\na.wav\n").clips)
    assert isinstance(clip, Clip) and clip.silent and clip.pcm.shape == (AUDIO.clip_samples,)


@pytest.mark.skipif("HEARLITE_SHARED" not in os.environ, reason="HEARLITE_SHARED names no folder with data/sprsound")
def test_sprsound_loads_whole() -> None:
    dataset = load_dataset(Path(os.environ["HEARLITE_SHARED"]) / "data" / "sprsound", label_columns=("label", "binary"))
    assert len({(clip.name, clip.row) for clip in dataset.clips}) == 7_660
    assert not dataset.skipped


def test_several_datasets_as_one(tmp_path: Path) -> None:
    first, second = (
        load_dataset(record(tmp_path / name / "a.wav", seed=seed).parent) for seed, name in enumerate(["one", "two"])
    )
    both = combine([first, second])
    assert [clip.name for clip in both.clips] == ["one/a.wav"] * len(first.clips) + ["two/a.wav"] * len(second.clips)
    assert {clip.subject for clip in both.clips} == {
        clip.subject for clip in first.clips
    }  # by which bench knows them again
    assert both.name == "one+two"
    assert both.sha256 not in (first.sha256, second.sha256, combine([second, first]).sha256)
    assert combine([first]) is first
    assert sum(isinstance(item, Clip) for item in read_clips(both.clips)) == len(both.clips)
    with pytest.raises(InputError, match="called 'one'"):
        combine([first, first])


def test_a_subject_on_two_sides_of_two_datasets(tmp_path: Path) -> None:
    parts = []
    for name, split in (("one", "train"), ("two", "test")):
        record(tmp_path / name / "a.wav")
        parts.append(load_dataset(manifest(tmp_path / name, f"file,subject,split\na.wav,ann,{split}\n")))
    with pytest.raises(InputError, match="'ann' is in train of one and in test of two"):
        combine(parts)


def test_a_path_may_be_text(corpus: Path) -> None:
    assert load_dataset(str(corpus)).sha256 == load_dataset(corpus).sha256
