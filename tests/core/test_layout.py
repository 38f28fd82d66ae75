"""The invariants of the house, read from the source: where constants live, who imports whom, and how long a file may
be.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import hearlite
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent.parent
CORE = "hearlite"
STAGES = ("benchmarks", "distill", "export", "quantize")
FILES = sorted(path for folder in (CORE, *STAGES) for path in (ROOT / folder).rglob("*.py"))
CONSTANTS = {AUDIO.sample_rate_hz, AUDIO.clip_samples, AUDIO.pcm_full_scale, HEAR_EMBEDDING_DIM}
COMMANDS = tuple(
    name for name in (path.relative_to(ROOT).as_posix() for path in FILES) if name.startswith("hearlite/cli/")
)
IMPORT_STAGES = (*COMMANDS, "hearlite/api.py")
EXPERIMENTS = "benchmarks/experiments/"  # the one room whose commands measure other stages themselves
# Doctor only looks whether there is one; trial_run is a process that may crash; the last two run in environments that
# have no hearlite.
IMPORT_AN_INTERPRETER = (
    "hearlite/tflite/interpreter.py",
    "hearlite/tflite/trial_run.py",
    "hearlite/cli/doctor.py",
    "benchmarks/cost/isolated_run.py",
    "benchmarks/arm/tflite_runner.py",
)
INTERPRETERS = (
    "ai_edge_litert.interpreter",
    "tflite_runtime",
    "tensorflow.lite.Interpreter",
    "tensorflow.lite.python.interpreter",
)
MAX_MODULES, MAX_LINES = 15, 400
LONGER = {  # file: (lines that are enough, why it is one file)
    "hearlite/api.py": (800, "one function for each command; most of it documents their parameters"),
    "hearlite/audio/synth.py": (600, "nine classes of sound, a few lines each"),
    "hearlite/spec.py": (440, "every constant of audio, frontend and model"),
    "hearlite/data/records.py": (445, "the record cache from plan to reading"),
}
MORE_MODULES = {
    "quantize": (19, "the int8 pipeline, step by step"),
    "benchmarks/probes": (16, "every kind of probe and what is held against it"),
}
_MEASURE = ("tasks", "stats", "schema")
ROOMS = {  # room of benchmarks/: those it may import, in the order in which a result is made
    "tasks": (),
    "datasets": ("tasks",),
    "stats": ("tasks",),
    "schema": ("tasks", "stats"),
    "probes": _MEASURE,
    "report": _MEASURE,
    "cost": (*_MEASURE, "report"),
    "arm": (*_MEASURE, "report", "cost"),
    "android": (*_MEASURE, "report", "cost", "arm"),
    "run": (*_MEASURE, "probes", "report", "cost"),
    "run_cost": (*_MEASURE, "report", "cost", "arm", "android", "run"),
    "studies": (*_MEASURE, "datasets", "probes", "report", "cost", "run"),
    "experiments": (*_MEASURE, "datasets", "probes", "report", "cost", "run", "studies"),
}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything a file imports, wherever in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            yield from (
                (node.lineno, text.value)
                for text in ast.walk(node)
                if isinstance(text, ast.Constant) and isinstance(text.value, str)
            )


def matches(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def offenders(prefixes: tuple[str, ...], *, allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name(path)}:{line} {module}"
        for path in FILES
        if name(path) not in allowed
        for line, module in imports(path)
        if matches(module, prefixes)
    ]


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 30
    assert {path.parts[len(ROOT.parts)] for path in FILES} == {CORE, *STAGES}


def test_a_checkout_is_one_package_for_every_tool() -> None:
    """Each stage is a link in the core's folder: no path is patched, and nothing can be imported under two names."""
    assert {path.name: path.readlink().as_posix() for path in (ROOT / CORE).iterdir() if path.is_symlink()} == {
        stage: f"../{stage}" for stage in STAGES
    }
    for name in ("hearlite.hearlite", "hearlite.tests", "hearlite.android_harness"):
        assert importlib.util.find_spec(name) is None


def test_constants_live_in_spec() -> None:
    """Sample rate, clip length, PCM scale and HeAR's dimension, looked for as numbers, so 16_000 and 16e3 count and
    comments don't.
    """
    found = [
        f"{name(path)}:{node.lineno} {node.value}"
        for path in FILES
        if name(path) != "hearlite/spec.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value in CONSTANTS
    ]
    assert found == []


def test_the_core_imports_no_stage() -> None:
    stages = tuple(f"hearlite.{stage}" for stage in STAGES) + STAGES
    core = [item for item in offenders(stages, allowed=IMPORT_STAGES) if item.startswith("hearlite/")]
    assert core == []


@pytest.mark.parametrize("stage", STAGES)
def test_stages_import_no_other_stage(stage: str) -> None:
    others = (
        *(f"hearlite.{other}" for other in STAGES if other != stage),
        "hearlite.cli.main",
        "hearlite.commands",
        "hearlite.cli.quickstart",
        *STAGES,
    )
    assert [
        item for item in offenders(others) if item.startswith(f"{stage}/") and not item.startswith(EXPERIMENTS)
    ] == []


def test_only_runtime_imports_an_interpreter() -> None:
    assert offenders(INTERPRETERS, allowed=IMPORT_AN_INTERPRETER) == []
    by_attribute = [
        f"{name(path)}:{node.lineno}"
        for path in FILES
        if name(path) not in IMPORT_AN_INTERPRETER
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in ("Interpreter", "InterpreterWithCustomOps")
    ]
    assert by_attribute == []


def test_only_qat_imports_the_model_optimization_toolkit() -> None:
    assert offenders(("tensorflow_model_optimization", "tfmot"), allowed=("quantize/qat.py",)) == []


def test_no_pickles() -> None:
    assert offenders(("pickle", "joblib", "dill", "cloudpickle", "shelve")) == []
    loads = [
        f"{name(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
        and ast.unparse(node.func.value) == "np"
        if not any(keyword.arg == "allow_pickle" and ast.unparse(keyword.value) == "False" for keyword in node.keywords)
    ]
    assert loads == []


def test_rooms_of_the_core_import_in_one_order() -> None:
    """Sound knows nothing of datasets, and a .tflite file nothing of who embeds with it."""
    allowed = {
        "audio": (),
        "tflite": ("audio",),
        "manifests": ("audio",),
        "embedders": ("audio", "data", "models", "tflite"),  # of models, names; models opens what it installs
        "onnx": ("audio", "embedders", "tflite"),
        "models": ("embedders", "tflite"),
        "data": ("audio", "embedders", "events", "manifests"),
        "events": ("audio", "tflite"),
    }
    wrong = []
    for room, others in allowed.items():
        refused = tuple(f"hearlite.{name}" for name in (*allowed, "cli", "api") if name not in (room, *others))
        wrong += [item for item in offenders(refused) if item.startswith(f"hearlite/{room}/")]
    assert wrong == []


def test_every_package_is_shipped() -> None:
    """A wheel without one of them installs, and fails at the first import."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {
        ".".join((CORE, *path.parent.relative_to(ROOT / CORE if folder == CORE else ROOT).parts))
        for folder in (CORE, *STAGES)
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(named) == there


def test_one_version() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert hearlite.__version__ == found
    assert f"\nversion: {found}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(
        rf"^## (Unreleased \({re.escape(found)}\)|{re.escape(found)} \()", (ROOT / "CHANGELOG.md").read_text(), re.M
    )


def test_rooms_of_benchmarks_import_in_one_order() -> None:
    """A table of who may import whom: so there is no cycle, and the statistics know nothing of HTML."""
    assert {path.name for path in (ROOT / "benchmarks").iterdir() if (path / "__init__.py").is_file()} <= set(ROOMS)
    wrong = []
    for path in FILES:
        room = path.relative_to(ROOT).parts[1].removesuffix(".py")
        if not name(path).startswith("benchmarks/") or room == "__init__":
            continue
        for line, module in imports(path):
            parts = module.split(".")
            if (
                parts[:2] == ["hearlite", "benchmarks"]
                and len(parts) > 2
                and parts[2] != room
                and parts[2] not in ROOMS[room]
            ):
                wrong.append(f"{name(path)}:{line} {module}")
    assert wrong == []


def test_files_are_short_or_have_a_reason() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > LONGER.get(path, (MAX_LINES,))[0]} == {}
    assert {path for path in LONGER if lengths.get(path, 0) <= MAX_LINES} == set(), (
        "short or gone: take it out of the list"
    )


def test_folders_hold_few_modules() -> None:
    counts = Counter(name(path.parent) for path in FILES if not path.name.startswith("__"))
    assert {
        folder: count for folder, count in counts.items() if count > MORE_MODULES.get(folder, (MAX_MODULES,))[0]
    } == {}
    assert counts["benchmarks"] <= 3


def test_no_catch_all_modules() -> None:
    assert [name(path) for path in FILES if path.stem in ("utils", "util", "helpers", "common", "misc")] == []


def test_every_file_says_what_it_is() -> None:
    assert [name(path) for path in FILES if not ast.get_docstring(parsed(path))] == []
