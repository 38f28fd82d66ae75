"""Running .tflite files: names, windows, quantized outputs, and files that are broken or not what they should be."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from legacy import run_legacy

from hearlite.embedders.base import Clips
from hearlite.embedders.tflite import TfliteEmbedder, window_starts
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import TfliteModel

CLIP = AUDIO.clip_samples
SHORT = 15_600  # YAMNet's window: three cover a clip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, one .tflite each. All but the odd ones return [mean, maximum] of their waveform."""
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("models")

    def statistics(x):  # [n, samples] -> [n, 2]
        return tf.stack([tf.reduce_mean(x, axis=-1), tf.reduce_max(x, axis=-1)], axis=-1)

    def write(name, function, shape, *, dtype=tf.float32, int8_output=False):
        module = tf.Module()
        concrete = tf.function(
            function, input_signature=[tf.TensorSpec(shape, dtype, name="waveform")]
        ).get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        if int8_output:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [np.linspace(-1, 1, CLIP, dtype=np.float32)[None] * gain] for gain in (0.1, 1)
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_output_type = tf.int8
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    write("short", statistics, [1, SHORT])
    write("flat", lambda x: statistics(x[None]), [SHORT])
    write("free", statistics, [1, None])
    write("exact", statistics, [1, CLIP])
    write("long", statistics, [1, CLIP + 1])
    write("frames", lambda x: tf.reshape(x, [1, -1, 100]), [1, CLIP])
    write("nan", lambda x: tf.math.log(statistics(x)), [1, CLIP])
    write("image", lambda x: tf.reduce_mean(x, axis=[1, 2]), [1, 192, 128])
    write("int_input", lambda x: statistics(tf.cast(x, tf.float32)), [1, CLIP], dtype=tf.int8)
    write("int8_output", lambda x: tf.reshape(x, [1, 2, -1])[:, :, :4] @ tf.ones([4, 1]) * 0.25, [1, CLIP])
    write("int8_vector", lambda x: x[:, :: CLIP // 8] @ tf.eye(8), [1, CLIP], int8_output=True)
    total = tf.Variable(tf.zeros([1, 2]))
    _write_signed(
        tf, folder / "signed.tflite", lambda audio: {"embedding": statistics(audio), "scores": -statistics(audio)}
    )
    _write_signed(
        tf, folder / "ambiguous.tflite", lambda audio: {"left": statistics(audio), "right": -statistics(audio)}
    )
    _write_signed(
        tf, folder / "stateful.tflite", lambda audio: {"embedding": total.assign_add(statistics(audio))}, total
    )
    return folder


def _write_signed(tf, path: Path, function, *variables) -> None:
    module = tf.Module()
    module.kept = variables
    module.serve = tf.function(function, input_signature=[tf.TensorSpec([1, CLIP], tf.float32, name="audio")])
    tf.saved_model.save(module, str(path.with_suffix("")), signatures={"embed": module.serve})
    path.write_bytes(
        tf.lite.TFLiteConverter.from_saved_model(str(path.with_suffix("")), signature_keys=["embed"]).convert()
    )


@pytest.fixture
def clips() -> Clips:
    ramp = np.linspace(-0.5, 0.5, CLIP, dtype=np.float32)
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, CLIP).astype(np.float32)
    return np.stack([ramp, noise, np.zeros(CLIP, np.float32)])


@pytest.mark.parametrize("samples", [1_000, 7_999, SHORT, 16_001, CLIP - 1, CLIP])
def test_windows_cover_a_clip_with_the_fewest(samples: int) -> None:
    starts = window_starts(samples)
    covered = np.zeros(CLIP, bool)
    for start in starts:
        assert 0 <= start <= CLIP - samples
        covered[start : start + samples] = True
    assert covered.all()
    assert (len(starts) - 1) * samples < CLIP <= len(starts) * samples
    assert starts[-1] + samples == CLIP


@pytest.mark.slow
@pytest.mark.parametrize("name", ["short", "flat"])
def test_a_short_model_is_averaged_over_its_windows(models: Path, clips: Clips, name: str) -> None:
    embedder = TfliteEmbedder(models / f"{name}.tflite")
    windows = [clips[:, start : start + SHORT] for start in (0, 8_200, CLIP - SHORT)]
    expected = np.mean([np.stack([w.mean(axis=1), w.max(axis=1)], axis=1) for w in windows], axis=0)
    embeddings = embedder.embed(clips)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["exact", "free"])
def test_a_whole_clip_is_one_window(models: Path, clips: Clips, name: str) -> None:
    embeddings = TfliteEmbedder(models / f"{name}.tflite").embed(clips)
    np.testing.assert_allclose(embeddings, np.stack([clips.mean(axis=1), clips.max(axis=1)], axis=1), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch_and_no_clips_give_no_vectors(models: Path, clips: Clips) -> None:
    embedder = TfliteEmbedder(models / "short.tflite")
    together = embedder.embed(clips)
    for i in range(len(clips)):
        np.testing.assert_array_equal(embedder.embed(clips[i : i + 1])[0], together[i])
    assert embedder.embed(clips[:0]).shape == (0, 2)


def test_outputs_go_by_their_signature_names(models: Path, clips: Clips) -> None:
    model = TfliteModel(models / "signed.tflite")
    assert [tensor.name for tensor in model.inputs] == ["audio"]
    assert {tensor.name: tensor.shape for tensor in model.outputs} == {"embedding": (1, 2), "scores": (1, 2)}
    outputs = model.run(clips[:1])
    np.testing.assert_allclose(outputs["embedding"], -outputs["scores"])
    np.testing.assert_array_equal(TfliteEmbedder(models / "signed.tflite").embed(clips[:1]), outputs["embedding"])
    np.testing.assert_array_equal(
        TfliteEmbedder(models / "signed.tflite", output="scores").embed(clips[:1]), outputs["scores"]
    )


def test_the_output_is_part_of_name_and_fingerprint(models: Path) -> None:
    first, second = (TfliteEmbedder(models / "signed.tflite", output=output).info for output in ("embedding", "scores"))
    assert second.name == f"tflite:{models / 'signed.tflite'}#scores"
    assert (second.kind, second.dim, second.licence) == ("tflite", 2, "unknown")
    assert second.surrogate_note.startswith(f"{second.name} stands in for HeAR")
    assert first.fingerprint != second.fingerprint
    assert TfliteEmbedder(models / "signed.tflite", name="student").info.name == "student"


def test_an_int8_output_is_dequantized_by_its_own_scale(models: Path, clips: Clips) -> None:
    model = TfliteModel(models / "int8_vector.tflite")
    scale = model.outputs[0].scale
    assert model.outputs[0].dtype == np.int8 and scale > 0
    embeddings = TfliteEmbedder(models / "int8_vector.tflite").embed(clips)
    np.testing.assert_allclose(embeddings, clips[:, :: CLIP // 8], atol=1.5 * scale)  # one rounding at each end


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_runtimes_agree(models: Path, clips: Clips) -> None:
    pytest.importorskip("tensorflow")
    reference = TfliteModel(models / "exact.tflite").run(clips[:1])
    other = TfliteModel((models / "exact.tflite").read_bytes(), runtime="tf").run(clips[:1])
    assert reference.keys() == other.keys()
    for key, value in reference.items():
        np.testing.assert_allclose(other[key], value, atol=1e-6)


def test_the_runtime_of_older_phones_agrees(models: Path, clips: Clips, legacy_python: Path) -> None:
    content = (models / "exact.tflite").read_bytes()
    (found,) = run_legacy(legacy_python, content, clips[:1])
    (expected,) = TfliteModel(content).run(clips[:1]).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("long", f"takes {CLIP + 1} samples"),
        ("image", "expected one waveform"),
        ("int_input", "float32 input"),
        ("frames", "expected one vector"),
        ("int8_output", "expected one vector"),
        ("ambiguous", "'left' float32 [1, 2], 'right' float32 [1, 2]"),
        ("stateful", "keeps state"),
    ],
)
def test_models_that_are_no_embedder_are_refused(models: Path, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        TfliteEmbedder(models / f"{name}.tflite")
    assert message in str(error.value)
    assert f"{name}.tflite" in str(error.value)


def test_an_unknown_output_is_refused_with_the_known_ones(models: Path) -> None:
    with pytest.raises(InputError, match=r"no output called 'logits'.*'embedding' float32"):
        TfliteEmbedder(models / "signed.tflite", output="logits")


def test_values_that_are_not_finite_are_refused(models: Path, clips: Clips) -> None:
    with pytest.raises(InputError, match="NaN or infinity for 1 of 1 clips"):
        TfliteEmbedder(models / "nan.tflite").embed(clips[2:])


def test_wrong_input_to_run_is_refused(models: Path, clips: Clips) -> None:
    model = TfliteModel(models / "exact.tflite")
    with pytest.raises(InputError, match="got float64"):
        model.run(clips[:1].astype(np.float64))
    with pytest.raises(InputError, match="got float32"):
        model.run(clips)


@pytest.mark.parametrize("keep", [0, 4, 8, 15, 100, 0.5, -1])
def test_cut_files_are_refused(models: Path, tmp_path: Path, keep: float) -> None:
    whole = (models / "exact.tflite").read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match=r"cut\.tflite"):
        TfliteModel(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(200), b"\xff\xff\xff\xffTFL3" + bytes(200), b"\x10\0\0\0TFL3" + b"\xff" * 200]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.tflite"):
        TfliteModel(path)


def test_missing_files_folders_and_bad_options_are_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        TfliteModel(tmp_path / "none.tflite")
    with pytest.raises(InputError, match=str(tmp_path)):
        TfliteModel(tmp_path)
    with pytest.raises(UsageError, match="litert, tf"):
        TfliteModel(models / "exact.tflite", runtime="onnx")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="threads is 0"):
        TfliteModel(models / "exact.tflite", threads=0)


def test_yamnet_embeds_a_clip_in_three_windows() -> None:
    shared = os.environ.get("HEARLITE_SHARED")
    if not shared:
        pytest.skip("HEARLITE_SHARED names no folder with models/yamnet_embedding.tflite")
    path = Path(shared) / "models" / "yamnet_embedding.tflite"
    embedder = TfliteEmbedder(path)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, CLIP)).astype(np.float32)
    embeddings = embedder.embed(noise)
    assert embeddings.shape == (2, 1024)
    model = TfliteModel(path)
    assert {tensor.name for tensor in model.outputs} == {"scores", "embedding"}
    windows = [model.run(noise[:1, start : start + SHORT].copy())["embedding"] for start in (0, 8_200, CLIP - SHORT)]
    np.testing.assert_allclose(embeddings[:1], np.mean(windows, axis=0), rtol=1e-5, atol=1e-6)
