import warnings

import numpy as np
import pytest

from hearlite.benchmarks.probes import logistic
from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.probes.logistic import C_GRID
from hearlite.benchmarks.schema.baselines import PERMUTED
from hearlite.benchmarks.stats.noninferiority import INFERIOR, NON_INFERIOR
from hearlite.benchmarks.tasks.binary import binary_tasks
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUROC_MARGIN

SUBJECTS, CLIPS, DIM = 60, 5, 12


def made_up(seed=0, *, effect=0.8):
    """(embeddings, event labels, sick labels, subjects, splits): every third subject is in test, every fifth is
    sick.
    """
    rng = np.random.default_rng(seed)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    events = rng.integers(3, size=len(subject_index))
    sick = subject_index % 5 == 0
    embeddings = (
        rng.normal(size=(len(subject_index), DIM))
        + effect * rng.normal(size=(3, DIM))[events]
        + effect * np.outer(sick, rng.normal(size=DIM))
    )
    subjects = [f"s{owner}" for owner in subject_index]
    splits = ["test" if owner % 3 == 0 else "val" if owner % 7 == 0 else "train" for owner in subject_index]
    return (
        embeddings.astype(np.float32),
        [f"event {k}" for k in events],
        [str(int(value)) for value in sick],
        subjects,
        splits,
    )


def test_tasks_of_two_values_are_one_and_of_three_are_three():
    _, events, sick, subjects, splits = made_up()
    assert [
        task.name for task in binary_tasks(sick, column="sick", subjects=subjects, splits=splits, min_subjects=3).tasks
    ] == ["sick=1"]
    found = binary_tasks(events, column="event", subjects=subjects, splits=splits)
    assert [task.positive for task in found.tasks] == ["event 0", "event 1", "event 2"]
    assert not found.left_out


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (("1", "0"), "1"),
        (("True", "False"), "True"),
        (("negative", "Positive"), "Positive"),
        (("rare", "usual"), "rare"),
        (("usual", "rare"), "rare"),
    ],
)
def test_positive_class_is_the_one_that_says_so_or_the_rarer(values, positive):
    subjects = [f"s{k}" for k in range(90)]
    splits = ["test" if k % 3 == 0 else "train" for k in range(90)]
    labels = [values[k % 5 == 0] if values[0] == "usual" else values[k % 5 != 0] for k in range(90)]
    (task,) = binary_tasks(labels, column="c", subjects=subjects, splits=splits).tasks
    assert task.positive == positive


def test_positive_word_wins_over_rarity():
    subjects = [f"s{k}" for k in range(90)]
    splits = ["test" if k % 3 == 0 else "train" for k in range(90)]
    (task,) = binary_tasks(
        ["0" if k % 5 == 0 else "1" for k in range(90)], column="c", subjects=subjects, splits=splits
    ).tasks
    assert task.positive == "1"
    assert task.labels.sum() == 72


def test_tasks_left_out_say_why():
    _, events, sick, subjects, splits = made_up()
    found = binary_tasks(
        ["rare" if name == "s0" else event for name, event in zip(subjects, events, strict=True)],
        column="event",
        subjects=subjects,
        splits=splits,
    )
    assert [(item.name, item.reason) for item in found.left_out] == [
        ("event=rare", "0 positive subjects in train, needs 5")
    ]
    assert len(found.tasks) == 3
    few = binary_tasks(sick, column="sick", subjects=subjects, splits=splits)
    assert [item.reason for item in few.left_out] == ["4 positive subjects in test, needs 5"]
    assert (
        binary_tasks([""] * len(subjects), column="c", subjects=subjects, splits=splits).left_out[0].reason
        == "no labelled clip"
    )
    assert (
        "one value only"
        in binary_tasks(["a"] * len(subjects), column="c", subjects=subjects, splits=splits).left_out[0].reason
    )


def test_unlabelled_clips_are_in_no_task_side():
    _, events, _, subjects, splits = made_up()
    events = ["" if k % 4 == 0 else event for k, event in enumerate(events)]
    for task in binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks:
        assert task.labelled.sum() == sum(event != "" for event in events)
        assert not task.labels[~task.labelled].any()


def test_a_subject_on_two_sides_is_refused():
    with pytest.raises(InputError, match="subject 'a' is in test and in training"):
        binary_tasks(["0", "1"], column="c", subjects=["a", "a"], splits=["train", "test"])
    with pytest.raises(InputError, match="split is 'dev'"):
        binary_tasks(["0"], column="c", subjects=["a"], splits=["dev"])


@pytest.fixture(scope="module")
def results():
    embeddings, events, sick, subjects, splits = made_up()
    tasks = [
        *binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks,
        *binary_tasks(sick, column="sick", subjects=subjects, splits=splits, min_subjects=3).tasks,
    ]
    rng = np.random.default_rng(9)
    models = {
        "teacher": embeddings,
        "copy": embeddings,
        "noisy": embeddings + rng.normal(size=embeddings.shape),
        "duration": rng.random((len(embeddings), 1)),
    }
    return run_probes(
        models,
        tasks,
        subjects,
        splits,
        reference="teacher",
        float_of={"noisy": "copy"},
        subgroups=groups(subjects),
        seed=0,
        samples=600,
    )


def groups(subjects):
    return {"sex": ["male" if int(name[1:]) % 2 else "female" for name in subjects]}


def test_details_and_subgroups_are_of_single_tasks(results):
    for task in results.tasks:
        for score in task.scores[:4]:
            assert score.sweep.prevalence == task.test.positive_clips / (20 * CLIPS)
            assert sum(score.calibration.reliability.clips) == 20 * CLIPS
            assert score.subgroups[0].column == "sex"
        assert task.scores[4].point is None  # of several probes with permuted labels
    (sick,) = results.tasks[-1].scores[0].subgroups
    assert [item.name for item in sick.left_out] == ["sex=female", "sex=male"] and not sick.gap.shown
    assert {group.value for group in results.tasks[0].scores[0].subgroups[0].groups} == {"female", "male"}
    assert all(score.point is None and not score.subgroups for score in results.summary)


def test_every_model_is_compared_to_the_teacher_and_a_quantized_file_to_its_float_one(results):
    expected = [("copy", "teacher"), ("noisy", "teacher"), ("duration", "teacher"), ("noisy", "copy")]
    for pairs in (results.comparisons, *(task.comparisons for task in results.tasks)):
        assert [(pair.model, pair.to) for pair in pairs] == expected
    copy, noisy, duration, to_copy = results.comparisons
    assert (copy.difference.low, copy.difference.high, copy.p, copy.verdict) == (0.0, 0.0, 1.0, NON_INFERIOR)
    assert noisy.difference == to_copy.difference == results.summary[2].difference
    assert duration.verdict == INFERIOR and duration.p < 0.001
    assert all(pair.p <= pair.p_holm for task in results.tasks for pair in task.comparisons)
    assert results.margin == AUROC_MARGIN


def test_results_have_every_model_with_interval_counts_and_curve(results):
    assert [task.name for task in results.tasks] == ["event=event 0", "event=event 1", "event=event 2", "sick=1"]
    for task in results.tasks:
        assert [score.model for score in task.scores] == ["teacher", "copy", "noisy", "duration", PERMUTED]
        assert task.test.positive_clips + task.test.negative_clips == 20 * CLIPS
        assert task.train.positive_clips + task.train.negative_clips == 40 * CLIPS
        for score in task.scores[:4]:
            assert score.auroc.low <= score.auroc.value <= score.auroc.high
            assert score.chosen[0].name == "C" and score.chosen[0].value in C_GRID
            assert score.roc.true_positive[-1] == 1.0
    assert results.tasks[-1].test.positive_subjects == 4 and results.tasks[-1].test.negative_subjects == 16


def test_a_copy_keeps_everything_and_noise_loses(results):
    teacher, copy, noisy, duration, permuted = results.summary
    assert teacher.auroc.value > 0.75
    assert (copy.difference.value, copy.difference.low, copy.difference.high) == (0.0, 0.0, 0.0)
    assert (copy.retention.value, copy.retention.low, copy.retention.high) == (1.0, 1.0, 1.0)
    assert noisy.difference.high < 0 and noisy.retention.high < 1
    assert duration.auroc.low < 0.5 < duration.auroc.high
    assert permuted.auroc.value == pytest.approx(0.5, abs=0.06)
    assert teacher.difference.value is None and teacher.retention.value is None


def test_paired_difference_is_surer_than_the_aurocs_themselves(results):
    teacher, _, noisy, *_ = results.summary
    width = noisy.difference.high - noisy.difference.low
    assert width < np.hypot(teacher.auroc.high - teacher.auroc.low, noisy.auroc.high - noisy.auroc.low)


def test_mean_is_over_tasks_and_its_interval_narrower_than_a_tasks(results):
    for row, score in enumerate(results.summary):
        values = [task.scores[row].auroc for task in results.tasks]
        assert score.auroc.value == pytest.approx(np.mean([value.value for value in values]))
    widths = [task.scores[0].auroc.high - task.scores[0].auroc.low for task in results.tasks]
    assert results.summary[0].auroc.high - results.summary[0].auroc.low < np.mean(widths)


def test_replicates_without_a_class_are_counted_and_noted(results):
    sick = results.tasks[-1]  # 4 of 20 test subjects: no one drawn in (16/20)^20 = 1.2 % of replicates
    assert 0 < sick.dropped_replicates < 25
    assert any("lack a class" in note for note in results.notes)


def test_same_seed_same_results_and_models_do_not_influence_each_other(results):
    embeddings, events, _, subjects, splits = made_up()
    tasks = binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks
    alone = run_probes(
        {"teacher": embeddings},
        tasks[:1],
        subjects,
        splits,
        reference="teacher",
        subgroups=groups(subjects),
        seed=0,
        samples=600,
    )
    assert alone.tasks[0].scores[0] == results.tasks[0].scores[0]
    assert alone.tasks[0].scores[-1].auroc == results.tasks[0].scores[-1].auroc


def test_test_labels_do_not_reach_the_probe():
    embeddings, events, _, subjects, splits = made_up()
    test = np.array(splits) == "test"
    flipped = [
        ("event 1" if event == "event 0" else "event 0") if outside else event
        for event, outside in zip(events, test, strict=True)
    ]
    chosen = []
    for labels in (events, flipped):
        tasks = binary_tasks(labels, column="event", subjects=subjects, splits=splits).tasks[:1]
        chosen.append(
            run_probes({"t": embeddings}, tasks, subjects, splits, reference="t", seed=0, samples=10).tasks[0]
        )
    assert chosen[0].scores[0].chosen == chosen[1].scores[0].chosen
    assert chosen[0].train == chosen[1].train
    assert chosen[1].scores[0].auroc.value < 0.5 < chosen[0].scores[0].auroc.value


def test_excess_ratio_to_a_reference_at_chance_is_undefined():
    embeddings, events, _, subjects, splits = made_up()
    tasks = binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks[:1]
    models = {"noise": np.random.default_rng(0).normal(size=(len(embeddings), 2)), "good": embeddings}
    _, good, _ = run_probes(models, tasks, subjects, splits, reference="noise", seed=0, samples=100).summary
    assert good.auroc.value > 0.7 and not good.retention.shown and good.difference.shown


def test_probes_that_do_not_converge_are_notes_not_warnings(monkeypatch):
    monkeypatch.setattr(logistic, "MAX_ITER", 1)
    embeddings, events, _, subjects, splits = made_up()
    tasks = binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks[:1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run_probes({"t": embeddings}, tasks, subjects, splits, reference="t", seed=0, samples=10)
    assert any("event=event 0, t: " in note and "fits stopped before they converged" in note for note in found.notes)


def test_bad_embeddings_are_refused():
    embeddings, events, _, subjects, splits = made_up()
    tasks = binary_tasks(events, column="event", subjects=subjects, splits=splits).tasks
    broken = embeddings.copy()
    broken[3, 2] = np.nan
    with pytest.raises(InputError, match="'t' hold NaN or infinity for 1 of 300 clips"):
        run_probes({"t": broken}, tasks, subjects, splits, reference="t", seed=0)
    with pytest.raises(InputError, match="shape"):
        run_probes({"t": embeddings[:-1]}, tasks, subjects, splits, reference="t", seed=0)
    with pytest.raises(UsageError, match="reference is 'x'"):
        run_probes({"t": embeddings}, tasks, subjects, splits, reference="x", seed=0)
    with pytest.raises(UsageError, match="margin is 0"):
        run_probes(
            {"t": embeddings, "u": embeddings}, tasks, subjects, splits, reference="t", margin=0.0, seed=0, samples=10
        )
    with pytest.raises(InputError, match="no task"):
        run_probes({"t": embeddings}, [], subjects, splits, reference="t", seed=0)
