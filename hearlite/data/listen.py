"""Find the events of a folder of recordings, one recording after the other, and go on after an interruption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hearlite.audio import read_blocks
from hearlite.data.dataset import Skipped
from hearlite.errors import InputError
from hearlite.events.recordings import Heard, Journal, find_events
from hearlite.events.stream import StepScorer
from hearlite.manifests.manifest import find_rows
from hearlite.manifests.table import SUFFIXES
from hearlite.progress import progress


@dataclass(frozen=True)
class Found:
    """The events of all recordings."""

    root: Path  # what the names of recordings are relative to
    heard: tuple[Heard, ...]  # in the order of the recordings
    skipped: tuple[Skipped, ...]  # could not be read in full
    notes: tuple[str, ...]


def listen_to(data: Path, scorer: StepScorer, *, made_by: str, journal: Path | None = None) -> Found:
    """Find events in a folder of recordings, those of a manifest, or one recording.

    Parameters
    ----------
    data : Path
        What the user named.
    scorer : StepScorer
        The model.
    made_by : str
        Hashes of it and of its personal heads: what others found is not taken from the journal.
    journal : Path, optional
        Where to keep what was found so far. It is left where it is, and the caller removes it with the result written.

    Raises
    ------
    InputError
        When there is no recording, or the manifest is invalid.
    """
    root, names, notes = _recordings(data)
    kept = None if journal is None else Journal(journal, made_by=made_by, rules=scorer.rules)
    heard, skipped = dict(kept.heard if kept else {}), list[Skipped]()
    if kept and kept.heard:
        notes.append(f"{len(kept.heard)} recordings were heard before the interruption")
    done = [name for name in names if name in heard]
    with progress("listen", total=len(names), start=len(done)) as advance:
        for name in names:
            if name in heard:
                continue

            def tell(seconds: float, count: int = len(done)) -> None:
                advance(count, f"{seconds / 60:.0f} min heard")

            try:
                heard[name] = find_events(read_blocks(root / name), scorer, file=name, advance=tell)
                if kept:
                    kept.add(heard[name])
            except InputError as error:
                skipped.append(Skipped(name, None, str(error.message)))
            done.append(name)
            advance(len(done))
    return Found(root, tuple(heard[name] for name in names if name in heard), tuple(skipped), tuple(notes))


def _recordings(data: Path) -> tuple[Path, list[str], list[str]]:
    """Return the folder, the recordings in it, and notes; one recording is not read to see whether it can be."""
    if data.is_file() and data.suffix.lower() not in SUFFIXES:
        return data.parent, [data.name], []
    root, rows, notes = find_rows(data, label_columns=())
    return root, list(dict.fromkeys(row.name for row in rows)), notes
