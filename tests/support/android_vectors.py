"""Write the expected results of the Kotlin tests: WAVs, their windows, and files' embeddings.

They are computed in Python from synthetic sounds and never committed. For Gradle, write them with
`python tests/support/android_vectors.py MODEL.tflite ... --to android_harness/build/vectors`.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from eventful import MICROPHONE_HZ, minute
from numpy.typing import NDArray
from personal_vectors import write_vectors as write_personal_vectors

from hearlite.audio.clips import Samples, clip_starts_s, cut, to_int16
from hearlite.audio.decode import read_recording
from hearlite.audio.synth import DEVICES, draw_subject, recording
from hearlite.bundle import manifest_path, open_bundle, read_manifest
from hearlite.embedders.self_test import GOLDEN_SIGNAL, check_signals
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.events.scorer import FileScorer
from hearlite.events.stream import EventStream
from hearlite.files import write_bytes, write_json
from hearlite.spec import AUDIO

HOP_S = 0.75  # does not divide the length of a clip, so windows end between hops
MICROPHONES_HZ = (44_100, 48_000)


def write_vectors(folder: Path, *, models: Sequence[Path]) -> None:
    """Write test sounds and the results that are expected for them.

    The folder then contains, with arrays as raw little-endian float32:

    - copies of `models` with their manifests
    - `<name>.wav`: the sounds
    - `<name>.windows.f32`: their windows, [n, clip_samples]
    - `<name>.<file>.f32`: embeddings, [n, dim]
    - `<name>.<file>.mean.f32`, `<name>.<file>.max.f32`: pooled embeddings, [dim]
    - `<name>.<file>.scores.f32`: scores of a model with a head, [n, labels]
    - `minute.wav`, `minute_<rate>.wav`: a minute with events (tests/support/eventful.py)
    - `minute*.<file>.timeline.f32`, `minute*.<file>.events.json`: of a model with rules for events, its scores over
      time, [steps, labels], and the events
    - `personal*.json`: personal heads (tests/support/personal_vectors.py)
    - `vectors.json`: the names of models and sounds

    Parameters
    ----------
    folder : Path
        Folder to write to; it is created if necessary.
    models : sequence of Path
        Exported files with their manifests.
    """
    sounds = {
        "long": _sound("cough", duration_s=7.3),
        "short": _sound("wheeze", duration_s=3.0)[: round(0.9 * AUDIO.sample_rate_hz)],
        "stereo": np.stack([_sound("snore", duration_s=4.6), _sound("breath", duration_s=4.6)], axis=1),
        "golden": check_signals()[GOLDEN_SIGNAL],
    }
    resampled = {
        f"microphone_{rate}": (_sound("speech_babble", duration_s=5.0, rate_hz=rate), rate) for rate in MICROPHONES_HZ
    }
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        shutil.copy(model, folder)
        shutil.copy(manifest_path(model), folder)
    for name, (pcm, rate) in {
        **{name: (pcm, AUDIO.sample_rate_hz) for name, pcm in sounds.items()},
        **resampled,
    }.items():
        sf.write(folder / f"{name}.wav", pcm, rate, subtype="PCM_16")
        windows = _windows(read_recording(folder / f"{name}.wav"))
        _write(folder / f"{name}.windows.f32", windows)
        for model in models:
            embedder, manifest = open_bundle(model)
            embeddings = embedder.embed(windows)
            _write(folder / f"{name}.{model.stem}.f32", embeddings)
            _write(folder / f"{name}.{model.stem}.mean.f32", embeddings.mean(axis=0, dtype=np.float64))
            _write(folder / f"{name}.{model.stem}.max.f32", embeddings.max(axis=0))
            if manifest.head is not None:
                _write(
                    folder / f"{name}.{model.stem}.scores.f32",
                    TfliteEmbedder(model, output=manifest.head.output).embed(windows),
                )
    eventful = _write_events(folder, models)
    write_personal_vectors(folder)
    write_json(
        folder / "vectors.json",
        {
            "hop_s": HOP_S,
            "models": [model.name for model in models],
            "sounds": list(sounds),
            "resampled": list(resampled),
            "eventful": eventful,
        },
    )


def _write_events(folder: Path, models: Sequence[Path]) -> list[str]:
    """Write the minute and what is found in it, and return the names of its two versions."""
    rates = {"minute": AUDIO.sample_rate_hz, f"minute_{MICROPHONE_HZ}": MICROPHONE_HZ}
    for name, rate_hz in rates.items():
        sound = minute(rate_hz)
        sf.write(folder / f"{name}.wav", sound, rate_hz, subtype="PCM_16")
        for model in models:
            manifest = read_manifest(model)
            if manifest.steps is None or manifest.events is None:
                continue
            scorer = FileScorer(model, steps=manifest.steps, rules=manifest.events)
            stream = EventStream(scorer, rate_hz=rate_hz, keep_scores=True)
            events = stream.push(sound) + stream.finish()
            _write(folder / f"{name}.{model.stem}.timeline.f32", np.concatenate(stream.timeline))
            write_json(folder / f"{name}.{model.stem}.events.json", [dataclasses.asdict(event) for event in events])
    return list(rates)


def _sound(label: str, *, duration_s: float, rate_hz: int = AUDIO.sample_rate_hz) -> NDArray[np.int16]:
    """Return a synthetic sound, int16 `[duration_s * rate_hz]`."""
    rng = np.random.default_rng(0)
    device = dataclasses.replace(DEVICES[0], sample_rate_hz=rate_hz)
    samples, _, _ = recording(label, rng=rng, subject=draw_subject(rng), device=device, duration_s=duration_s)
    return to_int16(samples.astype(np.float32))


def _windows(samples: Samples) -> Samples:
    """Return the windows of a recording, float32 `[n, clip_samples]`."""
    starts_s = clip_starts_s(recording_s=len(samples) / AUDIO.sample_rate_hz, hop_s=HOP_S)
    return np.stack([cut(samples, start_s=start_s) for start_s in starts_s])


def _write(path: Path, values: NDArray[np.floating]) -> None:
    write_bytes(path, values.astype("<f4").tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.tflite")
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    write_vectors(arguments.to, models=arguments.models)
