"""The emulated ARM benchmark: what is counted, estimated, compared and shown. A finished box is needed for the last
test only.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.benchmarks.arm.cores import ARM64, CORES, write_prefix
from hearlite.benchmarks.arm.cycles import COVERED, Cycles, hottest, read_estimate, regions
from hearlite.benchmarks.arm.instruction_count import Block, Output, read_counts, run_core, run_tflite
from hearlite.benchmarks.arm.instruction_mix import CLASSES, executed_by_class, instruction_class, read_disassembly
from hearlite.benchmarks.arm.measure import read_model
from hearlite.benchmarks.arm.parity import (
    EXTREMES,
    FLOAT_TOLERANCE,
    NOISES,
    TOLERANCES,
    OnInput,
    Parity,
    allowed,
    allowed_joined,
    allowed_network,
    compare,
    largest_difference,
    make_inputs,
    model_precision,
)
from hearlite.benchmarks.arm.regression_check import changed
from hearlite.benchmarks.arm.rows import to_rows
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.schema import Measured, Milliseconds, OnCore, OnX86, PartOnCore
from hearlite.benchmarks.arm.table import table
from hearlite.embedders.self_test import TOLERANCE as CHECK_TOLERANCE
from hearlite.errors import GateError, InputError, UsageError
from hearlite.serialization import to_dict
from hearlite.tflite.model_file import Op, Summary

NAMES = [*NOISES, *EXTREMES]


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("\tsdot\tv16.4s, v4.16b, v0.4b[0]", "SDOT"),
        ("\tudot\tv1.4s, v2.16b, v3.16b", "SDOT"),
        ("\tsmlal2\tv9.4s, v1.8h, v2.h[3]", "SMLAL"),
        ("\tsmull\tv0.8h, v1.8b, v2.8b", "SMLAL"),
        ("\tsmull\tx0, w1, w2", "other"),
        ("\tfmla\tv0.4s, v1.4s, v2.s[1]", "FMLA"),
        ("\tfmadd\ts0, s1, s2, s3", "other"),
        ("\tldp\tq0, q1, [x0], #32", "load"),
        ("\tld1\t{ v0.8b }, [x1], x2", "load"),
        ("\tldur\tx3, [x4, #-8]", "load"),
        ("\tprfm\tpldl1keep, [x5, #448]", "other"),
        ("\tstr\tq0, [x6], #16", "store"),
        ("\tst1\t{ v0.4s }, [x1]", "store"),
        ("\tsub\tx0, x0, #1", "other"),
        ("\tret", "other"),
    ],
)
def test_classes_of_instructions(instruction, expected):
    assert instruction_class(instruction) == expected


def test_executed_instructions_are_weighted_by_runs():
    text = {b"aaaa": "sdot\tv0.4s, v1.16b, v2.16b", b"bbbb": "ldr\tq0, [x0]", b"cccc": "ret"}
    found = executed_by_class([Block(3, 10, b"aaaabbbbaaaa"), Block(1, 5, b"cccc")], text=text)
    assert tuple(found) == CLASSES
    assert (found["SDOT"], found["load"], found["other"], sum(found.values())) == (20, 10, 5, 35)


def test_disassembly_of_another_length_is_refused():
    assert read_disassembly("\t.text\n\tnop\n\tret\n", expected=2) == ["nop", "ret"]
    with pytest.raises(InputError, match="1 of 2 instructions: invalid"):
        read_disassembly("\t.text\n\tnop\n", expected=2, said="invalid instruction encoding")


COUNTS = (
    "window 0 7\nblock 4000 2 3 0011\nblock 4010 1 1 22\nwindow 1 7\nblock 4000 2 3 0011\nblock 4010 1 1 22\nend 1\n"
)


def test_counts_are_of_the_last_window():
    found = read_counts(COUNTS)
    assert (found.instructions, found.repeatable) == (7, True)
    assert found.blocks == (Block(2, 3, b"\x00\x11"), Block(1, 1, b"\x22"))


def test_windows_that_differ_are_not_repeatable():
    assert not read_counts(COUNTS.replace("window 0 7", "window 0 8")).repeatable


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (COUNTS.replace("end 1\n", ""), "incomplete"),
        (COUNTS.replace("block 4010 1 1 22\nend", "end"), "incomplete"),
        (COUNTS.replace("window 0 7\n", ""), "1 of 2 windows"),
        (COUNTS.replace("end 1", "end 2"), "2 threads"),
        (COUNTS.replace("0011", "001"), "can't be read"),
        ("", "0 of 2 windows"),
    ],
)
def test_counts_of_a_process_that_died_or_had_threads_are_refused(counts, said):
    with pytest.raises(InputError, match=said):
        read_counts(counts)


def test_the_hottest_blocks_are_modelled():
    blocks = [Block(1, 3, b""), Block(10, 99, b""), Block(1, 7, b""), Block(1, 1, b"")]
    assert hottest(blocks) == [blocks[1], blocks[2]]
    assert 990 < COVERED * 1001 <= 997


def test_regions_begin_with_a_mark_that_llvm_mca_sees():
    text = {b"aaaa": "nop", b"bbbb": "ret"}
    assert regions([Block(2, 1, b"aaaabbbb")], text=text) == "# LLVM-MCA-BEGIN 0\nnop\nret\n# LLVM-MCA-END\n"


def mca(*blocks: tuple[int, float]) -> str:
    """What llvm-mca 19 writes with --json, as far as it is read: (cycles of 50 iterations, throughput) of every
    region.
    """
    summaries = [
        {"BlockRThroughput": busy, "Iterations": 50, "TotalCycles": total, "IPC": 1.0} for total, busy in blocks
    ]
    views = [{"SummaryView": summary} for summary in summaries]
    return json.dumps({"CodeRegions": views, "TargetInfo": {"CPUName": "cortex-a55"}})


def test_cycles_are_summed_by_runs_and_scaled_to_all_instructions():
    blocks = [Block(10, 8, b""), Block(5, 4, b"")]  # 100 instructions of 110
    found = read_estimate(mca((500, 4.0), (150, 2.0)), blocks, total=110)
    assert found.low == pytest.approx(1.1 * (8 * 4 + 4 * 2))
    assert found.high == pytest.approx(1.1 * (8 * 10 + 4 * 3))
    assert found.blocks == 2


@pytest.mark.parametrize("output", ["", "{}", mca((500, 4.0)), '{"CodeRegions": [{"SummaryView": {}}, {}]}'])
def test_other_output_of_llvm_mca_is_refused(output):
    with pytest.raises(InputError, match="oh no"):
        read_estimate(output, [Block(1, 1, b""), Block(1, 1, b"")], total=2, said="oh no")


def test_no_core_is_one_that_qemu_computes_wrongly(tmp_path):
    assert list(CORES) == ["a53", "a55", "a76", "a7"]
    assert list(ARM64) == ["a53", "a55", "a76"]
    for core in CORES.values():
        assert core.qemu_cpu != "max"
        assert ("asimddp" in core.features.split()) is (core.name in ("a55", "a76"))
        assert ("vfpv4" in core.features.split()) is (core.name == "a7"), "its wheel has fused multiply-adds"
        write_prefix(core, tmp_path / core.name)
        cpuinfo = (tmp_path / core.name / "proc/cpuinfo").read_text()
        assert cpuinfo.count(f"CPU part\t: {core.part:#x}") == cpuinfo.count("processor") == 4
        assert f"CPU architecture: {7 if core.name == 'a7' else 8}\n" in cpuinfo
    assert (tmp_path / "a55/sys/devices/system/cpu/cpu3/cache/index2/size").read_text() == "512K\n"


def outputs(*rows: list[float]) -> tuple[Output, ...]:
    values = np.asarray(rows, "<f4")
    return (Output(values.view(np.uint8).reshape(len(rows), -1), True),)


def test_int8_files_must_be_equal_to_the_bit_on_noise():
    same = outputs(*[[1.0, 2.0]] * 5)
    assert compare(same, same, tolerances=allowed("int8")).passed
    off = outputs([1.0, np.nextafter(np.float32(2), np.float32(3))], *[[1.0, 2.0]] * 4)
    found = compare(off, same, tolerances=allowed("int8"))
    assert not found.passed
    assert [item.name for item in found.inputs if not item.passed] == ["noise"]
    assert compare(off, same, tolerances=allowed("float")).passed


def test_float_files_may_differ_by_rounding_relative_to_their_size():
    x86 = outputs(*[[0.5, 100.0]] * 5)
    just, over = 0.9 * FLOAT_TOLERANCE * 100, 2 * FLOAT_TOLERANCE * 100
    assert compare(outputs(*[[0.5 + just, 100.0]] * 5), x86, tolerances=allowed("float")).passed
    found = compare(outputs(*[[0.5 + over, 100.0]] * 5), x86, tolerances=allowed("float"))
    assert [item.passed for item in found.inputs] == [
        False,
        False,
        True,
        True,
        True,
    ], "extremes have the tolerance between devices"
    assert found.inputs[0].difference == pytest.approx(2 * FLOAT_TOLERANCE, rel=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_fails_even_when_it_is_equal(bad):
    broken = outputs(*[[1.0, bad]] * 5)
    for precision in ("int8", "dynamic", "float"):
        found = compare(broken, broken, tolerances=allowed(precision))
        assert not found.passed
        assert found.inputs[0].difference is None


def test_a_joined_int8_file_is_held_to_its_network_bit_for_bit():
    image = outputs(*[[1.0, 2.0]] * 5)
    off = outputs(*[[1.0, np.nextafter(np.float32(2), np.float32(3))]] * 5)
    assert not any(item.passed for item in compare(off, image, tolerances=allowed_network("int8")).inputs), (
        "no input is extreme to a network"
    )
    assert compare(off, image, tolerances=allowed_joined("int8")).passed
    step = outputs(*[[1.0, 2.0 + 2.0 * 1.1 * CHECK_TOLERANCE["i8"]]] * 5)
    assert not compare(step, image, tolerances=allowed_joined("int8")).passed
    assert allowed_network("float") == allowed_joined("float") == allowed("float")


def test_integer_outputs_must_be_equal():
    one, two = (Output(np.full((5, 4), value, np.uint8), False) for value in (1, 2))
    assert compare([one], [one], tolerances=allowed("float")).passed
    assert not compare([two], [one], tolerances=allowed("dynamic")).passed


def summary(*pairs: tuple[str, str]) -> Summary:
    ops = tuple(Op("CONV_2D", False, taken, weight, 0, taken, 0, "") for taken, weight in pairs)
    return Summary(ops=ops, parameters=0, network_parameters=0, macs=0, network_macs=0)


def test_precision_is_that_of_the_network():
    assert model_precision(summary(("FLOAT32", "FLOAT32"), ("INT8", "INT8"))) == "int8"
    assert model_precision(summary(("FLOAT32", "INT8"))) == "dynamic"
    assert model_precision(summary(("FLOAT32", "FLOAT32"))) == "float"


def test_inputs_are_the_same_every_time_and_in_range():
    first, again = make_inputs(1000), make_inputs(1000)
    assert list(first) == NAMES
    for name, values in first.items():
        assert values.dtype == np.float32
        assert values.shape == (1000,)
        assert values.min() >= -1.0 and values.max() < 1.0
        np.testing.assert_array_equal(values, again[name])


def measured(*, passed: bool = True, repeatable: bool = True) -> Measured:
    parity = Parity(passed, tuple(OnInput(name, passed, 0.0 if passed else 0.25, 0.0, passed) for name in NAMES))
    near = Parity(True, tuple(OnInput(name, False, 1e-7, 1e-6, True) for name in NAMES))
    parts = (PartOnCore("spectrogram", 234_567, True, near), PartOnCore("network", 1_000_000, True, parity))
    cycles = Cycles(1.4e6, 2.8e6, 9)
    core = OnCore(
        "a53", 1_234_567, dict.fromkeys(CLASSES, 500_000), repeatable, cycles, Milliseconds(1.0, 2.0), near, parts
    )
    return Measured("m.tflite", "0" * 64, 10, "int8", 5, (1, 8000), 0.5, OnX86(999, True), (core,))


def results(file: Measured) -> dict:
    versions = {"qemu": "7.2", "litert": "2.3.0", "tflite_runtime": "2.14.0", "llvm": "19"}
    return {
        "label": "estimated, no device",
        "versions": versions,
        "cores": [to_dict(CORES["a53"])],
        "files": [to_dict(file)],
    }


def test_table_labels_every_time_as_an_estimate():
    text = table(results(measured()))
    heading, _, row, x86 = text.splitlines()[:4]
    assert all("(estimated, no device)" in cell for cell in heading.split(" | ") if cell.startswith(("ms", "Mcycles")))
    assert "| Cortex-A53 | 1,234,567 | 1.00 |" in row
    assert "| 1.40 - 2.80 | 1.00 - 2.00 | 2.00 - 4.00 | equal bits | 1.0e-07 | 1.0e-07 |" in row
    assert x86.startswith("| m.tflite | x86-64 with AVX2 | 999 |")
    assert heading.count("|") == row.count("|") == x86.count("|")
    assert "1.4 GHz (Raspberry Pi 3B+" in text


def test_a_core_without_a_model_has_counts_and_parity_alone():
    file = measured()
    bare = dataclasses.replace(file.cores[0], core="a7", by_class=None, cycles=None, ms=None, beside_litert=0.037)
    made = results(dataclasses.replace(file, cores=(*file.cores, bare)))
    made["cores"].append(to_dict(CORES["a7"]))
    heading, _, _, row, _ = table(made).splitlines()[:5]
    assert (
        f"| Cortex-A7 | 1,234,567 | 1.00 |{'  |' * (len(CLASSES) + 3)} equal bits | 1.0e-07 | 1.0e-07 (3.7e-02 to"
        " LiteRT) |" in row
    )
    assert heading.count("|") == row.count("|")
    assert "Cortex-A7 (Raspberry Pi 2) is 32-bit" in table(made)
    assert "None" not in table(made)
    modelled, unmodelled = to_rows(made)
    assert modelled.ms == (1.0, 2.0)
    assert (unmodelled.ms, unmodelled.mega_cycles, unmodelled.ms_per_audio_s) == (None, None, None)
    assert unmodelled.made_by == "QEMU 7.2, tflite-runtime 2.14.0"


def test_the_largest_difference_is_over_all_inputs():
    assert largest_difference(outputs([1.0, 2.0], [1.0, 4.0]), outputs([1.0, 2.0], [2.0, 4.0])) == 0.25
    assert largest_difference(outputs([1.0], [np.nan]), outputs([1.0], [1.0])) is None


def test_on_armv7_an_int8_network_is_held_to_the_tolerance_between_devices():
    assert set(allowed_network("int8").values()) == {0.0}
    assert set(allowed_joined("int8").values()) == {TOLERANCES["int8"][1]}
    assert allowed_joined("float") == allowed_network("float")


def test_the_gate_names_every_failure():
    assert measured().failures == []
    assert dataclasses.replace(measured(), x86=OnX86(999, repeatable=False)).failures == []
    failures = measured(passed=False, repeatable=False).failures
    assert failures[0] == "m.tflite on a53: network: for noise its outputs differ from x86's by 0.25, allowed: no bit"
    assert failures[-1] == "m.tflite on a53: its calls do not execute the same number of instructions"
    text = table(results(measured(passed=False, repeatable=False)))
    assert "1,234,567 (not repeatable)" in text
    assert "**failed: 2.5e-01**" in text


@pytest.mark.parametrize("passed", [True, False])
def test_the_command_writes_its_figures_before_the_gate_speaks(monkeypatch, tmp_path, passed):
    main = importlib.import_module("hearlite.benchmarks.arm.command")
    versions = {"qemu": "7.2", "litert": "2.3.0", "llvm": "19"}
    monkeypatch.setattr(main, "set_up", lambda folder, **options: Box(folder, versions, "good"))
    monkeypatch.setattr(main, "read_model", lambda path: path)
    monkeypatch.setattr(main, "measure", lambda *arguments, **options: measured(passed=passed))
    done = CliRunner().invoke(
        main.command, ["m.tflite", "--out", str(tmp_path / "out"), "--core", "a53", "--box", str(tmp_path)]
    )
    assert done.exit_code == int(not passed)
    assert isinstance(done.exception, GateError) is not passed
    assert GateError.exit_code == 4
    written = json.loads((tmp_path / "out/results.json").read_text())
    assert (written["schema"], written["label"]) == ("hearlite-arm/2", "estimated, no device")
    assert [core["midr"] for core in written["cores"]] == ["part 0xd03 r0p4"]
    assert written["files"][0]["cores"][0]["ms"]["label"] == "estimated, no device"
    assert (tmp_path / "out/table.md").read_text() in done.output


def test_counts_of_an_earlier_day_must_come_again(tmp_path):
    now, said = results(measured()), []
    before = json.loads(json.dumps({**now, "created": "2026-01-01T00:00:00+00:00", "schema": "hearlite-arm/2"}))
    assert changed(now, before, log=said.append) == []
    assert said == ["3 of 3 counts are equal to those of 2026-01-01T00:00:00+00:00"]  # the file and its halves
    before["files"][0]["cores"][0]["parts"][1]["instructions"] += 1
    before["versions"]["qemu"] = "7.1"
    assert changed(now, before, log=said.append) == [
        "m.tflite on a53, network: 1,000,000 instructions, 1,000,001 before"
    ]
    assert said[1] == "2 of 3 counts are equal to those of 2026-01-01T00:00:00+00:00; qemu 7.1 -> 7.2"
    before["files"][0]["sha256"] = "1" * 64
    with pytest.raises(InputError, match="no file is also in the run"):
        changed(now, before, log=said.append)


def test_files_need_a_folder_for_their_figures():
    main = importlib.import_module("hearlite.benchmarks.arm.command")
    assert isinstance(CliRunner().invoke(main.command, ["m.tflite"]).exception, UsageError)


@pytest.mark.parametrize(
    ("arguments", "content", "error", "says"),
    [
        ([], {"schema": "hearlite-arm/2"}, UsageError, "given without a file to count"),
        (["m.tflite"], None, InputError, "No such file"),
        (["m.tflite"], {"schema": "hearlite-results/2"}, InputError, "schema is 'hearlite-results/2'"),
        (["m.tflite"], {"schema": "hearlite-arm/2"}, InputError, "not readable: KeyError: 'files'"),
    ],
)
def test_an_earlier_run_is_read_before_anything_is_set_up(monkeypatch, tmp_path, arguments, content, error, says):
    main = importlib.import_module("hearlite.benchmarks.arm.command")
    monkeypatch.setattr(main, "set_up", lambda *_, **__: pytest.fail("the box was set up first"))
    monkeypatch.setattr(main, "read_model", lambda path: path)
    if content is not None:
        (tmp_path / "before.json").write_text(json.dumps(content))
    done = CliRunner().invoke(
        main.command, [*arguments, "--out", str(tmp_path / "out"), "--against", str(tmp_path / "before.json")]
    )
    assert isinstance(done.exception, error) and says in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_fed_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"name a \.tflite file"):
        read_model(tmp_path / "absent.tflite")
    (tmp_path / "other.tflite").write_bytes(b"no flatbuffer")
    with pytest.raises(InputError, match=r"not a \.tflite file"):
        read_model(tmp_path / "other.tflite")


@pytest.mark.skipif(not os.environ.get("HEARLITE_ARM_BOX"), reason="HEARLITE_ARM_BOX names no box of hearlite arm")
@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_a_student_runs_on_every_core_as_it_does_here(bundle, precision):
    from hearlite.benchmarks.arm.measure import measure
    from hearlite.benchmarks.arm.sandbox.sandbox import open_box

    box = open_box(Path(os.environ["HEARLITE_ARM_BOX"]))
    model = read_model(getattr(bundle, precision))
    assert model.precision == {"i8": "int8", "f32": "float"}[precision]
    first, again = (measure(box, model, cores=list(CORES.values()), log=print) for _ in range(2))
    assert first.cores == again.cores, "instructions, cycles and parity are the same every time"
    assert all(core.repeatable for core in first.cores)
    *arm64, a7 = first.cores
    for core in arm64:
        assert sum(core.by_class.values()) == core.instructions
        assert 0 < core.cycles.low <= core.cycles.high
        assert core.beside_litert is None
    assert (a7.by_class, a7.cycles, a7.ms) == (None, None, None)
    assert 0 < a7.beside_litert < 0.5, "beside, not judged"
    a53, a55, a76 = (core.by_class for core in arm64)
    assert a53["SDOT"] == 0
    assert (min(a55["SDOT"], a76["SDOT"], a53["SMLAL"]) > 0) is (precision == "i8")
    if precision == "i8":
        assert first.failures == []
        for core in first.cores:
            spectrogram, network = core.parts
            assert core is a7 or all(item.equal for item in network.parity.inputs), "from the same image, the same bits"
            assert 0.9 * core.instructions < spectrogram.instructions + network.instructions < 1.1 * core.instructions
    else:  # a student of a dozen steps may exceed FLOAT_TOLERANCE a little, never the tolerance between devices
        assert all(item.difference < TOLERANCES["float"][1] for core in first.cores for item in core.parity.inputs)


@pytest.mark.skipif(not os.environ.get("HEARLITE_ARM_BOX"), reason="HEARLITE_ARM_BOX names no box of hearlite arm")
def test_armv7_counts_the_same_under_another_name_and_in_another_folder(bundle, tmp_path, monkeypatch):
    from hearlite.benchmarks.arm.sandbox.sandbox import open_box

    box = open_box(Path(os.environ["HEARLITE_ARM_BOX"]))
    inputs = np.stack(list(make_inputs(int(np.prod(read_model(bundle.i8).input_shape))).values()))
    first = run_core(box, bundle.i8, inputs, core=CORES["a7"])
    elsewhere = tmp_path / "a folder with a longer name"
    elsewhere.mkdir()
    (elsewhere / "another.tflite").write_bytes(bundle.i8.read_bytes())
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    monkeypatch.setenv("UNRELATED", 3000 * "x")
    (elsewhere / "link to the box").symlink_to(box.folder.resolve())
    there = dataclasses.replace(box, folder=elsewhere / "link to the box")
    again = run_core(there, elsewhere / "another.tflite", inputs, core=CORES["a7"])
    assert first.counted.repeatable and again.counted.repeatable
    assert again.counted.instructions == first.counted.instructions
    assert np.array_equal(again.outputs[0].raw, first.outputs[0].raw)
    assert run_tflite(box, bundle.i8, inputs).outputs[0].raw.shape == first.outputs[0].raw.shape
