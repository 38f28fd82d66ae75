"""Writing files: nothing half-written, nothing left behind, errors that name the user's own file."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearlite import writing
from hearlite.cli.signals import handled
from hearlite.errors import InputError
from hearlite.files import write_bytes
from hearlite.writing import LOCK_NAME, locked, replacing, require_not_interrupted


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Let children hear signals that a script's background job or nohup ignores, which they would inherit."""
    default = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in default.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


HOLD = """
import sys, time
from pathlib import Path
from hearlite.writing import locked, replacing
with locked(Path(sys.argv[1])), replacing(Path(sys.argv[1]) / "a.bin") as temporary:
    temporary.write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_what_a_killed_run_left_is_removed_and_what_another_writes_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holder(tmp_path)
    try:
        (written,) = tmp_path.glob(".hearlite-*")
        monkeypatch.setattr(writing, "_cleaned", set())
        write_bytes(tmp_path / "b.bin", b"b")
        assert written.read_bytes() == b"half"
        with pytest.raises(InputError, match="another hearlite command is writing it"), locked(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
    assert written.exists(), "nobody could remove it"
    (tmp_path / ".hearlite-notes.txt").write_text("a file of somebody else")
    monkeypatch.setattr(writing, "_cleaned", set())
    write_bytes(tmp_path / "b.bin", b"c")
    with locked(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"b.bin", LOCK_NAME, ".hearlite-notes.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {"b.bin", ".hearlite-notes.txt"}


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "another disk"),
        (errno.EACCES, "change the permissions"),
        (errno.EIO, "check the disk"),
    ],
)
def test_an_error_names_the_file_and_a_remedy(tmp_path: Path, number: int, remedy: str) -> None:
    path = tmp_path / "results.json"
    path.write_text("before")
    with pytest.raises(InputError) as caught, replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    free = r" \([\d,.]+ MB are free on its disk\)" if number == errno.ENOSPC else ""
    expected = re.escape(f"{path} can't be written: {os.strerror(number)}")
    assert re.fullmatch(f"{expected}{free}", caught.value.message)
    assert remedy in caught.value.hint and ".hearlite-" not in str(caught.value)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_errors_about_other_files_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.json"):
        (tmp_path / "missing.wav").read_bytes()
    with pytest.raises(PermissionError), replacing(tmp_path / "a.json"):
        raise PermissionError(errno.EACCES, "no", "/elsewhere/a.wav")


def test_a_name_that_cannot_be_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path, reason in [
        (tmp_path / ("a" * 300), "File name too long"),
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / "file" / "a.json", "(Not a directory|File exists)"),
    ]:
        with pytest.raises(InputError, match=f"can't be written: {reason}"), replacing(path):
            pytest.fail("the work has begun")
    longest = tmp_path / ("a" * 255)
    write_bytes(longest, b"a")
    assert longest.read_bytes() == b"a", "the temporary name must not be longer than the name"


def test_numpy_s_error_on_a_full_disk_has_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> object:
        return type("usage", (), {"free": 0})

    monkeypatch.setattr(shutil, "disk_usage", full)
    with pytest.raises(InputError, match=r"a\.npy can't be written: No space left"), replacing(tmp_path / "a.npy"):
        raise OSError("45 requested and 12 written")


def _limited(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
    try:
        write_bytes(path, bytes(10_000))
    except InputError as error:
        os._exit(3 if "File too large" in str(error) and "ulimit -f" in error.hint else 1)
    os._exit(0)


def test_a_limit_on_the_size_of_files_is_named(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_limited, args=(tmp_path / "a.bin",))
    process.start()
    process.join(30)
    assert process.exitcode == 3 and list(tmp_path.iterdir()) == []


SLOW = """
import sys, time
import click
import hearlite.cli.main as main
from hearlite.writing import replacing
from pathlib import Path
@main.cli.command("slow")
@click.argument("how")
def slow(how):
    with replacing(Path(sys.argv[2]) / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        print("ready", flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            if how == "wrapped":
                raise RuntimeError("internal error while tracing")
            if how == "stuck":
                time.sleep(60)
            raise
main.main(["slow", sys.argv[1]])
"""


@pytest.mark.parametrize("how", ["plain", "wrapped", "stuck"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_with_its_exit_code(tmp_path: Path, how: str, name: str) -> None:
    number = getattr(signal, name)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, how, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    if how == "stuck":
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + number
    assert "Traceback" not in errors and "bug" not in errors
    assert how == "stuck" or "interrupted; run the same command again" in errors
    assert list(tmp_path.iterdir()) == []


AWKWARD = """
import sys, time
from pathlib import Path
import hearlite.cli.main as main
from hearlite.files import write_bytes
from hearlite.progress import progress
from hearlite.writing import replacing
folder = Path(sys.argv[2])
def ready():
    print("ready", flush=True)
    time.sleep(60)
def swallowed():
    try:
        ready()
    except BaseException:
        pass
    write_bytes(folder / "partial.bin", b"less than there should be")
def in_a_loop():
    with progress("work", total=2) as advance:
        for step in (1, 2):
            try:
                ready()
            except BaseException:
                pass
            advance(step)
def callback():
    until = "import time; print('ready', flush=True); end = time.monotonic() + 1"
    loop = "while time.monotonic() < end: time.sleep(0.01)"
    names = {}
    exec(compile(f"def vio_read():\\n    {until}\\n    {loop}\\n    return 'whole'", "/x/soundfile.py", "exec"), names)
    try:
        print(names["vio_read"](), flush=True)
        time.sleep(60)
    except KeyboardInterrupt as error:
        print(type(error).__name__, flush=True)
        raise
def importing():
    (folder / "slow_module.py").write_text("import time; print('ready', flush=True); time.sleep(60)")
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    with replacing(folder / "a.bin"):
        import slow_module
@main.cli.command("awkward")
def awkward(**_):
    globals()[sys.argv[1]]()
main.main(["awkward"])
"""


def interrupted(how: str, folder: Path, number: signal.Signals) -> tuple[int, str, str]:
    """Exit code, output after "ready" and errors of an AWKWARD command that gets a signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", AWKWARD, how, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["swallowed", "in_a_loop"])
def test_code_that_swallows_an_interruption_writes_nothing(tmp_path: Path, how: str, number: signal.Signals) -> None:
    code, output, errors = interrupted(how, tmp_path, number)
    assert (code, output) == (128 + number, "")
    assert errors.strip() == "error: interrupted; run the same command again to continue"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_callback_of_c_code_is_not_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """Libsndfile would take the recording for a damaged one, which is left out."""
    code, output, errors = interrupted("callback", tmp_path, number)
    assert (code, output) == (128 + number, "whole\nInterrupted\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_is_ended_without_unwinding(tmp_path: Path, number: signal.Signals) -> None:
    code, _, errors = interrupted("importing", tmp_path, number)
    assert code == 128 + number
    assert errors == "error: interrupted; run the same command again to continue\n"
    assert [path.name for path in tmp_path.iterdir()] == ["slow_module.py"]


def test_what_the_command_line_changes_is_given_back() -> None:
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM]
    before = [signal.getsignal(number) for number in numbers]
    with handled() as signals:
        assert signal.getsignal(signal.SIGTERM) == signals.stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            require_not_interrupted()
    assert signals.exit_code == 143 and [signal.getsignal(number) for number in numbers] == before
    require_not_interrupted()


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    command = ["nohup", sys.executable, "-c", SLOW, "plain", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
