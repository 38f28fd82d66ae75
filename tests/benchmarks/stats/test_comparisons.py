"""Coverage is measured on studies whose true AUROCs are known: three tasks on the same subjects, two models that err
together.
"""

from statistics import NormalDist

import numpy as np
import pytest

from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights, interval
from hearlite.benchmarks.stats.comparisons import (
    BootstrapAurocs,
    TaskScores,
    effective_sample,
    mean_over_tasks,
    paired_by_task,
    paired_means,
    scored,
)
from hearlite.benchmarks.stats.delong import paired_delong
from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR
from hearlite.benchmarks.studies.interval_coverage import noise

CLIPS, SETS, SAMPLES = 5, 300, 300
EFFECTS = (2.3, 1.5, 1.0)  # of the three tasks; the student has `KEPT` of them
KEPT = 0.8
PHI = NormalDist().cdf


def studies(subjects, *, sets=SETS):
    """Means over the three tasks of `sets` studies: positive are half the subjects, a third of them, or two of five
    clips of every subject.
    """
    rng, subject_index = np.random.default_rng(1), np.repeat(np.arange(subjects), CLIPS)
    draws = bootstrap_weights(subjects, samples=SAMPLES, seed=0)
    tasks = [[] for _ in range(sets)]
    common = np.sqrt(0.5) * noise(rng, subject_index, sets=sets)
    for labels, effect in zip(
        (subject_index % 2 == 1, subject_index % 3 == 0, np.arange(len(subject_index)) % CLIPS < 2),
        EFFECTS,
        strict=True,
    ):
        shared = common + np.sqrt(0.2) * noise(rng, subject_index, sets=sets)
        both = [
            kept * effect * labels + shared + np.sqrt(0.3) * noise(rng, subject_index, sets=sets) for kept in (1, KEPT)
        ]
        drawn = [weighted_aurocs(scores, labels, subject_index, draws) for scores in both]
        for study, found in enumerate(tasks):
            observed = {
                name: auroc(scores[study], labels) for name, scores in zip(("teacher", "student"), both, strict=True)
            }
            found.append(
                BootstrapAurocs(
                    observed, np.stack([part[study] for part in drawn]), *effective_sample(labels, subject_index)
                )
            )
    return [mean_over_tasks(found) for found in tasks]


@pytest.mark.parametrize("subjects", [12, 20, 40])
def test_means_differences_and_ratios_hold_the_truth_in_95_percent_of_studies(subjects):
    teacher, student = (np.mean([PHI(kept * effect / 2) for effect in EFFECTS]) for kept in (1, KEPT))
    found = [scored(study, reference="teacher", margin=0.02) for study in studies(subjects)]
    truths = {
        "mean": (teacher, [of_teacher.auroc for of_teacher, _ in found]),
        "difference": (student - teacher, [of_student.difference for _, of_student in found]),
        "ratio": (
            (student - 0.5) / (teacher - 0.5),
            [of_student.retention for _, of_student in found if of_student.retention.shown],
        ),
    }
    for figure, (truth, estimates) in truths.items():
        assert len(estimates) > 0.9 * SETS, figure
        assert 0.93 <= np.mean([item.low <= truth <= item.high for item in estimates]) <= 0.99, figure


def test_a_plain_percentile_interval_of_the_mean_would_not():
    truth = np.mean([PHI(effect / 2) for effect in EFFECTS])
    bounds = [interval(study.row("teacher")) for study in studies(12)]
    assert np.mean([low <= truth <= high for low, high in bounds]) < 0.91


def one_task(seed, *, loss, subjects=40):
    rng, subject_index = np.random.default_rng(seed), np.repeat(np.arange(subjects), CLIPS)
    labels = subject_index % 2 == 1
    shared = noise(rng, subject_index, sets=1)[0]
    scores = {
        "teacher": 1.5 * labels + shared,
        "student": (1.5 - loss) * labels + shared + 0.1 * rng.normal(size=len(subject_index)),
    }
    drawn = weighted_aurocs(
        np.stack(list(scores.values())), labels, subject_index, bootstrap_weights(subjects, samples=400, seed=0)
    )
    observed = {name: auroc(values, labels) for name, values in scores.items()}
    return TaskScores(
        scores, labels, subject_index, BootstrapAurocs(observed, drawn, *effective_sample(labels, subject_index))
    )


def test_every_task_has_its_own_delong_test_corrected_over_tasks():
    tasks = [one_task(0, loss=0.0), one_task(1, loss=0.25), one_task(2, loss=1.0)]
    by_task = paired_by_task([("student", "teacher")], tasks, margin=0.1)
    pairs = [pair for (pair,) in by_task]
    for task, pair in zip(tasks, pairs, strict=True):
        assert (pair.model, pair.to) == ("student", "teacher")
        assert (
            pair.p
            == paired_delong(task.scores["student"], task.scores["teacher"], task.labels, subjects=task.subject_index).p
        )
        assert pair.difference.value == pytest.approx(task.aurocs.observed["student"] - task.aurocs.observed["teacher"])
        assert pair.p <= pair.p_holm <= 3 * pair.p + 1e-15
    assert [pair.verdict for pair in pairs] == [NON_INFERIOR, NON_INFERIOR, INFERIOR]
    alone = paired_by_task([("student", "teacher")], tasks[:1], margin=0.1)
    assert alone[0][0].p_holm == alone[0][0].p
    assert paired_by_task([], tasks, margin=0.1) == ((), (), ())


def test_means_are_one_question_and_a_wide_margin_answers_it():
    tasks = [one_task(seed, loss=0.25) for seed in range(4)]
    means = mean_over_tasks([task.aurocs for task in tasks])
    verdicts = [paired_means([("student", "teacher")], means, margin=margin)[0].verdict_holm for margin in (0.005, 0.2)]
    assert verdicts[0] in (INCONCLUSIVE, INFERIOR) and verdicts[1] == NON_INFERIOR
    (pair,) = paired_means([("student", "teacher")], means, margin=0.01)
    assert pair.p == pair.p_holm and (pair.p < 0.05) == (not pair.difference.low <= 0 <= pair.difference.high)


def test_a_mean_is_as_sure_as_its_least_sure_task():
    rng = np.random.default_rng(0)
    parts = [
        BootstrapAurocs({"a": value}, rng.random((1, 10)), dof, trials)
        for value, dof, trials in ((0.6, 9.0, 20), (0.8, 30.0, 5))
    ]
    parts[1].drawn[0, 3] = np.nan
    found = mean_over_tasks(parts)
    assert (found.observed["a"], found.dof, found.trials) == (pytest.approx(0.7), 9.0, 5)
    assert np.flatnonzero(np.isnan(found.drawn[0])).tolist() == [3]
