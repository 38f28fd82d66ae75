"""Teachers that are TensorFlow SavedModels: the gated HeAR itself, or other models of 2 s waveforms.

A SavedModel is a program: `hearlite/embedders/saved_model_filter.py` says what is refused before TensorFlow loads one.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from hearlite.embedders.base import Clips, EmbedderInfo, Embeddings, as_clips
from hearlite.embedders.saved_model_filter import SIGNATURE, fingerprint, load_saved_model, sizes
from hearlite.errors import InputError
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM
from hearlite.text import brief

# Clips per call, always the same, so that there is one trace and one XLA compilation. With 8, a ViT-L needs no more
# memory than loading it does (3.4 GB, measured).
BATCH_CLIPS = 8
HEAR_INPUT, HEAR_OUTPUT = "x", "output_0"  # names in the SavedModel google/hear
HEAR_LICENCE = "HAI-DEF terms"
HEAR_NOTICE = (
    "HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use "
    "found at https://developers.google.com/health-ai-developer-foundations/terms"
)
_HOW_TO_GET_HEAR = (
    "hearlite never downloads HeAR: accept the terms of google/hear on the model hub, download the TensorFlow"
    " SavedModel (saved_model.pb and variables/), and pass its folder as hear:DIR"
)
# Relative to the largest coordinate. The batch's shape alone changes 1e-6 (measured on ViTs), a coupled batch far more.
_INDEPENDENCE_TOLERANCE = 1e-3


class _BatchTooLargeError(InputError):
    """Memory ran out; fewer clips at once may fit."""


class SavedModelTeacher:
    """An Embedder from a SavedModel that takes waveforms.

    Its signature serving_default must take float32 `[n, clip_samples]` and output float32 `[n, dim]`; `n` and the
    number of samples may be free or fixed. Of several outputs, output_0 or else embedding is used. Opening runs the
    model on seeded noise: if a clip's vector depends on the other clips in the batch (a bug of Google's PyTorch
    frontend for HeAR), clips are fed one by one, with a warning.

    Parameters
    ----------
    folder : str or Path
        Folder that holds saved_model.pb.
    threads : int, optional
        Number of CPU threads; by default TensorFlow's choice.

    Attributes
    ----------
    info : EmbedderInfo
        Name, dimension and fingerprint.

    Raises
    ------
    InputError
        When the folder, graph or signature does not fit, or the graph holds forbidden ops.
    UsageError
        When TensorFlow is already running with another number of threads.
    MissingExtraError
        When TensorFlow is not installed.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        self.folder = Path(folder)
        self._loaded, self._function = load_saved_model(self.folder, threads=threads)
        self.input_name, rows = self._waveform_input()
        self.output_name, dim = self._vector_output()
        self.fixed_rows = rows
        self._one_by_one, self._batch_clips = False, BATCH_CLIPS
        self.info = EmbedderInfo(
            name=f"saved-model:{folder}",
            kind="saved-model",
            dim=dim,
            licence="unknown",
            fingerprint=fingerprint(self.folder),
            surrogate_note=f"saved-model:{folder} stands in for HeAR: another network, from a folder given by the user",
        )
        self._probe()

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`.

        If memory runs out, batches are halved with a warning. Raises InputError when the model fails or outputs NaN or
        infinity.
        """
        clips = as_clips(clips)
        step = 1 if self._one_by_one else self.fixed_rows or self._batch_clips
        rows = self.fixed_rows or step
        try:
            parts = [
                self._call(_padded(clips[i : i + step], rows=rows))[: len(clips[i : i + step])]
                for i in range(0, len(clips), step)
            ]
        except _BatchTooLargeError:
            self._batch_clips = step // 2
            warnings.warn(
                f"{self.folder}: no memory for {step} clips at once; going on with {self._batch_clips}", stacklevel=2
            )
            return self.embed(clips)
        embeddings = np.concatenate(parts) if parts else np.empty((0, self.info.dim), dtype=np.float32)
        broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if broken.size:
            raise InputError(
                f"{self.folder} returns NaN or infinity for {broken.size} of {len(clips)} clips, first for clip"
                f" {broken[0]}"
            )
        return embeddings

    def _call(self, clips: Clips) -> Embeddings:
        import tensorflow as tf

        try:
            embeddings = self._function(**{self.input_name: tf.constant(clips)})[self.output_name].numpy()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            too_large = isinstance(error, tf.errors.ResourceExhaustedError) and len(clips) > 1 and not self.fixed_rows
            kind = _BatchTooLargeError if too_large else InputError
            raise kind(f"{self.folder}: the model fails on {len(clips)} clips: {brief(error)}") from error
        if embeddings.shape != (len(clips), self.info.dim):
            raise InputError(
                f"{self.folder} returns {list(embeddings.shape)} for {len(clips)} clips",
                f"expected [{len(clips)}, {self.info.dim}]",
            )
        return np.asarray(embeddings, dtype=np.float32)

    def _waveform_input(self) -> tuple[str, int | None]:
        """Return the name of the only input, and its number of rows if that is fixed."""
        inputs = self._function.structured_input_signature[1]
        listed = ", ".join(f"{name} {spec.dtype.name} {sizes(spec.shape)}" for name, spec in inputs.items())
        spec = next(iter(inputs.values())) if len(inputs) == 1 else None
        dims = sizes(spec.shape) if spec is not None and spec.dtype.name == "float32" else []
        if len(dims) != 2 or dims[1] not in (None, AUDIO.clip_samples) or dims[0] == 0:
            raise InputError(
                f"{self.folder}: {SIGNATURE} takes {listed or 'nothing'}",
                f"expected one float32 input [n, {AUDIO.clip_samples}]",
            )
        return next(iter(inputs)), dims[0]

    def _vector_output(self) -> tuple[str, int]:
        """Return the name and dimension of the embedding."""
        outputs = self._function.structured_outputs
        names = (
            list(outputs) if len(outputs) == 1 else [name for name in (HEAR_OUTPUT, "embedding") if name in outputs][:1]
        )
        dims = sizes(outputs[names[0]].shape) if names and outputs[names[0]].dtype.name == "float32" else []
        if len(dims) != 2 or not dims[1]:
            listed = ", ".join(f"{name} {spec.dtype.name} {sizes(spec.shape)}" for name, spec in outputs.items())
            raise InputError(
                f"{self.folder}: {SIGNATURE} returns {listed or 'nothing'}",
                f"expected float32 [n, dim]; of several, {HEAR_OUTPUT} or embedding",
            )
        return names[0], dims[1]

    def _probe(self) -> None:
        """Check that noise has the same finite vector alone, again, and beside a clip 20 times as loud."""
        noise = np.random.default_rng(0).uniform(-0.045, 0.045, size=(2, AUDIO.clip_samples)).astype(np.float32)
        alone, again = (self._call(_padded(noise[:1], rows=self.fixed_rows or 1))[0] for _ in range(2))
        if not np.isfinite(alone).all():
            raise InputError(f"{self.folder} returns NaN or infinity for noise", "use a working model")
        if _difference(again, alone) > _INDEPENDENCE_TOLERANCE:
            raise InputError(
                f"{self.folder} returns different vectors for the same clip",
                "export it for inference: no dropout, no state",
            )
        if self.fixed_rows == 1:
            return
        beside = self._call(_padded(np.stack([noise[0], 20 * noise[1]]), rows=self.fixed_rows or BATCH_CLIPS))[0]
        difference = _difference(beside, alone)
        if difference > _INDEPENDENCE_TOLERANCE:
            self._one_by_one = True
            what = f"{self.folder}: a louder clip in the batch changes a vector by {difference:.1%}"
            warnings.warn(f"{what}; clips are fed one by one, which is slower", stacklevel=3)


class HearTeacher:
    """Google's HeAR, the gated SavedModel google/hear.

    It must take `x`, float32 `[n, clip_samples]`, and output `output_0`, float32 `[n, 512]`, with exactly these names.

    Parameters
    ----------
    folder : str or Path
        Folder that holds saved_model.pb.
    threads : int, optional
        Number of CPU threads; by default TensorFlow's choice.

    Attributes
    ----------
    info : EmbedderInfo
        Name, dimension, licence and notice.

    Raises
    ------
    InputError
        When the folder holds anything else; the hint explains how to get the model.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        try:
            self._model = SavedModelTeacher(folder, threads=threads)
        except InputError as error:
            raise InputError(error.message, _HOW_TO_GET_HEAR) from error
        info, names = self._model.info, (self._model.input_name, self._model.output_name)
        if (*names, info.dim, self._model.fixed_rows) != (HEAR_INPUT, HEAR_OUTPUT, HEAR_EMBEDDING_DIM, None):
            actual = f"{names[0]} -> {names[1]} [{self._model.fixed_rows or 'n'}, {info.dim}]"
            raise InputError(
                f"{folder} is not HeAR: {actual}, expected {HEAR_INPUT} -> {HEAR_OUTPUT} [n, {HEAR_EMBEDDING_DIM}]",
                _HOW_TO_GET_HEAR,
            )
        self.info = dataclasses.replace(
            info, name=f"hear:{folder}", kind="hear", licence=HEAR_LICENCE, surrogate_note="", notice=HEAR_NOTICE
        )

    def embed(self, clips: Clips) -> Embeddings:
        """Embed float32 clips `[n, clip_samples]` in [-1, 1) as float32 `[n, dim]`."""
        return self._model.embed(clips)


def _difference(vector: Embeddings, reference: Embeddings) -> float:
    """Return the largest deviation, relative to the reference's largest coordinate; inf if not finite."""
    deviation = float(np.abs(vector - reference).max() / max(np.abs(reference).max(), np.finfo(np.float32).tiny))
    return deviation if np.isfinite(deviation) else float("inf")


def _padded(clips: Clips, *, rows: int) -> Clips:
    """Repeat the last clip up to `rows`, so that a batch holds nothing that is not in the data."""
    return np.concatenate([clips, np.repeat(clips[-1:], rows - len(clips), axis=0)])
