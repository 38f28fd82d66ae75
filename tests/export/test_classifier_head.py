"""A head: it scores as its probe does, changes nothing of the embedding, is fitted to training subjects alone, and its
manifest is distrusted.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bundles
from legacy import run_legacy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("tensorflow")

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.probes.classifier_head import HeadProbe
from hearlite.benchmarks.probes.embeddings import embed_clips, require_disjoint_subjects
from hearlite.benchmarks.probes.logistic import C_GRID, MAX_ITER
from hearlite.bundle import METADATA_NAME, check_scores, describe, open_bundle, read_manifest
from hearlite.cli.main import cli
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, UsageError
from hearlite.export.package import package
from hearlite.export.tflite import export
from hearlite.files import sha256_of
from hearlite.manifests.splits import subject_hash
from hearlite.run import Run
from hearlite.serialization import to_dict
from hearlite.spec import QuantSpec
from hearlite.tflite.classifier import FittedHead, Head, HeadLabel, fuse
from hearlite.tflite.interpreter import RUNTIMES, TfliteModel
from hearlite.tflite.metadata import LABELS
from hearlite.tflite.model_file import add_metadata, summarize

SAMPLES = 200


def three(manifest: Path) -> Path:
    """The same recordings with a label of three values: how the device sounds, and how long the file's name is."""
    lines = manifest.read_text().splitlines()
    rows = [line.rsplit(",", 1) for line in lines[1:]]
    values = ["narrow" if narrow == "yes" else ("a", "b")[index % 2] for index, (_, narrow) in enumerate(rows)]
    path = manifest.parent / "three.csv"
    path.write_text(
        "\n".join(
            [
                lines[0] + ",kind",
                *(f"{row},{narrow},{value}" for (row, narrow), value in zip(rows, values, strict=True)),
            ]
        )
        + "\n"
    )
    return path


def probe(dataset: Dataset, *columns: str, trained_subjects: tuple[str, ...] = ()) -> HeadProbe:
    return HeadProbe(dataset, columns, trained_subjects=trained_subjects, samples=SAMPLES)


@pytest.fixture(scope="session")
def kinds(labelled: Path) -> Dataset:
    return load_dataset(three(labelled), label_columns=("narrow", "kind"))


@pytest.fixture(scope="session")
def softmaxed(quantized_run: Run, kinds: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(
        quantized_run, to=tmp_path_factory.mktemp("softmaxed"), recipe=QuantSpec.recipe, fit_head=probe(kinds, "kind")
    )


def run_clips(model: Path, clips: NDArray[np.int16], output: str) -> NDArray[np.float32]:
    opened = TfliteModel(model)
    return np.concatenate([opened.run(clip[None])[output] for clip in from_int16(clips)])


def training(
    model: Path, dataset: Dataset, column: str
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]:
    """Embeddings, labels and subjects of what a head may learn from, put together without the code under test."""
    embedder, _ = open_bundle(model)
    inside = dataclasses.replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.split != "test"))
    embedded = embed_clips(inside, {"x": embedder})
    return (
        embedded.vectors["x"].astype(np.float64),
        np.asarray([clip.label(column) for clip in embedded.clips]),
        np.asarray([clip.subject for clip in embedded.clips]),
    )


@pytest.mark.parametrize(("fixture", "column"), [("headed", "narrow"), ("softmaxed", "kind")])
def test_scores_are_predict_proba(
    fixture: str, column: str, request: pytest.FixtureRequest, narrow: Dataset, kinds: Dataset, clips: NDArray[np.int16]
) -> None:
    model: Path = request.getfixturevalue(fixture)
    scores, embeddings = run_clips(model, clips, "scores"), run_clips(model, clips, "embedding")
    nearest, next_nearest = distances_to_probes(
        scores, embeddings, model=model, dataset=kinds if column == "kind" else narrow, column=column
    )
    assert nearest <= 1e-6 < next_nearest


def distances_to_probes(
    scores: NDArray[Any], embeddings: NDArray[Any], *, model: Path, dataset: Dataset, column: str
) -> list[float]:
    """How far scores are from the two nearest of the plain probes on these embeddings: which C was chosen is not these
    tests' business.
    """
    vectors, labels, _ = training(model, dataset, column)
    differences = []
    for c in C_GRID:
        found = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MAX_ITER)).fit(vectors, labels)
        expected = found.predict_proba(embeddings.astype(np.float64))
        differences.append(float(np.abs(scores - (expected if scores.shape[1] > 1 else expected[:, 1:])).max()))
    return sorted(differences)[:2]


@pytest.mark.parametrize("fixture", ["headed", "softmaxed"])
def test_embeddings_are_those_without_a_head(
    fixture: str, request: pytest.FixtureRequest, bundle: Bundles, clips: NDArray[np.int16]
) -> None:
    model: Path = request.getfixturevalue(fixture)
    np.testing.assert_array_equal(run_clips(model, clips, "embedding"), run_clips(bundle.i8, clips, "embedding"))
    assert read_manifest(model).golden_embedding == bundle.manifest("i8").golden_embedding
    assert summarize(model.read_bytes()).network_macs == summarize(bundle.i8.read_bytes()).network_macs


def test_manifest(headed: Path, softmaxed: Path, narrow: Dataset) -> None:
    manifest = read_manifest(headed)
    assert headed.name == manifest.name == "hearlite_tiny_2s_i8_head.tflite"
    head = manifest.head
    assert head is not None and (head.kind, head.output, head.synthetic) == ("sigmoid", "scores", True)
    (label,) = head.labels
    people = {clip.subject for clip in narrow.clips if clip.split != "test"}
    assert label.name == "narrow=yes" and head.subjects == len(people) == len(head.trained_subjects)
    assert set(head.trained_subjects) == {subject_hash(person) for person in people}
    assert label.low is not None and label.high is not None and 0 <= label.low <= label.auroc <= label.high <= 1
    assert label.auroc > 0.7  # any network hears it
    assert json.loads(headed.with_suffix(".json").read_text()) == to_dict(manifest)
    other = read_manifest(softmaxed).head
    assert other is not None and [label.name for label in other.labels] == ["a", "b", "narrow"]
    assert sum(other.golden_scores) == pytest.approx(1)
    assert "narrow=yes: out-of-fold AUROC" in str(describe(headed)["head"])


def test_the_threshold_is_of_training_scores(headed: Path, narrow: Dataset) -> None:
    head = read_manifest(headed).head
    assert head is not None
    _, labels, _ = training(headed, narrow, "narrow")
    inside = dataclasses.replace(narrow, clips=tuple(clip for clip in narrow.clips if clip.split != "test"))
    found = embed_clips(inside, {"scores": TfliteEmbedder(headed, output="scores")}).vectors["scores"][:, 0]
    called = found >= head.labels[0].threshold
    assert (called[labels == "yes"].mean() + (~called[labels == "no"]).mean()) / 2 > 0.6


def test_card_and_notice_say_what_it_is(headed: Path, softmaxed: Path) -> None:
    for model, name in ((headed, "narrow=yes"), (softmaxed, "| a |")):
        card = model.with_suffix(".md").read_text()
        assert (
            "A research tool, not a diagnostic" in card
            and name in card
            and "synthetic and say nothing about people" in card
        )
        assert (
            "training and validation subjects of `narrow" in card
            or "subjects of `three" in card
            or "subjects of `corpus" in card
        )


def test_labels_travel_as_an_associated_file(headed: Path, softmaxed: Path) -> None:
    for model, lines in ((headed, ["narrow=yes"]), (softmaxed, ["a", "b", "narrow"])):
        with zipfile.ZipFile(io.BytesIO(model.read_bytes())) as archive:
            assert archive.namelist() == [LABELS]
            assert archive.read(LABELS).decode().splitlines() == lines


def test_every_runtime_gives_the_same_scores(softmaxed: Path, clips: NDArray[np.int16]) -> None:
    expected = run_clips(softmaxed, clips[:2], "scores")
    for runtime in RUNTIMES:
        opened = TfliteModel(softmaxed, runtime=runtime)
        found = np.concatenate([opened.run(clip[None])["scores"] for clip in from_int16(clips[:2])])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_runtime_of_older_phones_scores_its_own_embedding(
    softmaxed: Path, kinds: Dataset, clips: NDArray[np.int16], legacy_python: Path
) -> None:
    """Its int8 kernels round otherwise, and a head may magnify a step of the embedding: so the head alone is
    compared.
    """
    scores, embeddings = sorted(
        run_legacy(legacy_python, softmaxed.read_bytes(), from_int16(clips)), key=lambda output: output.shape[1]
    )
    nearest, next_nearest = distances_to_probes(scores, embeddings, model=softmaxed, dataset=kinds, column="kind")
    assert nearest <= 1e-6 < next_nearest


def test_the_self_test_looks_at_the_scores(headed: Path, bundle: Bundles) -> None:
    manifest = read_manifest(headed)
    assert manifest.head is not None
    (result,) = check_scores(headed, manifest)
    assert result.passed and result.name == "golden scores"
    other = dataclasses.replace(
        manifest, head=dataclasses.replace(manifest.head, golden_scores=((manifest.head.golden_scores[0] + 0.5) % 1,))
    )
    assert not check_scores(headed, other)[0].passed
    none = dataclasses.replace(manifest, head=dataclasses.replace(manifest.head, golden_scores=()))
    assert not check_scores(headed, none)[0].passed
    assert check_scores(bundle.i8, bundle.manifest("i8")) == ()


def test_the_folder_for_an_app_speaks_of_the_scores(headed: Path, tmp_path: Path) -> None:
    package(headed, platform="android", to=tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "scores narrow=yes, in this order (sigmoid)" in text and "never a diagnosis" in text


def test_test_subjects_are_refused(narrow: Dataset, headed: Path, bundle: Bundles) -> None:
    tested = next(clip.subject for clip in narrow.clips if clip.split == "test")
    trained = next(clip.subject for clip in narrow.clips if clip.split == "train")
    with pytest.raises(InputError, match="distilled on 1 of the test subjects"):
        probe(narrow, "narrow", trained_subjects=(subject_hash(tested),))
    swapped = dataclasses.replace(
        narrow, clips=tuple(dataclasses.replace(clip, split="test") for clip in narrow.clips if clip.subject == trained)
    )
    manifest = dataclasses.replace(
        read_manifest(headed), dataset=dataclasses.replace(read_manifest(headed).dataset, trained_subjects=())
    )
    with pytest.raises(InputError, match="given a classifier head fitted to 1 of the test subjects"):
        require_disjoint_subjects(manifest, swapped)
    require_disjoint_subjects(manifest, narrow)


def test_test_recordings_are_never_read(quantized_run: Run, narrow: Dataset, headed: Path, tmp_path: Path) -> None:
    gone = tuple(
        dataclasses.replace(clip, file=tmp_path / "gone.wav") if clip.split == "test" else clip for clip in narrow.clips
    )
    model = export(
        quantized_run,
        to=tmp_path,
        recipe=QuantSpec.recipe,
        fit_head=probe(dataclasses.replace(narrow, clips=gone), "narrow"),
    )
    assert model.read_bytes() == headed.read_bytes()


def test_columns_that_make_no_head(kinds: Dataset) -> None:
    with pytest.raises(UsageError, match="two values each, or one column of more"):
        probe(kinds, "kind", "narrow")
    odd = next(clip for clip in kinds.clips if clip.split == "train")
    labels = [(clip, "c" if clip is odd else clip.label("kind")) for clip in kinds.clips]
    rare = dataclasses.replace(
        kinds,
        clips=tuple(dataclasses.replace(clip, labels=(("kind", value),)) for clip, value in labels),
        classes=(("kind", tuple(sorted({value for _, value in labels}))),),
    )
    with pytest.raises(InputError, match="label 'c' of column 'kind' has too few training subjects"):
        probe(rare, "kind")


def a_head(**changes: Any) -> Head:
    label = HeadLabel("x", positive_subjects=5, negative_subjects=5, auroc=0.8, low=0.7, high=0.9, threshold=0.5)
    head = Head("sigmoid", "scores", (label,), "d", "00", False, 10, 10, 0, (), "youden", (0.5,))
    return dataclasses.replace(head, **changes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda head: head.update(kind="oracle"), "head kind is 'oracle'"),
        (lambda head: head.update(labels=[]), "labels are \\[\\]"),
        (lambda head: head["labels"][0].update(name="a\nb"), "printable"),
        (lambda head: head["labels"][0].update(name="x" * 101), "1 to 100"),
        (lambda head: head["labels"][0].update(threshold=1.5), "outside 0 to 1"),
        (lambda head: head["labels"].append(dict(head["labels"][0])), "expected distinct labels"),
        (lambda head: head["labels"][0].update(agreement=1.5), "agreement outside -1 to 1"),
        (lambda head: head["labels"][0].update(agreement="good"), "agreement is 'good'"),
        (lambda head: head["labels"][0].update(auroc=None), "auroc is None"),
        (lambda head: head.update(adapted_from="../head.json"), "adapted from '../head.json'"),
        (lambda head: head.update(adapted_from="0" * 63), "expected a sha256, 'in memory' or nothing"),
        (lambda head: head["labels"].append({**head["labels"][0], "name": "y"}), "golden scores"),
        (
            lambda head: head.update(golden_scores=[]) or head["labels"].append({**head["labels"][0], "name": "y"}),
            r"requires one with shape \[1, 2\]",
        ),
        (lambda head: head.update(output="embedding"), r"requires one with shape \[1, 1\]"),
        (lambda head: head.update(rights="all"), "unknown key 'rights'"),
    ],
)
def test_hostile_manifests(headed: Path, tmp_path: Path, change: Callable[[Any], Any], says: str) -> None:
    """Consistent forgeries: the copy inside the file and the hash are forged too."""
    data = json.loads(headed.with_suffix(".json").read_text())
    change(data["head"])
    inside = {key: value for key, value in data.items() if key not in ("tflite_sha256", "golden_embedding")}
    model = tmp_path / headed.name
    model.write_bytes(add_metadata(headed.read_bytes(), METADATA_NAME, json.dumps(inside, ensure_ascii=False).encode()))
    model.with_suffix(".json").write_text(json.dumps({**data, "tflite_sha256": sha256_of(model)}))
    with pytest.raises(InputError, match=says):
        read_manifest(model)


def test_a_head_of_other_dimensions_is_refused(bundle: Bundles, headed: Path) -> None:
    fitted = FittedHead(a_head(), np.zeros((1, 31)), np.zeros(1))
    with pytest.raises(InputError, match="31 dimensions"):
        fuse(bundle.i8.read_bytes(), fitted)
    with pytest.raises(InputError, match="does not fit"):
        fuse(headed.read_bytes(), FittedHead(a_head(), np.zeros((1, 32)), np.zeros(1)))  # it has one already


def test_the_command(quantized_run: Run, labelled: Path, other_subjects: Path, tmp_path: Path) -> None:
    run, out = str(quantized_run.folder), str(tmp_path)
    for arguments, kind, says in (
        (
            [run, "--out", out, "--label", "narrow"],
            UsageError,
            "--label narrow has no effect without --classifier-data",
        ),
        ([run, "--out", out, "--classifier-data", str(other_subjects)], InputError, "label"),
        (
            [run, "--out", out, "--classifier-data", str(labelled), "--label", "narrow"],
            InputError,
            "the student was distilled on",
        ),
    ):
        with pytest.raises(kind) as caught:
            cli.main(["export", *arguments], standalone_mode=False)
        assert says in str(caught.value) and not list(tmp_path.iterdir())
    arguments = [
        run,
        "--out",
        out,
        "--recipe",
        QuantSpec.recipe,
        "--classifier-data",
        str(other_subjects),
        "--label",
        "narrow",
    ]
    cli.main(["export", *arguments], standalone_mode=False)
    (model,) = tmp_path.glob("*.tflite")
    manifest = read_manifest(model)
    assert manifest.head is not None and manifest.head.already_heard == 0
    with pytest.raises(UsageError, match="exported already"):
        cli.main(
            ["export", str(model), "--out", out, "--platform", "python", "--classifier-data", str(other_subjects)],
            standalone_mode=False,
        )
