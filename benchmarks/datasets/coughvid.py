"""Import COUGHVID: crowdsourced coughs with self-reported COVID-19 status, some graded by physicians.

The dataset's folder holds `metadata_compiled.csv` (uuid, cough_detected, age, gender, respiratory_condition,
fever_muscle_pain, status, and the physicians' quality_1 ... severity_4) and, beside it, `<uuid>.webm`, `.ogg` or
`.wav`. Recordings with `cough_detected` of at least 0.8 are taken for coughs, as by the authors (Orlandic et al.
2021). Locations are not carried over.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, find_file, number, read_table
from hearlite.errors import InputError

MIN_COUGH_DETECTED = 0.8
COVID = {"COVID-19": "positive", "healthy": "negative", "symptomatic": "negative", "": ""}
_COLUMNS = ("uuid", "cough_detected", "age", "gender", "status")
PHYSICIANS = (1, 2, 3, 4)
_WORDS = {
    "quality": ("good", "ok", "poor", "no_cough"),
    "cough_type": ("wet", "dry", "unknown"),
    "diagnosis": ("upper_infection", "lower_infection", "obstructive_disease", "COVID-19", "healthy_cough"),
}
_SIGNS = ("dyspnea", "wheezing", "stridor", "choking", "congestion")


def _read(root: Path, log: Log) -> list[Row]:
    table = read_table(find_file(root, "metadata_compiled.csv"), name="metadata_compiled.csv", columns=_COLUMNS)
    recordings, done = Recordings(root, log), set()
    rows = []
    for index, cells in enumerate(table, start=2):
        name = cells["uuid"]
        if name in done:
            log.skip(name, "its uuid is there twice; the first row is used", row=index)
            continue
        done.add(name)
        if not number(cells["cough_detected"]) >= MIN_COUGH_DETECTED:
            log.skip(name, f"cough_detected is below {MIN_COUGH_DETECTED}, or not a number", row=index)
        elif cells["status"] not in COVID:
            log.skip(name, f"status is none of {', '.join(filter(None, COVID))}", row=index)
        else:
            try:
                file = recordings.find(name)
            except InputError as error:
                log.skip(name, str(error), row=index)
                continue
            rows.append(Row(file, name, _cells(cells, log)))
    return rows


def _cells(cells: dict[str, str], log: Log) -> dict[str, str]:
    words = {column: _agreed(cells, column, log, allowed=allowed) for column, allowed in _WORDS.items()}
    signs = {column: log.flag(_agreed(cells, column, log, allowed=("True", "False"))) for column in _SIGNS}
    return {
        "label": COVID[cells["status"]],
        "status": cells["status"],
        "respiratory_condition": log.flag(cells.get("respiratory_condition", "")),
        "fever_muscle_pain": log.flag(cells.get("fever_muscle_pain", "")),
        "sex": log.sex(cells["gender"]),
        "age": log.age(cells["age"]),
        **words,
        **signs,
    }


def _agreed(cells: dict[str, str], column: str, log: Log, *, allowed: tuple[str, ...]) -> str:
    """Return the majority answer of the physicians who graded a recording.

    It is "" if none answered, or if no answer has more than half of the votes.
    """
    answers = Counter(
        answer for answer in (cells.get(f"{column}_{who}", "") for who in PHYSICIANS) if answer in allowed
    )
    if not answers:
        return ""
    answer, votes = answers.most_common(1)[0]
    if 2 * votes > answers.total():
        return answer
    log.odd[f"a recording without a majority for {column} among physicians, left empty"] += 1
    return ""


RECORDINGS = Source(
    title="COUGHVID",
    url="https://zenodo.org/records/7024894",
    paper="Orlandic et al. 2021, Sci Data 8:156",
    licence="CC BY 4.0",
    labels=("label", "sex", "cough_type", "dyspnea", "wheezing", "congestion"),
    metadata=("age", "sex", "status", "quality"),
    read=_read,
    caveats=(
        "no ids of people: each recording counts as its own subject, although one person may have sent several",
        (
            "status is self-reported; cough_type and the signs are physicians' judgements by ear, and they often"
            " disagree"
        ),
    ),
)
