"""Cycles on an ARM core, estimated: LLVM's model of its pipeline applied to the blocks that ran.

No caches, no memory, no scheduler, no heat.

Two figures that most truths lie between. `low` is what the block's instructions need of the core's units if nothing
waits for anything; `high` repeats a block after itself and waits for every result. On an x86 core, where it could be
compared with measured times, code of matrix multiplications lay within 20 % of both; scalar code took 0.7 to 1.3 times
`low` and as little as half of `high`.
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
from hearlite.errors import InputError

LABEL = "estimated, no device"
COVERED = 0.995  # of the executed instructions; their estimate is scaled up to all of them
_ITERATIONS = 50  # of a block; more changes the mean by less than 1 %
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Cycles:
    """An estimate for one call, in cycles."""

    low: float
    high: float
    blocks: int  # that were modelled


def estimate(box: Box, blocks: Sequence[Block], *, llvm_cpu: str, text: dict[bytes, str]) -> Cycles:
    """Estimate the cycles of one call by LLVM's scheduling model of `llvm_cpu`.

    `text` is the output of `disassemble`. Raises InputError for what llvm-mca says.
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
        command,
        input=regions(chosen, text=text),
        capture_output=True,
        text=True,
        env={},
        timeout=_TIMEOUT_S,
        check=False,
    )
    return read_estimate(done.stdout, chosen, total=sum(block.executed for block in blocks), said=done.stderr)


def hottest(blocks: Sequence[Block]) -> list[Block]:
    """Return the fewest blocks that make COVERED of all executed instructions."""
    total, covered, chosen = sum(block.executed for block in blocks), 0, []
    for block in sorted(blocks, key=lambda block: -block.executed):
        if covered >= COVERED * total:
            break
        chosen.append(block)
        covered += block.executed
    return chosen


def regions(blocks: Sequence[Block], *, text: dict[bytes, str]) -> str:
    """llvm-mca's input, one region a block. The markers begin with '#': with A64's own '//' they are not seen."""
    bodies = ("\n".join(text[word] for word in words(block.code)) for block in blocks)
    return "".join(f"# LLVM-MCA-BEGIN {index}\n{body}\n# LLVM-MCA-END\n" for index, body in enumerate(bodies))


def read_estimate(output: str, blocks: Sequence[Block], *, total: int, said: str = "") -> Cycles:
    """llvm-mca's JSON for `blocks`, as cycles of all `total` executed instructions."""
    try:
        summaries = [region["SummaryView"] for region in json.loads(output)["CodeRegions"]]
        waiting = [summary["TotalCycles"] / summary["Iterations"] for summary in summaries]
        busy = [summary["BlockRThroughput"] for summary in summaries]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"llvm-mca's output can't be read: {error}; {said.strip()[:300]}", "delete the box and set it up again"
        ) from error
    if len(summaries) != len(blocks):
        raise InputError(
            f"llvm-mca modelled {len(summaries)} of {len(blocks)} blocks: {said.strip()[:300]}",
            "delete the box and set it up again",
        )
    scale = total / sum(block.executed for block in blocks)
    low = scale * sum(block.runs * cycles for block, cycles in zip(blocks, busy, strict=True))
    high = scale * sum(block.runs * cycles for block, cycles in zip(blocks, waiting, strict=True))
    return Cycles(low=min(low, high), high=max(low, high), blocks=len(blocks))
