"""Peak memory of reading the two inputs that are far larger than they look: many rows, and hours of silence.

    hearlite study input-memory --out OUT

A manifest of a million events, and hours of silence that are half a megabyte as FLAC, are written, and each is read in
a process of its own. What an idle process takes is measured beside.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import soundfile as sf

from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.errors import InputError
from hearlite.files import write_bytes, write_json
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO

SCHEMA = "hearlite-input-memory/1"
_RECORDINGS = 100  # that the rows of the manifest are events of
_SECONDS = 20.0
_READ = """
import resource, sys
from hearlite.data.dataset import load_dataset
from hearlite.data.reading import read_clips
clips = 0
if len(sys.argv) > 2:
    dataset = load_dataset(sys.argv[2])
    clips = len(dataset.clips)
    if sys.argv[1] == "read":
        clips = sum(1 for _ in read_clips(dataset.clips))
print(clips, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True)
class Peak:
    """The peak memory of a process that reads an input."""

    what: str
    bytes: int  # of the input
    clips: int
    megabytes: float  # peak resident memory of the process, 10^6 bytes
    idle_megabytes: float  # of a process that imports the same and reads nothing


@dataclass(frozen=True)
class MemoryResults(StudyRun):
    """The content of results.json."""

    peaks: tuple[Peak, ...]


def write_manifest(folder: Path, *, rows: int) -> Path:
    """Write recordings and a manifest of `rows` events in them; returns the manifest."""
    rate_hz = AUDIO.sample_rate_hz
    generator = np.random.default_rng(0)
    for number in range(_RECORDINGS):
        sf.write(folder / f"r{number:03d}.wav", generator.uniform(-0.1, 0.1, round(_SECONDS * rate_hz)), rate_hz)
    path = folder / "manifest.csv"
    with path.open("w", encoding="utf-8") as table:
        table.write("file,start_s,end_s,subject,label\n")
        for row in range(rows):
            number, start_s = row % _RECORDINGS, row // _RECORDINGS * 0.001 % (_SECONDS - 1)
            label = ("cough", "speech", "")[row % 3]
            table.write(f"r{number:03d}.wav,{start_s:.3f},{start_s + 0.5:.3f},s{number // 3},{label}\n")
    return path


def write_silence(path: Path, *, hours: float) -> Path:
    """Write silence as one FLAC, a minute at a time; returns its path."""
    rate_hz = AUDIO.sample_rate_hz
    with sf.SoundFile(path, "w", rate_hz, 1) as file:
        for _ in range(round(hours * 60)):
            file.write(np.zeros(60 * rate_hz, np.float32))
    return path


def peak_of(path: Path | None, *, how: str) -> tuple[int, float]:
    """Return the clips that a process read, and its peak memory in megabytes."""
    command = [sys.executable, "-c", _READ, how, *([] if path is None else [str(path)])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"reading {path} ended with {done.returncode}: {done.stderr[-500:]}")
    clips, peak = map(int, done.stdout.split()[-2:])
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes on Linux
    return clips, peak * unit / 1e6


def table(results: MemoryResults) -> str:
    """Render Markdown: a row for each input."""
    lines = ["| input | size | clips | peak memory | of it, an idle process |", "|---|---|---|---|---|"]
    lines += [
        f"| {peak.what} | {peak.bytes / 1e6:.1f} MB | {peak.clips} | {peak.megabytes:.0f} MB |"
        f" {peak.idle_megabytes:.0f} MB |"
        for peak in results.peaks
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Rows of the manifest.")
@click.option("--hours", type=click.FloatRange(min=0.1, max=12), default=3.0, show_default=True, help="Of silence.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json and table.md.")
def command(rows: int, hours: float, out: Path) -> None:
    """Measure the peak memory of reading a huge manifest and hours of silence."""
    _, idle = peak_of(None, how="load")
    with tempfile.TemporaryDirectory() as place:
        inputs = (
            (f"a manifest of {rows} rows", write_manifest(Path(place), rows=rows), "load"),
            (f"{hours:g} h of silence in one FLAC", write_silence(Path(place) / "silence.flac", hours=hours), "read"),
        )
        peaks = []
        for what, path, how in inputs:
            clips, peak = peak_of(path, how=how)
            peaks.append(Peak(what, path.stat().st_size, clips, round(peak, 1), round(idle, 1)))
    results = MemoryResults(**vars(study_run(SCHEMA)), peaks=tuple(peaks))
    write_json(out / "results.json", to_dict(results))
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
