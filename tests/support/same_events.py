"""Find the events of a long recording in Python, on the JVM and in the page, and compare them.

    python tests/support/same_events.py MODEL.tflite RECORDING.wav

RECORDING is a mono WAV at 16 kHz of up to an hour, such as `hearlite study listening --keep FOLDER` writes. It needs
what the tests of the Kotlin core and of the page need (docs/contributing/index.md).
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chromium import LITERTJS, chromium
from jvm import run_script

from hearlite.export.demo.server import make_files, open_server
from hearlite.model import load

_TIMEOUT_S = 1_800.0
# Of a score: WebAssembly's float kernels add in another order than x86's, and now and then an int8 step of a layer is
# rounded to the other side.
_TOLERANCE = 1e-2


def in_python(model: Path, recording: Path) -> list[dict[str, Any]]:
    """Return the events that Python finds."""
    return [asdict(event) for event in load(model).find_events(recording)]


def on_the_jvm(model: Path, recording: Path) -> list[dict[str, Any]]:
    """Return the events that the Kotlin core finds."""
    done = run_script("run", Path(__file__).parent / "eventsOf.kt", model, recording)
    if done.returncode:
        raise SystemExit(done.stderr)
    return list(json.loads(done.stdout.splitlines()[-1]))


def in_the_page(model: Path, recording: Path) -> list[dict[str, Any]]:
    """Return the events that the page of `hearlite demo` finds in Chromium."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(port=0) as server,
        chromium(Path(folder) / "profile") as page,
    ):
        server.files = make_files(model, hop_s=1.0, litert=LITERTJS, registry=None, log=print)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(f"http://localhost:{server.server_address[1]}/")
        page.wait("document.body.dataset.state === 'ready'", timeout_s=120)
        page.choose_file("#picker", recording)
        done = (
            "document.body.dataset.state === 'done' &&"
            f" document.getElementById('status').textContent.startsWith({json.dumps(recording.name)})"
        )
        page.wait(done, timeout_s=_TIMEOUT_S)
        found = page.evaluate("import('/main.js').then((m) => m.take.events)")
        server.shutdown()
    names = {"start": "start_s", "end": "end_s", "peak": "peak_s"}
    return [{names.get(key, key): value for key, value in event.items()} for event in found]


def differences(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[int, float]:
    """Return how many events are not in both, by class and times, and the largest difference of a score."""

    def key(event: dict[str, Any]) -> tuple[str, float, float, float]:
        return (event["label"], round(event["start_s"], 6), round(event["end_s"], 6), round(event["peak_s"], 6))

    ours, theirs = ({key(event): event["score"] for event in events} for events in (expected, found))
    both = ours.keys() & theirs.keys()
    return len(ours.keys() ^ theirs.keys()), max((abs(ours[item] - theirs[item]) for item in both), default=0.0)


def main(model: Path, recording: Path) -> int:
    """Print a line for each implementation; return 1 when one finds other events."""
    expected, failed = [], False
    for name, find in (("Python", in_python), ("Kotlin on the JVM", on_the_jvm), ("page in Chromium", in_the_page)):
        start = time.perf_counter()
        found = find(model, recording)
        took = time.perf_counter() - start
        expected = expected or found
        other, score = differences(expected, found)
        failed |= other > 0 or score > _TOLERANCE
        print(
            f"{name}: {len(found)} events in {took:.0f} s, {other} unlike Python's, scores within {score:.1e}",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
