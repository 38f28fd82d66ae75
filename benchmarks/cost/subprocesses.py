"""Models in processes of their own, by isolated_run.py: cold start, peak memory, older runtimes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.cost.child_processes import tied
from hearlite.benchmarks.schema.cost import ColdStart, CrossCheck, OldRuntime
from hearlite.errors import InputError

TOOL = "ai_edge_litert.tools.benchmark_litert_model"  # what the wheel's command litert-benchmark runs
SCRIPT = Path(__file__).with_name("isolated_run.py")
STARTS = 3
WARM_CALLS = 3  # after the first one: some memory is only taken when weights are repacked
OLD = "tflite-runtime"
_TIMEOUT_S = 600  # the largest shape takes half a minute
_ROUNDING = 1 + 1e-5  # dequantized values are float32
_FLOAT_TOLERANCE = (
    1e-3  # of the largest output: other kernels sum in another order, and PCEN amplifies the quietest bins
)


def run_isolated(
    model: Path, *, runtime: str, threads: int = 1, calls: int = WARM_CALLS, python: Path | None = None, **arrays: Path
) -> dict[str, Any]:
    """Return what isolated_run.py prints.

    `python` is the interpreter of another environment. Raises InputError with the last line of its complaint.
    """
    inputs = [str(arrays[name]) for name in ("inputs", "outputs") if name in arrays]
    command = [str(python or sys.executable), str(SCRIPT), runtime, str(model), str(threads), str(calls), *inputs]
    try:
        done = subprocess.run(tied(command), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(
            f"{model.name} in a process of its own: {error}", "name a Python that exists, or a smaller model"
        ) from error
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        died = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise InputError(f"{model.name} in {runtime}, in a process of its own: {lines[-1] if lines else died}"[:400])
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def measure_cold_start(name: str, model: Path, *, runtime: str, threads: int, starts: int = STARTS) -> ColdStart:
    """Open `model` in `starts` new processes, one after the other. Raises InputError."""
    found = [run_isolated(model, runtime=runtime, threads=threads) for _ in range(starts)]

    def middle(key: str) -> float:
        return float(statistics.median(item[key] for item in found))

    known = all(item["peak_bytes"] is not None for item in found)
    return ColdStart(
        model=name,
        runtime=found[0]["runtime"],
        threads=threads,
        starts=starts,
        import_ms=middle("import_ms"),
        load_ms=middle("load_ms"),
        first_ms=middle("first_ms"),
        peak_bytes=int(middle("peak_bytes")) if known else None,
        process_bytes=int(middle("process_bytes")) if known else None,
    )


def benchmark_tool(name: str, model: Path, *, runs: int, threads: int) -> CrossCheck | None:
    """Return the median that the runtime's own benchmark reports, by its newer API (CompiledModel).

    None where it can't run the file.
    """
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "result.json"
        command = [
            sys.executable,
            "-m",
            TOOL,
            f"--model={model}",
            f"--num_runs={runs}",
            f"--num_threads={threads}",
            f"--result_json={told}",
        ]
        try:
            done = subprocess.run(tied(command), capture_output=True, timeout=_TIMEOUT_S, check=False)
            found = json.loads(told.read_text(encoding="utf-8"))["latency"] if done.returncode == 0 else None
            return (
                CrossCheck(name, "litert-benchmark", int(found["num_runs"]), float(found["median_ms"]))
                if found
                else None
            )
        except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired):
            return None


def compare_old(name: str, model: Path, *, python: Path, inputs: NDArray[np.float32]) -> OldRuntime:
    """Check whether `model` opens in the older runtime and computes from `inputs` [n, ...] what LiteRT does.

    int8 outputs, dequantized at the end or not, may be off by one step of their scale: kernels round differently.
    Raises InputError when LiteRT itself fails.
    """
    with tempfile.TemporaryDirectory() as place:
        given, new, old = (Path(place) / f"{part}.npy" for part in ("inputs", "new", "old"))
        np.save(given, inputs, allow_pickle=False)
        run_isolated(model, runtime="litert", inputs=given, outputs=new)
        try:
            found = run_isolated(model, runtime=OLD, python=python, inputs=given, outputs=old)
        except InputError as error:
            return OldRuntime(name, OLD, False, None, None, None, None, passed=False, detail=error.message)
        new_rows, old_rows = (
            np.load(path, allow_pickle=False).astype(np.float64).reshape(len(inputs), -1) for path in (new, old)
        )
    return _compared(name, str(found["runtime"]), new_rows, old_rows, step=output_step(model.read_bytes()))


def _compared(
    name: str, runtime: str, new: NDArray[np.float64], old: NDArray[np.float64], *, step: float
) -> OldRuntime:
    """Compare outputs [sounds, values] of both runtimes."""
    difference = np.abs(new - old)
    largest, allowed = float(difference.max()), step or _FLOAT_TOLERANCE * max(1.0, float(np.abs(new).max()))
    cosine = (new * old).sum(axis=1) / np.maximum(
        np.linalg.norm(new, axis=1) * np.linalg.norm(old, axis=1), np.finfo(np.float64).tiny
    )
    return OldRuntime(
        model=name,
        runtime=runtime,
        loads=True,
        largest_difference=largest,
        largest_steps=largest / step if step else None,
        within_a_step=float((difference <= step * _ROUNDING).mean()) if step else None,
        cosine=float(cosine.min()),
        passed=largest <= allowed * _ROUNDING,
        detail="",
    )


def output_step(model: bytes) -> float:
    """Scale of the int8 tensor behind a model's first output; 0.0 where that is float all the way."""
    from hearlite.tflite.model_file import load, tensor_type
    from hearlite.tflite.structure import operator_name

    loaded = load(model)
    graph = loaded.subgraphs[0]
    index = int(graph.outputs[0])
    for operator in graph.operators:
        if index in operator.outputs and operator_name(loaded, operator) == "DEQUANTIZE":
            index = int(operator.inputs[0])
            break
    tensor = graph.tensors[index]
    quantized = (
        tensor_type(tensor) == "INT8" and tensor.quantization is not None and tensor.quantization.scale is not None
    )
    return float(tensor.quantization.scale[0]) if quantized else 0.0
