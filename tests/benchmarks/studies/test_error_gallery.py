"""Test that the page shows the student's own mistakes first, holds their sounds, and stays out of git."""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hearlite.audio.clips import to_int16
from hearlite.benchmarks.studies.error_gallery import (
    Judged,
    command,
    evaluate_gate,
    find_mistakes,
    mistakes,
    require_outside_git,
    spectrogram,
    wav,
    write_page,
)
from hearlite.benchmarks.studies.inputs import Models, embedded_by
from hearlite.benchmarks.tasks.binary import Task
from hearlite.data.dataset import ClipRef, load_dataset
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import UsageError
from hearlite.spec import AUDIO


def clip(number: int, label: str) -> ClipRef:
    return ClipRef(
        Path("a.wav"), f"a{number}.wav", None, 0.0, None, None, False, f"s{number}", "test", (("sick", label),)
    )


def test_mistakes_of_the_student_alone_come_first_and_the_surest_before_others() -> None:
    labels = np.array([True, True, False, False, True])
    task = Task("sick", "1", labels, np.ones(5, dtype=bool))
    student = Judged(np.array([0.1, 0.3, 0.9, 0.2, 0.45]), 0.5, np.array([True, True, True, False, True]))
    teacher = Judged(np.array([0.8, 0.9, 0.8, 0.1, 0.7]), 0.5, np.array([False, False, True, False, False]))
    clips = [clip(number, str(int(label))) for number, label in enumerate(labels)]
    found = mistakes(task, clips, teacher=teacher, student=student, shown=3)
    assert (found.clips, found.wrong, found.both_wrong, found.teacher_wrong) == (5, 4, 1, 1)
    assert [item.clip.name for item in found.shown] == ["a0.wav", "a1.wav", "a4.wav"]
    assert [item.clip.name for item in mistakes(task, clips, teacher=teacher, student=student).shown][-1] == "a2.wav"
    assert (found.shown[0].positive, found.shown[0].student, found.shown[0].teacher) == (True, 0.1, 0.8)


def test_a_missed_clip_is_not_thought_unsure_because_the_threshold_is_low() -> None:
    task = Task("sick", "1", np.array([True, False]), np.ones(2, dtype=bool))
    student = Judged(np.array([0.01, 0.5]), 0.1, np.array([True, True]))
    teacher = Judged(np.array([0.9, 0.01]), 0.1, np.array([False, False]))
    found = mistakes(task, [clip(0, "1"), clip(1, "0")], teacher=teacher, student=student)
    assert [item.positive for item in found.shown] == [True, False]


def test_answers_of_a_probe_are_right_where_the_embedding_says_so() -> None:
    rng = np.random.default_rng(0)
    subject_index = np.repeat(np.arange(40), 4)
    labels = rng.random(len(subject_index)) < 0.5
    task = Task("sick", "1", labels, np.ones(len(subject_index), dtype=bool))
    values = labels[:, None] + 0.3 * rng.normal(size=(len(subject_index), 3))
    values[subject_index % 4 == 0] *= np.where(subject_index[subject_index % 4 == 0] == 0, -1, 1)[
        :, None
    ]  # subject 0 is turned upside down
    found = evaluate_gate(values, task, [f"s{owner}" for owner in subject_index], subject_index % 4 == 0, seed=0)
    assert 0.2 < found.threshold < 0.8
    assert ((found.probability >= found.threshold) != labels[subject_index % 4 == 0]).tolist() == found.wrong.tolist()
    assert found.wrong[4:].mean() < 0.1


def test_a_sound_and_its_picture_are_files_that_others_read() -> None:
    from matplotlib.image import imread

    pcm = to_int16(
        (0.3 * np.sin(2 * np.pi * 1000 * np.arange(AUDIO.clip_samples) / AUDIO.sample_rate_hz)).astype(np.float32)
    )
    with wave.open(io.BytesIO(wav(pcm))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (
            AUDIO.sample_rate_hz,
            1,
            AUDIO.clip_samples,
        )
        np.testing.assert_array_equal(np.frombuffer(file.readframes(AUDIO.clip_samples), "<i2"), pcm)
    picture = imread(io.BytesIO(spectrogram(pcm)))[:, :, :3].sum(
        axis=2
    )  # [mels, frames], the lowest band at the bottom
    brightest = len(picture) - 1 - int(picture.mean(axis=1).argmax())
    assert 0.2 * len(picture) < brightest < 0.5 * len(picture)  # 1 kHz is at a third of the mel scale up to 8 kHz


def test_the_page_holds_everything_and_escapes_names(labelled: Path, tmp_path: Path) -> None:
    dataset = load_dataset(labelled, label_columns=("narrow",))
    heard = embedded_by(dataset, Models({"teacher": FakeTeacher(16), "student": FakeTeacher(2)}, ()))
    found = find_mistakes(heard, ("narrow",), seed=0)
    assert found[0].wrong > 0 and len(found[0].shown) == min(12, found[0].wrong)
    assert all(item.clip.split == "test" for item in found[0].shown)
    out = tmp_path / "mistakes.html"
    write_page(found, out, dataset="<script>alert(1)</script>", teacher="t", student="s")
    html = out.read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html
    assert html.count("<audio") == html.count("<img") == len(found[0].shown)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', html))
    assert base64.b64decode(re.findall(r'src="data:audio/wav;base64,([^"]*)"', html)[0]).startswith(b"RIFF")
    assert "holds recordings of people" in html and "connect-src" not in html


def test_recordings_are_not_written_where_git_would_find_them(tmp_path: Path) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds recordings"):
        require_outside_git(tmp_path / "repository" / "deep" / "mistakes.html")
    require_outside_git(tmp_path / "mistakes.html")
    done = CliRunner().invoke(
        command,
        ["data", "--teacher", "fake:8", "--model", "m.tflite", "--out", str(tmp_path / "repository" / "mistakes.html")],
    )
    assert isinstance(done.exception, UsageError)
