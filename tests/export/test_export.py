"""A bundle: what is in it, that it vouches for its .tflite, what is refused, and whose terms travel with it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bundles
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.cost.vit import VitSize, build_hear_like_saved_model
from hearlite.bundle import (
    METADATA_NAME,
    describe,
    heard_path,
    manifest_path,
    open_bundle,
    read_heard,
    read_manifest,
)
from hearlite.data.dataset import Dataset
from hearlite.data.duplicates import Fingerprints, find_matches, fingerprint_recordings, training_fingerprints
from hearlite.data.targets import Targets
from hearlite.embedders.open import open_teacher
from hearlite.embedders.saved_model import HEAR_NOTICE
from hearlite.embedders.self_test import check_embedder, require
from hearlite.errors import GateError, InputError
from hearlite.export.tflite import _heard, export, export_files
from hearlite.files import sha256_of
from hearlite.gate import AurocDrop, TaskDrop, read_gate_result
from hearlite.run import Run
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, QuantSpec
from hearlite.tflite.model_file import add_metadata, read_metadata, summarize
from hearlite.writing import locked

pytestmark = pytest.mark.kernels


@pytest.fixture
def copy(bundle: Bundles, tmp_path: Path) -> Bundles:
    folder = shutil.copytree(bundle.i8.parent, tmp_path / "bundle")
    return Bundles(i8=folder / bundle.i8.name, f32=folder / bundle.f32.name)


def edit(model: Path, **changes: Any) -> None:
    path = model.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def marked_as_failed(run: Run, folder: Path) -> Run:
    """A copy of the run whose quantization is kept although it failed its gate."""
    shutil.copytree(run.folder, folder)
    path = folder / QuantSpec.recipe / "compare.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "passed": False}))
    return dataclasses.replace(run, folder=folder)


def test_files_of_a_bundle(bundle: Bundles) -> None:
    names = [
        f"hearlite_tiny_2s_{precision}{suffix}"
        for precision in ("f32", "i8")
        for suffix in (".NOTICE.txt", ".heard.npz", ".json", ".md", ".inverse.npz", ".tflite")
    ]
    assert sorted(path.name for path in bundle.i8.parent.iterdir()) == sorted(names)
    assert bundle.i8.stat().st_size < bundle.f32.stat().st_size


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_manifest(bundle: Bundles, precision: str, quantized_run: Run) -> None:
    model, manifest = getattr(bundle, precision), bundle.manifest(precision)
    assert (manifest.name, manifest.precision, manifest.size) == (model.name, precision, "tiny")
    assert (manifest.signature, manifest.input, manifest.output, manifest.dim) == ("embed", "audio", "embedding", 32)
    assert manifest.audio == AUDIO
    assert manifest.student == quantized_run.spec.student
    assert manifest.teacher == quantized_run.spec.teacher
    assert manifest.dataset == quantized_run.spec.dataset
    assert manifest.dataset.synthetic
    assert manifest.gate_passed
    assert bool(manifest.recipe) == bool(manifest.calibration_sha256) == (precision == "i8")
    assert len(manifest.golden_embedding) == 32
    assert manifest.macs == summarize(model.read_bytes()).macs
    assert json.loads(model.with_suffix(".json").read_text()) == to_dict(manifest)  # nothing is lost on the way


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_the_manifest_is_inside_the_file_too(bundle: Bundles, precision: str) -> None:
    content = read_metadata(getattr(bundle, precision).read_bytes(), METADATA_NAME)
    assert content is not None
    outside = to_dict(bundle.manifest(precision))
    del outside["tflite_sha256"], outside["golden_embedding"]
    assert json.loads(content) == outside


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_self_test_passes_with_its_golden_embedding(bundle: Bundles, precision: str) -> None:
    embedder, manifest = open_bundle(getattr(bundle, precision))
    results = check_embedder(embedder, precision=precision, golden=manifest.golden_embedding)
    require(results, what="bundle")
    assert "golden embedding" in [result.name for result in results]
    other = tuple(2.0 * value for value in manifest.golden_embedding)
    with pytest.raises(GateError, match="golden embedding"):
        require(check_embedder(embedder, precision=precision, golden=other), what="bundle")


def test_a_batch_is_one_by_one(bundle: Bundles, clips: NDArray[np.int16]) -> None:
    for model in (bundle.i8, bundle.f32):
        embedder, _ = open_bundle(model)
        audio = from_int16(clips)
        together = embedder.embed(audio)
        np.testing.assert_array_equal(together, np.concatenate([embedder.embed(clip[None]) for clip in audio]))
        np.testing.assert_array_equal(together[::-1], embedder.embed(audio[::-1].copy()))


def test_an_opened_bundle_knows_its_teacher(bundle: Bundles, quantized_run: Run) -> None:
    embedder, _ = open_bundle(bundle.i8)
    assert embedder.info.licence == quantized_run.spec.teacher.licence
    assert embedder.info.surrogate_note == quantized_run.spec.teacher.surrogate_note


def test_targets_lead_back_to_the_teacher(bundle: Bundles, quantized_run: Run) -> None:
    with np.load(bundle.i8.with_name(f"{bundle.i8.stem}.inverse.npz"), allow_pickle=False) as stored:
        ours = Targets.load(quantized_run.targets)
        z = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
        np.testing.assert_allclose(z @ stored["inverse"] + stored["mean"], ours.backward(z), atol=1e-6)


def test_exporting_again_gives_the_same_bytes(bundle: Bundles, quantized_run: Run, tmp_path: Path) -> None:
    for first, recipe in ((bundle.i8, QuantSpec.recipe), (bundle.f32, "")):
        again = export(quantized_run, to=tmp_path, recipe=recipe)
        assert again.name == first.name
        assert again.read_bytes() == first.read_bytes()
        export(quantized_run, to=tmp_path, recipe=recipe)  # over itself: the same file is no other file


def test_another_file_is_not_overwritten(quantized_run: Run, bundle: Bundles, tmp_path: Path) -> None:
    path = tmp_path / bundle.i8.name
    path.write_bytes(b"someone's work")
    with pytest.raises(InputError, match="is there already and differs") as caught:
        export(quantized_run, to=tmp_path, recipe=QuantSpec.recipe)
    assert "--overwrite" in caught.value.hint
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"someone's work"
    export(quantized_run, to=tmp_path, recipe=QuantSpec.recipe, overwrite=True)
    read_manifest(path)


def test_two_exports_do_not_write_one_folder(quantized_run: Run, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="another hearlite command is writing it"):
        export(quantized_run, to=tmp_path, recipe=QuantSpec.recipe)
    assert list(tmp_path.iterdir()) == []
    read_manifest(export(quantized_run, to=tmp_path, recipe=QuantSpec.recipe))


def test_a_tampered_file_is_refused(copy: Bundles) -> None:
    content = bytearray(copy.i8.read_bytes())
    content[len(content) // 2] ^= 1
    copy.i8.write_bytes(content)
    for function in (read_manifest, open_bundle, describe):
        with pytest.raises(InputError, match="sha256 is not the manifest's"):
            function(copy.i8)


def test_a_manifest_that_cannot_be_trusted_is_refused(copy: Bundles) -> None:
    for changes, says in (
        ({"schema": "hearlite-manifest/99"}, "schema"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"dim": "many"}, "dim is 'many'"),
        ({"precision": "i4"}, "precision"),
    ):
        original = copy.i8.with_suffix(".json").read_text()
        edit(copy.i8, **changes)
        with pytest.raises(InputError, match=says):
            open_bundle(copy.i8)
        copy.i8.with_suffix(".json").write_text(original)
    copy.i8.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        open_bundle(copy.i8)
    copy.i8.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="is missing"):
        open_bundle(copy.i8)


def test_describe(copy: Bundles) -> None:
    facts = describe(copy.i8)
    assert facts["not builtin"] == []
    assert facts["precision"] == "i8"
    assert facts["gate passed"] is True
    copy.i8.with_suffix(".json").unlink()
    assert "precision" not in describe(copy.i8)  # any .tflite can be described
    with pytest.raises(InputError, match="No such file"):
        describe(copy.i8.with_name("missing.tflite"))


def test_export_without_quantization_says_what_to_run(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not quantized by other") as caught:
        export(tiny_run, to=tmp_path, recipe="other")
    assert f"hearlite quantize {tiny_run.folder}" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_failed_gate_is_not_exported(quantized_run: Run, tmp_path: Path) -> None:
    run = marked_as_failed(quantized_run, tmp_path / "run")
    with pytest.raises(GateError, match="failed its gate"):
        export(run, to=tmp_path / "out", recipe=QuantSpec.recipe)
    assert not (tmp_path / "out").exists()
    model = export(run, to=tmp_path / "out", recipe=QuantSpec.recipe, allow_failed_gate=True)
    inside = read_metadata(model.read_bytes(), METADATA_NAME)
    assert read_manifest(model).gate_passed is False
    assert inside is not None
    assert json.loads(inside)["gate_passed"] is False
    assert "failed its quality gate" in model.with_suffix(".md").read_text()


def test_a_file_that_fails_its_self_test_is_not_exported(
    quantized_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hearlite.embedders.self_test

    monkeypatch.setitem(hearlite.embedders.self_test.TOLERANCE, "i8", -1.0)  # nothing can pass
    with pytest.raises(GateError, match="checks"):
        export(quantized_run, to=tmp_path / "out", recipe=QuantSpec.recipe)
    assert not (tmp_path / "out").exists()
    model = export(quantized_run, to=tmp_path / "out", recipe=QuantSpec.recipe, allow_failed_gate=True)
    inside = read_metadata(model.read_bytes(), METADATA_NAME)
    assert read_manifest(model).gate_passed is False
    assert inside is not None
    assert json.loads(inside)["gate_passed"] is False  # the copy inside must not claim more than the one beside it


def test_what_quantization_cost_travels_with_the_file(bundle: Bundles, quantized_run: Run, tmp_path: Path) -> None:
    assert bundle.manifest("f32").quantization is None
    verdict = bundle.manifest("i8").quantization
    assert verdict is not None
    assert verdict == read_gate_result(quantized_run.quantized(QuantSpec.recipe) / "compare.json")
    assert (verdict.auroc, verdict.auroc_passed, verdict.limits.max_mean_auroc_loss) == (None, None, 0.003)
    assert {"stem", "head"} < {layer.layer for layer in verdict.layers}
    card = bundle.i8.with_suffix(".md").read_text()
    assert "**The AUROC loss was not measured**" in card
    assert f"`{verdict.worst(1)[0].layer}`" in card
    assert "quantization" not in bundle.f32.with_suffix(".md").read_text()

    folder = Path(shutil.copytree(quantized_run.folder, tmp_path / "run"))
    path = folder / QuantSpec.recipe / "compare.json"
    task = TaskDrop("sick=a|b", 70, 9, 11, 0.91, 0.9, 0.01, 0.002, 0.018)
    loss = AurocDrop("00", "lungs", 70, 14, 2000, 0.01, 0.002, 0.018, (task,))
    data = {**json.loads(path.read_text()), "auroc": to_dict(loss), "auroc_passed": False, "passed": False}
    path.write_text(json.dumps(data))
    run = dataclasses.replace(quantized_run, folder=folder)
    with pytest.raises(GateError, match="failed its gate"):
        export(run, to=tmp_path / "out", recipe=QuantSpec.recipe)
    kept = (folder / QuantSpec.recipe / "model.tflite").rename(tmp_path / "kept.tflite")  # as quantize refuses a file
    with pytest.raises(GateError, match=rf"only float32 was written, to .*: {QuantSpec.recipe} failed the gate"):
        export_files(run, to=tmp_path / "refused", names=(), preferred=(QuantSpec.recipe,))
    assert [path.name for path in (tmp_path / "refused").glob("*.tflite")] == ["hearlite_tiny_2s_f32.tflite"]
    kept.rename(folder / QuantSpec.recipe / "model.tflite")
    model = export(run, to=tmp_path / "out", recipe=QuantSpec.recipe, allow_failed_gate=True)
    manifest = read_manifest(model)
    assert manifest.quantization is not None and manifest.quantization.auroc == loss
    assert not manifest.gate_passed
    assert [metric.value for metric in manifest.metrics if "AUROC loss" in metric.name] == [0.01]
    assert "| sick=a\\|b | 0.910 | 0.900 | 0.0100 [0.0020, 0.0180] |" in model.with_suffix(".md").read_text()
    assert "mean AUROC loss to the float32 student: 0.0100 on 1 task" in str(describe(model)["metrics"])


def test_a_manifest_from_before_a_field_was_added(bundle: Bundles, tmp_path: Path) -> None:
    """It vouches for its file as before."""
    data = json.loads(manifest_path(bundle.f32).read_text())
    del data["quantization"]
    inside = json.dumps(
        {key: value for key, value in data.items() if key not in ("tflite_sha256", "golden_embedding")},
        ensure_ascii=False,
    )
    model = tmp_path / bundle.f32.name
    model.write_bytes(add_metadata(bundle.f32.read_bytes(), METADATA_NAME, inside.encode()))
    manifest_path(model).write_text(json.dumps({**data, "tflite_sha256": sha256_of(model)}))
    assert read_manifest(model).quantization is None
    manifest_path(model).write_text(json.dumps({**data, "tflite_sha256": sha256_of(model), "licence": "CC0-1.0"}))
    with pytest.raises(InputError, match="differs from the copy inside"):
        read_manifest(model)


def test_card_and_notice_name_teacher_data_and_limits(bundle: Bundles, quantized_run: Run) -> None:
    card, notice = (
        bundle.i8.with_suffix(".md").read_text(),
        bundle.i8.with_name(f"{bundle.i8.stem}.NOTICE.txt").read_text(),
    )
    assert "not a diagnostic" in card
    assert "Research tool, not a diagnostic." in notice
    assert "Trained on synthetic sound" in card
    assert quantized_run.spec.teacher.surrogate_note in card
    assert quantized_run.spec.teacher.licence in notice
    assert HEAR_NOTICE not in notice
    assert "{{" not in card
    assert "{%" not in card


def test_hears_terms_travel_with_a_student_of_hear(quantized_run: Run, tmp_path: Path) -> None:
    build_hear_like_saved_model(tmp_path / "hear", size=VitSize(width=32, depth=1, heads=2, mlp=32), dim=512, seed=0)
    teacher = open_teacher(f"hear:{tmp_path / 'hear'}").info
    assert teacher.notice == HEAR_NOTICE
    run = dataclasses.replace(quantized_run, spec=dataclasses.replace(quantized_run.spec, teacher=teacher))
    model = export(run, to=tmp_path / "out", recipe=QuantSpec.recipe)
    notice = model.with_name(f"{model.stem}.NOTICE.txt").read_text()
    assert HEAR_NOTICE in notice
    assert teacher.licence in notice
    manifest = read_manifest(model)
    assert (manifest.licence, manifest.notice) == (teacher.licence, HEAR_NOTICE)
    assert open_bundle(model)[0].info.notice == HEAR_NOTICE
    card = model.with_suffix(".md").read_text()
    assert teacher.licence in card
    assert "stand-in" not in card


def test_an_edited_manifest_is_refused(bundle: Bundles, tmp_path: Path) -> None:
    model = tmp_path / bundle.i8.name
    model.write_bytes(bundle.i8.read_bytes())
    data = json.loads(manifest_path(bundle.i8).read_text())
    manifest_path(model).write_text(json.dumps(data))
    read_manifest(model)
    manifest_path(model).write_text(json.dumps({**data, "licence": "CC0-1.0"}))
    with pytest.raises(InputError, match="differs from the copy inside"):
        read_manifest(model)


def test_what_a_student_has_heard_stands_beside_its_file(bundle: Bundles, headed: Path, dataset: Dataset) -> None:
    for model, manifest in ((bundle.i8, bundle.manifest("i8")), (bundle.f32, bundle.manifest("f32"))):
        heard = read_heard(model, manifest)
        assert heard is not None and set(heard.names) == {""}  # no file is named
        fingerprints = fingerprint_recordings(dataset)
        found = {match.one for match in find_matches(fingerprints, heard) if match.exact}
        assert {fingerprints.names[place] for place in found} == {
            clip.name for clip in dataset.clips if clip.split != "test"
        }
    assert read_manifest(headed).heard_sha256 == ""  # nobody said what the head was fitted to
    assert not heard_path(headed).exists()


def test_the_recordings_of_a_head_are_heard_too(quantized_run: Run, narrow: Dataset, tmp_path: Path) -> None:
    other = training_fingerprints(narrow)
    heard = Fingerprints.load(quantized_run.heard)
    file = tmp_path / "both.npz"
    file.write_bytes(_heard(quantized_run, fitted_to=other, with_head=True))
    both = Fingerprints.load(file)
    assert len(both.names) == len(heard.names) + len(other.names)
    assert {match.one for match in find_matches(other, both) if match.exact} == set(range(len(other.names)))
    assert _heard(quantized_run, fitted_to=None, with_head=True) == b""
