"""Child processes that do not outlive this one, however it ends."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROBE_S = 10  # for `setpriv true`, which takes a millisecond


def tied(command: Sequence[str | Path], *, folder: Path = Path()) -> list[str | Path]:
    """Return the command so that, on Linux, its process is killed when this one ends, be it by SIGKILL.

    `setpriv` of util-linux asks the kernel for that (PR_SET_PDEATHSIG in prctl(2)) and then becomes the command, with
    the same process id and environment. Where there is none, or the program does not exist, which the caller should
    hear from the system, the command is returned as it is.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    folder : Path
        Working directory of the process, from which a relative path of the program counts.

    Returns
    -------
    list of str or Path
        For subprocess.run and the like. The parent is the thread that starts it: it must wait for the process.
    """
    program = Path(command[0])
    exists = shutil.which(folder / program if len(program.parts) > 1 else program)
    return [*_launcher(), *command] if exists else list(command)


@functools.cache
def _launcher() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return ()
    launcher = (setpriv, "--pdeathsig", "KILL", "--")
    try:  # BusyBox has a setpriv without this option
        works = not subprocess.run([*launcher, "true"], capture_output=True, timeout=_PROBE_S, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return launcher if works else ()
