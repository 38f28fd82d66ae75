"""Where a figure comes from: the command that made it, and when."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone


def command_line() -> str:
    """Return the command as the user typed it, for results.json."""
    return shlex.join(["hearlite", *sys.argv[1:]])


def now() -> str:
    """Return the time in UTC, to the second, as `2026-01-31T12:00:00Z`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
