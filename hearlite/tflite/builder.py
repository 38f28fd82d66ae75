"""Add tensors, operators and signatures to a .tflite, or build a graph by hand, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.tflite.model_file import save

INT8_STEPS = 127  # of symmetric int8, to either side
# FULLY_CONNECTED of float32 by int8 weights of one scale; 3 is the version that tflite-runtime 2.14 has, too.
_HYBRID = 3
_PLACEHOLDER = 127  # in the older field, which is an int8, for operators that only the newer one can name (schema.fbs)


def add_tensor(
    model: Any, name: str, shape: list[int], values: NDArray[Any] | None = None, *, scale: float | None = None
) -> int:
    """Append a tensor, a constant if it has `values`, and return its index.

    It is float32; int32 for values that are whole numbers, such as axes; or with a `scale` int8: `values` are then int8
    themselves, and stand for values * scale.
    """
    from ai_edge_litert import schema_py_generated as schema

    tensor, buffer, graph = schema.TensorT(), schema.BufferT(), model.subgraphs[0]
    kind, stored = schema.TensorType.FLOAT32, "<f4"
    if scale is not None:
        kind, stored = schema.TensorType.INT8, "i1"
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
    elif values is not None and values.dtype.kind == "i":
        kind, stored = schema.TensorType.INT32, "<i4"
    if values is not None:
        buffer.data = np.frombuffer(values.astype(stored).tobytes(), np.uint8)
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), shape, kind, len(model.buffers)
    model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def add_operator(
    model: Any, builtin: int, inputs: list[int], output: int, options: Any, kind: int, *, version: int = 1
) -> None:
    """Append a builtin operator to a model.

    Parameters
    ----------
    model : ModelT
        The model, changed in place.
    builtin : int
        A schema.BuiltinOperator.
    inputs : list of int
        Indices of its input tensors.
    output : int
        Index of its output tensor.
    options : object or None
        Its options.
    kind : int
        The schema.BuiltinOptions of `options`.
    version : int
        Version of the operator; every runtime has 1.
    """
    from ai_edge_litert import schema_py_generated as schema

    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, _PLACEHOLDER), version
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, [output]
    operator.builtinOptions, operator.builtinOptionsType = options, kind
    model.operatorCodes.append(code)
    model.subgraphs[0].operators.append(operator)


def add_hybrid_linear(
    model: Any,
    given: int,
    weights: NDArray[np.float64],
    *,
    name: str,
    bias: NDArray[Any] | None = None,
    scale: float | None = None,
) -> int:
    """Append a linear layer of float32 by int8 weights, and return the index of its float32 output.

    The weights have one scale; the input is rounded to int8 in each call, by its own range.

    Parameters
    ----------
    model : ModelT
        The model, changed in place.
    given : int
        Index of its input, float32 `[rows, in]`.
    weights : array [out, in]
        Rounded here.
    name : str
        Of the output; its constants are called `NAME/weights` and `NAME/bias`.
    bias : array [out], optional
        Added, as float32.
    scale : float, optional
        What one step of the weights stands for; by default the largest is INT8_STEPS.
    """
    from ai_edge_litert import schema_py_generated as schema

    scale = scale or float(np.abs(weights).max()) / INT8_STEPS or 1.0
    rounded = np.clip(np.rint(weights / scale), -INT8_STEPS, INT8_STEPS).astype(np.int8)
    constant = add_tensor(model, f"{name}/weights", list(weights.shape), rounded, scale=scale)
    added = -1 if bias is None else add_tensor(model, f"{name}/bias", [len(bias)], bias)
    rows = int(model.subgraphs[0].tensors[given].shape[0])
    result = add_tensor(model, name, [rows, len(weights)])
    kind = schema.BuiltinOptions.FullyConnectedOptions
    add_operator(
        model,
        schema.BuiltinOperator.FULLY_CONNECTED,
        [given, constant, added],
        result,
        schema.FullyConnectedOptionsT(),
        kind,
        version=_HYBRID,
    )
    return result


class GraphBuilder:
    """Builds a graph with one input and one output, tensor by tensor.

    `schema` is ai_edge_litert.schema_py_generated.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(
        self,
        name: str,
        shape: list[int],
        kind: int,
        data: Any = None,
        *,
        scales: list[float] | None = None,
        axis: int = 0,
    ) -> int:
        """Append a tensor and return its index.

        Parameters
        ----------
        name : str
            Its name.
        shape : list of int
            Its shape.
        kind : int
            A schema.TensorType.
        data : numpy.ndarray, optional
            Values of a constant.
        scales : list of float, optional
            Quantization scales; zero points are 0.
        axis : int
            Axis that the scales belong to.
        """
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), np.asarray(shape, np.int32), kind, 0
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scales:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = (
                np.asarray(scales, np.float32),
                np.zeros(len(scales), np.int64),
            )
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int) -> None:
        """Append a builtin operator; `code` is a schema.BuiltinOperator. A CONV_2D has stride and dilation 1."""
        entry, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = (
            code,
            min(code, _PLACEHOLDER),
            3 if code == self.schema.BuiltinOperator.CONV_2D else 1,
        )
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes), inputs, [output]
        if code == self.schema.BuiltinOperator.CONV_2D:
            operator.builtinOptionsType = self.schema.BuiltinOptions.Conv2DOptions
            operator.builtinOptions = self.schema.Conv2DOptionsT()
            operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
            operator.builtinOptions.dilationHFactor = operator.builtinOptions.dilationWFactor = 1
        self.model.operatorCodes.append(entry)
        self.graph.operators.append(operator)

    def finish(self, given: int, result: int) -> bytes:
        """Return the .tflite with tensor `given` as its input and `result` as its output."""
        self.graph.inputs, self.graph.outputs = [given], [result]
        self.model.subgraphs = [self.graph]
        return save(self.model)


def name_signature(model: Any, *, signature: str, input_name: str, output_name: str) -> None:
    """Replace a model's signatures by one that names its first input and output."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = signature.encode(), 0
    for name, index, attribute in ((input_name, graph.inputs[0], "inputs"), (output_name, graph.outputs[0], "outputs")):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), int(index)
        setattr(definition, attribute, [entry])
        graph.tensors[index].name = name.encode()
    model.signatureDefs = [definition]
