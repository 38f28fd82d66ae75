"""A clip-wise split leaks: a probe that can only recognise people looks good by it, and the gap says so."""

from statistics import NormalDist

import numpy as np
import pytest

from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.probes.folds import clip_wise_split
from hearlite.benchmarks.probes.leaky_split import leaking_beside
from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.comparisons import bootstrap_aurocs
from hearlite.benchmarks.tasks.binary import binary_tasks

SUBJECTS, CLIPS = 60, 8


@pytest.fixture(scope="module")
def results():
    """Labels that nothing predicts but who somebody is: every subject has a place of its own in the embedding, and a
    coin says who is sick.
    """
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    embeddings = rng.normal(size=(SUBJECTS, 80))[subject_index] + 0.3 * rng.normal(size=(len(subject_index), 80))
    sick = rng.random(SUBJECTS) < 0.5
    subjects, splits = (
        [f"s{owner}" for owner in subject_index],
        ["test" if owner % 3 == 0 else "train" for owner in subject_index],
    )
    labels = [str(int(sick[owner])) for owner in subject_index]
    tasks = binary_tasks(labels, column="sick", subjects=subjects, splits=splits).tasks
    models = {"teacher": embeddings, "noise": rng.normal(size=(len(subject_index), 2))}
    return run_probes(models, tasks, subjects, splits, reference="teacher", seed=0, samples=400, clip_wise=True)


def test_a_probe_of_people_is_found_out(results):
    teacher, noise = results.tasks[0].leaking
    assert (teacher.model, noise.model) == ("teacher", "noise")
    assert teacher.auroc.low > 0.8
    leak_free = results.tasks[0].scores[0].auroc
    assert leak_free.low < 0.5 < leak_free.high + 0.1
    assert teacher.gap.value == pytest.approx(teacher.auroc.value - leak_free.value)
    assert teacher.gap.low > 0.1
    assert noise.gap.low < 0 < noise.gap.high


def test_means_are_there(results):
    assert [item.model for item in results.leaking] == ["teacher", "noise"]
    assert results.leaking[0].gap == results.tasks[0].leaking[0].gap  # of one task


def test_the_interval_of_a_gap_holds_the_truth_in_95_percent_of_studies():
    """Two models of known AUROC, one for each split: binormal scores with a random effect of the subject, as in
    test_bootstrap.py.
    """
    rng, subject_index = np.random.default_rng(1), np.repeat(np.arange(30), 6)
    labels = subject_index % 2 == 1
    draws = bootstrap_weights(30, samples=300, seed=0)
    outside = subject_index % 3 == 0  # leak-free: ten subjects
    leaking = clip_wise_split(labels, seed=0)
    truth = NormalDist().cdf(2.0 / 2) - NormalDist().cdf(1.2 / 2)
    held = []
    for _ in range(300):
        shared = rng.normal(size=30)[subject_index] + rng.normal(size=len(subject_index))
        by_split = [
            bootstrap_aurocs({"m": (effect * labels + shared)[side]}, labels[side], subject_index[side], draws)
            for effect, side in ((2.0, leaking), (1.2, outside))
        ]
        (found,) = leaking_beside(*by_split)
        held.append(found.gap.low <= truth <= found.gap.high)
        assert found.auroc.value == auroc((2.0 * labels + shared)[leaking], labels[leaking])
    assert 0.92 <= np.mean(held) <= 0.99
