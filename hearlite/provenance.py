"""The command and the time that are recorded with every result."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone


def command_line() -> str:
    """Return the command line of this process as `hearlite ARGUMENTS`, quoted for a shell."""
    return shlex.join(["hearlite", *sys.argv[1:]])


def now() -> str:
    """Return the current time in UTC, to the second, such as `2026-01-31T12:00:00Z`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
