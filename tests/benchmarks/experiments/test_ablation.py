"""Test that variants are as named, are trained once, and are compared on the same subjects."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from small import SMALL

pytest.importorskip("tensorflow")

import hearlite.spec
from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.experiments import ablation as ablate
from hearlite.benchmarks.experiments import ablation_table as variant_table
from hearlite.benchmarks.experiments.training_throughput import RECORDS, TRAINING, Bottleneck, Rate, bottleneck
from hearlite.benchmarks.experiments.training_throughput import command as throughput_command
from hearlite.benchmarks.experiments.variants import Variant, load_variants
from hearlite.benchmarks.stats.auroc import auroc, weighted_aurocs
from hearlite.benchmarks.stats.bootstrap import bootstrap_weights, difference_interval, interval, rate_interval
from hearlite.benchmarks.stats.comparisons import effective_sample
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.interval_coverage import design, noise, true_auroc
from hearlite.distill.presets import load_preset
from hearlite.errors import InputError, UsageError
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import NORMALISATIONS, STUDENTS, AugmentSpec, TrainSpec

TINY, TRAIN = STUDENTS["tiny"], TrainSpec()
LIST = """
[[variant]]
name = "recipe"
[[variant]]
name = "no-relational"
overrides = { "train.loss.relational" = 0.0, "student.blocks.*.tap" = false }
"""


@pytest.fixture
def small_students(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hearlite.spec.STUDENTS, "tiny", SMALL)


def test_the_recipes_list_is_made_of_settings_that_exist() -> None:
    variants = load_variants("recipe")
    preset = load_preset("tiny")
    specs = {variant.name: variant.specs(TINY, preset) for variant in variants}
    assert specs["recipe"] == (TINY, preset)
    assert len({json.dumps([to_dict(spec) for spec in pair], sort_keys=True) for pair in specs.values()}) == len(
        variants
    )  # no two are the same
    student, train = specs["no-taps"]
    assert not any(block.tap for block in student.blocks)
    assert [dataclasses.replace(block, tap=False) for block in TINY.blocks] == list(student.blocks)
    assert train == preset
    assert {specs[name][0].frontend.mels for name in ("mels-40", "recipe", "mels-128")} == {40, 64, 128}
    assert {train.normalisation for _, train in specs.values()} == set(NORMALISATIONS)
    assert (
        specs["augment-all"][1].augment == AugmentSpec()
    )  # the parts together, at the values that the spec recommends


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"train.loss.hubert": 1.0}, "no setting 'hubert'.*huber,"),
        ({"student.blocks.tap": False}, r"no setting 'tap'.*\*"),
        ({"train.steps.more": 1}, "no setting 'more'"),
        ({"train.steps": "many"}, "'many'"),
        ({"steps": 3}, "no setting 'steps'.*student, train"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_overrides_of_nothing_are_refused(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Variant("odd", overrides).specs(TINY, TRAIN)


def test_values_that_a_spec_refuses_are_refused() -> None:
    with pytest.raises(UsageError, match="normalisation"):
        Variant("odd", {"train.normalisation": "whitened"}).specs(TINY, TRAIN)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "variant"),
        ("variant = []", "first one"),
        (LIST + LIST, "each name once"),
        ("[[variant]]\nname = '../x'", r"'\.\./x'"),
    ],
    ids=["empty", "none", "twice", "path"],
)
def test_unusable_lists_are_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(InputError, match=says):
        load_variants(str(tmp_path / "list.toml"))
    with pytest.raises(InputError, match="recipe"):
        load_variants("nothing")


@pytest.mark.slow
def test_an_ablation_from_recordings_to_table(
    small_students: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_table, "SAMPLES", 50)
    corpus = write_corpus(tmp_path / "corpus", subjects=32, recordings_per_subject=3, seed=0)
    rows = corpus.read_text().splitlines()
    halves = [
        rows[0],
        *(",".join((*line.split(",")[:3], "AB"[i % 2], *line.split(",")[4:])) for i, line in enumerate(rows[1:])),
    ]
    corpus.write_text("\n".join(halves) + "\n")  # a label that every subject has both of
    (tmp_path / "list.toml").write_text(LIST)
    out = tmp_path / "out"
    arguments = [
        str(corpus),
        "--teacher",
        "fake:16",
        "--list",
        str(tmp_path / "list.toml"),
        "--steps",
        "3",
        "--seed",
        "0",
        "--seed",
        "1",
    ]
    arguments += ["--hop", "2", "--out", str(out)]
    ran = CliRunner().invoke(ablate.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((out / "results.json").read_text())
    assert [row["variant"] for row in results["variants"]] == ["recipe", "no-relational"]
    assert all(
        row["seeds"] == 2 and row["minutes"] > 0 and list(row["tasks"]) == ["label=A"] for row in results["variants"]
    )
    read = from_dict(ablate.AblationResults, results, where="results.json")
    assert read.variants[0].difference == read.variants[0].kept_of_first == Estimate()
    assert (out / "table.md").read_text() == variant_table.table(read.variants)
    difference = results["variants"][1]["auroc"]["value"] - results["variants"][0]["auroc"]["value"]
    assert results["variants"][1]["difference"]["value"] == pytest.approx(difference)
    assert (out / "table.md").read_text().count("\n") == 4
    assert len(list(out.glob("records-*"))) == 1  # the same views: one cache
    changed = [path.stat().st_mtime_ns for path in sorted(out.rglob("*.npz"))]
    again = CliRunner().invoke(ablate.command, arguments, catch_exceptions=False)
    assert again.output.splitlines()[-2:] == ran.output.splitlines()[-2:]
    assert [path.stat().st_mtime_ns for path in sorted(out.rglob("*.npz"))] == changed


def probed(aurocs: NDArray[Any], replicates: NDArray[Any]) -> variant_table.Probed:
    """Return AUROCs of one embedding on tasks of 20 and 30 degrees of freedom."""
    names = ("a", "b")[: len(aurocs)]
    return variant_table.Probed(names, aurocs, replicates, np.array([20.0, 30.0]), np.array([8, 12]))


def test_intervals_are_of_the_mean_over_seeds_and_those_of_the_other_benchmarks() -> None:
    rng = np.random.default_rng(0)
    teacher, one, two, first = (probed(rng.uniform(0.7, 0.9, 2), rng.uniform(0.7, 0.9, (2, 100))) for _ in range(4))
    figures = [variant_table.TrainingFigures(0.5, 10, minutes) for minutes in (1.0, 3.0)]
    row = variant_table.summarize(Variant("x"), [one, two], figures, teacher=teacher, first=[first])
    assert row.minutes == 2.0
    value = float(np.mean([one.aurocs, two.aurocs]))
    drawn = np.mean([one.replicates, two.replicates], axis=(0, 1))
    assert row.auroc.value == pytest.approx(value)
    bounds = rate_interval(value, drawn, degrees_of_freedom=20, trials=8)
    assert (row.auroc.low, row.auroc.high) == pytest.approx(bounds)
    gap = value - float(first.aurocs.mean())
    bounds = difference_interval(gap, drawn - first.replicates.mean(axis=0), degrees_of_freedom=20)
    assert (row.difference.value, row.difference.low, row.difference.high) == pytest.approx((gap, *bounds))
    assert row.kept.value == pytest.approx((value - 0.5) / (teacher.aurocs.mean() - 0.5))
    assert row.kept_of_first.value == pytest.approx((value - 0.5) / (first.aurocs.mean() - 0.5))
    assert row.seed_deviation == pytest.approx(np.std([one.aurocs.mean(), two.aurocs.mean()], ddof=1))
    alone = variant_table.summarize(Variant("x"), [one], figures[:1], teacher=teacher, first=None)
    assert alone.difference == alone.kept_of_first == Estimate() and alone.seed_deviation is None


def test_an_interval_of_few_subjects_holds_the_true_auroc_where_plain_percentiles_would_not() -> None:
    """Ten subjects, half of them positive, in 400 simulated studies; by chance a coverage of 95 % wanders by 2 %."""
    subjects, effect, studies = 10, 2.3, 400
    labels, subject_index = design(subjects, per_subject=True)
    scores = effect * labels + noise(np.random.default_rng(1), subject_index, sets=studies)
    replicates = weighted_aurocs(scores, labels, subject_index, bootstrap_weights(subjects, samples=300, seed=0))
    dof, trials = effective_sample(labels, subject_index)
    held, held_by_percentiles = [], []
    for row, drawn in zip(scores, replicates, strict=True):
        item = variant_table.Probed(
            ("a",), np.array([auroc(row, labels)]), drawn[None], np.array([dof]), np.array([trials])
        )
        figures = [variant_table.TrainingFigures(0.0, 1, 0.0)]
        found = variant_table.summarize(Variant("x"), [item], figures, teacher=item, first=None).auroc
        assert found == variant_table.mean_auroc(item)
        held.append(found.low <= true_auroc(effect) <= found.high)
        low, high = interval(drawn)
        held_by_percentiles.append(low <= true_auroc(effect) <= high)
    assert np.mean(held) > 0.925
    assert np.mean(held_by_percentiles) < 0.89


def test_the_bottleneck_is_the_slowest_of_what_a_clip_goes_through() -> None:
    rates = [
        Rate(phase, name, 0.0, 0.0, 0.0, ms, inside)
        for phase, name, ms, inside in (
            (RECORDS, "decode", 2.0, ""),
            (RECORDS, "teacher slow", 6.0, ""),
            (RECORDS, "teacher fast", 1.0, ""),
            (TRAINING, "augmentation", 9.0, "step"),
            (TRAINING, "step tiny", 3.0, ""),
        )
    ]
    assert bottleneck(rates, RECORDS) == {
        "teacher slow": Bottleneck("teacher slow", 0.75),
        "teacher fast": Bottleneck("decode", 2 / 3),
    }
    assert bottleneck(rates, TRAINING) == {"step tiny": Bottleneck("step tiny", 1.0)}


def test_throughput_of_every_stage(small_students: None, corpus: Path, tmp_path: Path) -> None:
    arguments = [
        str(corpus),
        "--teacher",
        "fake:8",
        "--size",
        "tiny",
        "--clips",
        "16",
        "--rounds",
        "1",
        "--out",
        str(tmp_path / "out.json"),
    ]
    ran = CliRunner().invoke(throughput_command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "out.json").read_text())
    names = [stage["name"] for stage in result["stages"]]
    assert names == [
        "decode",
        "view",
        "teacher spectral",
        "teacher fake:8:0",
        "read",
        "batch",
        "augmentation",
        "frontend, 64 mels",
        "step tiny",
    ]
    assert all(stage["clips_per_s"] > 0 for stage in result["stages"])
    assert set(result["bottleneck"]["records"]) == {"teacher spectral", "teacher fake:8:0"}
    assert "% of the time" in ran.output


@pytest.mark.parametrize("change", [{"frequency": "mean"}, {"nonlinearity": "hard-swish-se"}], ids=str)
def test_other_networks_differ_where_they_say_so(change: dict[str, str]) -> None:
    from hearlite.student import build_network, weights_of

    network, usual = build_network(dataclasses.replace(SMALL, **change)), build_network(SMALL)
    images = np.random.default_rng(0).uniform(0.0, 1.0, (2, *network.input_shape[1:])).astype(np.float32)
    assert network(images).shape == (2, SMALL.embedding_dim)
    assert len(weights_of(network)) == len(network.weights)  # every variable has a name of its own
    names = {layer.name for layer in network.layers} - {layer.name for layer in usual.layers}
    head = network.get_layer("head").kernel.shape[1]
    assert (head == 1) if "frequency" in change else (head > 1 and {"block1_depthwise_gate", "stem_swish"} <= names)
