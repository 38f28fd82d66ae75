"""Make bundles that pass every check in a moment, without TensorFlow: one linear layer, scaled to length 1."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hearlite.bundle import METADATA_NAME, SCHEMA, Manifest
from hearlite.embedders.base import EmbedderInfo
from hearlite.embedders.self_test import GOLDEN_SIGNAL, golden_embedding
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.run import DatasetInfo
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, STUDENTS
from hearlite.tflite.builder import GraphBuilder, name_signature
from hearlite.tflite.model_file import add_metadata, load, save

DIM = 4


def network(*, seed: int = 0) -> bytes:
    """Return a waveform [1, clip_samples] -> FULLY_CONNECTED -> L2_NORMALIZATION -> embedding [1, DIM]."""
    builder, f32, operators = GraphBuilder(schema), schema.TensorType.FLOAT32, schema.BuiltinOperator
    weights = np.random.default_rng(seed).normal(0.0, 0.01, (DIM, AUDIO.clip_samples)).astype(np.float32)
    given = builder.tensor("audio", [1, AUDIO.clip_samples], f32)
    constant = builder.tensor("weights", list(weights.shape), f32, weights)
    made, out = builder.tensor("made", [1, DIM], f32), builder.tensor("embedding", [1, DIM], f32)
    builder.operator(operators.FULLY_CONNECTED, [given, constant], made)
    builder.operator(operators.L2_NORMALIZATION, [made], out)
    model = load(builder.finish(given, out))
    name_signature(model, signature="embed", input_name="audio", output_name="embedding")
    return save(model)


def write_ready(folder: Path, stem: str = "ready_2s_f32", *, seed: int = 0, **fields: Any) -> Path:
    """Write a bundle and return its .tflite.

    Parameters
    ----------
    folder : Path
        Where; created if missing.
    stem : str
        Name of its files.
    seed : int
        Of its weights.
    **fields : object
        Fields of the manifest that differ.
    """
    content, model = network(seed=seed), folder / f"{stem}.tflite"
    teacher = EmbedderInfo("spectral", "spectral", DIM, "Apache-2.0", "0" * 64, surrogate_note="a stand-in")
    manifest = Manifest(
        schema=SCHEMA,
        hearlite="0.2.0",
        name=model.name,
        size="tiny",
        precision="f32",
        signature="embed",
        input="audio",
        output="embedding",
        dim=DIM,
        audio=AUDIO,
        student=dataclasses.replace(STUDENTS["tiny"], embedding_dim=DIM),
        teacher=teacher,
        licence="Apache-2.0",
        notice="",
        dataset=DatasetInfo("synthetic", "0" * 64, 8, 2, True, ()),
        recipe="",
        calibration_sha256="",
        gate_passed=True,
        metrics=(),
        parameters=DIM * AUDIO.clip_samples,
        macs=DIM * AUDIO.clip_samples,
        golden_signal=GOLDEN_SIGNAL,
        golden_embedding=tuple(golden_embedding(TfliteEmbedder(content))),
    )
    manifest = dataclasses.replace(manifest, **fields)
    content = add_metadata(content, METADATA_NAME, manifest.inside())
    data = {**to_dict(manifest), "tflite_sha256": hashlib.sha256(content).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    model.write_bytes(content)
    model.with_suffix(".json").write_text(json.dumps(data))
    (folder / f"{stem}.NOTICE.txt").write_text("Licence of the teacher: Apache-2.0.\n")
    (folder / f"{stem}.md").write_text("# A card\n")
    return model
