import numpy as np
import pytest

from hearlite.benchmarks.stats.auroc import auroc
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights
from hearlite.benchmarks.stats.subgroups import subgroup_aurocs
from hearlite.benchmarks.tasks.demographics import age_bands, subgroup_values
from hearlite.errors import InputError

SUBJECTS, CLIPS = 80, 5
DRAWS = bootstrap_weights(SUBJECTS, samples=400, seed=0)


def made_up(seed, *, effects):
    """(scores, labels, owners, group of each clip): subjects of group k are as easy as effects[k]."""
    rng = np.random.default_rng(seed)
    subject_index = np.repeat(np.arange(SUBJECTS), CLIPS)
    groups = subject_index % len(effects)
    labels = rng.random(len(subject_index)) < 0.4
    scores = (
        np.asarray(effects)[groups] * labels
        + rng.normal(size=SUBJECTS)[subject_index]
        + rng.normal(size=len(subject_index))
    )
    return scores, labels, subject_index, [f"group {group}" for group in groups]


def test_each_group_is_measured_within_itself():
    scores, labels, subject_index, groups = made_up(0, effects=(0.5, 2.0))
    scores = scores + 100 * (np.array(groups) == "group 1")  # a group that scores higher as a whole
    found = subgroup_aurocs(scores, labels, subject_index, DRAWS, groups, column="site")
    assert [group.value for group in found.groups] == ["group 0", "group 1"]
    for group in found.groups:
        inside = np.array(groups) == group.value
        assert group.auroc.value == auroc(scores[inside], labels[inside])
        assert group.auroc.low < group.auroc.value < group.auroc.high
        assert group.clips.positive_clips + group.clips.negative_clips == 200
        assert group.clips.positive_subjects <= 40
    assert found.gap.value == pytest.approx(found.groups[1].auroc.value - found.groups[0].auroc.value)
    assert (found.best, found.worst) == ("group 1", "group 0")
    assert 0 < found.gap.low < found.gap.value < found.gap.high
    assert found.p < 0.05


def test_the_gap_is_between_the_best_and_the_worst_of_many():
    scores, labels, subject_index, groups = made_up(1, effects=(1.0, 3.0, 0.2, 1.5))
    found = subgroup_aurocs(scores, labels, subject_index, DRAWS, groups, column="site")
    values = {group.value: group.auroc.value for group in found.groups}
    assert found.gap.value == pytest.approx(max(values.values()) - min(values.values()))
    assert values[found.best] == max(values.values()) and values[found.worst] == min(values.values())


def test_groups_that_are_alike_have_a_gap_of_noise_which_the_interval_and_p_say():
    """The largest of many differences is never 0: 100 data sets of four equal groups, an interval without 0 in about
    one of twenty.
    """
    found = []
    for seed in range(100):
        scores, labels, subject_index, groups = made_up(100 + seed, effects=(1.0, 1.0, 1.0, 1.0))
        found.append(subgroup_aurocs(scores, labels, subject_index, DRAWS, groups, column="site"))
    assert np.mean([item.gap.value for item in found]) > 0.08
    assert np.mean([item.gap.low > 0 for item in found]) <= 0.10
    assert 0.3 <= np.mean([item.p for item in found]) <= 0.7
    for item in found:
        assert (item.p < 0.045) <= (item.gap.low > 0)
        assert (item.gap.low > 0) <= (item.p < 0.055)


def test_groups_of_too_few_subjects_say_why_and_unknown_is_no_group():
    scores, labels, subject_index, _ = made_up(2, effects=(1.0,))
    values = np.where(subject_index < 3, "rare", np.where(subject_index < 40, "usual", "")).tolist()
    found = subgroup_aurocs(scores, labels, subject_index, DRAWS, values, column="device")
    assert [group.value for group in found.groups] == ["usual"]
    assert [(item.name, item.reason[0]) for item in found.left_out] == [("device=rare", "3")]
    assert (found.gap.value, found.p, found.best, found.worst) == (None, None, "", "")


def test_a_group_of_one_class_is_left_out():
    scores, labels, subject_index, _ = made_up(3, effects=(1.0,))
    values = np.where(labels & (subject_index < 40), "sick", "mixed").tolist()
    found = subgroup_aurocs(scores, labels, subject_index, DRAWS, values, column="ward")
    assert [item.name for item in found.left_out] == ["ward=sick"]
    assert found.left_out[0].reason == "0 negative subjects in test, needs 5"


def test_no_group_at_all_and_a_wrong_number_of_values():
    scores, labels, subject_index, groups = made_up(4, effects=(1.0,))
    nothing = subgroup_aurocs(scores, labels, subject_index, DRAWS, [""] * len(scores), column="sex")
    assert (nothing.groups, nothing.left_out, nothing.gap.value) == ((), (), None)
    with pytest.raises(InputError, match="399 values for 400 clips"):
        subgroup_aurocs(scores, labels, subject_index, DRAWS, groups[:-1], column="sex")


def test_ages_become_bands_and_impossible_ones_are_flagged():
    ages = age_bands(["0.1", "2", "11.9", "12", "17", "18", "64.5", "65", "99", "", " 30 "])
    assert ages.bands == (
        "below 2",
        "2-12",
        "2-12",
        "12-18",
        "12-18",
        "18-65",
        "18-65",
        "65 or more",
        "65 or more",
        "",
        "18-65",
    )
    assert ages.impossible == ()
    odd = age_bands(["-1", "254", "abc", "nan", "inf", "254", "40"], edges=(30.0, 50.0))
    assert odd.bands == ("", "", "", "", "", "", "30-50")
    assert odd.impossible == ("-1", "254", "abc", "nan", "inf")
    assert age_bands(["3"], edges=(5.0,)).bands == ("below 5",)


def test_ages_become_bands_and_other_columns_stay():
    assert subgroup_values("sex", [" male", "", "female"]) == (("male", "", "female"), ())
    bands, notes = subgroup_values("Age", ["1", "70", "", "211"])
    assert bands == ("below 2", "65 or more", "", "")
    assert notes == ("impossible ages, in no subgroup: '211'",)
