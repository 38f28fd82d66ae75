"""The Kotlin core on the JVM: it must make of a sound what Python makes of it, by real inference, and hold no constant
of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from android_vectors import write_vectors
from conftest import Bundles
from jvm import HARNESS, MISSING, Done, run_script

from hearlite.bundle import SCHEMA
from hearlite.cli.main import cli
from hearlite.spec import AUDIO, STUDENT_FRONTEND

KOTLIN = sorted(HARNESS.rglob("*.kt"))
MAIN = [path for path in KOTLIN if "main" in path.relative_to(HARNESS).parts]
CORE = [path for path in MAIN if "core" in path.relative_to(HARNESS).parts]


@pytest.fixture(scope="session")
def vectors(bundle: Bundles, headed: Path, eventful: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    write_vectors(folder, models=[bundle.i8, bundle.f32, headed, eventful.i8, eventful.f32])
    return folder


def jvm_tests(folder: Path) -> Done:
    """Run the Kotlin tests on a folder of vectors. Skips, saying why, without a toolchain."""
    done = run_script("core", folder)  # what it compiles stays in android_harness/build
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    return done


def test_kotlin_gives_what_python_gives(vectors: Path) -> None:
    done = jvm_tests(vectors)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-8_000:]
    ran = re.search(r"^OK \((\d+) tests\)$", done.stdout, re.MULTILINE)
    assert ran is not None and int(ran[1]) >= 40
    assert "scores hearlite_tiny_2s_i8_head.tflite: " in done.stdout, "the scores of a head were compared"
    for precision in ("i8", "f32"):
        assert f"events hearlite_tiny_2s_{precision}_events.tflite, minute: " in done.stdout, "events were compared"
    print("\n".join(line for line in done.stdout.splitlines() if "soxr" in line or "stopband" in line))


@pytest.mark.parametrize(
    ("name", "at", "test"),
    [("long.hearlite_tiny_2s_i8.f32", 0, "embeddings and pools"), ("stereo.windows.f32", -1, "windows are Python's")],
)
def test_one_wrong_bit_fails(vectors: Path, tmp_path: Path, name: str, at: int, test: str) -> None:
    for path in vectors.iterdir():
        (tmp_path / path.name).symlink_to(path)
    values = np.fromfile(vectors / name, "<f4")
    values[at] = np.nextafter(values[at], np.float32(np.inf))
    (tmp_path / name).unlink()
    values.tofile(tmp_path / name)
    done = jvm_tests(tmp_path)
    assert done.returncode == 1
    assert re.findall(r"^\d+\) (.*)\(", done.stdout, re.MULTILINE) and test in done.stdout


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    for command in (["core", tmp_path], ["app"], ["run", tmp_path / "main.kt"]):
        done = run_script(*command, HEARLITE_KOTLIN=str(tmp_path), HEARLITE_BUILD=str(tmp_path / "build"))
        assert done.returncode == MISSING
        assert "is not found: " in done.stderr


def test_the_app_type_checks() -> None:
    done = run_script("app")
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_kotlin_holds_no_constant_of_audio_or_model() -> None:
    frontend = {value for value in vars(STUDENT_FRONTEND).values() if type(value) in (int, float) and value > 8}
    audio = {AUDIO.sample_rate_hz, AUDIO.clip_samples, AUDIO.pcm_full_scale}
    found = []
    for path in MAIN:
        code = re.sub(r"//.*", "", re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL))
        numbers = re.findall(r"(?<![\w.])\d[\d_]*(?:\.\d+)?", code)
        constants = audio | frontend if path in CORE else audio  # an app may well count to 200
        found += [f"{path.name}: {number}" for number in numbers if float(number.replace("_", "")) in constants]
    assert found == []


def test_kotlin_reads_this_schema() -> None:
    assert f'SCHEMA = "{SCHEMA}"' in (HARNESS / "core/src/main/kotlin/hearlite/core/Manifest.kt").read_text()


def test_files_are_short_and_core_knows_no_android() -> None:
    assert len(CORE) > 10
    assert [path.name for path in KOTLIN if len(path.read_text().splitlines()) > 200] == []
    assert [
        path.name
        for path in CORE
        if re.search(r"^import (android|androidx|com\.google)", path.read_text(), re.MULTILINE)
    ] == []


def test_the_ci_example_names_what_is_there() -> None:
    text = (HARNESS / "ci.yml.example").read_text()
    named = set(re.findall(r"(?<![\w/.])((?:android_harness|tests|benchmarks)/[\w/.-]+\w)", text))
    made = {"android_harness/build/vectors"}  # or kept by a build
    assert len(named) >= 5
    assert [
        path
        for path in named - made
        if not path.startswith("android_harness/app/build/") and not (HARNESS.parent / path).exists()
    ] == []
    lines = [line.split() for line in re.findall(r"bin/hearlite (.*)", text)]
    assert {words[0] for words in lines} == {"quickstart", "export"}
    for words in lines:
        known = {option for parameter in cli.commands[words[0]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_what_google_play_and_litert_ask_of_an_apk() -> None:
    """16 KB pages, models that can be mapped where they lie, versions in one place, and no network."""
    gradle, catalog = (
        (HARNESS / "app/build.gradle.kts").read_text(),
        (HARNESS / "gradle/libs.versions.toml").read_text(),
    )
    agp = re.search(r'^agp = "(\d+)\.(\d+)', catalog, re.MULTILINE)
    assert agp is not None and (int(agp[1]), int(agp[2])) >= (8, 6)  # 8.5.1 is the first that aligns libraries to 16 KB
    assert "useLegacyPackaging = false" in gradle and 'noCompress += "tflite"' in gradle
    assert re.findall(r'"[\w.-]+:[\w.-]+:\d[^"]*"', gradle) == []
    assert "android.permission.INTERNET" not in (HARNESS / "app/src/main/AndroidManifest.xml").read_text()
    assert "ACTION_SEND" in (HARNESS / "app/src/main/kotlin/hearlite/app/BenchActivity.kt").read_text()
