"""Count executed A64 instructions by class, from LLVM's disassembly."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from hearlite.benchmarks.arm.instruction_count import Block
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import LLVM, host_command
from hearlite.benchmarks.cost.child_processes import tied
from hearlite.errors import InputError

CLASSES = ("SDOT", "SMLAL", "FMLA", "load", "store", "other")
_INSTRUCTION_BYTES = 4
_SDOT = {"sdot", "udot", "usdot", "sudot"}
_SMLAL = {f"{sign}{name}{half}" for sign in "su" for name in ("mlal", "mlsl", "mull") for half in ("", "2")}
_FMLA = {"fmla", "fmls"}
_TIMEOUT_S = 300


def instruction_class(instruction: str) -> str:
    """Return the class of an instruction, one of CLASSES.

    `instruction` is a line of llvm-mc, such as "smlal v0.4s, v1.4h, v2.4h" with a tab after the name. Atomic
    read-modify-write instructions count as loads.
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
    """Count the executed instructions of every class.

    Parameters
    ----------
    blocks : iterable of Block
        The blocks that a call executed.
    text : dict of bytes to str
        Assembly of every instruction word, from `disassemble`.

    Returns
    -------
    dict of str to int
        Executed instructions by class, for all of CLASSES.
    """
    counts: Counter[str] = Counter()
    for block in blocks:
        for word in words(block.code):
            counts[instruction_class(text[word])] += block.runs
    return {name: counts[name] for name in CLASSES}


def disassemble(box: Box, blocks: Iterable[Block]) -> dict[bytes, str]:
    """Disassemble every distinct instruction word with llvm-mc.

    Parameters
    ----------
    box : Box
        The sandbox, which contains llvm-mc.
    blocks : iterable of Block
        The blocks that a call executed.

    Returns
    -------
    dict of bytes to str
        Assembly of every word.

    Raises
    ------
    InputError
        If LLVM doesn't know an instruction.
    """
    distinct = sorted({word for block in blocks for word in words(block.code)})
    asked = "".join(" ".join(f"0x{byte:02x}" for byte in word) + "\n" for word in distinct)
    command = [
        *host_command(box.folder / "x86_64", f"{LLVM}/bin/llvm-mc"),
        "--disassemble",
        "-triple=aarch64",
        "-mattr=+all",
    ]
    done = subprocess.run(
        tied(command), input=asked, capture_output=True, text=True, env={}, timeout=_TIMEOUT_S, check=False
    )
    return dict(zip(distinct, read_disassembly(done.stdout, expected=len(distinct), said=done.stderr), strict=True))


def read_disassembly(output: str, *, expected: int, said: str = "") -> list[str]:
    """Read the instructions that llvm-mc printed, without its directives.

    Parameters
    ----------
    output : str
        Output of llvm-mc on stdout.
    expected : int
        Number of instructions that it was given.
    said : str
        Output of llvm-mc on stderr, quoted in errors.

    Returns
    -------
    list of str
        One line for each instruction, in order.

    Raises
    ------
    InputError
        If the number of instructions isn't `expected`.
    """
    lines = [line.strip() for line in output.splitlines()]
    instructions = [line for line in lines if line and not line.startswith(".")]
    if len(instructions) != expected:
        raise InputError(
            f"llvm-mc read {len(instructions)} of {expected} instructions: {said.strip()[:300]}",
            "delete the sandbox and set it up again",
        )
    return instructions


def words(code: bytes) -> Sequence[bytes]:
    """Split the code of a block into its machine words, of four bytes each."""
    return [code[start : start + _INSTRUCTION_BYTES] for start in range(0, len(code), _INSTRUCTION_BYTES)]
