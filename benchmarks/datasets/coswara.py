"""Import Coswara: self-recorded breathing and coughs of 2 635 people, with their COVID-19 status.

The status is self-reported. The dataset's folder holds `combined_data.csv` (columns of one or two letters, explained
in its `csv_labels_legend.json`) and, once unpacked by its `extract_data.py`, `<date>/<id>/cough-heavy.wav` and eight
more recordings per person. `annotations/<sound>_labels.csv` grades recordings as 0 (bad), 1 (good) or 2 (excellent).

Speech and vowels are left out, as are recordings whose locality marks them as the developers' tests. Symptoms and
conditions are not carried over: the forms stored only ticked boxes, and later versions had more of them, so "no" and
"not asked" look alike. Smoking became a yes-or-no question later.
"""

from __future__ import annotations

import re
from pathlib import Path

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, find_file, read_table
from hearlite.errors import InputError

SOUNDS = ("breathing-deep", "breathing-shallow", "cough-heavy", "cough-shallow")
COVID = {  # grouped as in the dataset's paper: negative, positive, recovered
    "positive_mild": "positive",
    "positive_moderate": "positive",
    "positive_asymp": "positive",
    "healthy": "negative",
    "no_resp_illness_exposed": "negative",
    "resp_illness_not_identified": "negative",
    "recovered_full": "",
    "under_validation": "",
}
_SMOKER = {"y": "1", "n": "0"}  # "True" is a ticked box of the early form, which could not express "no"
_TEST = re.compile(r"(?<![a-z])(test|leap)(?![a-z])")  # LEAP is the laboratory of the dataset's authors


def _read(root: Path, log: Log) -> list[Row]:
    table = read_table(
        find_file(root, "combined_data.csv"), name="combined_data.csv", columns=("id", "a", "g", "covid_status")
    )
    recordings, quality = Recordings(root, log), _quality(root)
    rows = []
    people: dict[str, dict[str, str]] = {}
    for index, cells in enumerate(table, start=2):
        person, status = cells["id"], cells["covid_status"]
        if person in people:
            if cells != people[person]:
                log.skip(
                    person, "is in combined_data.csv twice with differing answers; the first row is used", row=index
                )
            continue
        people[person] = cells
        if not person or status not in COVID:
            log.skip(person, f"needs an id and a covid_status, one of {', '.join(COVID)}", row=index)
        elif _TEST.search(cells.get("l_l", "").lower()):
            log.skip(person, "is a test of the developers, according to its locality", row=index)
        else:
            about = _about(cells, log)
            for sound in SOUNDS:
                try:
                    file = recordings.find(sound, folder=person)
                except InputError as error:
                    log.skip(f"{person}/{sound}", str(error), row=index)
                    continue
                rows.append(
                    Row(file, person, _labels(sound, status) | about | {"quality": quality.get((person, sound), "")})
                )
    return rows


def _labels(sound: str, status: str) -> dict[str, str]:
    """Return the COVID-19 label for all sounds together and for each kind of sound alone.

    Each kind has a column of its own because a person's four recordings differ.
    """
    covid, kind = COVID[status], sound.partition("-")[0]
    by_kind = {f"covid_{name}": covid if name == kind else "" for name in ("breathing", "cough")}
    return {"label": covid, **by_kind, "covid_status": status, "sound": sound}


def _about(cells: dict[str, str], log: Log) -> dict[str, str]:
    smoker = _SMOKER.get(cells.get("smoker", ""), "")
    return {"sex": log.sex(cells["g"]), "age": log.age(cells["a"]), "country": cells.get("l_c", ""), "smoker": smoker}


def _quality(root: Path) -> dict[tuple[str, str], str]:
    """Return the grade of each (id, sound); empty without annotations."""
    grades = {}
    for sound in SOUNDS:
        path = find_file(root, f"{sound}_labels.csv")
        if path is not None:
            for cells in read_table(path, name=path.name, columns=("FILENAME", "QUALITY")):
                person, _, name = cells["FILENAME"].rpartition("_")
                grades[person, name] = cells["QUALITY"] if cells["QUALITY"] in ("0", "1", "2") else ""
    return grades


RECORDINGS = Source(
    title="Coswara, breathing and cough",
    url="https://github.com/iiscleap/Coswara-Data",
    paper="Bhattacharya et al. 2023, Sci Data 10:397, arXiv:2305.12741",
    licence="CC BY 4.0 according to its Zenodo record; the repository names none",
    labels=("covid_breathing", "covid_cough", "sex", "smoker"),
    metadata=("age", "sex", "country", "sound", "quality"),
    read=_read,
    caveats=(
        "answers are self-reported; a returning participant got a new id, so one person may be two subjects",
        "positives were recorded later and in other places than negatives: a probe may recognise the room",
    ),
)
