"""The commands `listen`, which finds events in recordings of any length or in a pipe, and `enroll`, for own sounds."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.audio import to_int16
from hearlite.cli.options import DATA, echo, json_option, print_data
from hearlite.data.listen import listen_to
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventRules
from hearlite.events.formats import TABLES, TRACKS, as_audacity, as_csv, as_json_lines, as_raven, table_writer
from hearlite.events.recordings import Heard, cut_out_of, rates
from hearlite.events.stream import EventStream, StepScorer
from hearlite.files import sha256_of, write_bytes
from hearlite.models.option import MODEL
from hearlite.models.registry import DEFAULT_MODEL
from hearlite.spec import AUDIO
from hearlite.writing import require_not_interrupted

_CHUNK = 3_200  # bytes of a pipe at a time: a tenth of a second at 16 kHz
_WAV_HEADER = 44  # bytes before the samples of a plain WAV, which a recorder may write to a pipe
_PARTIAL = ".partial"  # ends the name of what is kept until the result is written


@click.command("listen")
@click.argument("data", metavar="FOLDER|FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--model", type=MODEL, default=DEFAULT_MODEL, show_default=True, help="A file with events, or the name of a model."
)
@click.option("--out", type=DATA, help=f"Table of all events, ending in {', '.join(TABLES)}; default: CSV on stdout.")
@click.option("--tracks", type=DATA, help="Folder for a file of each recording's events, for --tracks-for.")
@click.option(
    "--tracks-for",
    type=click.Choice(list(TRACKS)),
    default=next(iter(TRACKS)),
    show_default=True,
    help="Labels for Audacity, or selection tables for Raven.",
)
@click.option("--cut-out", type=DATA, help="Folder for a WAV of each event.")
@click.option(
    "--around",
    type=click.FloatRange(0, 60),
    default=0.5,
    show_default=True,
    help="Seconds before and after an event that --cut-out keeps.",
)
@click.option("--personal", "heads", type=DATA, multiple=True, help="A head from hearlite enroll; may be repeated.")
@click.option("--class", "classes", multiple=True, help="Class to find; may be repeated; default: all of the file.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Score at which an event begins; default: the file's own, by class.",
)
@click.option(
    "--rate",
    type=click.IntRange(4_000, 384_000),
    default=AUDIO.sample_rate_hz,
    show_default=True,
    help="Sampling rate on stdin, for '-'.",
)
@json_option
def command(
    data: Path,
    model: Path,
    out: Path | None,
    tracks: Path | None,
    tracks_for: str,
    cut_out: Path | None,
    around: float,
    heads: tuple[Path, ...],
    classes: tuple[str, ...],
    threshold: float | None,
    rate: int,
    as_json: bool,
) -> None:
    """Find events, such as coughs, in recordings of any length.

    Writes a table of what begins and ends when, and prints how many there are an hour. If the command is interrupted,
    it goes on where it was when it is run again with the same --out. With '-', mono 16-bit samples come on stdin, and
    events go to stdout as JSON lines as soon as they have ended.
    """
    from hearlite.model import load

    opened = load(model)
    if heads:
        opened = opened.personalized(*heads)
    scorer = opened.scorer()
    scorer.rules = with_threshold(scorer.rules, threshold)
    unknown = sorted(set(classes) - {item.label for item in scorer.rules.classes})
    if unknown:
        known = ", ".join(item.label for item in scorer.rules.classes)
        raise UsageError(f"class {unknown[0]!r} is none of {opened.info.name}", f"it finds {known}")
    if str(data) == "-":
        if out or tracks or cut_out:
            raise UsageError("what comes on stdin is not kept", "leave out --out, --tracks and --cut-out")
        _pipe(scorer, rate=rate, classes=classes)
        return
    write = as_csv if out is None else table_writer(out)
    journal = None if out is None else out.with_name(out.name + _PARTIAL)
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
    made_by = " ".join([opened.info.fingerprint, *map(sha256_of, heads)])
    found = listen_to(data, scorer, made_by=made_by, journal=journal)
    for note in found.notes:
        echo(f"note: {note}")
    for item in found.skipped:
        echo(f"skipped: {item.file}: {item.reason}")
    if not found.heard:
        raise InputError(f"{data}: no recording could be read", found.skipped[0].reason if found.skipped else "")
    heard = [only(item, classes) for item in found.heard]
    if tracks is not None:
        _write_tracks(heard, tracks, kind=tracks_for)
    if cut_out is not None:
        _write_sounds(heard, cut_out, root=found.root, around=around)
    content = write(heard)
    if out is None:
        if not as_json:
            click.echo(content.decode(), nl=False)
    else:
        write_bytes(out, content)
    if journal is not None:
        journal.unlink(missing_ok=True)
    summary = {label: rate for label, rate in rates(heard, scorer.rules).items() if not classes or label in classes}
    hours = sum(item.duration_s for item in heard) / 3600
    if as_json:
        print_data(
            {
                "recordings": len(heard),
                "skipped": len(found.skipped),
                "hours": hours,
                "events": {label: {"count": count, "per_hour": an_hour} for label, (count, an_hour) in summary.items()},
                "file": "" if out is None else str(out),
            },
            as_json=True,
        )
        return
    named = ", ".join(f"{label} {count} ({an_hour:.1f} an hour)" for label, (count, an_hour) in summary.items())
    echo(f"{len(heard)} recordings of {hours:.3g} hours: {named}")


@click.command("enroll")
@click.argument("examples", metavar="EXAMPLES...", type=DATA, nargs=-1, required=True)
@click.option("--label", required=True, help="Name of the sound.")
@click.option(
    "--others", type=DATA, multiple=True, help="Recordings of what it must not be taken for; may be repeated."
)
@click.option("--model", type=MODEL, default=DEFAULT_MODEL, show_default=True, help="A file, or the name of a model.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Score at which an event begins; default: the one that tells held-out examples best.",
)
@click.option("--out", type=DATA, required=True, help="The .json to write, for hearlite listen --personal.")
@json_option
def enroll(
    examples: tuple[Path, ...],
    label: str,
    others: tuple[Path, ...],
    model: Path,
    threshold: float | None,
    out: Path,
    as_json: bool,
) -> None:
    """Teach a model your own sound by a few examples.

    EXAMPLES are 3 to 100 recordings with one example each, or folders of them; what surrounds the loudest part is
    taken. With --others, the sounds that it must not be taken for, the head is a logistic regression, which is surer
    than the cosine to the examples' mean that it is otherwise. The model itself does not change.
    """
    from hearlite.data.enroll import enroll_recordings
    from hearlite.events.personal import write_head
    from hearlite.model import load

    opened = load(model)
    head, notes = enroll_recordings(
        examples, others, embed=opened.embed_clips, model=opened.info.fingerprint, label=label, threshold=threshold
    )
    write_head(out, head)
    for note in notes:
        echo(f"note: {note}")
    told = {
        name: getattr(head, name) for name in ("label", "kind", "threshold", "examples", "others", "found", "mistaken")
    }
    print_data({"file": str(out), **told}, as_json=as_json)


def with_threshold(rules: EventRules, threshold: float | None) -> EventRules:
    """Return rules by which every class begins at `threshold`, and ends where it ended before, or at half of it."""
    if threshold is None:
        return rules
    classes = tuple(dataclasses.replace(item, on=threshold, off=min(item.off, threshold / 2)) for item in rules.classes)
    return dataclasses.replace(rules, classes=classes)


def only(heard: Heard, classes: Sequence[str]) -> Heard:
    """Return a recording with the events of some classes, or of all for ()."""
    kept = tuple(event for event in heard.events if not classes or event.label in classes)
    return dataclasses.replace(heard, events=kept)


def _pipe(scorer: StepScorer, *, rate: int, classes: Sequence[str]) -> None:
    """Find events in int16 samples on stdin, and write each on stdout when it has ended."""
    stream, left = EventStream(scorer, rate_hz=rate), b""
    source: Any = sys.stdin.buffer
    while chunk := source.read1(_CHUNK):
        require_not_interrupted()
        if not left and stream.heard_s == 0 and chunk[:4] == b"RIFF":
            chunk = chunk[_WAV_HEADER:]
        left += chunk
        whole = len(left) - len(left) % 2
        _tell(stream.push(np.frombuffer(left[:whole], "<i2").astype(np.int16)), classes)
        left = left[whole:]
    _tell(stream.finish(), classes)


def _tell(events: Sequence[Event], classes: Sequence[str]) -> None:
    told = only(Heard("-", 0.0, tuple(events)), classes)
    for line in as_json_lines([told]).decode().splitlines():
        click.echo(line)
        sys.stdout.flush()


def _write_tracks(heard: Sequence[Heard], folder: Path, *, kind: str) -> None:
    for item in heard:
        content = as_audacity(item.events) if kind == "audacity" else as_raven(item.events, file=item.file)
        write_bytes(folder / (item.file.replace("/", "_") + TRACKS[kind]), content)


def _write_sounds(heard: Sequence[Heard], folder: Path, *, root: Path, around: float) -> None:
    import soundfile as sf

    for item in heard:
        if not item.events:
            continue
        stem = Path(item.file).with_suffix("").as_posix().replace("/", "_")
        for event, samples in cut_out_of(root / item.file, item.events, before_s=around, after_s=around):
            content = io.BytesIO()
            sf.write(content, to_int16(samples), AUDIO.sample_rate_hz, format="WAV", subtype="PCM_16")
            label = re.sub(r"[^\w-]", "_", event.label)  # it comes from a model's manifest: no path, no other drive
            write_bytes(folder / f"{stem}_{event.start_s:09.3f}_{label}.wav", content.getvalue())
