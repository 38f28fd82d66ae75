"""What a device says of itself, and whether it computes what the exporter computed."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.android.adb import Adb
from hearlite.benchmarks.android.runner import Runner
from hearlite.benchmarks.schema.device import DeviceFacts, DeviceParity
from hearlite.bundle import Manifest
from hearlite.errors import InputError


def read_facts(adb: Adb, runner: Runner, *, prefix: str) -> DeviceFacts:
    """Return the device's own account of itself; `runner` decides whether it is an emulation.

    Raises DeviceLostError, InputError when it can't start without `prefix`.
    """
    battery, machine = adb.value("dumpsys battery"), adb.value("uname -m")

    native = runner.is_native(machine)
    if not native and not prefix:
        hint = "pass --runner with one that was built for it, or --exec-prefix with what starts it there"
        raise InputError(f"{adb.serial} has another processor, {machine}, than its program", hint)

    def number(key: str) -> int | None:
        match = re.search(rf"^\s*{key}: (\d+)\s*$", battery, re.MULTILINE)
        return int(match[1]) if match else None

    name = " ".join(filter(None, (adb.value("getprop ro.product.manufacturer"), adb.value("getprop ro.product.model"))))
    release, cores, tenths = adb.value("getprop ro.build.version.release"), adb.value("nproc"), number("temperature")
    emulator = "1" in (
        adb.value("getprop ro.boot.qemu"),
        adb.value("getprop ro.kernel.qemu"),
    )  # Android's own, since 12 and before
    return DeviceFacts(
        name=name or adb.serial,
        os=f"Android {release}" if release else adb.value("uname -s"),
        abi=adb.value("getprop ro.product.cpu.abi") or machine,
        cores=int(cores) if cores.isdigit() else None,
        battery_percent=number("level"),
        battery_celsius=None if tenths is None else tenths / 10,
        charging="powered: true" in battery if battery else None,
        power_save={"1": True, "0": False}.get(adb.value("settings get global low_power")),
        emulated=emulator or not native,
    )


def golden_values(manifest: Manifest) -> NDArray[np.float32]:
    """Return the golden signal's embedding, [dim], and where a classifier is fused its scores."""
    return np.asarray((*manifest.golden_embedding, *(manifest.head.golden_scores if manifest.head else ())), np.float32)


def compare_golden(manifest: Manifest, found: NDArray[np.float32]) -> DeviceParity:
    """`found` is what a device gave, of the shape of `golden_values`, for a manifest that has a tolerance."""
    assert manifest.golden_tolerance is not None
    golden, tolerance = golden_values(manifest), manifest.golden_tolerance
    expected, got = golden[: manifest.dim], found[: manifest.dim]
    difference = float(
        np.linalg.norm(got - expected) / max(float(np.linalg.norm(expected)), 1e-6)
    )  # check.py's measure
    scores = float(np.abs(found - golden)[manifest.dim :].max()) if manifest.head else None
    passed = difference <= tolerance and (scores is None or scores <= tolerance)  # NaN fails
    return DeviceParity(
        passed=passed,
        exact=bool(np.array_equal(got, expected)),
        relative_difference=difference if np.isfinite(difference) else None,
        score_difference=scores if scores is not None and np.isfinite(scores) else None,
        tolerance=tolerance,
    )
