"""Tables as people have them: dialects of CSV, names of columns, words for nothing, spellings, units, metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from hearlite.data.dataset import Dataset, load_dataset
from hearlite.errors import InputError, UsageError
from hearlite.manifests.labels import choose_positive
from hearlite.manifests.options import ManifestOptions
from hearlite.spec import AUDIO

RATE = AUDIO.sample_rate_hz
NAMES = [f"audio/r{number}.wav" for number in range(6)]
PLAIN = "file,start_s,end_s,label,subject,split\n" + "".join(
    f"audio/r{number}.wav,{0.5 * number:g},{0.5 * number + 1.5:g},{'01'[number % 2]},p{number},{split}\n"
    for number, split in enumerate(("train", "val", "test"))
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six recordings of 3 s in audio/."""
    (tmp_path / "study" / "audio").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        sf.write(tmp_path / "study" / name, np.random.default_rng(seed).uniform(-0.5, 0.5, 3 * RATE), RATE)
    return tmp_path / "study"


def load(
    folder: Path, text: str, *, encoding: str = "utf-8", labels: tuple[str, ...] = ("label",), **options: object
) -> Dataset:
    (folder / "manifest.csv").write_bytes(text.encode(encoding))
    return load_dataset(folder, label_columns=labels, options=ManifestOptions(**options))  # type: ignore[arg-type]


def column(text_of: list[str], name: str = "label") -> str:
    """Return a manifest of one label column, with a subject for each recording."""
    return f"file,{name},split\n" + "".join(
        f"{file},{value},train\n" for file, value in zip(NAMES, text_of, strict=True)
    )


@pytest.mark.parametrize(
    ("rewrite", "encoding"),
    [
        (lambda text: text.replace(",", ";"), "utf-8"),
        (lambda text: text.replace(",", "\t"), "utf-8"),
        (lambda text: text.replace(",", "|"), "utf-8-sig"),
        (lambda text: text.replace(",", ";").replace(".5", ",5"), "utf-8-sig"),
        (lambda text: "sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n"), "utf-8"),
        (lambda text: text.replace(",", "\t").replace("\n", "\r\n"), "utf-16"),
        (lambda text: text.replace("\n", ",,\n"), "utf-8"),
        (lambda text: text.replace("split\n", "split,,\n").replace("val\n", "val,,\n"), "utf-8"),
        (lambda text: text + ",,,,,\n\n,,,,,\n", "utf-8"),
        (
            lambda text: "".join(f"{n},{line}\n" for n, line in enumerate(text.splitlines())).replace(
                "0,file", ",file"
            ),
            "utf-8",
        ),
        (lambda text: text.replace("file", '"file"').replace("audio/r0.wav", '" audio/r0.wav "'), "utf-8"),
    ],
    ids=[
        "semicolon",
        "tab",
        "bar",
        "decimal-comma",
        "sep-line",
        "utf-16",
        "empty-columns",
        "some-empty-columns",
        "blank-rows",
        "index-column",
        "quotes",
    ],
)
def test_every_dialect_reads_the_same(folder: Path, rewrite: object, encoding: str) -> None:
    expected = load(folder, PLAIN)
    text = rewrite(PLAIN)  # type: ignore[operator]
    found = load(folder, text, encoding=encoding)
    assert found.sha256 == expected.sha256
    assert found.labels_sha256 == expected.labels_sha256
    assert [clip.start_s for clip in found.clips] == [clip.start_s for clip in expected.clips]
    assert found.skipped == ()


def test_tables_of_other_suffixes_are_manifests(folder: Path) -> None:
    (folder / "study.tsv").write_text(PLAIN.replace(",", "\t"))
    assert len(load_dataset(folder / "study.tsv").clips) == 3


def test_a_comma_in_the_name_of_a_recording_is_no_decimal_comma(folder: Path) -> None:
    sf.write(folder / "1,5.wav", np.random.default_rng(9).uniform(-0.5, 0.5, 2 * RATE), RATE)
    (clip,) = load(folder, "file;subject;label\n1,5.wav;1,5;2,5\n").clips
    assert (clip.name, clip.subject, clip.label("label")) == ("1,5.wav", "1,5", "2.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "recording;tb_status\naudio/r0.wav;1\n",
            "no column 'file' in its first line: recording, tb_status; .*--column file=recording",
        ),
        (
            "file;label\naudio/r0.wav;1;2\n",
            "row 2: 3 cells, but its first line names 2 columns; quote values that hold a semicolon",
        ),
        ("file\tlabel\naudio/r0.wav\n", "row 2: 1 cells, .*an empty cell needs its tab too"),
        ("file,,label\naudio/r0.wav,1,2\n,,\n", None),
        ("\n\n", "first line holds no names of columns"),
    ],
)
def test_other_tables_get_a_fitting_remedy(folder: Path, text: str, message: str | None) -> None:
    if message is None:
        assert "1 column without a name not read" in load(folder, text).notes
    else:
        with pytest.raises(InputError, match=message):
            load(folder, text)


def test_columns_under_other_names(folder: Path) -> None:
    text = "recording,patient_id,tb_status,from,to\n" + "".join(
        f"{name},p{n},{'01'[n % 2]},0.5,1\n" for n, name in enumerate(NAMES)
    )
    columns = {"file": "recording", "subject": "patient_id", "label": "tb_status", "start_s": "from", "end_s": "to"}
    found = load(folder, text, columns=columns)
    assert [(clip.subject, clip.label("label"), clip.event_start_s) for clip in found.clips][:2] == [
        ("p0", "0", 0.5),
        ("p1", "1", 0.5),
    ]
    with pytest.raises(
        InputError, match=r"--column names 'patient', which .*study lacks; its columns: recording, patient_id"
    ):
        load(folder, text, columns=columns | {"subject": "patient"})
    with pytest.raises(UsageError, match="--column names 'sbject'; use one of file, start_s"):
        load(folder, text, columns=columns | {"sbject": "patient_id"})


def test_absolute_paths_below_the_folder_that_the_user_names(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "x.wav"
    other.parent.mkdir()
    sf.write(other, np.random.default_rng(8).uniform(-0.5, 0.5, 2 * RATE), RATE)
    text = f"file\n{other}\n{folder / NAMES[0]}\n"
    with pytest.raises(
        InputError, match=r"is an absolute path; .*--audio-root allows absolute paths below another folder"
    ):
        load(folder, text)
    found = load(folder, text, audio_root=tmp_path)
    assert [clip.name for clip in found.clips] == ["other/x.wav", *["study/audio/r0.wav"] * 2]
    with pytest.raises(InputError, match=f"row 2: file is .* leads out of {folder}; use a path below"):
        load(folder, text, audio_root=folder)
    (folder / "manifest.csv").unlink()
    with pytest.raises(UsageError, match=r"--audio-root is .*has no manifest"):
        load_dataset(folder, options=ManifestOptions(audio_root=tmp_path))


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "n/a", "None", "null", "<NA>", "#N/A"])
def test_words_for_a_missing_value_are_missing(folder: Path, word: str) -> None:
    found = load(folder, column(["1", "0", word, "1", "0", word]))
    assert [clip.label("label") for clip in found.clips[::2]] == ["1", "0", "", "1", "0", ""]
    assert found.positives == {"label": ("1",)}
    assert any(f"2 of 6 cells hold {word!r} and count as empty" in note for note in found.notes)


def test_a_word_can_be_a_value_again_and_another_be_missing(folder: Path) -> None:
    values = ["none", "wheeze", "-1", "crackle", "none", "wheeze"]
    found = load(folder, column(values), missing=("-1",))
    assert found.positives == {"label": ("crackle", "none", "wheeze")}
    assert found.clips[4].label("label") == ""


@pytest.mark.parametrize("word", ["-1", "unknown", "?"])
def test_words_that_may_mean_nothing_are_asked_about(folder: Path, word: str) -> None:
    found = load(folder, column(["1", "0", word, "1", "0", word]))
    assert any(f"2 cells hold {word!r}" in note and f"--missing {word!r}" in note for note in found.notes)
    assert not any("--missing" in note for note in load(folder, column(["1", "-1", "1", "-1", "1", "-1"])).notes)


def test_a_missing_subject_is_no_person_called_nan(folder: Path) -> None:
    with pytest.raises(InputError, match="row 3: no subject, but other rows have one"):
        load(folder, "file,subject\naudio/r0.wav,p0\naudio/r1.wav,nan\n")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["1", "1.0", "0", "0.0", "01", "1"], {"0", "1"}),
        (["True", "TRUE", "true", "False", "FALSE", "True"], {"True", "FALSE"}),
        (["Positive", "positive", "negative", "negative", "Negative", "positive"], {"positive", "negative"}),
        (["caf\u00e9", "cafe\u0301", "x", "x", "X", "caf\u00e9"], {"caf\u00e9", "x"}),
        (["wet  cough", "wet cough", "dry", "dry", "Dry", "wet cough"], {"wet cough", "dry"}),
    ],
)
def test_spellings_of_a_value_are_one_class(folder: Path, values: list[str], classes: set[str]) -> None:
    found = load(folder, column(values))
    assert {clip.label("label") for clip in found.clips} == classes
    assert any("spellings of one class" in note and repr(values[0]) in note for note in found.notes)


def test_values_that_differ_stay_apart(folder: Path) -> None:
    found = load(folder, column(["1", "10", "1e1", "a", "b", "True"]))
    assert found.positives == {"label": ("1", "10", "True", "a", "b")}, "only 10 and 1e1 are equal"


@pytest.mark.parametrize(
    ("counts", "positive", "guessed"),
    [
        ({"TB-": 1, "TB+": 9}, "TB+", False),
        ({"0": 1, "1": 9}, "1", False),
        ({"normal": 1, "crackles": 9}, "crackles", False),
        ({"no cough": 1, "cough": 9}, "cough", False),
        ({"negative": 1, "Positive": 9}, "Positive", False),
        ({"-1": 1, "1.0": 9}, "1.0", False),
        ({"female": 9, "male": 1}, "male", True),
        ({"b": 3, "a": 3}, "a", True),
    ],
)
def test_the_positive_one_of_two_classes(counts: dict[str, int], positive: str, guessed: bool) -> None:
    assert choose_positive(counts) == (positive, guessed)


def test_the_positive_class_that_the_user_names(folder: Path) -> None:
    rows = column(["a", "b", "b", "b", "a", "b"])
    found = load(folder, rows)
    assert found.positives == {"label": ("a",)}
    assert any("'a' is taken for the positive class, as it is rarer than 'b'" in note for note in found.notes)
    for text in ("b", "label=b", "B"):
        named = load(folder, rows, positives=(text,))
        assert named.positives == {"label": ("b",)}
        assert not any("rarer" in note for note in named.notes)
    with pytest.raises(
        InputError, match="--positive is 'c', which no label column has; the values are label: 'a', 'b'"
    ):
        load(folder, rows, positives=("c",))
    several = column(["a", "b", "c", "b", "a", "c"])
    assert load(folder, several).positives == {"label": ("a", "b", "c")}
    assert load(folder, several, positives=("c",)).positives == {"label": ("c",)}


def test_times_in_another_unit(folder: Path) -> None:
    milliseconds = "file,start_s,end_s\n" + "".join(f"{name},500,1500\n" for name in NAMES)
    with pytest.raises(
        InputError,
        match=r"times look like milliseconds, not seconds: row 2 has 1500, but audio/r0.wav is 3.0 s long; say --time-unit ms",
    ):
        load(folder, milliseconds)
    found = load(folder, milliseconds, time_unit="ms")
    assert {(clip.event_start_s, clip.event_end_s) for clip in found.clips} == {(0.5, 1.5)}
    with pytest.raises(InputError, match="times look like samples, not seconds: row 2 has 24000"):
        load(folder, milliseconds.replace("1500", "24000"))
    with pytest.raises(UsageError, match="time_unit is 'min'; use one of s, ms"):
        load(folder, milliseconds, time_unit="min")


def test_one_impossible_time_is_one_skipped_row(folder: Path) -> None:
    rows = [f"{name},0.5,{end}" for name, end in zip(NAMES, ["1", "1e308", "2", "1500", "inf", "nan"], strict=True)]
    found = load(folder, "file,start_s,end_s\n" + "\n".join(rows))
    assert [item.row for item in found.skipped] == [3, 6, 7]
    assert "end is '1e308'; expected seconds" in found.skipped[0].reason
    assert any("1 events end after their recording" in note for note in found.notes)


def metadata(folder: Path, text: str) -> tuple[Path, ...]:
    (folder / "patients.csv").write_text(text)
    return (folder / "patients.csv",)


def test_metadata_is_joined_by_subject(folder: Path) -> None:
    manifest = "file,subject\n" + "".join(f"{name},p{n // 2}\n" for n, name in enumerate(NAMES))
    table = metadata(folder, "patient;sex;tb\np0;f;1\np1;m;0\np9;m;0\n")
    found = load(folder, manifest, labels=("tb", "sex"), metadata=table, columns={"subject": "patient"})
    assert [(clip.label("tb"), clip.label("sex")) for clip in found.clips[::4]] == [("1", "f"), ("0", "m"), ("", "")]
    assert "1 subject has no row in patients.csv: 'p2'" in found.notes
    assert "patients.csv: 1 subject has no recording: 'p9'" in found.notes


@pytest.mark.parametrize("form", [lambda name: name, lambda name: Path(name).name, lambda name: Path(name).stem])
def test_metadata_is_joined_by_recording(folder: Path, form: object) -> None:
    table = "recording,patient,label,split\n" + "".join(
        f"{form(name)},p{n // 2},{'ab'[n % 2]},train\n" for n, name in enumerate(NAMES)
    )  # type: ignore[operator]
    found = load_dataset(
        folder,
        options=ManifestOptions(metadata=metadata(folder, table), columns={"file": "recording", "subject": "patient"}),
    )
    assert [(clip.subject, clip.label("label"), clip.split) for clip in found.clips[::2]] == [
        (f"p{n // 2}", "ab"[n % 2], "train") for n in range(6)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "person,tb\np0,1\n",
            "no column 'file' or 'subject' to join by: person, tb; say which it is with --column subject=COLUMN",
        ),
        ("subject,tb\nq0,1\n", "its column 'subject' has none of the subjects, such as 'p0'; it has 'q0'"),
        ("subject,tb\np0,1\np0,0\n", "row 3: subject 'p0' is there twice, with different values"),
        ("subject,tb,split\np0,1,dev\n", "row 2: split is 'dev'"),
    ],
)
def test_metadata_that_cannot_be_joined(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(folder, "file,subject\naudio/r0.wav,p0\n", labels=("tb",), metadata=metadata(folder, text))
    with pytest.raises(InputError, match="column 'tb' is in the manifest, or in other metadata, too"):
        load(
            folder,
            "file,subject,tb\naudio/r0.wav,p0,1\n",
            labels=("tb",),
            metadata=metadata(folder, "subject,tb\np0,1\n"),
        )
