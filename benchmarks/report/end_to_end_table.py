"""The README's table of a walk, from its results.json."""

from __future__ import annotations

from pathlib import Path

from hearlite.benchmarks.schema.end_to_end import Walk
from hearlite.files import read_json
from hearlite.spec import from_dict

_HEADER = "| file | size | on the JVM, Kotlin | on an emulated arm64 phone, over adb | on the page, in Chromium |\n|---|---|---|---|---|\n"


def render_walk(path: Path) -> str:
    """The table of a walk: how far each file is computed alike. It has no times: a phone that is emulated has none."""
    walked = from_dict(Walk, read_json(path), where=str(path))
    rows = []
    for file in walked.files:
        parity, scores = file.phone.parity, file.jvm.largest_score_difference
        jvm = f"{file.jvm.windows} windows: {_alike(file.jvm.largest_difference)}" + ("" if scores is None else f"; scores {_alike(scores)}")
        phone = "equal to the bit" if parity.exact else f"differs by {parity.relative_difference or 0:.1e} of its length"
        head = "" if parity.score_difference is None else f"; scores {_alike(parity.score_difference)}"
        off = f"at most {file.page.largest_relative_difference:.1e} of an embedding's length off"
        page = f"{file.page.equal} of {file.page.windows} windows equal to the bit; {off}"
        rows.append(f"| {file.name} | {file.bytes / 1e6:.2f} MB | {jvm} | golden embedding {phone}{head} | {page} |")
    said = f"\n\n{walked.core}; {walked.jvm_tests} tests on the JVM ([results.json](benchmarks/results/walk/results.json))."
    return _HEADER + "\n".join(rows) + said


def _alike(difference: float) -> str:
    return "equal to the bit" if difference == 0 else f"differ by at most {difference:.1e}"
