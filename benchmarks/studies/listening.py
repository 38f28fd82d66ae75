"""Find real events at known times in hours of real background: precision, recall, times, and false alarms an hour.

    hearlite study listening --model FILE --events DATA --class cough=coughing --background OTHER --out listening

DATA and OTHER are labelled recordings, of which subjects of the test split alone are used. Events are the parts of a
recording that rise above its own noise; each is put into background at a random time, with an rms that is so many dB
above the background's. What is found is right if it overlaps an event of its class, each at most once. Background
is heard alone, too, class by class: what is found there is a false alarm, whatever it sounds like. A curve shows what
other scores at which events begin would find.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from hearlite.audio import Samples, read_recording
from hearlite.benchmarks.datasets.placed_events import Placed, cut_events, joined, place_events, write_recording
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights, rate_interval
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventClass, EventDetector, EventRules
from hearlite.events.recordings import find_events
from hearlite.events.stream import EventStream, Scores, StepScorer
from hearlite.files import write_bytes, write_json
from hearlite.model import load
from hearlite.models.option import MODEL
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO

SCHEMA = "hearlite-listening/1"
SAMPLES = 2_000  # bootstrap replicates
_RATE = AUDIO.sample_rate_hz
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the curve
_SLACK_S = 0.3  # that an event found may lie beside the true one: half of that is a step


@dataclass(frozen=True)
class FoundAt:
    """How events of one class were found at one level above the background, or at all (snr_db null)."""

    label: str
    snr_db: float | None
    events: int
    sources: int
    recall: float
    recall_low: float | None
    recall_high: float | None
    start_error_s: float | None  # median magnitude, of the events found
    end_error_s: float | None


@dataclass(frozen=True)
class AtThreshold:
    """What is found in the made-up recording where events of one class begin at another score."""

    label: str
    threshold: float
    recall: float  # at all levels
    per_hour: float  # false alarms


@dataclass(frozen=True)
class Alarms:
    """Events found where there are none of that class."""

    label: str
    background: str  # class of the background; "" between the events of the made-up recording
    hours: float
    false_alarms: int
    per_hour: float
    low: float  # exact Poisson interval
    high: float


@dataclass(frozen=True)
class Precision:
    """The share of what was found in the made-up recording that is right."""

    label: str
    found: int
    precision: float


@dataclass(frozen=True)
class ListeningModel:
    """What one file found."""

    model: str
    sha256: str
    found: tuple[FoundAt, ...]
    precision: tuple[Precision, ...]
    alarms: tuple[Alarms, ...]
    curve: tuple[AtThreshold, ...]


@dataclass(frozen=True)
class ListeningResults(StudyRun):
    """The whole of results.json."""

    hours: float
    seed: int
    samples: int
    events: tuple[str, ...]  # names of the datasets
    background: tuple[str, ...]
    models: tuple[ListeningModel, ...]


def matched(placed: Sequence[Placed], found: Sequence[Event]) -> list[Event | None]:
    """Return for each placed event the first one found of its class that overlaps it; each is taken once."""
    free = sorted(found, key=lambda event: event.start_s)
    taken = []
    for item in placed:
        hit = next(
            (
                event
                for event in free
                if event.label == item.label
                and event.start_s < item.end_s + _SLACK_S
                and event.end_s > item.start_s - _SLACK_S
            ),
            None,
        )
        taken.append(hit)
        if hit is not None:
            free.remove(hit)
    return taken


def recall_of(label: str, snr_db: float | None, pairs: Sequence[tuple[Placed, Event | None]], *, seed: int) -> FoundAt:
    """Return how events were found, with an interval over their sources."""
    chosen = [(item, hit) for item, hit in pairs if item.label == label and snr_db in (None, item.snr_db)]
    sources, owners = np.unique([item.source for item, _ in chosen], return_inverse=True)
    right = np.array([hit is not None for _, hit in chosen], float)
    weights = bootstrap_weights(len(sources), samples=SAMPLES, seed=seed)[:, owners]
    replicates = (weights * right).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    low, high = None, None
    if len(sources) > 1:
        free, trials = len(sources) - 1, len(sources)
        bounds = rate_interval(float(right.mean()), replicates, degrees_of_freedom=free, trials=trials)
        low, high = bounds or (None, None)
    hits = [(item, hit) for item, hit in chosen if hit is not None]
    starts = [abs(hit.start_s - item.start_s) for item, hit in hits]
    ends = [abs(hit.end_s - item.end_s) for item, hit in hits]
    return FoundAt(
        label,
        snr_db,
        len(chosen),
        len(sources),
        float(right.mean()),
        low,
        high,
        float(np.median(starts)) if starts else None,
        float(np.median(ends)) if ends else None,
    )


def alarms_of(label: str, background: str, count: int, *, hours: float) -> Alarms:
    """Return a rate of false alarms with its exact interval (Garwood 1936)."""
    from scipy.stats import chi2

    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return Alarms(label, background, hours, count, count / hours, low / hours, high / hours)


def listen_to_all(
    scorer: StepScorer,
    recording: Samples,
    placed: Sequence[Placed],
    background: Mapping[str, Samples],
    *,
    labels: Sequence[str],
    snrs_db: Sequence[float],
    seed: int,
) -> tuple[tuple[FoundAt, ...], tuple[Precision, ...], tuple[Alarms, ...], tuple[AtThreshold, ...]]:
    """Return how one file finds what was placed, what it finds in background alone, and by other thresholds."""
    stream = EventStream(scorer, keep_scores=True)
    found = [event for event in (*stream.push(recording), *stream.finish()) if event.label in labels]
    scores = np.concatenate(stream.timeline)
    curve = tuple(at_threshold(scorer.rules, scores, placed, label, on) for label in labels for on in _THRESHOLDS)
    hits = matched(placed, found)
    pairs = list(zip(placed, hits, strict=True))
    recalls = [recall_of(label, snr, pairs, seed=seed) for label in labels for snr in (*snrs_db, None)]
    taken = {id(hit) for hit in hits}
    hours = len(recording) / _RATE / 3600
    precision, alarms = [], []
    for label in labels:
        mine = [event for event in found if event.label == label]
        wrong = sum(id(event) not in taken for event in mine)
        precision.append(Precision(label, len(mine), 1.0 - wrong / len(mine) if mine else 0.0))
        alarms.append(alarms_of(label, "", wrong, hours=hours))
    for name, sound in background.items():
        heard = find_events([sound], scorer).events
        for label in labels:
            count = sum(event.label == label for event in heard)
            alarms.append(alarms_of(label, name, count, hours=len(sound) / _RATE / 3600))
    return tuple(recalls), tuple(precision), tuple(alarms), curve


def at_threshold(
    rules: EventRules, scores: Scores, placed: Sequence[Placed], label: str, threshold: float
) -> AtThreshold:
    """Return what is found in scores over time `[steps, classes]` where a class begins at `threshold`."""
    changed = tuple(
        EventClass(label, threshold, min(item.off, threshold / 2)) if item.label == label else item
        for item in rules.classes
    )
    detector = EventDetector(dataclasses.replace(rules, classes=changed))
    found = [event for event in (*detector.push(scores), *detector.finish()) if event.label == label]
    mine = [item for item in placed if item.label == label]
    right = sum(hit is not None for hit in matched(mine, found))
    hours = len(scores) * rules.step_s / 3600
    return AtThreshold(label, threshold, right / len(mine) if mine else 0.0, (len(found) - right) / hours)


def events_of(
    datasets: Sequence[Dataset], classes: Mapping[str, Sequence[str]], *, column: str
) -> dict[str, list[tuple[str, Samples]]]:
    """Return the events of test subjects, by class of the file: who made them, and their sound."""
    found: dict[str, list[tuple[str, Samples]]] = {label: [] for label in classes}
    for dataset in datasets:
        for path, subject, given in _test_recordings(dataset, column):
            for label, theirs in classes.items():
                if given in theirs:
                    found[label] += [(subject, event) for event in cut_events(read_recording(path))]
    empty = [label for label, events in found.items() if not events]
    if empty:
        raise InputError(
            f"no test recording holds an event of {empty[0]!r}",
            f"its labels in the data are {', '.join(classes[empty[0]])}",
        )
    return found


def background_of(
    datasets: Sequence[Dataset], classes: Mapping[str, Sequence[str]], *, column: str
) -> dict[str, list[Samples]]:
    """Return the recordings of test subjects that are of none of the classes, by their label."""
    found: dict[str, list[Samples]] = {}
    events = {label for theirs in classes.values() for label in theirs}
    for dataset in datasets:
        for path, _, given in _test_recordings(dataset, column):
            if given and given not in events:
                found.setdefault(given, []).append(read_recording(path))
    return found


def _test_recordings(dataset: Dataset, column: str) -> list[tuple[Path, str, str]]:
    """Return path, subject and label of each recording of test subjects, once each."""
    found = {clip.name: (clip.file, clip.subject, clip.label(column)) for clip in dataset.clips if clip.split == "test"}
    return list(found.values())


def table(results: ListeningResults) -> str:
    """Render Markdown: what was found at each level, and false alarms an hour."""
    lines = [
        f"Real events in {results.hours:g} h of real background.",
        "",
        "| file | class | above background | events (sources) | recall | precision | start, end off by (median) |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in results.models:
        precise = {item.label: item for item in model.precision}
        for row in model.found:
            bounds = "" if row.recall_low is None else f" [{row.recall_low:.2f}, {row.recall_high:.2f}]"
            level = "all" if row.snr_db is None else f"{row.snr_db:g} dB"
            share = f"{precise[row.label].precision:.2f}" if row.snr_db is None else ""
            off = "" if row.start_error_s is None else f"{row.start_error_s:.2f} s, {row.end_error_s:.2f} s"
            lines.append(
                f"| {model.model} | {row.label} | {level} | {row.events} ({row.sources}) |"
                f" {row.recall:.2f}{bounds} | {share} | {off} |"
            )
    lines += ["", "| file | class | in | hours | false alarms | an hour |", "|---|---|---|---|---|---|"]
    for model in results.models:
        lines += [
            f"| {model.model} | {row.label} | {row.background or 'the recording above'} | {row.hours:.2f} |"
            f" {row.false_alarms} | {row.per_hour:.1f} [{row.low:.1f}, {row.high:.1f}] |"
            for row in model.alarms
        ]
    lines += ["", "| file | class | events begin at | recall | false alarms an hour |", "|---|---|---|---|---|"]
    for model in results.models:
        lines += [
            f"| {model.model} | {row.label} | {row.threshold:g} | {row.recall:.2f} | {row.per_hour:.1f} |"
            for row in model.curve
        ]
    return "\n".join(lines) + "\n"


PATH = click.Path(path_type=Path)


@click.command()
@click.option("--model", "models", type=MODEL, multiple=True, required=True, help="File with events; may be repeated.")
@click.option(
    "--events", "sources", type=PATH, multiple=True, required=True, help="Recordings of events; may be repeated."
)
@click.option(
    "--class",
    "pairs",
    multiple=True,
    required=True,
    metavar="CLASS=LABEL",
    help="A class of the files, and its label in the data; may be repeated.",
)
@click.option(
    "--background", "others", type=PATH, multiple=True, required=True, help="Recordings of other sounds; repeatable."
)
@click.option("--label", "column", default="label", show_default=True, help="Label column of all of these.")
@click.option("--without", "left_out", multiple=True, help="Label that is no background; may be repeated.")
@click.option(
    "--snr",
    "snrs_db",
    type=float,
    multiple=True,
    default=(20.0, 10.0, 5.0, 0.0),
    show_default=True,
    help="Decibels above the background; may be repeated.",
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0.01, max=24),
    default=1.0,
    show_default=True,
    help="Of the recording with events.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of times, levels and order.")
@click.option("--out", type=PATH, required=True, help="Folder for results.json and table.md.")
@click.option(
    "--keep", type=PATH, help="Folder for recording.wav, to listen to, and placed.csv: what is in it, and when."
)
def command(
    models: tuple[Path, ...],
    sources: tuple[Path, ...],
    pairs: tuple[str, ...],
    others: tuple[Path, ...],
    column: str,
    left_out: tuple[str, ...],
    snrs_db: tuple[float, ...],
    hours: float,
    seed: int,
    out: Path,
    keep: Path | None,
) -> None:
    """Find real events at known times in hours of real background."""
    if not all(pair.count("=") == 1 for pair in pairs):
        raise UsageError(f"--class is {pairs[0]!r}", "use CLASS=LABEL, such as cough=coughing")
    classes: dict[str, list[str]] = {}
    for pair in pairs:
        label, theirs = pair.split("=")
        classes.setdefault(label, []).append(theirs)
    rng = np.random.default_rng(seed)
    given, around = ([load_dataset(path, label_columns=(column,)) for path in paths] for paths in (sources, others))
    pieces = background_of(around, classes, column=column)
    pieces = {label: sounds for label, sounds in pieces.items() if label not in left_out}
    if not pieces:
        raise InputError("no background is left", "name labelled recordings of other sounds")
    events = events_of(given, classes, column=column)
    mixed = joined([sound for sounds in pieces.values() for sound in sounds], seconds=hours * 3600, rng=rng)
    recording, placed = place_events(mixed, events, snrs_db=snrs_db, rng=rng)
    if keep is not None:
        write_recording(keep, recording, placed)
    alone = {
        label: joined(sounds, seconds=sum(map(len, sounds)) / _RATE, rng=rng)
        for label, sounds in sorted(pieces.items())
    }
    made = []
    for path in models:
        opened = load(path)
        scorer = opened.scorer()
        unknown = sorted(set(classes) - {item.label for item in scorer.rules.classes})
        if unknown:
            raise InputError(f"{path} finds no {unknown[0]!r}", "name classes that all files have")
        figures = listen_to_all(scorer, recording, placed, alone, labels=tuple(classes), snrs_db=snrs_db, seed=seed)
        made.append(ListeningModel(path.name, opened.info.fingerprint, *figures))
    results = ListeningResults(
        **vars(study_run(SCHEMA)),
        hours=hours,
        seed=seed,
        samples=SAMPLES,
        events=tuple(dataset.name for dataset in given),
        background=tuple(dataset.name for dataset in around),
        models=tuple(made),
    )
    write_json(out / "results.json", to_dict(results))
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
