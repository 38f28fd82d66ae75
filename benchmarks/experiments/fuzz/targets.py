"""Who reads damaged inputs: TARGETS is the one list.

A target makes a case in an empty folder and says what reads it. To add one, write `make` and `read` and list it here:
the command gets an option of its name, and the tests run it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.benchmarks.experiments.fuzz import samples
from hearlite.benchmarks.experiments.fuzz.mutators import Rng, damage, damage_json, damage_model
from hearlite.benchmarks.experiments.fuzz.sounds import sample_sounds
from hearlite.benchmarks.experiments.fuzz.tables import OPTIONS, RECORDINGS, damaged_table
from hearlite.spec import AUDIO

Command = Callable[[list[str]], None]
MODEL, RESULTS, RECIPE, PRESET, SPEC = samples.NAME, "results.json", "recipe.json", "preset.toml", "spec.json"


@dataclass(frozen=True)
class Case:
    """What a reader gets: the folder of a case, chance, and the command line, which raises SystemExit as ever."""

    folder: Path
    rng: Rng
    command: Command


@dataclass(frozen=True)
class Target:
    """A kind of input.

    `make` writes a damaged input into the case's folder; `read` uses it, and may raise HearliteError or SystemExit.
    """

    what: str
    make: Callable[[Case], None]
    read: Callable[[Case], None]


def _make_model(case: Case) -> None:
    content, _ = _sample()
    (case.folder / MODEL).write_bytes(damage_model(content, case.rng))


def _read_model(case: Case) -> None:
    from hearlite.embedders.tflite import TfliteEmbedder

    model = case.folder / MODEL
    if case.rng.random() < 0.2:
        case.command(["info", str(model)])
        return
    noise = case.rng.uniform(-0.5, 0.5, (2, AUDIO.clip_samples)).astype(np.float32)
    TfliteEmbedder(model).embed(noise)


def _make_bundle(case: Case) -> None:
    content, manifest = _sample()
    damaged = damage_json(manifest, case.rng)
    try:
        data = json.loads(damaged)
        samples.write_sample_bundle(case.folder / MODEL, data, content=content)
    except Exception:  # too damaged to be sealed again: the parts don't belong together
        samples.write_sample_bundle(case.folder / MODEL, manifest, content=content)
        (case.folder / MODEL).with_suffix(".json").write_bytes(damaged)


def _read_bundle(case: Case) -> None:
    from hearlite.export.package import PLATFORMS, package
    from hearlite.model import load

    model, how = case.folder / MODEL, int(case.rng.integers(4))
    if how == 0:
        case.command(["info", str(model)])
    elif how == 1:
        case.command(["check", str(model)])
    elif how == 2:
        load(model).embed_clips(np.zeros((1, AUDIO.clip_samples), np.float32))
    else:
        package(model, platform=str(case.rng.choice(list(PLATFORMS))), to=case.folder / "app")


def _make_results(case: Case) -> None:
    (case.folder / RESULTS).write_bytes(damage_json(samples.sample_results(), case.rng))


def _read_results(case: Case) -> None:
    case.command(["report", str(case.folder / RESULTS), "--out", str(case.folder / "report.html")])


def _make_recipe(case: Case) -> None:
    from hearlite.quantize.recipe import recipes
    from hearlite.serialization import to_dict

    known = list(recipes().values())
    recipe = {**to_dict(known[int(case.rng.integers(len(known)))]), "recipe": "mine"}
    (case.folder / RECIPE).write_bytes(damage_json(recipe, case.rng))
    (case.folder / PRESET).write_bytes(damage(_PRESET.encode(), case.rng))
    (case.folder / SPEC).write_bytes(damage_json(samples.sample_run(), case.rng))


def _read_recipe(case: Case) -> None:
    from hearlite.distill.presets import load_preset
    from hearlite.quantize.recipe import find_recipe
    from hearlite.run import open_run

    how = int(case.rng.integers(3))
    if how == 0:
        find_recipe(str(case.folder / RECIPE))
    elif how == 1:
        load_preset("tiny", teacher="spectral", config=case.folder / PRESET, steps=None, seed=None)
    else:
        open_run(case.folder, finished=False)


def _make_audio(case: Case) -> None:
    sounds = sample_sounds()
    (suffix, content), (other, _) = (sounds[int(case.rng.integers(len(sounds)))] for _ in range(2))
    (case.folder / f"x{other if case.rng.random() < 0.1 else suffix}").write_bytes(damage(content, case.rng))


def _read_audio(case: Case) -> None:
    (sound,) = case.folder.iterdir()
    case.command(["embed", str(sound), "--out", str(case.folder / "e.parquet")])


def _make_manifest(case: Case) -> None:
    for name in RECORDINGS:
        (case.folder / name).write_bytes(sample_sounds()[0][1])
    (case.folder / "manifest.csv").write_bytes(damaged_table(case.rng))


def _read_manifest(case: Case) -> None:
    from hearlite.benchmarks.probes.embeddings import make_tasks
    from hearlite.data.dataset import load_dataset

    path = case.folder / "manifest.csv"
    if case.rng.random() < 0.5:
        dataset = load_dataset(path, label_columns=("label",))
        make_tasks(dataset.clips, ("label",), positives=dataset.positives)
        return
    options = OPTIONS[int(case.rng.integers(len(OPTIONS)))]
    places = {".": str(case.folder), "manifest.csv": str(path)}
    options = [places.get(option, option) for option in options]
    case.command(["embed", str(path), "--out", str(case.folder / "e.parquet"), *options])


_PRESET = """steps = 100
batch_size = 8
peak_lr = 1e-3
checkpoint_every = 50
views = 2
[view]
"""

TARGETS = {
    "models": Target("a .tflite: bytes, integers and parts of it changed", _make_model, _read_model),
    "bundles": Target("a manifest, sealed again so that it belongs to its .tflite", _make_bundle, _read_bundle),
    "results": Target("a results.json, rendered as a report", _make_results, _read_results),
    "recipes": Target("a recipe, a preset and a run's spec.json", _make_recipe, _read_recipe),
    "audio": Target("a recording in one of fourteen formats", _make_audio, _read_audio),
    "manifests": Target("a table of recordings, in any dialect", _make_manifest, _read_manifest),
}


@functools.cache
def _sample() -> tuple[bytes, dict[str, Any]]:
    content = samples.sample_model()
    return content, samples.sample_manifest(content)


def use_sample(bundle: Path) -> None:
    """Damage this exported file and its manifest from now on, instead of the sample made by hand.

    Raises InputError for a bundle that is refused as it is.
    """
    from hearlite.bundle import read_manifest

    read_manifest(bundle)  # one of another version would be refused in every case, for that reason alone
    global _sample
    content, manifest = bundle.read_bytes(), json.loads(bundle.with_suffix(".json").read_text(encoding="utf-8"))
    manifest["name"] = MODEL
    _sample = functools.cache(lambda: (content, manifest))
