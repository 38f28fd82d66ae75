"""A new user's walk, from a run to a phone, as far as a machine without a phone can go.

    python -m hearlite.benchmarks.android.end_to_end RUN ... --out FOLDER

Export, then the Android folder, then the Kotlin core on the JVM, then adb to an emulated phone, then the page in Chromium: each step by the command
that a user types, and after each the figure that says whether what is computed there is what was exported. Runs in a checkout, whose tests and
android_harness it needs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from hearlite.benchmarks.android.bench import bench_android
from hearlite.benchmarks.android.emulator import CORE, emulated_phone
from hearlite.benchmarks.arm.sandbox.sandbox import Box, open_box
from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.schema.device import DeviceBench
from hearlite.benchmarks.schema.end_to_end import OnJvm, OnPage, Walk, Walked
from hearlite.benchmarks.schema.results import Versions
from hearlite.bundle import read_manifest
from hearlite.download import cache_folder
from hearlite.errors import GateError, InputError
from hearlite.files import write_json
from hearlite.module_cli import run_module
from hearlite.spec import to_dict

ROOT = Path(__file__).resolve().parent.parent.parent
_TIMEOUT_S = 1_800


def walk(runs: Sequence[Path], *, work: Path, tools: Path, box: Box, export_options: tuple[str, ...] = (), litert: Path | None = None) -> Walk:
    """Take the walk with the files of runs of different sizes, in the empty folder `work`. Raises what a step ends with.

    `tools` is where adb and adbd are: see emulated_phone; `litert` where LiteRT.js is: see hearlite demo.
    """
    models = [Path(row["file"]) for run in runs for row in _hearlite("export", str(run), "--to", str(work), *export_options)]
    folders = {model: [Path(row["file"]).name for row in _hearlite("export", str(model), "--for", "android", "--to", str(work))] for model in models}
    for model in models:
        _hearlite("check", str(model))
    vectors = work / "vectors"
    _call([sys.executable, str(ROOT / "tests/android_vectors.py"), *map(str, models), "--to", str(vectors)])
    printed = _call([str(ROOT / "android_harness/jvm_test.sh"), "core", str(vectors)])
    with emulated_phone(tools, box) as phone:
        reports = {
            model: bench_android(model, program=phone.program, serial=phone.serial, exec_prefix=phone.exec_prefix, folder=phone.folder)
            for model in models
        }
    options = ("--litert", str(litert)) if litert else ()
    pages = json.loads(_call([sys.executable, str(ROOT / "tests/page_vectors.py"), str(vectors), *options]).splitlines()[-1])
    typed = ["hearlite export RUN --to out", "hearlite export FILE --for android --to out", "hearlite check FILE"]
    return Walk(
        commands=(*typed, "jvm_test.sh core VECTORS", "bench_android: push, run in QEMU, pull", "hearlite demo FILE, in Chromium"),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=device(),
        core=f"{CORE.title} ({CORE.midr}), emulated",
        versions=Versions.current(),
        jvm_tests=_jvm_tests(printed),
        files=tuple(_walked(model, folders[model], printed, reports[model], OnPage(**pages[model.name])) for model in models),
    )


def _walked(model: Path, folder: list[str], printed: str, report: DeviceBench, page: OnPage) -> Walked:
    manifest = read_manifest(model)
    labels = tuple(label.name for label in manifest.head.labels) if manifest.head else ()
    return Walked(manifest.name, manifest.tflite_sha256, model.stat().st_size, labels, tuple(folder), _on_jvm(model.name, printed), report, page)


def _jvm_tests(printed: str) -> int:
    found = re.search(r"^OK \((\d+) tests\)$", printed, re.MULTILINE)
    if found is None:
        raise GateError("the tests on the JVM failed", printed[-500:])
    return int(found[1])


def _on_jvm(name: str, printed: str) -> OnJvm:
    """From the lines that GoldenTest.kt and HeadTest.kt print."""
    found = re.search(rf"parity {re.escape(name)}: (\d+) windows, largest difference (\S+)$", printed, re.MULTILINE)
    if found is None:
        raise InputError(f"the tests on the JVM said nothing of {name}", "see what they print: android_harness/jvm_test.sh core VECTORS")
    scores = re.search(rf"scores {re.escape(name)}: largest difference (\S+)$", printed, re.MULTILINE)
    return OnJvm(int(found[1]), float(found[2]), float(scores[1]) if scores else None)


def _hearlite(*arguments: str) -> list[dict[str, str]]:
    printed = _call([sys.executable, "-m", "hearlite.cli", *arguments, "--json"])
    rows: list[dict[str, str]] = json.loads(printed.splitlines()[-1])
    return rows


def _call(command: list[str]) -> str:
    """What a command prints. Raises InputError with its last words when it fails."""
    click.echo(shlex.join(command), err=True)
    # The checkout's root is on the path of `-m` and of scripts alike.
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise InputError(
            f"{Path(command[-1]).name}: the command ended with {done.returncode}: {(done.stdout + done.stderr)[-600:]}", shlex.join(command)
        )
    return done.stdout


@click.command()
@click.argument("runs", type=click.Path(path_type=Path, resolve_path=True), nargs=-1, required=True)
@click.option("--head", "labelled", type=click.Path(path_type=Path, resolve_path=True), help="Labelled recordings, as of hearlite export.")
@click.option("--label", "columns", multiple=True, help="Label column of --head.")
@click.option("--adbd", "tools", type=click.Path(path_type=Path), default="/", show_default=True, help="Where Debian's adb and adbd are unpacked.")
@click.option("--litert", type=click.Path(path_type=Path, resolve_path=True), help="LiteRT.js, as of hearlite demo.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json.")
def command(runs: tuple[Path, ...], labelled: Path | None, columns: tuple[str, ...], tools: Path, litert: Path | None, out: Path) -> None:
    """Take the walk with the files of RUNS and write results.json. Exit 4 when something is computed otherwise on the way."""
    box = open_box(Path(os.environ.get("HEARLITE_ARM_BOX") or cache_folder("arm")))
    options = ("--head", str(labelled), *(word for column in columns for word in ("--label", column))) if labelled else ()
    with tempfile.TemporaryDirectory() as work:
        walked = walk(runs, work=Path(work), tools=tools.absolute(), box=box, export_options=options, litert=litert)
    write_json(out / "results.json", to_dict(walked))
    for file in walked.files:
        click.echo(f"{file.name}: {file.jvm.windows} windows on the JVM differ by at most {file.jvm.largest_difference:g}; {file.phone.line()}")
    wrong = [file.name for file in walked.files if not file.phone.parity.passed]
    if wrong:
        raise GateError(f"{', '.join(wrong)} computes something else on the phone", f"see {out / 'results.json'}")


if __name__ == "__main__":
    run_module(command)
