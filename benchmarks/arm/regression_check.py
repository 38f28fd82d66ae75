"""Check that two runs of the benchmark, on any days and machines, counted the same instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.arm.schema import SCHEMA
from hearlite.errors import InputError
from hearlite.files import read_json


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json of this benchmark and check that `changed` can read it.

    Raises
    ------
    InputError
        If the file is of another schema, or lacks something that `changed` reads.
    """
    results = read_json(path)
    schema = results.get("schema") if isinstance(results, dict) else None
    if not isinstance(results, dict) or schema != SCHEMA:
        raise InputError(
            f"{path}: schema is {schema!r:.80}", f"name a results.json of hearlite arm, with schema {SCHEMA!r}"
        )
    try:
        changed(results, results, log=lambda _: None)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not readable: {type(error).__name__}: {error}", "run the benchmark again") from error
    return results


def changed(now: Mapping[str, Any], before: Mapping[str, Any], *, log: Callable[[str], None]) -> list[str]:
    """Compare the instruction counts of two runs.

    Parameters
    ----------
    now, before : mapping
        Content of the results.json of each run.
    log : callable
        Called with a line of text: how many counts are equal, the date of the earlier run, and which versions differ.

    Returns
    -------
    list of str
        A sentence for every count that differs for the same file on the same core.

    Raises
    ------
    InputError
        If the runs have no file in common, by its hash.
    """
    old, was = _counts(before), before["versions"]
    new = {key: count for key, count in _counts(now).items() if key in old}
    if not new:
        raise InputError(
            f"no file is also in the run of {before['created']}",
            "compare runs of the same files, identical to the byte",
        )
    versions = [
        f"{name} {was[name]} -> {value}" for name, value in now["versions"].items() if was.get(name, value) != value
    ]
    different = [key for key, count in new.items() if count != old[key]]
    log(
        f"{len(new) - len(different)} of {len(new)} counts are equal to those of"
        f" {before['created']}{'; ' + ', '.join(versions) if versions else ''}"
    )
    return [f"{key[1]} on {key[2]}{key[3]}: {new[key]:,} instructions, {old[key]:,} before" for key in different]


def _counts(results: Mapping[str, Any]) -> dict[tuple[str, str, str, str], int]:
    """Return the instruction counts by hash, name, core and half of the file."""
    counts = {}
    for file in results["files"]:
        for on in file["cores"]:
            for part, counted in (("", on), *((f", {half['part']}", half) for half in on["parts"])):
                counts[file["sha256"], file["name"], on["core"], part] = int(counted["instructions"])
    return counts
