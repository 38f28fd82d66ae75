"""Classifier heads: a linear classifier of the embedding, fused into a .tflite as its second output.

`Head` is the description of one in a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.tflite.builder import add_operator, add_tensor
from hearlite.tflite.model_file import load, save


def fuse(content: bytes, fitted: FittedHead) -> bytes:
    """Add a classifier head to a model as its second output, after the embedding.

    Parameters
    ----------
    content : bytes
        A .tflite whose only output is a float32 embedding `[1, dim]`. Its computation does not change.
    fitted : FittedHead
        The head, fitted to embeddings of `dim` dimensions.

    Returns
    -------
    bytes
        The .tflite with a second output, scores float32 `[1, labels]`.

    Raises
    ------
    InputError
        When the model's output does not fit the head.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = load(content)
    graph, (labels, dim) = model.subgraphs[0], fitted.weights.shape
    embedding = graph.tensors[graph.outputs[0]]
    if len(graph.outputs) != 1 or list(embedding.shape) != [1, dim] or embedding.type != schema.TensorType.FLOAT32:
        shapes = [[int(size) for size in graph.tensors[i].shape] for i in graph.outputs]
        raise InputError(f"a head of {dim} dimensions does not fit outputs {shapes}")
    weights = add_tensor(model, "head/weights", [labels, dim], fitted.weights)
    bias = add_tensor(model, "head/bias", [labels], fitted.bias)
    logits = add_tensor(model, "head/logits", [1, labels])
    scores = add_tensor(model, OUTPUT, [1, labels])
    linear, linear_kind = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
    add_operator(
        model, schema.BuiltinOperator.FULLY_CONNECTED, [graph.outputs[0], weights, bias], logits, linear, linear_kind
    )
    if fitted.head.kind == "softmax":
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        add_operator(
            model, schema.BuiltinOperator.SOFTMAX, [logits], scores, options, schema.BuiltinOptions.SoftmaxOptions
        )
    else:
        add_operator(model, schema.BuiltinOperator.LOGISTIC, [logits], scores, None, schema.BuiltinOptions.NONE)
    graph.outputs = [int(graph.outputs[0]), scores]
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = OUTPUT.encode(), scores
    model.signatureDefs[0].outputs.append(entry)
    return save(model)


def require_fused(content: bytes, head: Head, *, where: str) -> None:
    """Raise InputError unless the file's signature has the scores described in its manifest."""
    model = load(content, where=where)
    tensors = model.subgraphs[0].tensors
    shapes = [
        [int(size) for size in tensors[entry.tensorIndex].shape]
        for definition in model.signatureDefs or ()
        for entry in definition.outputs or ()
        if entry.name == head.output.encode() and 0 <= entry.tensorIndex < len(tensors)
    ]
    if shapes != [[1, len(head.labels)]]:
        raise InputError(
            f"{where}: outputs called {head.output!r} have the shapes {shapes}",
            f"its manifest requires one with shape [1, {len(head.labels)}]",
        )


OUTPUT = "scores"  # float32 [1, labels]
KINDS = ("sigmoid", "softmax")  # sigmoid: a score for each binary label; softmax: one label of several, scores sum to 1
IN_MEMORY = "in memory"  # what a head was adapted from that is no file
_MAX_NAME = 100  # characters; a label is a word that appears in file listings and on screens


@dataclass(frozen=True)
class HeadLabel:
    """One score of a head. Clips that score `threshold` or above count as positive.

    A head is fitted to labels, or adapted from one of the teacher's embeddings: then "positive" is what that head
    decides, and no label was seen.
    """

    name: str
    positive_subjects: int  # subjects that the head was fitted to
    negative_subjects: int
    auroc: float  # out of fold: each clip is scored by a probe that was fitted to other subjects
    low: float | None  # 95 % interval over subjects; null where too few replicates have both classes, or adapted
    high: float | None
    threshold: float  # in [0, 1], chosen on those out-of-fold scores
    # Of an adapted head, the correlation of its logits with those of the head it stands for; else null.
    agreement: float | None = None
    auroc_of: str = ""  # of an adapted head, the decisions and clips that its AUROC and agreement are of

    def summary(self) -> str:
        """Return its figures on a line."""
        figures = f"out-of-fold AUROC {self.auroc:.3f}"
        if self.auroc_of:
            correlation = "" if self.agreement is None else f"correlation {self.agreement:.3f}, "
            figures = f"agrees with the head that it stands for: {correlation}AUROC {self.auroc:.3f} of {self.auroc_of}"
        return f"{self.name}: {figures}, threshold {self.threshold:.3g}"


@dataclass(frozen=True)
class Head:
    """Description of a classifier head for apps and readers.

    The head was not fitted to the dataset's test subjects.
    """

    kind: str  # one of KINDS
    output: str
    labels: tuple[HeadLabel, ...]  # in the order of the scores
    dataset: str
    dataset_sha256: str  # of recordings, subjects, splits and labels
    synthetic: bool
    clips: int
    subjects: int
    already_heard: int  # subjects that the student was trained on, without labels; inflates the AUROC
    # Hashes of the subjects; none may be a test subject of this file. Empty if adapted: then they are the student's.
    trained_subjects: tuple[str, ...]
    threshold_rule: str
    golden_scores: tuple[float, ...] = ()  # for the golden signal
    # sha256 of the head of the teacher's embeddings that it was adapted from, or "in memory"; "" if fitted to labels
    adapted_from: str = ""

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for values that have the right type but are not valid.

        `where` names the source in the message.
        """
        require_labels([label.name for label in self.labels], kind=self.kind, where=where)
        rates = [
            rate
            for label in self.labels
            for rate in (label.auroc, label.low, label.high, label.threshold)
            if rate is not None
        ]
        if not all(0 <= rate <= 1 for rate in (*rates, *self.golden_scores)):
            raise InputError(f"{where}: the head has an AUROC, threshold or score outside 0 to 1")
        if len(self.golden_scores) not in (0, len(self.labels)):
            raise InputError(
                f"{where}: the head has {len(self.golden_scores)} golden scores",
                f"expected {len(self.labels)}, one for each label",
            )
        if not all(-1 <= label.agreement <= 1 for label in self.labels if label.agreement is not None):
            raise InputError(f"{where}: the head has an agreement outside -1 to 1")
        if self.adapted_from not in ("", IN_MEMORY) and not re.fullmatch(r"[0-9a-f]{64}", self.adapted_from):
            raise InputError(
                f"{where}: the head is adapted from {self.adapted_from!r:.200}",
                f"expected a sha256, {IN_MEMORY!r} or nothing",
            )


def require_labels(names: Sequence[str], *, kind: str, where: str) -> None:
    """Raise InputError unless a head of this kind can have these labels.

    `where` names the source in the message.
    """
    if kind not in KINDS:
        raise InputError(f"{where}: head kind is {kind!r:.200}", f"this version supports {', '.join(KINDS)}")
    if not names or len(set(names)) != len(names) or (kind == "softmax" and len(names) < 2):
        raise InputError(
            f"{where}: the head's labels are {list(names)!r:.1000}",
            "expected distinct labels, at least two for a softmax",
        )
    for name in names:
        if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            raise InputError(f"{where}: a label is {name!r:.200}", f"expected 1 to {_MAX_NAME} printable characters")


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head with its parameters: scores are sigmoid or softmax of weights @ embedding + bias."""

    head: Head
    weights: NDArray[np.float64]  # [labels, dim]
    bias: NDArray[np.float64]  # [labels]


FitHead = Callable[[bytes], FittedHead]  # takes the .tflite that the head will be fused into
