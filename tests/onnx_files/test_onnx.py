"""Exported files as ONNX: onnxruntime computes what LiteRT does, of every kind of file, and foreign ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Bundles
from hand_made import embedder
from numpy.typing import NDArray
from small import small_images, small_network

import hearlite
from hearlite.audio.clips import from_int16
from hearlite.bundle import read_manifest
from hearlite.cli.main import cli
from hearlite.embedders.self_test import check_signals
from hearlite.errors import GateError, InputError
from hearlite.models.registry import find_model
from hearlite.onnx.operators import OPERATORS
from hearlite.onnx.session import OnnxModel
from hearlite.onnx.translate import to_onnx
from hearlite.onnx.write import FLOAT_TOLERANCE, INT8_TOLERANCE, METADATA, write_onnx
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import load, save
from hearlite.tflite.structure import operator_name

pytest.importorskip("onnx", reason="needs the extra `onnx`")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")


def translated(content: bytes) -> OnnxModel:
    return OnnxModel(to_onnx(content, metadata={"a": "b"}, producer_version="0"))


def distance(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    assert expected.shape == found.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("name", ["hearlite-tiny", "hearlite-small"])
def test_the_packaged_models(name: str, tmp_path: Path) -> None:
    """Everything that their files output: embedding, scores, and scores over time."""
    path, parity = write_onnx(find_model(name), tmp_path)
    assert parity.median < 0.02 and parity.worst < INT8_TOLERANCE and parity.score < 0.05
    model, given = OnnxModel(path.read_bytes()), read_manifest(find_model(name))
    assert set(model.outputs) == {"embedding", "scores", "scores_steps"} and model.inputs == {given.input: (1, 32_000)}
    assert model.metadata["licence"] == "Apache-2.0" and "YAMNet" in model.metadata["notice"]
    inside = json.loads(model.metadata[METADATA])
    assert inside["events"]["classes"][0]["label"] == "cough"
    assert (tmp_path / f"{path.stem}.NOTICE.txt").is_file()
    assert path.stat().st_size < 1.05 * find_model(name).stat().st_size, "int8 weights are int8"
    assert write_onnx(find_model(name), tmp_path)[0].read_bytes() == path.read_bytes(), "the same again"


def test_int8_kernels_are_used(tmp_path: Path) -> None:
    """onnxruntime makes an int8 kernel of each convolution: no Clip or foreign type stands between."""
    import onnx

    path, _ = write_onnx(find_model("hearlite-tiny"), tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    made = load(find_model("hearlite-tiny").read_bytes())
    count = sum(operator_name(made, item) == "CONV_2D" for item in made.subgraphs[0].operators)
    assert kinds.count("QLinearConv") == count > 5 and "Conv" not in kinds


@pytest.mark.kernels
@pytest.mark.parametrize("precision", ["f32", "i8"])
def test_students_with_heads_and_outputs_over_time(bundle: Bundles, eventful: Bundles, precision: str) -> None:
    """The test's students have depthwise, narrow and dense blocks; float32 is equal but for the order of sums."""
    for bundles in (bundle, eventful):
        content = getattr(bundles, precision).read_bytes()
        lite, onnx = TfliteModel(content), translated(content)
        tolerance = FLOAT_TOLERANCE if precision == "f32" else INT8_TOLERANCE
        for pcm in check_signals().values():
            clip = from_int16(pcm)[None]
            expected, found = lite.run(clip), onnx.run(clip)
            assert expected.keys() == found.keys()
            for name, values in expected.items():
                assert distance(values, found[name]) < tolerance, name


@pytest.mark.kernels
def test_teacher_coordinates_and_float_networks(bundle: Bundles) -> None:
    from hearlite.tflite.coordinates import append_linear

    rng = np.random.default_rng(0)
    content = append_linear(
        bundle.i8.read_bytes(),
        down=rng.normal(size=(16, 32)),
        shift=rng.normal(size=16),
        up=rng.normal(size=(48, 16)),
        mean=rng.normal(size=48),
    )
    lite, onnx = TfliteModel(content), translated(content)
    clip = from_int16(check_signals()["chirp"] if "chirp" in check_signals() else next(iter(check_signals().values())))
    for name, values in lite.run(clip[None]).items():
        assert distance(values, onnx.run(clip[None])[name]) < INT8_TOLERANCE


@pytest.mark.kernels
def test_every_kind_of_block() -> None:
    """A network of images, with unequal strides, residuals and even kernels."""
    from hearlite.tflite.convert import convert_network

    network = convert_network(small_network())
    for image in small_images(3):
        lite, onnx = TfliteModel(network), translated(network)
        for name, values in lite.run(image[None]).items():
            assert distance(values, onnx.run(image[None])[name]) < FLOAT_TOLERANCE


def test_hand_made_files() -> None:
    content = embedder()
    clip = np.random.default_rng(0).normal(0, 0.1, (1, 32_000)).astype(np.float32)
    (expected,), (found,) = TfliteModel(content).run(clip).values(), translated(content).run(clip).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    model = load(content)
    model.signatureDefs = [*(model.signatureDefs or []), *(model.signatureDefs or [])] * 2
    model.subgraphs.append(model.subgraphs[0])
    with pytest.raises(InputError, match="2 subgraphs"):
        translated(save(model))


def test_an_unknown_operator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OPERATORS, "CONV_2D")
    with pytest.raises(InputError, match="its operator CONV_2D is not translated"):
        translated(find_model("hearlite-tiny").read_bytes())


def test_files_that_are_damaged_are_refused() -> None:
    model = load(find_model("hearlite-tiny").read_bytes())
    graph = model.subgraphs[0]
    convolution = next(item for item in graph.operators if operator_name(model, item) == "CONV_2D")
    graph.tensors[convolution.inputs[1]].quantization.scale = None
    with pytest.raises(InputError, match="int8 weights without scales"):
        translated(save(model))


def test_a_file_that_disagrees_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "MEAN", OPERATORS["SUM"])
    with pytest.raises(GateError, match=r"of their length from those of the \.tflite"):
        write_onnx(find_model("hearlite-tiny"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    told = run.invoke(cli, ["onnx", "hearlite-tiny", "--out", str(tmp_path), "--json"])
    assert told.exit_code == 0, told.output
    path = Path(json.loads(told.stdout)["file"])
    assert path.suffix == ".onnx" and json.loads(told.stdout)["embedding_differs_by"]["worst"] < INT8_TOLERANCE
    path.write_bytes(b"another")
    with pytest.raises(InputError, match="exists and is different"):
        hearlite.to_onnx("hearlite-tiny", out=tmp_path)
    assert hearlite.to_onnx("hearlite-tiny", out=tmp_path, overwrite=True) == path
    told = run.invoke(cli, ["export", "hearlite-tiny", "--format", "onnx", "--out", str(tmp_path / "b"), "--json"])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"no protobuf", bytes(1_000)):
        with pytest.raises(InputError, match="onnxruntime can't open it"):
            OnnxModel(content)
