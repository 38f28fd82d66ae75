"""Several replicas train as one does: two virtual CPUs, and two real processes, give the loss curve of one process."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from hearlite.data.records import ALONE, Worker
from hearlite.distill.distribute import agreed, shared_out, slice_of_batch, strategy, worker
from hearlite.errors import UsageError
from hearlite.files import read_arrays
from hearlite.spec import AugmentSpec, TrainSpec

pytestmark = pytest.mark.kernels

TIMEOUT_S = 180.0  # of a training that takes 10 s on two free cores: a hang must not outlive the test
ALONE_CONFIG: dict[str, str] = {}
CURVE = 0.01  # how far apart the curves may be, relative; measured 0.0007, for they round differently
GRADIENTS = 0.2  # and the same of their norms; measured 0.07, and a wrong division is a factor of 2
SILENT = AugmentSpec(
    gain_db=0.0,
    dc_offset=0.0,
    tilt_db_per_octave=0.0,
    low_pass_p=0.0,
    high_pass_p=0.0,
    device_p=0.0,
    noise_p=0.0,
    mixstyle_p=0.0,
    mask_share=0.0,
)
TRAIN = TrainSpec(
    steps=30,
    batch_size=16,
    checkpoint_every=10,
    peak_lr=1e-3,
    batchnorm_momentum=0.5,
    ridge=0.1,
    augment=SILENT,
    views=1,
)
SCRIPT = """
import json, sys
from pathlib import Path
import tensorflow as tf
cpus = int(sys.argv[1])
if cpus > 1:
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * cpus)
from hearlite.distill.distribute import strategy
found = strategy()
from hearlite.data.dataset import load_dataset
from hearlite.distill.train import distill_student
from hearlite.serialization import from_dict
from hearlite.spec import STUDENT_FRONTEND, Block, StudentSpec, TrainSpec
from hearlite.embedders.open import FakeTeacher

blocks = (Block(0, 16, stride=(2, 2)), Block(24, 16, stride=(2, 2)), Block(24, 16, tap=True), Block(32, 24, (3, 5), (2, 2)))
student = StudentSpec("tiny", STUDENT_FRONTEND, 8, blocks, 32, embedding_dim=16)
train = from_dict(TrainSpec, json.loads(sys.argv[3]), where="train")
print("replicas", found.num_replicas_in_sync)
distill_student(load_dataset(Path(sys.argv[2])), teacher=FakeTeacher(16), student=student, train=train, folder=Path(sys.argv[4]))
"""


def start(
    corpus: Path, folder: Path, *, cpus: int = 1, tf_config: dict[str, str] = ALONE_CONFIG, train: TrainSpec = TRAIN
) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "",
    } | tf_config
    arguments = [
        sys.executable,
        "-c",
        SCRIPT,
        str(cpus),
        str(corpus),
        json.dumps(dataclasses.asdict(train)),
        str(folder),
    ]
    return subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    """What they said. However this ends, none of them is left."""
    try:
        said = [process.communicate(timeout=TIMEOUT_S)[0] for process in processes]
        for process, text in zip(processes, said, strict=True):
            assert process.returncode == 0, text[-3000:]
        return said
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def curve(folder: Path, column: str) -> NDArray[np.float64]:
    with (folder / "history.csv").open(newline="") as file:
        return np.asarray([float(row[column]) for row in csv.DictReader(file)])


def cluster(index: int, ports: list[int]) -> dict[str, str]:
    return {
        "TF_CONFIG": json.dumps(
            {"cluster": {"worker": [f"localhost:{port}" for port in ports]}, "task": {"type": "worker", "index": index}}
        )
    }


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


@pytest.fixture(scope="module")
def one_process(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    assert "replicas 1" in finish(start(corpus, folder))[0]
    return folder


def same_curve(folder: Path, reference: Path) -> None:
    """Adam can't tell a gradient from twice that gradient, so the loss alone would not show a wrong division."""
    wanted = curve(reference, "loss")
    assert wanted[-1] < 0.9 * wanted[0], "it must have learned something, else any curve is like any other"
    np.testing.assert_allclose(curve(folder, "loss"), wanted, rtol=CURVE)
    np.testing.assert_allclose(curve(folder, "gradient_norm"), curve(reference, "gradient_norm"), rtol=GRADIENTS)
    assert (folder / "weights.npz").is_file()


@pytest.mark.slow
def test_two_virtual_cpus(corpus: Path, one_process: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert "replicas 2" in finish(start(corpus, folder, cpus=2))[0]
    same_curve(folder, one_process)


@pytest.mark.slow
def test_two_processes(corpus: Path, one_process: Path, tmp_path: Path) -> None:
    """They share the folder, the records and one training; the chief writes it."""
    folder, ports = tmp_path / "run", free_ports(2)
    said = finish(*(start(corpus, folder, tf_config=cluster(index, ports)) for index in range(2)))
    assert all("replicas 2" in text for text in said)
    same_curve(folder, one_process)
    ours, theirs = read_arrays(folder / "targets.npz"), read_arrays(one_process / "targets.npz")
    np.testing.assert_array_equal(ours["mean"], theirs["mean"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ALONE),
        (cluster(0, [1])["TF_CONFIG"], ALONE),
        (cluster(1, [1, 2, 3])["TF_CONFIG"], Worker(1, 3)),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "chief", "index": 0}}',
            Worker(0, 3),
        ),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}',
            Worker(2, 3),
        ),
    ],
    ids=["unset", "one", "second of three", "chief", "beside a chief"],
)
def test_workers_are_numbered_as_replicas_are(text: str, found: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert worker() == found
    assert worker().is_chief == (found.index == 0)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", cluster(2, [1, 2])["TF_CONFIG"]], ids=["json", "list", "empty", "index"]
)
def test_a_wrong_tf_config_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG"):
        worker()


def test_every_row_of_a_batch_has_one_replica() -> None:
    rows = np.arange(12)
    parts = [rows[slice_of_batch(12, replica=replica, replicas=3)] for replica in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(parts), rows)


def test_one_replica_gets_the_whole_batch_and_agrees_with_itself() -> None:
    (found,) = shared_out((np.arange(6),), among=strategy())
    np.testing.assert_array_equal(found, np.arange(6))
    assert agreed([0.1, 3.0], among=strategy()) == [0.1, 3.0]
