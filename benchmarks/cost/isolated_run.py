"""Open and run one .tflite in a process of its own: cold start, memory, outputs. Prints one line of JSON.

    PYTHON isolated_run.py RUNTIME MODEL THREADS RUNS [INPUTS.npy OUTPUTS.npy]

A script that needs numpy and the runtime alone: it also runs in the environment of the older tflite-runtime, which has
no hearlite.
"""

import contextlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MODULES = {"litert": "ai_edge_litert.interpreter", "tf": "tensorflow", "tflite-runtime": "tflite_runtime.interpreter"}
PACKAGES = {"litert": "ai-edge-litert", "tf": "tensorflow", "tflite-runtime": "tflite-runtime"}


def memory_bytes(field: str) -> "int | None":
    """VmRSS (resident now) or VmHWM (the most that was) of this process; None where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def forget_peak() -> None:
    """Lets VmHWM start again from what is resident now (proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(runtime: str, model: str, threads: str, runs: str, inputs: str = "", outputs: str = "") -> None:
    """Run one model in this process and print its times and memory as JSON."""
    from importlib.metadata import version

    clock = time.perf_counter
    started = clock()
    module = importlib.import_module(MODULES[runtime])
    interpreter_class = module.lite.Interpreter if runtime == "tf" else module.Interpreter
    imported = clock()
    forget_peak()
    before = memory_bytes("VmRSS")
    began = clock()
    interpreter = interpreter_class(
        model_path=model, num_threads=int(threads)
    )  # a path: the file is mapped, as in an app
    interpreter.allocate_tensors()
    loaded = clock()
    details = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).normal(0.0, 0.1, details["shape"]).astype(np.float32)
    rows = np.load(inputs, allow_pickle=False) if inputs else noise[None]

    def call(row: Any) -> None:
        interpreter.set_tensor(details["index"], row.reshape(details["shape"]))
        interpreter.invoke()

    first = clock()
    call(rows[0])
    done = clock()
    for _ in range(int(runs)):
        call(rows[0])
    peak = memory_bytes("VmHWM")
    answer = {
        "runtime": f"{runtime} {version(PACKAGES[runtime])}",
        "import_ms": 1e3 * (imported - started),
        "load_ms": 1e3 * (loaded - began),
        "first_ms": 1e3 * (done - first),
        "peak_bytes": None if peak is None or before is None else peak - before,
        "process_bytes": peak,
    }
    if outputs:
        found = interpreter.get_output_details()[0]
        answer["scale"] = float(found["quantization"][0])
        results = []
        for row in rows:
            call(row)
            results.append(interpreter.get_tensor(found["index"]))
        np.save(outputs, np.stack(results), allow_pickle=False)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
