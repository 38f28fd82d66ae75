"""Estimate the cycles of a call on an ARM core by LLVM's pipeline model of the blocks that ran.

The model has no caches, no memory, no operating system's scheduler and no heat.

The estimate is a pair of figures between which the true value usually lies. `low` is the time for which a block's
instructions occupy the core's execution units if nothing waits for a result; `high` runs the block repeatedly and waits
for every result. On an x86 core, where estimates could be compared with measured times, matrix multiplications were
within 20 % of both figures; scalar code took 0.7–1.3 times `low` and as little as half of `high`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from hearlite.benchmarks.arm.instruction_count import Block
from hearlite.benchmarks.arm.instruction_mix import words
from hearlite.benchmarks.arm.sandbox.sandbox import Box
from hearlite.benchmarks.arm.sandbox.toolchain import LLVM, host_command
from hearlite.benchmarks.cost.child_processes import tied
from hearlite.errors import InputError

LABEL = "estimated, no device"
COVERED = 0.995  # share of the executed instructions that is modelled; the estimate is scaled up to all of them
_ITERATIONS = 50  # simulated runs of a block; more change the mean by less than 1 %
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Cycles:
    """The estimated cycles of one call."""

    low: float
    high: float
    blocks: int  # number of blocks that were modelled


def estimate(box: Box, blocks: Sequence[Block], *, llvm_cpu: str, text: dict[bytes, str]) -> Cycles:
    """Estimate the cycles of one call with llvm-mca.

    Parameters
    ----------
    box : Box
        The sandbox, which contains llvm-mca.
    blocks : sequence of Block
        The blocks that the call executed.
    llvm_cpu : str
        LLVM's name of the core whose scheduling model is used.
    text : dict of bytes to str
        Assembly of every instruction word, from `disassemble`.

    Returns
    -------
    Cycles
        Estimate for all blocks, of which the hottest are modelled.

    Raises
    ------
    InputError
        If llvm-mca fails; the message contains its stderr.
    """
    chosen = hottest(blocks)
    command = [
        *host_command(box.folder / "x86_64", f"{LLVM}/bin/llvm-mca"),
        "-mtriple=aarch64",
        f"-mcpu={llvm_cpu}",
        "-mattr=+all",
    ]
    command += [f"--iterations={_ITERATIONS}", "--json", "--skip-unsupported-instructions=any", "-"]
    done = subprocess.run(
        tied(command),
        input=regions(chosen, text=text),
        capture_output=True,
        text=True,
        env={},
        timeout=_TIMEOUT_S,
        check=False,
    )
    return read_estimate(done.stdout, chosen, total=sum(block.executed for block in blocks), said=done.stderr)


def hottest(blocks: Sequence[Block]) -> list[Block]:
    """Return the fewest blocks that account for the share COVERED of all executed instructions."""
    total, covered, chosen = sum(block.executed for block in blocks), 0, []
    for block in sorted(blocks, key=lambda block: -block.executed):
        if covered >= COVERED * total:
            break
        chosen.append(block)
        covered += block.executed
    return chosen


def regions(blocks: Sequence[Block], *, text: dict[bytes, str]) -> str:
    """Return the input of llvm-mca, with a region for each block.

    The markers begin with '#', since llvm-mca doesn't recognize them after A64's own comment sign, '//'.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks to model.
    text : dict of bytes to str
        Assembly of every instruction word, from `disassemble`.

    Returns
    -------
    str
        Assembly with the markers of regions; the regions are named by the index of their block.
    """
    bodies = ("\n".join(text[word] for word in words(block.code)) for block in blocks)
    return "".join(f"# LLVM-MCA-BEGIN {index}\n{body}\n# LLVM-MCA-END\n" for index, body in enumerate(bodies))


def read_estimate(output: str, blocks: Sequence[Block], *, total: int, said: str = "") -> Cycles:
    """Read the JSON of llvm-mca and scale its estimate to all executed instructions.

    Parameters
    ----------
    output : str
        Output of llvm-mca on stdout.
    blocks : sequence of Block
        The blocks that were modelled, in the order of the regions.
    total : int
        Instructions that the call executed in all blocks.
    said : str
        Output of llvm-mca on stderr, quoted in errors.

    Returns
    -------
    Cycles
        Estimate for the whole call.

    Raises
    ------
    InputError
        If the output isn't valid, or has another number of regions than there are blocks.
    """
    try:
        summaries = [region["SummaryView"] for region in json.loads(output)["CodeRegions"]]
        waiting = [summary["TotalCycles"] / summary["Iterations"] for summary in summaries]
        busy = [summary["BlockRThroughput"] for summary in summaries]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"llvm-mca's output can't be read: {error}; {said.strip()[:300]}", "delete the sandbox and set it up again"
        ) from error
    if len(summaries) != len(blocks):
        raise InputError(
            f"llvm-mca modelled {len(summaries)} of {len(blocks)} blocks: {said.strip()[:300]}",
            "delete the sandbox and set it up again",
        )
    scale = total / sum(block.executed for block in blocks)
    low = scale * sum(block.runs * cycles for block, cycles in zip(blocks, busy, strict=True))
    high = scale * sum(block.runs * cycles for block, cycles in zip(blocks, waiting, strict=True))
    return Cycles(low=min(low, high), high=max(low, high), blocks=len(blocks))
