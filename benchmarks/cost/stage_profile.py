"""A hearlite file sliced at the ends of its stages: up to the image, up to the stem, up to each block.

Timed in turns, the differences are what each stage takes, in any runtime and by the clock that times the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.schema.cost import Part
from hearlite.tflite.model_file import NETWORK_PREFIX, load, tensor_name
from hearlite.tflite.parts import slice_to_output

FRONTEND, HEAD = "frontend", "head and embedding"
BY_PREFIXES = "the file cut at each stage's end, all cuts timed in the same rounds, medians of the differences"
_BLOCK = re.compile(rf"^(?:{NETWORK_PREFIX})+(stem|block\d+)(?=_)")


@dataclass(frozen=True)
class Prefix:
    """A runnable .tflite that ends where a stage ends."""

    stage: str
    content: bytes


def stage_prefixes(data: bytes) -> list[Prefix]:
    """Return one file for each stage in order of execution, the last one the whole file.

    Empty where the file doesn't name its stages as hearlite does.
    """
    graph = load(data).subgraphs[0]
    ends: dict[str, int] = {}
    for operator in graph.operators:
        output = int(operator.outputs[0])
        name = tensor_name(graph.tensors[output])
        found = _BLOCK.match(name)
        if found:
            ends[found[1]] = output
        elif not name.startswith(NETWORK_PREFIX) and set(ends) <= {FRONTEND}:
            ends[FRONTEND] = output
    if len(ends) < 2 or FRONTEND not in ends:
        return []
    return [*(Prefix(stage, slice_to_output(data, output)) for stage, output in ends.items()), Prefix(HEAD, data)]


def stage_parts(stages: Sequence[str], times_ms: NDArray[np.float64]) -> tuple[Part, ...]:
    """Return what each stage takes, from `[rounds, stages]` milliseconds of the prefixes.

    A difference below zero, which is noise, counts as none.
    """
    steps = np.diff(times_ms, axis=1, prepend=0.0)
    own = [max(0.0, float(value)) for value in np.median(steps, axis=0)]
    whole = float(np.median(times_ms[:, -1]))
    return tuple(Part(stage, ms, ms / whole) for stage, ms in zip(stages, own, strict=True))
