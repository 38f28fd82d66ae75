"""Try a .tflite in a process of its own before this one opens it.

A model is a program in a language that was made to be fast: however its numbers are checked, some of them make a kernel
crash, allocate all memory or never end. In a process of its own that is an error like any other. A trial takes a tenth
of a second beside the model's own two calls.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hearlite.errors import InputError
from hearlite.spec import AUDIO
from hearlite.text import brief

_SCRIPT = Path(__file__).with_name("trial_run.py")
# A student takes 0.2 s of processor time, imports included, and HeAR's network of 1.2 GB about 20 s on a slow core.
_CPU_S, _CPU_S_PER_MB = 10.0, 0.1
_WALL = 6.0  # times the processor time: the machine may be busy with other things
# Beside the libraries. Weights are in memory as read, as the interpreter's copy and packed for the kernels, perhaps
# widened from float16; a student needs 3 MB of activations.
_MEMORY_BYTES, _MEMORY_PER_BYTE = 2 << 30, 6
_PASSED: set[str] = set()  # sha256 of models that passed a trial in this process, or were made in it


def trust(content: bytes) -> None:
    """Let this process open a .tflite that it made itself without a trial."""
    _PASSED.add(hashlib.sha256(content).hexdigest())


def require_trial(content: bytes, *, where: str) -> None:
    """Open a .tflite with LiteRT and run it on zeros and noise, in a process of its own with limited time and memory.

    What passed once is not tried again by this process.

    Parameters
    ----------
    content : bytes
        The file.
    where : str
        Its name, for messages.

    Raises
    ------
    InputError
        When LiteRT refuses the model, crashes, or needs more time or memory than a model of that size explains.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest in _PASSED:
        return
    cpu_s = round(_CPU_S + _CPU_S_PER_MB * len(content) / 1e6)
    memory = _MEMORY_BYTES + _MEMORY_PER_BYTE * len(content)
    with tempfile.TemporaryDirectory() as folder:
        model, answer = Path(folder) / "model.tflite", Path(folder) / "answer.txt"
        model.write_bytes(content)  # a copy: the user's file may be replaced meanwhile
        command = [sys.executable, str(_SCRIPT), str(model), str(AUDIO.clip_samples), str(cpu_s), str(memory)]
        try:
            done = subprocess.run(
                [*command, str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_WALL * cpu_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{where}: one call of the model takes more than {_WALL * cpu_s:g} s", _HINT) from error
        said = answer.read_text(encoding="utf-8") if answer.is_file() else ""
    if said == "ok" and done.returncode == 0:
        _PASSED.add(digest)
        return
    if said and said != "ok":
        raise InputError(f"{where}: litert can't open or run the model: {brief(said)}", _HINT)
    if done.returncode == -getattr(signal, "SIGXCPU", 0) or done.returncode == -getattr(signal, "SIGKILL", 0):
        raise InputError(f"{where}: one call of the model takes more than {cpu_s} s of processor time", _HINT)
    if done.returncode < 0:
        raise InputError(f"{where}: litert crashes on the model ({signal.Signals(-done.returncode).name})", _HINT)
    words = brief(done.stderr.decode(errors="replace"))[-200:]
    raise InputError(f"{where}: litert fails on the model with exit code {done.returncode}: {words}", _HINT)


_HINT = "the file is damaged, or not made for this runtime; export it again with builtin ops"
