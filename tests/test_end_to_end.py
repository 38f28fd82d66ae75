"""The main job as a user runs it: recordings and labels in, a checked int8 .tflite, results.json and report.html out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="the extra `train` is not installed")

from hearlite.benchmarks.bench import bench
from hearlite.benchmarks.results import read_results
from hearlite.bundle import open_bundle
from hearlite.check import check_embedder
from hearlite.cli import main
from hearlite.dataset import Dataset, load_dataset
from hearlite.errors import InputError, UsageError
from hearlite.synth import write_corpus
from hearlite.teacher import FakeTeacher


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 subjects, 6 of them to test on, and one two-valued label: is the sound an airway's own noise or something in it?"""
    folder = write_corpus(tmp_path_factory.mktemp("end") / "corpus", subjects=20, recordings_per_subject=4, seed=0).parent
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "two.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "start_s", "end_s", "subject", "split", "synthetic", "odd"])
        writer.writeheader()
        for index, row in enumerate(rows):
            writer.writerow({**{key: row[key] for key in writer.fieldnames if key in row}, "odd": "yes" if index % 2 else "no"})
    return folder / "two.csv"


def test_the_main_job(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    arguments = [
        "quickstart",
        "--data",
        str(labelled),
        "--teacher",
        "fake:32",
        "--label",
        "odd",
        "--steps",
        "40",
        "--out",
        str(out),
        "--force",
        "--json",
    ]
    monkeypatch.setattr("sys.argv", ["hearlite", *arguments])
    with pytest.raises(SystemExit) as ended:
        main(arguments)
        raise SystemExit(0)
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["tasks"] == 1
    assert all(Path(printed[key]).is_file() for key in ("file i8", "file f32", "report", "results"))

    results = read_results(out / "results.json")
    assert results.dataset.synthetic
    assert results.command.startswith("hearlite quickstart")
    assert {model.kind for model in results.models} == {"teacher", "i8", "f32", "baseline"}
    assert all(score.auroc.shown for score in results.tasks[0].scores)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "synthetic" in page.lower() and "not a diagnostic" in page.lower()

    model = next(out.glob("*_i8.tflite"))
    embedder, manifest = open_bundle(model)
    failed = [result for result in check_embedder(embedder, precision="i8", golden=manifest.golden_embedding) if not result.passed]
    assert [result.name for result in failed] in ([], ["signals differ"])  # 40 steps may not tell all signals apart


def test_nobody_is_tested_on_who_was_distilled_on(bundle: object, dataset: Dataset, tmp_path: Path, corpus: Path) -> None:
    import dataclasses

    leaking = dataclasses.replace(dataset, clips=tuple(dataclasses.replace(clip, split="test") for clip in dataset.clips))
    model: Path = bundle.i8  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="was distilled on"):
        bench(leaking, teacher=FakeTeacher(32), files=[model], label_columns=("label",), out=tmp_path, command="")
    with pytest.raises(UsageError, match="same name"):
        bench(load_dataset(corpus), teacher=FakeTeacher(32), files=[model, model], label_columns=("label",), out=tmp_path, command="")
