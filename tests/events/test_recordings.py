"""Recordings: events of a folder, the journal that an interruption leaves, sounds cut out, and formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf
from test_stream import RATE, Loudness, sound

from hearlite.data.listen import listen_to
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event
from hearlite.events.formats import COLUMNS, as_audacity, as_csv, as_json_lines, as_raven, table_writer
from hearlite.events.recordings import Heard, cut_out_of, rates


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "night"
    place.mkdir()
    sf.write(place / "a.wav", sound(10.0, 1.0, 5.0), RATE)
    sf.write(place / "b.flac", sound(3.0, rate=44_100), 44_100)
    sf.write(place / "c.wav", sound(4.0, 2.0), RATE)
    return place


def test_a_folder(folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    found = listen_to(folder, Loudness(), made_by="x")
    assert [(item.file, len(item.events)) for item in found.heard] == [("a.wav", 2), ("b.flac", 0), ("c.wav", 1)]
    assert [item.file for item in found.skipped] == ["broken.wav"]
    assert rates(found.heard, Loudness().rules) == {"loud": (3, pytest.approx(3 / 17 * 3600, rel=1e-3))}


def test_what_was_heard_is_not_heard_again(folder: Path, tmp_path: Path) -> None:
    journal, scorer = tmp_path / "events.csv.partial", Loudness()
    whole = listen_to(folder, scorer, made_by="x", journal=journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:2]) + lines[2][:-20])  # killed in the middle of the second recording's line
    again = Loudness()
    found = listen_to(folder, again, made_by="x", journal=journal)
    assert found.heard == whole.heard
    assert 0 < len(again.windows) < len(scorer.windows)
    assert journal.read_text().splitlines(keepends=True) == lines
    other = Loudness()
    listen_to(folder, other, made_by="another file", journal=journal)
    assert len(other.windows) == len(scorer.windows), "another model's events are not taken"


def test_one_recording_and_none(folder: Path, tmp_path: Path) -> None:
    assert [item.file for item in listen_to(folder / "a.wav", Loudness(), made_by="x").heard] == ["a.wav"]
    with pytest.raises(InputError, match="no such file"):
        listen_to(tmp_path / "nothing", Loudness(), made_by="x")


def test_sounds_are_cut_out_with_what_surrounds_them(folder: Path) -> None:
    (heard,) = listen_to(folder / "a.wav", Loudness(), made_by="x").heard
    cut = list(cut_out_of(folder / "a.wav", heard.events, before_s=0.5, after_s=0.5))
    assert [event.start_s for event, _ in cut] == [event.start_s for event in heard.events]
    samples, rate = sf.read(folder / "a.wav", dtype="float32")
    for event, found in cut:
        first = round((event.start_s - 0.5) * rate)
        assert np.array_equal(found, samples[first : round((event.end_s + 0.5) * rate)])


EVENTS = (Event("cough", 0.2, 0.6, 0.91239, 0.3), Event("sneeze", 3661.4, 3662.0, 0.5, 3661.5))


def test_tables() -> None:
    heard = [Heard("a, b.wav", 4000.0, EVENTS), Heard("empty.wav", 1.0, ())]
    lines = as_csv(heard).decode().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == '"a, b.wav",cough,0.2,0.6,0.3,0.9124'
    assert [json.loads(line)["label"] for line in as_json_lines(heard).decode().splitlines()] == ["cough", "sneeze"]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "events.PARQUET"
    path.write_bytes(table_writer(path)([Heard("a.wav", 4000.0, EVENTS)]))
    assert pq.read_table(path).to_pylist()[1] == {
        "file": "a.wav", "label": "sneeze", "start_s": 3661.4, "end_s": 3662.0, "peak_s": 3661.5, "score": 0.5
    }  # fmt: skip
    path.write_bytes(table_writer(path)([]))
    assert pq.read_table(path).column_names == list(COLUMNS)
    with pytest.raises(UsageError, match=r"\.csv, \.jsonl, \.parquet"):
        table_writer(tmp_path / "events.xlsx")


def test_tracks() -> None:
    assert as_audacity(EVENTS).decode().splitlines()[0] == "0.200000\t0.600000\tcough"
    head, first, second = as_raven(EVENTS, file="x/a.wav").decode().splitlines()
    columns = dict(zip(head.split("\t"), second.split("\t"), strict=True))
    assert columns["Begin Time (s)"] == "3661.400" and columns["Begin File"] == "a.wav" and columns["Selection"] == "2"
    assert len(first.split("\t")) == len(columns)
