"""The main job as a user runs it: recordings and labels in, a checked int8 .tflite, results.json and report.html
out.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="the extra `train` is not installed")

from conftest import Bundles

from hearlite.benchmarks.probes.heard import Heard
from hearlite.benchmarks.run import _bundle_model, bench
from hearlite.benchmarks.schema.io import read_results
from hearlite.bundle import open_bundle
from hearlite.cli.main import main
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.self_test import check_embedder
from hearlite.errors import InputError, UsageError

pytestmark = pytest.mark.kernels


def test_whether_a_student_was_trained_on_a_dataset_goes_by_subjects_not_by_name(
    bundle: Bundles, labelled: Path, other_subjects: Path
) -> None:
    _, manifest = open_bundle(bundle.f32)
    part = dataclasses.replace(load_dataset(labelled), name="a part of it")
    apart = dataclasses.replace(load_dataset(other_subjects), name=manifest.dataset.name)
    unknown = Heard(manifest.name, False)
    models = [_bundle_model(bundle.f32, manifest, dataset, unknown) for dataset in (part, apart)]
    assert [(model.trained_on_dataset, model.heard_by) for model in models] == [(True, "names"), (False, "names")]
    heard = _bundle_model(bundle.f32, manifest, apart, Heard(manifest.name, True, others=1))
    assert (heard.trained_on_dataset, heard.heard_by) == (True, "recordings")  # renamed, but the same sound


@pytest.mark.slow
def test_unlabelled_recordings_make_a_file_and_the_reason_for_no_report_comes_first(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "quickstart",
        "--data",
        str(labelled),
        "--teacher",
        "fake:16",
        "--steps",
        "2",
        "--out",
        str(tmp_path / "out"),
        "--allow-failed-gate",
        "--json",
    ]
    main(arguments)
    shown = capsys.readouterr()
    printed = json.loads(shown.out)
    assert Path(printed["file i8"]).is_file() and Path(printed["file f32"]).is_file()
    assert printed["report"].startswith("none: no task in the label columns label")
    assert shown.err.index("the file will be written without a report") < shown.err.index("records (")
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.slow
def test_the_main_job(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = [
        "quickstart",
        "--data",
        str(labelled),
        "--teacher",
        "fake:32",
        "--label",
        "narrow",
        "--steps",
        "40",
        "--out",
        str(out),
        "--allow-failed-gate",
        "--json",
    ]
    monkeypatch.setattr("sys.argv", ["hearlite", *arguments])
    with pytest.raises(SystemExit) as ended:
        main(arguments)
        raise SystemExit(0)
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["tasks"] == 1
    assert list(printed["seconds"]) == ["recordings", "all", "distill", "quantize", "export", "bench"]
    assert all(Path(printed[key]).is_file() for key in ("file i8", "file f32", "report", "results"))

    results = read_results(out / "results.json")
    assert results.dataset.synthetic
    assert results.command.startswith("hearlite quickstart")
    assert {model.kind for model in results.models} == {"teacher", "i8", "f32", "baseline"}
    assert all(score.auroc.shown for score in results.tasks[0].scores)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "synthetic" in page.lower() and "not a diagnostic" in page.lower()
    (verdict,) = (model.quantization for model in results.models if model.quantization)
    assert verdict.auroc is not None and [task.name for task in verdict.auroc.tasks] == ["narrow=yes"]
    assert verdict.auroc.subjects == 14  # not one of the 6 to test on
    assert "What quantization cost" in page

    model = next(out.glob("*_i8.tflite"))
    embedder, manifest = open_bundle(model)
    failed = [
        result
        for result in check_embedder(embedder, precision="i8", golden=manifest.golden_embedding)
        if not result.passed
    ]
    assert [result.name for result in failed] in ([], ["signals differ"])  # 40 steps may not tell all signals apart


def test_nobody_is_tested_on_who_was_distilled_on(
    bundle: object, dataset: Dataset, tmp_path: Path, corpus: Path
) -> None:
    import dataclasses

    leaking = dataclasses.replace(
        dataset, clips=tuple(dataclasses.replace(clip, split="test") for clip in dataset.clips)
    )
    model: Path = bundle.i8  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="was distilled on"):
        bench(leaking, teacher=FakeTeacher(32), files=[model], label_columns=("label",), out=tmp_path, command="")
    with pytest.raises(UsageError, match="same name"):
        bench(
            load_dataset(corpus),
            teacher=FakeTeacher(32),
            files=[model, model],
            label_columns=("label",),
            out=tmp_path,
            command="",
        )
