"""The command, the time and the commit that are recorded with every result."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path


def command_line() -> str:
    """Return the command line of this process as `hearlite ARGUMENTS`, quoted for a shell."""
    return shlex.join(["hearlite", *sys.argv[1:]])


def now() -> str:
    """Return the current time in UTC, to the second, such as `2026-01-31T12:00:00Z`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit() -> str:
    """Return the abbreviated commit of the checkout that this code runs in, with `+` after changes; "" elsewhere."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        return _git(root, "rev-parse", "--short=12", "HEAD") + ("+" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
