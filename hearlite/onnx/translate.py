"""Translate an exported .tflite to ONNX, operator by operator, with its weights and scales as they stand.

The input is the same: raw sound, float32 [1, clip_samples]; so are the outputs and their names. Nothing is trained,
calibrated or rounded anew, and TensorFlow is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.onnx.graph import IR_VERSION, OPSET, GraphWriter, Quantization, Value
from hearlite.onnx.operators import OPERATORS, Operation
from hearlite.tflite.model_file import is_constant, load, tensor_name, tensor_type
from hearlite.tflite.structure import operator_name

_DTYPES = {"FLOAT32": np.float32, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64}


def to_onnx(content: bytes, *, metadata: Mapping[str, str], producer_version: str) -> bytes:
    """Translate a .tflite.

    Parameters
    ----------
    content : bytes
        The .tflite, with one signature or none, which names its inputs and outputs.
    metadata : mapping of str to str
        Texts to put into the file's metadata.
    producer_version : str
        Of hearlite.

    Returns
    -------
    bytes
        The .onnx, checked by ONNX's own checker.

    Raises
    ------
    InputError
        When the file has an operator, type or signature that is not translated.
    MissingExtraError
        When the package `onnx` is not installed.
    """
    model = load(content)
    if len(model.subgraphs) != 1 or len(model.signatureDefs or []) > 1:
        raise InputError(
            f"the .tflite has {len(model.subgraphs)} subgraphs and {len(model.signatureDefs or [])} signatures",
            "expected one of each, as hearlite writes it",
        )
    tensors = model.subgraphs[0].tensors
    graph = GraphWriter()
    onnx, values, inputs = graph.onnx, {}, []
    for name, index in _ends(model, "inputs").items():
        tensor = tensors[index]
        if tensor_type(tensor) != "FLOAT32":
            raise InputError(f"its input {name!r} is {tensor_type(tensor)}", "expected float32")
        values[index] = Value(_shape(tensor), last=name)
        inputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, _shape(tensor)))
    for operator in model.subgraphs[0].operators:
        _write(graph, model, operator, values)
    outputs = []
    for name, index in _ends(model, "outputs").items():
        if index not in values or values[index].quantization is not None:
            raise InputError(f"its output {name!r} is not computed as float32", "expected a file of hearlite export")
        graph.nodes.append(onnx.helper.make_node("Identity", [graph.last(values[index])], [name], name=name))
        outputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values[index].shape))
    body = onnx.helper.make_graph(_needed(graph.nodes, outputs), "hearlite", inputs, outputs)
    used = {name for node in body.node for name in node.input}
    body.initializer.extend(value for name, value in graph.initializers.items() if name in used)
    made = onnx.helper.make_model(
        body,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="hearlite",
        producer_version=producer_version,
    )
    onnx.helper.set_model_props(made, dict(metadata))
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString(deterministic=True))


def _ends(model: Any, side: str) -> dict[str, int]:
    """Return the tensors of the inputs or outputs by their names: the signature's, or without one the tensors' own."""
    if model.signatureDefs:
        found = [(item.name.decode(), int(item.tensorIndex)) for item in getattr(model.signatureDefs[0], side)]
    else:
        graph = model.subgraphs[0]
        found = [(tensor_name(graph.tensors[index]), int(index)) for index in getattr(graph, side)]
    names = dict(found)
    if len(names) != len(found) or not all(names):
        raise InputError(f"its {side} are called {', '.join(name for name, _ in found)}", "expected different names")
    return names


def _write(graph: GraphWriter, model: Any, operator: Any, values: dict[int, Value]) -> None:
    name = operator_name(model, operator)
    if name not in OPERATORS:
        raise InputError(f"its operator {name} is not translated", f"known are {', '.join(OPERATORS)}")
    tensors = model.subgraphs[0].tensors
    given, constants, weights = [], [], []
    for index in map(int, operator.inputs):
        tensor = tensors[index] if index >= 0 else None
        constant = tensor is not None and index not in values
        if constant and not is_constant(model, tensor):
            raise InputError(f"{name} reads a tensor that nothing computes", "the file is damaged")
        given.append(values.get(index))
        constants.append(_constant(model, tensor) if constant else None)
        weights.append(_quantization(tensor) if constant else None)
    if len(operator.outputs) != 1:
        raise InputError(f"{name} has {len(operator.outputs)} outputs", "expected one")
    target = int(operator.outputs[0])
    kind = tensor_type(tensors[target])
    if kind not in ("FLOAT32", "INT8"):
        raise InputError(f"{name} computes {kind}", "expected float32 or int8")
    output = Value(_shape(tensors[target]), quantization=_activation(tensors[target]) if kind == "INT8" else None)
    if kind == "INT8" and output.quantization is None:
        raise InputError(f"{name} computes int8 without a scale", "the file is damaged")
    OPERATORS[name](
        graph, Operation(name, tuple(given), tuple(constants), tuple(weights), operator.builtinOptions, output)
    )
    values[target] = output


def _needed(nodes: list[Any], outputs: list[Any]) -> list[Any]:
    """Return the nodes that the outputs depend on, in their order."""
    wanted, kept = {item.name for item in outputs}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()


def _constant(model: Any, tensor: Any) -> NDArray[Any]:
    kind = tensor_type(tensor)
    if kind not in _DTYPES:
        raise InputError(f"a constant is {kind}", f"expected {', '.join(_DTYPES)}")
    data = bytes(bytearray(model.buffers[tensor.buffer].data))
    return np.frombuffer(data, _DTYPES[kind]).reshape(_shape(tensor))


def _activation(tensor: Any) -> Quantization | None:
    """Return the quantization of a computed int8 tensor as that of uint8: every number is larger by 128.

    onnxruntime's int8 kernels of x86 take unsigned activations alone; those of ARM and WebAssembly take either.
    """
    found = _quantization(tensor)
    if found is None:
        return None
    return Quantization(found.scale, (found.zero_point.astype(np.int16) + 128).astype(np.uint8), found.axis)


def _quantization(tensor: Any) -> Quantization | None:
    found = tensor.quantization
    if found is None or found.scale is None or not len(found.scale):
        return None
    scale = np.asarray(found.scale, np.float32)
    zero = np.zeros(len(scale)) if found.zeroPoint is None else np.asarray(found.zeroPoint)
    return Quantization(scale, zero.astype(np.int8), int(found.quantizedDimension))
