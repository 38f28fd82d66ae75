"""Networks that score events in sound, as teachers of a head of events: YAMNet, HeAR's event detectors, your own.

They hear the clips of a run's records, and `HeadAdapter` fits the head to what they say. No label is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Dataset
from hearlite.data.records import Records, Shard, read_examples
from hearlite.embedders.base import Embedder
from hearlite.embedders.open import open_teacher
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.export.event_labels import KnownEvents
from hearlite.export.foreign_head import LEAST, Scores
from hearlite.files import read_arrays, write_arrays
from hearlite.progress import progress
from hearlite.serialization import load_toml
from hearlite.spec import AUDIO
from hearlite.tflite.classifier import require_labels

TABLES = Path(__file__).parent / "event_classes.toml"
LABEL = "label"  # the column of datasets that says what is in a recording
_BATCH = 64  # clips at a time: 8 MB of audio
# Of training clips that hold a class for certain. With fewer a head learns the recordings, not the class.
_FEWEST_CLIPS, _FEWEST_SUBJECTS = 40, 8
_WITHIN = 1e-3  # beyond 0 and 1 that a score may lie, by rounding


@dataclass(frozen=True)
class EventTable:
    """Which outputs of a network are which class."""

    outputs: int
    classes: Mapping[str, tuple[int, ...]]  # by label, in the order of the head's scores
    labels: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # of datasets, that mean a class as its name does

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for outputs that aren't there; `where` names the source."""
        require_labels(tuple(self.classes), kind="sigmoid", where=where)
        for label, places in self.classes.items():
            whole = isinstance(places, (list, tuple)) and all(type(place) is int for place in places)
            if not whole or not places or not all(0 <= place < self.outputs for place in places):
                raise InputError(
                    f"{where}: {label!r:.200} is {places!r:.200} of {self.outputs} outputs",
                    f"expected a list of one or more numbers from 0 to {self.outputs - 1}",
                )
        for label, meant in self.labels.items():
            if label not in self.classes or not isinstance(meant, list) or not all(type(name) is str for name in meant):
                raise InputError(
                    f"{where}: labels of {label!r:.200} are {meant!r:.200}",
                    f"expected a list of labels of one of {', '.join(self.classes)}",
                )

    @property
    def meant(self) -> dict[str, tuple[str, ...]]:
        """The labels of datasets that mean each class: its own name and others."""
        return {label: (label, *self.labels.get(label, ())) for label in self.classes}


@dataclass(frozen=True)
class EventTables:
    """The classes of known networks, event_classes.toml."""

    yamnet: EventTable
    hear: EventTable


class EventScorer:
    """Hears clips and says how much of each class of events is in them.

    Parameters
    ----------
    source : str
        `tflite:FILE[#OUTPUT]`, by default its output `scores`, or `saved-model:DIR`: a network of 16 kHz waveforms of
        at most 2 s, with probabilities as outputs. Where a clip takes several windows, their log-odds are averaged:
        what a linear head of a mean over time can learn.
    classes : Path, optional
        A TOML file with `outputs` and `[classes]`, as in event_classes.toml; by default its table of YAMNet or HeAR's
        event detectors, by the number of outputs.
    labelled : sequence of Dataset
        Recordings of the run whose label column `label` says what is in them: it counts beside what the network hears.

    Attributes
    ----------
    name, sha256 : str
        Of the network, for messages and manifests.
    labels : tuple of str
        The classes.

    Raises
    ------
    InputError
        When the network can't be opened, or its outputs are not those of the classes.
    UsageError
        When `source` is no such name, or nothing says which classes its outputs are.
    """

    def __init__(self, source: str, *, classes: Path | None = None, labelled: Sequence[Dataset] = ()) -> None:
        kind, _, rest = source.partition(":")
        if kind not in ("tflite", "saved-model") or not rest:
            raise UsageError(
                f"a scorer of events is {source!r:.300}", "use tflite:FILE[#OUTPUT] or saved-model:DIR, such as YAMNet"
            )
        path, _, output = rest.partition("#")
        plain: Embedder = TfliteEmbedder(path, output=output or "scores") if kind == "tflite" else open_teacher(source)
        table = event_table(plain.info.dim, classes=classes, source=source)
        self.name, self.labels, self._places = source, tuple(table.classes), list(table.classes.values())
        told = f"{plain.info.fingerprint} {list(table.classes.items())}"
        self._scored_by = self.sha256 = hashlib.sha256(told.encode()).hexdigest()
        self._known = KnownEvents(labelled, column=LABEL, labels=table.meant) if labelled else None
        if self._known is not None:
            self.name += f" and labels of {self._known.name}"
            self.sha256 = hashlib.sha256(f"{self.sha256} {self._known.sha256}".encode()).hexdigest()
        self._score: Callable[[NDArray[np.float32]], NDArray[np.float32]]
        if isinstance(plain, TfliteEmbedder):
            plain.each = self._log_odds  # of every window, before their mean
            self._score = plain.embed
        else:
            self._score = lambda clips: np.stack([self._log_odds(row) for row in plain.embed(clips)])

    def score_records(self, records: Records, *sides: Sequence[NDArray[np.intp]], cache: Path) -> Scores:
        """Score rows of a run's records, by the network and by the labels that are known.

        Parameters
        ----------
        records : Records
            The records.
        *sides : sequence of array
            Rows of each shard, of training and of validation clips.
        cache : Path
            A .npz in which the scores are kept, to be used again.

        Returns
        -------
        Scores
            Logits in the order of sides, shards and rows.

        Raises
        ------
        InputError
            When labels are given, and none is of a clip of the records.
        """
        places = [(shard, rows) for side in sides for shard, rows in zip(records.shards, side, strict=True)]
        told = hashlib.sha256(self._scored_by.encode())
        for shard, rows in places:
            told.update(f"{shard.path.name} {rows.tolist()}".encode())
        kept = read_arrays(cache) if cache.is_file() else {}
        if str(kept.get("of")) != told.hexdigest():
            kept = {"logits": self._scored(places), "of": np.asarray(told.hexdigest())}
            write_arrays(cache, kept)
        logits = np.asarray(kept["logits"], np.float64)
        if self._known is not None:
            clips = (shard.sources[row] for shard, rows in places for row in rows)
            logits = self._known.raised(logits, labels=self.labels, clips=clips)
        return Scores("sigmoid", self.labels, logits)

    def _scored(self, places: Sequence[tuple[Shard, NDArray[np.intp]]]) -> NDArray[np.float32]:
        found, done = [np.zeros((0, len(self.labels)), np.float32)], 0
        with progress(f"events by {self.name}", total=sum(len(rows) for _, rows in places)) as advance:
            for shard, rows in places:
                pcm = read_examples(shard, rows)[0] if len(rows) else np.zeros((0, AUDIO.clip_samples), np.int16)
                for start in range(0, len(pcm), _BATCH):
                    found.append(self._score(from_int16(pcm[start : start + _BATCH])))
                    done += len(found[-1])
                    advance(done)
        return np.concatenate(found)

    def _log_odds(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-odds of each class, `[labels]`, of a window's outputs."""
        if not (outputs.min() >= -_WITHIN and outputs.max() <= 1.0 + _WITHIN):  # NaN too
            raise InputError(
                f"{self.name} scores from {outputs.min():g} to {outputs.max():g}", "expected probabilities, 0 to 1"
            )
        best = np.array([outputs[list(places)].max() for places in self._places], np.float64)
        sure = np.clip(best, LEAST, 1.0 - LEAST)
        return np.asarray(np.log(sure) - np.log1p(-sure), np.float32)


def event_table(outputs: int, *, classes: Path | None, source: str) -> EventTable:
    """Return which of a network's outputs are which class: by a TOML file, or what is known of YAMNet and HeAR's.

    Raises
    ------
    InputError
        When the file is of another number of outputs.
    UsageError
        When nothing says it.
    """
    if classes is not None:
        table = load_toml(EventTable, classes)
        table.require_valid(where=str(classes))
        if table.outputs != outputs:
            raise InputError(f"{classes}: it is of {table.outputs} outputs", f"{source} has {outputs}")
        return table
    known = load_toml(EventTables, TABLES)
    for table in (known.yamnet, known.hear):
        if table.outputs == outputs:
            return table
    raise UsageError(
        f"{source} has {outputs} outputs, and nothing says which are which class",
        "name a TOML file with 'outputs' and '[classes]' by --event-classes",
    )


def supported(scores: Scores, subjects: NDArray[np.str_], *, where: str) -> Scores:
    """Return the classes that the network hears in enough of the training clips; the others can't be learned.

    Parameters
    ----------
    scores : Scores
        Of training clips first, then of others.
    subjects : array [training clips]
        Who is heard in each.
    where : str
        The network, for messages.

    Raises
    ------
    InputError
        When there is none.
    """
    decided = scores.decisions[: len(subjects)]
    kept = [
        number
        for number in range(len(scores.labels))
        if decided[:, number].sum() >= _FEWEST_CLIPS
        and len(np.unique(subjects[decided[:, number]])) >= _FEWEST_SUBJECTS
    ]
    if not kept:
        counts = ", ".join(f"{label} {found.sum()}" for label, found in zip(scores.labels, decided.T, strict=True))
        raise InputError(
            f"{where} hears no class in {_FEWEST_CLIPS} training clips of {_FEWEST_SUBJECTS} subjects: {counts}",
            "distill with recordings of such sounds",
        )
    return Scores(scores.kind, tuple(scores.labels[number] for number in kept), scores.logits[:, kept])
