"""Define the fixtures that tests share.

They are a small synthetic corpus and, made from it once per test run, a trained, quantized and exported student. The
student has learned next to nothing: tests that use it check that the pipeline works as documented, never that the
student is good.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import inspect
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlite.audio.synth import write_corpus
from hearlite.bundle import Manifest, read_manifest
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_arrays
from hearlite.run import Run
from hearlite.spec import AUDIO, QuantSpec, TrainSpec

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as in the command line, before anything imports TensorFlow
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


GOLDEN = Path(__file__).parent / "golden"
# Fixtures that train, quantize or export.
_TENSORFLOW = {"tiny_run", "quantized_run", "hard_run", "bundle", "headed", "eventful", "eventful_page"}
# Modules of tests/support, and the marker for tests that use them.
_MODULES = {"chromium": "browser", "jvm": "jvm", "emulated_phone": "arm"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the markers that follow from a test's fixtures and modules; tests carry all others themselves."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & _TENSORFLOW or item.get_closest_marker("kernels") or _asks_for_tensorflow(item):
            item.add_marker("tensorflow")
        if "legacy_python" in fixtures:
            item.add_marker("network")
        used = {getattr(value, "__module__", None) for value in vars(item.module).values()}  # type: ignore[attr-defined]
        for module, marker in _MODULES.items():
            if module in used:
                item.add_marker(marker)


def _asks_for_tensorflow(item: pytest.Item) -> bool:
    """Return whether the test, its module or one of its fixtures is skipped without TensorFlow."""
    module = item.module  # type: ignore[attr-defined]
    fixtures = [found[-1].func for found in item._fixtureinfo.name2fixturedefs.values()]  # type: ignore[attr-defined]
    top = [
        line for line in inspect.getsource(module).splitlines() if line.startswith('pytest.importorskip("tensorflow")')
    ]
    functions = (item.function, *fixtures)  # type: ignore[attr-defined]
    return bool(top) or any('importorskip("tensorflow")' in _source(function) for function in functions)


@functools.cache
def _source(function: Callable[..., Any]) -> str:
    return inspect.getsource(function)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option --update-golden."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Rewrite tests/golden with the current results; review the diff.",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function `golden(name, arrays, atol=...)` that compares with tests/golden/<name>.npz.

    With --update-golden it rewrites that file and skips the test.
    """

    def compare(name: str, arrays: Mapping[str, NDArray[Any]], *, atol: float) -> None:
        path = GOLDEN / f"{name}.npz"
        if request.config.getoption("--update-golden"):
            np.savez_compressed(path, **dict(arrays))
            pytest.skip(f"rewrote {path.name}")
        with np.load(path, allow_pickle=False) as stored:
            assert sorted(stored.files) == sorted(arrays)
            for key, values in arrays.items():
                np.testing.assert_allclose(values, stored[key], rtol=0, atol=atol, err_msg=f"{key} of {path.name}")

    return compare


@pytest.fixture(scope="session")
def legacy_python() -> Path:
    """Return a Python that has tflite-runtime 2.14.

    Its environment is made on the first call, which needs a package index.
    """
    from hearlite.benchmarks.cost.legacy_runtime import find_legacy_python

    try:
        return find_legacy_python()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the manifest of 36 synthetic recordings of 6 subjects.

    Three subjects are for training, one for validation and two for test.
    """
    return write_corpus(tmp_path_factory.mktemp("data") / "corpus", subjects=6, recordings_per_subject=6, seed=0)


@pytest.fixture(scope="session")
def dataset(corpus: Path) -> Dataset:
    """Return the dataset of `corpus`."""
    return load_dataset(corpus)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the manifest of 80 synthetic recordings of 20 subjects, 6 of them for test.

    Its label, "narrow", says whether the device has a narrow band, which any network can tell.
    """
    return _with_narrow(tmp_path_factory.mktemp("labelled"), seed=0)


def _with_narrow(folder: Path, *, seed: int) -> Path:
    """Write a corpus of 20 subjects, and return a manifest of it with the label "narrow"."""
    manifest = write_corpus(folder / "corpus", subjects=20, recordings_per_subject=4, seed=seed)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (manifest.parent / "narrow.csv").open("w", newline="") as file:
        writer = csv.DictWriter(
            file, ["file", "start_s", "end_s", "subject", "split", "synthetic", "narrow"], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(
            {**row, "narrow": "yes" if row["device"] in ("telephone", "stethoscope") else "no"} for row in rows
        )
    return manifest.parent / "narrow.csv"


@pytest.fixture
def fake_student(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make studies open a fake network, distilled on no subject, in place of any file; return a file name."""
    from hearlite.benchmarks.studies import inputs as study_inputs

    def open_bundle(path: Path) -> tuple[FakeTeacher, SimpleNamespace]:
        trained_on = SimpleNamespace(trained_subjects=(), name="others")
        return FakeTeacher(8, seed=1), SimpleNamespace(
            name=path.name, tflite_sha256="0" * 64, precision="i8", dataset=trained_on, head=None, heard_sha256=""
        )

    monkeypatch.setattr(study_inputs, "open_bundle", open_bundle)
    return "student.tflite"


@pytest.fixture(scope="session")
def teacher() -> FakeTeacher:
    """Return a fake teacher with embeddings of 32 values."""
    return FakeTeacher(32)


@pytest.fixture(scope="session")
def tiny_train() -> TrainSpec:
    """Return settings for a dozen training steps.

    Batch norms have a momentum of 0.1 so that they adapt in these steps; otherwise the int8 ranges would be meaningless.
    """
    return TrainSpec(steps=12, batch_size=8, checkpoint_every=4, peak_lr=5e-4, batchnorm_momentum=0.1, ridge=0.1)


@pytest.fixture(scope="session")
def tiny_run(
    dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Return a finished run. Don't write to its folder; copy it."""
    pytest.importorskip("tensorflow")
    from hearlite.distill.train import distill

    return distill(
        dataset, teacher=teacher, size="tiny", train=tiny_train, folder=tmp_path_factory.mktemp("runs") / "tiny"
    )


@pytest.fixture(scope="session")
def lenient_recipe() -> QuantSpec:
    """Return the default recipe with a gate that a student of a dozen training steps passes."""
    from hearlite.quantize.recipe import recipes

    return dataclasses.replace(recipes()[QuantSpec.recipe], calibration_clips=16, min_centred_cosine=0.9)


@pytest.fixture(scope="session")
def quantized_run(tiny_run: Run, lenient_recipe: QuantSpec) -> Run:
    """Return `tiny_run`, quantized with `lenient_recipe`."""
    from hearlite.quantize.pipeline import quantize

    quantize(tiny_run, recipe=lenient_recipe)
    return tiny_run


# One residual stream, the sum of three blocks, so their channels belong together.
OUTLIERS = ("block3_project", "block4_project", "block4_residual", "block5_project", "block5_residual")


@pytest.fixture(scope="session")
def hard_run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run with the float32 function of `tiny_run` that is hard to quantize.

    A channel of OUTLIERS is scaled by 100, and the weights that read it by 1/100.
    """
    run = dataclasses.replace(tiny_run, folder=tmp_path_factory.mktemp("runs") / "hard")
    shutil.copytree(tiny_run.folder, run.folder, ignore=shutil.ignore_patterns(QuantSpec.recipe))
    weights = read_arrays(run.weights)
    for block in (3, 4, 5):
        for name in ("gamma", "beta"):
            weights[f"block{block}_project_bn/{name}:0"][0] *= 100.0
    for name in ("block4_expand/kernel:0", "block5_expand/kernel:0", "head/kernel:0"):
        weights[name][:, :, 0] /= 100.0
    weights["tap4/kernel:0"][0] /= 100.0
    write_arrays(run.weights, weights)
    return run


@dataclasses.dataclass(frozen=True)
class Bundles:
    """The exported files of a student, in both precisions."""

    i8: Path
    f32: Path

    def manifest(self, precision: str) -> Manifest:
        """Return the manifest of the file of a precision, "i8" or "f32"."""
        return read_manifest(getattr(self, precision))


@pytest.fixture(scope="session")
def bundle(quantized_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Return the files of `quantized_run`, both in one folder. Don't write to the folder; copy it."""
    from hearlite.export.tflite import export

    to = tmp_path_factory.mktemp("bundle")
    return Bundles(i8=export(quantized_run, to=to, recipe=QuantSpec.recipe), f32=export(quantized_run, to=to))


@pytest.fixture(scope="session")
def other_subjects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest like `labelled`, of subjects and recordings that `tiny_run` was not distilled on.

    With new names alone they would still be the recordings of `corpus`, and be found by their sound.
    """
    manifest = _with_narrow(tmp_path_factory.mktemp("others"), seed=1)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    path = manifest.parent / "unheard.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "subject": f"other-{row['subject']}"} for row in rows)
    return path


@pytest.fixture(scope="session")
def narrow(labelled: Path) -> Dataset:
    """Return the dataset of `labelled`, with its label "narrow"."""
    return load_dataset(labelled, label_columns=("narrow",))


@pytest.fixture(scope="session")
def headed(quantized_run: Run, narrow: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an int8 file with a head of one sigmoid. Don't write to its folder; copy it."""
    from hearlite.benchmarks.probes.classifier_head import HeadProbe
    from hearlite.export.tflite import export

    fit_head = HeadProbe(narrow, ("narrow",), trained_subjects=(), samples=200)
    return export(quantized_run, to=tmp_path_factory.mktemp("headed"), recipe=QuantSpec.recipe, fit_head=fit_head)


@pytest.fixture(scope="session")
def eventful_page(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a float32 file that finds events in the minute of page_minute.py. Don't write to its folder; copy it."""
    from page_minute import find_rules, fit_head

    from hearlite.export.tflite import export

    to = tmp_path_factory.mktemp("eventful_page")
    return export(tiny_run, to=to, fit_head=fit_head, steps=("scores",), find_rules=find_rules)


@pytest.fixture(scope="session")
def eventful(quantized_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Return files with scores over time and rules for events of two classes. Don't write to their folder; copy it.

    Their heads are fitted to `minute` of tests/support/eventful.py, where they find several events. The float32 file
    has its embedding over time, too.
    """
    from eventful import find_rules, fit_head

    from hearlite.export.tflite import export

    write = functools.partial(
        export,
        quantized_run,
        to=tmp_path_factory.mktemp("eventful"),
        fit_head=fit_head,
        find_rules=find_rules,
    )
    return Bundles(i8=write(recipe=QuantSpec.recipe, steps=("scores",)), f32=write(steps=("scores", "embedding")))


@pytest.fixture(scope="session")
def clips() -> NDArray[np.int16]:
    """Return a sound of each of eight classes, int16 `[8, clip_samples]`.

    Levels and devices are like those of recordings.
    """
    from hearlite.audio.clips import to_int16
    from hearlite.audio.synth import CLASSES, DEVICES, draw_subject, recording

    rows = []
    for index, label in enumerate(CLASSES[:8]):
        rng = np.random.default_rng(index)
        device = dataclasses.replace(DEVICES[index % len(DEVICES)], sample_rate_hz=AUDIO.sample_rate_hz)
        samples, start_s, _ = recording(label, rng=rng, subject=draw_subject(rng), device=device, duration_s=4.0)
        first = min(round(start_s * AUDIO.sample_rate_hz), len(samples) - AUDIO.clip_samples)
        rows.append(to_int16(samples[first : first + AUDIO.clip_samples].astype(np.float32)))
    return np.stack(rows)


@pytest.fixture
def models_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's models, which does not exist yet; what comes with hearlite is hidden."""
    from hearlite.models import registry

    monkeypatch.setenv("HEARLITE_MODELS", str(tmp_path / "home" / "models"))
    monkeypatch.setattr(registry, "PACKAGED", tmp_path / "packaged")
    return tmp_path / "home" / "models"


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """Return the .tflite of a bundle that was made by hand, in a folder of its own."""
    from ready import write_ready

    return write_ready(tmp_path / "ready")


@pytest.fixture
def with_hearlite(models_home: Path, tmp_path: Path) -> str:
    """Return the name of a model that comes with hearlite."""
    from ready import write_ready

    write_ready(tmp_path / "packaged" / "hearlite-ready", "hearlite_ready", seed=1)
    return "hearlite-ready"
