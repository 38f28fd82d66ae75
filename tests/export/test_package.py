"""Ready folders for apps: what is in them, that nothing is overwritten, and that the snippets give the golden embedding
where they can be run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from jvm import MISSING, run_script
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.decode import read_recording
from hearlite.bundle import read_manifest
from hearlite.cli.main import main
from hearlite.embedders.self_test import GOLDEN_SIGNAL, check_signals
from hearlite.errors import InputError, UsageError
from hearlite.export.package import GOLDEN, PLATFORMS, package
from hearlite.run import Run
from hearlite.spec import AUDIO

LITERTJS = os.environ.get("HEARLITE_LITERTJS")  # a folder whose node_modules have @litertjs/core


def golden(bundle: Bundles) -> NDArray[np.float32]:
    return np.asarray(bundle.manifest("i8").golden_embedding, np.float32)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_folder_is_complete(bundle: Bundles, tmp_path: Path, platform: str) -> None:
    files = package(bundle.i8, platform=platform, to=tmp_path / "app")
    assert sorted(files) == sorted((tmp_path / "app").iterdir())
    manifest = read_manifest(tmp_path / "app" / bundle.i8.name)  # verified: the copy is what its manifest says
    texts = {path.name: path.read_text() for path in files if path.suffix not in (".tflite", ".wav", ".json")}
    snippet, readme = texts[PLATFORMS[platform].snippet], texts["README.md"]
    assert manifest.licence in texts["NOTICE.txt"]
    assert manifest.licence in readme and manifest.teacher.surrogate_note in readme and "never a diagnostic" in readme
    assert bundle.i8.name in snippet or bundle.i8.stem in snippet
    assert str(AUDIO.clip_samples) in snippet and "{{" not in snippet + readme and "{%" not in snippet + readme
    if platform in ("ios", "flutter", "react-native"):
        assert snippet.splitlines()[0].startswith("// not run here") and "Not run here" in readme
    pcm = check_signals()[GOLDEN_SIGNAL]
    np.testing.assert_array_equal(read_recording(tmp_path / "app" / GOLDEN), from_int16(pcm))


def test_nothing_that_differs_is_overwritten(bundle: Bundles, tmp_path: Path) -> None:
    package(bundle.i8, platform="web", to=tmp_path)
    package(bundle.i8, platform="web", to=tmp_path)  # the same again is nothing new
    (tmp_path / "hearlite.mjs").write_text("mine")
    with pytest.raises(InputError, match="is there already and differs"):
        package(bundle.i8, platform="web", to=tmp_path)
    assert (tmp_path / "hearlite.mjs").read_text() == "mine"
    package(bundle.i8, platform="web", to=tmp_path, overwrite=True)
    assert (tmp_path / "hearlite.mjs").read_text() != "mine"


def test_what_cannot_be_packaged(bundle: Bundles, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="platform is 'palm'"):
        package(bundle.i8, platform="palm", to=tmp_path / "out")
    for suffix in (".tflite", ".json"):
        shutil.copy(bundle.i8.with_suffix(suffix), tmp_path)
    with pytest.raises(InputError, match=r"NOTICE.txt is missing"):
        package(tmp_path / bundle.i8.name, platform="web", to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command(bundle: Bundles, quantized_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(bundle.i8), "--platform", "python", "--out", str(tmp_path), "--json"])
    written = [Path(row["file"]) for row in json.loads(capsys.readouterr().out)]
    assert {path.parent for path in written} == {tmp_path / f"{bundle.i8.stem}_python"}
    main(
        [
            "export",
            str(quantized_run.folder),
            "--recipe",
            "float32",
            "--platform",
            "ios",
            "--out",
            str(tmp_path),
            "--json",
        ]
    )
    assert (tmp_path / f"{bundle.f32.stem}_ios" / "HearliteEmbedder.swift").is_file()
    assert (tmp_path / bundle.f32.name).is_file()
    for arguments in ([], ["--platform", "ios", "--recipe", "float32"]):
        with pytest.raises(SystemExit) as ended:
            main(["export", str(bundle.i8), "--out", str(tmp_path), *arguments])
        assert ended.value.code == UsageError.exit_code


def test_the_python_snippet(bundle: Bundles, tmp_path: Path) -> None:
    package(bundle.i8, platform="python", to=tmp_path)
    done = subprocess.run(
        [sys.executable, "embed.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.asarray(json.loads(done.stdout), np.float32), golden(bundle))


KOTLIN_MAIN = """
fun main(arguments: Array<String>) {
    val manifest = hearlite.core.Manifest.read(java.io.File(arguments[0]))
    val clip = FloatArray(manifest.clipSamples)
    hearlite.core.WavFile(java.io.File(arguments[1]).inputStream(), "golden", manifest.pcmFullScale).use { it.read(clip) }
    val options = CompiledModel.Options(com.google.ai.edge.litert.Accelerator.CPU)
    println(HearliteEmbedder(CompiledModel.create(arguments[0], options)).embed(clip).toList())
}
"""


def test_the_kotlin_snippet(bundle: Bundles, tmp_path: Path) -> None:
    package(bundle.i8, platform="android", to=tmp_path / "app")
    source = tmp_path / "Snippet.kt"
    source.write_text((tmp_path / "app" / "HearliteEmbedder.kt").read_text() + KOTLIN_MAIN)
    done = run_script("run", source, tmp_path / "app" / bundle.i8.name, tmp_path / "app" / GOLDEN)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-3_000:]
    np.testing.assert_array_equal(np.asarray(json.loads(done.stdout), np.float32), golden(bundle))


# @litertjs/core expects a worker's globals.
NODE_MAIN = """
import fs from 'fs'; import path from 'path'; import vm from 'vm'; import { createRequire } from 'module';
const wasm = path.resolve('node_modules/@litertjs/core/wasm') + '/';
Object.assign(globalThis, { require: createRequire(import.meta.url), __dirname: wasm, __filename: wasm + 'litert_wasm_internal.js' });
globalThis.self = globalThis;
globalThis.importScripts = (url) => vm.runInThisContext(fs.readFileSync(String(url).replace('file://', '')), { filename: String(url) });
const { openHearlite } = await import('./hearlite.mjs');
const embed = await openHearlite(wasm, new Uint8Array(fs.readFileSync(process.argv[2])));
const clip = new Float32Array(new Uint8Array(fs.readFileSync('clip.f32')).buffer);
fs.writeFileSync('embedding.json', JSON.stringify([...(await embed(clip)), ...(await embed(clip))]));
process.exit(0);
"""


@pytest.mark.skipif(
    shutil.which("node") is None or LITERTJS is None,
    reason="no node, or HEARLITE_LITERTJS names no folder with @litertjs/core",
)
def test_the_web_snippet(bundle: Bundles, tmp_path: Path) -> None:
    package(bundle.i8, platform="web", to=tmp_path)
    assert LITERTJS is not None
    (tmp_path / "node_modules").symlink_to(Path(LITERTJS).resolve() / "node_modules")
    (tmp_path / "main.mjs").write_text(NODE_MAIN)
    (tmp_path / "clip.f32").write_bytes(read_recording(tmp_path / GOLDEN).astype("<f4").tobytes())
    done = subprocess.run(
        ["node", "main.mjs", bundle.i8.name], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    first, second = np.asarray(json.loads((tmp_path / "embedding.json").read_text()), np.float32).reshape(2, -1)
    # The int8 layers give the same bits; the sum that is the embedding is added in float32, in another order.
    np.testing.assert_allclose(first, golden(bundle), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(second, first)  # the buffers were freed and made again


def test_snippets_are_short() -> None:
    spec = importlib.util.find_spec("hearlite.export")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "snippets"
    assert {path.name for path in folder.glob("*.j2")} == {
        f"{platform.snippet}.j2" for platform in PLATFORMS.values()
    } | {"README.md.j2"}
    assert max(len(path.read_text().splitlines()) for path in folder.glob("*.j2") if path.name != "README.md.j2") <= 25
