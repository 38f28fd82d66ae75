"""A ready folder for an app developer: model, manifest, NOTICE, the golden sound, and a snippet."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.bundle import Manifest, manifest_path, read_manifest
from hearlite.embedders.self_test import check_signals
from hearlite.errors import InputError, UsageError
from hearlite.files import write_bytes
from hearlite.spec import AUDIO
from hearlite.text import code, markdown

GOLDEN = "golden.wav"


@dataclass(frozen=True)
class Platform:
    """A platform: its snippet, what an app adds to its build, and how the snippet was tested.

    `snippet` is the file's name, from export/snippets/<snippet>.j2.
    """

    snippet: str
    needs: str
    tested: str


PLATFORMS = {
    "android": Platform(
        "HearliteEmbedder.kt",
        'implementation("com.google.ai.edge.litert:litert:2.3.0"), and androidResources { noCompress += "tflite" }',
        "run on the JVM over LiteRT's desktop library, not on a phone",
    ),
    "ios": Platform(
        "HearliteEmbedder.swift", "pod 'TensorFlowLiteSwift', '~> 2.17'", "not run here: no Mac was at hand"
    ),
    "flutter": Platform(
        "hearlite_embedder.dart", "tflite_flutter: ^0.12.0, and the .tflite among the assets", "not run here"
    ),
    "react-native": Platform(
        "hearliteEmbedder.ts", "react-native-fast-tflite 3, and 'tflite' among Metro's assetExts", "not run here"
    ),
    "web": Platform(
        "hearlite.mjs", "@litertjs/core 2.5, its wasm folder served beside the page", "run in Node with a shim"
    ),
    "python": Platform("embed.py", "ai-edge-litert, numpy, soundfile", "run"),
}


def package(model: Path, *, platform: str, to: Path, overwrite: bool = False) -> list[Path]:
    """Write the folder `to` for an exported `model` and return its files.

    Raises UsageError for an unknown platform, InputError for a model that isn't what its manifest says, and for files
    in the way that differ, unless `overwrite` replaces them.
    """
    if platform not in PLATFORMS:
        raise UsageError(f"platform is {platform!r}", f"use one of {', '.join(PLATFORMS)}")
    manifest = read_manifest(model)
    files = {
        model.name: model.read_bytes(),
        manifest_path(model).name: manifest_path(model).read_bytes(),
        "NOTICE.txt": read_notice(model),
        PLATFORMS[platform].snippet: _render(PLATFORMS[platform].snippet, manifest, platform=platform),
        "README.md": _render("README.md", manifest, platform=platform),
        GOLDEN: golden_wav(manifest),
    }
    for name, content in files.items():
        if (to / name).exists() and (to / name).read_bytes() != content and not overwrite:
            raise InputError(
                f"{to / name} is there already and differs", "choose another folder, or pass --overwrite to replace it"
            )
    for name, content in files.items():
        write_bytes(to / name, content)
    return [to / name for name in files]


def read_notice(model: Path) -> bytes:
    """Return the NOTICE beside an exported file. Raises InputError where it is missing."""
    path = model.with_name(f"{model.stem}.NOTICE.txt")
    if not path.is_file():
        raise InputError(
            f"{path} is missing", "terms travel with the model: keep the NOTICE that 'hearlite export' wrote beside it"
        )
    return path.read_bytes()


def _render(name: str, manifest: Manifest, *, platform: str) -> bytes:
    import jinja2

    template = resources.files("hearlite.export").joinpath("snippets", f"{name}.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"markdown": markdown, "code": code}
    return (
        environment.from_string(template)
        .render(m=manifest, platform=platform, p=PLATFORMS[platform], golden=GOLDEN)
        .encode()
    )


def golden_wav(manifest: Manifest) -> bytes:
    """Return the sound of the manifest's golden embedding, as 16-bit WAV.

    Raises InputError for one that this version doesn't know.
    """
    signals = check_signals()
    if manifest.golden_signal not in signals:
        raise InputError(
            f"{manifest.name}: its golden signal is {manifest.golden_signal!r}",
            f"this version knows {', '.join(signals)}",
        )
    return wav_bytes(signals[manifest.golden_signal])


def wav_bytes(pcm: NDArray[np.int16]) -> bytes:
    """Return a 16-bit WAV file of int16 `[samples]` at 16 kHz."""
    import soundfile as sf

    stream = io.BytesIO()
    sf.write(stream, pcm, AUDIO.sample_rate_hz, subtype="PCM_16", format="WAV")
    return stream.getvalue()
