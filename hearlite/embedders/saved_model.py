"""Teachers that are TensorFlow SavedModels: the gated HeAR itself, or other models of 2 s waveforms.

A SavedModel is a program. Before TensorFlow loads one, its graph is searched for ops that access files, the network or
Python, and refused if it holds any. That stops the known tricks, but it is not a sandbox: load only models from sources
you trust.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips
from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.files import read_content, regular_file, sha256_of
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM
from hearlite.text import brief

# Clips per call, always the same, so that there is one trace and one XLA compilation. With 8, a ViT-L needs no more
# memory than loading it does (3.4 GB, measured).
BATCH_CLIPS = 8
SIGNATURE = "serving_default"
HEAR_INPUT, HEAR_OUTPUT = "x", "output_0"  # names in the SavedModel google/hear
HEAR_LICENCE = "HAI-DEF terms"
HEAR_NOTICE = (
    "HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use "
    "found at https://developers.google.com/health-ai-developer-foundations/terms"
)
_HOW_TO_GET_HEAR = (
    "hearlite never downloads HeAR: accept the terms of google/hear on the model hub, download the TensorFlow"
    " SavedModel (saved_model.pb and variables/), and pass its folder as hear:DIR"
)
# Ops that read or write files, use the network, other devices or sessions, call Python or other programs, or end the
# process. PrintV2 and DebugIdentity write to a file:// URL chosen by the graph, ImmutableConst maps a file into memory,
# and the last line are ops that write what they see to a folder of their own. XlaCallModule is not among them: HeAR's
# encoder is one.
_FORBIDDEN_OP = re.compile(
    r"File|PyFunc|Reader|Dataset|Iterator|Rpc|Summary|ImportEvent|^Debug|^Print|LoadAndRemap|Lmdb|BigQuery"
    r"|^_?(Host)?(Send|Recv)|^Restore|^Save|Checkpoint|^ImmutableConst|^RecordInput|^Remote|^Distributed|^DTensor"
    r"|^_?Collective|^_?Nccl|TPU|^(In|Out)feed|SessionHandle|SessionTensor|CustomCall|MlirPassthrough|^TRTEngine"
    r"|^_?Xla(Host|Send|Recv|Launch|Run|Compile)|^Abort$|^Sleep|WorkerHeartbeat"
    r"|^DumpTensor|^CalibrationStatisticsSaver|^CustomAggregator|MinibatchStatistics"
)
# Custom calls by which JAX runs Python from a compiled module.
_PYTHON_CALLBACKS = (b"xla_python", b"xla_ffi_python", b"xla_ffi_partitioned_python")
# Every SavedModel has these in the two functions that restore and save it; elsewhere they are refused.
_SAVER_OPS = frozenset({"RestoreV2", "SaveV2", "ShardedFilename", "MergeV2Checkpoints"})
_LARGEST_GRAPH = 2 << 30  # bytes; a protocol buffer holds no more
_SAVER_FUNCTION = re.compile(r"__inference__traced_(save|restore)_\d+")
# Relative to the largest coordinate. The batch's shape alone changes 1e-6 (measured on ViTs), a coupled batch far more.
_INDEPENDENCE_TOLERANCE = 1e-3


class _BatchTooLargeError(InputError):
    """Memory ran out; fewer clips at once may fit."""


class SavedModelTeacher:
    """An Embedder from a SavedModel that takes waveforms.

    Its signature serving_default must take float32 `[n, clip_samples]` and output float32 `[n, dim]`; `n` and the
    number of samples may be free or fixed. Of several outputs, output_0 or else embedding is used. Opening runs the
    model on seeded noise: if a clip's vector depends on the other clips in the batch (a bug of Google's PyTorch
    frontend for HeAR), clips are fed one by one, with a warning.

    Parameters
    ----------
    folder : str or Path
        Folder that holds saved_model.pb.
    threads : int, optional
        Number of CPU threads; by default TensorFlow's choice.

    Attributes
    ----------
    info : EmbedderInfo
        Name, dimension and fingerprint.

    Raises
    ------
    InputError
        When the folder, graph or signature does not fit, or the graph holds forbidden ops.
    UsageError
        When TensorFlow is already running with another number of threads.
    MissingExtraError
        When TensorFlow is not installed.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        self.folder = Path(folder)
        content = _read_graph(self.folder)
        tf = _tensorflow("a SavedModel", threads=threads)
        _refuse_forbidden_ops(content, folder=self.folder)
        try:
            self._loaded = tf.saved_model.load(str(self.folder))  # keeps the variables alive
        except Exception as error:  # TensorFlow raises many types for a broken folder
            raise InputError(
                f"{self.folder}: TensorFlow can't load the SavedModel: {brief(error)}",
                "download or export it again",
            ) from error
        self._function = self._signature()
        self.input_name, rows = self._waveform_input()
        self.output_name, dim = self._vector_output()
        self.fixed_rows = rows
        self._one_by_one, self._batch_clips = False, BATCH_CLIPS
        self.info = EmbedderInfo(
            name=f"saved-model:{folder}",
            kind="saved-model",
            dim=dim,
            licence="unknown",
            fingerprint=_fingerprint(self.folder),
            surrogate_note=f"saved-model:{folder} stands in for HeAR: another network, from a folder given by the user",
        )
        self._probe()

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`.

        If memory runs out, batches are halved with a warning. Raises InputError when the model fails or outputs NaN or
        infinity.
        """
        clips = as_clips(clips)
        step = 1 if self._one_by_one else self.fixed_rows or self._batch_clips
        rows = self.fixed_rows or step
        try:
            parts = [
                self._call(_padded(clips[i : i + step], rows=rows))[: len(clips[i : i + step])]
                for i in range(0, len(clips), step)
            ]
        except _BatchTooLargeError:
            self._batch_clips = step // 2
            warnings.warn(
                f"{self.folder}: no memory for {step} clips at once; going on with {self._batch_clips}", stacklevel=2
            )
            return self.embed(clips)
        embeddings = np.concatenate(parts) if parts else np.empty((0, self.info.dim), dtype=np.float32)
        broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if broken.size:
            raise InputError(
                f"{self.folder} returns NaN or infinity for {broken.size} of {len(clips)} clips, first for clip"
                f" {broken[0]}"
            )
        return embeddings

    def _call(self, clips: Clips) -> Embeddings:
        import tensorflow as tf

        try:
            embeddings = self._function(**{self.input_name: tf.constant(clips)})[self.output_name].numpy()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            too_large = isinstance(error, tf.errors.ResourceExhaustedError) and len(clips) > 1 and not self.fixed_rows
            kind = _BatchTooLargeError if too_large else InputError
            raise kind(f"{self.folder}: the model fails on {len(clips)} clips: {brief(error)}") from error
        if embeddings.shape != (len(clips), self.info.dim):
            raise InputError(
                f"{self.folder} returns {list(embeddings.shape)} for {len(clips)} clips",
                f"expected [{len(clips)}, {self.info.dim}]",
            )
        return np.asarray(embeddings, dtype=np.float32)

    def _signature(self) -> Any:
        signatures = getattr(self._loaded, "signatures", {})
        if SIGNATURE not in signatures:
            raise InputError(f"{self.folder} has the signatures {sorted(signatures)}", f"expected {SIGNATURE!r}")
        return signatures[SIGNATURE]

    def _waveform_input(self) -> tuple[str, int | None]:
        """Return the name of the only input, and its number of rows if that is fixed."""
        inputs = self._function.structured_input_signature[1]
        listed = ", ".join(f"{name} {spec.dtype.name} {_dims(spec.shape)}" for name, spec in inputs.items())
        spec = next(iter(inputs.values())) if len(inputs) == 1 else None
        dims = _dims(spec.shape) if spec is not None and spec.dtype.name == "float32" else []
        if len(dims) != 2 or dims[1] not in (None, AUDIO.clip_samples) or dims[0] == 0:
            raise InputError(
                f"{self.folder}: {SIGNATURE} takes {listed or 'nothing'}",
                f"expected one float32 input [n, {AUDIO.clip_samples}]",
            )
        return next(iter(inputs)), dims[0]

    def _vector_output(self) -> tuple[str, int]:
        """Return the name and dimension of the embedding."""
        outputs = self._function.structured_outputs
        names = (
            list(outputs) if len(outputs) == 1 else [name for name in (HEAR_OUTPUT, "embedding") if name in outputs][:1]
        )
        dims = _dims(outputs[names[0]].shape) if names and outputs[names[0]].dtype.name == "float32" else []
        if len(dims) != 2 or not dims[1]:
            listed = ", ".join(f"{name} {spec.dtype.name} {_dims(spec.shape)}" for name, spec in outputs.items())
            raise InputError(
                f"{self.folder}: {SIGNATURE} returns {listed or 'nothing'}",
                f"expected float32 [n, dim]; of several, {HEAR_OUTPUT} or embedding",
            )
        return names[0], dims[1]

    def _probe(self) -> None:
        """Check that noise has the same finite vector alone, again, and beside a clip 20 times as loud."""
        noise = np.random.default_rng(0).uniform(-0.045, 0.045, size=(2, AUDIO.clip_samples)).astype(np.float32)
        alone, again = (self._call(_padded(noise[:1], rows=self.fixed_rows or 1))[0] for _ in range(2))
        if not np.isfinite(alone).all():
            raise InputError(f"{self.folder} returns NaN or infinity for noise", "use a working model")
        if _difference(again, alone) > _INDEPENDENCE_TOLERANCE:
            raise InputError(
                f"{self.folder} returns different vectors for the same clip",
                "export it for inference: no dropout, no state",
            )
        if self.fixed_rows == 1:
            return
        beside = self._call(_padded(np.stack([noise[0], 20 * noise[1]]), rows=self.fixed_rows or BATCH_CLIPS))[0]
        difference = _difference(beside, alone)
        if difference > _INDEPENDENCE_TOLERANCE:
            self._one_by_one = True
            what = f"{self.folder}: a louder clip in the batch changes a vector by {difference:.1%}"
            warnings.warn(f"{what}; clips are fed one by one, which is slower", stacklevel=3)


class HearTeacher:
    """Google's HeAR, the gated SavedModel google/hear.

    It must take `x`, float32 `[n, clip_samples]`, and output `output_0`, float32 `[n, 512]`, with exactly these names.

    Parameters
    ----------
    folder : str or Path
        Folder that holds saved_model.pb.
    threads : int, optional
        Number of CPU threads; by default TensorFlow's choice.

    Attributes
    ----------
    info : EmbedderInfo
        Name, dimension, licence and notice.

    Raises
    ------
    InputError
        When the folder holds anything else; the hint explains how to get the model.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        try:
            self._model = SavedModelTeacher(folder, threads=threads)
        except InputError as error:
            raise InputError(error.message, _HOW_TO_GET_HEAR) from error
        info, names = self._model.info, (self._model.input_name, self._model.output_name)
        if (*names, info.dim, self._model.fixed_rows) != (HEAR_INPUT, HEAR_OUTPUT, HEAR_EMBEDDING_DIM, None):
            actual = f"{names[0]} -> {names[1]} [{self._model.fixed_rows or 'n'}, {info.dim}]"
            raise InputError(
                f"{folder} is not HeAR: {actual}, expected {HEAR_INPUT} -> {HEAR_OUTPUT} [n, {HEAR_EMBEDDING_DIM}]",
                _HOW_TO_GET_HEAR,
            )
        self.info = dataclasses.replace(
            info, name=f"hear:{folder}", kind="hear", licence=HEAR_LICENCE, surrogate_note="", notice=HEAR_NOTICE
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`."""
        return self._model.embed(clips)


def _difference(vector: Embeddings, reference: Embeddings) -> float:
    """Return the largest deviation, relative to the reference's largest coordinate; inf if not finite."""
    deviation = float(np.abs(vector - reference).max() / max(np.abs(reference).max(), np.finfo(np.float32).tiny))
    return deviation if np.isfinite(deviation) else float("inf")


def _padded(clips: Clips, *, rows: int) -> Clips:
    """Repeat the last clip up to `rows`, so that a batch holds nothing that is not in the data."""
    return np.concatenate([clips, np.repeat(clips[-1:], rows - len(clips), axis=0)])


def _read_graph(folder: Path) -> bytes:
    """Read saved_model.pb, and check that all that TensorFlow may open beside it is regular files.

    Links are followed: the caches of model hubs consist of them.
    """
    path, hint = folder / "saved_model.pb", "pass the folder that holds saved_model.pb"
    if not path.exists():
        raise InputError(f"{folder} is not a SavedModel: saved_model.pb: No such file or directory", hint)
    content = read_content(path, largest=_LARGEST_GRAPH, hint=hint)
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        if (folder / name).exists():
            raise InputError(f"{folder} holds {name} beside saved_model.pb", "keep the graph that the model is")
    for part in ("variables", "assets", "assets.extra"):
        for entry in (folder / part).glob("**/*"):
            if not entry.is_dir():
                regular_file(entry, hint="download or export it again")
    return content


def _tensorflow(what: str, *, threads: int | None) -> Any:
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise MissingExtraError(what, "tensorflow", "train") from error
    if threads is not None and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError as error:
            raise UsageError(
                f"threads is {threads}, but TensorFlow already runs with another number",
                "open the teacher before TensorFlow runs",
            ) from error
    return tf


def _refuse_forbidden_ops(content: bytes, *, folder: Path) -> None:
    """Raise InputError if the graph of a saved_model.pb, or a function in it, can reach outside the model."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel()
    try:
        saved_model.ParseFromString(content)
    except DecodeError as error:
        raise InputError(
            f"{folder}: saved_model.pb is not a SavedModel: {brief(error)}", "download or export it again"
        ) from error
    if not all(graph.object_graph_def.nodes for graph in saved_model.meta_graphs):
        # Loading one of TensorFlow 1 runs the graph that restores it, wherever that reads.
        raise InputError(f"{folder} is a SavedModel of TensorFlow 1", "export it with TensorFlow 2")
    found: set[str] = set()
    for graph in saved_model.meta_graphs:
        savers = _saver_functions(graph)
        bodies = [("", graph.graph_def.node)]
        bodies += [(function.signature.name, function.node_def) for function in graph.graph_def.library.function]
        nodes = [(node, name in savers) for name, body in bodies for node in body]
        found |= {
            node.op for node, saver in nodes if _FORBIDDEN_OP.search(node.op) and not (saver and node.op in _SAVER_OPS)
        }
        found |= {f"{node.op} that calls Python" for node, _ in nodes if _calls_python(node)}
        found |= {f"asset {asset.filename!r:.80}" for asset in graph.asset_file_def if not _is_plain(asset.filename)}
    if found:
        raise InputError(
            f"{folder} holds ops that reach outside the model: {', '.join(sorted(found))}",
            "export the network alone, with TensorFlow 2",
        )


def _saver_functions(graph: Any) -> set[str]:
    """Return the names of the functions that save and restore a MetaGraphDef.

    Loading calls them nowhere, so one that the object graph offers, or that another function calls, only bears the
    name of one.
    """
    functions = graph.graph_def.library.function
    called = set(graph.object_graph_def.concrete_functions)
    for function in functions:
        for node in function.node_def:
            for value in node.attr.values():
                called.update({value.func.name, *(part.name for part in value.list.func)})
    names = {function.signature.name for function in functions}
    return {name for name in names - called if _SAVER_FUNCTION.fullmatch(name)}


def _calls_python(node: Any) -> bool:
    return any(callback in value.s for value in node.attr.values() for callback in _PYTHON_CALLBACKS)


def _is_plain(name: str) -> bool:
    """Return whether the name of an asset stays in the folder of assets."""
    return (
        bool(name) and "\0" not in name and not name.startswith("/") and ".." not in name.replace("\\", "/").split("/")
    )


def _fingerprint(folder: Path) -> str:
    """Return the sha256 over names and contents of saved_model.pb and variables/*."""
    digest = hashlib.sha256()
    for path in sorted(
        [folder / "saved_model.pb", *(path for path in (folder / "variables").rglob("*") if path.is_file())]
    ):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _dims(shape: Any) -> list[int | None]:
    return [] if shape.rank is None else list(shape.as_list())
