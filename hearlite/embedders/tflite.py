"""Use any .tflite file that takes a 16 kHz waveform as an Embedder."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips
from hearlite.errors import InputError
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import Tensor, TfliteModel, listed


class TfliteEmbedder:
    """An Embedder from any .tflite file that takes a 16 kHz waveform and outputs a vector.

    Its input must be float32 `[samples]` or `[1, samples]`, no longer than a clip. If it is shorter, the model runs on
    evenly spaced windows, the last one ending with the clip, and their vectors are averaged. If its length is free, it
    is set to a clip. The model runs on one clip at a time.

    Parameters
    ----------
    model : str, Path or bytes
        The file, or its content.
    output : str, optional
        Name of the output; by default the only one, else the one called "embedding".
    threads : int
        Number of CPU threads, at least 1.
    name : str, optional
        Name in reports; by default `tflite:PATH`, followed by `#OUTPUT` if `output` is given.

    Attributes
    ----------
    info : EmbedderInfo
        Name, dimension and fingerprint.
    calls : int
        Number of windows that the model runs on for one clip.
    each : callable or None
        Applied to the vector of every window before they are averaged, once it is set.

    Raises
    ------
    InputError
        When the file cannot be opened, its input or output does not fit, or it keeps state between calls.
    """

    def __init__(
        self, model: str | Path | bytes, *, output: str | None = None, threads: int = 1, name: str | None = None
    ) -> None:
        self._model = TfliteModel(model, threads=threads)
        self._shape = self._waveform_shape()
        self._output = self._find_output(output)
        self._starts = window_starts(self._shape[-1])
        self.calls = len(self._starts)
        self.each: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
        name = name or f"tflite:{self._model.label}" + (f"#{output}" if output else "")
        self.info = EmbedderInfo(
            name=name,
            kind="tflite",
            dim=self._probe(),
            licence="unknown",
            fingerprint=hashlib.sha256(f"{self._model.sha256}#{self._output.name}".encode()).hexdigest(),
            surrogate_note=f"{name} stands in for HeAR: a .tflite model of which only the file is known",
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`.

        Raises InputError when the model outputs NaN or infinity.
        """
        clips = as_clips(clips)
        rows = []
        for clip in clips:
            found = [self._window(clip[start : start + self._shape[-1]]) for start in self._starts]
            rows.append(np.mean(found if self.each is None else [self.each(row) for row in found], axis=0))
        embeddings = np.asarray(rows, np.float32) if rows else np.zeros((0, self.info.dim), np.float32)
        broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if broken.size:
            raise InputError(
                f"{self._model.label} returns NaN or infinity for {broken.size} of {len(clips)} clips, first for clip"
                f" {broken[0]}"
            )
        return embeddings

    def _window(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        values = self._model.run(np.ascontiguousarray(samples).reshape(self._shape))[self._output.name]
        return self._output.dequantize(values).reshape(-1)

    def _waveform_shape(self) -> tuple[int, ...]:
        """Return the input's shape, `[samples]` or `[1, samples]`, after fixing free dimensions."""
        model = self._model
        shapes = [tensor.shape for tensor in model.inputs]
        if len(shapes) != 1 or len(shapes[0]) not in (1, 2) or any(size not in (1, -1) for size in shapes[0][:-1]):
            raise InputError(
                f"{model.label} takes {listed(model.inputs)}",
                "expected one waveform: float32 [samples] or [1, samples]",
            )
        waveform = model.inputs[0]
        if waveform.dtype != np.float32:
            raise InputError(
                f"{model.label} takes {waveform}", "export it with a float32 input: hearlite never quantizes raw audio"
            )
        samples = AUDIO.clip_samples if waveform.shape[-1] == -1 else waveform.shape[-1]
        if not 0 < samples <= AUDIO.clip_samples:
            raise InputError(
                f"{model.label} takes {samples} samples",
                f"use a model for at most {AUDIO.clip_samples} ({AUDIO.clip_s:g} s)",
            )
        shape = (*(1 for _ in waveform.shape[:-1]), samples)
        if shape != waveform.shape:
            model.resize(shape)
        return shape

    def _find_output(self, name: str | None) -> Tensor:
        outputs = self._model.outputs
        wanted = "embedding" if name is None and len(outputs) > 1 else name
        matching = [output for output in outputs if wanted in (None, output.name)]
        if len(matching) != 1:
            what = f"no output called {wanted!r}" if name else f"{len(outputs)} outputs and none is called {wanted!r}"
            raise InputError(f"{self._model.label} has {what}", f"name one with FILE#OUTPUT: {listed(outputs)}")
        return matching[0]

    def _probe(self) -> int:
        """Return the dimension of the output, from three runs on seeded noise: A, B, A.

        The last must equal the first, or a clip's vector would depend on the clips before it.
        """
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, size=(2, self._shape[-1])).astype(np.float32)
        first, _, again = (self._window(noise[i]) for i in (0, 1, 0))
        shape = self._model.run(noise[0].reshape(self._shape))[self._output.name].shape
        if not shape or math.prod(shape) != shape[-1] or shape[-1] == 0:
            raise InputError(
                f"{self._model.label}: output {self._output.name!r} is {list(shape)}",
                "expected one vector, [dim] or [1, dim]",
            )
        if not np.array_equal(first, again, equal_nan=True):
            raise InputError(
                f"{self._model.label} keeps state from call to call",
                "use a model whose output depends on its input alone",
            )
        return int(shape[-1])


def window_starts(samples: int) -> list[int]:
    """Return the first samples of the fewest windows that cover a clip.

    Windows have `samples` samples and are evenly spaced; the last one ends with the clip.
    """
    count = math.ceil(AUDIO.clip_samples / samples)
    return [round(start) for start in np.linspace(0, AUDIO.clip_samples - samples, count)]
