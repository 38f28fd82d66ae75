"""results.json of a benchmark of cost alone: written, read and distrusted as results.py does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hearlite import spec
from hearlite.benchmarks.schema.cost import Cost
from hearlite.benchmarks.schema.cost_check import check_cost
from hearlite.benchmarks.schema.io import now, read_data, write_data
from hearlite.benchmarks.schema.results import COST_SCHEMA, CostResults, Versions
from hearlite.errors import InputError


def write_cost(cost: Cost, path: Path, *, command: str) -> None:
    """Write results.json through a temporary file, dated now, with the versions of this installation."""
    results = CostResults(command=command, created=now(), versions=Versions.current(), cost=cost)
    check_cost(cost, where="results")
    write_data({"schema": COST_SCHEMA, **dataclasses.asdict(results)}, path)


def read_cost(path: Path) -> CostResults:
    """results.json, checked. Raises InputError that names the file."""
    data = read_data(path)
    if not is_cost(data):
        raise InputError(f"{path}: schema is not {COST_SCHEMA!r}", "give the results.json of hearlite bench --latency")
    results = spec.from_dict(CostResults, data, where=str(path))
    check_cost(results.cost, where=str(path))
    return results


def is_cost(data: object) -> bool:
    """Whether a results.json holds cost alone."""
    return isinstance(data, dict) and data.get("schema") == COST_SCHEMA
