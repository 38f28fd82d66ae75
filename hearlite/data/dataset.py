"""Load a folder, a manifest CSV or one recording as a dataset of clips, split by subject.

Whatever cannot be used is listed, never dropped silently. Manifest columns: `file` (below the manifest's folder), and
optionally `start_s`/`start` and `end_s`/`end` (an annotated event, else the whole recording), `label`, `subject`,
`split` (train, val, test) and more label columns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite import audio
from hearlite.errors import InputError, UsageError
from hearlite.manifests.labels import clean_labels, find_positives
from hearlite.manifests.manifest import DEFAULT_LABELS, MANIFESTS, find_rows
from hearlite.manifests.options import DEFAULT_OPTIONS, ManifestOptions
from hearlite.manifests.rows import Row
from hearlite.manifests.splits import with_subjects_and_splits
from hearlite.manifests.times import require_time_unit, time_s
from hearlite.names import FRAMINGS
from hearlite.spec import AUDIO


@dataclass(frozen=True, slots=True)  # a dataset may hold a million
class ClipRef:
    """The place of a clip: 2 s of `file` from `start_s` on or, if zero-padded, the event alone.

    It locates a clip but does not identify its content; `hearlite.data.reading.clip_id` does.
    """

    file: Path
    name: str  # of the recording: posix path relative to the dataset's folder
    # Line in the manifest (the header is line 1); None without a manifest. Clips of one event share (name, row).
    row: int | None
    start_s: float
    event_start_s: float | None  # None for a whole recording
    event_end_s: float | None
    zero_padded: bool  # the event alone followed by zeros, instead of real context
    subject: str
    split: str  # one of SPLITS
    labels: tuple[tuple[str, str], ...]  # (column, value), "" where the manifest has none
    corpus: str = ""  # the dataset that it comes from, where several are combined

    def label(self, column: str) -> str:
        """Return the value of a label column, "" when there is none."""
        return dict(self.labels).get(column, "")


@dataclass(frozen=True)
class Skipped:
    """A row or recording that is not used, with the reason."""

    file: str
    row: int | None
    reason: str
    clips: int = 1  # that it stands for: all those of a recording that cannot be read


@dataclass(frozen=True)
class Dataset:
    """The clips of a set of recordings, in the manifest's order; made by `load_dataset`.

    Only the places of the clips are stored, not their sound.
    """

    name: str
    clips: tuple[ClipRef, ...]
    skipped: tuple[Skipped, ...]
    sha256: str  # of names, sizes, events, subjects and splits, but not of hop and framing
    # Separate, because distillation uses no labels: a run can be resumed with other label columns.
    labels_sha256: str
    notes: tuple[str, ...]  # remarks for the user, such as how subjects were split
    synthetic: bool  # by the manifest's column `synthetic`, which hearlite/audio/synth.py writes
    # (column, classes) by label column: the classes that make a task each, chosen over all rows by labels.py
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def positives(self) -> dict[str, tuple[str, ...]]:
        """The positive classes of each label column: one where the column has two, each where it has more."""
        return dict(self.classes)


def load_dataset(
    path: str | Path,
    *,
    hop_s: float = AUDIO.clip_s,
    label_columns: Sequence[str] = DEFAULT_LABELS,
    framing: str = "context",
    events: bool = True,
    seed: int = 0,
    options: ManifestOptions = DEFAULT_OPTIONS,
) -> Dataset:
    """Load a folder, a manifest CSV or one recording as a dataset of clips.

    Only the headers of recordings are read. Rows whose times or file cannot be used are listed in `skipped`.

    Parameters
    ----------
    path : str or Path
        A folder (its manifest.csv or labels.csv, or all audio files below it), a manifest CSV, or one recording.
    hop_s : float
        Seconds between the starts of two clips of a long sound, above 0 and at most 2.
    label_columns : sequence of str
        Label columns of the manifest to load.
    framing : str
        Padding of annotated events shorter than 2 s: "context" takes the surrounding sound; "zero-pad" takes the event
        alone (at most its first 2 s), which reveals its duration.
    events : bool
        False ignores annotated events and takes every recording once and whole, as distillation does.
    seed : int
        Seed of the split by subject, used if the manifest has no split column; see `hearlite.manifests.splits`.
    options : ManifestOptions
        The manifest's own names for columns, metadata to join, words for a missing value, positive classes, and more.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        When no clip is left or the manifest is invalid: a row with more or fewer cells than columns, a path that
        leaves the manifest's folder, an unknown split or label column, a subject or recording in two splits, or times
        that are not in the unit of `options`.
    UsageError
        When `framing` is unknown or `hop_s` out of range.
    """
    if framing not in FRAMINGS:
        raise UsageError(f"framing is {framing!r}", f"use one of {', '.join(FRAMINGS)}")
    path = Path(path)
    root, rows, notes = find_rows(path, label_columns=tuple(label_columns), options=options)
    rows, label_notes = clean_labels(rows, options)
    positives, positive_notes = find_positives(rows, options)
    notes += label_notes + positive_notes
    recordings = _Recordings(root)
    rows, split_notes = with_subjects_and_splits(rows, seed=seed, readable=lambda row: recordings.is_readable(row.name))
    if not events:
        rows = [
            dataclasses.replace(row, row=None, start="", end="", labels=())
            for row in {row.name: row for row in rows}.values()
        ]
    clips, skipped = list[ClipRef](), list[Skipped]()
    digest, labels_digest = hashlib.sha256(), hashlib.sha256()
    _require_time_unit(rows, recordings, unit=options.time_unit, where=str(path))
    clamped, synthetic = 0, any(row.synthetic for row in rows)
    rows.reverse()
    while rows:  # a million of them take as much memory as their clips, so none is kept
        row = rows.pop()
        try:
            cut = _clips_of(row, recordings, hop_s=hop_s, framing=framing, unit=options.time_unit)
        except InputError as error:
            skipped.append(Skipped(row.name, row.row, str(error)))
            continue
        clips += cut
        event = (cut[0].event_start_s, cut[0].event_end_s)
        clamped += event[1] is not None and (time_s(row.end, column="end", unit=options.time_unit) or 0) > event[1]
        line = (row.name, recordings.place(row.name)[1], *event, row.subject, row.split)
        digest.update(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        labels_digest.update(json.dumps(row.labels, ensure_ascii=True).encode() + b"\n")
    if not clips:
        reasons = "; ".join(
            f"{item.file}{'' if item.row is None else f' (row {item.row})'}: {item.reason}" for item in skipped[:3]
        )
        raise InputError(f"{path}: no usable clip", reasons or "the manifest has no rows")
    if clamped:
        notes.append(f"{clamped} events end after their recording and were cut at its end")
    return Dataset(
        name=(root if path.name in MANIFESTS else path).resolve().name,
        clips=tuple(clips),
        skipped=tuple(skipped),
        sha256=digest.hexdigest(),
        labels_sha256=labels_digest.hexdigest(),
        notes=(*notes, *split_notes),
        synthetic=synthetic,
        classes=tuple(positives.items()),
    )


def combine(datasets: Sequence[Dataset]) -> Dataset:
    """Combine several datasets into one, for distillation.

    Recordings are renamed to `dataset/recording`. Subjects keep their names, so that a later benchmark recognizes them.

    Raises
    ------
    InputError
        When two datasets have the same name, or a subject is in different splits in two of them.
    """
    if len(datasets) == 1:
        return datasets[0]
    sides: dict[str, tuple[str, str]] = {}
    for dataset in datasets:
        if [other.name for other in datasets].count(dataset.name) > 1:
            raise InputError(f"two datasets are called {dataset.name!r}", "name each folder once, or rename one")
        for clip in dataset.clips:
            side, where = sides.setdefault(clip.subject, (clip.split, dataset.name))
            if side != clip.split:
                raise InputError(
                    f"subject {clip.subject!r} is in {side} of {where} and in {clip.split} of {dataset.name}",
                    "give different people different names, and one person one split",
                )
    return Dataset(
        name="+".join(dataset.name for dataset in datasets),
        clips=tuple(
            dataclasses.replace(clip, name=f"{dataset.name}/{clip.name}", corpus=dataset.name)
            for dataset in datasets
            for clip in dataset.clips
        ),
        skipped=tuple(
            dataclasses.replace(item, file=f"{dataset.name}/{item.file}")
            for dataset in datasets
            for item in dataset.skipped
        ),
        sha256=_joint_hash([(dataset.name, dataset.sha256) for dataset in datasets]),
        labels_sha256=_joint_hash([(dataset.name, dataset.labels_sha256) for dataset in datasets]),
        notes=tuple(f"{dataset.name}: {note}" for dataset in datasets for note in dataset.notes),
        synthetic=any(dataset.synthetic for dataset in datasets),
    )


def _joint_hash(parts: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).hexdigest()


class _Recordings:
    """The recordings of a folder, each looked at once however many rows it has."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durations: dict[str, float | InputError] = {}
        self._places: dict[str, tuple[Path, int]] = {}

    def duration_s(self, name: str) -> float:
        """Return the length of a recording in seconds. Raises InputError when it cannot be read."""
        if name not in self._durations:
            try:
                self._durations[name] = audio.duration_s(self._root / name)
            except InputError as error:
                self._durations[name] = error
        found = self._durations[name]
        if isinstance(found, InputError):
            raise found
        return found

    def is_readable(self, name: str) -> bool:
        """Return whether a recording can be read and holds sound."""
        with contextlib.suppress(InputError):
            return self.duration_s(name) > 0
        return False

    def place(self, name: str) -> tuple[Path, int]:
        """Return the path and the size in bytes of a recording."""
        if name not in self._places:
            path = self._root / name
            self._places[name] = (path, path.stat().st_size)
        return self._places[name]


def _require_time_unit(rows: Sequence[Row], recordings: _Recordings, *, unit: str, where: str) -> None:
    timed, lengths = [], []
    for row in rows:
        if row.start or row.end:
            with contextlib.suppress(InputError):  # such a row is skipped, with its reason
                lengths.append(recordings.duration_s(row.name))
                timed.append(row)
    require_time_unit(timed, lengths, unit=unit, where=where)


def _clips_of(row: Row, recordings: _Recordings, *, hop_s: float, framing: str, unit: str) -> list[ClipRef]:
    """Return the clips of one row.

    Raises InputError when its recording or its times cannot be used.
    """
    recording_s = recordings.duration_s(row.name)
    file, _ = recordings.place(row.name)
    start_s, end_s = (
        time_s(text, column=column, unit=unit) for column, text in (("start", row.start), ("end", row.end))
    )
    event = start_s is not None or end_s is not None
    starts = audio.clip_starts_s(recording_s=recording_s, start_s=start_s, end_s=end_s, hop_s=hop_s)
    if not event:
        return [
            ClipRef(file, row.name, row.row, at, None, None, False, row.subject, row.split, row.labels) for at in starts
        ]
    start_s, end_s = start_s or 0.0, recording_s if end_s is None else min(end_s, recording_s)
    zero_padded = framing == "zero-pad"
    return [
        ClipRef(file, row.name, row.row, at, start_s, end_s, zero_padded, row.subject, row.split, row.labels)
        for at in ([start_s] if zero_padded else starts)
    ]
