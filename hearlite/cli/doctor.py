"""The checks of `hearlite doctor`: installed packages, kernels, a short training and conversion.

Like a command, this module may import every stage.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from hearlite.errors import HearliteError
from hearlite.spec import AUDIO, STUDENTS, TrainSpec

TESTED_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TESTED_PLATFORM = ("Linux", "x86_64")
TRAIN = ("tensorflow", "tf-keras", "tensorflow-model-optimization")
_TRAIN_HINT = 'pip install "hearlite[train]"'
PACKAGES = {  # package: (what it allows, how to get it)
    "numpy": ("everything", "pip install hearlite"),
    "ai-edge-litert": ("run .tflite files: bench, embed, check, info", "pip install hearlite"),
    "soundfile": ("read recordings", "pip install hearlite"),
    "soxr": ("resample recordings", "pip install hearlite"),
    "scikit-learn": ("probes of bench", "pip install hearlite"),
    "tensorflow": ("distill, quantize, export", _TRAIN_HINT),
    "tf-keras": ("distill, quantize, export", _TRAIN_HINT),
    "tensorflow-model-optimization": ("quantization-aware training", _TRAIN_HINT),
    "ray": ("make records on several machines", 'pip install "hearlite[cluster]"'),
    "onnx": ("write ONNX files", 'pip install "hearlite[onnx]"'),
    "onnxruntime": ("run ONNX files", 'pip install "hearlite[onnx]"'),
    "skops": ("adapt-head: read classifiers of scikit-learn", 'pip install "hearlite[heads]"'),
}
# Instruction sets by which oneDNN and XNNPACK choose their kernels.
_ISA_FLAGS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "asimddp", "asimd")
# Relative to the largest output. LiteRT and TensorFlow sum in different orders; 8e-7 was measured, with and without
# oneDNN.
_CLOSE = 1e-4


@dataclass(frozen=True)
class Finding:
    """One line of the report. `ok` is None where nothing was tested."""

    what: str
    found: str
    allows: str
    ok: bool | None = None


def examine() -> list[Finding]:
    """Examine this installation within seconds; only temporary files are written.

    Returns
    -------
    list of Finding
        Python, platform, processor, disk, packages, LiteRT and, if TensorFlow is installed, its kernels and a test of
        training and conversion.
    """
    version = ".".join(platform.python_version_tuple()[:2])
    here = platform.system(), platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows = [
        Finding(
            "python",
            platform.python_version(),
            "tested" if version in TESTED_PYTHONS else f"not tested; {', '.join(TESTED_PYTHONS)} are",
        ),
        Finding(
            "platform",
            " ".join(here),
            "tested" if here == TESTED_PLATFORM else "dependencies resolve for it, but hearlite was not tested on it",
        ),
        Finding("processor", f"{cores} cores, {_instruction_sets()}", ""),
        Finding(
            "free disk",
            f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB",
            "records of distill take up to 66 kB per clip and view",
        ),
    ]
    rows += [
        Finding(package, _version(package) or f"not installed: {hint}", allows)
        for package, (allows, hint) in PACKAGES.items()
    ]
    rows.append(_runtime())
    if all(map(_version, TRAIN)):
        rows += [_kernels(), _drill()]
    return rows


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _instruction_sets() -> str:
    """Return the instruction sets that the processor reports; Linux only."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "instruction sets unknown"
    words = set(text.split())
    return ", ".join(flag for flag in _ISA_FLAGS if flag in words) or "no vector instructions that matter"


def _runtime() -> Finding:
    allows = "run .tflite files"
    try:
        from ai_edge_litert.interpreter import Interpreter
    except Exception as error:  # a broken wheel fails with anything from ImportError to SystemError
        return Finding("LiteRT", f"fails: {type(error).__name__}: {error}", allows, ok=False)
    return Finding("LiteRT", f"ok ({Interpreter.__module__})", allows, ok=True)


def _kernels() -> Finding:
    """Find out which kernels TensorFlow trains with.

    By default it enables oneDNN only on x86 with VNNI or AMX instructions.
    """
    try:
        import tensorflow as tf

        # Private, so it may be missing in another version.
        port = importlib.import_module("tensorflow.python.util._pywrap_util_port")
        onednn = "oneDNN" if port.IsMklEnabled() else "Eigen (oneDNN is off)"
    except Exception as error:
        return Finding("TensorFlow kernels", f"unknown: {type(error).__name__}: {error}", "distill, quantize")
    set_to = [
        f"{name}={os.environ[name]}" for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA") if name in os.environ
    ]
    gpus = len(tf.config.list_physical_devices("GPU"))
    return Finding(
        "TensorFlow kernels", ", ".join([onednn, f"{gpus} GPUs" if gpus else "no GPU", *set_to]), "distill, quantize"
    )


def _drill() -> Finding:
    """Train the tiny student for one step, convert a network and compare the file with TensorFlow."""
    allows, began = "distill, quantize, export", time.monotonic()
    student = STUDENTS["tiny"]
    try:
        from hearlite.distill.preflight import rehearse
        from hearlite.student import build_network, with_frontend
        from hearlite.tflite.convert import OUTPUT, convert_frontend, convert_network, join_frontend
        from hearlite.tflite.interpreter import TfliteModel

        rehearse(student, TrainSpec())
        trained = time.monotonic()
        network = build_network(student)
        model = TfliteModel(join_frontend(convert_frontend(student.frontend), convert_network(network)))
        converted = time.monotonic()
        clip = np.random.default_rng(0).uniform(-0.5, 0.5, (1, AUDIO.clip_samples)).astype(np.float32)
        actual, expected = model.run(clip)[OUTPUT], with_frontend(network, student)(clip, training=False).numpy()
    except (HearliteError, ImportError) as error:
        return Finding("drill", f"fails: {error}", allows, ok=False)
    except Exception as error:  # any error of a broken installation belongs in the report
        return Finding("drill", f"fails: {type(error).__name__}: {error}"[:500], allows, ok=False)
    off = float(np.abs(actual - expected).max() / np.abs(expected).max())
    took = (
        f"trained a step in {trained - began:.1f} s, converted in {converted - trained:.1f} s, the file is within"
        f" {off:.0e} of TensorFlow"
    )
    return Finding("drill", f"{'ok' if off <= _CLOSE else 'fails'}: {took}", allows, ok=off <= _CLOSE)
