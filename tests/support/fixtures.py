"""Stored results that tests read: a benchmark of quality and cost, and one of emulated ARM cores. Their figures are old
on purpose; nothing shown to users comes from them.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "fixtures"
BENCH = (
    _FOLDER / "bench.json"
)  # results.json of `hearlite bench`: two tasks, tiny and small in int8 and float32, baselines, cost beside peers
ARM = _FOLDER / "arm.json"  # results.json of the emulated ARM benchmark: five files, halves included
