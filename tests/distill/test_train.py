"""Training ends with the same weights however often it was killed, does nothing when it is done, and refuses another
run's folder.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tf_keras
from numpy.typing import NDArray

import hearlite.distill.train
from hearlite.audio.clips import from_int16
from hearlite.audio.frontend_tf import Frontend
from hearlite.data.dataset import Dataset
from hearlite.data.records import read_records
from hearlite.data.targets import Targets
from hearlite.distill.batches import Batches, val_examples
from hearlite.distill.history import HISTORY, Journal
from hearlite.distill.presets import load_preset
from hearlite.distill.refit import refit_head
from hearlite.distill.train import Trainer, average_decay, distill, learning_rate
from hearlite.distill.validation_metrics import mean_cosine, probe_directions, random_probe_correlation
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError, UsageError
from hearlite.files import read_arrays, write_arrays
from hearlite.run import Run, open_run
from hearlite.spec import TrainSpec
from hearlite.student import StudentEmbedder, load_network

pytestmark = pytest.mark.kernels

IN_A_PROCESS = """
import sys
from pathlib import Path
from hearlite.data.dataset import load_dataset
from hearlite.distill.train import distill
from hearlite.serialization import load_toml
from hearlite.spec import TrainSpec
from hearlite.embedders.open import FakeTeacher

corpus, config, folder = map(Path, sys.argv[1:])
distill(load_dataset(corpus), teacher=FakeTeacher(32), size="tiny", train=load_toml(TrainSpec, config), folder=folder)
"""


def history(run: Run) -> list[dict[str, float]]:
    with run.history.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def toml(spec: TrainSpec) -> str:
    return "".join(
        f"{name} = {json.dumps(value)}\n"
        for name, value in dataclasses.asdict(spec).items()
        if not isinstance(value, dict)
    )


def prepared(tiny_run: Run, folder: Path) -> Path:
    """A folder with the spec, targets and records of tiny_run, and nothing trained."""
    folder.mkdir()
    shutil.copytree(tiny_run.records, folder / "records")
    for name in ("spec.json", "targets.npz"):
        shutil.copy(tiny_run.folder / name, folder / name)
    return folder


class Killed(BaseException):
    """What nothing in the training catches."""


@pytest.mark.slow
def test_killed_for_real_and_run_again(
    tiny_run: Run, corpus: Path, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, tmp_path: Path
) -> None:
    """SIGKILL after the first checkpoint; the same call again, stopped between the last checkpoint and the end; and
    again.

    Byte for byte the weights of the run that nobody disturbed.
    """
    folder = tmp_path / "run"
    (tmp_path / "train.toml").write_text(toml(tiny_train))
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", IN_A_PROCESS, str(corpus), str(tmp_path / "train.toml"), str(folder)],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 120.0
            while not (folder / "state.npz").is_file():
                assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "weights.npz").exists()

    def die_after_the_last_checkpoint(path: Path, arrays: Any) -> None:
        write_arrays(path, arrays)
        if path.name == "state.npz" and int(arrays["step"]) == tiny_train.steps:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearlite.distill.train, "write_arrays", die_after_the_last_checkpoint)
        with pytest.raises(Killed):
            distill(dataset, teacher=teacher, size="tiny", train=tiny_train, folder=folder)
    assert not (folder / "weights.npz").exists()

    run = distill(dataset, teacher=teacher, size="tiny", train=tiny_train, folder=folder)
    assert run.weights.read_bytes() == tiny_run.weights.read_bytes()
    assert history(run) == history(tiny_run)
    assert json.loads(run.metrics.read_text()) == json.loads(tiny_run.metrics.read_text())


@pytest.mark.slow
def test_another_seed_gives_other_weights(
    tiny_run: Run, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, tmp_path: Path
) -> None:
    """And a record cache that two runs share is not copied."""
    spec = dataclasses.replace(tiny_train, seed=1)
    other = distill(
        dataset, teacher=teacher, size="tiny", train=spec, folder=tmp_path / "run", records_folder=tiny_run.records
    )
    assert not (tmp_path / "run" / "records").exists()
    assert other.records == tiny_run.records.resolve()
    ours, theirs = (read_arrays(run.weights)["stem/kernel:0"] for run in (other, tiny_run))
    assert not np.allclose(ours, theirs, atol=0.01)


def test_a_finished_run_does_nothing(
    tiny_run: Run, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(hearlite.distill.train, "Trainer", refuse)
    monkeypatch.setattr(hearlite.distill.train, "write_records", refuse)
    before = {path: path.stat().st_mtime_ns for path in tiny_run.folder.rglob("*")}
    again = distill(dataset, teacher=teacher, size="tiny", train=tiny_train, folder=tiny_run.folder)
    assert again == tiny_run
    assert {path: path.stat().st_mtime_ns for path in tiny_run.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "says"),
    [({"steps": 13}, "train.steps is 12 there and 13 now"), ({"seed": 5}, "train.seed is 0 there and 5 now")],
    ids=["steps", "seed"],
)
def test_other_settings_in_the_same_folder_are_refused(
    tiny_run: Run, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        distill(
            dataset,
            teacher=teacher,
            size="tiny",
            train=dataclasses.replace(tiny_train, **change),
            folder=tiny_run.folder,
        )
    assert "--run" in caught.value.hint


def test_another_size_teacher_or_dataset_in_the_same_folder_is_refused(
    tiny_run: Run, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec
) -> None:
    for size, other, data, says in (
        ("small", teacher, dataset, "student"),
        ("tiny", FakeTeacher(32, seed=1), dataset, "teacher"),
        ("tiny", teacher, dataclasses.replace(dataset, sha256="0" * 64), "dataset.sha256"),
    ):
        with pytest.raises(InputError, match=f"other settings: {says}"):
            distill(data, teacher=other, size=size, train=tiny_train, folder=tiny_run.folder)


def test_a_foreign_checkpoint_is_refused(
    tiny_run: Run, dataset: Dataset, teacher: FakeTeacher, tiny_train: TrainSpec, tmp_path: Path
) -> None:
    folder = prepared(tiny_run, tmp_path / "run")
    np.savez(folder / "state.npz", step=np.int64(4), history=np.zeros((1, 5)))
    with pytest.raises(InputError, match="does not fit this student"):
        distill(dataset, teacher=teacher, size="tiny", train=tiny_train, folder=folder)
    (folder / "state.npz").write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match=r"not a readable \.npz"):
        distill(dataset, teacher=teacher, size="tiny", train=tiny_train, folder=folder)


def test_tensorboard_has_each_step_once_after_a_kill(tiny_run: Run, tmp_path: Path) -> None:
    """A killed run has written events of steps that its checkpoint doesn't know, or lacks some that it does."""
    pytest.importorskip("tensorboard")
    run = Run(tmp_path, tiny_run.spec)
    rows = [tuple(row.values()) for row in history(tiny_run)]
    killed = Journal(run, history=[])
    for count in range(1, len(rows) + 1):
        killed.write(rows[:count])
    assert scalars(tmp_path, "loss") == [(row[0], pytest.approx(row[HISTORY.index("loss")])) for row in rows]
    resumed = Journal(run, history=rows[:1])
    assert [step for step, _ in scalars(tmp_path, "loss")] == [4]
    resumed.write(rows[:2])
    resumed.close(rows[:2])
    assert scalars(tmp_path, "val_random_probe_correlation") == [
        (row[0], pytest.approx(row[HISTORY.index("val_random_probe_correlation")])) for row in rows[:2]
    ]
    assert history(run) == history(tiny_run)[:2]


def scalars(folder: Path, name: str) -> list[Any]:
    """(step, value) of all event files of a run, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(name)]


def test_history_and_metrics(tiny_run: Run, tiny_train: TrainSpec) -> None:
    rows = history(tiny_run)
    assert tuple(rows[0]) == HISTORY
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert scalars(tiny_run.folder, "loss") == [(row["step"], pytest.approx(row["loss"])) for row in rows]
    for row in rows:
        assert row["learning_rate"] == pytest.approx(learning_rate(int(row["step"]) - 1, tiny_train))
    metrics = json.loads(tiny_run.metrics.read_text())
    assert metrics["steps"] == 12
    assert metrics["val_clips"] == 7
    for name in ("val_random_probe_correlation", "val_centred_cosine"):
        assert metrics[name] in (metrics[f"{name}_before_refit"], metrics[f"{name}_after_refit"])
    assert metrics["val_random_probe_correlation"] == max(
        metrics["val_random_probe_correlation_before_refit"], metrics["val_random_probe_correlation_after_refit"]
    )
    assert metrics["val_random_probe_correlation_before_refit"] == pytest.approx(
        max(row["val_random_probe_correlation"] for row in rows), abs=1e-6
    )


def test_the_figure_in_metrics_is_that_of_the_weights(tiny_run: Run) -> None:
    targets = Targets.load(tiny_run.targets)
    val = val_examples(read_records(tiny_run.records), targets=targets, seed=0)
    found, metrics = StudentEmbedder(tiny_run).embed(from_int16(val.pcm)), json.loads(tiny_run.metrics.read_text())
    assert mean_cosine(found, val.targets) == pytest.approx(metrics["val_centred_cosine"], abs=1e-4)
    correlation = random_probe_correlation(found, val.targets, directions=probe_directions(targets))
    assert correlation == pytest.approx(metrics["val_random_probe_correlation"], abs=1e-4)


def test_an_unfinished_run_is_not_opened(tiny_run: Run, tmp_path: Path) -> None:
    folder = prepared(tiny_run, tmp_path / "run")
    with pytest.raises(InputError, match="not finished"):
        open_run(folder)
    assert open_run(folder, finished=False).spec == tiny_run.spec
    with pytest.raises(InputError, match="not a run folder"):
        open_run(tmp_path)


def test_training_that_explodes_says_so() -> None:
    with pytest.raises(InputError, match="loss became nan near step 4") as caught:
        Trainer._checkpoint(
            Trainer.__new__(Trainer), 4, math.nan, 1.0
        )  # before it touches anything: the last checkpoint is kept
    assert "peak_lr" in caught.value.hint


def test_learning_rate_warms_up_and_decays_to_0() -> None:
    spec = TrainSpec(steps=1000, peak_lr=1e-2, warmup_fraction=0.1)
    rates = [learning_rate(step, spec) for step in range(spec.steps)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-2)
    assert np.argmax(rates) in (99, 100)
    assert rates[550] == pytest.approx(5e-3, rel=0.01)  # half way down the cosine
    assert 0 < rates[-1] < 1e-6
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[100:]) < 0).all()
    assert all(math.isfinite(learning_rate(step, TrainSpec(steps=1))) for step in (0, 1))


def test_average_forgets_the_initial_weights() -> None:
    spec = TrainSpec()
    decays = [average_decay(step, spec) for step in range(20_000)]
    assert decays[0] == pytest.approx(0.1)
    assert max(decays) == decays[-1] == spec.ema_decay
    assert np.prod(decays[: spec.steps]) < 1e-6  # what is left of the initial weights after a run


def pooled(network: Any, batches: Batches, frontend: Frontend) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dense = [layer for layer in network.layers if isinstance(layer, tf_keras.layers.Dense)]
    trunk = tf_keras.Model(network.input, [layer.input for layer in dense])
    features, targets = [], []
    for pcm, target, _ in batches.examples():
        features.append(
            np.concatenate([part.numpy() for part in trunk(frontend(from_int16(pcm)), training=False)], axis=1)
        )
        targets.append(target)
    return np.concatenate(features).astype(np.float64), np.concatenate(targets).astype(np.float64)


def test_refit_is_ridge_regression(tiny_run: Run) -> None:
    from sklearn.linear_model import Ridge

    batches = Batches(read_records(tiny_run.records), targets=Targets.load(tiny_run.targets), batch_size=8, seed=0)
    network, frontend = load_network(tiny_run.spec.student, tiny_run.weights), Frontend(tiny_run.spec.student.frontend)
    features, wanted = pooled(network, batches, frontend)
    ridge = 0.01
    refit_head(network, frontend, batches.examples(), ridge=ridge)
    reference = Ridge(alpha=ridge * features.var(axis=0).mean() * len(features), solver="svd").fit(features, wanted)
    dense = [layer for layer in network.layers if isinstance(layer, tf_keras.layers.Dense)]
    found = np.concatenate([layer.get_weights()[0] for layer in dense])
    # float32 features of a graph and of eager layers differ by 1e-7, which weights of 80 for features with a spread of
    # 0.004 amplify
    assert np.linalg.norm(found - reference.coef_.T) < 1e-3 * np.linalg.norm(reference.coef_)
    np.testing.assert_allclose(features @ found + dense[-1].get_weights()[1], reference.predict(features), atol=1e-3)


def test_trainer_leaves_test_subjects_alone(tiny_run: Run, dataset: Dataset) -> None:
    tested = {clip.subject for clip in dataset.clips if clip.split == "test"}
    for shard in read_records(tiny_run.records).shards:
        assert not tested & set(shard.subjects)


@pytest.mark.parametrize("name", ["tiny", "small", "base", "quickstart"])
def test_presets_load(name: str) -> None:
    assert load_preset(name).steps > 0
    assert load_preset(name, steps=7, seed=3) == dataclasses.replace(load_preset(name), steps=7, seed=3)


def test_unknown_presets_and_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'huge'"):
        load_preset("huge")
    for text, says in (
        ("step = 5", "unknown key 'step'"),
        ("steps = 'five'", "'five'"),
        ("steps = ", "not valid TOML"),
        ("[loss]\nhubert = 1", "hubert"),
    ):
        path = tmp_path / "train.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=says):
            load_preset("tiny", config=path)
    with pytest.raises(InputError, match="No such file"):
        load_preset("tiny", config=tmp_path / "missing.toml")


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"batch_size": 0}, {"checkpoint_every": 0}, {"peak_lr": math.nan}, {"ema_decay": 1.0}, {"seed": -1}],
    ids=str,
)
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(change))):
        dataclasses.replace(TrainSpec(), **change)
