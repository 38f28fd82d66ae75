"""A classifier of the teacher's embeddings becomes one of the student's, without labels, and hostile ones are refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bundles
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hearlite
from hearlite.audio.clips import from_int16
from hearlite.bundle import check_scores, describe, heard_path, open_bundle, read_heard, read_manifest
from hearlite.cli.main import cli, main
from hearlite.data.records import read_examples, read_records
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.export import adapted_head as module
from hearlite.export.adapted_head import STRENGTHS, Clips, HeadAdapter, fit, judge, ridge
from hearlite.export.foreign_head import LEAST, SCHEMA, ForeignHead, Scores, decisions, read_head
from hearlite.files import read_arrays, sha256_of
from hearlite.run import Run
from hearlite.tflite.classifier import IN_MEMORY
from hearlite.tflite.interpreter import TfliteModel

pytest.importorskip("tensorflow")

DIM = 32
HAS_SKOPS = importlib.util.find_spec("skops") is not None
needs_skops = pytest.mark.skipif(not HAS_SKOPS, reason="skops, the extra 'heads', is not installed")
Floats = NDArray[np.float64]


def side(run: Run, split: str) -> NDArray[np.float32]:
    """The teacher's vectors of a split."""
    records = read_records(run.records)
    rows = zip(records.shards, records.rows(split), strict=True)
    return np.concatenate([read_examples(shard, part)[1] for shard, part in rows])


@pytest.fixture(scope="module")
def vectors(tiny_run: Run) -> NDArray[np.float32]:
    return side(tiny_run, "train")


@pytest.fixture(scope="module")
def truth(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    projected = vectors @ np.random.default_rng(0).normal(size=DIM)
    return np.asarray(projected > np.median(projected))


@pytest.fixture
def content(bundle: Bundles) -> bytes:
    return bundle.f32.read_bytes()


def linear_head(
    folder: Path, *, labels: tuple[str, ...] = ("sick",), dim: int = DIM, name: str = "head.json", **changes: Any
) -> Path:
    """Write a linear head, centred on the fake teacher's embeddings well enough to decide both ways."""
    rng = np.random.default_rng(5)
    data = {
        "schema": SCHEMA,
        "kind": "sigmoid",
        "labels": list(labels),
        "weights": rng.normal(size=(len(labels), dim)).tolist(),
        "bias": [0.0] * len(labels),
        **changes,
    }
    path = folder / name
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return path


def world(*, labels: int = 1, kind: str = "sigmoid", noise: float = 0.0) -> tuple[NDArray[np.float32], Scores, Any]:
    """(student, scores, subjects): a student in coordinates of its own, and a linear head of its teacher."""
    rng = np.random.default_rng(1)
    teacher = rng.normal(size=(600, DIM)) * np.geomspace(3.0, 0.05, DIM) + 1.0
    turned = teacher @ np.linalg.qr(rng.normal(size=(DIM, DIM)))[0] + noise * rng.normal(size=teacher.shape)
    logits = (teacher - 1.0) @ rng.normal(size=(DIM, labels)) + 0.3
    if kind == "softmax":
        logits -= logits.mean(axis=1, keepdims=True)
    names = tuple(f"label {number}" for number in range(labels))
    return (
        turned.astype(np.float32),
        Scores(kind, names, logits),
        np.asarray([f"s{number % 30}" for number in range(600)]),
    )


@pytest.mark.parametrize(("labels", "kind"), [(1, "sigmoid"), (3, "sigmoid"), (3, "softmax")])
def test_a_student_that_equals_its_teacher_keeps_a_linear_head(labels: int, kind: str) -> None:
    student, scores, subjects = world(labels=labels, kind=kind)
    fitted = fit(student, scores, subjects)
    np.testing.assert_allclose(fitted(student), scores.logits, atol=1e-4)
    np.testing.assert_allclose(fitted.out_of_fold, scores.logits, atol=1e-4)


def test_ridge_is_scikit_learns() -> None:
    from sklearn.linear_model import Ridge

    student, scores, _ = world(labels=2, noise=1.0)
    weights, bias = ridge(student.astype(np.float64), scores.logits)
    for number in (0, 10, len(STRENGTHS) - 1):
        expected = make_pipeline(StandardScaler(), Ridge(alpha=STRENGTHS[number] * len(student)))
        expected.fit(student.astype(np.float64), scores.logits)
        found = student.astype(np.float64) @ weights[number].T + bias[number]
        np.testing.assert_allclose(found, expected.predict(student.astype(np.float64)), atol=1e-6)


def test_a_noisy_student_is_fitted_with_more_ridge_and_judged_on_other_subjects() -> None:
    student, scores, subjects = world(noise=1.0)
    few = slice(0, 60)
    part = Scores("sigmoid", scores.labels, scores.logits[few])
    fitted = fit(student[few], part, subjects[few])
    plain = ridge(student[few].astype(np.float64), part.logits)
    rest = slice(60, None)
    error = ((fitted(student[rest]) - scores.logits[rest]) ** 2).mean()
    unregularised = ((student[rest] @ plain[0][0].T + plain[1][0] - scores.logits[rest]) ** 2).mean()
    assert error < 0.9 * unregularised


def test_features_that_never_change_get_no_weight() -> None:
    student, scores, subjects = world()
    student[:, 3] = np.where(subjects == "s1", np.nextafter(np.float32(7), np.float32(8)), np.float32(7))
    fitted = fit(student, scores, subjects)
    assert np.isfinite(fitted.weights).all() and fitted.weights[0, 3] == 0.0
    nothing = fit(np.zeros_like(student), scores, subjects)
    np.testing.assert_allclose(nothing(student), scores.logits.mean())


def clips_of(logits: Floats, *, kind: str = "sigmoid") -> Clips:
    names = tuple(f"label {number}" for number in range(logits.shape[1]))
    subjects = np.asarray([f"s{number % 3}" for number in range(len(logits))])
    return Clips((), len(logits), subjects, Scores(kind, names, logits))


def test_judging_says_what_a_figure_is_of() -> None:
    """Columns: decided both ways, never given on validation, the same on all of validation."""
    rng = np.random.default_rng(0)
    train, val = clips_of(rng.normal(size=(60, 3))), rng.normal(size=(30, 3))
    val[:, 1], val[:, 2] = val[:, 1] - 10.0, 0.25
    labels = judge(train, train.scores.logits, clips_of(val), val + 0.01 * rng.normal(size=val.shape))
    assert [label.auroc_of for label in labels] == [
        "the head's decisions, on 30 validation clips, of 3 subjects",
        "the upper half of the head's scores, as it decides alike, on 30 validation clips, of 3 subjects",
        "the head's decisions, on 60 training clips, out of fold, of 3 subjects",
    ]
    assert all(label.agreement is not None and label.agreement > 0.99 for label in labels)
    assert all(label.auroc > 0.9 and (label.low, label.high, label.threshold) == (None, None, 0.5) for label in labels)
    assert all((label.positive_subjects, label.negative_subjects) == (3, 3) for label in labels)
    (opposite, *_) = judge(train, train.scores.logits, clips_of(val), -val)
    assert opposite.agreement == pytest.approx(-1) and opposite.auroc == 0.0
    (blind, *_) = judge(train, train.scores.logits, clips_of(val), np.zeros_like(val))
    assert blind.agreement is None and blind.auroc == 0.5 and "correlation" not in blind.summary()


def test_without_validation_clips_training_clips_are_judged_out_of_fold() -> None:
    train = clips_of(np.random.default_rng(0).normal(size=(60, 1)))
    (label,) = judge(train, -train.scores.logits, clips_of(np.zeros((0, 1))), np.zeros((0, 1)))
    assert label.agreement == pytest.approx(-1) and "60 training clips, out of fold" in label.auroc_of


def test_a_softmax_is_judged_by_its_probabilities() -> None:
    logits = np.random.default_rng(0).normal(size=(60, 3))
    logits -= logits.mean(axis=1, keepdims=True)
    found = judge(clips_of(logits, kind="softmax"), logits, clips_of(logits, kind="softmax"), logits)
    given = decisions(logits, kind="softmax")
    assert (given.sum(axis=1) == 1).all()
    raised = np.exp(logits)
    probabilities = raised / raised.sum(axis=1, keepdims=True)
    for number, label in enumerate(found):
        positive, negative = (probabilities[given[:, number] == side, number] for side in (True, False))
        assert label.auroc == pytest.approx(np.mean(positive[:, None] > negative))


def run_scores(model: Path, clips: NDArray[np.int16]) -> tuple[Floats, Floats]:
    opened = TfliteModel(model)
    outputs = [opened.run(clip[None]) for clip in from_int16(clips)]
    return tuple(np.concatenate([item[name] for item in outputs]) for name in ("scores", "embedding"))  # type: ignore[return-value]


@pytest.mark.kernels
def test_the_command_writes_a_file_that_scores_as_its_weights_say(
    quantized_run: Run, bundle: Bundles, tmp_path: Path, clips: NDArray[np.int16], capsys: pytest.CaptureFixture[str]
) -> None:
    head, out = linear_head(tmp_path, labels=("sick", "well")), tmp_path / "out"
    main(["adapt-head", str(head), "--run", str(quantized_run.folder), "--out", str(out), "--json"])
    printed = json.loads(capsys.readouterr().out)
    names = ["hearlite_tiny_2s_i8_head.tflite", "hearlite_tiny_2s_f32_head.tflite"]
    assert [Path(row["file"]).name for row in printed] == names
    assert all("sick: agrees with the head that it stands for" in row["scores"][0] for row in printed)
    adapter = HeadAdapter(read_head(head), quantized_run)
    clips_heard = quantized_run.spec.dataset.train_clips
    for name, plain in zip(names, (bundle.i8, bundle.f32), strict=True):
        model = out / name
        fitted = adapter(plain.read_bytes())
        scores, embeddings = run_scores(model, clips)
        logits = embeddings.astype(np.float64) @ fitted.weights.T + fitted.bias
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-5)
        np.testing.assert_array_equal(TfliteEmbedder(plain).embed(from_int16(clips)), embeddings)
        _, manifest = open_bundle(model)
        found = manifest.head
        assert found is not None and dataclasses.replace(found, golden_scores=()) == fitted.head
        assert found.adapted_from == sha256_of(head) and found.kind == "sigmoid"
        assert [label.name for label in found.labels] == ["sick", "well"]
        assert found.trained_subjects == (), "the manifest lists them once, as the student's"
        assert (found.clips, found.subjects, found.already_heard) == (clips_heard, 3, 3)
        assert all(result.passed for result in check_scores(model, manifest))
        assert "sick: agrees with the head" in str(describe(model)["head"])
        card = model.with_suffix(".md").read_text()
        assert f"sha256 `{sha256_of(head)}`" in card and f"{clips_heard} clips of 3 training subjects" in card
        assert "Logistic regression" not in card and "Agreement is not quality" in card
        assert f"{found.labels[0].agreement:.3f}" in card
    main(["check", str(out / names[0])])
    with pytest.raises(SystemExit) as caught:  # another head, the same name
        other = linear_head(tmp_path, labels=("ill", "well"), name="other.json")
        main(["adapt-head", str(other), "--run", str(quantized_run.folder), "--out", str(out)])
    assert caught.value.code == 3 and "pass --overwrite" in capsys.readouterr().err


def test_the_file_has_heard_what_its_run_has(tiny_run: Run, tmp_path: Path) -> None:
    (model,) = hearlite.adapt_head(linear_head(tmp_path), run=tiny_run, out=tmp_path / "out", recipes=["float32"])
    heard = read_heard(model, read_manifest(model))
    assert heard is not None
    np.testing.assert_array_equal(heard.digests, read_arrays(tiny_run.heard)["digests"])
    assert heard_path(model).read_bytes() == tiny_run.heard.read_bytes()


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(C=0.1),
        RandomForestClassifier(20, random_state=0),
        MLPClassifier((8,), max_iter=200, random_state=0),
        make_pipeline(StandardScaler(), RidgeClassifier()),
    ],
    ids=lambda item: type(item).__name__,
)
def test_estimators_in_memory(
    estimator: Any, tiny_run: Run, vectors: NDArray[np.float32], truth: NDArray[np.bool_], content: bytes
) -> None:
    estimator.fit(vectors, np.where(truth, "sick", "well"))
    fitted = HeadAdapter(read_head(estimator), tiny_run)(content)
    (label,) = fitted.head.labels
    assert label.name == "well" and fitted.head.adapted_from == IN_MEMORY and fitted.head.kind == "sigmoid"
    assert fitted.weights.shape == (1, DIM) and label.agreement is not None
    scores = read_head(estimator, labels=["healthy"]).score(vectors)
    assert scores.labels == ("healthy",)
    np.testing.assert_array_equal(scores.decisions[:, 0], estimator.predict(vectors) == "well")


def test_classifiers_of_several_classes_are_a_softmax(
    tiny_run: Run, vectors: NDArray[np.float32], truth: NDArray[np.bool_], content: bytes
) -> None:
    classes = np.where(truth, 2, np.arange(len(truth)) % 2)
    forest = RandomForestClassifier(20, random_state=0).fit(vectors, classes)
    scores = read_head(forest).score(vectors)
    assert (scores.kind, scores.labels) == ("softmax", ("0", "1", "2"))
    np.testing.assert_allclose(scores.logits.mean(axis=1), 0.0, atol=1e-12)
    expected = np.log(np.clip(forest.predict_proba(vectors.astype(np.float64)), LEAST, 1 - LEAST))
    np.testing.assert_allclose(scores.logits, expected - expected.mean(axis=1, keepdims=True))
    fitted = HeadAdapter(read_head(forest), tiny_run)(content)
    assert fitted.head.kind == "softmax" and fitted.weights.shape == (3, DIM)
    by_decision = read_head(RidgeClassifier().fit(vectors, classes)).score(vectors)
    assert by_decision.kind == "softmax" and by_decision.logits.shape == (len(vectors), 3)


def test_the_log_odds_of_a_forest_are_finite(vectors: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    forest = RandomForestClassifier(1, bootstrap=False, random_state=0).fit(vectors, truth)
    scores = read_head(forest).score(vectors)
    assert scores.labels == ("True",)
    np.testing.assert_allclose(np.abs(scores.logits), np.log((1 - LEAST) / LEAST))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (object(), "object is no fitted classifier"),
        (LogisticRegression(), "LogisticRegression is no fitted classifier"),
        (StandardScaler().fit(np.eye(DIM)), "StandardScaler is no fitted classifier"),
        (make_pipeline(StandardScaler(), "odd"), "Pipeline is no fitted classifier"),
        (RandomForestClassifier(2).fit(np.eye(DIM), np.eye(DIM)[:, :3]), "no fitted classifier of two"),
    ],
    ids=["object", "unfitted", "transformer", "odd pipeline", "multilabel forest"],
)
def test_objects_that_are_no_classifier(head: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_head(head)


def test_a_network_of_several_labels_is_refused(vectors: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    network = MLPClassifier((4,), max_iter=20, random_state=0).fit(vectors, np.stack([truth, ~truth, truth], axis=1))
    with pytest.raises(InputError, match="probabilities don't sum to 1"):
        read_head(network).score(vectors)


def foreign(logits: Callable[[Floats], Floats]) -> ForeignHead:
    return ForeignHead("h", IN_MEMORY, None, lambda given: Scores("sigmoid", ("x",), logits(given.astype(np.float64))))


def raises(given: Floats) -> Floats:
    raise ZeroDivisionError("odd")


@pytest.mark.parametrize(
    ("logits", "says"),
    [
        (lambda given: np.full((len(given), 1), 3.0), r"gives all \d+ training clips the same score of 'x'"),
        (lambda given: np.full((len(given), 1), np.nan), r"NaN or infinity for (\d+) of \1 embeddings"),
        (lambda given: np.where(np.arange(len(given)) == 4, np.inf, given[:, 0])[:, None], "first for number 4"),
        (raises, r"fails on \d+ embeddings of 32 values: odd"),
    ],
)
def test_heads_that_say_nothing(logits: Callable[[Floats], Floats], says: str, tiny_run: Run) -> None:
    with pytest.raises(InputError, match=says):
        HeadAdapter(foreign(logits), tiny_run)


def test_another_dimension_is_named(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="embeddings of 31 values, and those of the run's teacher have 32"):
        hearlite.adapt_head(linear_head(tmp_path, dim=31), run=tiny_run, out=tmp_path / "out")
    small = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(InputError, match="embeddings of 4 values"):
        HeadAdapter(read_head(small), tiny_run)
    assert not (tmp_path / "out").exists()


def test_a_run_needs_its_records_and_two_training_subjects(tiny_run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    run = dataclasses.replace(tiny_run, folder=tmp_path / "run")
    shutil.copytree(tiny_run.folder, run.folder, ignore=shutil.ignore_patterns("records"))
    head = read_head(linear_head(tmp_path))
    with pytest.raises(InputError, match="no record shards"):
        HeadAdapter(head, run)
    monkeypatch.setattr(module, "MAX_TRAIN", 1)
    with pytest.raises(InputError, match="1 training subjects"):
        HeadAdapter(head, tiny_run)


def test_a_cap_draws_at_random(tiny_run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MAX_TRAIN", 12)
    one, again, other = (
        HeadAdapter(read_head(linear_head(tmp_path)), tiny_run, seed=seed)._train for seed in (0, 0, 1)
    )
    assert one.sources < len(one.subjects) == 12  # altered copies among them
    np.testing.assert_array_equal(one.scores.logits, again.scores.logits)
    assert not np.array_equal(one.scores.logits, other.scores.logits)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "hearlite-head/2"}, "its schema is 'hearlite-head/2'"),
        ({"schema": None}, "schema"),
        ({"kind": "oracle"}, "head kind is 'oracle'"),
        ({"kind": "softmax"}, "at least two for a softmax"),
        ({"labels": []}, "labels are"),
        ({"labels": ["a\nb"]}, "printable"),
        ({"labels": ["a", "b"], "weights": [[1.0] * DIM], "bias": [0.0]}, "2 labels, 1 rows of weights and 1 biases"),
        ({"bias": [0.0, 1.0]}, "1 rows of weights and 2 biases"),
        ({"bias": ["0"]}, "bias is '0'"),
        ({"weights": [[]]}, "have 0 values"),
        ({"weights": [[True] * DIM]}, "weights is True"),
        ({"weights": [1.0] * DIM}, "expected a list"),
        ({"weights": [[float("nan")] * DIM]}, "NaN is not a number"),
        ({"weights": [[10**400] * DIM]}, "too large"),
        ({"mean": [0.0] * 31}, "have 31 and 32 values"),
        ({"scale": [1.0] * 31 + [0.0]}, "a scale is 0.0"),
        ({"scale": [-1.0] * DIM}, "a scale is -1.0"),
        ({"threshold": 0.5}, "unknown key 'threshold'"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
def test_linear_heads_that_are_none(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        read_head(linear_head(tmp_path, **changes))


def test_weights_that_overflow_are_refused(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    head = read_head(linear_head(tmp_path, weights=[[1e308] * DIM], scale=[1e-300] * DIM))
    with pytest.raises(InputError, match="NaN or infinity"):
        head.score(vectors)


def test_mean_and_scale_are_a_scalers(tmp_path: Path, vectors: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(vectors, truth)
    scaler, classifier = pipeline[0], pipeline[1]
    head = linear_head(
        tmp_path,
        weights=classifier.coef_.tolist(),
        bias=classifier.intercept_.tolist(),
        mean=scaler.mean_.tolist(),
        scale=scaler.scale_.tolist(),
    )
    expected = pipeline.decision_function(vectors.astype(np.float64))
    np.testing.assert_allclose(read_head(head).score(vectors).logits[:, 0], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("deep.json", "[" * 100_000, "not valid JSON"),
        ("deep.json", '{"schema":' + "[" * 70 + "]" * 70 + "}", "nested more than 64 levels"),
        ("list.json", "[]", "expected a table for LinearHead"),
        ("head.pkl", "x", "is a pickle, which runs code"),
        ("HEAD.JOBLIB", "x", "skops.io.dump"),
        ("head.pickle", "x", "pass the object from Python"),
        ("head.onnx", "x", "is no head that this version reads"),
    ],
)
def test_files_that_are_no_head(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_head(tmp_path / name)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["no.json", "no.skops", "no.keras"])
def test_a_head_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name}: No such file"):
        read_head(tmp_path / name)


@pytest.mark.parametrize("labels", [(), ("a", "b", "c")])
def test_labels_are_as_many_as_outputs(labels: tuple[str, ...], tmp_path: Path, tiny_run: Run) -> None:
    arguments = [str(linear_head(tmp_path)), "--run", str(tiny_run.folder), "--out", str(tmp_path / "out")]
    arguments += [part for label in (*labels, "x", "y") for part in ("--label", label)]
    with pytest.raises(UsageError, match=rf"has 1 outputs, and {len(labels) + 2} labels were named"):
        cli.main(["adapt-head", *arguments], standalone_mode=False)


Network = Callable[[Any, Any], Any]


def saved_model(folder: Path, network: Network, *, rows: int | None = None, dim: int | None = DIM) -> Path:
    """Write a SavedModel of a network (inputs, variable [DIM, 3]) -> outputs."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(np.random.default_rng(2).normal(size=(DIM, 3)).astype(np.float32))
    spec = tf.TensorSpec((rows, dim), tf.float32, name="embedding")
    module.serve = tf.function(lambda embedding: network(embedding, module.weights), input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def relu(values: Any, weights: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(values) @ weights


@pytest.mark.parametrize(
    ("after", "kind", "rows"),
    [
        (lambda tf, logits: logits, "sigmoid", None),
        (lambda tf, logits: tf.sigmoid(logits), "sigmoid", None),
        (lambda tf, logits: tf.nn.softmax(logits), "softmax", None),
        (lambda tf, logits: tf.nn.softmax(logits), "softmax", 5),
        (lambda tf, logits: tf.sigmoid(logits[:, 0]), "sigmoid", None),
        (lambda tf, logits: logits[:, :1], "sigmoid", 1),
    ],
    ids=["logits", "sigmoid", "softmax", "fixed rows", "[n]", "[n, 1]"],
)
def test_saved_models(
    after: Callable[[Any, Any], Any],
    kind: str,
    rows: int | None,
    tmp_path: Path,
    tiny_run: Run,
    vectors: NDArray[np.float32],
    content: bytes,
) -> None:
    import tensorflow as tf

    folder = saved_model(tmp_path / "model", lambda values, weights: after(tf, 0.2 * relu(values, weights)), rows=rows)
    logits = 0.2 * np.maximum(vectors, 0) @ np.random.default_rng(2).normal(size=(DIM, 3)).astype(np.float32)
    scores = read_head(folder).score(vectors)
    assert scores.kind == kind
    assert scores.labels == tuple(f"score_{number}" for number in range(scores.logits.shape[1]))
    if kind == "softmax":
        logits = logits - logits.mean(axis=1, keepdims=True)
    inside = np.abs(logits[:, : scores.logits.shape[1]]) < 3  # probabilities beyond 0.999 are cut
    assert inside.mean() > 0.5
    np.testing.assert_allclose(scores.logits[inside], logits[:, : scores.logits.shape[1]][inside], atol=1e-3)
    fitted = HeadAdapter(read_head(folder, labels=["a", "b", "c"][: len(scores.labels)]), tiny_run)(content)
    assert fitted.head.kind == kind and fitted.head.labels[0].name == "a" and len(fitted.head.adapted_from) == 64


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (lambda values, weights: (values @ weights, values), "expected one float32 input"),
        (lambda values, weights: (values @ weights)[:, None], "expected one float32 input"),
        (lambda values, weights: (values @ weights)[:, 0] > 0, "expected one float32 input"),
        (lambda values, weights: (values @ weights)[0], r"returns \[3\] for \d+ embeddings"),
        (lambda values, weights: (values @ weights) / 0.0, "NaN or infinity"),
    ],
    ids=["two outputs", "three axes", "bool", "one row", "infinite"],
)
def test_saved_models_that_are_no_head(
    network: Network, says: str, tmp_path: Path, vectors: NDArray[np.float32]
) -> None:
    with pytest.raises(InputError, match=says):
        read_head(saved_model(tmp_path / "model", network)).score(vectors)


def test_a_saved_model_of_another_dimension(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    head = read_head(saved_model(tmp_path / "model", lambda values, weights: values @ weights[:8], dim=8))
    with pytest.raises(InputError, match="embeddings of 8 values"):
        head.score(vectors)
    free = read_head(saved_model(tmp_path / "free", lambda values, weights: values @ weights[:8], dim=None))
    with pytest.raises(InputError, match=r"fails on \d+ embeddings of 32 values"):
        free.score(vectors)


def test_a_saved_model_that_reaches_outside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def reads(values: Any, weights: Any) -> Any:
        read = tf.strings.length(tf.io.read_file("/etc/hostname"))
        return values @ weights + tf.cast(read, tf.float32)

    folder = saved_model(tmp_path / "model", reads)
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(InputError, match="reach outside the model: ReadFile"):
        read_head(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a SavedModel"):
        read_head(tmp_path / "empty")


@pytest.mark.skipif(HAS_SKOPS, reason="skops is installed")
def test_without_skops_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "head.skops").write_bytes(b"PK")
    with pytest.raises(MissingExtraError, match="skops") as caught:
        read_head(tmp_path / "head.skops")
    assert "hearlite[heads]" in caught.value.hint


def test_only_types_of_scikit_learn_can_be_trusted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"trusted type is 'os\.system'"):
        read_head(tmp_path / "head.skops", trusted=["os.system"])


@needs_skops
def test_estimators_that_skops_saved(
    tmp_path: Path, tiny_run: Run, vectors: NDArray[np.float32], truth: NDArray[np.bool_], content: bytes
) -> None:
    import skops.io

    path = tmp_path / "head.skops"
    head = make_pipeline(StandardScaler(), LogisticRegression()).fit(vectors, truth)
    skops.io.dump(head, path)
    fitted = HeadAdapter(read_head(path, labels=["sick"]), tiny_run)(content)
    assert fitted.head.adapted_from == sha256_of(path) and fitted.head.labels[0].name == "sick"
    np.testing.assert_allclose(fitted.weights, HeadAdapter(read_head(head), tiny_run)(content).weights)
    forest = RandomForestClassifier(5, random_state=0).fit(vectors, truth)
    skops.io.dump(forest, path)
    tree = "sklearn.tree._tree.Tree"
    with pytest.raises(InputError, match=rf"doesn't know to be safe: {tree}; .*--trust {tree}"):
        read_head(path)
    scores = read_head(path, trusted=[tree]).score(vectors)
    np.testing.assert_array_equal(scores.logits, read_head(forest).score(vectors).logits)
    skops.io.dump(StandardScaler().fit(vectors), path)
    with pytest.raises(InputError, match="is no fitted classifier"):
        read_head(path)


@needs_skops
def test_hostile_files_of_skops_are_refused(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    path = tmp_path / "head.skops"
    skops.io.dump(FunctionTransformer(shutil.rmtree), path)
    with pytest.raises(InputError, match=r"shutil\.rmtree; they are not scikit-learn's"):
        read_head(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="skops can't read it"):
        read_head(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "[" * 100_000)
    with pytest.raises(InputError, match="skops can't read it"):
        read_head(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("schema.json", "w") as stream:
        for _ in range((1 << 30) // (1 << 24) + 1):
            stream.write(bytes(1 << 24))
    with pytest.raises(InputError, match="unpack to"):
        read_head(path)
