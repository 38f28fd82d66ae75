"""A new user's walk from a run to a phone, as far as this machine can go, and what is said of one that goes wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from chromium import CHROMIUM, LITERTJS_CACHED

from hearlite.benchmarks.android.emulator import missing_tools
from hearlite.benchmarks.android.end_to_end import _jvm_tests, _on_jvm, walk
from hearlite.benchmarks.arm.sandbox.sandbox import open_box
from hearlite.benchmarks.report.end_to_end_table import render_walk
from hearlite.benchmarks.schema.device import EMULATED
from hearlite.benchmarks.schema.end_to_end import Walk
from hearlite.errors import GateError, InputError
from hearlite.files import read_json, write_json
from hearlite.run import Run
from hearlite.spec import from_dict, to_dict

COMMITTED = Path(__file__).resolve().parent.parent / "benchmarks/results/walk/results.json"
PRINTED = "parity a_i8.tflite: 16 windows, largest difference 0.0\nscores a_i8.tflite: largest difference 5.9E-8\n\nOK (40 tests)\n"


def test_the_walk(quantized_run: Run, unheard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Path(os.environ.get("HEARLITE_ADBD", "/"))
    if "HEARLITE_ARM_BOX" not in os.environ:
        pytest.skip("HEARLITE_ARM_BOX names no box of `python -m hearlite.benchmarks.arm`")
    if reason := missing_tools(tools):
        pytest.skip(f"{reason}; HEARLITE_ADBD names where they are unpacked")
    import ai_edge_litert

    monkeypatch.setenv("HEARLITE_LITERT", str(Path(ai_edge_litert.__path__[0])))
    litert = Path(os.environ["HEARLITE_LITERTJS"]) if "HEARLITE_LITERTJS" in os.environ else None
    if CHROMIUM is None or (litert is None and not LITERTJS_CACHED):
        pytest.skip("no chromium on the PATH, or no LiteRT.js: neither in the cache nor named by HEARLITE_LITERTJS")
    box, options = open_box(Path(os.environ["HEARLITE_ARM_BOX"])), ("--head", str(unheard), "--label", "narrow")
    try:
        walked = walk([quantized_run.folder], work=tmp_path / "work", tools=tools, box=box, export_options=options, litert=litert)
    except InputError as error:
        if "ended with 77" in error.message:
            pytest.skip(error.message)
        raise
    assert [file.name for file in walked.files] == ["hearlite_tiny_2s_i8_head.tflite", "hearlite_tiny_2s_f32_head.tflite"]
    for file in walked.files:
        assert file.head == ("narrow=yes",) and {file.name, "golden.wav", "HearliteEmbedder.kt"} <= set(file.android_folder)
        assert file.jvm.windows > 10 and file.jvm.largest_difference <= 1e-5 and file.phone.parity.passed
        assert file.page.windows == file.jvm.windows and file.page.largest_relative_difference < 0.1
        assert (file.page.requests_elsewhere, file.page.complaints) == (0, 0)
        assert file.phone.latency is None and file.phone.without_latency == EMULATED
    assert walked.files[0].jvm.largest_difference == 0 and walked.files[0].phone.parity.exact
    assert walked.jvm_tests >= 40
    write_json(tmp_path / "results.json", to_dict(walked))
    assert from_dict(Walk, read_json(tmp_path / "results.json"), where="results") == walked


def test_what_the_jvm_says_is_read() -> None:
    assert _jvm_tests(PRINTED) == 40
    found = _on_jvm("a_i8.tflite", PRINTED)
    assert (found.windows, found.largest_difference, found.largest_score_difference) == (16, 0.0, 5.9e-8)
    assert _on_jvm("a_i8.tflite", PRINTED.splitlines()[0]).largest_score_difference is None
    with pytest.raises(GateError, match="the tests on the JVM failed"):
        _jvm_tests("There was 1 failure:\nFAILURES!!!\nTests run: 40,  Failures: 1\n")
    with pytest.raises(InputError, match=r"said nothing of b_i8\.tflite"):
        _on_jvm("b_i8.tflite", PRINTED)


def test_the_committed_walk_shows_no_time_and_no_place() -> None:
    walked = from_dict(Walk, read_json(COMMITTED), where=str(COMMITTED))
    assert all(file.phone.latency is None and file.phone.device.emulated for file in walked.files)
    assert all(file.phone.parity.exact for file in walked.files if "_i8" in file.name)
    assert " ms" not in render_walk(COMMITTED)
    assert all(word not in COMMITTED.read_text() for word in ("/tmp", "/home", "/root", "/work"))
