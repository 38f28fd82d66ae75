"""Define the content of results.json, and what the gate refuses of it."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.arm.cycles import LABEL, Cycles
from hearlite.benchmarks.arm.parity import OnInput, Parity, Precision

SCHEMA = "hearlite-arm/2"


@dataclass(frozen=True)
class Milliseconds:
    """The estimated time of a call at the core's nominal clock, in milliseconds."""

    low: float
    high: float
    label: str = LABEL


@dataclass(frozen=True)
class PartOnCore:
    """One half of a file that hearlite joined, run by itself on an emulated core.

    The network takes the images that the spectrogram outputs on this machine.
    """

    part: str  # SPECTROGRAM or NETWORK of split_model.py
    instructions: int
    repeatable: bool
    parity: Parity


@dataclass(frozen=True)
class OnCore:
    """A file on an emulated core. All counts are per call.

    Classes, cycles and time are None if LLVM has no model of the core.
    """

    core: str
    instructions: int
    by_class: dict[str, int] | None
    repeatable: bool
    cycles: Cycles | None
    ms: Milliseconds | None
    parity: Parity
    parts: tuple[PartOnCore, ...] = ()  # the halves of a file that hearlite joined, empty for another file
    # For armv7, whose parity is with another runtime: the largest difference to LiteRT on this machine. Not gated.
    beside_litert: float | None = None

    @property
    def failures(self) -> list[str]:
        """Return a sentence for everything that the gate refuses."""
        judged = [
            ("", self.repeatable, self.parity),
            *((f"{part.part}: ", part.repeatable, part.parity) for part in self.parts),
        ]
        bad = [f"{what}{_verdict(item)}" for what, _, parity in judged for item in parity.inputs if not item.passed]
        return bad + [
            f"{what}its calls do not execute the same number of instructions"
            for what, repeatable, _ in judged
            if not repeatable
        ]


@dataclass(frozen=True)
class OnX86:
    """A file on QEMU's emulated x86-64 with AVX2, counted by the same plugin."""

    instructions: int
    repeatable: bool


@dataclass(frozen=True)
class Measured:
    """All results of one file."""

    name: str
    sha256: str
    bytes: int
    precision: Precision  # decides the tolerances of parity
    macs: int  # multiply-accumulates per call
    input_shape: tuple[int, ...]
    audio_s: float | None  # seconds of audio per call; None if the input isn't a waveform
    x86: OnX86
    cores: tuple[OnCore, ...]

    @property
    def failures(self) -> list[str]:
        """Return a sentence for everything that the gate refuses.

        The counts on x86 are for comparison only and aren't gated: they differ by up to 64 instructions between calls,
        and no phone runs x86 code.
        """
        return [f"{self.name} on {on.core}: {failure}" for on in self.cores for failure in on.failures]


def _verdict(on: OnInput) -> str:
    if on.difference is None:
        return f"for {on.name} its outputs are not finite, or integers differ from x86's"
    allowed = f"{on.tolerance:.2g}" if on.tolerance else "no bit"
    return f"for {on.name} its outputs differ from x86's by {on.difference:.2g}, allowed: {allowed}"
