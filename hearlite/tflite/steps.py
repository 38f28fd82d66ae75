"""Outputs over time: what an exported file computes of every time step before it averages them.

All that follows a student's last convolutions is linear until the mean over time, so an embedding is the mean of one
vector a step, and the logit of a linear head the mean of its steps' logits. One call then tells which part of a window
a score comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, UsageError
from hearlite.names import STEP_OUTPUTS
from hearlite.tflite.builder import add_operator, add_tensor
from hearlite.tflite.classifier import FittedHead
from hearlite.tflite.model_file import is_constant, load, save
from hearlite.tflite.structure import operator_name

EMBEDDING_STEPS, SCORES_STEPS = "embedding_steps", "scores_steps"

_LONGEST = 10_000  # steps of a window: a limit for manifests


@dataclass(frozen=True)
class Steps:
    """Description of a file's outputs over time."""

    count: int  # of steps in a window
    step_s: float  # between their starts, in seconds
    # Names in the signature: float32 [count, dim], and after the head's sigmoid or softmax [count, labels]; "": none.
    embedding: str = ""
    scores: str = ""
    # Of the logit of a step: its own share; the rest is the window's, so that the mean over steps stays what it is.
    focus: float = 1.0

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for values that have the right type but are not valid."""
        some = self.embedding or self.scores
        if not (0 < self.count <= _LONGEST and 0.0 < self.step_s <= 60.0 and some and 0.0 < self.focus <= 1.0):
            raise InputError(
                f"{where}: steps are {self}",
                f"expected 1 to {_LONGEST} of up to 60 s each, an output of them, and a focus of 0 to 1",
            )


def add_steps(
    content: bytes, *, outputs: Sequence[str], window_s: float, head: FittedHead | None = None, focus: float = 1.0
) -> tuple[bytes, Steps]:
    """Add outputs over time to a file, without changing those that it has.

    Scores over time are exact, and cost next to nothing: the head's weights are multiplied by those of the embedding's
    linear layers beforehand. An embedding a step costs as many of these layers as there are steps.

    Parameters
    ----------
    content : bytes
        An exported .tflite whose first output is the embedding of the student, as a sum in float32.
    outputs : sequence of str
        "scores", "embedding" or both.
    window_s : float
        Length of its input, in seconds.
    head : FittedHead, optional
        The head whose scores are wanted.
    focus : float
        In (0, 1]: the share of a step's own logit in its score, beside the window's. A head that was fitted to windows
        is surer of a window than of a step.

    Returns
    -------
    content : bytes
        The .tflite.
    steps : Steps
        Description of the outputs for the manifest.

    Raises
    ------
    UsageError
        When `outputs` are none of these, or scores are wanted without a head.
    InputError
        When the embedding is not a sum of linear layers behind means over time.
    """
    if not outputs or set(outputs) - set(STEP_OUTPUTS):
        raise UsageError(f"outputs over time are {list(outputs)}", f"use {' or '.join(STEP_OUTPUTS)}")
    if "scores" in outputs and head is None:
        raise UsageError("scores over time need a classifier head", "export with a head, or ask for the embedding")
    model = load(content)
    terms = _terms(model)
    count = min(int(model.subgraphs[0].tensors[term.features].shape[1]) for term in terms)
    pooled = [_pooled(model, term, count) for term in terms]
    names = dict.fromkeys(STEP_OUTPUTS, "")
    if "embedding" in outputs:
        index = _summed(model, [_linear(model, given, term) for given, term in zip(pooled, terms, strict=True)])
        names["embedding"] = _output(model, index, EMBEDDING_STEPS)
    if "scores" in outputs and head is not None:
        bias = head.bias + sum(head.weights @ term.bias for term in terms if term.bias is not None)
        logits = [
            _fully_connected(model, given, head.weights @ term.weights, bias if index == 0 else None, name=str(index))
            for index, (given, term) in enumerate(zip(pooled, terms, strict=True))
        ]
        mixed = _focused(model, _summed(model, logits), focus)
        index = _activated(model, mixed, softmax=head.head.kind == "softmax")
        names["scores"] = _output(model, index, SCORES_STEPS)
    return save(model), Steps(count, window_s / count, **names, focus=focus)


@dataclass(frozen=True, eq=False)
class _Term:
    """A linear layer of the embedding, and the features whose mean it reads."""

    features: int  # index of float32 [1, time, frequency, channels]
    operator: Any  # the layer
    weights: NDArray[np.float64]  # [dim, channels]
    bias: NDArray[np.float64] | None  # [dim]


def _terms(model: Any) -> list[_Term]:
    """Return the terms of the embedding."""
    graph = model.subgraphs[0]
    makers: dict[int, Any] = {int(operator.outputs[0]): operator for operator in graph.operators}
    pending, terms = [int(graph.outputs[0])], []
    while pending:
        operator: Any = makers.get(pending.pop())
        name = operator_name(model, operator) if operator else ""
        if name == "ADD" and not any(is_constant(model, graph.tensors[index]) for index in operator.inputs):
            pending += [int(index) for index in operator.inputs]
            continue
        mean: Any = makers.get(int(operator.inputs[0])) if name == "FULLY_CONNECTED" else None
        features = int(mean.inputs[0]) if mean and operator_name(model, mean) == "MEAN" else -1
        if features < 0 or len(graph.tensors[features].shape) != _RANK or graph.tensors[features].type != _float32():
            raise InputError(
                "the file's embedding is not a sum of linear layers behind means over time, in float32",
                "export it in the student's own coordinates, and as int8 by a recipe with float_sums",
            )
        bias = int(operator.inputs[2]) if len(operator.inputs) > 2 else -1
        weights = _values(model, int(operator.inputs[1]))
        terms.append(_Term(features, operator, weights, _values(model, bias) if bias >= 0 else None))
    return terms


_RANK = 4  # of features: [1, time, frequency, channels]


def _float32() -> int:
    from ai_edge_litert import schema_py_generated as schema

    return int(schema.TensorType.FLOAT32)


def _values(model: Any, index: int) -> NDArray[np.float64]:
    """Return a constant, dequantized."""
    tensor = model.subgraphs[0].tensors[index]
    data = bytes(bytearray(model.buffers[tensor.buffer].data))
    shape = [int(size) for size in tensor.shape]
    if tensor.type == _float32():
        return np.frombuffer(data, "<f4").reshape(shape).astype(np.float64)
    quantization = tensor.quantization
    scales = np.asarray(quantization.scale, np.float64).reshape(-1, *[1] * (len(shape) - 1))
    return np.asarray(np.frombuffer(data, np.int8).reshape(shape) * scales, np.float64)


def _pooled(model: Any, term: _Term, count: int) -> int:
    """Append the mean of features over frequency and over the frames of each of `count` steps, `[count, channels]`."""
    from ai_edge_litert import schema_py_generated as schema

    _, frames, rows, channels = (int(size) for size in model.subgraphs[0].tensors[term.features].shape)
    if frames % count:
        raise InputError(f"{frames} frames are not a multiple of {count} steps", "use a student whose strides fit")
    kinds, each = schema.BuiltinOptions, frames // count * rows  # values in a step, next to each other in memory
    shape = [count, channels] if each == 1 else [count, each, channels]
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = shape
    wanted = add_tensor(model, "steps/shape", [len(shape)], np.array(shape))
    cut = add_tensor(model, "steps/features", shape)
    add_operator(model, schema.BuiltinOperator.RESHAPE, [term.features, wanted], cut, reshape, kinds.ReshapeOptions)
    if each == 1:
        return cut
    axis, mean = add_tensor(model, "steps/axis", [1], np.array([1])), add_tensor(model, "steps/mean", [count, channels])
    add_operator(model, schema.BuiltinOperator.MEAN, [cut, axis], mean, schema.ReducerOptionsT(), kinds.ReducerOptions)
    return mean


def _linear(model: Any, given: int, term: _Term) -> int:
    """Append the very layer of a term, on rows of steps."""
    graph = model.subgraphs[0]
    code = model.operatorCodes[term.operator.opcodeIndex]
    result = add_tensor(model, "steps/linear", [int(graph.tensors[given].shape[0]), len(term.weights)])
    add_operator(
        model,
        code.builtinCode,
        [given, *(int(index) for index in term.operator.inputs[1:])],
        result,
        term.operator.builtinOptions,
        term.operator.builtinOptionsType,
        version=code.version,
    )
    return result


def _fully_connected(
    model: Any, given: int, weights: NDArray[np.float64], bias: NDArray[np.float64] | None, *, name: str
) -> int:
    from ai_edge_litert import schema_py_generated as schema

    constant = add_tensor(model, f"steps/weights{name}", list(weights.shape), weights)
    added = -1 if bias is None else add_tensor(model, f"steps/bias{name}", [len(bias)], bias)
    rows = int(model.subgraphs[0].tensors[given].shape[0])
    result = add_tensor(model, f"steps/logits{name}", [rows, len(weights)])
    options, kind = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
    add_operator(model, schema.BuiltinOperator.FULLY_CONNECTED, [given, constant, added], result, options, kind)
    return result


def _summed(model: Any, terms: Sequence[int]) -> int:
    from ai_edge_litert import schema_py_generated as schema

    total = terms[0]
    for term in terms[1:]:
        # Of the first: a single row is added to all others.
        result = add_tensor(model, "steps/sum", [int(size) for size in model.subgraphs[0].tensors[total].shape])
        options, kind = schema.AddOptionsT(), schema.BuiltinOptions.AddOptions
        add_operator(model, schema.BuiltinOperator.ADD, [total, term], result, options, kind)
        total = result
    return total


def _focused(model: Any, logits: int, focus: float) -> int:
    """Append focus * logits + (1 - focus) * their mean over steps."""
    from ai_edge_litert import schema_py_generated as schema

    if focus == 1.0:
        return logits
    rows, labels = (int(size) for size in model.subgraphs[0].tensors[logits].shape)
    kinds, reducer = schema.BuiltinOptions, schema.ReducerOptionsT()
    reducer.keepDims = True
    axis = add_tensor(model, "steps/time", [1], np.array([0]))
    mean = add_tensor(model, "steps/window", [1, labels])
    add_operator(model, schema.BuiltinOperator.MEAN, [logits, axis], mean, reducer, kinds.ReducerOptions)
    parts = []
    for given, share, shape in ((logits, focus, [rows, labels]), (mean, 1.0 - focus, [1, labels])):
        factor = add_tensor(model, "steps/share", [1], np.array([share]))
        scaled = add_tensor(model, "steps/scaled", shape)
        options = schema.MulOptionsT()
        add_operator(model, schema.BuiltinOperator.MUL, [given, factor], scaled, options, kinds.MulOptions)
        parts.append(scaled)
    return _summed(model, parts)


def _activated(model: Any, logits: int, *, softmax: bool) -> int:
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOptions
    result = add_tensor(model, "steps/scores", [int(size) for size in model.subgraphs[0].tensors[logits].shape])
    if softmax:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        add_operator(model, schema.BuiltinOperator.SOFTMAX, [logits], result, options, kinds.SoftmaxOptions)
    else:
        add_operator(model, schema.BuiltinOperator.LOGISTIC, [logits], result, None, kinds.NONE)
    return result


def _output(model: Any, index: int, name: str) -> str:
    """Make a tensor an output of the signature, and return its name."""
    from ai_edge_litert import schema_py_generated as schema

    graph, entry = model.subgraphs[0], schema.TensorMapT()
    graph.tensors[index].name = entry.name = name.encode()
    entry.tensorIndex = index
    graph.outputs = [*(int(output) for output in graph.outputs), index]
    model.signatureDefs[0].outputs = [*model.signatureDefs[0].outputs, entry]
    return name
