"""Convert results of the emulated ARM benchmark to rows for the results.json of the cost benchmark.

The results come from a results.json of `hearlite arm`, or are measured when called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlite.benchmarks.arm.cores import CORES
from hearlite.benchmarks.arm.measure import list_failures, measure, read_model, to_results
from hearlite.benchmarks.arm.regression_check import read_results
from hearlite.benchmarks.arm.sandbox.sandbox import set_up
from hearlite.benchmarks.arm.split_model import NETWORK
from hearlite.benchmarks.arm.table import worst
from hearlite.benchmarks.schema.cost import ArmRow
from hearlite.errors import InputError
from hearlite.files import cache_folder


def read_rows(path: Path) -> tuple[ArmRow, ...]:
    """Read the rows of a results.json of `hearlite arm`.

    Raises
    ------
    InputError
        If the file isn't a valid results.json of that command.
    """
    results = read_results(path)
    try:
        return to_rows(results)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: not readable: {type(error).__name__}: {error}", "run hearlite arm again") from error


def measure_rows(
    files: Sequence[Path], *, command: str, log: Callable[[str], None]
) -> tuple[tuple[ArmRow, ...], list[str]]:
    """Measure files on every core.

    The first call sets up the sandbox below the user's cache folder.

    Parameters
    ----------
    files : sequence of Path
        The .tflite files.
    command : str
        Command line to record.
    log : callable
        Called with a line of text for each step.

    Returns
    -------
    rows : tuple of ArmRow
        A row for each file and core.
    failures : list of str
        A sentence for everything that parity or repeatability refuses.

    Raises
    ------
    UsageError
        If this machine isn't Linux on x86-64, or apt names no Debian mirror.
    InputError
        If a file can't be read or run, or the sandbox can't be set up.
    """
    models = [read_model(path) for path in files]
    box = set_up(cache_folder("arm").absolute(), mirror=None, log=log)
    measured = [measure(box, model, cores=list(CORES.values()), log=log) for model in models]
    return to_rows(to_results(measured, cores=list(CORES.values()), box=box, command=command)), list_failures(measured)


def to_rows(results: Mapping[str, Any]) -> tuple[ArmRow, ...]:
    """One row a file and core."""
    versions, cores = results["versions"], {core["name"]: core for core in results["cores"]}
    return tuple(
        ArmRow(
            model=str(file["name"]),
            core=f"{cores[on['core']]['title']}, {cores[on['core']]['nominal_ghz']:g} GHz",
            instructions=int(on["instructions"]),
            network_instructions=next(
                (int(part["instructions"]) for part in on["parts"] if part["part"] == NETWORK), None
            ),
            repeatable=bool(on["repeatable"]),
            mega_cycles=_range(on["cycles"], 1e6),
            ms=_range(on["ms"], 1.0),
            ms_per_audio_s=_range(on["ms"], file["audio_s"]),
            label=str(results["label"]),
            parity=_parity(on),
            made_by=_made_by(cores[on["core"]], versions),
        )
        for file in results["files"]
        for on in file["cores"]
    )


def _range(of: Mapping[str, Any] | None, unit: float | None) -> tuple[float, float] | None:
    return (of["low"] / unit, of["high"] / unit) if of and unit else None


def _made_by(core: Mapping[str, Any], versions: Mapping[str, Any]) -> str:
    if core["llvm_cpu"] is None:
        return f"QEMU {versions['qemu']}, tflite-runtime {versions['tflite_runtime']}"
    return f"QEMU {versions['qemu']}, LiteRT {versions['litert']}, LLVM {versions['llvm']}"


def _parity(on: Mapping[str, Any]) -> str:
    """In words, each half of a file for itself."""
    if not on["parts"]:
        return worst(on["parity"]["inputs"])
    halves = [f"{part['part']} {worst(part['parity']['inputs'])}" for part in on["parts"]]
    return "; ".join([*halves, f"whole file {worst(on['parity']['inputs'])}"])
