"""Test that the robustness study finds models that ignore a change, and those that break."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.schema.study import StudyModel
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR
from hearlite.benchmarks.studies import inputs as study_inputs
from hearlite.benchmarks.studies.robustness import study as robustness
from hearlite.benchmarks.studies.robustness.perturbations import REACH_S, chosen, perturb
from hearlite.benchmarks.studies.robustness.report import table
from hearlite.benchmarks.studies.robustness.results import (
    ConditionResult,
    RobustnessAbout,
    RobustnessDataset,
    RobustnessResults,
    RobustnessSummary,
)
from hearlite.benchmarks.studies.robustness.scores import Design, Scored, design, linear_probe, score
from hearlite.benchmarks.studies.robustness.verdicts import BEYOND, GAIN_LIMIT, WITHIN, summarize
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.duplicates import fingerprint_recordings
from hearlite.data.reading import Clip, read_clips
from hearlite.data.vector_parts import BATCH
from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError, UsageError
from hearlite.manifests.splits import subject_hash
from hearlite.serialization import from_dict
from hearlite.spec import AUDIO

RATE_HZ = AUDIO.sample_rate_hz


def about(*students: str) -> RobustnessAbout:
    return RobustnessAbout(
        schema=robustness.SCHEMA,
        command="",
        created="",
        teacher=EmbedderInfo("pitch", "fake", 2, "", ""),
        models=tuple(StudyModel(name, "", "i8") for name in students),
        seed=0,
        samples=2000,
        machine="",
        versions={},
        dataset=RobustnessDataset("tones", "", "", True, "context", 0, 0, ()),
    )


class Listener:
    """An Embedder of one function of a clip, which counts its calls and clips."""

    def __init__(self, name: str, hears: Callable[[NDArray[np.float32]], tuple[float, ...]]) -> None:
        self.info = EmbedderInfo(
            name, "fake", len(hears(np.zeros(AUDIO.clip_samples, np.float32))), "", f"listener {name}"
        )
        self.hears, self.calls, self.clips = hears, 0, 0

    def embed(self, clips: Clips) -> Embeddings:
        self.calls, self.clips = self.calls + 1, self.clips + len(clips)
        assert len(clips) <= BATCH
        return np.asarray([self.hears(clip) for clip in clips], dtype=np.float32)


def pitch(clip: NDArray[np.float32]) -> float:
    """Return the strongest frequency, which no gain, shift or moderate noise changes."""
    return float(np.argmax(np.abs(np.fft.rfft(clip))[1:])) / AUDIO.clip_s / 1_000


def needs_loudness(clip: NDArray[np.float32]) -> tuple[float, ...]:
    return (pitch(clip) * (1.0 if clip.std() > 0.005 else -1.0), 0.0)


def needs_an_end(clip: NDArray[np.float32]) -> tuple[float, ...]:
    return (pitch(clip) * (1.0 if clip[-RATE_HZ // 20 :].any() else -1.0), 0.0)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Write two tones of each of 24 subjects, half of them test; "high" ones are mostly higher than "low" ones."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "start_s", "end_s", "label", "subject", "split"])
        for subject in range(24):
            high = subject % 2 == 1
            for take in range(2):
                hz = rng.uniform(*((550, 900) if high else (400, 650)))
                sound = 0.1 * np.sin(2 * np.pi * hz * np.arange(3 * RATE_HZ) / RATE_HZ) + rng.normal(
                    0, 0.003, 3 * RATE_HZ
                )
                soundfile.write(folder / f"{subject}-{take}.wav", sound, RATE_HZ)
                rows.writerow(
                    [
                        f"{subject}-{take}.wav",
                        1.0,
                        1.8,
                        "high" if high else "low",
                        f"s{subject:02}",
                        "train" if subject < 12 else "test",
                    ]
                )
    return load_dataset(folder)


def plan_of(tones: Dataset, *only: str) -> Design:
    return design(tones, label_columns=("label",), conditions=chosen(only), seed=0)[0]


@pytest.fixture(scope="module")
def found(tones: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RobustnessResults:
    """Run a study of a teacher that depends on pitch alone, and of three students."""
    students = {"same": lambda clip: (pitch(clip), 0.0), "quiet": needs_loudness, "end": needs_an_end}
    embedders = {
        TEACHER: Listener("pitch", lambda clip: (pitch(clip), 0.0)),
        **{name: Listener(name, hears) for name, hears in students.items()},
    }
    plan = plan_of(tones, "float gain", "gain", "shift", "padding", "white noise 20 dB")
    return robustness.robustness(
        plan, embedders=embedders, margin=0.01, out=tmp_path_factory.mktemp("out"), about=about(*students)
    )


def rows_of(found: RobustnessSummary, model: str) -> dict[str, ConditionResult]:
    (result,) = (row for row in found.results if row.model == model)
    return {row.condition: row for row in result.conditions}


def test_only_what_was_asked_for_is_studied(found: RobustnessResults) -> None:
    assert len(found.conditions) == 4 + 4 + 4 + 2 + 1
    assert found.tasks == ("label=high",)
    assert (found.train.subjects, found.test.subjects, found.test.clips) == (12, 12, 24)
    assert 0.7 < found.results[0].clean.value < 1.0  # there is something to lose and something to gain


@pytest.mark.parametrize("gain", ["gain -30 dB", "gain -20 dB", "gain -10 dB", "gain +10 dB"])
def test_a_model_that_ignores_gain_has_changed_by_exactly_nothing(found: RobustnessResults, gain: str) -> None:
    for model in (TEACHER, "same"):
        row = rows_of(found, model)[gain]
        assert row.change == Estimate(0.0, 0.0, 0.0)
        assert row.gain_verdict == WITHIN
        assert row.centred_cosine == pytest.approx(1.0)
    same = rows_of(found, "same")[gain]
    assert same.beyond_reference == Estimate(0.0, 0.0, 0.0)
    assert same.verdict == NON_INFERIOR
    assert all(row.changed == found.test.clips for row in found.conditions if row.name == gain)  # the clips did change


def test_a_model_that_needs_loudness_is_found(found: RobustnessResults) -> None:
    """The tones' rms is 0.07 and its limit 0.005, so a clip passes at 20 dB less and fails at 30 dB less."""
    rows = rows_of(found, "quiet")
    broken, audible = rows["gain -30 dB"], rows["gain -20 dB"]
    assert broken.auroc == pytest.approx(1 - audible.auroc)
    assert broken.change.high < -GAIN_LIMIT
    assert (broken.gain_verdict, broken.verdict) == (BEYOND, INFERIOR)
    assert broken.centred_cosine < 0.5
    assert (audible.gain_verdict, audible.verdict, audible.change.value) == (
        WITHIN,
        NON_INFERIOR,
        0.0,
    )
    required = {row.model: row for row in found.requirements}["quiet"]
    assert (required.gain.verdict, required.gain.furthest) == (BEYOND, "gain -30 dB")
    assert (required.gain.passed, required.gain.conditions) == (3, 4)
    assert (required.float_gain.verdict, required.float_gain.furthest) == (BEYOND, "float gain -30 dB")
    assert required.shift_and_padding.verdict == NON_INFERIOR


def test_a_model_that_needs_an_end_is_found_by_padding(found: RobustnessResults) -> None:
    rows = rows_of(found, "end")
    assert {rows[name].verdict for name in ("event alone", "first 1.0 s")} == {INFERIOR}
    required = {row.model: row for row in found.requirements}["end"]
    assert required.shift_and_padding.verdict == INFERIOR
    assert required.shift_and_padding.furthest in ("event alone", "first 1.0 s")
    assert required.gain.verdict == WITHIN


def test_a_probe_is_known_by_its_weights() -> None:
    rng = np.random.default_rng(1)
    train, test, labels = rng.normal(2.0, 3.0, (40, 6)), rng.normal(2.0, 3.0, (30, 6)), np.arange(40) % 3 == 0
    train[:, 5] = 0.25  # a constant feature
    folds = fold_table(labels, np.arange(40) // 2, seed=0)
    weights, offset, c, _ = linear_probe(train, labels, folds=folds)
    fitted = fit_probe(train, labels, test, folds=folds)
    np.testing.assert_allclose(test @ weights + offset, fitted.scores, rtol=0, atol=1e-9)
    assert c == fitted.chosen["C"]


def test_scores_are_those_of_a_bench_whose_test_clips_are_changed(tones: Dataset, tmp_path: Path) -> None:
    plan, model = plan_of(tones, "white noise 0 dB"), FakeTeacher(8)
    scored = score(plan, embedder=model, folder=tmp_path)
    (labels,) = [task.labels[: len(plan.train.clips)] for task in plan.tasks]
    subjects = np.asarray([ref.subject for ref in plan.train.clips])
    read = [list(read_clips(side.clips, reach_s=REACH_S)) for side in (plan.train, plan.test)]
    train, test = (np.stack([clip.pcm for clip in clips if isinstance(clip, Clip)]) for clips in read)
    changed = np.stack([perturb(clip, plan.conditions[0]).audio for clip in read[1] if isinstance(clip, Clip)])
    vectors = [model.embed(audio).astype(np.float64) for audio in (from_int16(train), from_int16(test), changed)]
    folds = fold_table(labels, subjects, seed=0)
    for row in (0, 1):
        np.testing.assert_allclose(
            scored.scores[0, row],
            fit_probe(vectors[0], labels, vectors[1 + row], folds=folds).scores,
            rtol=0,
            atol=1e-8,
        )
    centred = [part - vectors[0].mean(axis=0) for part in vectors[1:]]
    cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(*centred, strict=True)]
    assert scored.cosines == pytest.approx([np.mean(cosines)])


def test_the_training_clips_stay_clean_and_nothing_is_embedded_twice(tones: Dataset, tmp_path: Path) -> None:
    plan, model = plan_of(tones, "gain"), Listener("pitch", lambda clip: (pitch(clip), 0.0))
    first = score(plan, embedder=model, folder=tmp_path)
    assert model.clips == len(plan.train.clips) + (1 + 4) * len(plan.test.clips)
    calls = model.calls
    again = score(plan, embedder=model, folder=tmp_path)
    assert model.calls == calls
    for item in dataclasses.fields(Scored):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(first, item.name))
    score(plan_of(tones, "gain -10 dB"), embedder=model, folder=tmp_path)  # another study
    score(plan, embedder=Listener("other", needs_loudness), folder=tmp_path)  # another model
    assert len(list(tmp_path.iterdir())) == 3


def test_no_change_of_order_among_few_subjects_is_no_proof(tones: Dataset) -> None:
    """Where scores change but an AUROC of 1 does not, the interval is that of the number of subjects."""
    plan = plan_of(tones, "event alone")
    ((labels, _),) = plan.test_tasks
    clean, changed = labels * 1.0, labels * 0.5
    counts = np.asarray([[1, 0, 0, 0, 0]])
    scored = {
        name: Scored(np.stack([clean, other])[None], np.ones(1), counts, np.ones(1), np.zeros(1, dtype=np.int64))
        for name, other in ((TEACHER, clean), ("student", changed))
    }
    rows = rows_of(summarize(scored, plan, reference=TEACHER, margin=0.01), "student")
    low, high = rows["event alone"].beyond_reference.low, rows["event alone"].beyond_reference.high
    assert -high == low == pytest.approx(-(1 - 0.025 ** (1 / 6)))  # 6 subjects of each class
    assert rows["event alone"].verdict == INCONCLUSIVE


def test_a_condition_that_changes_no_clip_decides_nothing(tones: Dataset) -> None:
    plan = plan_of(tones, "event alone", "gain +10 dB")
    scores = np.stack(3 * [np.linspace(0, 1, len(plan.test.clips))])[None]
    scored = Scored(
        scores, np.ones(2), np.asarray([[24, 0, 0, 0, 0], [0, 0, 0, 0, 0]]), np.ones(1), np.zeros(1, dtype=np.int64)
    )
    (required,) = summarize({TEACHER: scored, "student": scored}, plan, reference=TEACHER, margin=0.01).requirements
    assert required.gain.verdict == WITHIN
    assert required.shift_and_padding is None


def opens(monkeypatch: pytest.MonkeyPatch, *, trained_subjects: tuple[str, ...] = (), heard_sha256: str = "") -> None:
    def open_bundle(path: Path) -> tuple[Listener, SimpleNamespace]:
        manifest = SimpleNamespace(
            name=path.name,
            tflite_sha256="0" * 64,
            heard_sha256=heard_sha256,
            precision="i8",
            dataset=SimpleNamespace(trained_subjects=trained_subjects),
            head=None,
        )
        return Listener(path.name, needs_an_end), manifest

    monkeypatch.setattr(study_inputs, "open_bundle", open_bundle)


def test_a_model_that_heard_a_test_subject_is_refused(tones: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    opens(monkeypatch, trained_subjects=(subject_hash("s01"), subject_hash("s13")))  # s01 is of train
    with pytest.raises(InputError, match="distilled on 1 of the test subjects, the first is 's13'"):
        study_inputs.open_models("fake:8", [Path("a.tflite")], (tones,))
    opens(monkeypatch, trained_subjects=(subject_hash("s01"),))
    assert list(study_inputs.open_models("fake:8", [Path("a.tflite")], (tones,)).embedders) == [TEACHER, "a.tflite"]
    with pytest.raises(UsageError, match=r"two models have the name a\.tflite"):
        study_inputs.open_models("fake:8", [Path("a.tflite"), Path("b/a.tflite")], (tones,))


def test_a_model_that_heard_a_test_recording_is_refused_under_any_name(
    tones: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everything = fingerprint_recordings(tones)
    for split, refused in (("test", True), ("train", False)):
        content = everything.of(clip.name for clip in tones.clips if clip.split == split).content()
        (tmp_path / "a.heard.npz").write_bytes(content)
        opens(monkeypatch, heard_sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(InputError, match=r"a\.tflite has heard \d+ of the test") if refused else nullcontext():
            study_inputs.open_models("fake:8", [tmp_path / "a.tflite"], (tones,))


def test_the_command_writes_results_table_and_plot(
    tones: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opens(monkeypatch)
    arguments = [
        str(tones.clips[0].file.parent),
        "--teacher",
        "fake:8",
        "--model",
        "a.tflite",
        "--only",
        "padding",
        "--margin",
        "0.02",
    ]
    ran = CliRunner().invoke(robustness.command, [*arguments, "--out", str(tmp_path)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["schema"] == "hearlite-robustness/1"
    assert (results["margin"], results["dataset"]["sha256"], results["teacher"]["name"]) == (
        0.02,
        tones.sha256,
        "fake:8:0",
    )
    assert [row["model"] for row in results["results"]] == [TEACHER, "a.tflite"]
    text = (tmp_path / "table.md").read_text()
    assert text == table(from_dict(RobustnessResults, results, where="results.json"))
    assert text in ran.output
    assert "fake:8:0 stands in for HeAR" in text.splitlines()[0]
    assert "| event alone | 24 |" in text
    assert "hurt no more than the teacher, within 0.02" in text
    svg = (tmp_path / "robustness.svg").read_text()
    assert all(word in svg for word in ("event alone", "first 1.0 s", "a.tflite, clean AUROC", "95 % interval"))


def test_a_teacher_that_cannot_hear_changed_clips_is_refused(
    tones: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opens(monkeypatch)
    looked_up = Listener("vectors", needs_an_end)
    looked_up.info = dataclasses.replace(looked_up.info, kind="embeddings")
    monkeypatch.setattr(study_inputs, "open_teacher", lambda text: looked_up)
    arguments = [
        str(tones.clips[0].file.parent),
        "--teacher",
        "embeddings:x.parquet",
        "--model",
        "a.tflite",
        "--out",
        str(tmp_path),
    ]
    with pytest.raises(UsageError, match="only has the embeddings of unchanged clips"):
        CliRunner().invoke(robustness.command, arguments, catch_exceptions=False)
    assert looked_up.calls == 0
