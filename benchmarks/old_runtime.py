"""The runtime of older phones, tflite-runtime 2.14, in an environment of its own: it needs numpy 1 and a Python up to 3.11, which hearlite doesn't.

python -m hearlite.benchmarks.old_runtime    # makes it, once, below the user's cache folder; goes on after an interruption
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from hearlite.errors import InputError

PINNED = ("tflite-runtime==2.14.0", "numpy==1.26.4")  # the last release of the one, the last numpy it was built for
_NEWEST = (3, 11)  # the last Python that tflite-runtime has wheels for


def find_python() -> Path:
    """A Python that has tflite-runtime: this one, or that of the environment of its own, made if need be. Raises InputError when it can't be made."""
    if importlib.util.find_spec("tflite_runtime") and int(np.__version__.split(".")[0]) < 2:
        return Path(sys.executable)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearlite" / "tflite-runtime-2.14.0"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.is_file():
        _run([*_base(), "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", *PINNED])
        ready.write_text(" ".join(PINNED), encoding="ascii")
    return python


def _base() -> list[str]:
    """A Python to make it with."""
    if sys.version_info[:2] <= _NEWEST:
        return [sys.executable]
    found = next((path for name in ("python3.11", "python3.10") if (path := shutil.which(name))), None)
    if found is None:
        raise InputError("there is no Python 3.11 or 3.10 for tflite-runtime 2.14", "install one, or name another environment with --runtime-python")
    return [found]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise InputError(f"the environment of tflite-runtime could not be made: {why[:300]}", "name one that has it with --runtime-python")


if __name__ == "__main__":
    print(find_python())
