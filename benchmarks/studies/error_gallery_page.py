"""The page of benchmarks/studies/error_gallery.py: one HTML with sounds and spectrograms inside it, which needs nothing from outside."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.benchmarks.report.pages import environment
from hearlite.dataset import Clip, read_clips
from hearlite.files import write_bytes
from hearlite.frontend import frontend_numpy
from hearlite.spec import AUDIO, HEAR_FRONTEND

if TYPE_CHECKING:
    from hearlite.benchmarks.studies.error_gallery import Mistakes

_COLOURS = "magma"  # dark is quiet; perceptually even, and readable in grey


def write_page(found: Sequence[Mistakes], path: Path, *, dataset: str, teacher: str, student: str) -> None:
    """Decode the shown clips again and write the page through a temporary file. A recording that can't be read any more is left out."""
    refs = [mistake.clip for item in found for mistake in item.shown]
    heard = {
        item.ref: (data_uri("audio/wav", wav(item.pcm)), data_uri("image/png", spectrogram(item.pcm)))
        for item in read_clips(refs)
        if isinstance(item, Clip)
    }
    html = (
        environment()
        .get_template("mistakes.html.j2")
        .render(found=found, heard=heard, dataset=dataset, teacher=teacher, student=student, clip_s=AUDIO.clip_s)
    )
    write_bytes(path, html.encode("utf-8", errors="replace"))  # names may hold lone surrogates


def wav(pcm: NDArray[np.int16]) -> bytes:
    """A mono WAV of int16 samples [n]."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.dtype.itemsize)
        file.setframerate(AUDIO.sample_rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def spectrogram(pcm: NDArray[np.int16]) -> bytes:
    """A PNG of what HeAR sees of int16 samples [clip_samples]: time to the right, frequency upwards."""
    from matplotlib.image import imsave

    image = np.log1p(frontend_numpy(from_int16(pcm[None]), spec=HEAR_FRONTEND)[0])  # [frames, mels]
    target = io.BytesIO()
    imsave(target, image.T, cmap=_COLOURS, origin="lower", format="png")
    return target.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """A data: URI of some bytes."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
