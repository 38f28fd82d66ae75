"""One file on every core: counted, estimated, compared."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.arm.box import Box
from hearlite.benchmarks.arm.classes import disassemble, executed_by_class
from hearlite.benchmarks.arm.cores import Core
from hearlite.benchmarks.arm.count import Counted, Ran, run_core, run_native, run_x86
from hearlite.benchmarks.arm.cycles import LABEL, estimate
from hearlite.benchmarks.arm.halves import Half, split
from hearlite.benchmarks.arm.parity import Parity, Precision, allowed, allowed_joined, compare, make_inputs, precision_of
from hearlite.benchmarks.arm.schema import SCHEMA, Measured, Milliseconds, OnCore, OnX86, PartOnCore
from hearlite.benchmarks.latency import device
from hearlite.errors import InputError
from hearlite.flatbuffer import load, summarize
from hearlite.spec import AUDIO, to_dict

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
        """Seconds of audio that a call takes; None for an input that is no waveform [samples] or [1, samples]."""
        return self.input_shape[-1] / AUDIO.sample_rate_hz if len(self.input_shape) in (1, 2) and int(np.prod(self.input_shape[:-1])) == 1 else None


def read_model(path: Path) -> Model:
    """Raises InputError for a file that can't be read, or whose input the runner can't feed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name a .tflite file") from error
    graph = load(content).subgraphs[0]
    inputs = [graph.tensors[index] for index in graph.inputs]
    if len(inputs) != 1 or inputs[0].type != _FLOAT32:
        raise InputError(f"{path} has {len(inputs)} inputs, or one that is not float32", "only files with one float32 input are measured")
    signed = inputs[0].shapeSignature
    shape = tuple(int(size) for size in (inputs[0].shape if signed is None else signed))
    if not shape or min(shape) < 1:
        raise InputError(f"{path} takes {list(shape)}, which is not fixed", "export it for one length")
    summary = summarize(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Model(path=path, sha256=sha256, size=len(content), input_shape=shape, macs=summary.macs, precision=precision_of(summary))


def measure(box: Box, model: Model, *, cores: Sequence[Core], say: Callable[[str], None]) -> Measured:
    """Run `model` natively, on emulated x86 and on every core. Raises InputError for what can't run."""
    signals = make_inputs(int(np.prod(model.input_shape)))
    inputs = np.stack(list(signals.values()))
    x86 = _counted(run_x86(box, model.path, inputs[[0, 0]]))  # nothing is compared: two calls that warm up, and those that count
    found = []
    with tempfile.TemporaryDirectory() as folder:
        halves = split(box, model.path, inputs, folder=Path(folder), precision=model.precision)
        tolerances = (allowed_joined if halves else allowed)(model.precision)
        whole = Half("", model.path, inputs, run_native(box, model.path, inputs), tolerances)
        for core in cores:
            say(f"{model.path.name} on {core.title}")
            parts = tuple(
                PartOnCore(half.part, counted.instructions, counted.repeatable, parity) for half, counted, parity in _run(box, halves, core)
            )
            ((_, counted, parity),) = _run(box, [whole], core)
            found.append(_on_core(box, counted, core=core, parity=parity, parts=parts))
    return Measured(
        name=model.path.name,
        sha256=model.sha256,
        bytes=model.size,
        precision=model.precision,
        macs=model.macs,
        input_shape=model.input_shape,
        audio_s=model.audio_s,
        x86=OnX86(instructions=x86.instructions, repeatable=x86.repeatable),
        cores=tuple(found),
    )


def _run(box: Box, files: Sequence[Half], core: Core) -> Iterator[tuple[Half, Counted, Parity]]:
    for file in files:
        ran = run_core(box, file.path, file.inputs, core=core)
        yield file, _counted(ran), compare(ran.outputs, file.reference.outputs, tolerances=file.tolerances)


def as_results(files: Sequence[Measured], *, cores: Sequence[Core], box: Box, command: str) -> dict[str, Any]:
    """The content of results.json."""
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


def failures_of(files: Sequence[Measured]) -> list[str]:
    """What the gate refuses of all files, in words."""
    return [failure for file in files for failure in file.failures]


def _on_core(box: Box, counted: Counted, *, core: Core, parity: Parity, parts: tuple[PartOnCore, ...]) -> OnCore:
    text = disassemble(box, counted.blocks)
    cycles = estimate(box, counted.blocks, core=core, text=text)
    per_ms = core.nominal_ghz * 1e6
    return OnCore(
        core=core.name,
        instructions=counted.instructions,
        by_class=executed_by_class(counted.blocks, text=text),
        repeatable=counted.repeatable,
        cycles=cycles,
        ms=Milliseconds(low=cycles.low / per_ms, high=cycles.high / per_ms),
        parity=parity,
        parts=parts,
    )


def _counted(ran: Ran) -> Counted:
    if ran.counted is None:
        raise InputError("the emulator ran without its plugin", "delete the box and set it up again")
    return ran.counted
