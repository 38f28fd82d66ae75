"""The runtime of older phones, tflite-runtime 2.14, in an environment of its own.

It needs numpy 1 and Python 3.11 or older; hearlite needs neither.

python -m hearlite.benchmarks.cost.legacy_runtime    # makes it, once, below the user's cache folder; goes on after an
interruption
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hearlite.benchmarks.cost.child_processes import tied
from hearlite.errors import InputError
from hearlite.files import cache_folder

LOCK = Path(__file__).with_name(
    "legacy_runtime.lock"
)  # tflite-runtime's last release, the last numpy that it was built for, and their hashes
_PYTHONS = ((3, 11), (3, 10))  # the last ones that tflite-runtime has wheels for


def find_legacy_python() -> Path:
    """Return the Python of an environment that has tflite-runtime, made on the first call.

    Raises InputError when it can't be made.
    """
    folder = cache_folder("tflite-runtime-2.14.0")
    python, ready = folder / "bin" / "python", folder / "ready"
    pinned = LOCK.read_text(encoding="ascii")
    if not ready.is_file() or ready.read_text(encoding="ascii") != pinned:
        _run([str(_base()), "-m", "venv", "--clear", str(folder)])
        _run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--requirement",
                str(LOCK),
            ]
        )
        ready.write_text(pinned, encoding="ascii")
    return python


def _base() -> Path:
    """Return a Python to make it with: this one, one on the PATH, or one that pyenv has installed."""
    if sys.version_info[:2] in _PYTHONS:
        return Path(sys.executable)
    for major, minor in _PYTHONS:
        name = f"python{major}.{minor}"
        found = [path for path in (shutil.which(name), *_of_pyenv(name)) if path]
        working = next(
            (
                path
                for path in found
                if subprocess.run([path, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode
                == 0
            ),
            None,
        )
        if working:
            return Path(working)
    raise InputError(
        f"tflite-runtime 2.14 has no wheel for Python {sys.version_info[0]}.{sys.version_info[1]}, and there is no"
        " Python 3.11 or 3.10 on the PATH",
        "install one, or name another environment with --legacy-python",
    )


def _of_pyenv(name: str) -> list[str]:
    """Paths of a command in the versions that pyenv has: its shims on the PATH run only those that are switched on."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return [str(path) for path in sorted(root.glob(f"versions/*/bin/{name}"), reverse=True)]


def _run(command: list[str]) -> None:
    done = subprocess.run(tied(command), capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise InputError(
            f"the environment of tflite-runtime could not be made: {why[:300]}",
            "name one that has it with --legacy-python",
        )


if __name__ == "__main__":
    print(find_legacy_python())
