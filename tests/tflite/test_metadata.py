"""TFLite Metadata in exported files: read by its schema, loaded by who demands it, and of no effect on what the file
computes.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from legacy import run_legacy
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.bundle import METADATA_NAME, read_manifest
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import RUNTIMES, Runtime, TfliteModel
from hearlite.tflite.metadata import NAME, tflite_metadata, with_tflite_metadata
from hearlite.tflite.model_file import load, read_metadata, save

MEDIAPIPE = os.environ.get(
    "HEARLITE_MEDIAPIPE"
)  # a Python that has mediapipe 0.10.21, numpy < 2 and protobuf < 5: an environment of its own


class Table:
    """A flatbuffer table, read as its encoding says: an offset to a vtable, which has an offset for each slot."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, int.from_bytes(data[:4], "little"))

    def field(self, slot: int) -> int:
        vtable = self.at - int.from_bytes(self.data[self.at : self.at + 4], "little", signed=True)
        place = vtable + 4 + 2 * slot
        assert place < vtable + int.from_bytes(self.data[vtable : vtable + 2], "little")
        offset = int.from_bytes(self.data[place : place + 2], "little")
        assert offset, f"slot {slot} is empty"
        return self.at + offset

    def uint(self, slot: int, size: int = 4) -> int:
        return int.from_bytes(self.data[self.field(slot) :][:size], "little")

    def table(self, slot: int) -> Table:
        return Table(self.data, self.field(slot) + self.uint(slot))

    def text(self, slot: int) -> str:
        at = self.table(slot).at
        return self.data[at + 4 : at + 4 + int.from_bytes(self.data[at : at + 4], "little")].decode()

    def only(self, slot: int) -> Table:
        """The table of a vector of one."""
        at = self.table(slot).at
        assert int.from_bytes(self.data[at : at + 4], "little") == 1
        return Table(self.data, at + 4 + int.from_bytes(self.data[at + 4 : at + 8], "little"))


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_every_field_by_its_slot(bundle: Bundles, precision: str) -> None:
    manifest = bundle.manifest(precision)
    content = read_metadata(getattr(bundle, precision).read_bytes(), NAME)
    assert content is not None and content[4:8] == b"M001"
    model = Table.root(content)
    assert model.text(0) == manifest.name
    assert "never a diagnostic" in model.text(1) and manifest.teacher.surrogate_note in model.text(1)
    assert model.text(2) == f"hearlite {manifest.hearlite}"
    assert manifest.teacher.name in model.text(4)
    assert manifest.licence in model.text(5)
    assert model.text(7) == "1.3.0"
    audio, embedding = model.only(3).only(2), model.only(3).only(3)
    assert (audio.text(0), embedding.text(0)) == (manifest.input, manifest.output)
    assert str(AUDIO.clip_samples) in audio.text(1) and str(manifest.dim) in embedding.text(1)
    assert (audio.table(3).uint(0, size=1), embedding.table(3).uint(0, size=1)) == (
        4,
        1,
    )  # AudioProperties, FeatureProperties
    properties = audio.table(3).table(1)
    assert (properties.uint(0), properties.uint(1)) == (AUDIO.sample_rate_hz, 1)


def test_notice_and_failed_gate_are_said(bundle: Bundles) -> None:
    manifest = dataclasses.replace(bundle.manifest("i8"), notice="PASS THIS ON", gate_passed=False)
    model = Table.root(tflite_metadata(manifest))
    assert model.text(5).endswith("PASS THIS ON")
    assert "failed its quality gate" in model.text(1)


def test_both_manifests_stay_and_writing_again_changes_nothing(bundle: Bundles) -> None:
    content = bundle.i8.read_bytes()
    names = [entry.name for entry in load(content).metadata]
    assert sorted(names) == sorted([NAME.encode(), METADATA_NAME.encode()])
    again = with_tflite_metadata(content, bundle.manifest("i8"))
    assert sorted(entry.name for entry in load(again).metadata) == sorted(names)
    assert read_metadata(again, NAME) == read_metadata(content, NAME)
    read_manifest(bundle.i8)  # its sha256 is of the file with both


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_outputs_are_the_same_without(
    bundle: Bundles, clips: NDArray[np.int16], precision: str, runtime: Runtime
) -> None:
    content = getattr(bundle, precision).read_bytes()
    bare = load(content)
    bare.metadata = None
    models = [TfliteModel(data, runtime=runtime) for data in (content, save(bare))]
    for clip in from_int16(clips)[:, None]:
        (found,), (expected,) = (model.run(clip).values() for model in models)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_outputs_are_the_same_without_on_older_phones(
    bundle: Bundles, clips: NDArray[np.int16], precision: str, legacy_python: Path
) -> None:
    content = getattr(bundle, precision).read_bytes()
    bare = load(content)
    bare.metadata = None
    for found, expected in zip(
        *(run_legacy(legacy_python, data, from_int16(clips)) for data in (content, save(bare))), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


EMBED = """
import sys
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python.audio import audio_embedder
from mediapipe.tasks.python.components.containers import audio_data

options = audio_embedder.AudioEmbedderOptions(base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]))
with audio_embedder.AudioEmbedder.create_from_options(options) as embedder:
    clip = audio_data.AudioData.create_from_array(np.load(sys.argv[2]), int(sys.argv[3]))
    (result,) = embedder.embed(clip)
    np.save(sys.argv[4], result.embeddings[0].embedding)
"""


@pytest.mark.skipif(
    MEDIAPIPE is None,
    reason="HEARLITE_MEDIAPIPE names no Python with mediapipe 0.10.21, the last that embeds with files",
)
@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_mediapipes_audio_embedder(bundle: Bundles, clips: NDArray[np.int16], precision: str, tmp_path: Path) -> None:
    model, clip, out = getattr(bundle, precision), from_int16(clips[:1]), tmp_path / "embedding.npy"
    np.save(tmp_path / "clip.npy", clip[0])
    assert MEDIAPIPE is not None

    def embed(path: Path) -> subprocess.CompletedProcess[str]:
        command = [MEDIAPIPE, "-c", EMBED, str(path), str(tmp_path / "clip.npy"), str(AUDIO.sample_rate_hz), str(out)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    done = embed(model)
    assert done.returncode == 0, done.stderr[-3_000:]
    (expected,) = TfliteModel(model).run(clip).values()
    np.testing.assert_allclose(
        np.load(out), expected[0], rtol=0, atol=0 if precision == "i8" else 1e-4
    )  # its float kernels are older
    bare = load(model.read_bytes())
    bare.metadata = None
    (tmp_path / "bare.tflite").write_bytes(save(bare))
    assert "Metadata" in embed(tmp_path / "bare.tflite").stderr  # which is why it is there
