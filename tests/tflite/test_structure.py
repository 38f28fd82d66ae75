"""Models that would crash a runtime are refused before it sees them, and say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hand_made import OPS, convolution, with_constant

from hearlite.errors import InputError
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import load, load_any, read_tflite, save


def test_a_sound_model_runs() -> None:
    model = TfliteModel(convolution())
    assert model.run(np.ones((1, 8, 8, 2), np.float32))["out"].max() == 18.0


def graph(model: Any) -> Any:
    return model.subgraphs[0]


def tensor(model: Any, index: int = 1) -> Any:
    return graph(model).tensors[index]


def quantization(scales: list[float], zeros: list[int], axis: int) -> Any:
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint, made.quantizedDimension = np.asarray(scales, "<f4"), np.asarray(zeros, "<i8"), axis
    return made


def sparsity() -> Any:
    made = schema.SparsityParametersT()
    made.traversalOrder = [0]
    return made


def signature(index: int, subgraph: int = 0) -> Any:
    entry, made = schema.TensorMapT(), schema.SignatureDefT()
    entry.name, entry.tensorIndex = b"x", index
    made.signatureKey, made.subgraphIndex, made.inputs, made.outputs = b"s", subgraph, [entry], []
    return made


def metadata(buffer: int) -> Any:
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"note", buffer
    return entry


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "weights missing": (lambda m: graph(m).operators[0].inputs.__setitem__(1, -1), "input 1 of operator 0 (CONV_2D)"),
    "input out of range": (lambda m: graph(m).operators[0].inputs.__setitem__(0, 99), "index 99, allowed: 0 to 4"),
    "input missing elsewhere": (lambda m: graph(m).operators[1].inputs.__setitem__(0, -1), "operator 1 (RELU)"),
    "output out of range": (lambda m: graph(m).operators[1].outputs.__setitem__(0, -2), "index -2"),
    "opcode out of range": (lambda m: setattr(graph(m).operators[1], "opcodeIndex", 7), "the code of operator 1"),
    "unknown opcode": (lambda m: setattr(m.operatorCodes[1], "builtinCode", 5000), "operator code 1 is 5000"),
    "model's output out of range": (lambda m: setattr(graph(m), "outputs", [50]), "input or output of the model"),
    "model's input a constant": (lambda m: setattr(graph(m), "inputs", [0, 1]), "or is a constant"),
    "model's input twice": (lambda m: setattr(graph(m), "inputs", [0, 0]), "twice"),
    "never computed": (lambda m: setattr(graph(m), "operators", graph(m).operators[1:]), "before anything computes it"),
    "output never computed": (lambda m: setattr(graph(m), "operators", graph(m).operators[:1]), "by no operator"),
    "wrong order": (lambda m: graph(m).operators.reverse(), "before anything computes it"),
    "writes a constant": (lambda m: graph(m).operators[0].outputs.__setitem__(0, 2), "overwrite a constant"),
    "writes its input": (lambda m: graph(m).operators[1].outputs.__setitem__(0, 3), "or its own input"),
    "buffer out of range": (lambda m: setattr(tensor(m), "buffer", 77), "the buffer of tensor 1"),
    "constant too short": (lambda m: setattr(tensor(m), "shape", [4, 3, 3, 3]), "432 bytes, but its constant has 288"),
    "negative shape": (lambda m: setattr(tensor(m, 3), "shape", [1, -8, 8, 4]), "tensor 3 has shape"),
    "huge shape": (lambda m: setattr(tensor(m, 3), "shape", [1 << 16, 1 << 16, 8, 4]), "bytes"),
    "high rank": (lambda m: setattr(tensor(m, 3), "shape", [1] * 9), "tensor 3 has shape"),
    "signature of another rank": (lambda m: setattr(tensor(m, 0), "shapeSignature", [-1, 8]), "the signature [-1, 8]"),
    "unknown type": (lambda m: setattr(tensor(m, 3), "type", 99), "has type 99"),
    "constant text": (lambda m: setattr(tensor(m, 2), "type", schema.TensorType.STRING), "constant text"),
    "sparse": (lambda m: setattr(tensor(m), "sparsity", sparsity()), "is sparse"),
    "outside": (lambda m: setattr(tensor(m), "externalBuffer", 1), "outside the file"),
    "scales of another axis": (lambda m: setattr(tensor(m), "quantization", quantization([1, 1, 1], [0] * 3, 0)), "3 scales"),
    "axis out of range": (lambda m: setattr(tensor(m), "quantization", quantization([1] * 4, [0] * 4, 9)), "along axis 9"),
    "zero points": (lambda m: setattr(tensor(m), "quantization", quantization([1] * 4, [0] * 3, 0)), "3 zero points"),
    "infinite scale": (lambda m: setattr(tensor(m), "quantization", quantization([np.inf], [0], 0)), "not finite"),
    "signature's tensor": (lambda m: setattr(m, "signatureDefs", [signature(40)]), "the tensor of a signature"),
    "signature's subgraph": (lambda m: setattr(m, "signatureDefs", [signature(0, 3)]), "the subgraph of a signature"),
    "metadata's buffer": (lambda m: setattr(m, "metadata", [metadata(40)]), "the buffer of a metadata entry"),
    "no subgraph": (lambda m: setattr(m, "subgraphs", []), "no subgraph"),
    "stride 0": (lambda m: setattr(graph(m).operators[0].builtinOptions, "strideH", 0), "'strideH': 0"),
    "dilation": (lambda m: setattr(graph(m).operators[0].builtinOptions, "dilationWFactor", 1 << 30), "dilationWFactor"),
    "channels of the input": (lambda m: setattr(tensor(m, 0), "shape", [1, 8, 8, 3]), "input is [1, 8, 8, 3]"),
    "channels of the output": (lambda m: setattr(tensor(m, 3), "shape", [1, 8, 8, 5]), "output is [1, 8, 8, 5]"),
    "weights of rank 2": (lambda m: setattr(tensor(m), "shape", [36, 2]), "weights are [36, 2]"),
    "short bias": (lambda m: (setattr(tensor(m, 2), "shape", [1]), setattr(m.buffers[2], "data", bytes(4))), "bias has shape [1]"),
    "too few inputs": (lambda m: setattr(graph(m).operators[0], "inputs", [0]), "it has 1 inputs of 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_unsound_models_are_refused(case: str, tmp_path: Path) -> None:
    edit, says = WRONG[case]
    model = load(convolution())
    edit(model)
    path = tmp_path / "hostile.tflite"
    path.write_bytes(save(model))
    for function in (read_tflite, TfliteModel):
        with pytest.raises(InputError) as caught:
            function(path)
        assert str(path) in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (with_constant(OPS.RESHAPE, [1, 8], [3, 3], [3, 3]), "[1, 8] can't become [3, 3]"),
        (with_constant(OPS.RESHAPE, [1, 8], [-1, -1], [1, 8]), "new shape is [-1, -1]"),
        (with_constant(OPS.SLICE, [1, 8], [0, 4], [1, 8], [1, 8]), "begin is [0, 4], size [1, 8] of [1, 8]"),
        (with_constant(OPS.GATHER, [4, 8], [4], [1, 8]), "indices go beyond axis 0 of [4, 8]"),
        (with_constant(OPS.GATHER, [4, 8], [-1], [1, 8]), "indices go beyond axis 0 of [4, 8]"),
        (with_constant(OPS.PAD, [1, 8], [0, 0, -3, 0], [1, 5]), "padding is [0, 0, -3, 0]"),
        (with_constant(OPS.PAD, [1, 8], [0, 0], [1, 8]), "padding is [0, 0]"),
        (with_constant(OPS.TRANSPOSE, [1, 8], [0, 0], [1, 8]), "order is [0, 0]"),
        (with_constant(OPS.TRANSPOSE, [1, 8], [0, 5], [1, 8]), "order is [0, 5]"),
        (with_constant(OPS.MEAN, [1, 8], [7], [1]), "axes are [7] of 2"),
        (with_constant(OPS.STRIDED_SLICE, [1, 8], [0, 0], [1, 8], [1, 8], [1, 0]), "strides are [1, 0]"),
        (with_constant(OPS.TILE, [1, 8], [-1, 1], [1, 8]), "[-1, 1] times"),
        (with_constant(OPS.BROADCAST_TO, [1, 8], [1 << 20, 1 << 20], [1, 8]), "shape is"),
    ],
    ids=str,
)
def test_constants_out_of_range_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        TfliteModel(content)
    assert says in str(caught.value)


def test_control_flow_that_runs_itself_is_refused() -> None:
    model = load(convolution())
    loop = graph(model).operators[1]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = OPS.WHILE
    model.operatorCodes.append(code)
    loop.opcodeIndex, loop.builtinOptionsType = 2, schema.BuiltinOptions.WhileOptions
    loop.builtinOptions = schema.WhileOptionsT()
    with pytest.raises(InputError, match="a subgraph runs itself"):
        load_any(save(model), where="loop")
    loop.builtinOptions.bodySubgraphIndex = 4
    with pytest.raises(InputError, match="a subgraph of operator 1"):
        load_any(save(model), where="loop")


def test_lists_that_overlap_are_refused_at_once() -> None:
    """A flatbuffer may name one table many times; read naively, this one has 10^9 tensors with a name each."""
    model = load(convolution())
    tensor(model, 0).name = b"n" * 50_000
    graph(model).tensors += [tensor(model, 0)] * 20_000

    class Sharing(type(model.subgraphs[0])):  # type: ignore[misc]
        """A subgraph whose equal tensors are written once."""

    packed: dict[int, int] = {}
    original = schema.TensorT.Pack

    def pack(self: Any, builder: Any) -> int:
        if id(self) not in packed:
            packed[id(self)] = original(self, builder)
        return packed[id(self)]

    schema.TensorT.Pack = pack
    try:
        content = save(model)
    finally:
        schema.TensorT.Pack = original
    assert len(content) < 300_000
    with pytest.raises(InputError, match="its lists need more than"):
        load(content)
