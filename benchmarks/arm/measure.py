"""Measure a .tflite file on every core: count instructions, estimate cycles, compare outputs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.arm.cores import Core
from hearlite.benchmarks.arm.cycles import LABEL, estimate
from hearlite.benchmarks.arm.instruction_count import Counted, Ran, run_core, run_native, run_x86
from hearlite.benchmarks.arm.instruction_mix import disassemble, executed_by_class
from hearlite.benchmarks.arm.parity import Parity, Precision, compare, largest_difference, make_inputs, model_precision
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.schema import SCHEMA, Measured, Milliseconds, OnCore, OnX86, PartOnCore
from hearlite.benchmarks.arm.split_model import Half, judged
from hearlite.benchmarks.cost.latency import device
from hearlite.errors import InputError
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO
from hearlite.tflite.model_file import load, read_tflite, summarize

_FLOAT32 = 0  # TensorType of the TFLite schema


@dataclass(frozen=True)
class Model:
    """A .tflite file with one float32 input of a fixed shape."""

    path: Path
    sha256: str
    size: int  # bytes
    input_shape: tuple[int, ...]
    macs: int
    precision: Precision

    @property
    def audio_s(self) -> float | None:
        """Return the seconds of audio per call; None if the input isn't a waveform [samples] or [1, samples]."""
        return (
            self.input_shape[-1] / AUDIO.sample_rate_hz
            if len(self.input_shape) in (1, 2) and int(np.prod(self.input_shape[:-1])) == 1
            else None
        )


def read_model(path: Path) -> Model:
    """Read a .tflite file and check that the benchmark can run it.

    Raises
    ------
    InputError
        If the file can't be read, or doesn't have exactly one input, of type float32 and fixed shape.
    """
    content = read_tflite(path)
    graph = load(content, where=str(path)).subgraphs[0]
    inputs = [graph.tensors[index] for index in graph.inputs]
    if len(inputs) != 1 or inputs[0].type != _FLOAT32:
        raise InputError(
            f"{path} has {len(inputs)} inputs, or one that is not float32",
            "only files with one float32 input are measured",
        )
    signed = inputs[0].shapeSignature
    shape = tuple(int(size) for size in (inputs[0].shape if signed is None else signed))
    if not shape or min(shape) < 1:
        raise InputError(
            f"{path} has the input shape {list(shape)}, which is not fixed", "export it for one input length"
        )
    summary = summarize(content, where=str(path))
    sha256 = hashlib.sha256(content).hexdigest()
    return Model(
        path=path,
        sha256=sha256,
        size=len(content),
        input_shape=shape,
        macs=summary.macs,
        precision=model_precision(summary),
    )


def measure(box: Box, model: Model, *, cores: Sequence[Core], log: Callable[[str], None]) -> Measured:
    """Run a file natively, on an emulated x86-64 and on every core.

    Parameters
    ----------
    box : Box
        The sandbox.
    model : Model
        The file, from `read_model`.
    cores : sequence of Core
        The cores to emulate.
    log : callable
        Called with a line of text before each core.

    Returns
    -------
    Measured
        Counts, estimates and parity.

    Raises
    ------
    InputError
        If the runtime can't run the file.
    """
    signals = make_inputs(int(np.prod(model.input_shape)))
    inputs = np.stack(list(signals.values()))
    # Its outputs aren't compared, so two inputs are enough: two calls that warm up, then the counted ones.
    x86 = _counted(run_x86(box, model.path, inputs[[0, 0]]))
    on_cores = []
    with tempfile.TemporaryDirectory() as folder:
        beside = run_native(box, model.path, inputs)
        by_processor = {
            name: judged(box, model.path, inputs, folder=Path(folder), precision=model.precision, processor=name)
            for name in dict.fromkeys(core.processor for core in cores)
        }
        for core in cores:
            log(f"{model.path.name} on {core.title}")
            *halves, whole = by_processor[core.processor]
            parts = tuple(_part(half, run_core(box, half.path, half.inputs, core=core)) for half in halves)
            on_cores.append(
                _on_core(
                    box,
                    whole,
                    run_core(box, whole.path, whole.inputs, core=core),
                    core=core,
                    parts=parts,
                    beside=beside,
                )
            )
    return Measured(
        name=model.path.name,
        sha256=model.sha256,
        bytes=model.size,
        precision=model.precision,
        macs=model.macs,
        input_shape=model.input_shape,
        audio_s=model.audio_s,
        x86=OnX86(instructions=x86.instructions, repeatable=x86.repeatable),
        cores=tuple(on_cores),
    )


def to_results(files: Sequence[Measured], *, cores: Sequence[Core], box: Box, command: str) -> dict[str, Any]:
    """Assemble the content of results.json.

    Parameters
    ----------
    files : sequence of Measured
        Results of `measure`.
    cores : sequence of Core
        The cores that were emulated.
    box : Box
        The sandbox that was used.
    command : str
        Command line to record.

    Returns
    -------
    dict
        JSON data of schema SCHEMA.
    """
    return {
        "schema": SCHEMA,
        "command": command,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": device(),
        "versions": {"hearlite": version("hearlite"), **box.versions},
        "debian_signature": box.signature,
        "label": LABEL,
        "cores": [{**to_dict(core), "midr": core.midr} for core in cores],
        "files": [to_dict(file) for file in files],
    }


def list_failures(files: Sequence[Measured]) -> list[str]:
    """Return a sentence for everything in the files that the gate refuses."""
    return [failure for file in files for failure in file.failures]


def _part(half: Half, ran: Ran) -> PartOnCore:
    counted = _counted(ran)
    return PartOnCore(half.part, counted.instructions, counted.repeatable, _parity(half, ran))


def _parity(half: Half, ran: Ran) -> Parity:
    return compare(ran.outputs, half.reference.outputs, tolerances=half.tolerances)


def _on_core(box: Box, whole: Half, ran: Ran, *, core: Core, parts: tuple[PartOnCore, ...], beside: Ran) -> OnCore:
    counted = _counted(ran)
    common = OnCore(core.name, counted.instructions, None, counted.repeatable, None, None, _parity(whole, ran), parts)
    if core.llvm_cpu is None:
        return replace(common, beside_litert=largest_difference(ran.outputs, beside.outputs))
    text = disassemble(box, counted.blocks)
    cycles = estimate(box, counted.blocks, llvm_cpu=core.llvm_cpu, text=text)
    per_ms = core.nominal_ghz * 1e6
    ms = Milliseconds(low=cycles.low / per_ms, high=cycles.high / per_ms)
    return replace(common, by_class=executed_by_class(counted.blocks, text=text), cycles=cycles, ms=ms)


def _counted(ran: Ran) -> Counted:
    if ran.counted is None:
        raise InputError("the emulator ran without its plugin", "delete the sandbox and set it up again")
    return ran.counted
