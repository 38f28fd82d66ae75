"""Every kind of teacher behaves as an Embedder, says what it is, and refuses what it can't use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hearlite.audio.clips import to_int16
from hearlite.benchmarks.cost.vit import HEAR_VIT, VitSize, build_hear_like_saved_model, parameter_count
from hearlite.data import embeddings_file
from hearlite.data.embeddings_file import EmbeddingsTeacher, embeddings_writer
from hearlite.data.reading import clip_id
from hearlite.embedders.base import Clips, Embedder, EmbedderInfo
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.open import open_teacher
from hearlite.embedders.saved_model import HEAR_NOTICE, SavedModelTeacher
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM

CLIP = AUDIO.clip_samples
TINY = VitSize(width=32, depth=2, heads=4, mlp=64)


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Ten clips, more than a batch: noises of several levels, tones, a burst, silence. On the int16 grid, as records
    are.
    """
    rng = np.random.default_rng(0)
    t = np.arange(CLIP) / AUDIO.sample_rate_hz
    noises = [level * rng.uniform(-1, 1, CLIP) for level in (0.9, 0.3, 0.03, 0.003)]
    tones = [0.5 * np.sin(2 * np.pi * hz * t) for hz in (100, 440, 3_000, 7_000)]
    burst = np.where((t > 0.5) & (t < 0.7), rng.uniform(-0.8, 0.8, CLIP), 1e-3 * rng.uniform(-1, 1, CLIP))
    stacked = np.stack([*noises, *tones, burst, np.zeros(CLIP)]).astype(np.float32)
    return (to_int16(stacked) / np.float32(AUDIO.pcm_full_scale)).astype(np.float32)


@pytest.fixture(scope="module")
def hear_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("hear") / "model"
    build_hear_like_saved_model(folder, size=TINY, seed=3)
    return folder


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save a function of the waveform as serving_default of a SavedModel."""
    tf = pytest.importorskip("tensorflow")

    def saved(
        function: Callable[[Any], Any],
        shape: tuple[int | None, ...] = (None, CLIP),
        *,
        dtype: Any = None,
        signature: str = "serving_default",
    ) -> Path:
        module = tf.Module()
        module.serve = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype or tf.float32, name="audio")])
        folder = tmp_path_factory.mktemp("saved")
        tf.saved_model.save(module, str(folder), signatures={signature: module.serve})
        return folder

    return saved


def _starts(x: Any) -> Any:  # [n, samples] -> [n, 40]: the mean of the first 7 samples of each 50 ms
    import tensorflow as tf

    return tf.reduce_mean(tf.reshape(x, [-1, 40, CLIP // 40])[:, :, :7], axis=2)


def _starts_numpy(clips: Clips) -> Any:
    return clips.reshape(len(clips), 40, -1)[:, :, :7].mean(axis=2)


def _vectors_file(folder: Path, clips: Clips) -> Path:
    teacher = FakeTeacher(16)
    path = folder / "vectors.parquet"
    with embeddings_writer(path, info=teacher.info) as add:
        add([clip_id(pcm) for pcm in to_int16(clips)], teacher.embed(clips))
    return path


@pytest.fixture(params=["spectral", "fake:24:7", "embeddings", "saved-model", "hear"])
def teacher(request: pytest.FixtureRequest, tmp_path: Path, clips: Clips) -> Embedder:
    text = str(request.param)
    if text == "embeddings":
        text = f"embeddings:{_vectors_file(tmp_path, clips)}"
    elif text == "saved-model":
        text = f"saved-model:{request.getfixturevalue('save')(_starts)}"
    elif text == "hear":
        text = f"hear:{request.getfixturevalue('hear_folder')}"
    return open_teacher(text)


def test_a_teacher_embeds_deterministically_and_clip_by_clip(teacher: Embedder, clips: Clips) -> None:
    before = clips.copy()
    embeddings = teacher.embed(clips)
    assert embeddings.shape == (len(clips), teacher.info.dim) and embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()
    np.testing.assert_array_equal(clips, before)
    np.testing.assert_array_equal(teacher.embed(clips), embeddings)
    np.testing.assert_allclose(teacher.embed(clips[::-1])[::-1], embeddings, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(teacher.embed(clips[4:5])[0], embeddings[4], rtol=1e-4, atol=1e-5)
    assert teacher.embed(clips[:0]).shape == (0, teacher.info.dim)
    assert len(np.unique(embeddings.round(5), axis=0)) == len(clips)  # it tells clips apart


@pytest.mark.parametrize(
    "bad", [np.zeros((2, CLIP - 1), np.float32), np.zeros((2, CLIP)), np.full((1, CLIP), np.nan, np.float32)]
)
def test_a_teacher_refuses_clips_of_another_shape_type_or_value(teacher: Embedder, bad: Any) -> None:
    with pytest.raises(InputError):
        teacher.embed(bad)


def test_a_teacher_says_what_it_is(teacher: Embedder) -> None:
    info = teacher.info
    assert info.name.split(":")[0] == info.kind
    assert len(info.fingerprint) == 64 and info.licence
    if info.kind == "hear":
        assert (info.surrogate_note, info.notice, info.licence, info.dim) == (
            "",
            HEAR_NOTICE,
            "HAI-DEF terms",
            HEAR_EMBEDDING_DIM,
        )
    else:
        assert "HeAR" in info.surrogate_note and info.notice == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spectre",
        "spectral:",
        "fake:",
        "fake:a",
        "fake:8:1:2",
        "fake:8:",
        "fake:-1",
        "hear",
        "hear:",
        "tflite:",
        "saved-model:",
        "embeddings:",
        "onnx:x",
    ],
)
def test_an_unknown_or_malformed_teacher_is_refused_with_the_kinds(text: str) -> None:
    with pytest.raises(UsageError, match=r"spectral .*hear:DIR .*embeddings:FILE"):
        open_teacher(text)


@pytest.mark.parametrize("text", ["fake:0", "fake:99999999"])
def test_a_fake_teacher_of_no_or_any_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="1 <= dim"):
        open_teacher(text)


def test_fake_teachers_differ_by_seed_and_default_to_the_dimension_of_hear(clips: Clips) -> None:
    default = open_teacher("fake")
    assert default.info.dim == HEAR_EMBEDDING_DIM
    np.testing.assert_array_equal(default.embed(clips), FakeTeacher(HEAR_EMBEDDING_DIM, seed=0).embed(clips))
    assert not np.allclose(default.embed(clips), open_teacher(f"fake:{HEAR_EMBEDDING_DIM}:1").embed(clips))
    fingerprints = {open_teacher(text).info.fingerprint for text in ("fake", "fake:8", "fake:8:1", "spectral")}
    assert len(fingerprints) == 4


def test_a_tflite_file_is_opened_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"some\.tflite: No such file"):
        open_teacher(f"tflite:{tmp_path / 'some.tflite'}#embedding")


def test_yamnet_is_a_teacher(clips: Clips) -> None:
    shared = os.environ.get("HEARLITE_SHARED")
    if not shared:
        pytest.skip("HEARLITE_SHARED names no folder with models/yamnet_embedding.tflite")
    yamnet = open_teacher(f"tflite:{shared}/models/yamnet_embedding.tflite#scores", threads=1)
    assert yamnet.embed(clips[:2]).shape == (2, 521)


# spectral


@pytest.mark.parametrize("gain", [0.1, 0.25, 0.5, 0.99])
def test_spectral_hears_no_gain(clips: Clips, gain: float) -> None:
    difference = np.abs(
        SpectralTeacher().embed((clips * np.float32(gain)).astype(np.float32)) - SpectralTeacher().embed(clips)
    ).max(axis=1)
    assert difference[[0, 1, 8]].max() < 1e-4
    # HeAR adds 1e-8 to a clip's range: at low gain that shifts its mean, which leaks into a lowest band that a pure
    # tone leaves empty.
    assert difference[4:8].max() < 1e-3


def test_spectral_is_four_statistics_per_band(clips: Clips) -> None:
    embeddings = SpectralTeacher().embed(clips)
    mean, deviation, maximum, change = np.split(embeddings, 4, axis=1)
    assert (maximum >= mean).all() and (deviation >= 0).all() and (change >= 0).all()
    assert (change[:, 60] > 0).sum() >= 8
    low, high = mean[4], mean[7]  # tones of 100 Hz and 7 kHz
    assert low[:20].sum() > high[:20].sum() and high[110:].sum() > low[110:].sum()


# SavedModels


def test_hear_has_the_size_that_was_published() -> None:
    assert parameter_count(HEAR_VIT) == pytest.approx(303.2e6, abs=0.05e6)


def test_the_count_of_parameters_is_that_of_the_saved_variables(hear_folder: Path) -> None:
    import tensorflow as tf

    saved = [
        shape
        for name, shape in tf.train.list_variables(str(hear_folder / "variables" / "variables"))
        if name.startswith("weights")
    ]
    assert sum(int(np.prod(shape)) for shape in saved) == parameter_count(TINY)


def test_a_fake_hear_is_never_written_over_another_folder_nor_in_an_impossible_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists"):
        build_hear_like_saved_model(tmp_path, size=TINY)
    with pytest.raises(UsageError, match="multiple of the heads"):
        VitSize(width=30, depth=1, heads=4, mlp=8)


def test_the_fingerprint_follows_the_weights_not_the_place(hear_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(hear_folder, tmp_path / "copy")
    original = open_teacher(f"hear:{hear_folder}").info.fingerprint
    assert open_teacher(f"hear:{copy}").info.fingerprint == original
    weights = copy / "variables" / "variables.data-00000-of-00001"
    data = bytearray(weights.read_bytes())
    data[5_000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(InputError):  # TensorFlow's checksum sees it
        open_teacher(f"hear:{copy}")


def test_a_missing_hear_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"accept the terms of google/hear.*hear:DIR"):
        open_teacher(f"hear:{tmp_path / 'none'}")


def test_another_model_is_not_hear(save: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"is not HeAR: audio -> output_0 \[n, 40\].*never downloads"):
        open_teacher(f"hear:{save(_starts)}")


def test_a_model_that_couples_the_batch_is_fed_clip_by_clip(save: Callable[..., Path], clips: Clips) -> None:
    import tensorflow as tf

    folder = save(lambda audio: _starts(audio / tf.reduce_max(tf.abs(audio))))  # the bug of HeAR's PyTorch frontend
    with pytest.warns(UserWarning, match="one by one"):
        teacher = SavedModelTeacher(folder)
    expected = clips[:9] / np.abs(clips[:9]).max(axis=1, keepdims=True)
    np.testing.assert_allclose(teacher.embed(clips[:9]), _starts_numpy(expected), atol=1e-6)


def test_a_batch_that_memory_has_no_room_for_is_halved(
    save: Callable[..., Path], clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    teacher = SavedModelTeacher(save(_starts))
    expected, function = teacher.embed(clips), teacher._function

    def small_memory(*, room: int) -> Callable[..., Any]:
        def call(**inputs: Any) -> Any:
            (audio,) = inputs.values()
            if len(audio) > room:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return function(**inputs)

        return call

    monkeypatch.setattr(teacher, "_function", small_memory(room=3))
    with pytest.warns(UserWarning, match="going on with 2"):
        np.testing.assert_array_equal(teacher.embed(clips), expected)
    monkeypatch.setattr(teacher, "_function", small_memory(room=0))
    with pytest.warns(UserWarning), pytest.raises(InputError, match="the model fails on 1 clips"):
        teacher.embed(clips)


@pytest.mark.parametrize("shape", [(1, CLIP), (3, CLIP), (None, None)])
def test_fixed_batches_and_free_lengths_work(
    save: Callable[..., Path], clips: Clips, shape: tuple[int | None, ...]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher = SavedModelTeacher(save(_starts, shape))
    np.testing.assert_allclose(teacher.embed(clips), _starts_numpy(clips), atol=1e-6)


def test_of_several_outputs_the_embedding_counts(save: Callable[..., Path], clips: Clips) -> None:
    teacher = SavedModelTeacher(save(lambda audio: {"scores": -_starts(audio)[:, :3], "embedding": _starts(audio)}))
    assert teacher.embed(clips).shape == (len(clips), 40)


def _random(audio: Any) -> Any:
    import tensorflow as tf

    return _starts(audio) + tf.random.uniform([40])


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (_starts, (None, CLIP // 2), "expected one float32 input"),
        (lambda audio: audio[None], (CLIP,), "expected one float32 input"),
        (lambda audio: {"a": _starts(audio), "b": _starts(audio)}, (None, CLIP), "expected float32 [n, dim]"),
        (lambda audio: _starts(audio)[:, 0], (None, CLIP), "expected float32 [n, dim]"),
        (lambda audio: _starts(audio)[:1], (None, CLIP), "for 8 clips"),
        (lambda audio: _starts(audio) / 0.0 - _starts(audio) / 0.0, (None, CLIP), "NaN or infinity"),
        (_random, (None, CLIP), "different vectors for the same clip"),
    ],
)
def test_a_saved_model_that_is_no_embedder_is_refused(
    save: Callable[..., Path], function: Any, shape: Any, message: str
) -> None:
    folder = save(function, shape)
    with pytest.raises(InputError) as error:
        SavedModelTeacher(folder)
    assert message in str(error.value) and str(folder) in str(error.value)


def test_a_saved_model_without_the_signature_is_refused(save: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"signatures \['embed'\].*'serving_default'"):
        SavedModelTeacher(save(_starts, signature="embed"))


def _attacks() -> dict[str, Callable[[Any], Any]]:
    import tensorflow as tf

    def after(op: Callable[[], Any]) -> Callable[[Any], Any]:
        def function(audio: Any) -> Any:
            with tf.control_dependencies([op()]):
                return tf.identity(_starts(audio))

        return function

    return {
        "ReadFile": after(lambda: tf.io.read_file("/etc/hostname")),
        "WriteFile": after(lambda: tf.io.write_file("written-by-a-model", "x")),
        "MatchingFiles": after(lambda: tf.io.matching_files("/etc/*")),
        "PrintV2": after(lambda: tf.print("x", output_stream="file://written-by-a-model")),
        "SaveV2": after(
            lambda: tf.raw_ops.SaveV2(
                prefix="written-by-a-model", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
            )
        ),
        "EagerPyFunc": lambda audio: tf.ensure_shape(tf.py_function(_starts, [audio], tf.float32), [None, 40]),
        "PyFunc": lambda audio: tf.ensure_shape(
            tf.numpy_function(lambda x: x[:, :40], [audio], tf.float32), [None, 40]
        ),
    }


@pytest.mark.parametrize("op", ["ReadFile", "WriteFile", "MatchingFiles", "PrintV2", "SaveV2", "EagerPyFunc", "PyFunc"])
def test_a_saved_model_that_reaches_outside_is_refused_before_it_loads(
    save: Callable[..., Path], tmp_path: Path, monkeypatch: Any, op: str
) -> None:
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    folder = save(_attacks()[op])
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(InputError, match=rf"reach outside the model: .*\b{op}\b"):
        SavedModelTeacher(folder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, None])
def test_a_broken_saved_model_is_refused(tmp_path: Path, hear_folder: Path, content: bytes | None) -> None:
    folder = shutil.copytree(hear_folder, tmp_path / "model")
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:2_000] if content is None else content)
    with pytest.raises(InputError, match=str(folder)):
        SavedModelTeacher(folder)


def test_a_saved_model_without_its_variables_is_refused(tmp_path: Path, hear_folder: Path) -> None:
    folder = shutil.copytree(hear_folder, tmp_path / "model")
    shutil.rmtree(folder / "variables")
    with pytest.raises(InputError, match="can't load"):
        SavedModelTeacher(folder)


def test_without_tensorflow_the_error_names_the_extra(hear_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match=r"hearlite\[train\]"):
        open_teacher(f"hear:{hear_folder}")


def test_threads_that_come_too_late_are_refused(hear_folder: Path) -> None:
    import tensorflow as tf

    tf.constant(1.0) + 1.0
    with pytest.raises(UsageError, match="already runs"):
        open_teacher(f"hear:{hear_folder}", threads=tf.config.threading.get_intra_op_parallelism_threads() + 1)


def test_importing_teachers_loads_no_framework() -> None:
    heavy = "{'tensorflow', 'tf_keras', 'pyarrow', 'ai_edge_litert'}"
    code = (
        f"import sys, hearlite.embedders.open, hearlite.benchmarks.cost.vit; sys.exit(' '.join({heavy} &"
        " set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# vectors from a file


def test_vectors_come_back_with_all_that_is_known_about_them(tmp_path: Path, clips: Clips) -> None:
    path = _vectors_file(tmp_path, clips)
    teacher = EmbeddingsTeacher(path)
    np.testing.assert_array_equal(teacher.embed(clips[[3, 0, 3]]), FakeTeacher(16).embed(clips[[3, 0, 3]]))
    assert (teacher.info.kind, teacher.info.dim, teacher.info.licence) == ("embeddings", 16, "Apache-2.0")
    assert teacher.info.surrogate_note == FakeTeacher(16).info.surrogate_note
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_notice_of_hear_travels_with_its_vectors(tmp_path: Path, hear_folder: Path, clips: Clips) -> None:
    hear = open_teacher(f"hear:{hear_folder}")
    with embeddings_writer(tmp_path / "v.parquet", info=hear.info) as add:
        add([clip_id(pcm) for pcm in to_int16(clips)], hear.embed(clips))
    info = open_teacher(f"embeddings:{tmp_path / 'v.parquet'}").info
    assert (info.notice, info.licence, info.surrogate_note) == (HEAR_NOTICE, "HAI-DEF terms", "")


def test_missing_vectors_are_counted(tmp_path: Path, clips: Clips) -> None:
    teacher = EmbeddingsTeacher(_vectors_file(tmp_path, clips[:7]))
    with pytest.raises(
        InputError, match=rf"lacks the vectors of 3 of 10 clips, first {clip_id(to_int16(clips[7]))}.*hearlite embed"
    ):
        teacher.embed(clips)


@pytest.mark.parametrize("kind", ["list<float>", "large_list<double>", "list<halffloat>"])
def test_other_list_types_and_no_metadata_are_read(tmp_path: Path, clips: Clips, kind: str) -> None:
    import pyarrow as pa

    types = {
        "list<float>": pa.list_(pa.float32()),
        "large_list<double>": pa.large_list(pa.float64()),
        "list<halffloat>": pa.list_(pa.float16()),
    }
    rows = [list(row) for row in np.eye(10, dtype=np.float16)]
    teacher = EmbeddingsTeacher(
        _parquet(tmp_path, [clip_id(pcm) for pcm in to_int16(clips)], pa.array(rows, types[kind]))
    )
    np.testing.assert_array_equal(teacher.embed(clips), np.eye(10, dtype=np.float32))
    assert teacher.info.licence == "unknown" and "HeAR" in teacher.info.surrogate_note


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_changed_bit_never_changes_vectors(tmp_path: Path, bit: int) -> None:
    info = EmbedderInfo(name="t", kind="fake", dim=3, licence="MIT", fingerprint="a", surrogate_note="", notice="")
    vectors = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    names = [f"{number:032x}" for number in range(20)]
    with embeddings_writer(tmp_path / "v.parquet", info=info) as add:
        add(names[:7], vectors[:7])
        add(names[7:], vectors[7:])
    good = (tmp_path / "v.parquet").read_bytes()
    np.testing.assert_array_equal(EmbeddingsTeacher(tmp_path / "v.parquet")._vectors, vectors)
    refused = 0
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << bit
        (tmp_path / "changed.parquet").write_bytes(changed)
        try:
            read = EmbeddingsTeacher(tmp_path / "changed.parquet")
        except InputError:
            refused += 1
        else:
            assert read._vectors.tobytes() == vectors.tobytes() and sorted(read._row) == names, place
            assert read.info.licence in ("MIT", "unknown"), place
    assert refused > len(good) / 2
    (tmp_path / "changed.parquet").write_bytes(good.replace(b"hearlite\x18", b"hearlitf\x18"))  # the metadata's key
    with pytest.raises(InputError, match="content has changed"):
        EmbeddingsTeacher(tmp_path / "changed.parquet")


def _parquet(folder: Path, ids: Any, vectors: Any, *, metadata: bytes | None = None) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"clip_id": ids, "embedding": vectors})
    pq.write_table(
        table.replace_schema_metadata({b"hearlite": metadata}) if metadata is not None else table,
        folder / "odd.parquet",
    )
    return folder / "odd.parquet"


_GOOD = {
    "teacher": "t",
    "kind": "fake",
    "licence": "MIT",
    "notice": "",
    "surrogate_note": "",
    "fingerprint": "",
    "dim": 2,
}


@pytest.mark.parametrize(
    ("ids", "vectors", "metadata", "message"),
    [
        (["a", "b"], [[1.0, 2.0], [3.0]], None, r"vectors of \[1, 2\] values"),
        (["a", "b"], [[1.0, 2.0], [3.0, float("nan")]], None, "1 of 2 vectors hold NaN"),
        (["a", "b"], [[1.0, 2.0], None], None, "empty cells"),
        (["a", "b"], [[1.0, 2.0], [None, 1.0]], None, "empty cells"),
        (["a", None], [[1.0], [2.0]], None, "empty cells"),
        (["a", "b"], [[], []], None, "expected"),
        (["a", "b"], [1.0, 2.0], None, "expected string and list of float"),
        (["a", "b"], [["x"], ["y"]], None, "expected string and list of float"),
        ([1, 2], [[1.0], [2.0]], None, "expected string and list of float"),
        (["a", "a"], [[1.0], [2.0]], None, "clip a has two vectors, in rows 0 and 1"),
        (["a"], [[1.0, 2.0, 3.0]], _GOOD, "vectors have 3 values, its metadata says 2"),
        (["a"], [[1.0, 2.0]], {**_GOOD, "licence": 7}, "lacks texts"),
        (["a"], [[1.0, 2.0]], [], "lacks texts"),
        (["a"], [[1.0, 2.0]], b"{", "not JSON"),
        (["a"], [[1.0, 2.0]], b"\xff\xfe", "not JSON"),
    ],
)
def test_odd_vector_files_are_refused(tmp_path: Path, ids: Any, vectors: Any, metadata: Any, message: str) -> None:
    path = _parquet(
        tmp_path,
        ids,
        vectors,
        metadata=metadata if metadata is None or isinstance(metadata, bytes) else json.dumps(metadata).encode(),
    )
    with pytest.raises(InputError, match=message) as error:
        EmbeddingsTeacher(path)
    assert "odd.parquet" in str(error.value)


def test_files_that_are_no_vectors_are_refused(tmp_path: Path, clips: Clips) -> None:
    with pytest.raises(InputError, match="no such file"):
        EmbeddingsTeacher(tmp_path / "none.parquet")
    whole = _vectors_file(tmp_path, clips).read_bytes()
    for name, content in {
        "empty": b"",
        "text": b"clip_id,embedding\n",
        "cut": whole[: len(whole) // 2],
        "other": b"PAR1" + bytes(64) + b"PAR1",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: not readable"):
            EmbeddingsTeacher(tmp_path / name)


def test_vectors_that_fit_no_ids_are_not_written(tmp_path: Path) -> None:
    info = FakeTeacher(2).info
    (tmp_path / "v.parquet").write_bytes(b"an earlier file")
    for vectors in (np.zeros((1, 2), np.float32), np.zeros((2, 3), np.float32), np.full((2, 2), np.inf, np.float32)):
        with (
            pytest.raises(InputError, match="expected finite"),
            embeddings_writer(tmp_path / "v.parquet", info=info) as add,
        ):
            add(["a", "b"], vectors)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an earlier file"]


def test_vectors_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings_file, "ROW_GROUP", 5)
    clips = np.random.default_rng(0).uniform(-1, 1, (12, CLIP)).astype(np.float32)
    teacher = FakeTeacher(3)
    with embeddings_writer(tmp_path / "v.parquet", info=teacher.info) as add:
        for start in range(0, len(clips), 4):
            add([clip_id(pcm) for pcm in to_int16(clips[start : start + 4])], teacher.embed(clips[start : start + 4]))
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups == 2, "8 and the rest"
    np.testing.assert_array_equal(EmbeddingsTeacher(tmp_path / "v.parquet").embed(clips), teacher.embed(clips))
