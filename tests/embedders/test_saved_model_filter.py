"""SavedModels that reach outside by ways other than an op with a telling name: refused before TensorFlow loads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlite.embedders.saved_model import SavedModelTeacher
from hearlite.embedders.saved_model_filter import _FORBIDDEN_OP
from hearlite.errors import InputError
from hearlite.spec import AUDIO

tf = pytest.importorskip("tensorflow")
Edit = Callable[[Any], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with a variable, so that it has functions that save and restore."""
    module = tf.Module()
    module.scale = tf.Variable(tf.ones(40))
    spec = tf.TensorSpec((None, AUDIO.clip_samples), tf.float32, name="audio")
    module.serve = tf.function(lambda audio: audio[:, :40] * module.scale, input_signature=[spec])
    folder = tmp_path_factory.mktemp("good") / "model"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


@pytest.fixture
def edited(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Edit], Path]:
    """Return a function that changes the graph of a copy, which nothing may load."""
    import shutil

    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def edit(change: Edit) -> Path:
        folder = shutil.copytree(good, tmp_path / "copy")
        saved = SavedModel()
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
        change(saved.meta_graphs[0])
        (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
        monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("loaded"))
        return folder

    return edit


def functions(graph: Any, part: str) -> list[Any]:
    return [function for function in graph.graph_def.library.function if part in function.signature.name]


def test_a_model_that_can_be_saved_and_restored_is_good(good: Path) -> None:
    clips = np.ones((2, AUDIO.clip_samples), np.float32)
    np.testing.assert_array_equal(SavedModelTeacher(good).embed(clips), np.ones((2, 40)))


def test_links_to_files_are_followed_as_the_caches_of_hubs_need(good: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "saved_model.pb").symlink_to(good / "saved_model.pb")
    (tmp_path / "linked" / "variables").mkdir()
    for path in (good / "variables").iterdir():
        (tmp_path / "linked" / "variables" / path.name).symlink_to(path)
    assert SavedModelTeacher(tmp_path / "linked").info.dim == 40


def call_from_serving(graph: Any) -> None:
    """Let the served function call the one that restores."""
    (served,), (restore,) = functions(graph, "signature_wrapper"), functions(graph, "traced_restore")
    node = served.node_def.add()
    node.name, node.op = "sneaky", "StatefulPartitionedCall"
    node.attr["f"].func.name = restore.signature.name


def call_from_a_list(graph: Any) -> None:
    (served,), (save,) = functions(graph, "signature_wrapper"), functions(graph, "traced_save")
    node = served.node_def.add()
    node.name, node.op = "sneaky", "Case"
    node.attr["branches"].list.func.add().name = save.signature.name


def offer(graph: Any) -> None:
    """Offer the function that restores as one of the model's own."""
    (restore,) = functions(graph, "traced_restore")
    graph.object_graph_def.concrete_functions[restore.signature.name].canonicalized_input_signature.SetInParent()


def callback(target: bytes) -> Edit:
    def change(graph: Any) -> None:
        node = functions(graph, "signature_wrapper")[0].node_def.add()
        node.name, node.op = "sneaky", "XlaCallModule"
        node.attr["module"].s = b"ML\xefR..." + target + b"_cpu_callback"

    return change


def asset(name: str) -> Edit:
    return lambda graph: setattr(graph.asset_file_def.add(), "filename", name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (call_from_serving, "RestoreV2"),
        (call_from_a_list, "SaveV2"),
        (offer, "RestoreV2"),
        (callback(b"xla_python"), "XlaCallModule that calls Python"),
        (callback(b"xla_ffi_python"), "XlaCallModule that calls Python"),
        (asset("../../etc/passwd"), "asset '../../etc/passwd'"),
        (asset("/etc/passwd"), "asset '/etc/passwd'"),
        (asset("a\\..\\b"), "asset "),
    ],
)
def test_ways_around_the_list_of_ops_are_closed(edited: Callable[[Edit], Path], change: Edit, says: str) -> None:
    with pytest.raises(InputError, match="reach outside the model") as caught:
        SavedModelTeacher(edited(change))
    assert says in str(caught.value)


def test_a_compiled_module_as_hears_is_allowed(edited: Callable[[Edit], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = edited(callback(b"stablehlo.custom_call Sharding"))
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: (_ for _ in ()).throw(ValueError("reached")))
    with pytest.raises(InputError, match="can't load the SavedModel: reached"):
        SavedModelTeacher(folder)


def test_a_model_of_tensorflow_1_is_refused(edited: Callable[[Edit], Path]) -> None:
    with pytest.raises(InputError, match="SavedModel of TensorFlow 1"):
        SavedModelTeacher(edited(lambda graph: graph.ClearField("object_graph_def")))


@pytest.mark.parametrize(
    "op",
    [
        "ImmutableConst",
        "RecordInput",
        "RemoteCall",
        "DistributedSave",
        "DTensorRestoreV2",
        "XlaCustomCallV2",
        "XlaHostCompute",
        "CollectiveReduceV2",
        "NcclAllReduce",
        "TPUExecute",
        "InfeedDequeue",
        "GetSessionTensor",
        "MlirPassthroughOp",
        "Abort",
        "DumpTensor",
        "CalibrationStatisticsSaver",
        "SleepOp",
    ],
)
def test_ops_that_reach_outside_by_another_name_are_refused(edited: Callable[[Edit], Path], op: str) -> None:
    def change(graph: Any) -> None:
        node = functions(graph, "signature_wrapper")[0].node_def.add()
        node.name, node.op = "sneaky", op

    with pytest.raises(InputError, match=rf"reach outside the model: .*\b{op}\b"):
        SavedModelTeacher(edited(change))


def test_ops_of_ordinary_networks_are_not_refused() -> None:
    ordinary = (
        "StatefulPartitionedCall",
        "PartitionedCall",
        "VarHandleOp",
        "ReadVariableOp",
        "AssignVariableOp",
        "XlaCallModule",
        "While",
        "If",
        "Case",
        "Assert",
        "NoOp",
        "HashTableV2",
        "LookupTableFindV2",
        "TensorListStack",
        "RFFT",
        "STFT",
        "Conv2D",
        "MatMul",
        "BatchMatMulV2",
        "Einsum",
        "StringJoin",
        "DisableCopyOnRead",
        "XlaSharding",
        "RandomUniform",
    )
    assert [op for op in ordinary if _FORBIDDEN_OP.search(op)] == []


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_a_second_graph_is_refused(edited: Callable[[Edit], Path], name: str) -> None:
    folder = edited(lambda graph: None)
    (folder / name).write_text("other")
    with pytest.raises(InputError, match=rf"holds {name} beside"):
        SavedModelTeacher(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "assets/list.txt"])
def test_a_pipe_in_the_folder_never_blocks(edited: Callable[[Edit], Path], name: str) -> None:
    path = edited(lambda graph: None) / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match=rf"{name}: it is a named pipe"):
        SavedModelTeacher(path.parents[name.count("/")])
