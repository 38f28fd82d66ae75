"""What a student learns from, by name: HeAR, another network, vectors computed earlier, or a stand-in.

TEACHERS is the one list of kinds; `open_teacher` is the only way in. Distillation and benchmarks see the interface of
base.py and can't tell teachers apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hearlite.embedders.base import Embedder
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.saved_model import HearTeacher, SavedModelTeacher
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import UsageError
from hearlite.models.registry import find_model
from hearlite.spec import HEAR_EMBEDDING_DIM


class MalformedNameError(Exception):
    """The text after the colon is not what the kind of teacher takes."""


@dataclass(frozen=True)
class TeacherKind:
    """A kind of teacher: how its name is written after the colon, what it is, and what opens it.

    `open` takes the text after the colon ("" without one) and the number of threads (None: the runtime's choice). It
    raises MalformedNameError for text that it can't read.
    """

    usage: str
    what: str
    open: Callable[[str, int | None], Embedder]


def _required(rest: str) -> str:
    if not rest:
        raise MalformedNameError
    return rest


def _spectral(rest: str, threads: int | None) -> Embedder:
    if rest:
        raise MalformedNameError
    return SpectralTeacher()


def _fake(rest: str, threads: int | None) -> Embedder:
    parts = rest.split(":") if rest else [str(HEAR_EMBEDDING_DIM)]
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise MalformedNameError
    return FakeTeacher(int(parts[0]), seed=int(parts[1]) if len(parts) == 2 else 0)


def _tflite(rest: str, threads: int | None) -> Embedder:
    name, _, output = _required(rest).partition("#")
    path = name if Path(name).exists() else find_model(name)  # as it is written: the name of a teacher is recorded
    return TfliteEmbedder(path, output=output or None, threads=threads or 1)


def _embeddings(rest: str, threads: int | None) -> Embedder:
    from hearlite.data.embeddings_file import EmbeddingsTeacher  # pyarrow takes a quarter of a second to load

    return EmbeddingsTeacher(_required(rest))


TEACHERS = {
    "spectral": TeacherKind("spectral", "statistics of HeAR's spectrogram, no network", _spectral),
    "fake": TeacherKind("fake[:DIM[:SEED]]", "a seeded random projection, for tests", _fake),
    "hear": TeacherKind(
        "hear:DIR",
        "Google's HeAR, the gated SavedModel",
        lambda rest, threads: HearTeacher(_required(rest), threads=threads),
    ),
    "saved-model": TeacherKind(
        "saved-model:DIR",
        "another SavedModel that takes 2 s waveforms",
        lambda rest, threads: SavedModelTeacher(_required(rest), threads=threads),
    ),
    "tflite": TeacherKind(
        "tflite:FILE[#OUTPUT]", "a .tflite file that takes a waveform, or the name of a model", _tflite
    ),
    "embeddings": TeacherKind("embeddings:FILE.parquet", "vectors that hearlite embed wrote", _embeddings),
}


def open_teacher(text: str, *, threads: int | None = None) -> Embedder:
    """Open the teacher that `text` names, such as `hear:path/to/hear`.

    Parameters
    ----------
    text : str
        A kind in TEACHERS and, after a colon, what it opens.
    threads : int, optional
        Of the network; by default TensorFlow's choice, and 1 for a .tflite.

    Raises
    ------
    UsageError
        For an unknown kind or a malformed name. Each teacher raises errors of its own too.
    """
    kind, colon, rest = text.partition(":")
    try:
        if kind not in TEACHERS or (colon and not rest):
            raise MalformedNameError
        return TEACHERS[kind].open(rest, threads)
    except MalformedNameError as error:
        known = ", ".join(f"{item.usage} ({item.what})" for item in TEACHERS.values())
        raise UsageError(f"teacher is {text!r}", f"use one of {known}") from error
