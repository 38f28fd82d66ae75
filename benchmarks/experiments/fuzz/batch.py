"""Run cases one after the other and print how each ended, a line of JSON each; this process may crash or hang.

python -m hearlite.benchmarks.experiments.fuzz.batch TARGET SEED FIRST LAST [BUNDLE]
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import TextIO

import numpy as np

from hearlite.benchmarks.experiments.fuzz.targets import TARGETS, Case, use_sample
from hearlite.errors import HearliteError

OK, REFUSED, TRACEBACK, EXIT_1, HANG, CRASH = "ok", "refused", "traceback", "exit 1", "hang", "native crash"
OUTCOMES = (OK, REFUSED, TRACEBACK, EXIT_1, HANG, CRASH)
BUGS = (TRACEBACK, EXIT_1, HANG, CRASH)


class _UnexpectedExitError(Exception):
    """The command line ended with exit code 1, which stands for a bug."""


def run_command(arguments: list[str]) -> None:
    """Run the command line in this process. Raises HearliteError where it refuses, _UnexpectedExitError for a bug."""
    from hearlite.cli.main import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main(arguments)
    except SystemExit as ended:
        if ended.code not in (None, 0, 2, 3, 4, 5):
            raise _UnexpectedExitError(said.getvalue()) from None
        if ended.code:
            raise HearliteError(said.getvalue()) from None


def make_case(target: str, *, seed: int, number: int, folder: Path) -> Case:
    """Make one case in an empty folder and return it; it follows from target, seed and number."""
    rng = np.random.default_rng([seed, list(TARGETS).index(target), number])
    case = Case(folder, rng, run_command)
    TARGETS[target].make(case)
    return case


def run_case(target: str, *, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Make and read one case. Returns one of OUTCOMES, and the message or the end of the traceback."""
    case = make_case(target, seed=seed, number=number, folder=folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TARGETS[target].read(case)
    except HearliteError as error:
        return REFUSED, str(error)
    except _UnexpectedExitError as error:
        return EXIT_1, str(error)
    except Exception:  # what this is about
        return TRACEBACK, traceback.format_exc()[-2_000:]
    return OK, ""


def run_cases(target: str, *, seed: int, first: int, last: int, out: TextIO) -> None:
    """Run cases `first` to `last` (exclusive), with a line before and a line after each."""
    for number in range(first, last):
        folder = Path(tempfile.mkdtemp(prefix="hearlite-fuzz-"))
        print(json.dumps({"number": number, "outcome": None}), file=out, flush=True)
        try:
            outcome, detail = run_case(target, seed=seed, number=number, folder=folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"number": number, "outcome": outcome, "detail": detail}), file=out, flush=True)


def main(target: str, seed: str, first: str, last: str, bundle: str = "") -> None:
    """Run cases and print their outcomes on stdout, where nothing else may print."""
    if bundle:
        use_sample(Path(bundle))
    run_cases(target, seed=int(seed), first=int(first), last=int(last), out=sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
