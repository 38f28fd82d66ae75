"""One file on every core: counted, estimated, compared. The shapes of results.json."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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
from hearlite.benchmarks.arm.cycles import LABEL, Cycles, estimate
from hearlite.benchmarks.arm.parity import OnInput, Parity, Precision, compare, make_inputs, precision_of
from hearlite.benchmarks.latency import device
from hearlite.errors import InputError
from hearlite.flatbuffer import load, summarize
from hearlite.spec import AUDIO, to_dict

SCHEMA = "hearlite-arm/1"
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


@dataclass(frozen=True)
class Milliseconds:
    """Estimated time of a call at the core's nominal clock."""

    low: float
    high: float
    label: str = LABEL


@dataclass(frozen=True)
class OnCore:
    """A file on an emulated core. All counts are of one call."""

    core: str
    instructions: int
    by_class: dict[str, int]
    repeatable: bool
    cycles: Cycles
    ms: Milliseconds
    parity: Parity


@dataclass(frozen=True)
class OnX86:
    """A file on QEMU's x86-64 with AVX2, counted by the same plugin."""

    instructions: int
    repeatable: bool


@dataclass(frozen=True)
class Measured:
    """Everything about one file."""

    name: str
    sha256: str
    bytes: int
    precision: Precision  # which parity it has to keep
    macs: int
    input_shape: tuple[int, ...]
    audio_s: float | None
    x86: OnX86
    cores: tuple[OnCore, ...]

    @property
    def failures(self) -> list[str]:
        """What the gate refuses, in words. x86 stands beside for comparison: its calls differ by up to 64 instructions, and no phone runs them."""
        bad = [f"{self.name} on {on.core}: {_verdict(item)}" for on in self.cores for item in on.parity.inputs if not item.passed]
        return bad + [f"{self.name} on {on.core}: its calls do not execute the same instructions" for on in self.cores if not on.repeatable]


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
    reference = run_native(box, model.path, inputs)
    x86 = _counted(run_x86(box, model.path, inputs[[0, 0]]))  # nothing is compared: two calls that warm up, and those that count
    found = []
    for core in cores:
        say(f"{model.path.name} on {core.title}")
        ran = run_core(box, model.path, inputs, core=core)
        parity = compare(ran.outputs, reference.outputs, names=list(signals), precision=model.precision)
        found.append(_on_core(box, _counted(ran), core=core, parity=parity))
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


def _on_core(box: Box, counted: Counted, *, core: Core, parity: Parity) -> OnCore:
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
    )


def _counted(ran: Ran) -> Counted:
    if ran.counted is None:
        raise InputError("the emulator ran without its plugin", "delete the box and set it up again")
    return ran.counted


def _verdict(on: OnInput) -> str:
    if on.difference is None:
        return f"for {on.name} its outputs are not finite, or integers differ from x86's"
    allowed = f"{on.tolerance:.2g}" if on.tolerance else "no bit"
    return f"for {on.name} its outputs differ from x86's by {on.difference:.2g}, allowed: {allowed}"
