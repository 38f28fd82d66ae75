"""Import SPRSound: lung sounds of children, annotated by event and by recording.

Each `<patient>_<age>_<sex>_<location>_<number>.wav` has a .json of the same name, in folders that name the split; sex
is 0 for male, 1 for female. The .json holds `record_annotation` and `event_annotation`: [{"start": "2499", "end":
"4277", "type": "Normal"}], in ms. The format was taken from the repository's README files and its annotations of
2022–2025. Its folders were renamed more than once, so files are found by name wherever they lie.

The asthma rule follows Ehtesham et al. 2025, arXiv:2504.20124, as far as the paper states it: wheeze, wheeze+crackle,
rhonchi and stridor against normal, without crackles; events shorter than 2 s are zero-padded (`--framing zero-pad`),
and a window of 2 s slides over longer ones. The paper's stride is not known: here windows do not overlap, and a
remainder shorter than a window is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, number, read_json
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, TRAIN_SPLITS
from hearlite.errors import InputError
from hearlite.spec import AUDIO

NORMAL = "Normal"
EVENTS_OF = (NORMAL, "Rhonchi", "Wheeze", "Stridor", "Coarse Crackle", "Fine Crackle", "Wheeze+Crackle")
# CAS and DAS: continuous and discontinuous adventitious sounds.
RECORDS_OF = (NORMAL, "CAS", "DAS", "CAS & DAS", "Poor Quality")
ASTHMA_LIKE = ("Wheeze", "Wheeze+Crackle", "Rhonchi", "Stridor")
OLDEST_CHILD_YEARS = 18.0  # the database covers 1 month to 18 years
_NAME = re.compile(r"[^_]*_[^_]+_[01]_p[1-8]_\d+")
_SPLIT = re.compile(r"(?<![a-z])(train|intra|inter)(?![a-z])")
_YEAR = re.compile(r"20\d\d")


@dataclass(frozen=True)
class _Record:
    """One annotated recording."""

    file: PurePosixPath
    subject: str
    label: str  # of the whole recording, "" where only events are annotated
    events: tuple[tuple[float, float, str], ...]  # start_s, end_s, type
    official: str
    about: dict[str, str]


def _records(root: Path, log: Log) -> list[_Record]:
    """Return every recording once.

    Of two annotations, the one with a label of the recording is kept: it is that of the classification challenge.
    """
    recordings = Recordings(root, log)
    records = []
    for stem, copies in _annotations(root, log).items():
        name, annotation = min(copies, key=lambda item: ("record_annotation" not in item[1], item[0]))
        if any(other["event_annotation"] != annotation["event_annotation"] for _, other in copies):
            log.odd["a recording with two differing annotations; the classification challenge's is used"] += 1
        try:
            records.append(_record(stem, name, annotation, recordings, log))
        except InputError as error:
            log.skip(str(name), str(error))
    return records


def _annotations(root: Path, log: Log) -> dict[str, list[tuple[PurePosixPath, dict[str, Any]]]]:
    """Return the readable annotations of each recording by its name, with their paths."""
    found: dict[str, list[tuple[PurePosixPath, dict[str, Any]]]] = {}
    for path in sorted(root.rglob("*.json")):
        name = PurePosixPath(path.relative_to(root).as_posix())
        # Skip shadow files of macOS, and the .source.json that write_manifest writes.
        if path.stem.startswith(".") or path.stem.endswith(".source"):
            continue
        if not _NAME.fullmatch(path.stem):
            log.odd["a .json that is not named patient_age_sex_location_number"] += 1
        elif path.stem.startswith("_"):
            log.skip(str(name), "no patient number: it may be of any patient, even one in test")
        else:
            try:
                annotation = _annotation(path)
            except InputError as error:
                log.skip(str(name), str(error).replace(f"{path}: ", ""))
            else:
                found.setdefault(path.stem, []).append((name, annotation))
    return found


def _annotation(path: Path) -> dict[str, Any]:
    """Read an annotation file: {"record_annotation" (optional), "event_annotation"}."""
    data = read_json(path)
    events = data.get("event_annotation") if isinstance(data, dict) else None
    if not isinstance(events, list):
        raise InputError("no list 'event_annotation'", "expected an annotation of SPRSound")
    # The README's example uses the longer key, the files use the shorter.
    label = data.get("record_annotation", data.get("recording_annotation"))
    return {"event_annotation": events, **({} if label is None else {"record_annotation": str(label)})}


def _record(stem: str, name: PurePosixPath, annotation: dict[str, Any], recordings: Recordings, log: Log) -> _Record:
    patient, age, sex, location, _ = stem.split("_")
    label = annotation.get("record_annotation", "")
    if label and label not in RECORDS_OF:
        log.skip(str(name), f"record_annotation is {label[:40]!r}; expected one of {', '.join(RECORDS_OF)}")
        label = ""
    events = []
    for index, event in enumerate(annotation["event_annotation"], start=1):
        try:
            events.append(_event(event))
        except InputError as error:
            log.skip(f"{name}, event {index}", str(error))
    if _official(name) == "train":
        log.trained.add(patient)
    about = {"age": log.age(age, oldest=OLDEST_CHILD_YEARS), "sex": log.sex(sex), "location": location}
    return _Record(recordings.find(stem, near=name), patient, label, tuple(events), _official(name), about)


def _event(event: Any) -> tuple[float, float, str]:
    if not isinstance(event, dict):
        raise InputError("is not a JSON object", "expected start, end and type")
    start_ms, end_ms, kind = number(str(event.get("start"))), number(str(event.get("end"))), event.get("type")
    if kind not in EVENTS_OF:
        raise InputError(f"type is {str(kind)[:40]!r}", f"expected one of {', '.join(EVENTS_OF)}")
    if not 0 <= start_ms < end_ms:
        raise InputError(
            f"runs from {str(event.get('start'))[:20]!r} to {str(event.get('end'))[:20]!r} ms",
            "expected 0 <= start < end",
        )
    return start_ms / 1000, end_ms / 1000, str(kind)


def _official(name: PurePosixPath) -> str:
    """Return the official split: train, intra (patients of train), inter (other patients) or test<year>.

    It is read from the annotation's folders; "" if they do not name one.
    """
    folders = "/".join(name.parent.parts).lower()
    named = _SPLIT.search(folders)
    if named:
        return named[1]
    years = _YEAR.findall(folders)
    return f"test{years[-1]}" if years and ("test" in folders or "valid" in folders) else ""


def _row(record: _Record, cells: dict[str, str], *, start_s: float | None = None, end_s: float | None = None) -> Row:
    side = "" if not record.official else TRAIN_SPLITS[0] if record.official == "train" else TEST_SPLIT
    return Row(record.file, record.subject, cells | record.about, start_s, end_s, side, record.official)


def _binary(label: str) -> str:
    return "" if label in ("", "Poor Quality") else "normal" if label == NORMAL else "adventitious"


def _read_events(root: Path, log: Log) -> list[Row]:
    """Return a row for each event, with its type and the label of its recording."""
    return [
        _row(record, {"label": kind, "binary": _binary(kind), "record": record.label}, start_s=start_s, end_s=end_s)
        for record in _records(root, log)
        for start_s, end_s, kind in record.events
    ]


def _read_records(root: Path, log: Log) -> list[Row]:
    """Return a row for each labelled recording as a whole.

    Recordings of poor quality, which have no events, are included.
    """
    return [
        _row(record, {"label": record.label, "binary": _binary(record.label)})
        for record in _records(root, log)
        if record.label
    ]


def _read_asthma(root: Path, log: Log) -> list[Row]:
    """Return a row for each window of the asthma rule."""
    return [
        _row(
            record,
            {"label": "normal" if kind == NORMAL else "positive", "event": kind},
            start_s=at,
            end_s=min(end_s, at + AUDIO.clip_s),
        )
        for record in _records(root, log)
        for start_s, end_s, kind in record.events
        if kind == NORMAL or kind in ASTHMA_LIKE
        for at in _windows(start_s, end_s)
    ]


def _windows(start_s: float, end_s: float) -> list[float]:
    """Return the start of each window of an event: as many as fit, but at least one."""
    count = int((end_s - start_s + 1e-9) / AUDIO.clip_s)
    return [start_s + index * AUDIO.clip_s for index in range(max(1, count))]


_source = partial(
    Source,
    url="https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound",
    paper="Zhang et al. 2022, IEEE TBioCAS 16:867 (SPRSound)",
    licence=(
        "unclear: GPL-3.0 file beside the data, CC BY on IEEE DataPort for the 2023 challenge (10.21227/rqh3-h568); ask"
        " before you redistribute it"
    ),
    metadata=("age", "sex", "location"),
)
_PADDING = (
    "zero-padding an event reveals its length, and duration alone separates normal from adventitious well: compare with"
    " the duration baseline"
)
EVENTS = _source(title="SPRSound, events", labels=("label", "binary", "record"), read=_read_events, caveats=(_PADDING,))
RECORDS = _source(title="SPRSound, recordings", labels=("label", "binary"), read=_read_records)
ASTHMA = _source(
    title="SPRSound, windows of the asthma rule (arXiv:2504.20124)",
    labels=("label",),
    read=_read_asthma,
    caveats=(_PADDING,),
)
