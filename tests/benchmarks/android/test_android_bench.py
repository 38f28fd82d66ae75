"""The benchmark on a device by adb, with an adb that is a script: a device made of a folder, and everything that goes
wrong with real ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.android.adb import DeviceLostError, find_device
from hearlite.benchmarks.android.bench import Job, command, measure_on_device
from hearlite.benchmarks.android.runner import RUNNER, read_benchmark_model, runner_in
from hearlite.benchmarks.schema.device import EMULATED, SCHEMA, DeviceBench
from hearlite.embedders.self_test import GOLDEN_SIGNAL, check_signals
from hearlite.errors import GateError, HearliteError, InputError, UsageError
from hearlite.serialization import from_dict, to_dict

ROOT = Path(__file__).parent.parent.parent.parent
# `devices` and `fail` (the command that fails, and what it says) are files beside it. Its shell is this machine's, in
# which / is `root`.
FAKE_ADB = """#!{python}
import json, pathlib, re, shutil, subprocess, sys
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
if arguments == ["devices"]:
    print((here / "devices").read_text())
    sys.exit(0)
assert arguments[:2] == ["-s", "PHONE"], arguments
kind, *rest = arguments[2:]
command = " ".join(rest)
with (here / "log").open("a") as log:
    log.write(json.dumps([kind, *rest]) + "\\n")
fail = json.loads((here / "fail").read_text())
if fail and fail[0] == kind and re.search(fail[1], command):
    print(fail[2], file=sys.stderr)
    sys.exit(0 if fail[2] == "" else 1)  # a connection that breaks in a shell: adb says nothing and ends well
inside = lambda path: str(here / "root") + path
if kind == "shell" and "df -k" in command and (here / "df").exists():
    print((here / "df").read_text() + "hearlite-exit:0")
elif kind == "shell":
    sys.exit(subprocess.run(["sh", "-c", re.sub("/data/local/tmp", inside("/data/local/tmp"), rest[0])]).returncode)
elif kind == "push":
    for file in rest[:-1]:
        shutil.copy(file, inside(rest[-1]))
elif kind == "pull":
    shutil.copy(inside(rest[0]), rest[1])
"""
FAKE_RUNNER = """#!{python}
import hashlib, json, pathlib, sys
model, clip, out, warmup, runs = sys.argv[1:]
assert hashlib.sha256(pathlib.Path(clip).read_bytes()).hexdigest() == "{clip}"
pathlib.Path(out).write_bytes(bytes.fromhex("{embedding}"))
print(json.dumps(dict(threads=1, cold_ms=9.0, times_ms=[float(i + 1) for i in range(int(runs))])))
"""


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """The folder of a fake adb with one device, PHONE, that is ready."""
    folder = tmp_path / "phone"
    (folder / "root" / "data" / "local" / "tmp").mkdir(parents=True)
    (folder / "devices").write_text("List of devices attached\nPHONE\tdevice\n")
    (folder / "fail").write_text("[]")
    executable(folder / "adb", FAKE_ADB.replace("{python}", sys.executable))
    return folder


@pytest.fixture
def job(bundle: Bundles, tmp_path: Path) -> Job:
    """With a runner that gives the golden embedding and times of 1, 2, 3 ... ms."""
    clip = hashlib.sha256(from_int16(check_signals()[GOLDEN_SIGNAL]).astype("<f4").tobytes()).hexdigest()
    text = (
        FAKE_RUNNER.replace("{python}", sys.executable)
        .replace("{embedding}", golden(bundle).hex())
        .replace("{clip}", clip)
    )
    (tmp_path / "runner").mkdir()
    executable(tmp_path / "runner" / RUNNER, text)
    return Job(bundle.i8, runner_in(tmp_path / "runner"), runs=5, warmup=2)


def runner_file(job: Job) -> Path:
    return job.runner.files[RUNNER]


def golden(bundle: Bundles) -> bytes:
    return np.asarray(bundle.manifest("i8").golden_embedding, "<f4").tobytes()


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def measure(job: Job, phone: Path) -> DeviceBench:
    return measure_on_device(job, adb=find_device(program=str(phone / "adb")))


def left(phone: Path) -> list[Path]:
    return list((phone / "root" / "data" / "local" / "tmp").iterdir())


def test_a_report(job: Job, phone: Path, bundle: Bundles) -> None:
    report = to_dict(measure(job, phone))
    assert report["schema"] == SCHEMA and report["model"] == bundle.i8.name
    assert report["parity"] == {
        "passed": True,
        "exact": True,
        "relative_difference": 0.0,
        "score_difference": None,
        "tolerance": 0.1,
    }
    assert report["latency"] == {
        "runs": 5,
        "warmup": 2,
        "cold_ms": 9.0,
        "median_ms": 3.0,
        "p5_ms": 1.2,
        "p95_ms": 4.8,
        "mean_ms": 3.0,
    }
    assert (
        report["device"]["emulated"] is False and report["without_latency"] == "" and report["benchmark_model"] is None
    )
    assert left(phone) == []
    assert from_dict(DeviceBench, report, where="report") == from_dict(
        DeviceBench, json.loads(json.dumps(report)), where="report"
    )


def test_its_keys_are_the_apps(job: Job, phone: Path) -> None:
    source = (ROOT / "android_harness/core/src/main/kotlin/hearlite/core/BenchReport.kt").read_text()
    report = to_dict(measure(job, phone))
    groups = [value for value in report.values() if isinstance(value, dict)]
    assert {key for group in (report, *groups) for key in group} - {"benchmark_model"} == set(
        re.findall(r'"(\w+)" to ', source)
    )
    assert f'"{SCHEMA}"' in source


def test_a_wrong_result_has_no_latency(job: Job, phone: Path, tmp_path: Path, bundle: Bundles) -> None:
    runner = runner_file(job)
    runner.write_text(runner.read_text().replace(golden(bundle).hex()[:8], np.float32(100).tobytes().hex()))
    arguments = [
        str(job.model),
        "--runner",
        str(runner.parent),
        "--adb",
        str(phone / "adb"),
        "--out",
        str(tmp_path / "out.json"),
        "--runs",
        "3",
    ]
    with pytest.raises(GateError, match="computes something else"):
        command.main(arguments, standalone_mode=False)
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["parity"]["passed"] is report["parity"]["exact"] is False and report["latency"] is None
    assert "parity failed" in report["without_latency"]
    assert left(phone) == []


@pytest.mark.parametrize(
    ("devices", "serial", "kind", "says"),
    [
        ("", None, InputError, "adb lists no device; connect one"),
        ("PHONE\tunauthorized", None, InputError, "PHONE is unauthorized; unlock it and confirm"),
        ("PHONE\toffline", None, InputError, "PHONE is offline; reconnect"),
        ("PHONE\tno permissions (missing udev rules)", None, InputError, "udev rule"),
        ("PHONE\tdevice\nTABLET\tdevice", None, UsageError, "2 devices: PHONE, TABLET; name one with --serial"),
        ("-e\tdevice", None, UsageError, "the serial number is '-e'"),
        ("PH\x1bONE\tdevice", None, UsageError, "control characters"),
        ("PHONE\tdevice", "WATCH", InputError, "no device 'WATCH'; connected: PHONE"),
    ],
)
def test_devices_that_cannot_be_used(
    phone: Path, devices: str, serial: str | None, kind: type[HearliteError], says: str
) -> None:
    (phone / "devices").write_text(f"* daemon started successfully\nList of devices attached\n{devices}\n\n")
    with pytest.raises(kind) as caught:
        find_device(program=str(phone / "adb"), serial=serial)
    assert says in str(caught.value)


def test_one_of_several(phone: Path) -> None:
    (phone / "devices").write_text("TABLET\toffline\nPHONE\tdevice\n")
    assert find_device(program=str(phone / "adb"), serial="PHONE").serial == "PHONE"


def test_no_adb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No such file or directory; install Android's platform-tools"):
        find_device(program=str(tmp_path / "adb"))


@pytest.mark.parametrize(
    ("fail", "kind", "says"),
    [
        (
            ["push", "", "adb: error: failed to copy: remote couldn't write file: No space left on device"],
            InputError,
            "PHONE is full",
        ),
        (["push", "", "adb: device 'PHONE' not found"], DeviceLostError, "was lost while pushing"),
        (["shell", "chmod", "Aborted"], InputError, f"running './{RUNNER} "),
        (["shell", "chmod", ""], DeviceLostError, "the connection broke"),
        (["shell", "mkdir", "mkdir: can't create directory: No space left on device"], InputError, "PHONE is full"),
        (["shell", "df", "error: device offline"], DeviceLostError, "was lost while running 'df"),
        (["shell", "chmod", "error: device offline"], DeviceLostError, "was lost while running"),
        (["pull", "", "error: closed"], DeviceLostError, "was lost while pulling"),
        (["shell", "getprop", "error: device 'PHONE' not found"], DeviceLostError, "was lost while running 'getprop"),
    ],
)
def test_what_fails_on_the_way_is_said_and_cleaned_up(
    job: Job, phone: Path, fail: list[str], kind: type[HearliteError], says: str
) -> None:
    (phone / "fail").write_text(json.dumps(fail))
    with pytest.raises(kind) as caught:
        measure(job, phone)
    assert says in str(caught.value)
    assert left(phone) == []


def test_a_disk_that_is_too_small_is_told_from_its_size(job: Job, phone: Path) -> None:
    (phone / "df").write_text("Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/x 9000 8990 10 99% /data\n")
    with pytest.raises(
        InputError,
        match=r"PHONE is full: 0\.0 MB are free in /data/local/tmp/hearlite-bench, \d+\.\d MB are needed; free some",
    ):
        measure(job, phone)
    (phone / "df").write_text("df: not found\n")  # a device that doesn't say
    assert measure(job, phone).parity.exact


def test_what_cannot_be_cleaned_up_is_named(job: Job, phone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (phone / "fail").write_text(json.dumps(["shell", "rm -rf", "error: device 'PHONE' not found"]))
    with pytest.raises(DeviceLostError):
        measure(job, phone)
    (phone / "fail").write_text(
        json.dumps(["shell", r"^\(rm -rf \S+\)", "error: device 'PHONE' not found"])
    )  # not the one at the start
    measure(job, phone)
    (folder,) = left(phone)
    assert f"/data/local/tmp/{folder.name} is left on PHONE until the next run removes it" in capsys.readouterr().err
    (phone / "fail").write_text("[]")
    measure(job, phone)
    assert left(phone) == []


def test_bad_runners_and_bundles(job: Job, phone: Path, tmp_path: Path) -> None:
    runner = runner_file(job)
    good = runner.read_text()
    changes = {
        "1 times for 5 runs": ("int(runs)", "1"),
        "the runner printed 'and": ("print(", "print('and') #"),
        "values; expected": ("fromhex(", "fromhex('00000000' "),
    }
    for says, change in changes.items():
        runner.write_text(good.replace(*change))
        with pytest.raises(InputError, match=says):
            measure(job, phone)
    runner.unlink()
    with pytest.raises(InputError, match=f"contains no {RUNNER}"):
        runner_in(runner.parent)


def test_two_runs_at_once_are_refused(job: Job, phone: Path) -> None:
    runner = runner_file(job)
    runner.write_text(runner.read_text().replace("import hashlib", "import time; time.sleep(20)\nimport hashlib"))
    arguments = [
        sys.executable,
        "-m",
        "hearlite",
        "study",
        "android-bench",
        str(job.model),
        "--runner",
        str(runner.parent),
        "--adb",
        str(phone / "adb"),
    ]
    first = subprocess.Popen([*arguments, "--out", str(phone / "first.json")], cwd=ROOT)
    try:
        while not left(phone):
            assert first.poll() is None
            time.sleep(0.05)
        with pytest.raises(UsageError, match="another run is measuring on PHONE"):
            measure(job, phone)
    finally:
        first.terminate()
        first.wait()


def test_the_lock_is_the_users_own_and_follows_no_link(
    job: Job, phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measure(job, phone)
    (lock,) = (tmp_path / "cache" / "hearlite" / "locks").iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600 and stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        measure(job, phone)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("folder", ["-rf", "relative", "/a b", "/a;reboot", "/$(x)", ""])
def test_a_folder_of_the_device_that_a_shell_would_misread_is_refused(job: Job, phone: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="the device's folder is"):
        measure(dataclasses.replace(job, folder=folder), phone)


def test_a_local_file_that_begins_with_a_dash_is_no_option(
    phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-p").write_text("content")
    adb = find_device(program=str(phone / "adb"))
    adb.push([Path("-p")], "/data/local/tmp")
    adb.pull("/data/local/tmp/-p", Path("-q"))
    calls = [json.loads(line) for line in (phone / "log").read_text().splitlines()]
    assert ["push", str(tmp_path / "-p"), "/data/local/tmp/"] in calls
    assert Path("-q").read_text() == "content"


def test_an_emulator_has_no_latency(job: Job, phone: Path) -> None:
    """A program for another processor, started through a prefix that makes it run all the same."""
    runner = runner_file(job)
    script = runner.with_name("script")
    script.write_text(runner.read_text())
    runner.write_bytes(b"\x7fELF" + bytes(14) + (243).to_bytes(2, "little"))  # RISC-V: on no machine of these tests
    job = dataclasses.replace(job, runner=runner_in(runner.parent), prefix=f"{sys.executable} ./script #")
    with pytest.raises(InputError, match="processor 243"):
        measure(job, phone)
    other = 183 if platform.machine() != "aarch64" else 62
    runner.write_bytes(b"\x7fELF" + bytes(14) + other.to_bytes(2, "little"))
    with pytest.raises(InputError, match=r"PHONE has another processor, \w+, than the program; pass --runner"):
        measure(dataclasses.replace(job, prefix=""), phone)
    assert left(phone) == []
    job = dataclasses.replace(job, prefix=f'run() {{ shift; {sys.executable} ./script "$@"; }}; run')
    report = measure(job, phone)
    assert (
        report.device.emulated and report.parity.exact and report.latency is None and report.without_latency == EMULATED
    )
    assert "ms" not in report.line().split(";")[1] and EMULATED in report.line()


def test_benchmark_model_is_run_too(job: Job, phone: Path, tmp_path: Path) -> None:
    text = f"""#!{sys.executable}
import sys
assert "--graph={job.model.name}" in sys.argv and "--num_runs=5" in sys.argv
print("count=20 first=9 curr=9 min=9 max=9 avg=9 std=0", file=sys.stderr)
print("INFO: count=5 first=1500 curr=1400 min=1400 max=1700 avg=1550.5 std=9 p5=1400 median=1510 p95=1700", file=sys.stderr)
print("INFO: Inference timings in us: Init: 12, First inference: 2500, Warmup (avg): 9, Inference (avg): 1550.5", file=sys.stderr)
"""
    executable(tmp_path / "benchmark_model", text)
    other = measure(dataclasses.replace(job, benchmark_binary=tmp_path / "benchmark_model"), phone).benchmark_model
    assert other is not None and (other.runs, other.cold_ms, other.mean_ms, other.min_ms, other.max_ms) == (
        5,
        2.5,
        1.5505,
        1.4,
        1.7,
    )
    assert (other.p5_ms, other.median_ms, other.p95_ms) == (1.4, 1.51, 1.7)
    assert left(phone) == []


def test_what_older_and_other_benchmark_binaries_print() -> None:
    old = (
        "count=50 first=1 curr=1 min=1 max=3 avg=2e3 std=1\nInference timings in us: Init: 1, First inference: 4,"
        " Warmup (avg): 1, Inference (avg): 2"
    )
    found = read_benchmark_model(old)
    assert (found.runs, found.mean_ms, found.median_ms) == (50, 2.0, None)
    for text in ("", "count=x", "count=5 first=1 curr=1 min=1 max=3 avg=2 std=1", old.replace("avg=2e3", "avg=fast")):
        with pytest.raises(InputError, match="the benchmark binary printed"):
            read_benchmark_model(text)


def test_the_real_runner(job: Job, phone: Path) -> None:
    spec = importlib.util.find_spec("ai_edge_litert")
    assert spec is not None and spec.submodule_search_locations
    litert, compiler = Path(spec.submodule_search_locations[0]), shutil.which("cc")
    if compiler is None or not (litert / "libLiteRt.so").is_file():
        pytest.skip("no C compiler, or ai-edge-litert brings no libLiteRt.so here")
    source = ROOT / "benchmarks" / "android" / "native" / "android_runner.c"
    options = ["-O2", "-Wall", "-Wextra", "-Werror", f"-L{litert}", f"-Wl,-rpath,{litert}"]
    subprocess.run([compiler, str(source), "-o", str(runner_file(job)), *options, "-lLiteRt"], check=True, timeout=120)
    report = measure(job, phone)
    assert report.parity.exact and report.parity.relative_difference == 0.0
    assert report.threads == 1 and report.latency is not None
