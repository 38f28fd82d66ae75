"""The bench against a real adbd, in a namespace of its own, with arm64 programs in QEMU: push, run, pull, parity, and a
cable that is pulled.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bundles
from emulated_phone import EmulatedPhone, emulated_phone, missing_tools

from hearlite.benchmarks.android.adb import DeviceLostError
from hearlite.benchmarks.android.bench import bench_android
from hearlite.benchmarks.arm.sandbox.sandbox import open_box
from hearlite.benchmarks.schema.device import EMULATED, DeviceBench
from hearlite.errors import InputError, UsageError

ROOT = Path(os.environ.get("HEARLITE_ADBD", "/"))
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def phone() -> Iterator[EmulatedPhone]:
    if "HEARLITE_ARM_BOX" not in os.environ:
        pytest.skip("HEARLITE_ARM_BOX names no box of `hearlite arm`")
    if reason := missing_tools(ROOT):
        pytest.skip(f"{reason}; HEARLITE_ADBD names where they are unpacked")
    with emulated_phone(ROOT, open_box(Path(os.environ["HEARLITE_ARM_BOX"]))) as phone:
        yield phone


def bench(model: Path, phone: EmulatedPhone, *, folder: str = "") -> DeviceBench:
    return bench_android(
        model, program=phone.program, serial=phone.serial, exec_prefix=phone.exec_prefix, folder=folder or phone.folder
    )


def left(phone: EmulatedPhone) -> list[Path]:
    return list(Path(phone.folder).iterdir())


@pytest.mark.slow
def test_arm64_computes_what_the_exporter_computed(phone: EmulatedPhone, bundle: Bundles, headed: Path) -> None:
    for model in (bundle.i8, headed, bundle.f32):
        report = bench(model, phone)
        assert report.parity.passed and report.model == model.name
        assert report.parity.exact or model == bundle.f32  # int8 to the bit, behind a float frontend
        assert (report.parity.score_difference is not None) == (model == headed)
        assert (report.parity.score_difference or 0.0) <= 1e-6
        assert left(phone) == []


def test_no_time_of_an_emulator_is_shown(phone: EmulatedPhone, bundle: Bundles) -> None:
    report = bench(bundle.i8, phone)
    assert (
        report.device.emulated
        and report.latency is None
        and report.benchmark_model is None
        and report.without_latency == EMULATED
    )
    assert report.device.os.startswith("Linux") and report.threads >= 1


def test_two_devices_need_a_serial(phone: EmulatedPhone, bundle: Bundles) -> None:
    """adb's server finds adbd twice: by address, and as what it takes for an emulator on that port."""
    with pytest.raises(UsageError, match=r"2 devices: .*name one with --serial"):
        bench_android(bundle.i8, program=phone.program, exec_prefix=phone.exec_prefix, folder=phone.folder)


def test_a_cable_that_is_pulled(phone: EmulatedPhone, bundle: Bundles, capfd: pytest.CaptureFixture[str]) -> None:
    """While the program runs there: adb's shell then ends as if all was well, so only the missing end of its output
    tells.
    """

    def pull() -> None:
        until = time.monotonic() + TIMEOUT_S
        while not list(Path(phone.folder).glob("*/input.f32")) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)  # pushed; it runs, or is about to
        phone.unplug()

    puller = threading.Thread(target=pull)
    puller.start()
    try:
        with pytest.raises(DeviceLostError, match="was lost while") as caught:
            bench(bundle.i8, phone)
    finally:
        puller.join()
        phone.plug()
    assert "run the same command again" in str(caught.value)
    assert "is left on" in capfd.readouterr().err and left(phone) != []
    assert bench(bundle.i8, phone).parity.exact
    assert left(phone) == []


def test_a_full_disk(phone: EmulatedPhone, bundle: Bundles) -> None:
    with pytest.raises(
        InputError, match=r"is full: 4\.\d MB are free in .*small/hearlite-bench, 1\d\.\d MB are needed"
    ):
        bench(bundle.i8, phone, folder=phone.small)
    assert subprocess.run([*phone.inside, "ls", phone.small], capture_output=True, check=True).stdout == b""
