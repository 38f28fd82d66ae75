"""Public datasets -> manifests: tiny copies in each dataset's own format, with the garbage that downloads hold."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from hearlite import files
from hearlite.benchmarks.datasets import DATASETS
from hearlite.benchmarks.datasets.importer import Imported, import_dataset, leak_free_splits, write_manifest
from hearlite.benchmarks.datasets.source import Row
from hearlite.benchmarks.tasks.binary import binary_tasks
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.errors import HearliteError, InputError, UsageError

RATE = 8_000  # of the written recordings; SPRSound's


def record(path: Path, *, seconds: float = 0.2, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def loaded(imported: Imported, *columns: str, framing: str = "context") -> Dataset:
    """What a benchmark would get of it. A second import must give the same bytes."""
    out = imported.folder / "manifest.csv"
    write_manifest(imported, out)
    first = out.read_bytes()
    write_manifest(import_dataset(imported.name, imported.folder), out)
    assert out.read_bytes() == first
    return load_dataset(out, label_columns=columns or imported.source.labels, framing=framing)


def reasons(imported: Imported) -> dict[str, str]:
    return {item.file: item.reason for item in imported.skipped}


def sides(imported: Imported) -> dict[str, str]:
    return dict(zip((row.subject for row in imported.rows), imported.splits, strict=True))


# SPRSound


def annotate(
    root: Path, folders: str, stem: str, events: list[tuple[Any, Any, Any]], *, label: str = "Normal", wav: bool = True
) -> None:
    """A recording in `folders` (with JSON and WAV folders named as upstream does) and its annotation."""
    data = {
        "record_annotation": label,
        "event_annotation": [{"start": start, "end": end, "type": kind} for start, end, kind in events],
    }
    text(root / folders / f"{stem}.json", json.dumps(data))
    if wav:
        record(
            root / folders.replace("json", "wav").split("/inter")[0].split("/intra")[0] / f"{stem}.wav",
            seconds=6.0,
            seed=len(stem),
        )


@pytest.fixture
def sprsound(tmp_path: Path) -> Path:
    root = tmp_path / "SPRSound"
    train, inter, intra = (
        "BioCAS2022/train2022_json",
        "BioCAS2022/test2022_json/inter_test_json",
        "BioCAS2022/test2022_json/intra_test_json",
    )
    annotate(root, train, "65101170_0.4_0_p1_1", [("342", "2515", "Normal"), ("2557", "5776", "Wheeze")], label="CAS")
    annotate(root, train, "41000001_25.0_1_p2_2", [(100, 1200.5, "Fine Crackle")], label="DAS")
    annotate(root, train, "41000002_3.0_1_p3_3", [], label="Poor Quality")
    annotate(root, intra, "65101170_0.4_0_p3_4", [("0", "1500", "Stridor")], label="CAS")
    annotate(
        root,
        inter,
        "41000003_7.5_1_p4_5",
        [("500", "1700", "Rhonchi"), ("1800", "2100", "Wheeze+Crackle")],
        label="CAS & DAS",
    )
    for number in range(4):  # fewer than 5 subjects make no test
        annotate(root, inter, f"4200000{number}_9.0_0_p4_{number}", [("1000", "2000", "Coarse Crackle")], label="DAS")
    return root


def test_sprsound_events(sprsound: Path) -> None:
    imported = import_dataset("sprsound", sprsound)
    rows = {(row.file.name, row.start_s): row for row in imported.rows}
    wheeze = rows["65101170_0.4_0_p1_1.wav", 2.557]
    assert (wheeze.end_s, wheeze.subject, wheeze.official) == (5.776, "65101170", "train")
    assert wheeze.cells == {
        "label": "Wheeze",
        "binary": "adventitious",
        "record": "CAS",
        "age": "0.4",
        "sex": "male",
        "location": "p1",
    }
    assert rows["41000001_25.0_1_p2_2.wav", 0.1].cells["age"] == ""  # no child
    assert any("0 ... 18 years" in note for note in imported.notes)
    assert [row.cells["sex"] for row in imported.rows if row.subject == "41000003"] == ["female"] * 2
    assert Counter(row.official for row in imported.rows) == {"train": 3, "intra": 1, "inter": 6}
    assert imported.skipped == ()


def test_sprsound_intra_test_trains_because_its_patients_do(sprsound: Path) -> None:
    imported = import_dataset("sprsound", sprsound)
    assert sides(imported)["65101170"] != "test"
    assert sides(imported)["41000003"] == "test"
    assert any("results on it leak" in note for note in imported.notes)
    dataset = loaded(imported, "label", "binary", "official_split")
    tested = {(clip.subject, clip.label("official_split")) for clip in dataset.clips if clip.split == "test"}
    assert tested == {("41000003", "inter"), *((f"4200000{number}", "inter") for number in range(4))}
    assert {clip.label("official_split") for clip in dataset.clips if clip.subject == "65101170"} == {"train", "intra"}
    assert dataset.skipped == ()


def test_sprsound_with_too_few_new_patients_leaves_the_split_to_the_hash(sprsound: Path) -> None:
    (sprsound / "BioCAS2022/test2022_json/inter_test_json/42000000_9.0_0_p4_0.json").unlink()
    imported = import_dataset("sprsound", sprsound)
    assert imported.splits == ()
    assert any("4 subjects of the official test are new to training" in note for note in imported.notes)
    assert any("no split column" in note for note in loaded(imported).notes)


def test_sprsound_patients_whose_training_recordings_have_no_events_are_not_new(sprsound: Path) -> None:
    annotate(sprsound, "BioCAS2022/train2022_json", "42000001_9.0_0_p1_77", [], label="Poor Quality")
    assert import_dataset("sprsound", sprsound).splits == ()  # 4 are left


def test_sprsound_records_have_the_poor_ones_too(sprsound: Path) -> None:
    imported = import_dataset("sprsound-records", sprsound)
    labels = {row.file.name: (row.cells["label"], row.cells["binary"], row.start_s) for row in imported.rows}
    assert labels["41000002_3.0_1_p3_3.wav"] == ("Poor Quality", "", None)
    assert labels["41000001_25.0_1_p2_2.wav"] == ("DAS", "adventitious", None)
    assert len(labels) == len(imported.rows) == 9
    assert "start_s" not in (loaded(imported), (sprsound / "manifest.csv").read_text().splitlines()[0])[1]


def test_sprsound_windows_of_the_asthma_rule(sprsound: Path) -> None:
    """Wheeze, wheeze+crackle, rhonchi and stridor against normal; crackles are neither; 3.2 s give one window of 2 s,
    its end fills none.
    """
    annotate(
        sprsound,
        "BioCAS2022/train2022_json",
        "65101170_0.4_0_p1_9",
        [("0", "5999", "Normal"), ("0", "2000", "Coarse Crackle")],
    )
    imported = import_dataset("sprsound-asthma", sprsound)
    windows = {(row.cells["event"], row.start_s, row.end_s, row.cells["label"]) for row in imported.rows}
    assert windows == {
        ("Normal", 0.342, 2.342, "normal"),
        ("Wheeze", 2.557, 4.557, "positive"),
        ("Stridor", 0.0, 1.5, "positive"),
        ("Rhonchi", 0.5, 1.7, "positive"),
        ("Wheeze+Crackle", 1.8, 2.1, "positive"),
        ("Normal", 0.0, 2.0, "normal"),
        ("Normal", 2.0, 4.0, "normal"),
    }
    padded = loaded(imported, framing="zero-pad")
    assert len(padded.clips) == len(windows)  # each window is one clip, nothing is cut off
    assert all(clip.zero_padded for clip in padded.clips)


def test_sprsound_lists_what_it_cannot_use(sprsound: Path) -> None:
    train = "BioCAS2022/train2022_json"
    annotate(
        sprsound,
        train,
        "1_1.0_0_p1_10",
        [("9", "8", "Normal"), ("x", "9", "Normal"), ("-1", "9", "Normal"), ("0", "9", "Barking"), ("0", "9", None)],
    )
    annotate(sprsound, train, "2_1.0_0_p1_11", [("0", "100", "Normal")], wav=False)
    annotate(sprsound, "BioCAS2025/test2025_json", "_5.3_0_p8_34877", [("0", "100", "Normal")])
    text(sprsound / train / "3_1.0_0_p1_12.json", '{"event_annotation": [')
    text(sprsound / train / "4_1.0_0_p1_13.json", "[" * 100_000)
    text(sprsound / train / "5_1.0_0_p1_14.json", '{"event_annotation": "none"}')
    text(sprsound / train / "6_1.0_0_p1_15.json", '{"event_annotation": ["event"], "record_annotation": "Loud"}')
    text(sprsound / "scripts" / "config.json", "{}")
    record(sprsound / "BioCAS2022/train2022_wav/6_1.0_0_p1_15.wav")
    imported = import_dataset("sprsound", sprsound)
    assert len(imported.rows) == 10  # of the fixture
    found = {file.removeprefix(f"{train}/"): reason for file, reason in reasons(imported).items()}
    assert sum(file.startswith("1_1.0_0_p1_10.json, event") for file in found) == 5
    assert "expected 0 <= start < end" in found["1_1.0_0_p1_10.json, event 1"]
    assert "'Barking'" in found["1_1.0_0_p1_10.json, event 4"]
    assert "no recording" in found["2_1.0_0_p1_11.json"]
    assert "no patient number" in found["BioCAS2025/test2025_json/_5.3_0_p8_34877.json"]
    assert "not valid JSON" in found["3_1.0_0_p1_12.json"] and "not valid JSON" in found["4_1.0_0_p1_13.json"]
    assert "no list" in found["5_1.0_0_p1_14.json"]
    assert "'Loud'" in found["6_1.0_0_p1_15.json"] and "not a JSON object" in found["6_1.0_0_p1_15.json, event 1"]
    assert any("1 x a .json that is not named" in note for note in imported.notes)


def test_sprsound_takes_each_recording_once_however_often_it_lies_there(sprsound: Path) -> None:
    stem = "41000003_7.5_1_p4_5"
    annotate(
        sprsound, "Detection/train_detection_json", stem, [("0", "100", "Normal")]
    )  # the detection challenge calls it training, with other events
    detection = sprsound / "Detection/train_detection_json" / f"{stem}.json"
    detection.write_text(json.dumps({"event_annotation": json.loads(detection.read_text())["event_annotation"]}))
    imported = import_dataset("sprsound", sprsound)
    mine = [row for row in imported.rows if row.subject == "41000003"]
    assert [(row.cells["label"], row.official) for row in mine] == [("Rhonchi", "inter"), ("Wheeze+Crackle", "inter")]
    assert {row.file.as_posix() for row in mine} == {f"BioCAS2022/test2022_wav/{stem}.wav"}
    assert any("two differing annotations" in note for note in imported.notes)
    assert any("there more than once" in note for note in imported.notes)
    record(sprsound / "Detection/train_detection_wav" / f"{stem}.wav", seconds=1.0)  # now they are two recordings
    assert "two different recordings" in next(
        reason for file, reason in reasons(import_dataset("sprsound", sprsound)).items() if stem in file
    )


def test_a_recording_that_is_a_link_out_of_the_folder_is_never_found(sprsound: Path, tmp_path: Path) -> None:
    secret = record(tmp_path / "secret.wav")
    annotate(sprsound, "BioCAS2022/train2022_json", "7_1.0_0_p1_16", [("0", "100", "Normal")], wav=False)
    (sprsound / "BioCAS2022/train2022_wav/7_1.0_0_p1_16.wav").symlink_to(secret)
    for number, target in (
        ("8_1.0_0_p1_17", "nothing.wav"),
        ("9_1.0_0_p1_18", "9_1.0_0_p1_18.wav"),
    ):  # dangling, and a loop
        annotate(sprsound, "BioCAS2022/train2022_json", number, [("0", "100", "Normal")], wav=False)
        (sprsound / f"BioCAS2022/train2022_wav/{number}.wav").symlink_to(target)
    imported = import_dataset("sprsound", sprsound)
    found = [reason for _, reason in sorted(reasons(imported).items())]
    assert "link that leaves" in found[0] and "link to nothing" in found[1] and "link to nothing" in found[2]
    loaded(imported)


# ICBHI


@pytest.fixture
def icbhi(tmp_path: Path) -> Path:
    root = tmp_path / "ICBHI_final_database"
    cycles = {
        "101_1b1_Al_sc_Meditron": "0.036\t0.579\t0\t0\n0.579\t2.45\t0\t0\n",
        "103_2b2_Ar_mc_LittC2SE": "0\t1\t1\t0\r\n1\t2\t0\t1\r\n2\t2.9\t1\t1\r\n",
        "156_2b3_Al_mc_AKGC417L": "0\t1\t0\t0\n",
        "156_2b3_Ar_mc_AKGC417L": "0\t1\t1\t0\n",
        **{f"20{number}_1b1_Al_sc_Meditron": "0\t1\t0\t0\n" for number in range(4)},
        "226_1b1_Ll_sc_Litt3200": "0\t1\t0\t1\nwheeze at 2 s\n2\t1\t0\t0\n3\t4\t0\t2\n\n",
    }
    for seed, (name, lines) in enumerate(cycles.items()):
        record(root / f"{name}.wav", seconds=3.0, seed=seed)
        text(root / f"{name}.txt", lines)
    official = dict(zip(cycles, ("test", "train", "test", "train", *["test"] * 4, "train"), strict=True))
    text(
        root / "ICBHI_Challenge_Train_Test.txt",
        "".join(f"{name}\t{side}\n" for name, side in official.items()) + "999_1b1_Al_sc_Meditron\ttest\nx y z\n",
    )
    text(root / "patient_diagnosis.csv", "101,URTI\n103,COPD\n226,Hypochondria\n")
    text(
        root / "demographic_info.txt",
        "101 3 F NA 19 99\n103 0.75 F NA 8.32 78\n156 80 M 25.8 NA NA\n226 1000 X NA NA NA\n",
    )
    text(root / "filename_format.txt", "Each audio file name is divided into 5 elements\n")
    return root


def test_icbhi_cycles(icbhi: Path) -> None:
    imported = import_dataset("icbhi", icbhi)
    rows = {(row.file.stem[:3], row.start_s): row for row in imported.rows}
    assert [rows["103", at].cells["label"] for at in (0, 1, 2)] == ["crackle", "wheeze", "both"]
    assert rows["103", 2].cells == {
        "label": "both",
        "binary": "abnormal",
        "crackle": "1",
        "wheeze": "1",
        "diagnosis": "COPD",
        "age": "0.75",
        "sex": "female",
        "location": "Ar",
        "mode": "mc",
        "device": "LittC2SE",
    }
    assert (rows["101", 0.579].end_s, rows["101", 0.579].subject, rows["101", 0.036].cells["binary"]) == (
        2.45,
        "icbhi-101",
        "normal",
    )
    dataset = loaded(imported)
    assert len(dataset.clips) == 12
    tasks = [row.cells["wheeze"] for row in imported.rows]
    found = binary_tasks(
        tasks, column="wheeze", subjects=[row.subject for row in imported.rows], splits=imported.splits, min_subjects=0
    )
    assert [task.positive for task in found.tasks] == ["1"]


def test_icbhi_official_split_whatever_its_case_and_no_patient_on_two_sides(icbhi: Path) -> None:
    imported = import_dataset("icbhi", icbhi)
    assert {row.file.stem: row.official for row in imported.rows if row.subject == "icbhi-156"} == {
        "156_2b3_Al_mc_AKGC417L": "test",
        "156_2b3_Ar_mc_AKGC417L": "train",
    }
    assert sides(imported)["icbhi-156"] != "test"
    assert sides(imported)["icbhi-101"] == "test"
    assert any("1 subjects on two sides, 1 rows of them are tested" in note for note in imported.notes)


def test_icbhi_lists_what_it_cannot_use(icbhi: Path) -> None:
    (icbhi / "156_2b3_Al_mc_AKGC417L.wav").unlink()
    (icbhi / "103_2b2_Ar_mc_LittC2SE.txt").write_bytes(b"\xff\xfe\x00")
    imported = import_dataset("icbhi", icbhi)
    rows = {(item.file, item.row) for item in imported.skipped}
    assert {("226_1b1_Ll_sc_Litt3200.txt", row) for row in (2, 3, 4)} <= rows
    assert ("ICBHI_Challenge_Train_Test.txt", 11) in rows
    assert "annotation is not there" in reasons(imported)["999_1b1_Al_sc_Meditron"]
    assert "no recording" in reasons(imported)["156_2b3_Al_mc_AKGC417L"]
    assert "not UTF-8" in reasons(imported)["103_2b2_Ar_mc_LittC2SE"]
    person = next(row.cells for row in imported.rows if row.subject == "icbhi-226")
    assert (person["diagnosis"], person["age"], person["sex"]) == ("", "", "")
    for what in ("diagnosis", "age", "sex"):
        assert any(what in note and "left empty" in note for note in imported.notes)


def test_icbhi_without_its_metadata_still_has_cycles(icbhi: Path) -> None:
    for name in ("ICBHI_Challenge_Train_Test.txt", "patient_diagnosis.csv", "demographic_info.txt"):
        (icbhi / name).unlink()
    imported = import_dataset("icbhi", icbhi)
    assert imported.splits == ()
    assert sum("is missing" in note for note in imported.notes) == 3
    assert {row.cells["diagnosis"] for row in imported.rows} == {""}


# ESC-50


def test_esc50_folds_classes_and_sources(tmp_path: Path) -> None:
    root = tmp_path / "ESC-50-master"
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold, category, source in [
        (1, "coughing", "19111"),
        (2, "dog", "100032"),
        (4, "breathing", "20545"),
        *((5, "snoring", str(source)) for source in range(30, 35)),
    ]:
        name = f"{fold}-{source}-A-0.wav"
        lines.append(f"{name},{fold},24,{category},False,{source},A")
        record(root / "audio" / name, seed=int(source))
    lines += [
        lines[1],
        "../../secret.wav,1,0,dog,True,1,A",
        "1-9-A-0.wav,1,0,dog,True,9,A",
        "1-8-A-0.wav,6,0,dog,True,8,A",
        "1-7-A-0.wav",
    ]
    record(tmp_path / "secret.wav")
    text(root / "meta" / "esc50.csv", "\n".join(lines))
    imported = import_dataset("esc50", root)
    found = {
        row.file.as_posix(): (row.cells["label"], row.cells["category"], row.cells["fold"], row.subject)
        for row in imported.rows
    }
    assert found["audio/1-19111-A-0.wav"] == ("coughing", "coughing", "1", "freesound-19111")
    assert found["audio/2-100032-A-0.wav"] == ("other", "dog", "2", "freesound-100032")
    assert imported.splits == ("train", "train", "val", *["test"] * 5)
    assert "not a plain file name" in reasons(imported)["../../secret.wav"]
    assert reasons(imported)["1-19111-A-0.wav"] == "is in esc50.csv twice"
    assert "no recording" in reasons(imported)["1-9-A-0.wav"]
    assert "fold" in reasons(imported)["1-8-A-0.wav"] and "fold" in reasons(imported)["1-7-A-0.wav"]
    assert len(loaded(imported).clips) == 8


# Coswara


@pytest.fixture
def coswara(tmp_path: Path) -> Path:
    root = tmp_path / "Coswara-Data"
    lines = [
        "id,a,covid_status,ep,g,l_c,l_l,l_s,rU,asthma,cough,smoker,fever",
        'vK2bLRNz,24,healthy,y,male,India,"Bangalore, south",Karnataka,n,,,True,',
        "bjA2KpSx,72,positive_mild,y,female,India,,Maharashtra,n,True,True,y,",
        "FSzobvJq,1000,recovered_full,y,other,France,,Ain,n,,,n,False",
        "LwfZvk9x,25,healthy,y,male,India,test_shreyasr_krpuram,Karnataka,n,,,,",
        "HwUhcAKw,26,positive_mild,y,male,India,LEAP-TEST,Kerala,n,,,,",
        "g6L8s5Dt,36,curious,y,robot,Japan,,,n,,,,",
        "vK2bLRNz,24,healthy,y,male,India,Elsewhere,Karnataka,n,,,,",
        "../../..,24,healthy,y,male,India,Attestville,Karnataka,n,,,,",
    ]
    text(root / "combined_data.csv", "\n".join(lines))
    for seed, person in enumerate(("vK2bLRNz", "bjA2KpSx", "FSzobvJq", "LwfZvk9x")):
        for sound in ("breathing-deep", "breathing-shallow", "cough-heavy", "cough-shallow", "vowel-a"):
            record(root / "Extracted_data/20200413" / person / f"{sound}.wav", seed=seed)
    (root / "Extracted_data/20200413/bjA2KpSx/cough-heavy.wav").unlink()
    text(
        root / "annotations/cough-heavy_labels.csv",
        "FILENAME, QUALITY\nvK2bLRNz_cough-heavy,0\nFSzobvJq_cough-heavy,9\n",
    )
    return root


def test_coswara_recordings(coswara: Path) -> None:
    imported = import_dataset("coswara", coswara)
    rows = {(row.subject, row.cells["sound"]): row for row in imported.rows}
    assert len(rows) == 4 + 3 + 4
    sick = rows["bjA2KpSx", "breathing-deep"].cells
    assert (sick["label"], sick["covid_breathing"], sick["covid_cough"]) == ("positive", "positive", "")
    assert (sick["sex"], sick["age"], sick["country"]) == ("female", "72", "India")
    assert (sick["smoker"], rows["vK2bLRNz", "cough-heavy"].cells["smoker"]) == (
        "1",
        "",
    )  # a tick of the early form says nothing about who didn't
    assert not {"asthma", "cough", "fever"} & sick.keys()
    recovered = rows["FSzobvJq", "cough-heavy"].cells
    assert (recovered["label"], recovered["age"], recovered["sex"], recovered["smoker"]) == ("", "", "other", "0")
    assert (recovered["quality"], rows["vK2bLRNz", "cough-heavy"].cells["quality"]) == ("", "0")
    assert imported.splits == ()
    dataset = loaded(imported)
    assert {clip.label("covid_cough") for clip in dataset.clips if "breathing" in clip.name} == {""}
    assert "Bangalore" not in (coswara / "manifest.csv").read_text()  # where somebody lives stays where it is


def test_coswara_lists_tests_of_its_developers_and_the_rest(coswara: Path) -> None:
    found = reasons(import_dataset("coswara", coswara))
    assert "test of the developers" in found["LwfZvk9x"] and "test of the developers" in found["HwUhcAKw"]
    assert "covid_status" in found["g6L8s5Dt"]
    assert "twice" in found["vK2bLRNz"]
    assert "no recording" in found["bjA2KpSx/cough-heavy"]
    assert "not a plain file name" in found["../../../cough-heavy"]  # and Attestville is a place


# COUGHVID


def coughvid(root: Path, *rows: dict[str, str]) -> Path:
    """metadata_compiled.csv with the physicians' columns."""
    columns = [
        "",
        "uuid",
        "datetime",
        "cough_detected",
        "SNR",
        "latitude",
        "longitude",
        "age",
        "gender",
        "respiratory_condition",
        "fever_muscle_pain",
    ]
    columns += [
        "status",
        *(
            f"{name}_{who}"
            for who in (1, 2, 3, 4)
            for name in ("quality", "cough_type", "dyspnea", "wheezing", "diagnosis")
        ),
    ]
    path = text(root / "metadata_compiled.csv", "")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({"cough_detected": "0.95", "latitude": "46.5", "status": "healthy", **row} for row in rows)
    return root


def test_coughvid_labels_and_physicians(tmp_path: Path) -> None:
    root = coughvid(
        tmp_path / "public_dataset_v3",
        {
            "uuid": "a",
            "status": "COVID-19",
            "age": "28.0",
            "gender": "male",
            "respiratory_condition": "True",
            "cough_type_1": "dry",
            "dyspnea_1": "False",
        },
        {
            "uuid": "b",
            "status": "symptomatic",
            "gender": "female",
            "cough_type_1": "dry",
            "cough_type_2": "wet",
            "wheezing_1": "True",
            "wheezing_3": "True",
        },
        {
            "uuid": "c",
            "status": "",
            "gender": "other",
            "age": "-3",
            "cough_type_1": "wet",
            "cough_type_2": "wet",
            "cough_type_4": "dry",
            "quality_1": "loud",
        },
    )
    for name in ("a.wav", "b.ogg", "c.wav"):
        record(root / name)
    (root / "a.webm").write_bytes(b"\x1a\x45\xdf\xa3")
    imported = import_dataset("coughvid", root)
    a, b, c = (row.cells for row in imported.rows)
    assert [(cells["label"], cells["status"]) for cells in (a, b, c)] == [
        ("positive", "COVID-19"),
        ("negative", "symptomatic"),
        ("", ""),
    ]
    assert (a["age"], a["sex"], a["respiratory_condition"], a["fever_muscle_pain"]) == ("28.0", "male", "1", "")
    assert (a["cough_type"], a["dyspnea"], b["cough_type"], b["wheezing"], c["cough_type"], c["age"], c["quality"]) == (
        "dry",
        "0",
        "",
        "1",
        "wet",
        "",
        "",
    )
    assert any("without a majority for cough_type" in note for note in imported.notes)
    assert imported.rows[0].file.name == "a.wav"  # not the .webm beside it
    assert [row.subject for row in imported.rows] == ["a", "b", "c"]
    loaded(imported)
    assert "46.5" not in (root / "manifest.csv").read_text()


def test_coughvid_lists_what_cannot_be_decoded_with_a_remedy_and_what_is_no_cough(tmp_path: Path) -> None:
    rows: list[dict[str, str]] = [{"uuid": name} for name in ("kept", "browser", "film", "gone", "kept", "../x")]
    rows += [
        {"uuid": "quiet", "cough_detected": "0.3"},
        {"uuid": "blank", "cough_detected": ""},
        {"uuid": "odd", "status": "bored"},
    ]
    root = coughvid(tmp_path / "coughvid", *rows)
    for name in ("kept", "quiet", "blank", "odd"):
        record(root / f"{name}.wav")
    (root / "film.wma").write_bytes(b"\x30\x26\xb2\x75")
    (root / "browser.webm").write_bytes(b"\x1a\x45\xdf\xa3")
    imported = import_dataset("coughvid", root)
    found = reasons(imported)
    assert [row.subject for row in imported.rows] == ["kept", "browser"]
    assert "ffmpeg -i NAME.wma" in found["film"]
    assert "no recording" in found["gone"] and "twice" in found["kept"] and "not a plain file name" in found["../x"]
    assert "below 0.8" in found["quiet"] and "below 0.8" in found["blank"] and "status is none of" in found["odd"]


# FSD50K


@pytest.fixture
def fsd50k(tmp_path: Path) -> Path:
    root = tmp_path / "FSD50K"
    dev = [
        "fname,labels,mids,split",
        '64760,"Cough,Respiratory_sounds",/m/a,train',
        '16399,"Sneeze,Respiratory_sounds",/m/b,val',
        "16401,Sigh,/m/c,train",
    ]
    dev += [f"{index},Accordion,/m/d,train" for index in range(1, 41)] + [
        "777,Gasp,/m/e,train",
        "778,Gasp,/m/e,sometimes",
        "64760,Cough,/m/a,train",
    ]
    text(root / "FSD50K.ground_truth/dev.csv", "\n".join(dev))
    evaluated = "".join(f"90{index},Sigh,/m/c\n" for index in range(4))
    text(
        root / "FSD50K.ground_truth/eval.csv",
        'fname,labels,mids\n37199,"Breathing,Respiratory_sounds",/m/f\n175151,Gasp,/m/e\n99,Cough,/m/a\n' + evaluated,
    )
    people = {
        "64760": "ann",
        "16399": "bob",
        "16401": "cy",
        "778": "dan",
        **{str(index): f"u{index}" for index in range(1, 41)},
    }
    licence = "http://creativecommons.org/publicdomain/zero/1.0/"
    for part, uploaders in {
        "dev": people,
        "eval": {"37199": "eve", "175151": " ann ", **{f"90{index}": f"e{index}" for index in range(4)}},
    }.items():
        info = {name: {"title": "x", "uploader": uploader, "license": licence} for name, uploader in uploaders.items()}
        text(root / f"FSD50K.metadata/{part}_clips_info_FSD50K.json", json.dumps(info))
        for seed, name in enumerate(uploaders):
            record(root / f"FSD50K.{part}_audio" / f"{name}.wav", seed=seed)
    return root


def test_fsd50k_classes_and_a_tenth_of_the_rest(fsd50k: Path) -> None:
    imported = import_dataset("fsd50k", fsd50k)
    rows = {row.file.stem: row for row in imported.rows}
    cough = rows["64760"].cells
    assert {name for name, value in cough.items() if value == "1"} == {"Cough", "Respiratory_sounds"}
    assert (cough["label"], cough["clip_licence"]) == (
        "respiratory",
        "http://creativecommons.org/publicdomain/zero/1.0/",
    )
    others = [row for row in imported.rows if row.cells["label"] == "other"]
    assert 1 <= len(others) <= 10  # of 40
    assert all(row.cells[name] == "0" for row in others for name in ("Cough", "Breathing"))
    assert any(f"{40 - len(others)} x a clip without a respiratory class" in note for note in imported.notes)
    assert rows["37199"].file.as_posix() == "FSD50K.eval_audio/37199.wav"
    assert len(loaded(imported).clips) == len(imported.rows)


def test_fsd50k_uploaders_do_not_cross_the_split(fsd50k: Path) -> None:
    imported = import_dataset("fsd50k", fsd50k)
    by_name = dict(zip((row.file.stem for row in imported.rows), imported.splits, strict=True))
    assert (by_name["16399"], by_name["37199"]) == ("val", "test")
    assert by_name["64760"] == by_name["175151"] == "train"  # ann is in dev and in eval
    assert {row.official for row in imported.rows if row.subject == "freesound-user-ann"} == {"train", "eval"}
    found = reasons(imported)
    assert "its uploader" in found["dev.csv: 777"] and "its uploader" in found["eval.csv: 99"]
    assert "split is none of" in found["dev.csv: 778"] and "fname is there twice" in found["dev.csv: 64760"]


def test_fsd50k_without_uploaders_is_refused(fsd50k: Path) -> None:
    (fsd50k / "FSD50K.metadata/eval_clips_info_FSD50K.json").unlink()
    with pytest.raises(InputError, match="eval_clips_info_FSD50K"):
        import_dataset("fsd50k", fsd50k)


# All of them


def test_unknown_dataset_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use one of sprsound"):
        import_dataset("librispeech", tmp_path)
    with pytest.raises(InputError, match="unpack ESC-50 there: https"):
        import_dataset("esc50", tmp_path / "nothing")


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_is_one_clear_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no |nothing of"):
        import_dataset(name, tmp_path)


GARBAGE = (
    b"",
    b"\x00\x01\xff" * 50,
    b'id,"' + b"x" * 200_000,
    b'{"64760": 3}',
    b"null",
    b"filename,fold,category,src_file\r\n\x00,,,\n",
    b"uuid,cough_detected,age,gender,status\n\n,,,,,,,,\n",
    b"id,a,g,covid_status\n" + b"," * 4 + b"\n",
    b"fname,labels,split\n1,Cough,train\n1",
    b"101_1b1_Al_sc_Meditron train\n",
    b"1e999\t2\t0\t0\n",
)


@pytest.mark.parametrize("name", DATASETS)
def test_garbage_in_any_file_is_an_error_or_listed_and_never_a_crash(name: str, tmp_path: Path) -> None:
    central = [
        "esc50.csv",
        "combined_data.csv",
        "metadata_compiled.csv",
        "dev.csv",
        "eval.csv",
        "dev_clips_info_FSD50K.json",
    ]
    central += [
        "eval_clips_info_FSD50K.json",
        "ICBHI_challenge_train_test.txt",
        "patient_diagnosis.csv",
        "demographic_info.txt",
    ]
    central += ["101_1b1_Al_sc_Meditron.txt", "65101170_0.4_0_p1_1.json", "cough-heavy_labels.csv"]
    for stem in ("101_1b1_Al_sc_Meditron", "65101170_0.4_0_p1_1", "1"):
        record(tmp_path / f"{stem}.wav")
    for garbage in GARBAGE:
        for file in central:
            (tmp_path / file).write_bytes(garbage)
        try:
            imported = import_dataset(name, tmp_path)
        except HearliteError as error:
            assert len(str(error)) < 2_000
        else:
            write_manifest(imported, tmp_path / "out.csv", overwrite=True)


def test_leak_free_splits_keep_every_subject_on_one_side_and_test_only_what_is_officially_tested() -> None:
    rng = np.random.default_rng(0)
    official = rng.choice(["train", "val", "test", ""], size=120, p=[0.2, 0.1, 0.6, 0.1])
    rows = [Row(PurePosixPath("x.wav"), f"s{rng.integers(60)}", {}, side=str(side)) for side in official]
    splits, notes = leak_free_splits(rows)
    assert len({(row.subject, split) for row, split in zip(rows, splits, strict=True)}) == len(
        {row.subject for row in rows}
    )
    tested = {row.subject for row, split in zip(rows, splits, strict=True) if split == "test"}
    assert tested and all(row.side == "test" for row in rows if row.subject in tested)
    assert len(notes) == 1


def test_official_training_without_validation_gives_a_tenth_of_its_subjects() -> None:
    rows = [
        Row(PurePosixPath("x.wav"), f"s{index}", {}, side="test" if index < 50 else "train") for index in range(450)
    ]
    splits, notes = leak_free_splits(rows)
    assert 20 <= splits.count("val") <= 65 and splits[:50] == ["test"] * 50
    assert notes == ["no official validation set: a hash takes it from the training subjects"]


# The manifest


@pytest.fixture
def small(tmp_path: Path) -> Imported:
    root = tmp_path / "data" / "ESC-50"
    names = ["1-1-A-0.wav", *(f"5-{source}-A-0.wav" for source in range(2, 7))]
    rows = [f"{name},{name[0]},rain,{name[2]}" for name in (*names, "5-9-A-0.wav")]
    text(root / "esc50.csv", "\n".join(["filename,fold,category,src_file", *rows]))
    for name in names:
        record(root / "audio" / name)
    return import_dataset("esc50", root)


def test_a_manifest_above_the_dataset_refers_down_into_it(small: Imported, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    summary = write_manifest(small, out)
    assert (summary["rows"], summary["subjects"], summary["splits"]) == (6, 6, {"test": 5, "train": 1})
    assert [count for key, count in summary.items() if key.startswith("skipped: no recording")] == [1]
    assert [clip.name for clip in load_dataset(out).clips][:2] == [
        "data/ESC-50/audio/1-1-A-0.wav",
        "data/ESC-50/audio/5-2-A-0.wav",
    ]
    about = files.read_json(tmp_path / "all.source.json")
    assert about["licence"].startswith("CC BY-NC") and about["url"].startswith("https://")
    assert about["skipped"] == [{"file": "5-9-A-0.wav", "row": 8, "reason": reasons(small)["5-9-A-0.wav"]}]


def test_a_manifest_elsewhere_is_refused_with_a_remedy(small: Imported, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cp -al .*ESC-50 COPY"):
        write_manifest(small, tmp_path / "elsewhere" / "manifest.csv")
    assert not (tmp_path / "elsewhere").exists()


def test_a_read_only_dataset_is_refused_with_a_remedy(small: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, data: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "write_json", refuse)
    with pytest.raises(UsageError, match=r"can't be written: Permission denied.*a folder above"):
        write_manifest(small, small.folder / "manifest.csv")


def test_another_manifest_is_not_replaced_silently(small: Imported) -> None:
    out = text(small.folder / "manifest.csv", "file\nmine.wav\n")
    with pytest.raises(UsageError, match="--overwrite"):
        write_manifest(small, out)
    assert out.read_text() == "file\nmine.wav\n" and not out.with_suffix(".source.json").exists()
    write_manifest(small, out, overwrite=True)
    assert "1-1-A-0.wav" in out.read_text()
    for bad in (small.folder / "manifest.txt", small.folder):
        with pytest.raises(UsageError, match="not the name of a CSV"):
            write_manifest(small, bad)


def test_cells_hold_no_line_breaks_that_a_manifest_would_trip_over(small: Imported) -> None:
    row = small.rows[0]
    row.cells["category"] = 'a "big"\n,cough'
    out = small.folder / "manifest.csv"
    write_manifest(small, out)
    assert load_dataset(out, label_columns=("category",)).clips[0].label("category") == 'a "big" ,cough'


def test_any_manifest_csv_needs_no_import(tmp_path: Path) -> None:
    """Classification and regression columns of a manifest of one's own are read as they are."""
    lines = ["file,subject,split,label,fvc"]
    for index, split in enumerate(["train"] * 6 + ["test"] * 6):
        record(tmp_path / f"{index}.wav", seed=index)
        lines.append(f"{index}.wav,s{index},{split},{('dry', 'wet')[index % 2]},{index / 10}")
    dataset = load_dataset(text(tmp_path / "mine.csv", "\n".join(lines)), label_columns=("label", "fvc"))
    subjects, splits = [clip.subject for clip in dataset.clips], [clip.split for clip in dataset.clips]
    found = binary_tasks(
        [clip.label("label") for clip in dataset.clips],
        column="label",
        subjects=subjects,
        splits=splits,
        min_subjects=3,
    )
    assert [task.name for task in found.tasks] == ["label=dry"]
