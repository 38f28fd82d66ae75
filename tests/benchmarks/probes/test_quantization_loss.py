"""What quantization costs in AUROC: measured without test subjects, paired, and the float32 file embedded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bundles
from numpy.typing import NDArray

import hearlite.data.vector_parts
from hearlite.benchmarks.probes import quantization_loss as auroc_drop
from hearlite.benchmarks.probes.embeddings import Embedded
from hearlite.benchmarks.probes.quantization_loss import QuantizationProbe
from hearlite.data.dataset import ClipRef, Dataset, Skipped, load_dataset
from hearlite.data.reading import Clip, read_clips
from hearlite.errors import InputError

SUBJECTS, CLIPS, DIM = 40, 5, 8
TESTED = range(30, SUBJECTS)


def made_up(*, tested: range = TESTED, positive: int = 3) -> Dataset:
    """40 subjects with 5 clips each: every `positive`th is sick.

    Column `again` repeats that but for one clip, `same` says it in other words, and `rare` has 3 positive subjects.
    """
    clips = []
    for subject in range(SUBJECTS):
        sick, split = (
            str(int(subject % positive == 0)),
            "test" if subject in tested else "val" if subject % 7 == 0 else "train",
        )
        for k in range(CLIPS):
            again = "" if (subject, k) == (1, 0) else sick
            labels = (("sick", sick), ("again", again), ("same", f"not {sick}"), ("rare", str(int(subject < 3))))
            clips.append(
                ClipRef(Path("x"), f"{subject}.wav", None, float(k), None, None, False, f"s{subject}", split, labels)
            )
    return Dataset("made up", tuple(clips), (), "ab" * 32, "cd" * 32, (), True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[bytes]]:
    """Stands for files and recordings: what was embedded in each pass. A file's content says what it gives for the
    clips of `made_up`.
    """
    rng = np.random.default_rng(0)
    places = {(clip.name, clip.start_s): row for row, clip in enumerate(made_up().clips)}
    sick = np.asarray([clip.label("sick") == "1" for clip in made_up().clips])
    good = rng.normal(size=(len(places), DIM)) + 0.6 * sick[:, None]
    files: dict[bytes, NDArray[Any]] = {
        b"silent": np.ones_like(good),
        b"float": good,
        b"scaled": 3.0 * good - 1.0,
        b"near": good + 0.05 * rng.normal(size=good.shape),
        b"noise": rng.normal(size=good.shape),
    }
    passes: list[set[bytes]] = []

    def embed_clips(dataset: Dataset, contents: Mapping[str, bytes]) -> Embedded:
        passes.append(set(contents.values()))
        rows = [places[clip.name, clip.start_s] for clip in dataset.clips]
        assert not {row // CLIPS for row in rows} & set(TESTED)
        return Embedded(
            dataset.clips, {name: files[content][rows].astype(np.float32) for name, content in contents.items()}, 0, 0
        )

    monkeypatch.setattr(auroc_drop, "TfliteEmbedder", lambda content, name: content)
    monkeypatch.setattr(auroc_drop, "embed_clips", embed_clips)
    return passes


def test_a_file_loses_nothing_to_itself_nor_to_its_multiple(asked: list[set[bytes]]) -> None:
    """Probes standardize, so a multiple is the same to them: any loss would be of other folds, another C or other
    draws.
    """
    probe = QuantizationProbe(made_up(), ["sick"])
    for other in (b"float", b"scaled"):
        found = probe(b"float", other)
        (task,) = found.tasks
        assert task.reference > 0.7
        assert found.mean == task.loss == pytest.approx(0.0, abs=1e-3)
        assert task.low is not None and task.high is not None
        assert -1e-3 < task.low <= 0.0 <= task.high < 1e-3


def test_a_loss_is_signed_counted_and_paired(asked: list[set[bytes]]) -> None:
    probe = QuantizationProbe(made_up(), ["sick"])
    (near,), (noise,) = probe(b"float", b"near").tasks, probe(b"float", b"noise").tasks
    assert (noise.name, noise.clips, noise.positive_subjects, noise.negative_subjects) == ("sick=1", 150, 10, 20)
    assert noise.loss == noise.reference - noise.quantized > 0.2
    assert noise.low is not None and noise.low > 0.05
    (gain,) = QuantizationProbe(made_up(), ["sick"])(b"noise", b"float").tasks
    assert gain.loss < -0.2
    assert near.low is not None and near.high is not None and noise.high is not None
    assert near.low <= near.loss <= near.high
    assert near.high - near.low < 0.3 * (
        noise.high - noise.low
    )  # unpaired, both would be as wide as an AUROC of 30 subjects


def test_embeddings_that_say_nothing_are_at_chance(asked: list[set[bytes]]) -> None:
    """Not below it, where each fold's share of positives would put them."""
    (task,) = QuantizationProbe(made_up(), ["sick"])(b"float", b"silent").tasks
    assert task.quantized == pytest.approx(0.5, abs=1e-6)


def test_the_mean_is_over_tasks_on_the_same_draws(asked: list[set[bytes]]) -> None:
    found = QuantizationProbe(made_up(), ["sick", "again", "same"])(b"float", b"noise")
    first, again = found.tasks
    assert (first.name, again.name) == ("sick=1", "again=1"), "what asks the same is asked once"
    assert found.mean == pytest.approx((first.loss + again.loss) / 2)
    assert (
        first.low is not None and found.low is not None
    )  # on the same draws, else the mean of two would be more certain by sqrt(2)
    assert found.mean - found.low > 0.8 * (first.loss - first.low)
    assert (found.clips, found.subjects, found.replicates, found.dataset) == (150, 30, 2000, "made up")


def test_the_float32_file_is_embedded_once(asked: list[set[bytes]]) -> None:
    probe = QuantizationProbe(made_up(), ["sick"])
    results = [probe(b"float", other) for other in (b"near", b"noise", b"near")]
    assert asked == [{b"float", b"near"}, {b"noise"}, {b"near"}]
    assert results[0] == results[2]
    probe(b"noise", b"near")
    assert asked[-1] == {b"noise", b"near"}


def test_test_subjects_are_not_needed_and_change_nothing(asked: list[set[bytes]]) -> None:
    """Their labels may be anything, or there may be none of them at all."""
    dataset = made_up()
    poisoned = tuple(
        dataclasses.replace(clip, labels=(("sick", f"poison {clip.name}"),), file=Path("poison"))
        if clip.split == "test"
        else clip
        for clip in dataset.clips
    )
    expected = QuantizationProbe(dataset, ["sick"])(b"float", b"near")
    assert QuantizationProbe(dataclasses.replace(dataset, clips=poisoned), ["sick"])(b"float", b"near") == expected
    without = tuple(clip for clip in dataset.clips if clip.split != "test")
    assert QuantizationProbe(dataclasses.replace(dataset, clips=without), ["sick"])(b"float", b"near") == expected


def test_tasks_of_too_few_subjects_are_none(asked: list[set[bytes]]) -> None:
    with pytest.raises(InputError, match="rare=1: a class of 3 training and validation subjects, needs 5") as caught:
        QuantizationProbe(made_up(), ["rare"])
    assert "--label" in caught.value.hint
    with pytest.raises(InputError, match="no labelled clip"):
        QuantizationProbe(made_up(tested=range(SUBJECTS)), ["sick"])
    assert [task.name for task in QuantizationProbe(made_up(), ["rare", "sick"])(b"float", b"near").tasks] == ["sick=1"]


def test_what_it_was_measured_with_has_a_fingerprint() -> None:
    first = QuantizationProbe(made_up(), ["sick"]).data
    assert first == QuantizationProbe(made_up(), ["sick"]).data
    others = [
        QuantizationProbe(made_up(), ["again"]),
        QuantizationProbe(made_up(positive=4), ["sick"]),
        QuantizationProbe(made_up(), ["sick"], seed=1),
        QuantizationProbe(made_up(tested=range(28, 40)), ["sick"]),
        QuantizationProbe(dataclasses.replace(made_up(), sha256="ef" * 32), ["sick"]),
    ]
    assert len({first, *(other.data for other in others)}) == 6


def test_files_of_a_student(bundle: Bundles, labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real files and recordings; of a test subject nothing is even decoded."""
    heard: set[str] = set()

    def watched(clips: tuple[ClipRef, ...]) -> Iterator[Clip | Skipped]:
        heard.update(clip.split for clip in clips)
        return read_clips(clips)

    monkeypatch.setattr(hearlite.data.vector_parts, "read_clips", watched)
    dataset = load_dataset(labelled, label_columns=("narrow",))
    assert {clip.split for clip in dataset.clips} == {"train", "val", "test"}
    probe = QuantizationProbe(dataset, ("narrow",))
    i8, same = (probe(bundle.f32.read_bytes(), file.read_bytes()) for file in (bundle.i8, bundle.f32))
    assert heard == {"train", "val"}
    assert i8.subjects == 14
    assert (
        i8.tasks[0].reference > 0.7
    )  # a student of a dozen steps hears the difference; how well, its training decides
    assert i8.low is not None and i8.high is not None
    assert i8.low < i8.high
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
