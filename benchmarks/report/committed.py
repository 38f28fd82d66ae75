"""Results that a checkout keeps: slim copies, an index that says what made each, and the pages made of them.

    python -m hearlite.benchmarks.report.committed add runs/bench/results.json sprsound-yamnet
    python -m hearlite.benchmarks.report.committed update
    python -m hearlite.benchmarks.report.committed check

`make results` and `make results-check` are the latter two. They write index.json, docs/results.md and the table of
README.md, and say what is older than the code that makes it. What each result is about stands in
benchmarks/results/about.toml.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.report.markdown import BEGIN, END, at_a_glance, results_page
from hearlite.benchmarks.schema.io import finite, read_cost, read_data, read_results
from hearlite.benchmarks.schema.results import COST_SCHEMA, OLDER_SCHEMA, SCHEMA
from hearlite.benchmarks.schema.slim import rounded, slim
from hearlite.errors import GateError, HearliteError, InputError, UsageError
from hearlite.files import read_json, sha256_of, write_bytes
from hearlite.serialization import load_toml, to_dict, without_defaults

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LARGEST_BYTES = 100_000  # of a file: git keeps every version forever
LARGEST_TOTAL_BYTES = 1_000_000
_TRAINING = (
    "hearlite/audio",
    "hearlite/manifests",
    "hearlite/data",
    "hearlite/student.py",
    "hearlite/spec.py",
    "distill",
    "quantize",
    "export",
)
_MEASURING = ("benchmarks/probes", "benchmarks/stats", "benchmarks/tasks")
_CODE = {  # schema: the code whose change makes a result old
    "hearlite-results": (*_TRAINING, *_MEASURING, "benchmarks/run.py", "benchmarks/cost"),
    "hearlite-cost": (*_TRAINING, "benchmarks/cost", "benchmarks/run_cost.py"),
    "hearlite-arm": (*_TRAINING, "benchmarks/arm"),
    "hearlite-coverage": ("benchmarks/stats", "benchmarks/studies/interval_coverage.py"),
}
_OTHER_CODE = (*_TRAINING, *_MEASURING, "benchmarks/studies", "benchmarks/experiments")


@dataclass(frozen=True)
class About:
    """What a reader should know of one folder, and how the models were made that its command names."""

    name: str
    what: str
    made_by: str = ""  # in place of results.json's own command, or of a folder that has none
    commit: str = ""  # in place of results.json's own


@dataclass(frozen=True)
class Described:
    """The whole of about.toml."""

    results: tuple[About, ...]


@dataclass(frozen=True)
class Entry:
    """One folder of benchmarks/results, as index.json lists it."""

    name: str
    what: str
    schema: str  # "" for a table alone
    command: str
    created: str
    commit: str  # of the code that made it; of its own commit where the results.json is older than that field
    teacher: str
    dataset: str
    dataset_sha256: str
    code: tuple[str, ...]  # paths whose change makes it old


def read_index(folder: Path) -> list[Entry]:
    """List every folder of results. Raises InputError for one that about.toml does not describe."""
    described = {item.name: item for item in load_toml(Described, folder / "about.toml").results}
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if set(names) != set(described):
        unlike = sorted(set(names) ^ set(described))
        raise InputError(f"{folder / 'about.toml'}: {unlike[0]!r} is not both there and described", "add or drop it")
    return [_entry(folder / name, described[name]) for name in names]


def _entry(folder: Path, about: About) -> Entry:
    path = folder / "results.json"
    data: dict[str, Any] = read_json(path) if path.is_file() else {}
    teacher, dataset = data.get("teacher"), data.get("dataset")
    commit = (data.get("versions") or {}).get("commit", "") if isinstance(data.get("versions"), dict) else ""
    schema = str(data.get("schema", ""))
    return Entry(
        name=folder.name,
        what=about.what,
        schema=schema,
        command=about.made_by or str(data.get("command", "")),
        created=str(data.get("created", "")).replace("+00:00", "Z"),
        commit=about.commit or commit or _last_commit(folder),
        teacher=str(teacher["name"]) if isinstance(teacher, dict) else "",
        dataset=str(dataset["name"]) if isinstance(dataset, dict) else "",
        dataset_sha256=str(dataset.get("sha256", "")) if isinstance(dataset, dict) else "",
        code=_CODE.get(schema.partition("/")[0], _OTHER_CODE),
    )


def _last_commit(folder: Path) -> str:
    return _git("log", "-1", "--format=%h", "--abbrev=12", "--", str(folder.relative_to(ROOT)))


def changes_since(entry: Entry) -> int | None:
    """Count the commits that changed the code behind a result since it was made; None where git can't tell."""
    try:
        return int(_git("rev-list", "--count", f"{entry.commit.rstrip('+')}..HEAD", "--", *entry.code))
    except subprocess.CalledProcessError:
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def pages(folder: Path, entries: list[Entry]) -> dict[Path, str]:
    """Return the text of every page that is made of the results."""
    readme = ROOT / "README.md"
    head, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{readme}: the markers {BEGIN} and {END} are not both there")
    index = json.dumps({"schema": "hearlite-index/1", "entries": [to_dict(entry) for entry in entries]}, indent=1)
    listed = [(entry.name, entry.what, entry.command) for entry in entries]
    return {
        folder / "index.json": f"{index}\n",
        ROOT / "docs" / "results.md": results_page(folder, listed),
        readme: f"{head}{BEGIN}\n{at_a_glance(folder)}\n{END}{tail}",
    }


def compact(path: Path) -> bytes:
    """Return a results.json as it is kept: a benchmark slimmed, and every number rounded to five digits."""
    data = read_data(path)
    schema = data.get("schema")
    if schema in (SCHEMA, OLDER_SCHEMA):
        results = read_results(path)
        slimmed = results if results.slimmed_from else slim(results, sha256=sha256_of(path))
        data = {"schema": SCHEMA, **without_defaults(slimmed)}
    elif schema == COST_SCHEMA:
        read_cost(path)
    return f"{json.dumps(rounded(finite(data)), separators=(',', ':'), allow_nan=False)}\n".encode()


@click.group()
def cli() -> None:
    """Keep benchmarks/results slim, indexed and shown."""


@cli.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("name")
def add(results: Path, name: str) -> None:
    """Keep RESULTS, a results.json, as benchmarks/results/NAME, with the table.md beside it."""
    content = compact(results)
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"{results} takes {len(content)} bytes when slimmed", f"at most {LARGEST_BYTES} are kept")
    write_bytes(RESULTS / name / "results.json", content)
    if (table := results.parent / "table.md").is_file():
        write_bytes(RESULTS / name / "table.md", table.read_bytes())


@cli.command()
def update() -> None:
    """Write index.json, docs/results.md and the table of README.md."""
    for path, text in pages(RESULTS, read_index(RESULTS)).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_bytes(path, text.encode())
            click.echo(f"wrote {path.relative_to(ROOT)}")


@cli.command()
def check() -> None:
    """List results that are older than the code that makes them. Exit 4 when a page is not what its results say."""
    entries = read_index(RESULTS)
    for entry in entries:
        changes = changes_since(entry)
        if changes is None:
            click.echo(f"{entry.name}: made at {entry.commit or 'an unknown commit'}, which this clone does not have")
        elif changes:
            click.echo(f"{entry.name}: its code has changed in {changes} commits since {entry.commit}")
    stale = [
        str(path.relative_to(ROOT))
        for path, text in pages(RESULTS, entries).items()
        if path.name != "index.json" and (not path.is_file() or path.read_text(encoding="utf-8") != text)
    ]
    total = sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file())
    if total > LARGEST_TOTAL_BYTES:
        stale.append(f"benchmarks/results of {total} bytes")
    if stale:
        raise GateError(
            f"out of date or too large: {', '.join(stale)}", f"run make results; {LARGEST_TOTAL_BYTES} bytes are kept"
        )


if __name__ == "__main__":
    try:
        cli()
    except HearliteError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
