"""Open a teacher by name: HeAR itself, another network, vectors computed elsewhere, or a surrogate.

Commands open teachers with `open_teacher` alone; distillation and benchmarks use only the Embedder interface in
base.py.
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
    """Open the teacher with the given name.

    Parameters
    ----------
    text : str
        A name of one of KINDS, such as "spectral" or "hear:DIR".
    threads : int, optional
        Number of CPU threads of a network; by default TensorFlow's choice, and 1 for a .tflite.

    Returns
    -------
    Embedder

    Raises
    ------
    UsageError
        When the name is unknown or malformed.
    InputError
        When the teacher's files are missing, damaged or unsuitable.
    MissingExtraError
        When the teacher needs TensorFlow and it is not installed.
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
