"""What a benchmark of cost writes into results.json, one dataclass per JSON object.

Nothing here measures, reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.schema.device import DeviceBench

SHAPE_ONLY = "shape only: random weights"
COST_KINDS = (
    "f32",
    "i8",
    "d8",
    "w8",
    "f16",
    "peer",
    "shape",
)  # of models; a shape is a peer's architecture with random weights
BOUNDS = ("compute", "memory", "overhead")


@dataclass(frozen=True)
class Footprint:
    """What a .tflite file says of its own cost, without running it. Of one call."""

    name: str
    kind: str  # one of COST_KINDS
    file: str
    sha256: str
    bytes: int
    parameters: int
    macs: int
    int8_macs: int  # those on int8 inputs
    frontend_macs: int  # those before the network, 0 where the file doesn't name it
    audio_s: float  # seconds of sound that a call takes in
    input_shape: tuple[int, ...]
    weight_bytes: int  # of constant tensors
    # each operator reads its inputs and weights and writes its outputs once: what a runtime without fusion moves
    moved_bytes: int
    # The most that is alive at once, in the order of the operators: the arena of a runtime that packs perfectly.
    activation_peak_bytes: int
    note: str = ""  # SHAPE_ONLY, what is not in the file
    source: str = ""  # of a shape: where its geometry is published
    size: str = ""  # of a student: tiny, small or base


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call, over `runs` interleaved rounds; `ratio` compares runs of the same round."""

    model: str
    device: str
    runtime: str
    threads: int
    runs: int
    date: str  # UTC, YYYY-MM-DD
    median_ms: float
    p5_ms: float
    p95_ms: float
    mean_ms: float
    cold_ms: float  # load and first run
    ratio_to: str  # the model that came first
    ratio: float  # median over rounds of that model's time / this one's: times faster
    ratio_p5: float
    ratio_p95: float


@dataclass(frozen=True)
class Speedup:
    """A model next to another: median and 90 % range of the ratio of their times in one round.

    Over the rounds in which both ran.
    """

    model: str
    to: str
    rounds: int
    ratio: float  # times faster a call
    p5: float
    p95: float
    ratio_per_audio: float  # times faster a second of sound


@dataclass(frozen=True)
class ColdStart:
    """A model in a process of its own: what an app meets when it opens the file. Medians over `starts` processes."""

    model: str
    runtime: str
    threads: int
    starts: int
    import_ms: float  # of the runtime's Python package, numpy not included
    load_ms: float  # file to allocated tensors
    first_ms: float  # first call
    # Most resident memory from before loading to the end, less what there was before; null where unknown.
    peak_bytes: int | None
    process_bytes: int | None  # most resident memory of the whole process


@dataclass(frozen=True)
class Part:
    """A part of a model's time."""

    name: str
    ms: float
    share: float  # of the whole model's time


@dataclass(frozen=True)
class Profile:
    """Where a model's time goes, by stages of the network and by kinds of operators.

    Empty where that could not be measured.
    """

    model: str
    stages: tuple[Part, ...]
    stages_by: str  # how they were measured
    operators: tuple[Part, ...]
    operators_by: str


@dataclass(frozen=True)
class Ceiling:
    """What this processor can do at most, measured through the same runtime, one thread."""

    runtime: str
    int8_macs_per_s: float
    float32_macs_per_s: float
    by: str  # what was run


@dataclass(frozen=True)
class RooflineBound:
    """Why a model is not faster. Times are of one call in milliseconds."""

    model: str
    median_ms: float
    compute_ms: float  # its MACs at the ceiling
    memory_ms: float  # its moved bytes at the bandwidth of its working set
    bandwidth_bytes_per_s: float
    fraction_of_peak: float  # compute_ms / median_ms
    frontend_share: float | None
    bound: str  # one of BOUNDS
    text: str


@dataclass(frozen=True)
class OldRuntime:
    """A file in the runtime of older phones, beside the outputs of LiteRT on the same sounds."""

    model: str
    runtime: str
    loads: bool
    largest_difference: float | None  # of outputs
    largest_steps: float | None  # the same in steps of an int8 output's scale; null for other outputs
    within_a_step: float | None  # share of outputs that differ by one step at most
    cosine: float | None  # least of all sounds
    passed: bool  # loads, and no output differs by more than one step, or for float outputs more than rounding explains
    detail: str  # why it doesn't load


@dataclass(frozen=True)
class CrossCheck:
    """The median of the runtime's own benchmark tool on the same file."""

    model: str
    tool: str
    runs: int
    median_ms: float


@dataclass(frozen=True)
class ArmRow:
    """A file on an emulated ARM core.

    Instructions are counted, cycles and milliseconds estimated; None where there is no model of the core.
    """

    model: str
    core: str
    instructions: int
    network_instructions: int | None  # of them the network's; None for a file without a frontend
    repeatable: bool
    mega_cycles: tuple[float, float] | None
    ms: tuple[float, float] | None  # a call, at the core's nominal clock
    ms_per_audio_s: tuple[float, float] | None
    label: str
    parity: str  # of outputs with this machine's
    made_by: str  # versions of emulator, runtime and pipeline models


@dataclass(frozen=True)
class Cost:
    """Everything about cost, of models that ran side by side."""

    device: str
    threads: int
    models: tuple[Footprint, ...]
    latency: tuple[Latency, ...]
    speedups: tuple[Speedup, ...] = ()
    cold_starts: tuple[ColdStart, ...] = ()
    profiles: tuple[Profile, ...] = ()
    ceiling: Ceiling | None = None
    limits: tuple[RooflineBound, ...] = ()
    old_runtime: tuple[OldRuntime, ...] = ()
    cross_checks: tuple[CrossCheck, ...] = ()
    arm: tuple[ArmRow, ...] = ()
    android: tuple[DeviceBench, ...] = ()
    notes: tuple[str, ...] = ()
