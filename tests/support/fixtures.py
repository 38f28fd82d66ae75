"""Name the stored results that tests read.

They are a benchmark of quality and cost, and one of emulated ARM cores. Their figures are old on purpose; nothing shown
to users comes from them.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "fixtures"
# results.json of `hearlite bench`: two tasks, tiny and small in int8 and float32, baselines, cost compared with peers
BENCH = _FOLDER / "bench.json"
ARM = (
    _FOLDER / "arm.json"
)  # results.json of the emulated ARM benchmark: five files, with the halves of those that have them
