"""What a student learns from: HeAR itself, a peer network, vectors computed elsewhere, or a stand-in. All are
Embedders.

`open_teacher` is the only way in for commands; distillation and benchmarks see the interface in embedder.py and can't
tell teachers apart.
"""

from __future__ import annotations

from hearlite.embedders.base import Embedder
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.saved_model import HearTeacher, SavedModelTeacher
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import UsageError
from hearlite.spec import HEAR_EMBEDDING_DIM

KINDS = {
    "spectral": "statistics of HeAR's spectrogram, no network",
    "fake[:DIM[:SEED]]": "a seeded random projection, for tests",
    "hear:DIR": "Google's HeAR, the gated SavedModel",
    "saved-model:DIR": "another SavedModel that takes 2 s waveforms",
    "tflite:FILE[#OUTPUT]": "a .tflite file that takes a waveform",
    "embeddings:FILE.parquet": "vectors that hearlite embed wrote",
}


def open_teacher(text: str, *, threads: int | None = None) -> Embedder:
    """The teacher that `text` names, one of KINDS. `threads` is for the networks; None leaves TensorFlow's choice, and
    1 for a .tflite.

    Raises UsageError for an unknown kind or a malformed one, and what the teachers raise.
    """
    kind, colon, rest = text.partition(":")
    if text == "spectral":
        return SpectralTeacher()
    if kind == "fake" and (rest or not colon):
        return _fake(rest, text=text)
    if kind == "hear" and rest:
        return HearTeacher(rest, threads=threads)
    if kind == "saved-model" and rest:
        return SavedModelTeacher(rest, threads=threads)
    if kind == "tflite" and rest:
        path, _, output = rest.partition("#")
        return TfliteEmbedder(path, output=output or None, threads=threads or 1)
    if kind == "embeddings" and rest:
        from hearlite.data.embeddings_file import EmbeddingsTeacher  # pyarrow takes a quarter of a second to load

        return EmbeddingsTeacher(rest)
    raise _malformed(text)


def _fake(parameters: str, *, text: str) -> FakeTeacher:
    parts = [part for part in parameters.split(":") if parameters]
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise _malformed(text)
    dim = int(parts[0]) if parts else HEAR_EMBEDDING_DIM
    return FakeTeacher(dim, seed=int(parts[1]) if len(parts) == 2 else 0)


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"teacher is {text!r}", "use one of " + ", ".join(f"{kind} ({what})" for kind, what in KINDS.items())
    )
