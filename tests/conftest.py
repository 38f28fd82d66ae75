"""What the tests share: a small synthetic corpus and, made from it once a session, a trained, quantized and exported
student.

The student has learned next to nothing. Tests that need it ask whether the pipeline keeps its promises, never whether
the student is good.
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

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as the command line does, before anything imports TensorFlow
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


GOLDEN = Path(__file__).parent / "golden"
_TENSORFLOW = {"tiny_run", "quantized_run", "hard_run", "bundle", "headed"}  # fixtures that train, quantize or export
_MODULES = {
    "chromium": "browser",
    "jvm": "jvm",
    "emulated_phone": "arm",
}  # of tests/support: the marker of what they need


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the markers that follow from what a test uses; the others stand with the tests."""
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
    """Whether the module, the test or a fixture of it is skipped without TensorFlow."""
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
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Rewrite tests/golden from what the code gives now; look at the diff.",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`golden(name, arrays, atol=...)` compares arrays with tests/golden/<name>.npz, or rewrites that file with
    --update-golden.
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
    """A Python that has tflite-runtime 2.14: its environment is made on the first call, and needs a package index
    then.
    """
    from hearlite.benchmarks.cost.legacy_runtime import find_legacy_python

    try:
        return find_legacy_python()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 36 synthetic recordings of 6 subjects: 3 to train on, 1 to validate, 2 to test."""
    return write_corpus(tmp_path_factory.mktemp("data") / "corpus", subjects=6, recordings_per_subject=6, seed=0)


@pytest.fixture(scope="session")
def dataset(corpus: Path) -> Dataset:
    return load_dataset(corpus)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 80 synthetic recordings of 20 subjects, 6 of them to test on, with a label of two values that any
    network hears: a narrow band?
    """
    manifest = write_corpus(
        tmp_path_factory.mktemp("labelled") / "corpus", subjects=20, recordings_per_subject=4, seed=0
    )
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
    """What studies take for an exported file of that name: a fake network that was distilled on nobody."""
    from hearlite.benchmarks.studies import inputs as study_inputs

    def open_bundle(path: Path) -> tuple[FakeTeacher, SimpleNamespace]:
        trained_subjects = SimpleNamespace(trained_subjects=(), name="others")
        return FakeTeacher(8, seed=1), SimpleNamespace(
            name=path.name, tflite_sha256="0" * 64, precision="i8", dataset=trained_subjects, head=None
        )

    monkeypatch.setattr(study_inputs, "open_bundle", open_bundle)
    return "student.tflite"


@pytest.fixture(scope="session")
def teacher() -> FakeTeacher:
    return FakeTeacher(32)


@pytest.fixture(scope="session")
def tiny_train() -> TrainSpec:
    """A dozen steps. The batch norms must catch up in them (momentum 0.1): without that, int8 ranges mean nothing."""
    return TrainSpec(steps=12, batch_size=8, checkpoint_every=4, peak_lr=5e-4, batchnorm_momentum=0.1, ridge=0.1)


@pytest.fixture(scope="session")
def tiny_run(
    dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A finished run. Don't write into it; copy it."""
    pytest.importorskip("tensorflow")
    from hearlite.distill.train import distill

    return distill(
        dataset, teacher=teacher, size="tiny", train=tiny_train, folder=tmp_path_factory.mktemp("runs") / "tiny"
    )


@pytest.fixture(scope="session")
def lenient_recipe() -> QuantSpec:
    """The recipe users get, with a gate that a student of a dozen steps passes."""
    from hearlite.quantize.recipe import recipes

    return dataclasses.replace(recipes()[QuantSpec.recipe], calibration_clips=16, min_centred_cosine=0.9)


@pytest.fixture(scope="session")
def quantized_run(tiny_run: Run, lenient_recipe: QuantSpec) -> Run:
    from hearlite.quantize.pipeline import quantize

    quantize(tiny_run, recipe=lenient_recipe)
    return tiny_run


OUTLIERS = (
    "block7_project",
    "block8_project",
    "block8_residual",
)  # one stream: a sum of two bottlenecks, so their channels belong together


@pytest.fixture(scope="session")
def hard_run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same float32 function, hard to quantize: a channel of OUTLIERS is made 100 times as loud and read 100 times
    as quietly.
    """
    run = dataclasses.replace(tiny_run, folder=tmp_path_factory.mktemp("runs") / "hard")
    shutil.copytree(tiny_run.folder, run.folder, ignore=shutil.ignore_patterns(QuantSpec.recipe))
    weights = read_arrays(run.weights)
    for name in (
        "block7_project_bn/gamma:0",
        "block7_project_bn/beta:0",
        "block8_project_bn/gamma:0",
        "block8_project_bn/beta:0",
    ):
        weights[name][0] *= 100.0
    for name in ("block8_expand/kernel:0", "head/kernel:0"):
        weights[name][:, :, 0] /= 100.0
    write_arrays(run.weights, weights)
    return run


@dataclasses.dataclass(frozen=True)
class Bundles:
    """Exported files of the same student."""

    i8: Path
    f32: Path

    def manifest(self, precision: str) -> Manifest:
        return read_manifest(getattr(self, precision))


@pytest.fixture(scope="session")
def bundle(quantized_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Both precisions in one folder. Don't write into it; copy it."""
    from hearlite.export.tflite import export

    to = tmp_path_factory.mktemp("bundle")
    return Bundles(i8=export(quantized_run, to=to, recipe=QuantSpec.recipe), f32=export(quantized_run, to=to))


@pytest.fixture(scope="session")
def other_subjects(labelled: Path) -> Path:
    """`labelled` with subjects of other names than those that `tiny_run` learned from."""
    with labelled.open(newline="") as file:
        rows = list(csv.DictReader(file))
    path = labelled.parent / "unheard.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "subject": f"other-{row['subject']}"} for row in rows)
    return path


@pytest.fixture(scope="session")
def narrow(labelled: Path) -> Dataset:
    return load_dataset(labelled, label_columns=("narrow",))


@pytest.fixture(scope="session")
def headed(quantized_run: Run, narrow: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 file with a head of one sigmoid. Don't write into its folder; copy it."""
    from hearlite.benchmarks.probes.classifier_head import HeadProbe
    from hearlite.export.tflite import export

    fit_head = HeadProbe(narrow, ("narrow",), trained_subjects=(), samples=200)
    return export(quantized_run, to=tmp_path_factory.mktemp("headed"), recipe=QuantSpec.recipe, fit_head=fit_head)


@pytest.fixture(scope="session")
def clips() -> NDArray[np.int16]:
    """int16 `[8, clip_samples]`: a sound of each of eight classes, at levels and through devices as recordings have
    them.
    """
    from hearlite.audio.clips import to_int16
    from hearlite.audio.synth import CLASSES, DEVICES, draw_subject, recording

    rows = []
    for index, label in enumerate(CLASSES[:8]):
        rng = np.random.default_rng(index)
        device = dataclasses.replace(DEVICES[index % len(DEVICES)], sample_rate_hz=AUDIO.sample_rate_hz)
        trained_subjects, start_s, _ = recording(
            label, rng=rng, subject=draw_subject(rng), device=device, duration_s=4.0
        )
        first = min(round(start_s * AUDIO.sample_rate_hz), len(trained_subjects) - AUDIO.clip_samples)
        rows.append(to_int16(trained_subjects[first : first + AUDIO.clip_samples].astype(np.float32)))
    return np.stack(rows)
