"""The int8 network: which clips calibrate it, what gates it, and what is left when the gate fails."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

import hearlite.data.records
from hearlite.audio.clips import from_int16
from hearlite.data.dataset import Dataset
from hearlite.data.reading import clip_id
from hearlite.data.records import Records, Views, read_records, write_records
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import GateError, InputError, UsageError
from hearlite.gate import AurocDrop, Comparison, LayerLoss, TaskDrop, evaluate_gate, read_gate_result
from hearlite.quantize import pipeline as ptq
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import compare_embeddings, compare_files
from hearlite.quantize.gate import describe, failure, gate_limits, more_telling, summary
from hearlite.quantize.pipeline import quantize, quantize_auto
from hearlite.quantize.recipe import recipes
from hearlite.quantize.static import Quantized
from hearlite.run import Run
from hearlite.spec import MAX_MEAN_AUROC_LOSS, STUDENTS, QuantSpec
from hearlite.student import StudentEmbedder
from hearlite.tflite.interpreter import TfliteModel

pytestmark = pytest.mark.kernels


def balanced(records: Records, ids: tuple[str, ...]) -> Counter[str]:
    owner = {
        clip: subject for shard in records.shards for clip, subject in zip(shard.clip_ids, shard.subjects, strict=True)
    }
    return Counter(owner[clip] for clip in ids)


@pytest.fixture(scope="module")
def records(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Training subjects with 3, 6 and all of their clips."""
    train = sorted({clip.subject for clip in dataset.clips if clip.split == "train"})
    limits, seen, kept = {train[0]: 3, train[1]: 6}, Counter[str](), []
    for clip in dataset.clips:
        seen[clip.subject] += 1
        if seen[clip.subject] <= limits.get(clip.subject, 10_000):
            kept.append(clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearlite.data.records, "SHARD_CLIPS", 5)
        uneven = dataclasses.replace(dataset, clips=tuple(kept))
        return write_records(uneven, teacher=FakeTeacher(4), folder=tmp_path_factory.mktemp("records"))


def test_calibration_is_balanced_over_training_subjects(records: Records) -> None:
    train = records.subjects("train")
    assert len(train) == 3
    counts = balanced(records, choose_calibration(records, clips=9, seed=0).clip_ids)
    assert counts == dict.fromkeys(train, 3)
    counts = balanced(records, choose_calibration(records, clips=8, seed=0).clip_ids)
    assert sorted(counts.values()) == [2, 3, 3]


def test_calibration_is_balanced_over_corpora(records: Records) -> None:
    """Where one has many subjects, the others are heard all the same."""
    names = sorted(records.subjects("train"))
    shards = [
        dataclasses.replace(shard, corpora=tuple("small" if name == names[0] else "large" for name in shard.subjects))
        for shard in records.shards
    ]
    corpora = {
        identity: corpus for shard in shards for identity, corpus in zip(shard.clip_ids, shard.corpora, strict=True)
    }
    chosen = choose_calibration(dataclasses.replace(records, shards=tuple(shards)), clips=6, seed=0)
    assert len(names) > 2
    assert [corpora[identity] for identity in chosen.clip_ids].count("small") == 3


def test_calibration_takes_all_there_is(records: Records) -> None:
    everything = choose_calibration(records, clips=10_000, seed=0)
    assert len(everything.clip_ids) == len(set(everything.clip_ids)) == sum(len(rows) for rows in records.rows("train"))
    assert set(balanced(records, everything.clip_ids)) == records.subjects("train")


def test_calibration_takes_clips_as_recorded(dataset: Dataset, tmp_path: Path) -> None:
    found = write_records(dataset, teacher=FakeTeacher(4), folder=tmp_path, views=Views(3))
    ids = set(choose_calibration(found, clips=10_000, seed=0).clip_ids)
    assert ids == {
        source
        for shard in found.shards
        for source, split in zip(shard.sources, shard.splits, strict=True)
        if split == "train"
    }
    assert len(ids) < sum(len(rows) for rows in found.rows("train"))


def test_calibration_is_seeded_and_hashed(records: Records) -> None:
    ours, again, other = (choose_calibration(records, clips=6, seed=seed) for seed in (0, 0, 1))
    assert ours.clip_ids == again.clip_ids
    assert ours.sha256 == again.sha256
    assert ours.clip_ids != other.clip_ids
    assert ours.sha256 != other.sha256
    assert len(ours.sha256) == 64
    assert [clip_id(row) for row in ours.pcm] == list(ours.clip_ids)


def test_no_training_clip_to_calibrate_with(records: Records) -> None:
    with pytest.raises(InputError, match="no training clip"):
        choose_calibration(dataclasses.replace(records, shards=()), clips=4, seed=0)


def test_what_a_quantization_leaves(quantized_run: Run, lenient_recipe: QuantSpec) -> None:
    folder = quantized_run.quantized(lenient_recipe.recipe)
    assert {path.name for path in folder.iterdir()} >= {
        "calibration.json",
        "compare.json",
        "model.tflite",
        "recipe.json",
    }
    assert json.loads((folder / "recipe.json").read_text()) == dataclasses.asdict(lenient_recipe)
    calibration = json.loads((folder / "calibration.json").read_text())
    records = read_records(quantized_run.records)
    chosen = choose_calibration(records, clips=lenient_recipe.calibration_clips, seed=lenient_recipe.calibration_seed)
    assert calibration == {"sha256": chosen.sha256, "clip_ids": list(chosen.clip_ids)}
    compare = json.loads((folder / "compare.json").read_text())
    assert compare["passed"] is True
    assert compare["comparison"]["clips"] == sum(len(rows) for rows in records.rows("val"))


def test_int8_follows_float32(bundle: Bundles, quantized_run: Run, clips: NDArray[np.int16]) -> None:
    """The exported float32 file is Keras' network to rounding; the int8 file is near it."""
    keras = StudentEmbedder(quantized_run).embed(from_int16(clips))
    f32, i8 = (
        np.concatenate([TfliteModel(path.read_bytes()).run(from_int16(clip[None]))["embedding"] for clip in clips])
        for path in (bundle.f32, bundle.i8)
    )
    np.testing.assert_allclose(f32, keras, rtol=0, atol=2e-3 * np.abs(keras).max())
    found = compare_embeddings(f32 - f32.mean(axis=0), i8 - f32.mean(axis=0))
    assert found.centred_cosine > 0.9
    assert found == compare_files(bundle.f32.read_bytes(), bundle.i8.read_bytes(), pcm=clips)


def test_a_finished_quantization_is_left_alone(quantized_run: Run, lenient_recipe: QuantSpec) -> None:
    folder = quantized_run.quantized(lenient_recipe.recipe)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert quantize(quantized_run, recipe=lenient_recipe) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.slow
def test_a_failed_gate_leaves_no_model_unless_forced(copied: Run, lenient_recipe: QuantSpec) -> None:
    """Not even an older one that passed. What was measured stays, to be read."""
    run = copied
    model = run.quantized(lenient_recipe.recipe) / "model.tflite"
    strict = dataclasses.replace(lenient_recipe, min_centred_cosine=1.01)
    assert model.is_file()
    with pytest.raises(GateError, match=r"cosine.*below the gate of 1\.01") as caught:
        quantize(run, recipe=strict)
    assert caught.value.exit_code == 4
    assert "--allow-failed-gate" in caught.value.hint
    assert not model.exists()
    assert json.loads((model.parent / "compare.json").read_text())["passed"] is False

    assert quantize(run, recipe=strict, allow_failed_gate=True) == model.parent
    assert model.is_file()
    assert json.loads((model.parent / "compare.json").read_text())["passed"] is False
    with pytest.raises(GateError):  # without --allow-failed-gate, a file that is there is no success
        quantize(run, recipe=strict)


def lost(mean: float, *, data: str = "a", low: float | None = None) -> AurocDrop:
    low = mean - 0.0005 if low is None else low
    return AurocDrop(
        data,
        "lungs",
        70,
        14,
        2000,
        mean,
        low,
        mean + 0.001,
        (TaskDrop("label=cough", 70, 9, 11, 0.9, 0.9 - mean, mean, low, None),),
    )


class Measured:
    """A quality that is known beforehand, and how often it was asked."""

    def __init__(self, mean: float, *, data: str = "a") -> None:
        self.mean, self.data, self.calls = mean, data, 0

    def __call__(self, reference: bytes, quantized: bytes) -> AurocDrop:
        assert reference != quantized
        self.calls += 1
        return lost(self.mean, data=self.data)


@pytest.fixture(scope="module")
def built(quantized_run: Run, lenient_recipe: QuantSpec) -> Quantized:
    pcm = choose_calibration(read_records(quantized_run.records), clips=lenient_recipe.calibration_clips, seed=0).pcm
    return ptq.build(quantized_run, lenient_recipe, pcm=pcm, training=None)


@pytest.fixture
def copied(quantized_run: Run, built: Quantized, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run, in which quantizing again takes no conversion."""
    monkeypatch.setattr(ptq, "build", lambda run, recipe, **_: built)
    return dataclasses.replace(quantized_run, folder=Path(shutil.copytree(quantized_run.folder, tmp_path / "run")))


def test_both_terms_of_the_gate_must_pass() -> None:
    limits = gate_limits(QuantSpec(), STUDENTS["tiny"])
    assert (limits.min_centred_cosine, limits.max_mean_auroc_loss) == (0.99, MAX_MEAN_AUROC_LOSS) == (0.99, 0.003)
    own = gate_limits(QuantSpec(min_centred_cosine=0.5, max_mean_auroc_loss=0.02), STUDENTS["small"])
    assert (own.min_centred_cosine, own.max_mean_auroc_loss) == (0.5, 0.02)
    layer = LayerLoss("block3_project", 11.0, 0.4, "range too wide: outliers reach 40 deviations of the median channel")
    for cosine, mean, passed in (
        (0.995, 0.001, True),
        (0.995, 0.004, False),
        (0.98, 0.001, False),
        (0.995, None, True),
        (0.98, None, False),
    ):
        verdict = evaluate_gate(
            Comparison(40, cosine, cosine, 20.0), None if mean is None else lost(mean), limits=limits, layers=(layer,)
        )
        assert verdict.passed is passed
        assert verdict.cosine_passed is (cosine > 0.99)
        assert verdict.auroc_passed is (None if mean is None else mean - 0.0005 <= 0.003)
        error = failure(QuantSpec(), verdict)
        assert (error is None) is passed
        if error:
            assert "block3_project (11 dB: range too wide" in error.message
            assert f"{cosine:.4f} on 40 validation clips" in error.message
            assert ("was not measured" if mean is None else f"{mean:.4f} [") in error.message
            assert "--allow-failed-gate" in error.hint
        assert ("not measured" in str(summary(verdict)["auroc loss"])) is (mean is None)


def test_a_loss_that_few_recordings_may_have_made_refuses_nothing() -> None:
    """A sound file was once refused for a drop of 0.0038 [-0.0084, 0.0160]."""
    limits, comparison = gate_limits(QuantSpec(), STUDENTS["tiny"]), Comparison(40, 0.995, 0.99, 20.0)
    unsure = evaluate_gate(comparison, lost(0.0038, low=-0.0084), limits=limits, layers=())
    assert unsure.passed and unsure.auroc_passed
    said = describe(unsure)
    assert "would refuse a loss of 0.0204 with a probability of 80%; its estimate is above" in said
    assert "estimate is above" not in describe(evaluate_gate(comparison, lost(0.002), limits=limits, layers=()))
    sure = failure(QuantSpec(), evaluate_gate(comparison, lost(0.0038, low=0.0031), limits=limits, layers=()))
    assert sure is not None and "its interval above the gate of 0.003" in sure.message
    assert "more labelled subjects" in sure.hint
    few = dataclasses.replace(lost(0.0038), low=None, high=None)
    verdict = evaluate_gate(comparison, few, limits=limits, layers=())
    assert (verdict.auroc_passed, verdict.passed, few.detectable(0.003)) == (None, True, None)
    assert "too few for an interval" in describe(verdict)


def test_the_stated_power_is_what_draws_show() -> None:
    """Of 20 000 normal estimates around the detectable drop, four fifths have an interval above the limit."""
    limit, error = 0.003, 0.004
    drop = lost(0.0, low=-1.96 * error).detectable(limit)
    assert drop is not None
    estimates = np.random.default_rng(0).normal(drop, error, 20_000)
    assert float((estimates - 1.96 * error > limit).mean()) == pytest.approx(0.8, abs=0.01)


def test_a_refusal_stays_when_fewer_recordings_are_asked(copied: Run, lenient_recipe: QuantSpec) -> None:
    class Vague(Measured):
        def __call__(self, reference: bytes, quantized: bytes) -> AurocDrop:
            return lost(0.001, data="few", low=-0.02)

    folder = copied.quantized(lenient_recipe.recipe)
    for quality in (Measured(0.008), Vague(0.001, data="few")):
        with pytest.raises(GateError, match="its interval above the gate"):
            quantize(copied, recipe=lenient_recipe, quality=quality)
    found = read_gate_result(folder / "compare.json")
    assert found.auroc is not None and (found.auroc.data, found.passed) == ("a", False)
    assert more_telling(None, lost(0.001)) == lost(0.001)
    assert more_telling(found, lost(0.001, data="b", low=0.0006)).data == "b"  # narrower, so it says more


def test_auroc_loss_is_measured_where_it_was_not_or_by_other_data(copied: Run, lenient_recipe: QuantSpec) -> None:
    folder = copied.quantized(lenient_recipe.recipe)
    before, model = read_gate_result(folder / "compare.json"), (folder / "model.tflite").read_bytes()
    assert before.auroc is None
    assert "was not measured" in json.loads((folder / "compare.json").read_text())["gate"]
    quality = Measured(0.001)
    assert quantize(copied, recipe=lenient_recipe, quality=quality) == folder
    verdict = read_gate_result(folder / "compare.json")
    assert verdict.auroc == lost(0.001)
    assert (verdict.cosine_passed, verdict.auroc_passed, verdict.passed) == (True, True, True)
    assert (verdict.comparison, verdict.layers) == (before.comparison, before.layers)
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for known in (quality, None):  # the same data, or no wish to measure
        assert quantize(copied, recipe=lenient_recipe, quality=known) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written
    assert quality.calls == 1
    other = Measured(0.002, data="b")
    quantize(copied, recipe=lenient_recipe, quality=other)
    assert other.calls == 1
    found = read_gate_result(folder / "compare.json").auroc
    assert found is not None and found.mean == 0.002
    assert (folder / "model.tflite").read_bytes() == model


def test_a_file_that_loses_auroc_is_refused_unless_forced(copied: Run, lenient_recipe: QuantSpec) -> None:
    folder = copied.quantized(lenient_recipe.recipe)
    with pytest.raises(
        GateError, match=r"mean AUROC loss is 0\.0080 \[.*its interval above the gate of 0\.003; the worst layer is"
    ) as caught:
        quantize(copied, recipe=lenient_recipe, quality=Measured(0.008))
    assert caught.value.exit_code == 4
    assert not (folder / "model.tflite").exists()
    written = json.loads((folder / "compare.json").read_text())
    assert (written["cosine_passed"], written["auroc_passed"], written["passed"]) == (True, False, False)
    assert (written["limits"]["max_mean_auroc_loss"], written["auroc"]["tasks"][0]["name"]) == (0.003, "label=cough")
    assert quantize(copied, recipe=lenient_recipe, quality=Measured(0.008), allow_failed_gate=True) == folder
    assert (folder / "model.tflite").is_file()
    assert read_gate_result(folder / "compare.json").passed is False
    for kept in (True, False):  # leaving the labels out makes it no better, whether or not the file was kept
        if not kept:
            (folder / "model.tflite").unlink()
        with pytest.raises(GateError, match="AUROC loss"):
            quantize(copied, recipe=lenient_recipe)
        assert read_gate_result(folder / "compare.json").passed is False
    assert quantize(copied, recipe=lenient_recipe, quality=Measured(0.001, data="more")) == folder
    assert read_gate_result(folder / "compare.json").passed is True


def test_a_comparison_of_another_version_is_made_again(copied: Run, lenient_recipe: QuantSpec) -> None:
    path = copied.quantized(lenient_recipe.recipe) / "compare.json"
    for broken in ({"passed": True}, {**json.loads(path.read_text()), "limits": 3}):
        path.write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"compare\.json"):
            read_gate_result(path)
    quantize(copied, recipe=lenient_recipe)
    assert read_gate_result(path).passed


@pytest.mark.slow
def test_auto_keeps_the_nearest_when_it_must(copied: Run, built: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    """No recipe can reach 1.01; the file that is the float32 network itself comes nearest."""
    run = copied
    network = ptq.convert_network(ptq.load_network(run.spec.student, run.weights))
    monkeypatch.setattr(
        ptq, "build", lambda run, recipe, **_: Quantized(network, network) if recipe.recipe == "near" else built
    )
    recipes = [QuantSpec(recipe=name, min_centred_cosine=1.01) for name in ("rough", "near", "rough2")]
    with pytest.raises(GateError, match="no recipe passes its gate") as caught:
        quantize_auto(run, recipes=recipes)
    assert all(f"{recipe.recipe}: the mean centred cosine" in caught.value.message for recipe in recipes)
    assert {path.parent.name for path in run.folder.glob("*/model.tflite")} == {QuantSpec.recipe}
    *refused, kept = quantize_auto(run, recipes=recipes, allow_failed_gate=True)
    assert [attempt.folder for attempt in refused] == [None] * 3
    assert kept.recipe == "near"
    assert {path.parent.name for path in run.folder.glob("*/model.tflite")} == {"near", QuantSpec.recipe}
    assert read_gate_result(run.quantized("near") / "compare.json").passed is False
    enough = [*recipes[:1], QuantSpec(recipe="near", min_centred_cosine=0.9)]
    first = quantize_auto(run, recipes=enough)
    assert [attempt.folder for attempt in first] == [None, run.quantized("near")]
    monkeypatch.setattr(ptq, "build", None)  # a second call has nothing to build, nor to convert
    monkeypatch.setattr(ptq, "convert_network", None)
    assert quantize_auto(run, recipes=enough) == first
    qat = QuantSpec(recipe="qat", qat=dataclasses.replace(QuantSpec().qat, fraction=0.5))
    with pytest.raises(GateError, match="qat: needs the training data"):
        quantize_auto(run, recipes=[qat])


def test_the_recipe_that_users_get() -> None:
    recipe = recipes()[QuantSpec.recipe]
    assert (recipe.recipe, recipe.weights, recipe.activations) == ("static_wi8_ai8", "int8", "int8")
    assert recipe.min_centred_cosine is None or recipe.min_centred_cosine >= 0.99


def test_recipes_that_are_not_built_are_refused(tiny_run: Run, lenient_recipe: QuantSpec) -> None:
    with pytest.raises(UsageError, match="int4"):
        quantize(tiny_run, recipe=dataclasses.replace(lenient_recipe, weights="int4"))


def test_a_comparison_by_hand() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    other = np.array([[1.0, 1.0], [0.0, 2.0]], np.float32)
    found = compare_embeddings(reference, other)
    assert found.clips == 2
    assert found.centred_cosine == pytest.approx((np.sqrt(0.5) + 1) / 2)
    assert found.snr_db == pytest.approx(10 * np.log10(5 / 1))
    assert np.sqrt(0.5) <= found.centred_cosine_p5 < 0.75
    assert compare_embeddings(reference, reference).centred_cosine == pytest.approx(1.0)


def test_one_clip_compares_nothing(bundle: Bundles, clips: NDArray[np.int16]) -> None:
    """Its own mean taken away, nothing is left of it."""
    with pytest.raises(InputError, match="1 validation clip"):
        compare_files(bundle.f32.read_bytes(), bundle.i8.read_bytes(), pcm=clips[:1])
