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

import hearlite.records
from hearlite.audio import from_int16
from hearlite.dataset import Dataset, clip_id
from hearlite.errors import GateError, InputError, UsageError
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import compare_embeddings, compare_files
from hearlite.quantize.ptq import quantize, recipes
from hearlite.records import Records, read_records, write_records
from hearlite.run import Run
from hearlite.runtime import TfliteModel
from hearlite.spec import QuantSpec
from hearlite.student import StudentEmbedder
from hearlite.teacher import FakeTeacher


def balanced(records: Records, ids: tuple[str, ...]) -> Counter[str]:
    owner = {clip: subject for shard in records.shards for clip, subject in zip(shard.clip_ids, shard.subjects, strict=True)}
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
        patch.setattr(hearlite.records, "SHARD_CLIPS", 5)
        uneven = dataclasses.replace(dataset, clips=tuple(kept))
        return write_records(uneven, teacher=FakeTeacher(4), folder=tmp_path_factory.mktemp("records"))


def test_calibration_is_balanced_over_training_subjects(records: Records) -> None:
    train = records.subjects("train")
    assert len(train) == 3
    counts = balanced(records, choose_calibration(records, clips=9, seed=0).clip_ids)
    assert counts == dict.fromkeys(train, 3)
    counts = balanced(records, choose_calibration(records, clips=8, seed=0).clip_ids)
    assert sorted(counts.values()) == [2, 3, 3]


def test_calibration_takes_all_there_is(records: Records) -> None:
    everything = choose_calibration(records, clips=10_000, seed=0)
    assert len(everything.clip_ids) == len(set(everything.clip_ids)) == sum(len(rows) for rows in records.rows("train"))
    assert set(balanced(records, everything.clip_ids)) == records.subjects("train")


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
    assert {path.name for path in folder.iterdir()} >= {"calibration.json", "compare.json", "model.tflite", "recipe.json"}
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


def test_a_failed_gate_leaves_no_model_unless_forced(quantized_run: Run, lenient_recipe: QuantSpec, tmp_path: Path) -> None:
    """Not even an older one that passed. What was measured stays, to be read."""
    run = dataclasses.replace(quantized_run, folder=Path(shutil.copytree(quantized_run.folder, tmp_path / "run")))
    model = run.quantized(lenient_recipe.recipe) / "model.tflite"
    strict = dataclasses.replace(lenient_recipe, min_centred_cosine=1.01)
    assert model.is_file()
    with pytest.raises(GateError, match=r"cosine.*below the gate of 1\.01") as caught:
        quantize(run, recipe=strict)
    assert caught.value.exit_code == 4
    assert "--force" in caught.value.hint
    assert not model.exists()
    assert json.loads((model.parent / "compare.json").read_text())["passed"] is False

    assert quantize(run, recipe=strict, force=True) == model.parent
    assert model.is_file()
    assert json.loads((model.parent / "compare.json").read_text())["passed"] is False
    with pytest.raises(GateError):  # without --force, a file that is there is no success
        quantize(run, recipe=strict)


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
