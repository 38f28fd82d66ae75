"""Personal heads: fitted to a few examples, read from hostile files, and used beside a model's own events."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner
from numpy.typing import NDArray
from test_stream import RATE, Loudness

import hearlite
from hearlite.cli.main import cli
from hearlite.data.enroll import enroll_recordings
from hearlite.errors import InputError, UsageError
from hearlite.events.personal import MOST_OTHERS, PersonalHead, PersonalScorer, fit_head, read_head, write_head

DIM = 12


def vectors(seed: int, count: int, *, towards: int | None = None) -> list[NDArray[np.float32]]:
    """`count` recordings of three windows each, near a direction or anywhere."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        middle = rng.normal(0, 1, DIM)
        if towards is not None:
            middle[towards] += 6.0
        found.append((middle + rng.normal(0, 0.1, (3, DIM))).astype(np.float32) * rng.uniform(0.5, 2.0))
    return found


def test_a_logistic_head_tells_new_examples_from_other_sounds() -> None:
    head = fit_head(vectors(0, 5, towards=3), vectors(1, 30), label="mine", model="m")
    assert head.kind == "logistic" and (head.examples, head.others) == (5, 90)
    own, foreign = head.scores(np.concatenate(vectors(2, 20, towards=3))), head.scores(np.concatenate(vectors(3, 50)))
    assert (own >= head.threshold).mean() > 0.9 and (foreign >= head.threshold).mean() < 0.1
    assert head.found == 5 and head.mistaken <= 9


def test_without_other_sounds_it_is_the_cosine_to_the_mean_direction() -> None:
    examples = vectors(0, 4, towards=3)
    head = fit_head(examples, label="mine", model="m")
    assert head.kind == "cosine" and head.others == 0
    unit = [(item / np.linalg.norm(item, axis=1, keepdims=True)).mean(axis=0) for item in examples]
    mean = np.mean(unit, axis=0)
    new = vectors(2, 1, towards=3)[0]
    cosine = new @ mean / np.linalg.norm(new, axis=1) / np.linalg.norm(mean)
    assert head.scores(new) == pytest.approx((1 + cosine) / 2, abs=1e-6)
    assert head.found == 4, "the threshold is the lowest score of an example that a head was fitted without"
    loud = head.scores(new * 100)
    assert loud == pytest.approx(head.scores(new)), "level makes no difference"


def test_the_logistic_regression_is_at_its_optimum() -> None:
    """The gradient of scikit-learn's objective with balanced classes is 0, which the Kotlin core relies on."""
    own, foreign = vectors(0, 4, towards=3), vectors(1, 10)
    head = fit_head(own, foreign, label="mine", model="m")
    points = np.concatenate([*own, *foreign]).astype(np.float64) - np.asarray(head.centre)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    wanted = np.arange(len(points)) < 12
    share = np.where(wanted, len(points) / (2 * 12), len(points) / (2 * 30))
    errors = share * (1 / (1 + np.exp(-(points @ np.asarray(head.weights) + head.bias))) - wanted)
    gradient = np.asarray(head.weights) + 100.0 * points.T @ errors
    assert np.abs(gradient).max() < 1e-3 and abs(100.0 * errors.sum()) < 1e-3


def test_held_out_examples_choose_the_threshold_and_are_counted() -> None:
    """An example unlike the others is not found by a head that was fitted without it."""
    examples = [*vectors(0, 5, towards=3), *vectors(9, 1, towards=7)]
    head = fit_head(examples, vectors(1, 30), label="mine", model="m")
    assert head.found == 5
    assert fit_head(examples, vectors(1, 30), label="mine", model="m", threshold=0.999).threshold == 0.999


@pytest.mark.parametrize(("count", "others"), [(2, 10), (101, 10), (3, MOST_OTHERS)])
def test_too_few_and_too_many(count: int, others: int) -> None:
    with pytest.raises(UsageError, match=r"examples|windows of other sounds"):
        fit_head(vectors(0, count), vectors(1, others), label="mine", model="m")


def test_one_long_recording_of_other_sounds_is_held_out_in_pieces() -> None:
    long = np.concatenate(vectors(1, 30))
    head = fit_head(vectors(0, 5, towards=3), [long], label="mine", model="m")
    assert head.found == 5 and head.mistaken < 20


def test_a_head_is_read_as_it_was_written(tmp_path: Path) -> None:
    head = fit_head(vectors(0, 3), label="mine", model="m")
    write_head(tmp_path / "mine.json", head)
    assert read_head(tmp_path / "mine.json") == head


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "hearlite-personal-head/9"}, "expected 'hearlite-personal-head/1'"),
        ({"kind": "forest"}, "cosine, logistic"),
        ({"weights": [1.0]}, "as many weights"),
        ({"threshold": 1.0}, "0 to 1"),
        ({"threshold": "nan"}, "expected float"),
        ({"label": ""}, "a label"),
        ({"more": 1}, "unknown key"),
    ],
)
def test_hostile_heads(tmp_path: Path, change: dict[str, object], said: str) -> None:
    place = tmp_path / "mine.json"
    write_head(place, fit_head(vectors(0, 3), label="mine", model="m"))
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(InputError) as caught:
        read_head(place)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_beside_the_events_of_a_model() -> None:
    head = PersonalHead("mine", "logistic", "m", (0.0, 0.0), (2.0, 0.0), 0.0, 0.7, 3, 3, 3, 0)

    def embed(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array([[clip.max(), 0.0] for clip in clips], np.float32)

    scorer = PersonalScorer([head], embed=embed, model="m", base=Loudness())
    assert [item.label for item in scorer.rules.classes] == ["loud", "mine"]
    clip = np.linspace(0.01, 0.5, 2 * RATE, dtype=np.float32)
    scores = scorer.scores(clip)
    assert scores.shape == (10, 2) and scores[:, 1] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert np.array_equal(scores[:, :1], Loudness().scores(clip))
    alone = PersonalScorer([head], embed=embed, model="m")
    assert alone.scores(clip).shape == (10, 1)
    with pytest.raises(InputError, match="another model"):
        PersonalScorer([head], embed=embed, model="other")
    with pytest.raises(UsageError, match="'loud'"):
        PersonalScorer([dataclasses.replace(head, label="loud")], embed=embed, model="m", base=Loudness())
    with pytest.raises(InputError, match=r"\[n, 2\]"):
        head.scores(np.zeros((1, 3)))


def tone(path: Path, *, hz: float, at_s: float, seconds: float = 3.0, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    samples = rng.normal(0, 0.01, len(times))
    part = (times >= at_s) & (times < at_s + 0.4)
    samples[part] += 0.5 * np.sin(2 * np.pi * hz * times[part])
    path.parent.mkdir(exist_ok=True)
    sf.write(path, samples.astype(np.float32), RATE)
    return path


def test_an_example_is_what_surrounds_the_loudest_part(tmp_path: Path) -> None:
    seen: list[NDArray[np.float32]] = []

    def embed(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(clips)
        return np.ones((len(clips), 2), np.float32)

    for index in range(3):
        tone(tmp_path / "own" / f"{index}.wav", hz=500.0, at_s=2.2, seed=index)
    head, notes = enroll_recordings([tmp_path / "own"], embed=embed, model="m", label="mine")
    assert head.examples == 3 and "--others" in notes[0]
    peaks = [np.flatnonzero(np.abs(clip) > 0.4).mean() / RATE for clip in seen[0]]
    assert peaks == pytest.approx([0.5, 1.0, 1.5], abs=0.15), "once early, in the middle and late"
    sf.write(tmp_path / "own" / "quiet.wav", np.zeros(RATE, np.float32), RATE)
    with pytest.raises(InputError, match=r"quiet\.wav is silent"):
        enroll_recordings([tmp_path / "own"], embed=embed, model="m", label="mine")


def test_other_sounds_are_taken_whole_but_for_silence_and_thinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        tone(tmp_path / "own" / f"{index}.wav", hz=500.0, at_s=1.0, seed=index)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 30 * RATE).astype(np.float32)
    sound[10 * RATE : 20 * RATE] = 0.0
    sf.write(tmp_path / "other.wav", sound, RATE)
    sf.write(tmp_path / "short.wav", sound[:RATE], RATE)

    def embed(clips: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([clips.max(axis=1), clips.std(axis=1)], axis=1)

    def enrolled() -> tuple[PersonalHead, list[str]]:
        others = [tmp_path / "other.wav", tmp_path / "short.wav"]
        return enroll_recordings([tmp_path / "own"], others, embed=embed, model="m", label="mine")

    head, notes = enrolled()
    assert (head.others, notes) == (20 + 1, []), "windows from 0 to 9 s and from 19 to 28 s, and one of the short one"
    monkeypatch.setattr("hearlite.data.enroll.MOST_OTHERS", 10)
    head, notes = enrolled()
    assert head.others == 7 and notes == ["of 21 windows of other sounds, one in 3 is taken"]
    with pytest.raises(InputError, match="name it once"):
        enroll_recordings([tmp_path / "own"], [tmp_path / "own" / "0.wav"], embed=embed, model="m", label="mine")


def test_the_commands_with_the_packaged_model(tmp_path: Path) -> None:
    """A whistle among noise: enrolled by four examples, and found where it is in a recording of 20 s."""
    for index in range(4):
        tone(tmp_path / "own" / f"{index}.wav", hz=1_000.0 + 20 * index, at_s=0.5 + 0.4 * index, seed=index)
        tone(tmp_path / "others" / f"{index}.wav", hz=150.0, at_s=0.5 + 0.4 * index, seconds=6.0, seed=10 + index)
    night = tone(tmp_path / "night.wav", hz=1_010.0, at_s=12.3, seconds=20.0, seed=99)
    out, run = tmp_path / "whistle.json", CliRunner()
    arguments = ["enroll", str(tmp_path / "own"), "--label", "whistle", "--others", str(tmp_path / "others")]
    told = run.invoke(cli, [*arguments, "--out", str(out), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["found"] == 4
    found = run.invoke(cli, ["listen", str(night), "--personal", str(out), "--class", "whistle"])
    assert found.exit_code == 0, found.output
    rows = [line.split(",") for line in found.stdout.splitlines()[1:]]
    assert len(rows) == 1 and abs(float(rows[0][4]) - 12.5) < 1.2, "placed within a second"
    model = hearlite.load("hearlite-small")
    with pytest.warns(UserWarning, match="--others"):
        head = hearlite.enroll(tmp_path / "own", label="whistle", model=model)
    assert head.kind == "cosine"
    assert {event.label for event in model.personalized(out).find_events(night)} >= {"whistle"}
    with pytest.raises(UsageError, match="no personal head"):
        model.personalized()
    with pytest.raises(InputError, match="another model"):
        hearlite.load("hearlite-tiny").personalized(head)
