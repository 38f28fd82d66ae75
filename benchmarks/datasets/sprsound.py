"""SPRSound: lung sounds of children, annotated as events and as whole recordings.

`<patient>_<age>_<sex>_<location>_<number>.wav` and a .json of the same name, in folders that name the split; sex is 0
male, 1 female. The json holds `record_annotation` and `event_annotation`: [{"start": "2499", "end": "4277", "type":
"Normal"}], in ms. Read from the repository's README files and annotations of 2022 - 2025; its folders were renamed more
than once, so files are found by their names wherever they lie.

The asthma rule is that of Ehtesham et al. 2025, arXiv:2504.20124, as far as it is stated: wheeze, wheeze+crackle,
rhonchi and stridor against normal, crackles left out; events shorter than 2 s are zero-padded (`--framing zero-pad`),
longer ones slide a window of 2 s. The paper's stride is not known here: windows don't overlap, and an end that fills
none is left out.
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
RECORDS_OF = (NORMAL, "CAS", "DAS", "CAS & DAS", "Poor Quality")  # continuous, discontinuous adventitious sounds
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

    Of two annotations the one with a record label is kept: it is the classification challenge's.
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
    """Every readable annotation by the name of its recording, with where it lies."""
    found: dict[str, list[tuple[PurePosixPath, dict[str, Any]]]] = {}
    for path in sorted(root.rglob("*.json")):
        name = PurePosixPath(path.relative_to(root).as_posix())
        if path.stem.startswith(".") or path.stem.endswith(
            ".source"
        ):  # a shadow file of macOS; what write_manifest leaves
            continue
        if not _NAME.fullmatch(path.stem):
            log.odd["a .json that is not named patient_age_sex_location_number"] += 1
        elif path.stem.startswith("_"):
            log.skip(str(name), "no patient number: it may be anybody, also somebody who is tested")
        else:
            try:
                annotation = _annotation(path)
            except InputError as error:
                log.skip(str(name), str(error).replace(f"{path}: ", ""))
            else:
                found.setdefault(path.stem, []).append((name, annotation))
    return found


def _annotation(path: Path) -> dict[str, Any]:
    """Read an annotation file: {"record_annotation"?, "event_annotation"}."""
    data = read_json(path)
    events = data.get("event_annotation") if isinstance(data, dict) else None
    if not isinstance(events, list):
        raise InputError("no list 'event_annotation'", "expected an annotation of SPRSound")
    label = data.get(
        "record_annotation", data.get("recording_annotation")
    )  # the README's example has the longer name, the files the shorter
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
        raise InputError("is no object", "expected start, end and type")
    start_ms, end_ms, kind = number(str(event.get("start"))), number(str(event.get("end"))), event.get("type")
    if kind not in EVENTS_OF:
        raise InputError(f"type is {str(kind)[:40]!r}", f"expected one of {', '.join(EVENTS_OF)}")
    if not 0 <= start_ms < end_ms:
        raise InputError(
            f"goes from {str(event.get('start'))[:20]!r} to {str(event.get('end'))[:20]!r} ms",
            "expected 0 <= start < end",
        )
    return start_ms / 1000, end_ms / 1000, str(kind)


def _official(name: PurePosixPath) -> str:
    """Return train, intra (patients of train), inter (others) or test<year>.

    Read from the annotation's folders; "" when they don't say.
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
    """Return a row for each event: its own type, and the label of its recording."""
    return [
        _row(record, {"label": kind, "binary": _binary(kind), "record": record.label}, start_s=start_s, end_s=end_s)
        for record in _records(root, log)
        for start_s, end_s, kind in record.events
    ]


def _read_records(root: Path, log: Log) -> list[Row]:
    """Return a row for each labelled recording, whole: also the poor ones, which have no events."""
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
    """Where the windows of an event start: each that fits, at least one."""
    count = int((end_s - start_s + 1e-9) / AUDIO.clip_s)
    return [start_s + index * AUDIO.clip_s for index in range(max(1, count))]


_source = partial(
    Source,
    url="https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound",
    paper="Zhang et al. 2022, IEEE TBioCAS 16:867 (SPRSound)",
    licence=(
        "unclear: GPL-3.0 file beside the data, CC BY on IEEE DataPort for the 2023 challenge (10.21227/rqh3-h568); ask"
        " before you pass it on"
    ),
    metadata=("age", "sex", "location"),
)
_PADDING = (
    "zero-padding an event tells how long it was, and duration alone separates normal from adventitious well: read the"
    " duration baseline"
)
EVENTS = _source(title="SPRSound, events", labels=("label", "binary", "record"), read=_read_events, caveats=(_PADDING,))
RECORDS = _source(title="SPRSound, recordings", labels=("label", "binary"), read=_read_records)
ASTHMA = _source(
    title="SPRSound, windows of the asthma rule (arXiv:2504.20124)",
    labels=("label",),
    read=_read_asthma,
    caveats=(_PADDING,),
)
