"""A head of events: a network that hears the clips of a run teaches it, and says when events begin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner
from conftest import Bundles
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16, is_silent
from hearlite.data.dataset import load_dataset
from hearlite.data.reading import clip_id
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.export.event_labels import SURE
from hearlite.export.event_rules import _begins, choose_rules
from hearlite.export.event_scorer import EventScorer, supported
from hearlite.export.foreign_head import LEAST, Scores
from hearlite.export.tflite import UNKNOWN_LICENCE, Terms, _with_terms
from hearlite.run import Run
from hearlite.spec import AUDIO
from hearlite.tflite.steps import Steps


@pytest.fixture
def scorer(headed: Path, tmp_path: Path) -> EventScorer:
    """A network of one score, which the fixture's head gives."""
    classes = tmp_path / "classes.toml"
    classes.write_text("outputs = 1\n[classes]\nnarrow = [0]\n")
    return EventScorer(f"tflite:{headed}#scores", classes=classes)


def test_scores_become_log_odds(scorer: EventScorer, headed: Path, clips: NDArray[np.int16]) -> None:
    given = TfliteEmbedder(headed, output="scores").embed(from_int16(clips)).astype(np.float64)
    sure = np.clip(given, LEAST, 1 - LEAST)
    assert scorer._score(from_int16(clips)) == pytest.approx(np.log(sure / (1 - sure)), abs=1e-4)
    assert scorer.labels == ("narrow",)


def test_classes_that_are_not_there_are_refused(headed: Path, tmp_path: Path) -> None:
    source, classes = f"tflite:{headed}#scores", tmp_path / "classes.toml"
    with pytest.raises(UsageError, match="nothing says which are which class"):
        EventScorer(source)
    for text, message in (
        ("outputs = 3\n[classes]\na = [0]\n", "it is of 3 outputs"),
        ("outputs = 1\n[classes]\na = [1]\n", "numbers from 0 to 0"),
        ('outputs = 1\n[classes]\na = ["0"]\n', "numbers from 0 to 0"),
        ("outputs = 1\n[classes]\na = []\n", "numbers from 0 to 0"),
        ("outputs = 1\n[classes]\n", "labels"),
    ):
        classes.write_text(text)
        with pytest.raises(InputError, match=message):
            EventScorer(source, classes=classes)
    with pytest.raises(UsageError, match=r"tflite:FILE\[#OUTPUT\]"):
        EventScorer("hear:somewhere")


def test_embeddings_are_no_scores(headed: Path, tmp_path: Path, clips: NDArray[np.int16]) -> None:
    classes = tmp_path / "classes.toml"
    dim = TfliteEmbedder(headed, output="embedding").info.dim
    classes.write_text(f"outputs = {dim}\n[classes]\na = [0]\n")
    with pytest.raises(InputError, match="expected probabilities"):
        EventScorer(f"tflite:{headed}#embedding", classes=classes)._score(from_int16(clips))


def labelled(folder: Path, clips: NDArray[np.int16]) -> Path:
    """Recordings of a clip each, every other of which is labelled as narrow."""
    lines = ["file,label,subject,split"]
    for index, pcm in enumerate(clips):
        sf.write(folder / f"{index}.wav", pcm, AUDIO.sample_rate_hz, subtype="PCM_16")
        side = "test" if index == 0 else "train"
        lines.append(f"{index}.wav,{'tight' if index % 2 == 0 else 'other'},s{index},{side}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_labels_count_beside_what_the_network_hears(headed: Path, tmp_path: Path, clips: NDArray[np.int16]) -> None:
    classes, place = tmp_path / "classes.toml", tmp_path / "data"
    classes.write_text('outputs = 1\n[classes]\nnarrow = [0]\n[labels]\nnarrow = ["tight"]\n')
    place.mkdir()
    data = load_dataset(labelled(place, clips), label_columns=("label",))
    source = f"tflite:{headed}#scores"
    plain, known = EventScorer(source, classes=classes), EventScorer(source, classes=classes, labelled=[data])
    assert known.sha256 != plain.sha256 and known.name == f"{source} and labels of data"
    ids = [clip_id(pcm) for pcm in clips]
    logits = np.full((len(ids), 1), -5.0)
    logits[2] = 4.0  # surer than the label
    assert known._known is not None
    raised = known._known.raised(logits, labels=("narrow",), clips=ids)
    silent = np.array([is_silent(from_int16(pcm)) for pcm in clips])
    expected = [
        4.0 if index == 2 else SURE if index % 2 == 0 and index > 0 and not silent[index] else -5.0
        for index in range(len(ids))
    ]
    assert raised[:, 0].tolist() == expected, "the test recording's label is not used"
    with pytest.raises(InputError, match="the run has heard no clip of data"):
        known._known.raised(logits, labels=("narrow",), clips=["0" * 32] * len(ids))
    classes.write_text("outputs = 1\n[classes]\nnarrow = [0]\n")
    with pytest.raises(InputError, match="no recording of data has a label of an event: other, tight"):
        EventScorer(source, classes=classes, labelled=[data])
    classes.write_text('outputs = 1\n[classes]\nnarrow = [0]\n[labels]\nwide = ["tight"]\n')
    with pytest.raises(InputError, match="a list of labels of one of narrow"):
        EventScorer(source, classes=classes, labelled=[data])


def test_classes_without_clips_are_left_out() -> None:
    logits = np.full((200, 3), -5.0)
    logits[:60, 0] = 2.0  # 60 clips of 30 subjects
    logits[:60, 1] = np.where(np.arange(60) % 30 < 3, 2.0, -5.0)  # of 3 subjects
    scores = Scores("sigmoid", ("cough", "sneeze", "sigh"), logits)
    subjects = np.array([f"s{index % 30}" for index in range(120)])
    found = supported(scores, subjects, where="network")
    assert found.labels == ("cough",) and np.array_equal(found.logits, logits[:, :1])
    with pytest.raises(InputError, match="cough 0, sneeze 0, sigh 0"):
        supported(Scores("sigmoid", scores.labels, np.full((200, 3), -5.0)), subjects, where="network")


def test_events_begin_where_most_clips_are_decided_alike() -> None:
    rng = np.random.default_rng(0)
    heard = rng.random(400) < 0.3
    scores = np.where(heard, rng.uniform(0.5, 1.0, 400), rng.uniform(0.0, 0.4, 400)).astype(np.float32)
    assert 0.4 <= _begins(scores, heard) <= 0.5
    assert _begins(scores, np.zeros(400, bool)) == 0.5, "nothing to choose by"


def test_rules_need_scores_over_time() -> None:
    with pytest.raises(InputError, match="no scores over time"):
        choose_rules(
            b"", Steps(10, 0.2), labels=("a",), clips=np.zeros((1, 32_000), np.int16), heard=np.zeros((1, 1), bool)
        )


def test_from_a_run_to_events(
    quantized_run: Run, headed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file finds in a recording what its stream finds, by name of the command and in Python."""
    import hearlite
    from hearlite.bundle import read_manifest
    from hearlite.cli.main import cli

    monkeypatch.setattr("hearlite.export.event_scorer._FEWEST_CLIPS", 0)
    monkeypatch.setattr("hearlite.export.event_scorer._FEWEST_SUBJECTS", 0)
    classes = tmp_path / "classes.toml"
    classes.write_text("outputs = 1\n[classes]\nnarrow = [0]\n")
    (file,) = hearlite.export(
        quantized_run,
        out=tmp_path,
        recipes=["static_wi8_ai8"],
        events=f"tflite:{headed}#scores",
        event_classes=classes,
    )
    manifest = read_manifest(file)
    assert file.name.endswith("_i8_events.tflite") and manifest.events is not None and manifest.steps is not None
    model = hearlite.load(file)
    sound = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    sf.write(tmp_path / "sound.wav", sound, 16_000, subtype="FLOAT")
    stream = model.stream()
    found = stream.push(sound[:30_000]) + stream.push(sound[30_000:]) + stream.finish()
    assert model.find_events(tmp_path / "sound.wav") == model.find_events(sound, 16_000) == found
    table = hearlite.listen(tmp_path / "sound.wav", model=model)
    assert table.num_rows == len(found)
    out = tmp_path / "events.csv"
    done = CliRunner().invoke(cli, ["listen", str(tmp_path / "sound.wav"), "--model", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert len(out.read_text().splitlines()) == 1 + len(found)
    assert not list(tmp_path.glob("*.partial"))
    done = CliRunner().invoke(cli, ["listen", str(tmp_path), "--model", str(file), "--class", "wheeze"])
    assert isinstance(done.exception, UsageError) and "it finds narrow" in done.exception.hint


def test_a_file_without_events_says_so(bundle: Bundles, tmp_path: Path) -> None:
    import hearlite

    with pytest.raises(InputError, match="has no events"):
        hearlite.load(bundle.f32).find_events(np.zeros(32_000, np.float32), 16_000)


def test_terms_of_a_teacher_that_says_nothing_of_them(bundle: Bundles) -> None:
    plain = bundle.manifest("f32")
    unknown = dataclasses.replace(plain, licence=UNKNOWN_LICENCE)
    told = _with_terms(unknown, Terms("Apache-2.0", "by somebody"))
    assert (told.licence, told.notice) == ("Apache-2.0", "by somebody")
    assert _with_terms(plain, None) is plain
    with pytest.raises(UsageError, match="the teacher's licence is"):
        _with_terms(dataclasses.replace(plain, licence="CC BY 4.0"), Terms("CC0"))
