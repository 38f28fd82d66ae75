"""Import ICBHI 2017: lung sounds of 126 patients, with crackles and wheezes annotated by cycle.

Each `<patient>_<index>_<location>_<mode>_<device>.wav` has a .txt of the same name with one breathing cycle per line:
start and end in seconds, crackles and wheezes as 0 or 1, separated by tabs. These files lie beside them or in a folder
above, with names in any case:

- `ICBHI_challenge_train_test.txt`: recording, train or test;
- `ICBHI_Challenge_diagnosis.txt`, on Kaggle `patient_diagnosis.csv`: patient, diagnosis;
- `demographic_info.txt`, on the challenge's page `ICBHI_Challenge_demographic_information.txt`: patient, age, sex,
  adult BMI, child weight, height.

The official 60/40 split has patients 156 and 218 on both sides; here they are in train. The challenge's score is
`tasks.challenge_score.challenge_score`.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, find_file, number, read_text
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, TRAIN_SPLITS
from hearlite.errors import InputError

CLASSES = {  # by (crackles, wheezes)
    ("0", "0"): "normal",
    ("1", "0"): "crackle",
    ("0", "1"): "wheeze",
    ("1", "1"): "both",
}
DIAGNOSES = ("Healthy", "COPD", "Asthma", "URTI", "LRTI", "Bronchiectasis", "Bronchiolitis", "Pneumonia")
_NAME = re.compile(r"\d{3}_[^_]+_(Tc|Al|Ar|Pl|Pr|Ll|Lr)_(sc|mc)_(AKGC417L|LittC2SE|Litt3200|Meditron)")
_SIDES = {"train": TRAIN_SPLITS[0], "test": TEST_SPLIT}


def _read(root: Path, log: Log) -> list[Row]:
    recordings, official = Recordings(root, log), _official(root, log)
    people = _people(root, log)
    # Reversed, so that the first of several copies is kept.
    annotated = {path.stem: path for path in sorted(root.rglob("*.txt"), reverse=True) if _NAME.fullmatch(path.stem)}
    for name in sorted(official.keys() - annotated.keys()):
        log.skip(name, "is in the official split, but its annotation is not there")
    rows = []
    for name, path in sorted(annotated.items()):
        try:
            file = recordings.find(name, near=PurePosixPath(path.relative_to(root).as_posix()))
            lines = read_text(path).splitlines()
        except InputError as error:
            log.skip(name, str(error).replace(f"{path}: ", ""))
            continue
        patient, _, location, mode, device = name.split("_")
        about = people.get(patient, {"diagnosis": "", "age": "", "sex": ""}) | {
            "location": location,
            "mode": mode,
            "device": device,
        }
        side = official.get(name, "")
        for index, line in enumerate(lines, start=1):
            cycle = _cycle(line, where=f"{name}.txt", row=index, log=log)
            if cycle is not None:
                start_s, end_s, labels = cycle
                rows.append(Row(file, f"icbhi-{patient}", labels | about, start_s, end_s, _SIDES.get(side, ""), side))
    return rows


def _cycle(line: str, *, where: str, row: int, log: Log) -> tuple[float, float, dict[str, str]] | None:
    """Return start, end and labels of a cycle.

    It is None for an empty line, and for an unusable one, which is logged.
    """
    cells = line.split()
    if not cells:
        return None
    label = CLASSES.get((cells[2], cells[3])) if len(cells) == 4 else None
    start_s, end_s = (number(cells[0]), number(cells[1])) if len(cells) == 4 else (0.0, 0.0)
    if label is None or not 0 <= start_s < end_s:
        log.skip(where, "a cycle is not 'start end crackles wheezes' with 0 <= start < end and 0 or 1 twice", row=row)
        return None
    binary = "normal" if label == "normal" else "abnormal"
    return start_s, end_s, {"label": label, "binary": binary, "crackle": cells[2], "wheeze": cells[3]}


def _official(root: Path, log: Log) -> dict[str, str]:
    """Return train or test for each recording; empty without the file of the split."""
    path = find_file(root, "ICBHI_challenge_train_test.txt")
    if path is None:
        log.odd["ICBHI_challenge_train_test.txt is missing: no official split"] += 1
        return {}
    sides = {}
    for index, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        if len(cells) == 2 and cells[1] in _SIDES:
            sides[cells[0]] = cells[1]
        elif cells:
            log.skip(path.name, "a line is not 'recording train|test'", row=index)
    return sides


def _people(root: Path, log: Log) -> dict[str, dict[str, str]]:
    """Return diagnosis, age and sex of each patient, as far as their files exist."""
    people: dict[str, dict[str, str]] = {}
    for cells in _lines(root, log, "patient_diagnosis.csv", "ICBHI_Challenge_diagnosis.txt"):
        known = len(cells) > 1 and cells[1] in DIAGNOSES
        if not known:
            log.odd[f"a diagnosis that is none of {', '.join(DIAGNOSES)}, left empty"] += 1
        people[cells[0]] = {"diagnosis": cells[1] if known else "", "age": "", "sex": ""}
    for cells in _lines(root, log, "demographic_info.txt", "ICBHI_Challenge_demographic_information.txt"):
        if len(cells) >= 3:
            person = people.setdefault(cells[0], {"diagnosis": ""})
            person |= {"age": log.age(cells[1]), "sex": log.sex(cells[2])}
    return people


def _lines(root: Path, log: Log, *names: str) -> list[list[str]]:
    """Return the cells of each line that starts with a patient's number.

    Cells are separated by commas, tabs or blanks.
    """
    path = find_file(root, *names)
    if path is None:
        log.odd[f"{names[0]} is missing: its columns are empty"] += 1
        return []
    lines = [re.split(r"[,\s]+", line.strip()) for line in read_text(path).splitlines()]
    return [cells for cells in lines if re.fullmatch(r"\d{3}", cells[0])]


CYCLES = Source(
    title="ICBHI 2017, breathing cycles",
    url="https://bhichallenge.med.auth.gr",
    paper="Rocha et al. 2019, Physiol Meas 40:035001",
    licence="freely available for research according to its page; no licence is named",
    labels=("label", "binary", "crackle", "wheeze", "diagnosis"),
    metadata=("age", "sex", "location", "mode", "device"),
    read=_read,
    caveats=(
        "device and place of recording correlate with the diagnosis: a probe may recognise them, not the lung sound",
    ),
)
