"""The `Model` class, which embeds sounds, and `load`, which opens a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite import audio
from hearlite.data.vector_parts import BATCH
from hearlite.embedders.base import Clips, Embedder, EmbedderInfo, Embeddings
from hearlite.errors import InputError, UsageError
from hearlite.events.detector import Event, EventRules
from hearlite.events.personal import PersonalHead, PersonalScorer, read_head
from hearlite.events.recordings import find_events
from hearlite.events.scorer import FileScorer
from hearlite.events.stream import EventStream, StepScorer
from hearlite.run import open_run
from hearlite.spec import AUDIO

PathLike = str | Path


class Model:
    """A model that turns sounds into embeddings, opened by `load`.

    It is an exported file, the float32 student of a run, or a teacher. Every model takes windows of `clip_s` seconds of
    mono audio at `sample_rate_hz`.

    Attributes
    ----------
    info : EmbedderInfo
        Name, kind, dimension, licence and fingerprint of the model.
    sample_rate_hz : int
        Sampling rate of the input, 16000 Hz.
    clip_s : float
        Length of a window, 2 s.
    """

    sample_rate_hz = AUDIO.sample_rate_hz
    clip_s = AUDIO.clip_s

    def __init__(self, embedder: Embedder, *, scorer: Callable[[], StepScorer] | None = None) -> None:
        self._embedder = embedder
        self._open_scorer = scorer
        self._scorer: StepScorer | None = None
        self.info: EmbedderInfo = embedder.info

    def __repr__(self) -> str:
        return f"<hearlite.Model {self.info.name}: {self.clip_s:g} s at {self.sample_rate_hz} Hz -> {self.dim} numbers>"

    @property
    def dim(self) -> int:
        """Number of values in an embedding."""
        return self.info.dim

    def embed(
        self, sound: PathLike | NDArray[Any], rate: int | None = None, *, hop_s: float = AUDIO.clip_s
    ) -> Embeddings:
        """Embed a whole sound, window by window.

        Parameters
        ----------
        sound : str, Path or array
            A WAV, FLAC, MP3, M4A, ... file, or samples `[n]`: mono, floating point in [-1, 1] or int16.
        rate : int, optional
            Sampling rate of an array, in Hz, 4000 to 384000; required for an array, not allowed for a file.
        hop_s : float
            Seconds between the starts of two windows, above 0 and at most 2 (the window length). If the last window
            would not reach the end of the sound, one more is added that ends there.

        Returns
        -------
        numpy.ndarray
            float32 `[windows, dim]`. A sound shorter than 2 s is padded with zeros to one window, which costs accuracy.

        Raises
        ------
        InputError
            When the recording cannot be read in full, or the samples have a wrong shape, dtype or range.
        UsageError
            When an array comes without a rate or a file with one, or the hop would skip sound.
        """
        samples = _samples(sound, rate)
        starts = audio.clip_starts_s(recording_s=len(samples) / AUDIO.sample_rate_hz, hop_s=hop_s)
        # Rounded to int16 steps, as the clips of every dataset are.
        pcm = audio.to_int16(np.stack([audio.cut(samples, start_s=start) for start in starts]))
        return self.embed_clips(audio.from_int16(pcm))

    def embed_clips(self, clips: Clips) -> Embeddings:
        """Embed 2 s windows that are already cut.

        Parameters
        ----------
        clips : numpy.ndarray
            float32 `[n, 32000]` in [-1, 1): 2 s of mono audio at 16 kHz per row.

        Returns
        -------
        numpy.ndarray
            float32 `[n, dim]`.

        Raises
        ------
        InputError
            When the array has another shape or dtype, or holds NaN or infinity, or the model outputs such values.
        """
        parts = [self._embedder.embed(clips[start : start + BATCH]) for start in range(0, len(clips), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    @property
    def rules(self) -> EventRules:
        """Classes of events that the model finds, with their thresholds.

        Raises
        ------
        InputError
            When the file has no events.
        """
        return self.scorer().rules

    def stream(self, rate: float = AUDIO.sample_rate_hz) -> EventStream:
        """Return a stream that finds events in samples as they come, from a microphone for one.

        Parameters
        ----------
        rate : float
            Sampling rate of what will be pushed, in Hz.

        Returns
        -------
        EventStream
            Its `push(samples)` and `finish()` return events.

        Raises
        ------
        InputError
            When the file has no events.
        """
        return EventStream(self.scorer(), rate_hz=rate)

    def find_events(self, sound: PathLike | NDArray[Any], rate: int | None = None) -> list[Event]:
        """Find events, such as coughs, in a whole sound of any length.

        Parameters
        ----------
        sound : str, Path or array
            A recording, read piece by piece, or samples `[n]`: mono, floating point in [-1, 1] or int16.
        rate : int, optional
            Sampling rate of an array, in Hz; required for an array, not allowed for a file.

        Returns
        -------
        list of Event
            Each with `label`, `start_s`, `end_s`, `score` (the highest, in [0, 1]) and `peak_s`, by start.

        Raises
        ------
        InputError
            When the file has no events, or the recording can't be read in full.
        UsageError
            When an array comes without a rate or a file with one.
        """
        scorer = self.scorer()
        whole = isinstance(sound, (str, Path)) and rate is None
        blocks = audio.read_blocks(Path(str(sound))) if whole else [_samples(sound, rate)]
        return list(find_events(blocks, scorer).events)

    def personalized(self, *heads: PersonalHead | PathLike) -> Model:
        """Return the same model with personal heads, whose sounds it finds beside its own events, if it has any.

        Parameters
        ----------
        heads : PersonalHead, str or Path
            From `hearlite.enroll`, or files that it or `hearlite enroll` wrote.

        Raises
        ------
        InputError
            When a head was fitted to another model, or a file holds none.
        UsageError
            When two classes have the same label, or there is no head.
        """
        read = [head if isinstance(head, PersonalHead) else read_head(Path(head)) for head in heads]
        if not read:
            raise UsageError("no personal head is named", "pass one from hearlite.enroll")
        base = None if self._open_scorer is None else self.scorer()
        scorer = PersonalScorer(read, embed=self.embed_clips, model=self.info.fingerprint, base=base)
        return Model(self._embedder, scorer=lambda: scorer)

    def scorer(self) -> StepScorer:
        """Return the scores over time that events are found in; InputError when the file has none."""
        if self._open_scorer is None:
            raise InputError(
                f"{self.info.name} has no events", "use a file with a head of events: hearlite export RUN --events ..."
            )
        if self._scorer is None:
            self._scorer = self._open_scorer()
        return self._scorer


def load(source: PathLike, *, threads: int | None = None) -> Model:
    """Open a model by its name, from a .tflite file or a run folder, or a teacher.

    Parameters
    ----------
    source : str or Path
        One of:

        - the name of a model that comes with hearlite or was installed, as `hearlite models` lists them,
        - an exported .tflite; if its manifest (.json) is beside it, both are verified,
        - any other .tflite that takes a 16 kHz waveform,
        - the folder of a finished run, for its float32 student (needs TensorFlow),
        - a teacher as on the command line: `spectral`, `hear:DIR`, `saved-model:DIR`, `tflite:FILE#OUTPUT` or
          `embeddings:FILE.parquet`.

        A file or folder that exists comes before a model of the same name.
    threads : int, optional
        Number of CPU threads; by default 1 for a .tflite file and TensorFlow's choice for a SavedModel. Ignored for
        runs and for teachers that are not networks.

    Returns
    -------
    Model
        The opened model.

    Raises
    ------
    InputError
        When the file or folder is missing or damaged, or does not hold an embedding model.
    UsageError
        When `source` names none of these.
    MissingExtraError
        When a SavedModel is named and TensorFlow is not installed.
    """
    from hearlite.bundle import manifest_path, read_manifest

    embedder = open_embedder(source, threads=threads)
    path = _place(source)
    if path is None or path.is_dir() or not manifest_path(path).is_file():
        return Model(embedder)
    manifest = read_manifest(path)
    steps, rules = manifest.steps, manifest.events
    if steps is None or rules is None:
        return Model(embedder)
    return Model(embedder, scorer=lambda: FileScorer(path, steps=steps, rules=rules, threads=threads or 1))


def open_embedder(source: PathLike, *, threads: int | None = None) -> Embedder:
    """Open what `load` takes as an Embedder; raises the same errors."""
    from hearlite.bundle import manifest_path, open_bundle
    from hearlite.embedders.open import open_teacher
    from hearlite.embedders.tflite import TfliteEmbedder

    path = _place(source)
    if path is None:
        return open_teacher(str(source), threads=threads)
    if path.is_dir():
        from hearlite.student import StudentEmbedder

        return StudentEmbedder(open_run(path))
    if manifest_path(path).is_file():
        return open_bundle(path, threads=threads or 1)[0]
    return TfliteEmbedder(path, threads=threads or 1)


def _place(source: PathLike) -> Path | None:
    """Return the file or folder that `source` names; None for a teacher."""
    from hearlite.embedders.open import TEACHERS
    from hearlite.models.registry import find_model

    path, (kind, colon, _) = Path(source), str(source).partition(":")
    unknown_kind = colon and not path.exists() and path.suffix != ".tflite"
    if (kind in TEACHERS and not path.is_dir()) or unknown_kind:
        return None
    return find_model(source, otherwise=f"; or name a teacher: {', '.join(item.usage for item in TEACHERS.values())}")


def _samples(sound: PathLike | NDArray[Any], rate: int | None) -> audio.Samples:
    if isinstance(sound, (str, Path)):
        if rate is not None:
            raise UsageError(f"rate is {rate} for the file {sound}", "leave it out: the rate is read from the file")
        return audio.read_recording(Path(sound))
    if rate is None:
        raise UsageError("an array has no sampling rate", "pass it: model.embed(samples, 44100)")
    return audio.from_array(sound, rate_hz=rate)
