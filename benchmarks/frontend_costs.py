"""What frontend_forms.py measures of a file: instructions, operator by operator too, and how far an image is from the float64 one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.arm.box import Box
from hearlite.benchmarks.arm.cores import ARM64, CORES
from hearlite.benchmarks.arm.count import run_core, run_x86
from hearlite.benchmarks.arm.measure import read_model
from hearlite.benchmarks.arm.parity import make_inputs
from hearlite.benchmarks.cut import cut, network_of
from hearlite.benchmarks.latency import measure
from hearlite.embedder import Clips
from hearlite.errors import InputError
from hearlite.files import write_bytes
from hearlite.flatbuffer import summarize
from hearlite.frontend import frontend_numpy
from hearlite.runtime import TfliteModel
from hearlite.spec import AUDIO, FrontendSpec

STAGES_ON = "a76"


@dataclass(frozen=True)
class Costs:
    """Where files are written to be counted, and the box that counts them; None: nothing is counted."""

    folder: Path
    box: Box | None

    def write(self, content: bytes) -> Path:
        path = self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}.tflite"
        write_bytes(path, content)
        return path


def count(costs: Costs, content: bytes, *, cores: tuple[str, ...] = tuple(ARM64), x86: bool = True) -> dict[str, int]:
    """Instructions of one call by core, and of x86-64 with AVX2; empty without a box. Calls of a single operator may differ by a few dozen."""
    if costs.box is None:
        return {}
    path = costs.write(content)
    noise = next(iter(make_inputs(int(np.prod(read_model(path).input_shape))).values()))
    noise = np.stack([noise, noise])  # two calls warm up
    ran = {name: run_core(costs.box, path, noise, core=CORES[name]) for name in cores}
    ran |= {"x86": run_x86(costs.box, path, noise)} if x86 else {}
    found = {}
    for name, of in ran.items():
        if of.counted is None:
            raise InputError("the emulator ran without its plugin", "delete the box and set it up again")
        found[name] = of.counted.instructions
    return found


def stages(costs: Costs, content: bytes) -> list[dict[str, Any]]:
    """Every operator of a file's network with the instructions that it adds to those before it, on one core."""
    if costs.box is None:
        return []
    network, found, before = network_of(content), [], 0
    for index, op in enumerate(summarize(network).ops):
        total = count(costs, cut(network, last=index + 1), cores=(STAGES_ON,), x86=False)[STAGES_ON]
        found.append({"operator": op.name, "macs": op.macs, "instructions": total - before})
        before = total
    return found


def made_sounds(*, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """What is hard for a frontend: very quiet, clipped, one-sided, silent. Pure tones leave all bands but one to rounding."""
    rng, t = np.random.default_rng(seed), np.arange(AUDIO.clip_samples) / AUDIO.sample_rate_hz
    noise, step = rng.uniform(-1.0, 1.0, len(t)), 1.0 / AUDIO.pcm_full_scale
    click = np.zeros(len(t))
    click[len(t) // 3] = 0.9
    sounds = {
        "noise": 0.3 * noise,
        "noise at -60 dBFS": 1e-3 * noise,
        "one step of 16 bits": np.round(noise) * step,
        "clipped tone in noise": np.clip(3.0 * np.sin(2 * np.pi * 440.0 * t) + 0.3 * noise, -1.0, 1.0 - step),
        "square wave": np.where(np.sin(2 * np.pi * 440.0 * t) < 0, -1.0, 1.0 - step),
        "click": click,
        "quiet noise on an offset": 0.5 + 1e-3 * noise,
        "quiet noise on 50 Hz hum": 0.5 * np.sin(2 * np.pi * 50.0 * t) + 1e-3 * noise,
        "tone of 440 Hz": np.sin(2 * np.pi * 440.0 * t),
        "silence": np.zeros(len(t)),
    }
    return {name: np.asarray(sound, np.float32) for name, sound in sounds.items()}


def image_errors(content: bytes, spec: FrontendSpec, *, real: Clips, made: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Largest and RMS difference from the float64 image, over all recordings and for each made sound; None where an image is not finite."""
    model = TfliteModel(content)

    def difference(clip: NDArray[np.float32]) -> NDArray[np.float64]:
        image = next(iter(model.run(clip[None]).values()))[..., 0]
        return np.asarray(image - frontend_numpy(clip[None], spec=spec))

    def error(parts: list[NDArray[np.float64]]) -> dict[str, float | None]:
        every = np.concatenate(parts)
        if not np.isfinite(every).all():  # float16 has no 1e-8, PCEN's floor: silence is 0 / 0
            return {"max": None, "rms": None}
        return {"max": float(np.abs(every).max()), "rms": float(np.sqrt(np.mean(every**2)))}

    on_real = error([difference(clip) for clip in real]) if len(real) else None
    return {"error_real": on_real, "error_made": {name: error([difference(clip)]) for name, clip in made.items()}}


def whole_file(costs: Costs, path: Path, *, clips: Clips, runs: int) -> dict[str, Any]:
    """An exported file's network behind the earlier frontend and behind the one that ships: cost of both, and how far their embeddings are apart."""
    from hearlite.benchmarks.frontend_variants import forms
    from hearlite.convert import OUTPUT, join_frontend

    network = network_of(path.read_bytes())
    today, before = (form.convert() for form in forms()[:2])
    contents = {"before": join_frontend(before, network), "today": join_frontend(today, network), "frontend alone": today, "network alone": network}
    timed = {name: contents[name] for name in ("before", "today", "frontend alone")}
    latencies = measure({name: costs.write(content) for name, content in timed.items()}, runs=runs)
    row: dict[str, Any] = {"file": path.name, "ms": {item.model: item.median_ms for item in latencies}}
    row["bytes"] = {name: len(content) for name, content in contents.items()}
    row["instructions"] = {name: count(costs, content) for name, content in contents.items()}
    one, other = ([TfliteModel(contents[name]).run(clip[None])[OUTPUT][0] for clip in clips] for name in ("before", "today"))
    row["centred_cosine"] = _centred_cosine(np.asarray(one, np.float64), np.asarray(other, np.float64)) if len(clips) > 1 else None
    return row


def _centred_cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> dict[str, float]:
    """Of embeddings `[n, dim]` less the mean of `one`: mean and smallest over clips."""
    a, b = one - one.mean(axis=0), other - one.mean(axis=0)
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return {"mean": float(cosine.mean()), "min": float(cosine.min())}
