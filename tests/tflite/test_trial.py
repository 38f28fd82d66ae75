"""What no check of numbers finds, a process of its own does: crashes, endless calls, memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hand_made import OPS, convolution, embedder, with_constant

from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError
from hearlite.tflite import trial
from hearlite.tflite.builder import name_signature
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import load, save


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_PASSED", set())


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, does: str) -> None:
    """Replace the process that tries a model by one that does something else."""
    script = folder / "stand_in.py"
    script.write_text(f"import os, signal, sys, time\nfrom pathlib import Path\n{does}\n", encoding="utf-8")
    monkeypatch.setattr(trial, "_SCRIPT", script)


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "litert crashes on the model (SIGSEGV)"),
        ("os.abort()", "litert crashes on the model (SIGABRT)"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", "of processor time"),
        ("Path(sys.argv[-1]).write_text('RuntimeError: no such kernel')", "RuntimeError: no such kernel"),
        ("raise SystemExit(7)", "exit code 7"),
        ("pass", "exit code 0"),  # ended without a word: a model that calls exit
    ],
)
def test_a_process_that_dies_is_an_error_that_names_the_file(
    does: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, does)
    with pytest.raises(InputError) as caught:
        trial.require_trial(convolution(), where="a.tflite")
    assert str(caught.value).startswith("a.tflite: ") and says in str(caught.value)


@pytest.mark.parametrize("signed", [False, True])
def test_a_good_model_passes_with_and_without_a_signature(signed: bool, tmp_path: Path) -> None:
    model = load(convolution())
    if signed:
        name_signature(model, signature="embed", input_name="given", output_name="result")
    path = tmp_path / "good.tflite"
    path.write_bytes(save(model))
    outputs = TfliteModel(path).run(np.ones((1, 8, 8, 2), np.float32))
    assert outputs["result" if signed else "out"].max() == 18.0


def test_a_model_of_free_length_passes(tmp_path: Path) -> None:
    model = load(embedder())
    model.subgraphs[0].tensors[0].shapeSignature = np.asarray([-1, 32_000], np.int32)
    path = tmp_path / "free.tflite"
    path.write_bytes(save(model))
    assert TfliteEmbedder(path).embed(np.zeros((2, 32_000), np.float32)).shape == (2, 4)


def test_a_model_that_crashes_litert_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT 2.1 reads the subgraph of a signature without a look at its index; the check of numbers would refuse it."""
    model = load(convolution())
    name_signature(model, signature="embed", input_name="in", output_name="out")
    model.signatureDefs[0].subgraphIndex = 1 << 30
    path = tmp_path / "crashes.tflite"
    path.write_bytes(save(model))
    with pytest.raises(InputError, match=r"crashes\.tflite: litert crashes on the model \(SIG(SEGV|BUS|ABRT)\)"):
        trial.require_trial(path.read_bytes(), where=str(path))


def test_a_call_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, "time.sleep(60)")
    monkeypatch.setattr(trial, "_WALL", 0.05)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"takes more than 0\.5 s"):
        trial.require_trial(convolution(), where="a.tflite")
    assert time.monotonic() - began < 20


def test_a_model_is_tried_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **settings: calls.append(args) or run(*args, **settings))
    for _ in range(2):
        trial.require_trial(convolution(), where="a.tflite")
    assert len(calls) == 1
    other = with_constant(OPS.RESHAPE, [1, 8], [8], [8])
    trial.trust(other)
    trial.require_trial(other, where="b.tflite")
    assert len(calls) == 1


def test_a_file_is_tried_and_content_made_here_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, "os.abort()")
    path = tmp_path / "a.tflite"
    path.write_bytes(convolution())
    with pytest.raises(InputError, match="SIGABRT"):
        TfliteModel(path)
    assert TfliteModel(path.read_bytes()).run(np.zeros((1, 8, 8, 2), np.float32))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are Linux's")
@pytest.mark.parametrize(
    ("what", "cpu_s", "spare"), [("while True: pass", 1, 1 << 30), ("bytearray(1 << 30)", 9, 1 << 28)]
)
def test_processor_time_and_memory_are_limited(what: str, cpu_s: int, spare: int, tmp_path: Path) -> None:
    """In the very process that opens models, with something in place of the model."""
    code = f"import sys\nsys.path.insert(0, {str(Path(trial.__file__).parent)!r})\n"
    code += f"import trial_run\ntrial_run.limit({cpu_s}, {spare})\n{what}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    if cpu_s == 1:
        assert done.returncode == -signal.SIGXCPU
    else:
        assert done.returncode == 1 and "MemoryError" in done.stderr


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trial.require_trial(convolution(), where="a.tflite")
    assert list(tmp_path.iterdir()) == []
