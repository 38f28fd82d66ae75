"""A classifier behind the embedding, fused into a .tflite as its second output."""

from __future__ import annotations

from hearlite.errors import InputError
from hearlite.head import OUTPUT, FittedHead, Head
from hearlite.tflite.builder import add_operator, add_tensor
from hearlite.tflite.model_file import load, save


def fuse(content: bytes, fitted: FittedHead) -> bytes:
    """The same model with the scores as second output, float32. What it computes of the first doesn't change.

    Raises InputError when the model's only output isn't the float32 embedding [1, dim] that the head was fitted to.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = load(content)
    graph, (labels, dim) = model.subgraphs[0], fitted.weights.shape
    embedding = graph.tensors[graph.outputs[0]]
    if len(graph.outputs) != 1 or list(embedding.shape) != [1, dim] or embedding.type != schema.TensorType.FLOAT32:
        raise InputError(f"a head of {dim} dimensions doesn't fit outputs {[list(graph.tensors[i].shape) for i in graph.outputs]}")
    weights = add_tensor(model, "head/weights", [labels, dim], fitted.weights)
    bias = add_tensor(model, "head/bias", [labels], fitted.bias)
    logits = add_tensor(model, "head/logits", [1, labels])
    scores = add_tensor(model, OUTPUT, [1, labels])
    linear, linear_kind = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
    add_operator(model, schema.BuiltinOperator.FULLY_CONNECTED, [graph.outputs[0], weights, bias], logits, linear, linear_kind)
    if fitted.head.kind == "softmax":
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        add_operator(model, schema.BuiltinOperator.SOFTMAX, [logits], scores, options, schema.BuiltinOptions.SoftmaxOptions)
    else:
        add_operator(model, schema.BuiltinOperator.LOGISTIC, [logits], scores, None, schema.BuiltinOptions.NONE)
    graph.outputs = [int(graph.outputs[0]), scores]
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = OUTPUT.encode(), scores
    model.signatureDefs[0].outputs.append(entry)
    return save(model)


def require_fused(content: bytes, head: Head, *, where: str) -> None:
    """Raise InputError unless the file's signature has the scores that its manifest speaks of."""
    model = load(content)
    tensors = model.subgraphs[0].tensors
    found = [
        list(tensors[entry.tensorIndex].shape)
        for definition in model.signatureDefs or ()
        for entry in definition.outputs or ()
        if entry.name == head.output.encode() and 0 <= entry.tensorIndex < len(tensors)
    ]
    if found != [[1, len(head.labels)]]:
        raise InputError(f"{where}: outputs called {head.output!r} are {found}", f"its manifest says one of [1, {len(head.labels)}]")
