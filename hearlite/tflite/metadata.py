"""Write TFLite Metadata, which tools such as MediaPipe require before they feed audio to a model.

hearlite's own manifest has more details, but only hearlite reads it. The tables are written slot by slot, after
`metadata_schema.fbs` of tflite-support and MediaPipe (Apache-2.0); their generated module for it is 120 KB and is part
of neither LiteRT nor TensorFlow.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from hearlite.bundle import Manifest
from hearlite.tflite.classifier import Head
from hearlite.tflite.model_file import add_metadata

NAME = "TFLITE_METADATA"  # of the entry in the model, which tools look for
LABELS = "labels.txt"  # in the zip appended to the model: the labels of the scores, one per line
_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.3.0"  # first version of the schema with AudioProperties
_CHANNELS = 1

# Slots of the schema's tables, in the order of their fields.
_MODEL_NAME, _MODEL_DESCRIPTION, _MODEL_VERSION, _MODEL_SUBGRAPHS, _MODEL_AUTHOR, _MODEL_LICENCE = range(6)
_MODEL_MIN_PARSER, _MODEL_SLOTS = 7, 8
_GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_SLOTS = 2, 3, 10
_TENSOR_NAME, _TENSOR_DESCRIPTION, _TENSOR_CONTENT, _TENSOR_FILES, _TENSOR_SLOTS = 0, 1, 3, 6, 7
_FILE_NAME, _FILE_DESCRIPTION, _FILE_TYPE, _FILE_SLOTS = 0, 1, 2, 5
_TENSOR_AXIS_LABELS = 2  # of the enumeration AssociatedFileType
_CONTENT_TYPE, _CONTENT_PROPERTIES, _CONTENT_SLOTS = 0, 1, 3
_AUDIO_SAMPLE_RATE, _AUDIO_CHANNELS, _AUDIO_SLOTS = 0, 1, 2
_FEATURE_PROPERTIES, _AUDIO_PROPERTIES = 1, 4  # of the union ContentProperties


def with_tflite_metadata(content: bytes, manifest: Manifest) -> bytes:
    """Add TFLite Metadata, made from the manifest, to a .tflite."""
    return add_metadata(content, NAME, tflite_metadata(manifest))


def with_label_file(content: bytes, manifest: Manifest) -> bytes:
    """Append the head's labels.txt to a .tflite as a zip, where TFLite's tools look for associated files.

    A file without a head is returned unchanged. This must be the last step: saving the flatbuffer again drops the zip.
    """
    if manifest.head is None:
        return content
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:  # uncompressed and without a date, so that the result is reproducible
        archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{label.name}\n" for label in manifest.head.labels))
    return stream.getvalue()


def tflite_metadata(manifest: Manifest) -> bytes:
    """Return the metadata flatbuffer for a manifest.

    It holds name, description, author and licence, the name and meaning of input and outputs, and the audio's rate and
    channels.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    audio = manifest.audio
    audio_properties = _table(
        builder, _AUDIO_SLOTS, numbers={_AUDIO_SAMPLE_RATE: audio.sample_rate_hz, _AUDIO_CHANNELS: _CHANNELS}
    )
    waveform = _tensor(
        builder,
        manifest.input,
        f"{audio.clip_s:g} s of mono audio, {audio.clip_samples} float32 samples in [-1, 1): int16 /"
        f" {audio.pcm_full_scale}",
        kind=_AUDIO_PROPERTIES,
        properties=audio_properties,
    )
    meaning = f"embedding of {manifest.dim} dimensions, centred: compare by cosine"
    embedding = _tensor(builder, manifest.output, meaning, kind=_FEATURE_PROPERTIES, properties=_table(builder, 0))
    outputs = [embedding] if manifest.head is None else [embedding, _scores(builder, manifest.head)]
    graph = _table(
        builder,
        _GRAPH_SLOTS,
        offsets={_GRAPH_INPUTS: _vector(builder, [waveform]), _GRAPH_OUTPUTS: _vector(builder, outputs)},
    )
    texts = {
        _MODEL_NAME: manifest.name,
        _MODEL_DESCRIPTION: _description(manifest),
        _MODEL_VERSION: f"hearlite {manifest.hearlite}",
        _MODEL_AUTHOR: f"distilled by hearlite from {manifest.teacher.name}",
        _MODEL_LICENCE: " ".join(filter(None, (manifest.licence, manifest.notice))),
        _MODEL_MIN_PARSER: _MIN_PARSER_VERSION,
    }
    offsets = {slot: builder.CreateString(text) for slot, text in texts.items()}
    model = _table(builder, _MODEL_SLOTS, offsets={**offsets, _MODEL_SUBGRAPHS: _vector(builder, [graph])})
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


def _description(manifest: Manifest) -> str:
    scores = f" and {len(manifest.head.labels)} scores" if manifest.head else ""
    parts = [
        (
            f"Turns {manifest.audio.clip_s:g} s of audio into an embedding of {manifest.dim} dimensions{scores}. A"
            " research tool, never a diagnostic."
        ),
        f"{manifest.teacher.surrogate_note}." if manifest.teacher.surrogate_note else "",
        (
            ""
            if manifest.gate_passed
            else "It failed its quality gate and was written all the same (--allow-failed-gate)."
        ),
    ]
    return " ".join(filter(None, parts))


def _scores(builder: Any, head: Head) -> int:
    texts = {
        _FILE_NAME: builder.CreateString(LABELS),
        _FILE_DESCRIPTION: builder.CreateString("labels of the scores, a line each"),
    }
    builder.StartObject(_FILE_SLOTS)
    builder.PrependUint8Slot(_FILE_TYPE, _TENSOR_AXIS_LABELS, 0)
    for slot, offset in texts.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    files = _vector(builder, [int(builder.EndObject())])
    meaning = f"{len(head.labels)} scores in [0, 1], {head.kind}, of a research tool, never a diagnostic"
    return _tensor(builder, head.output, meaning, kind=_FEATURE_PROPERTIES, properties=_table(builder, 0), files=files)


def _tensor(builder: Any, name: str, description: str, *, kind: int, properties: int, files: int = 0) -> int:
    builder.StartObject(_CONTENT_SLOTS)
    builder.PrependUint8Slot(_CONTENT_TYPE, kind, 0)
    builder.PrependUOffsetTRelativeSlot(_CONTENT_PROPERTIES, properties, 0)
    content = int(builder.EndObject())
    texts = {_TENSOR_NAME: builder.CreateString(name), _TENSOR_DESCRIPTION: builder.CreateString(description)}
    return _table(builder, _TENSOR_SLOTS, offsets={**texts, _TENSOR_CONTENT: content, _TENSOR_FILES: files})


def _table(
    builder: Any, slots: int, *, offsets: dict[int, int] | None = None, numbers: dict[int, int] | None = None
) -> int:
    """Write a table with offsets of earlier objects and uint32 numbers, by slot; return its own offset."""
    builder.StartObject(slots)
    for slot, offset in (offsets or {}).items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, number in (numbers or {}).items():
        builder.PrependUint32Slot(slot, number, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    """Write a vector of tables and return its offset."""
    builder.StartVector(4, len(offsets), 4)  # offsets have 4 bytes
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
