"""What exported files are made of, and that damaged ones are refused, never crashed on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from hearlite.bundle import METADATA_NAME
from hearlite.errors import InputError
from hearlite.run import Run
from hearlite.student import count_macs, load_network
from hearlite.tflite import model_file as flatbuffer
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import Op, Summary, add_metadata, load, read_metadata, save, summarize
from hearlite.tflite.parts import join

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def i8(bundle: Bundles) -> Summary:
    return summarize(bundle.i8.read_bytes())


@pytest.fixture(scope="module")
def f32(bundle: Bundles) -> Summary:
    return summarize(bundle.f32.read_bytes())


def split_at_the_border(summary: Summary) -> tuple[list[Op], list[Op]]:
    """(frontend, network): the network begins with its first op whose output has its prefix."""
    first = next(index for index, op in enumerate(summary.ops) if op.output_name.startswith("network/"))
    return list(summary.ops[:first]), list(summary.ops[first:])


def test_only_builtin_ops(i8: Summary, f32: Summary) -> None:
    for summary in (i8, f32):
        assert summary.ops
        assert summary.not_builtin() == []
        assert not any(op.custom or op.name.startswith("Flex") for op in summary.ops)


def test_every_op_of_the_frontend_is_float32(i8: Summary) -> None:
    frontend, network = split_at_the_border(i8)
    assert len(frontend) > 10
    assert len(network) > 20
    for op in frontend:
        assert op.input_type in ("FLOAT32", ""), op
        assert op.output_type == "FLOAT32", op
        assert op.weight_type in ("FLOAT32", ""), op


def test_every_convolution_is_int8_by_int8_per_channel(i8: Summary) -> None:
    """The linear layers that make the embedding have int8 weights of one scale, and add up in float32."""
    _, network = split_at_the_border(i8)
    weighted = [op for op in network if op.name in WEIGHTED]
    linear = [op for op in weighted if op.name == "FULLY_CONNECTED"]
    assert linear
    for op in linear:
        assert (op.input_type, op.weight_type, op.weight_channels, op.output_type) == ("FLOAT32", "INT8", 1, "FLOAT32")
    weighted = [op for op in weighted if op not in linear]
    assert len(weighted) > 12
    for op in weighted:
        assert (op.input_type, op.weight_type, op.output_type) == ("INT8", "INT8", "INT8"), op
        assert op.weight_channels > 1, op


def test_int8_begins_and_ends_once(i8: Summary, f32: Summary) -> None:
    names = [op.name for op in i8.ops]
    assert names.count("QUANTIZE") == 1
    _, network = split_at_the_border(i8)
    assert network[0].name == "QUANTIZE"
    end = [op.name for op in network].index("DEQUANTIZE")
    between, behind = network[1:end], network[end:]
    assert {op.output_type for op in behind} == {"FLOAT32"}
    # Of each tap and of the last features.
    assert names.count("DEQUANTIZE") == sum(op.name == "MEAN" for op in behind)
    assert all(op.input_type == "INT8" for op in between)
    assert {op.output_type for op in between} <= {"INT8", "INT32"}  # INT32: the axes and shapes of pooling
    assert not {"QUANTIZE", "DEQUANTIZE"} & {op.name for op in f32.ops}


def test_frontends_of_both_precisions_are_the_same(i8: Summary, f32: Summary) -> None:
    assert split_at_the_border(i8)[0] == split_at_the_border(f32)[0]


def test_figures_agree_with_keras(i8: Summary, f32: Summary, tiny_run: Run) -> None:
    network = load_network(tiny_run.spec.student, tiny_run.weights)
    kernels = sum(math.prod(w.shape) for w in network.trainable_weights if "kernel" in w.name)
    for summary in (i8, f32):
        assert summary.network_macs == count_macs(network)
        assert summary.network_parameters == kernels
        assert summary.macs > summary.network_macs
        assert summary.parameters > summary.network_parameters
    assert sum(i8.counts().values()) == len(i8.ops)


def test_signature(bundle: Bundles) -> None:
    for path in (bundle.i8, bundle.f32):
        (signature,) = load(path.read_bytes()).signatureDefs
        assert signature.signatureKey == b"embed"
        model = TfliteModel(path)
        assert [(t.name, t.shape, t.dtype) for t in model.inputs] == [("audio", (1, 32_000), np.float32)]
        assert [(t.name, t.shape, t.dtype) for t in model.outputs] == [("embedding", (1, 32), np.float32)]


def test_metadata_round_trip(bundle: Bundles) -> None:
    content = bundle.f32.read_bytes()
    assert read_metadata(content, "absent") is None
    once = add_metadata(content, "note", b"first")
    twice = add_metadata(once, "note", "zweite \N{SNOWMAN}".encode())
    assert read_metadata(twice, "note") == "zweite \N{SNOWMAN}".encode()
    assert read_metadata(twice, METADATA_NAME) == read_metadata(content, METADATA_NAME)
    assert len(load(twice).metadata) == len(load(content).metadata) + 1
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 32_000)).astype(np.float32)
    np.testing.assert_array_equal(
        TfliteModel(content).run(clip)["embedding"], TfliteModel(twice).run(clip)["embedding"]
    )


def test_save_and_load_keep_the_model(bundle: Bundles) -> None:
    content = bundle.i8.read_bytes()
    assert summarize(save(load(content))) == summarize(content)


def test_parts_that_do_not_fit_are_not_joined(bundle: Bundles) -> None:
    content = bundle.f32.read_bytes()
    with pytest.raises(InputError, match=r"cannot join: \[1, 32\]"):  # an embedding is no audio
        join(content, content, signature="embed", input_name="audio", output_name="embedding")


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"\0\0\0\0TFL3", b"RIFF....WAVE", bytes(100), b"\xff" * 4 + b"TFL3" + b"\xff" * 64], ids=repr
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    for function in (load, summarize):
        with pytest.raises(InputError, match=r"\.tflite"):
            function(data)


def read_everything(data: bytes) -> None:
    """Whatever reads a file may fail with InputError only."""
    try:
        summarize(data)
        read_metadata(data, METADATA_NAME)
    except InputError:
        pass


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_cut_files_are_refused(share: float, bundle: Bundles) -> None:
    content = bundle.i8.read_bytes()
    read_everything(content[: int(share * len(content))])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=20),
    where=st.sampled_from(["all", "head", "tail"]),
)
def test_flipped_bits_never_crash(places: list[tuple[float, int]], where: str, structure: bytes) -> None:
    data = bytearray(structure)
    first, length = {"all": (0, len(data)), "head": (0, 64), "tail": (len(data) // 2, len(data) - len(data) // 2)}[
        where
    ]
    for share, bit in places:
        data[first + int(share * length)] ^= 1 << bit
    read_everything(bytes(data))


@pytest.fixture(scope="module")
def structure(bundle: Bundles) -> bytes:
    """The int8 model with its weights set to zero, so that equal ones are stored once and most bits describe the graph."""
    model = load(bundle.i8.read_bytes())
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 64:  # shorter ones are shapes and axes
            buffer.data = np.zeros_like(buffer.data)
    return flatbuffer.save(model)


def test_structure_is_still_a_model(structure: bytes, i8: Summary) -> None:
    assert len(summarize(structure).ops) == len(i8.ops)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TFL3"):
        load(Path(__file__).read_bytes())
