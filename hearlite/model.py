"""A model that embeds sounds, opened from an exported file, a run or a teacher's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite import audio
from hearlite.data.embed import BATCH
from hearlite.embedders.base import Clips, Embedder, EmbedderInfo, Embeddings
from hearlite.errors import UsageError
from hearlite.run import open_run
from hearlite.spec import AUDIO

PathLike = str | Path


class Model:
    """An embedder of sounds: an exported file, the float32 student of a run, or a teacher.

    Attributes
    ----------
    info : EmbedderInfo
        Name, kind, dimension, licence and fingerprint.
    """

    sample_rate_hz = AUDIO.sample_rate_hz
    clip_s = AUDIO.clip_s

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.info: EmbedderInfo = embedder.info

    def __repr__(self) -> str:
        return f"<hearlite.Model {self.info.name}: {self.clip_s:g} s at {self.sample_rate_hz} Hz -> {self.dim} numbers>"

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.info.dim

    def embed(
        self, sound: PathLike | NDArray[Any], rate: int | None = None, *, hop_s: float = AUDIO.clip_s
    ) -> Embeddings:
        """Embed a whole sound, window by window.

        Parameters
        ----------
        sound : str, Path or array
            A recording, or its samples `[n]`: mono, floating point in [-1, 1] or int16.
        rate : int
            Sampling rate of an array, in Hz; a file knows its own.
        hop_s : float
            Seconds between the starts of two windows of 2 s, at most 2. One more window ends where the sound ends.

        Returns
        -------
        float32 array `[windows, dim]`. A sound shorter than 2 s is padded with zeros, which costs accuracy.

        Raises
        ------
        InputError
            For a recording that cannot be read in full, and samples that are no sound.
        UsageError
            For an array without a rate or a file with one, and for a hop that would skip sound.
        """
        samples = _samples(sound, rate)
        starts = audio.clip_starts_s(recording_s=len(samples) / AUDIO.sample_rate_hz, hop_s=hop_s)
        pcm = audio.to_int16(
            np.stack([audio.cut(samples, start_s=start) for start in starts])
        )  # on int16's steps, as every clip of a dataset
        return self.embed_clips(audio.from_int16(pcm))

    def embed_clips(self, clips: Clips) -> Embeddings:
        """Embed windows that are cut already: float32 `[n, 32000]` in [-1, 1) -> float32 `[n, dim]`."""
        parts = [self._embedder.embed(clips[start : start + BATCH]) for start in range(0, len(clips), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)


def load(source: PathLike, *, threads: int | None = None) -> Model:
    """Open a model.

    Parameters
    ----------
    source : str or Path
        An exported .tflite (its manifest is verified where it lies beside the file), any other .tflite that takes a 16
        kHz waveform, the folder of a
        finished run, or a teacher as on the command line: `spectral`, `hear:DIR`, `saved-model:DIR`,
        `tflite:FILE#OUTPUT`.
    threads : int, optional
        Of the network; by default 1 for a .tflite and TensorFlow's choice for others.

    Raises
    ------
    InputError
        For a file or folder that is not there, is damaged, or is no embedder.
    UsageError
        For text that names none of these.
    """
    from hearlite.bundle import manifest_path, open_bundle
    from hearlite.embedders.open import open_teacher
    from hearlite.embedders.tflite import TfliteEmbedder

    path = Path(source)
    if path.suffix == ".tflite" and not str(source).startswith(("tflite:", "saved-model:")):
        if manifest_path(path).is_file():
            return Model(open_bundle(path, threads=threads or 1)[0])
        return Model(TfliteEmbedder(path, threads=threads or 1))
    if path.is_dir():
        from hearlite.student import StudentEmbedder

        return Model(StudentEmbedder(open_run(path)))
    return Model(open_teacher(str(source), threads=threads))


def _samples(sound: PathLike | NDArray[Any], rate: int | None) -> audio.Samples:
    if isinstance(sound, (str, Path)):
        if rate is not None:
            raise UsageError(f"rate is {rate} for the file {sound}", "leave it out: a file knows its own rate")
        return audio.read_recording(Path(sound))
    if rate is None:
        raise UsageError("an array has no sampling rate", "pass it: model.embed(samples, 44100)")
    return audio.from_array(sound, rate_hz=rate)
