import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hearlite.benchmarks.cost import latency
from hearlite.benchmarks.cost.latency import Candidate, device, measure, measure_candidates
from hearlite.errors import UsageError
from hearlite.spec import AUDIO
from hearlite.tflite import interpreter as runtime


class FakeModel:
    """Has the `run` of TfliteModel; sleeps as long as its file's name says, and writes down who was called."""

    calls: ClassVar[list[str]] = []
    clips: ClassVar[list[np.ndarray]] = []

    def __init__(self, path, *, threads, runtime):
        assert (threads, runtime) == (2, "litert")
        self.name = Path(path).stem

    def run(self, array):
        assert array.dtype == np.float32
        FakeModel.calls.append(self.name)
        FakeModel.clips.append(array)
        time.sleep({"slow": 0.004, "fast": 0.001}[self.name])
        return {"embedding": np.zeros((1, 4), np.float32)}


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(runtime, "TfliteModel", FakeModel)
    FakeModel.calls, FakeModel.clips = [], []
    return FakeModel


FILES = {"slow": Path("slow.tflite"), "fast": Path("fast.tflite")}


def test_times_ratios_and_conditions_are_recorded(fake):
    slow, fast = measure(FILES, runs=12, threads=2, warmup=1)
    assert (slow.model, fast.model) == ("slow", "fast")
    for row in (slow, fast):
        assert row.p5_ms <= row.median_ms <= row.p95_ms
        assert (row.threads, row.runs, row.ratio_to, row.device) == (2, 12, "slow", device())
        assert row.runtime.startswith("litert ")
        assert row.cold_ms > 0
    assert slow.median_ms >= 4.0 and fast.median_ms >= 1.0
    assert slow.ratio == 1.0
    assert fast.ratio > 1.3


def test_models_take_turns_in_changing_order_on_one_seeded_clip(fake):
    measure(FILES, runs=12, threads=2, warmup=3, seed=4)
    called = fake.calls[2 + 2 * 3 :]  # a cold run each, then the warm-up
    turn = 1 + latency.WARM_CALLS  # untimed calls right before each timed one
    assert all(len(set(called[k : k + turn])) == 1 for k in range(0, len(called), turn))
    rounds = [tuple(called[k : k + 2 * turn : turn]) for k in range(0, len(called), 2 * turn)]
    assert len(rounds) == 12
    assert set(rounds) == {("slow", "fast"), ("fast", "slow")}
    assert all(np.array_equal(clip, fake.clips[0]) for clip in fake.clips)
    assert fake.clips[0].shape == (1, AUDIO.clip_samples) and 0 < np.abs(fake.clips[0]).max() <= 1
    first, fake.calls[:] = list(fake.calls), []
    measure(FILES, runs=12, threads=2, warmup=3, seed=4)
    assert fake.calls == first


def test_ratio_is_the_median_of_rounds_not_the_ratio_of_medians(monkeypatch):
    """A clock that gives A 1, 2, 9 ms and B 2, 1, 9: the medians are equal, and so is the median ratio; means would
    differ by round.
    """
    untimed = [0.5] * latency.WARM_CALLS
    durations = {
        "a": [1.0, *untimed, 1.0, *untimed, 2.0, *untimed, 9.0],
        "b": [1.0, *untimed, 2.0, *untimed, 1.0, *untimed, 3.0],
    }  # first: cold
    now = [0]
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: now[0])

    def candidate(name):
        steps = iter(durations[name])

        def run(clip):
            now[0] += int(next(steps) * 1e6)

        return Candidate(name, "fake 1", lambda: run)

    a, b = measure_candidates([candidate("a"), candidate("b")], runs=3, warmup=0)
    assert (a.median_ms, b.median_ms, a.mean_ms, a.cold_ms) == (2.0, 2.0, 4.0, 1.0)
    assert b.ratio == 2.0  # of 0.5, 2.0 and 3.0; the ratio of the medians is 1.0


def test_a_slow_model_takes_part_in_fewer_rounds_and_its_ratio_is_of_those(monkeypatch):
    now = [0]
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: now[0])

    def candidate(name, seconds):
        def run(clip):
            now[0] += int(seconds * 1e9)

        return Candidate(name, "fake 1", lambda: run)

    slow, fast = measure_candidates([candidate("slow", 1.0), candidate("fast", 0.01)], runs=60, warmup=1)
    assert (slow.runs, fast.runs) == (10, 60)
    assert fast.ratio == fast.ratio_p5 == 100.0


def test_a_candidate_is_fed_its_own_shape():
    shapes = []
    image = Candidate(
        "image", "fake 1", lambda: lambda clip: shapes.append(clip.shape) or time.sleep(1e-4), input_shape=(1, 8, 4, 1)
    )
    measure_candidates([image], runs=2, warmup=0)
    assert set(shapes) == {(1, 8, 4, 1)}


@pytest.mark.parametrize("counts", [{"runs": 0}, {"threads": 0}, {"warmup": -1}])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(UsageError, match=">= 1"):
        measure(FILES, **counts)


def test_no_model_and_two_of_one_name_are_refused():
    with pytest.raises(UsageError, match="none"):
        measure({})
    same = Candidate("a", "fake 1", lambda: print)
    with pytest.raises(UsageError, match="each with its own name"):
        measure_candidates([same, same])


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some CPU @ 3 GHz\n", "Some CPU @ 3 GHz"),
        ("processor\t: 0\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4"),
    ],
)
def test_processor_is_named_on_x86_and_on_boards(tmp_path, cpuinfo, name):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert latency._cpu_name(tmp_path / "cpuinfo") == name


def test_processor_without_cpuinfo_still_has_a_name(tmp_path):
    assert latency._cpu_name(tmp_path / "absent")
