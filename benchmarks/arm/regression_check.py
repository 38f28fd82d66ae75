"""Whether two runs of the benchmark, on whatever days and machines, counted the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.arm.schema import SCHEMA
from hearlite.errors import InputError
from hearlite.files import read_json


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json of this benchmark, with all that `changed` reads. Raises InputError for another file."""
    results = read_json(path)
    schema = results.get("schema") if isinstance(results, dict) else None
    if not isinstance(results, dict) or schema != SCHEMA:
        raise InputError(f"{path}: schema is {schema!r:.80}", f"give the results.json of hearlite arm, {SCHEMA!r}")
    try:
        changed(results, results, log=lambda _: None)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not readable: {type(error).__name__}: {error}", "make it again") from error
    return results


def changed(now: Mapping[str, Any], before: Mapping[str, Any], *, log: Callable[[str], None]) -> list[str]:
    """Return, in words, counts of the same file on the same core that differ.

    Logs how many were compared, since how long ago, and which versions differ.

    Raises InputError when no file is in both, by its hash.
    """
    old, was = _counts(before), before["versions"]
    new = {key: count for key, count in _counts(now).items() if key in old}
    if not new:
        raise InputError(
            f"no file is also in the run of {before['created']}", "compare runs of the same files, byte by byte"
        )
    versions = [
        f"{name} {was[name]} -> {value}" for name, value in now["versions"].items() if was.get(name, value) != value
    ]
    different = [key for key, count in new.items() if count != old[key]]
    log(
        f"{len(new) - len(different)} of {len(new)} counts are those of"
        f" {before['created']}{'; ' + ', '.join(versions) if versions else ''}"
    )
    return [f"{key[1]} on {key[2]}{key[3]}: {new[key]:,} instructions, {old[key]:,} before" for key in different]


def _counts(results: Mapping[str, Any]) -> dict[tuple[str, str, str, str], int]:
    """By hash, name, core and half of the file."""
    found = {}
    for file in results["files"]:
        for on in file["cores"]:
            for part, counted in (("", on), *((f", {half['part']}", half) for half in on["parts"])):
                found[file["sha256"], file["name"], on["core"], part] = int(counted["instructions"])
    return found
