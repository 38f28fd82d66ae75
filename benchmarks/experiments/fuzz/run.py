"""Run the cases of every target in processes that may crash, and count how they end."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.experiments.fuzz.batch import BUGS, CRASH, HANG, OUTCOMES
from hearlite.benchmarks.experiments.fuzz.targets import TARGETS
from hearlite.benchmarks.schema.provenance import commit
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.errors import GateError
from hearlite.files import write_bytes, write_json
from hearlite.models.option import MODEL
from hearlite.serialization import to_dict

SCHEMA = "hearlite-fuzz/1"
# Seconds for a case. A trial of a model may take a minute (hearlite/tflite/trial.py), and the first case imports.
CASE_S = 120.0
_BATCH = 250  # cases of a process, so that memory that one of them leaks does not add up
_SHOWN = 20  # of the cases that are bugs, in the results


@dataclass(frozen=True)
class Bug:
    """A case that ended as none should; `number` and the seed make it again."""

    target: str
    number: int
    outcome: str
    detail: str


@dataclass(frozen=True)
class FuzzResults(StudyRun):
    """The content of results.json."""

    commit: str
    seed: int
    counts: dict[str, dict[str, int]]  # by target and outcome
    bugs: tuple[Bug, ...]  # the first of each target


def fuzz(
    target: str,
    *,
    cases: int,
    seed: int,
    bundle: Path | None = None,
    case_s: float = CASE_S,
    module: str = "hearlite.benchmarks.experiments.fuzz.batch",
    log: Callable[[str], None],
) -> tuple[Counter[str], list[Bug]]:
    """Run cases of one target.

    Parameters
    ----------
    target : str
        A key of TARGETS.
    cases : int
        How many.
    seed : int
        Seed of all of them.
    bundle : Path, optional
        An exported .tflite, with its manifest, to damage instead of the sample.
    case_s : float
        Seconds after which a case counts as hanging.
    module : str
        The module that runs a batch.
    log : callable
        Receives progress and bugs.

    Returns
    -------
    tuple of Counter and list of Bug
        Cases by outcome, and those that are bugs.
    """
    counts: Counter[str] = Counter()
    bugs: list[Bug] = []
    done = 0
    while done < cases:
        arguments = [target, str(seed), str(done), str(min(cases, done + _BATCH)), *([str(bundle)] if bundle else [])]
        for number, outcome, detail in _batch([sys.executable, "-m", module, *arguments], case_s=case_s):
            counts[outcome] += 1
            done = number + 1
            if outcome in BUGS:
                bugs.append(Bug(target, number, outcome, detail))
                log(f"{target} {number}: {outcome}: {' '.join(detail.split())[-300:]}")
        log(f"{target}: {done}/{cases}: {_line(counts)}")
    return counts, bugs


def _batch(command: list[str], *, case_s: float) -> list[tuple[int, str, str]]:
    """Run one process to its end, or to the case that ends it. Raises RuntimeError if not even one case began."""
    found: list[tuple[int, str, str]] = []
    current: int | None = None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        lines: queue.Queue[str | None] = queue.Queue()
        complaints: list[str] = []
        threads = [
            threading.Thread(target=_forward, args=(child.stdout, lines), daemon=True),
            threading.Thread(target=lambda stream: complaints.append(stream.read()), args=(child.stderr,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while (line := lines.get(timeout=case_s)) is not None:
                said: dict[str, Any] = json.loads(line)
                current = said["number"]
                if said["outcome"] is not None:
                    found.append((int(said["number"]), str(said["outcome"]), str(said["detail"])))
                    current = None
        except queue.Empty:
            child.kill()
            found.append((-1 if current is None else current, HANG, f"no answer in {case_s:g} s"))
            current = None
        code = child.wait()
        threads[1].join(timeout=5.0)
    if current is not None:  # it died in the middle of a case
        found.append((current, CRASH, f"exit code {code}: {''.join(complaints)[-1_000:]}"))
    if not found or found[-1][0] < 0:
        raise RuntimeError(f"a batch ended with {code} before its first case: {''.join(complaints)[-1_000:]}")
    return found


def _forward(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def table(results: FuzzResults) -> str:
    """Render Markdown: a row for each target."""
    lines = [f"| input | cases | {' | '.join(OUTCOMES)} |", f"|---|---|{'---|' * len(OUTCOMES)}"]
    for target, counts in results.counts.items():
        cells = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
        lines.append(f"| {target}: {TARGETS[target].what} | {sum(counts.values())} | {cells} |")
    return "\n".join(lines) + "\n"


def _line(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for name, target in reversed(TARGETS.items()):
        function = click.option(f"--{name}", type=click.IntRange(0), default=0, help=f"Cases of {target.what}.")(
            function
        )
    return function


@click.command()
@_options
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all cases.")
@click.option("--bundle", type=MODEL, help="Exported .tflite to damage, instead of a sample.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json and table.md.")
def command(seed: int, bundle: Path | None, out: Path, **cases: int) -> None:
    """Feed damaged inputs to hearlite and count how it ends.

    Writes the counts, and exits with 4 if a case ended in a traceback, a hang, a native crash or exit code 1.
    """
    counts: dict[str, dict[str, int]] = {}
    bugs: list[Bug] = []
    for target, number in cases.items():
        if number:
            counted, found = fuzz(
                target, cases=number, seed=seed, bundle=bundle, log=lambda text: click.echo(text, err=True)
            )
            counts[target] = {outcome: counted[outcome] for outcome in OUTCOMES}
            bugs += found[:_SHOWN]
    results = FuzzResults(**vars(study_run(SCHEMA)), commit=commit(), seed=seed, counts=counts, bugs=tuple(bugs))
    write_json(out / "results.json", to_dict(results))
    write_bytes(out / "table.md", table(results).encode())
    for target, by_outcome in counts.items():
        click.echo(f"{target}: {_line(Counter(by_outcome))}")
    if bugs:
        raise GateError(f"{len(bugs)} cases or more ended as none should", f"{out} has them")
