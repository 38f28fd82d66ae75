"""Read classifiers of the teacher's embeddings that people hold: a linear one as JSON, a SavedModel, or scikit-learn's.

Nothing is unpickled. A SavedModel passes the search for ops that reach outside it, as teachers do, and of a file of
skops every type must be one that skops knows to be safe, or one of scikit-learn's that the user trusts by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.embedders.saved_model_filter import SIGNATURE, fingerprint, load_saved_model, sizes
from hearlite.errors import HearliteError, InputError, MissingExtraError, UsageError
from hearlite.files import LARGEST_JSON_BYTES, parse_json, read_content
from hearlite.serialization import from_dict
from hearlite.text import brief, listed
from hearlite.tflite.classifier import IN_MEMORY, require_labels

Floats = NDArray[np.float64]
SCHEMA = "hearlite-head/1"
# Of probabilities: a forest says 0 and 1, whose log-odds are infinite. These are 7 either way.
LEAST = 1e-3
_SUM_TOLERANCE = 1e-3  # of float32 probabilities that are said to sum to 1
_BATCH = 256  # embeddings per call of a SavedModel
_LARGEST = 1 << 30  # bytes of a file of skops, packed and unpacked; a forest of 1000 trees has 100 MB
_MOST_NAMED = 10  # types in a message
_PICKLES = (".pkl", ".pickle", ".joblib")
_FORMS = (
    f"use a .json of {SCHEMA}, the folder of a SavedModel, a .skops that skops.io.dump wrote, or from Python a fitted"
    " classifier of scikit-learn"
)


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier of the teacher's embeddings, as JSON.

    Its logits are weights @ ((embedding - mean) / scale) + bias.
    """

    schema: str  # "hearlite-head/1"
    kind: str  # "sigmoid": a score for each label by itself, or "softmax": one label of several
    labels: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]  # [labels, dim]
    bias: tuple[float, ...]  # [labels]
    mean: tuple[float, ...] | None = None  # [dim], what a StandardScaler subtracts
    scale: tuple[float, ...] | None = None  # [dim], above 0, what a StandardScaler divides by

    def require_valid(self, *, where: str) -> None:
        """Raise InputError for values that have the right type but are not valid.

        `where` names the source in the message.
        """
        if self.schema != SCHEMA:
            raise InputError(f"{where}: its schema is {self.schema!r:.80}", f"this version reads {SCHEMA!r}")
        require_labels(self.labels, kind=self.kind, where=where)
        if len(self.weights) != len(self.labels) or len(self.bias) != len(self.labels):
            raise InputError(
                f"{where}: {len(self.labels)} labels, {len(self.weights)} rows of weights and {len(self.bias)} biases",
                "expected as many rows and biases as labels",
            )
        lengths = {len(row) for row in self.weights}
        lengths |= {len(values) for values in (self.mean, self.scale) if values is not None}
        if len(lengths) != 1 or 0 in lengths:
            raise InputError(
                f"{where}: rows of weights, mean and scale have {' and '.join(map(str, sorted(lengths)))} values",
                "expected one for each dimension of the teacher's embedding",
            )
        if self.scale is not None and min(self.scale) <= 0:
            raise InputError(f"{where}: a scale is {min(self.scale)}", "expected numbers above 0, that divide")


@dataclass(frozen=True, eq=False)
class Scores:
    """What a head says of embeddings."""

    kind: str  # "sigmoid" or "softmax"
    labels: tuple[str, ...]
    logits: Floats  # [n, labels]; of a softmax, their mean over the labels is 0

    @property
    def decisions(self) -> NDArray[np.bool_]:
        """Which labels the head gives, bool `[n, labels]`."""
        return decisions(self.logits, kind=self.kind)


@dataclass(frozen=True, eq=False)
class ForeignHead:
    """A classifier of the teacher's embeddings, whatever it is made of."""

    name: str  # for messages
    sha256: str  # of its file or files, or IN_MEMORY
    dim: int | None  # of the embeddings that it takes; None if it doesn't say
    outputs: Callable[[NDArray[np.float32]], Scores]
    labels: tuple[str, ...] = ()  # in place of its own; () keeps them
    loaded: Any = None  # a SavedModel's variables, which live as long as this does

    def score(self, vectors: NDArray[np.float32]) -> Scores:
        """Score embeddings of the teacher.

        Parameters
        ----------
        vectors : float32 array [n, dim]
            The embeddings.

        Returns
        -------
        Scores

        Raises
        ------
        InputError
            When it takes embeddings of another dimension, fails, or outputs NaN or infinity.
        UsageError
            When it has another number of labels than were named.
        """
        if self.dim not in (None, vectors.shape[1]):
            raise InputError(
                f"{self.name} takes embeddings of {self.dim} values, and those of the run's teacher have"
                f" {vectors.shape[1]}",
                "use a head of this teacher's embeddings, or a run that was distilled from the head's teacher",
            )
        try:
            found = self.outputs(vectors)
        except HearliteError:
            raise
        except Exception as error:  # the code of somebody's estimator raises anything
            raise InputError(
                f"{self.name} fails on {len(vectors)} embeddings of {vectors.shape[1]} values: {brief(error)}",
                "use a fitted classifier of the teacher's embeddings",
            ) from error
        if self.labels and len(self.labels) != len(found.labels):
            raise UsageError(
                f"{self.name} has {len(found.labels)} outputs, and {len(self.labels)} labels were named",
                "name a label for each output, in their order, or none",
            )
        labels = self.labels or found.labels
        require_labels(labels, kind=found.kind, where=self.name)
        broken = np.flatnonzero(~np.isfinite(found.logits).all(axis=1))
        if broken.size:
            raise InputError(
                f"{self.name} returns NaN or infinity for {broken.size} of {len(vectors)} embeddings, first for number"
                f" {broken[0]}",
                "use a head that works on every embedding of its teacher",
            )
        return Scores(found.kind, labels, found.logits)


def decisions(logits: Floats, *, kind: str) -> NDArray[np.bool_]:
    """Return which labels logits `[n, labels]` give: of a softmax the largest, else those with probability 0.5."""
    if kind == "softmax":
        return np.asarray(logits.argmax(axis=1)[:, None] == np.arange(logits.shape[1]))
    return np.asarray(logits >= 0)


def read_head(head: Any, *, labels: Sequence[str] = (), trusted: Sequence[str] = ()) -> ForeignHead:
    """Open a classifier of the teacher's embeddings.

    Parameters
    ----------
    head : str, Path or estimator
        A .json of hearlite-head/1, the folder of a SavedModel, a .skops, or a fitted classifier of scikit-learn.
    labels : sequence of str
        Names in place of the head's own, in the order of its outputs; one for a classifier of two classes.
    trusted : sequence of str
        Types of scikit-learn in a .skops that skops doesn't know to be safe.

    Returns
    -------
    ForeignHead

    Raises
    ------
    InputError
        When it is none of these, or damaged, or may not be loaded.
    UsageError
        When it is an object that is no fitted classifier, or `trusted` holds a type that is not scikit-learn's.
    MissingExtraError
        When skops or TensorFlow is needed and not installed.
    """
    foreign = [name for name in trusted if not name.startswith("sklearn.")]
    if foreign:
        raise UsageError(f"trusted type is {foreign[0]!r:.200}", "only types of scikit-learn can be trusted by name")
    if not isinstance(head, (str, Path)):
        return _estimator(head, name=type(head).__name__, sha256=IN_MEMORY, labels=tuple(labels))
    path, ending = Path(head), Path(head).suffix.lower()
    if path.is_dir():
        return _saved_model(path, labels=tuple(labels))
    if ending == ".json":
        return _linear(path, labels=tuple(labels))
    if ending == ".skops":
        content = read_content(path, largest=_LARGEST, hint=_FORMS)
        loaded = _load_skops(content, trusted=trusted, where=str(path))
        return _estimator(loaded, name=str(path), sha256=hashlib.sha256(content).hexdigest(), labels=tuple(labels))
    if ending in _PICKLES:
        raise InputError(
            f"{path} is a pickle, which runs code when it is loaded; hearlite loads none",
            "where it was made, write it again by skops.io.dump(head, 'head.skops'), or pass the object from Python:"
            " hearlite.adapt_head(head, run=..., out=...)",
        )
    read_content(path, largest=_LARGEST, hint=_FORMS)  # says what is wrong with one that isn't there
    raise InputError(f"{path} is no head that this version reads", _FORMS)


def _linear(path: Path, *, labels: tuple[str, ...]) -> ForeignHead:
    content = read_content(path, largest=LARGEST_JSON_BYTES)
    hint = f"expected a head of {SCHEMA}"
    head = from_dict(LinearHead, parse_json(content, where=str(path), hint=hint), where=str(path))
    head.require_valid(where=str(path))
    weights, bias = np.asarray(head.weights, np.float64), np.asarray(head.bias, np.float64)
    mean = np.zeros(weights.shape[1]) if head.mean is None else np.asarray(head.mean, np.float64)
    scale = np.ones(weights.shape[1]) if head.scale is None else np.asarray(head.scale, np.float64)

    def outputs(vectors: NDArray[np.float32]) -> Scores:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused as infinite
            logits = ((vectors.astype(np.float64) - mean) / scale) @ weights.T + bias
        return _scores(logits, kind=head.kind, labels=head.labels)

    return ForeignHead(str(path), hashlib.sha256(content).hexdigest(), weights.shape[1], outputs, labels)


def _saved_model(folder: Path, *, labels: tuple[str, ...]) -> ForeignHead:
    loaded, function = load_saved_model(folder)
    inputs, results = function.structured_input_signature[1], function.structured_outputs
    shapes = [sizes(spec.shape) for spec in (*inputs.values(), *results.values())]
    floats = all(spec.dtype.name == "float32" for spec in (*inputs.values(), *results.values()))
    if (
        (len(inputs), len(results), floats) != (1, 1, True)
        or len(shapes[0]) != 2
        or len(shapes[1]) not in (1, 2)
        or 0 in (*shapes[0], *shapes[1])
    ):
        described = [
            ", ".join(f"{name} {spec.dtype.name} {sizes(spec.shape)}" for name, spec in side.items()) or "nothing"
            for side in (inputs, results)
        ]
        raise InputError(
            f"{folder}: {SIGNATURE} takes {described[0]} and returns {described[1]}",
            "expected one float32 input [n, dim] and one float32 output [n, labels] or [n]",
        )
    (name,), (result,), rows = inputs, results, shapes[0][0]

    def outputs(vectors: NDArray[np.float32]) -> Scores:
        import tensorflow as tf

        parts = []
        for start in range(0, len(vectors), rows or _BATCH):
            part = vectors[start : start + (rows or _BATCH)]
            padding = np.repeat(part[-1:], (rows or len(part)) - len(part), axis=0)
            values = function(**{name: tf.constant(np.concatenate([part, padding]))})[result].numpy()
            if values.ndim not in (1, 2) or len(values) != len(part) + len(padding):
                raise InputError(
                    f"{folder} returns {list(values.shape)} for {len(part) + len(padding)} embeddings",
                    "expected a row for each",
                )
            parts.append(values.reshape(len(values), -1)[: len(part)])
        return _scores_of_outputs(np.concatenate(parts).astype(np.float64))

    return ForeignHead(str(folder), fingerprint(folder), shapes[0][1], outputs, labels, loaded)


def _scores_of_outputs(values: Floats) -> Scores:
    """Tell probabilities `[n, outputs]` from logits by their range, and a softmax by its sum."""
    labels = tuple(f"score_{number}" for number in range(values.shape[1]))
    if not ((values >= 0) & (values <= 1)).all():
        return _scores(values, kind="sigmoid", labels=labels)
    if len(labels) > 1 and _sum_to_1(values):
        return _scores(_log(values), kind="softmax", labels=labels)
    return _scores(_log(values) - _log(1 - values), kind="sigmoid", labels=labels)


def _load_skops(content: bytes, *, trusted: Sequence[str], where: str) -> Any:
    """Load a file of skops, unless it holds types that nobody trusts."""
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingExtraError("a head of scikit-learn in a file", "skops", "heads") from error
    damaged = "write it again by skops.io.dump(head, 'head.skops')"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > _LARGEST:
            raise InputError(f"{where}: its {len(content)} bytes unpack to {unpacked}", f"at most {_LARGEST} are read")
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - set(trusted))
        if not unknown:
            return skops.io.loads(content, trusted=list(trusted))
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile file raises many types
        raise InputError(f"{where}: skops can't read it: {brief(error)}", damaged) from error
    if all(name.startswith("sklearn.") for name in unknown):
        hint = (
            "trust the file's source? then pass "
            + " ".join(f"--trust {name}" for name in unknown)
            + ", or the object from Python: hearlite.adapt_head(head, run=..., out=...)"
        )
    else:
        hint = "they are not scikit-learn's: load it yourself if you trust them, and pass the object from Python"
    raise InputError(f"{where} holds types that skops doesn't know to be safe: {listed(unknown, _MOST_NAMED)}", hint)


def _estimator(head: Any, *, name: str, sha256: str, labels: tuple[str, ...]) -> ForeignHead:
    """Open a classifier of scikit-learn, or anything with its methods."""
    classes, able = None, False
    with contextlib.suppress(Exception):  # properties of a pipeline that is none
        classes = head.classes_
        able = hasattr(head, "decision_function") or hasattr(head, "predict_proba")
    if not able or not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) < 2:
        raise (UsageError if sha256 == IN_MEMORY else InputError)(
            f"{name} is no fitted classifier of two or more classes",
            "use one with classes_ and decision_function or predict_proba, one for each label if it has several",
        )
    names = tuple(str(item) for item in classes)
    dim = getattr(head, "n_features_in_", None)

    def outputs(vectors: NDArray[np.float32]) -> Scores:
        values = vectors.astype(np.float64)
        if len(names) == 2:
            return _scores(_log_odds(head, values, name=name)[:, None], kind="sigmoid", labels=names[1:])
        if hasattr(head, "predict_proba"):
            return _scores(_log(_probabilities(head, values, len(names), name=name)), kind="softmax", labels=names)
        logits = _shaped(head.decision_function(values), (len(values), len(names)), name=name)
        return _scores(logits, kind="softmax", labels=names)

    return ForeignHead(name, sha256, int(dim) if isinstance(dim, (int, np.integer)) else None, outputs, labels)


def _log_odds(head: Any, values: Floats, *, name: str) -> Floats:
    """Return the logits `[n]` of a classifier of two classes."""
    if hasattr(head, "decision_function"):
        return _shaped(np.ravel(head.decision_function(values)), (len(values),), name=name)
    probabilities = _probabilities(head, values, 2, name=name)
    logits: Floats = _log(probabilities[:, 1]) - _log(1 - probabilities[:, 1])
    return logits


def _probabilities(head: Any, values: Floats, classes: int, *, name: str) -> Floats:
    found = _shaped(head.predict_proba(values), (len(values), classes), name=name)
    if np.isfinite(found).all() and not _sum_to_1(found):
        raise InputError(
            f"{name}: its probabilities don't sum to 1, as of several labels that may be true together",
            "adapt a classifier for each label",
        )
    return found


def _shaped(values: Any, shape: tuple[int, ...], *, name: str) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != shape:
        raise InputError(f"{name} returns values of shape {list(found.shape)}", f"expected {list(shape)}")
    return found


def _sum_to_1(values: Floats) -> bool:
    return bool((np.abs(values.sum(axis=1) - 1) <= _SUM_TOLERANCE).all())


def _log(probabilities: Floats) -> Floats:
    logarithms: Floats = np.log(np.clip(probabilities, LEAST, 1 - LEAST))
    return logarithms


def _scores(logits: Floats, *, kind: str, labels: tuple[str, ...]) -> Scores:
    if kind == "softmax":  # which a shift of all logits of a clip doesn't change: so none is fitted
        with np.errstate(invalid="ignore"):
            logits = logits - logits.mean(axis=1, keepdims=True)
    return Scores(kind, labels, logits)
