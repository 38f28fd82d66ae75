"""Make whole inputs to damage, without TensorFlow: a model, its bundle, results and a run's settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hearlite.benchmarks.schema.cost import BOUNDS
from hearlite.benchmarks.schema.results import SCHEMA as RESULTS
from hearlite.benchmarks.schema.results import Results
from hearlite.benchmarks.stats.estimates import VERDICTS
from hearlite.bundle import METADATA_NAME, SCHEMA, Manifest, manifest_path
from hearlite.embedders.self_test import GOLDEN_SIGNAL, golden_embedding
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.names import CLASSIFIERS, FRAMINGS
from hearlite.run import RunSpec
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, STUDENTS, TrainSpec
from hearlite.tflite.builder import GraphBuilder, name_signature
from hearlite.tflite.model_file import add_metadata, load, save

DIM = 8
_FRAMES, _BANDS, _CHANNELS = 80, 400, 4  # of the sample's image: 80 x 400 samples are a clip
NAME = "sample.tflite"


def sample_model() -> bytes:
    """Return a network of a few operators that students have too: audio [1, clip_samples] -> embedding [1, DIM]."""
    rng, builder = np.random.default_rng(0), GraphBuilder(schema)
    f32, i32, ops = schema.TensorType.FLOAT32, schema.TensorType.INT32, schema.BuiltinOperator

    def weights(name: str, *shape: int) -> int:
        return builder.tensor(name, list(shape), f32, rng.normal(0.0, 0.2, shape).astype(np.float32))

    def indices(name: str, *values: int) -> int:
        return builder.tensor(name, [len(values)], i32, np.asarray(values, "<i4"))

    audio = builder.tensor("audio", [1, AUDIO.clip_samples], f32)
    image = builder.tensor("image", [1, _FRAMES, _BANDS, 1], f32)
    convolved, even = (builder.tensor(name, [1, _FRAMES, _BANDS, _CHANNELS], f32) for name in ("convolved", "relu"))
    half = builder.tensor("half", [1, _FRAMES, _BANDS // 2, _CHANNELS], f32)
    mean = builder.tensor("mean", [1, _CHANNELS], f32)
    embedding = builder.tensor("embedding", [1, DIM], f32)
    builder.operator(ops.RESHAPE, [audio, indices("shape", 1, _FRAMES, _BANDS, 1)], image)
    builder.operator(ops.CONV_2D, [image, weights("kernel", _CHANNELS, 3, 3, 1), weights("bias", _CHANNELS)], convolved)
    builder.operator(ops.RELU, [convolved], even)
    builder.operator(
        ops.SLICE,
        [even, indices("first", 0, 0, 0, 0), indices("size", 1, _FRAMES, _BANDS // 2, _CHANNELS)],
        half,
    )
    builder.operator(ops.MEAN, [half, indices("axes", 1, 2)], mean)
    builder.operator(ops.FULLY_CONNECTED, [mean, weights("matrix", DIM, _CHANNELS)], embedding)
    model = load(builder.finish(audio, embedding))
    name_signature(model, signature="embed", input_name="audio", output_name="embedding")
    return save(model)


def sample_manifest(content: bytes) -> dict[str, Any]:
    """Return the manifest of `sample_model` as plain data, with every field that it can have but those of a head."""
    golden = golden_embedding(TfliteEmbedder(content, name=NAME))
    special = {
        "Manifest.schema": SCHEMA,
        "Manifest.name": NAME,
        "Manifest.precision": "f32",
        "Manifest.signature": "embed",
        "Manifest.input": "audio",
        "Manifest.output": "embedding",
        "Manifest.dim": DIM,
        "Manifest.audio": AUDIO,
        "Manifest.student": dataclasses.replace(STUDENTS["tiny"], embedding_dim=DIM),
        "Manifest.golden_signal": GOLDEN_SIGNAL,
        "Manifest.golden_embedding": tuple(golden),
        "Manifest.golden_tolerance": 1e-3,
        "Manifest.head": None,
        "Manifest.events": None,  # a head's
        "Manifest.tflite_sha256": "",
    }
    return to_dict(example(Manifest, special))


def write_sample_bundle(model: Path, manifest: dict[str, Any], *, content: bytes) -> None:
    """Write a bundle whose parts belong together, whatever its manifest says."""
    inside = {key: value for key, value in manifest.items() if key not in ("tflite_sha256", "golden_embedding")}
    content = add_metadata(content, METADATA_NAME, json.dumps(inside, ensure_ascii=False).encode(errors="replace"))
    model.write_bytes(content)
    sealed = {**manifest, "tflite_sha256": hashlib.sha256(content).hexdigest()}
    manifest_path(model).write_text(json.dumps(sealed), encoding="utf-8")
    model.with_name(f"{model.stem}.NOTICE.txt").write_text("terms\n", encoding="utf-8")


def sample_results() -> dict[str, Any]:
    """Return a results.json as plain data, with every field that one can have."""
    special = {
        "Results.schema": RESULTS,
        "Results.margin": 0.02,
        "Results.probe": CLASSIFIERS[0],
        "DatasetInfo.framing": FRAMINGS[0],
        "ModelInfo.kind": "i8",
        "Footprint.kind": "i8",
        "RooflineBound.bound": BOUNDS[0],
        "Paired.verdict": VERDICTS[0],
        "Paired.verdict_holm": VERDICTS[0],
    }
    return {"schema": RESULTS, **to_dict(example(Results, special))}


def sample_run() -> dict[str, Any]:
    """Return a run's spec.json as plain data."""
    special = {
        "StudentSpec": dataclasses.replace(STUDENTS["tiny"], embedding_dim=DIM),
        "TrainSpec": TrainSpec(),
        "RunSpec.records": "records",
    }
    return {"schema": "hearlite-run/1", **to_dict(example(RunSpec, special))}


def example(kind: Any, special: dict[str, Any]) -> Any:
    """Return an instance of a dataclass with every field filled in: texts are "m", numbers 0.5 and 3, lists of one.

    Parameters
    ----------
    kind : type
        The dataclass, or the type of a field.
    special : dict
        Values of fields by "Class.field", and of whole dataclasses by "Class".
    """
    if dataclasses.is_dataclass(kind):
        name, hints = getattr(kind, "__name__", ""), typing.get_type_hints(kind)
        if name in special:
            return special[name]
        fields = {
            field.name: special[f"{name}.{field.name}"]
            if f"{name}.{field.name}" in special
            else example(hints[field.name], special)
            for field in dataclasses.fields(kind)
        }
        return typing.cast(Any, kind)(**fields)
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return example(arguments[0], special)
    if typing.get_origin(kind) is tuple:
        items = arguments[:1] if arguments[-1] is Ellipsis else arguments
        return tuple(example(item, special) for item in items)
    return {str: "m", int: 3, float: 0.5, bool: True}.get(kind, {} if typing.get_origin(kind) is dict else None)
