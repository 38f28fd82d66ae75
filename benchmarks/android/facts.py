"""Read facts about a device, and compare its outputs with the golden embedding of the exporter."""

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
    """Read facts about a device, such as its name, processor and battery.

    A device is taken as emulated if Android says so, or if it can't run `runner` natively.

    Parameters
    ----------
    adb : Adb
        The device.
    runner : Runner
        The program to run there.
    prefix : str
        Command on the device that starts the program, such as an emulator; may be empty.

    Returns
    -------
    DeviceFacts
        The facts; optional ones are None if the device doesn't report them.

    Raises
    ------
    InputError
        If the device has another processor than the program, and there is no `prefix`.
    DeviceLostError
        If the device is disconnected.
    """
    battery, machine = adb.value("dumpsys battery"), adb.value("uname -m")

    native = runner.is_native(machine)
    if not native and not prefix:
        hint = "pass --runner with a program built for it, or --exec-prefix with the command that starts the program"
        raise InputError(f"{adb.serial} has another processor, {machine}, than the program", hint)

    def number(key: str) -> int | None:
        match = re.search(rf"^\s*{key}: (\d+)\s*$", battery, re.MULTILINE)
        return int(match[1]) if match else None

    name = " ".join(filter(None, (adb.value("getprop ro.product.manufacturer"), adb.value("getprop ro.product.model"))))
    release, cores, tenths = adb.value("getprop ro.build.version.release"), adb.value("nproc"), number("temperature")
    # Android's own emulator: the first property since Android 12, the second one before.
    emulator = "1" in (adb.value("getprop ro.boot.qemu"), adb.value("getprop ro.kernel.qemu"))
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
    """Return the golden embedding, followed by the scores of a fused classifier: [dim + labels]."""
    return np.asarray((*manifest.golden_embedding, *(manifest.head.golden_scores if manifest.head else ())), np.float32)


def compare_golden(manifest: Manifest, found: NDArray[np.float32]) -> DeviceParity:
    """Compare a device's outputs for the golden signal with the manifest's golden values.

    Parameters
    ----------
    manifest : Manifest
        A manifest with a tolerance.
    found : float32 array [dim + labels]
        Outputs of the device, in the order of `golden_values`.

    Returns
    -------
    DeviceParity
        Relative difference of the embeddings, largest difference of the scores, and whether both are within the
        tolerance.
    """
    assert manifest.golden_tolerance is not None
    golden, tolerance = golden_values(manifest), manifest.golden_tolerance
    expected, actual = golden[: manifest.dim], found[: manifest.dim]
    # The same measure as in `hearlite check`.
    difference = float(np.linalg.norm(actual - expected) / max(float(np.linalg.norm(expected)), 1e-6))
    scores = float(np.abs(found - golden)[manifest.dim :].max()) if manifest.head else None
    passed = difference <= tolerance and (scores is None or scores <= tolerance)  # NaN fails
    return DeviceParity(
        passed=passed,
        exact=bool(np.array_equal(actual, expected)),
        relative_difference=difference if np.isfinite(difference) else None,
        score_difference=scores if scores is not None and np.isfinite(scores) else None,
        tolerance=tolerance,
    )
