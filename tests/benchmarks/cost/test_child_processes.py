"""Child processes end with the process that started them, and a program that is missing is heard of as before."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hearlite.benchmarks.cost import child_processes
from hearlite.benchmarks.cost.child_processes import tied

PARENT = """
import subprocess, sys
from hearlite.benchmarks.cost.child_processes import tied
child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
subprocess.run(tied([sys.executable, "-c", child]))
"""


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not child_processes._launcher(), reason="needs Linux and util-linux's setpriv")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_does_not_outlive_its_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(number)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child)
    parent.stdout.close()


def test_a_command_is_itself(tmp_path: Path) -> None:
    """Its environment, working directory, output and exit code are those it would have alone."""
    show = "import os, sys; print(dict(os.environ), os.getcwd()); sys.exit(7)"
    for environment in ({}, {"LC_ALL": "C", "A": "b"}):
        command = [sys.executable, "-I", "-c", show]
        plain, by_launcher = (
            subprocess.run(item, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
            for item in (command, tied(command))
        )
        assert (by_launcher.stdout, by_launcher.returncode) == (plain.stdout, 7)
    killed = subprocess.run(
        tied([sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"]), check=False
    )
    assert killed.returncode == -signal.SIGTERM


def test_a_missing_program_is_reported_by_the_system(tmp_path: Path) -> None:
    assert tied([tmp_path / "none", "x"]) == [tmp_path / "none", "x"]
    with pytest.raises(FileNotFoundError):
        subprocess.run(tied([tmp_path / "none"]), check=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").symlink_to(sys.executable)
    expected = [*child_processes._launcher(), "bin/tool"]
    assert tied(["bin/tool"], folder=tmp_path) == expected
    assert tied(["bin/tool"], folder=tmp_path / "bin") == ["bin/tool"]


def test_without_setpriv_the_command_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_processes, "_launcher", lambda: ())
    assert tied([sys.executable, "-c", "pass"]) == [sys.executable, "-c", "pass"]
