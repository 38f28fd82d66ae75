"""The shapes of results.json, and what the gate refuses of them."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.arm.cycles import LABEL, Cycles
from hearlite.benchmarks.arm.parity import OnInput, Parity, Precision

SCHEMA = "hearlite-arm/2"


@dataclass(frozen=True)
class Milliseconds:
    """Estimated time of a call at the core's nominal clock."""

    low: float
    high: float
    label: str = LABEL


@dataclass(frozen=True)
class PartOnCore:
    """One half of a file that hearlite joined, alone on an emulated core.

    The network gets the images of this machine's spectrogram.
    """

    part: str  # one of PARTS
    instructions: int
    repeatable: bool
    parity: Parity


@dataclass(frozen=True)
class OnCore:
    """A file on an emulated core; all counts are of one call.

    Classes, cycles and time are None where LLVM has no model of the core.
    """

    core: str
    instructions: int
    by_class: dict[str, int] | None
    repeatable: bool
    cycles: Cycles | None
    ms: Milliseconds | None
    parity: Parity
    parts: tuple[PartOnCore, ...] = ()  # of a file that hearlite joined
    beside_litert: float | None = (
        None  # of armv7, whose parity is with another runtime: largest difference to LiteRT on this machine, not judged
    )

    @property
    def failures(self) -> list[str]:
        """What the gate refuses, in words."""
        judged = [
            ("", self.repeatable, self.parity),
            *((f"{part.part}: ", part.repeatable, part.parity) for part in self.parts),
        ]
        bad = [f"{what}{_verdict(item)}" for what, _, parity in judged for item in parity.inputs if not item.passed]
        return bad + [
            f"{what}its calls do not execute the same instructions" for what, repeatable, _ in judged if not repeatable
        ]


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
        """Return what the gate refuses, in words.

        x86 stands beside for comparison: its calls differ by up to 64 instructions, and no phone runs them.
        """
        return [f"{self.name} on {on.core}: {failure}" for on in self.cores for failure in on.failures]


def _verdict(on: OnInput) -> str:
    if on.difference is None:
        return f"for {on.name} its outputs are not finite, or integers differ from x86's"
    allowed = f"{on.tolerance:.2g}" if on.tolerance else "no bit"
    return f"for {on.name} its outputs differ from x86's by {on.difference:.2g}, allowed: {allowed}"
