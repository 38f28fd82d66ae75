"""Where a model's time goes, operator by operator, from LiteRT's own profiler.

Run as `python -m hearlite.benchmarks.cost.operator_profile MODEL.tflite RUNS`.

The profiler is a part of the C API, which the Python package brings as libLiteRt.so but doesn't show. It is called here
through ctypes, in a process of its own: a library of another version, whose structures differ, may crash it. The
declarations follow litert/c/ of LiteRT 2.3.0 (Apache-2.0).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.cost.child_processes import tied
from hearlite.benchmarks.schema.cost import Part
from hearlite.benchmarks.schema.cost_text import BETWEEN
from hearlite.errors import InputError

BY_PROFILER = (
    "LiteRT's profiler, mean over {} calls; XNNPACK rounds each operator down to microseconds, the rest is between"
    " operators"
)
_CPU, _FOR_WRITING = 1, 1  # kLiteRtHwAcceleratorCpu, kLiteRtTensorBufferLockWrite
_DEFAULT, _OPERATOR, _IN_DELEGATE = (
    1,
    2,
    8,
)  # ProfiledEventData.event_type: a whole call, an operator of the interpreter, one of XNNPACK
_TIMEOUT_S = 300
_WARM_UP = 3


class _TensorType(ctypes.Structure):  # LiteRtRankedTensorType; rank and flags share a word
    _fields_ = (
        ("element", ctypes.c_int32),
        ("rank", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _Event(ctypes.Structure):  # ProfiledEventData; MemoryUsage is three words
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("event_type", ctypes.c_int32),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int32),
    )


def operator_parts(model: Path, *, runs: int) -> tuple[tuple[Part, ...], str]:
    """Return milliseconds a call by kind of operator, largest first, and how they were measured.

    Nothing, and why, where the profiler can't be used.
    """
    command = [sys.executable, "-m", "hearlite.benchmarks.cost.operator_profile", str(model), str(runs)]
    try:
        done = subprocess.run(tied(command), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        found = json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        found = None
    if not found:
        return (), "not measured: this LiteRT's profiler could not be used"
    return to_parts(found["operators"], whole_ms=found["whole_ms"]), BY_PROFILER.format(runs)


def to_parts(operators: Sequence[tuple[str, float]], *, whole_ms: float) -> tuple[Part, ...]:
    """(kind, milliseconds) of single operators, summed by kind; what no operator took is BETWEEN."""
    sums: dict[str, float] = defaultdict(float)
    for kind, ms in operators:
        sums[kind] += ms
    sums[BETWEEN] = max(0.0, whole_ms - sum(sums.values()))
    return tuple(Part(kind, ms, ms / whole_ms) for kind, ms in sorted(sums.items(), key=lambda item: -item[1]))


def profile(model: Path, *, runs: int) -> dict[str, Any]:
    """Run `model` `runs` times under the profiler.

    Returns mean milliseconds of every operator, and of the whole call. Raises InputError.
    """
    compiled = _Compiled(model)
    for _ in range(_WARM_UP):
        compiled.run()
    events: list[tuple[int, str, float]] = []
    for _ in range(runs):
        events += compiled.profiled_run()
    operators = [(tag, ms / runs) for kind, tag, ms in events if kind in (_OPERATOR, _IN_DELEGATE)]
    if not operators:
        raise InputError(
            f"{model}: the profiler saw no operator", "this was written for LiteRT 2.3, yours is another version"
        )
    return {
        "operators": operators,
        "whole_ms": sum(ms / runs for kind, tag, ms in events if kind == _DEFAULT and tag == "Invoke"),
    }


class _Compiled:
    """A model in the C API, on the CPU, one thread, its input filled with noise."""

    def __init__(self, path: Path) -> None:
        import ai_edge_litert

        self._library = ctypes.CDLL(str(Path(next(iter(ai_edge_litert.__path__))) / "libLiteRt.so"))
        environment = self._make("LiteRtCreateEnvironment", 0, None)
        model = self._make("LiteRtCreateModelFromFile", environment, str(path).encode())
        options = self._make("LiteRtCreateOptions")
        self._check("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._payload = ctypes.create_string_buffer(
            b"enable_profiling = true\n"
        )  # TOML, as litert_runtime_options.cc reads it
        self._keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)  # the payload is ours
        opaque = self._make("LiteRtCreateOpaqueOptions", b"runtime_options_string", self._payload, self._keep)
        self._check("LiteRtAddOpaqueOptions", options, opaque)
        self._model = self._make("LiteRtCreateCompiledModel", environment, model, options)
        self._profiler = self._make("LiteRtCompiledModelGetProfiler", self._model)
        signature = self._make("LiteRtGetModelSignature", model, ctypes.c_size_t(0))
        self._input = self._buffer(environment, signature, "Input", 0)
        count = ctypes.c_size_t()
        self._check("LiteRtGetNumSignatureOutputs", signature, ctypes.byref(count))
        outputs = [self._buffer(environment, signature, "Output", index) for index in range(count.value)]
        self._outputs = (ctypes.c_void_p * len(outputs))(*(output.value for output in outputs))
        self._fill()

    def run(self) -> None:
        one = ctypes.c_size_t(1)
        outputs = ctypes.c_size_t(len(self._outputs))
        self._check(
            "LiteRtRunCompiledModel",
            self._model,
            ctypes.c_size_t(0),
            one,
            ctypes.byref(self._input),
            outputs,
            self._outputs,
        )

    def profiled_run(self) -> list[tuple[int, str, float]]:
        """(type, tag, milliseconds) of every event of a call."""
        self._check("LiteRtResetProfiler", self._profiler)
        self._check("LiteRtStartProfiler", self._profiler)
        self.run()
        self._check("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._check("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._check("LiteRtGetProfilerEvents", self._profiler, count, events)
        return [
            (event.event_type, (event.tag or b"").decode(errors="replace"), event.elapsed_us / 1e3) for event in events
        ]

    def _buffer(self, environment: Any, signature: Any, side: str, index: int) -> ctypes.c_void_p:
        where, kind = ctypes.c_size_t(index), _TensorType()
        tensor = self._make(f"LiteRtGetSignature{side}TensorByIndex", signature, where)
        self._check("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
        needs = self._make(f"LiteRtGetCompiledModel{side}BufferRequirements", self._model, ctypes.c_size_t(0), where)
        return self._make("LiteRtCreateManagedTensorBufferFromRequirements", environment, ctypes.byref(kind), needs)

    def _fill(self) -> None:
        size, memory = ctypes.c_size_t(), ctypes.c_void_p()
        self._check("LiteRtGetTensorBufferSize", self._input, ctypes.byref(size))
        noise = np.random.default_rng(0).normal(0.0, 0.1, size.value // 4).astype(np.float32)
        self._check("LiteRtLockTensorBuffer", self._input, ctypes.byref(memory), _FOR_WRITING)
        ctypes.memmove(memory, noise.ctypes.data, noise.nbytes)
        self._check("LiteRtUnlockTensorBuffer", self._input)

    def _make(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._check(function, *arguments, ctypes.byref(handle))
        return handle

    def _check(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise InputError(f"LiteRT's {function} fails with status {status}")


if __name__ == "__main__":
    print(json.dumps(profile(Path(sys.argv[1]), runs=int(sys.argv[2]))))
