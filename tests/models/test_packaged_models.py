"""The models that come with hearlite: each whole and checked, small together, and in every package that is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from ready import write_ready

from hearlite.bundle import check_scores, open_bundle, read_heard
from hearlite.embedders.open import TEACHERS
from hearlite.embedders.self_test import check_embedder, require
from hearlite.models.registry import NAME, PACKAGED, packaged
from hearlite.tflite.coordinates import read_inverse

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 3_300_000  # of all of them, in every clone and every wheel


def folders() -> list[Path]:
    return [path for path in sorted(PACKAGED.iterdir()) if path.is_dir() and path.name != "__pycache__"]


def test_every_folder_is_a_model_and_all_are_small() -> None:
    assert [path.name for path in folders()] == list(packaged())
    assert sum(path.stat().st_size for folder in folders() for path in folder.rglob("*")) <= MOST_BYTES


def test_each_is_whole() -> None:
    """The self-test passes, card and terms are there, and nothing was learned from HeAR, which the house rules out."""
    for name, model in packaged().items():
        assert NAME.fullmatch(name) and name not in TEACHERS and not name.endswith((".", ".tflite", ".zip")), name
        embedder, manifest = open_bundle(model)
        results = check_embedder(embedder, precision=manifest.precision, golden=manifest.golden_embedding)
        require((*results, *check_scores(model, manifest)), what=name)
        assert manifest.gate_passed, name
        assert manifest.licence not in ("", "unknown"), name
        assert manifest.teacher.kind != "hear", name
        for suffix in (".md", ".NOTICE.txt"):
            assert model.with_name(model.stem + suffix).read_text(encoding="utf-8").strip(), name
        read_heard(model, manifest)
        read_inverse(model, dim=manifest.dim)


@pytest.mark.slow
def test_packages_hold_the_models(tmp_path: Path) -> None:
    """A wheel and a source distribution, built from a checkout, have every file of a model, and find it by name."""
    pytest.importorskip("setuptools", minversion="77")
    checkout = tmp_path / "checkout"
    for place in ("hearlite", "benchmarks", "distill", "export", "quantize"):
        ignored = shutil.ignore_patterns("__pycache__", "results")
        shutil.copytree(ROOT / place, checkout / place, symlinks=True, ignore=ignored)
    for place in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / place, checkout)
    folder = write_ready(checkout / "hearlite" / "models" / "of-this-test").parent
    for name in ("results.json", "made_by.txt", "ready_2s_f32.heard.npz"):
        (folder / name).write_bytes(b"{}")
    code = "from setuptools import build_meta as b; b.build_wheel('out'); b.build_sdist('out')"
    (checkout / "out").mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,), (source,) = (checkout / "out").glob("*.whl"), (checkout / "out").glob("*.tar.gz")
    wanted = {
        path.relative_to(checkout).as_posix()
        for place in (checkout / "hearlite" / "models").iterdir()
        if place.is_dir() and place.name != "__pycache__"
        for path in place.iterdir()
    }
    assert len(wanted) >= 7
    with zipfile.ZipFile(wheel) as archive:
        assert wanted <= set(archive.namelist())
        assert [name for name in archive.namelist() if "__pycache__" in name] == []
        archive.extractall(tmp_path / "site")
    with tarfile.open(source) as tar:
        assert wanted <= {name.partition("/")[2] for name in tar.getnames()}

    say = "import hearlite; print(hearlite.__file__); print(hearlite.load('of-this-test').info.name)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HEARLITE_MODELS": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-c", say], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "site" / "hearlite" / "__init__.py"), "ready_2s_f32.tflite"]
