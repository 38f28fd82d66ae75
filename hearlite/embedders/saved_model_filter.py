"""Load TensorFlow SavedModels: teachers, and classifiers of their embeddings.

A SavedModel is a program. Before TensorFlow loads one, its graph is searched for ops that access files, the network or
Python, and refused if it holds any. That stops the known tricks, but it is not a sandbox: load only models from sources
you trust.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from hearlite.errors import InputError, MissingExtraError, UsageError
from hearlite.files import read_content, regular_file, sha256_of
from hearlite.text import brief

SIGNATURE = "serving_default"
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


def load_saved_model(folder: Path, *, threads: int | None = None) -> tuple[Any, Any]:
    """Load a SavedModel, unless its graph holds ops that reach outside it.

    Parameters
    ----------
    folder : Path
        Folder that holds saved_model.pb.
    threads : int, optional
        Number of CPU threads; by default TensorFlow's choice.

    Returns
    -------
    tuple
        What was loaded, which keeps the variables alive, and its function of the signature serving_default.

    Raises
    ------
    InputError
        When the folder holds no SavedModel, a damaged one, one without that signature or one with forbidden ops.
    UsageError
        When TensorFlow is already running with another number of threads.
    MissingExtraError
        When TensorFlow is not installed.
    """
    content = _read_graph(folder)
    tf = _tensorflow("a SavedModel", threads=threads)
    _refuse_forbidden_ops(content, folder=folder)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises many types for a broken folder
        raise InputError(
            f"{folder}: TensorFlow can't load the SavedModel: {brief(error)}", "download or export it again"
        ) from error
    signatures = getattr(loaded, "signatures", {})
    if SIGNATURE not in signatures:
        raise InputError(f"{folder} has the signatures {sorted(signatures)}", f"expected {SIGNATURE!r}")
    return loaded, signatures[SIGNATURE]


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


def fingerprint(folder: Path) -> str:
    """Return the sha256 over names and contents of saved_model.pb and variables/*."""
    digest = hashlib.sha256()
    for path in sorted(
        [folder / "saved_model.pb", *(path for path in (folder / "variables").rglob("*") if path.is_file())]
    ):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def sizes(shape: Any) -> list[int | None]:
    """Return the sizes of a TensorFlow shape, None for a free one; [] if even their number is free."""
    return [] if shape.rank is None else list(shape.as_list())
