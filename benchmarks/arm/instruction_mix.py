"""What kind of instructions ran: executed A64 instructions by class, from LLVM's disassembly."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from hearlite.benchmarks.arm.instruction_count import Block
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import LLVM, host_command
from hearlite.errors import InputError

CLASSES = ("SDOT", "SMLAL", "FMLA", "load", "store", "other")
_INSTRUCTION_BYTES = 4
_SDOT = {"sdot", "udot", "usdot", "sudot"}
_SMLAL = {f"{sign}{name}{half}" for sign in "su" for name in ("mlal", "mlsl", "mull") for half in ("", "2")}
_FMLA = {"fmla", "fmls"}
_TIMEOUT_S = 300


def instruction_class(instruction: str) -> str:
    """Return the class of one instruction as llvm-mc writes it.

    Such as "smlal v0.4s, v1.4h, v2.4h" with a tab after the name. Atomic read-modify-writes count as loads.
    """
    mnemonic, _, operands = instruction.strip().partition("\t")
    if mnemonic in _SDOT:
        return "SDOT"
    if mnemonic in _SMLAL and operands.lstrip().startswith("v"):  # smull x0, w1, w2 is a scalar multiply
        return "SMLAL"
    if mnemonic in _FMLA:
        return "FMLA"
    if mnemonic.startswith("ld"):
        return "load"
    if mnemonic.startswith("st"):
        return "store"
    return "other"


def executed_by_class(blocks: Iterable[Block], *, text: dict[bytes, str]) -> dict[str, int]:
    """Return the executed instructions of every class; `text` is the output of `disassemble`."""
    counts: Counter[str] = Counter()
    for block in blocks:
        for word in words(block.code):
            counts[instruction_class(text[word])] += block.runs
    return {name: counts[name] for name in CLASSES}


def disassemble(box: Box, blocks: Iterable[Block]) -> dict[bytes, str]:
    """Assembly of every distinct instruction word. Raises InputError for one that LLVM doesn't know."""
    distinct = sorted({word for block in blocks for word in words(block.code)})
    asked = "".join(" ".join(f"0x{byte:02x}" for byte in word) + "\n" for word in distinct)
    command = [
        *host_command(box.folder / "x86_64", f"{LLVM}/bin/llvm-mc"),
        "--disassemble",
        "-triple=aarch64",
        "-mattr=+all",
    ]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, env={}, timeout=_TIMEOUT_S, check=False)
    return dict(zip(distinct, read_disassembly(done.stdout, expected=len(distinct), said=done.stderr), strict=True))


def read_disassembly(output: str, *, expected: int, said: str = "") -> list[str]:
    """llvm-mc's instructions in their order, without its directives."""
    lines = [line.strip() for line in output.splitlines()]
    found = [line for line in lines if line and not line.startswith(".")]
    if len(found) != expected:
        raise InputError(
            f"llvm-mc read {len(found)} of {expected} instructions: {said.strip()[:300]}",
            "delete the box and set it up again",
        )
    return found


def words(code: bytes) -> Sequence[bytes]:
    """Return the machine words of a block, as llvm-mc reads them."""
    return [code[start : start + _INSTRUCTION_BYTES] for start in range(0, len(code), _INSTRUCTION_BYTES)]
