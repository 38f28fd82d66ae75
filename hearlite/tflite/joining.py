"""Join two .tflite graphs: a float32 frontend and a network of any precision become one file."""

from __future__ import annotations

import numpy as np

from hearlite.errors import InputError
from hearlite.tflite.builder import name_signature
from hearlite.tflite.model_file import NETWORK_PREFIX, load, save


def join(first: bytes, second: bytes, *, signature: str, input_name: str, output_name: str) -> bytes:
    """Join two .tflite files by feeding the only output of one to the only input of the other.

    Quantizing the network alone and joining keeps the frontend float32 exactly; asking a converter to skip part of a
    graph loses accuracy (measured centred cosine: 0.992 joined, 0.965–0.974 with the converters' own selective modes).

    Parameters
    ----------
    first, second : bytes
        The .tflite files, in order of execution.
    signature : str
        Name of the result's only signature.
    input_name, output_name : str
        Names of its input and output.

    Returns
    -------
    bytes
        The joined .tflite; names of the second file's tensors start with NETWORK_PREFIX.

    Raises
    ------
    InputError
        When a file is damaged, or output and input differ in number, shape or type.
    """
    a, b = load(first), load(second)
    graph, tail = a.subgraphs[0], b.subgraphs[0]
    border_out, border_in = graph.outputs[0], tail.inputs[0]
    left, right = graph.tensors[border_out], tail.tensors[border_in]
    shapes = [np.asarray(tensor.shape).tolist() for tensor in (left, right)]  # plain numbers, for the message
    if len(graph.outputs) != 1 or len(tail.inputs) != 1 or shapes[0] != shapes[1] or left.type != right.type:
        raise InputError(f"cannot join: {shapes[0]} type {left.type} does not fit {shapes[1]} type {right.type}")
    buffers, codes = len(a.buffers), len(a.operatorCodes)
    a.buffers += b.buffers
    a.operatorCodes += b.operatorCodes
    remap = {-1: -1}
    for index, tensor in enumerate(tail.tensors):
        if index == border_in:
            remap[index] = border_out
            continue
        tensor.buffer += buffers
        tensor.name = NETWORK_PREFIX.encode() + (tensor.name or b"")
        remap[index] = len(graph.tensors)
        graph.tensors.append(tensor)
    for operator in tail.operators:
        operator.opcodeIndex += codes
        operator.inputs = [remap[int(i)] for i in operator.inputs]
        operator.outputs = [remap[int(i)] for i in operator.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [remap[int(i)] for i in operator.intermediates]
        graph.operators.append(operator)
    graph.outputs = [remap[int(i)] for i in tail.outputs]
    graph.name = b"main"
    name_signature(a, signature=signature, input_name=input_name, output_name=output_name)
    a.description = b"hearlite"
    a.metadata, a.metadataBuffer = None, None  # the converters' own notes describe the halves
    return save(a)
