"""Post-training quantization: a finished run in, an int8 network behind its float32 frontend out, with the comparison that gates it.

The network alone is quantized, from images of calibration clips, and joined behind the frontend: power spectra span 14 decades and must stay
float32, while the image after PCEN and log1p is bounded and even, which is where int8 begins.
"""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.convert import convert_frontend, convert_network, join_frontend
from hearlite.errors import GateError, UsageError
from hearlite.files import read_json, write_bytes, write_json
from hearlite.frontend_tf import Frontend
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import Comparison, compare_files
from hearlite.records import read_records, sample_examples
from hearlite.run import Run
from hearlite.spec import QuantSpec, StudentSpec, from_dict, to_dict
from hearlite.student import EMBED_BATCH, load_network

COMPARE_CLIPS = 512  # of validation subjects


def recipes() -> dict[str, QuantSpec]:
    """All recipes by name, from quantize/recipes/*.json."""
    found = {}
    for item in sorted(resources.files("hearlite.quantize").joinpath("recipes").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".json"):
            spec = from_dict(QuantSpec, read_json(Path(str(item))), where=item.name)
            found[spec.recipe] = spec
    return found


def quantize(run: Run, *, recipe: QuantSpec, force: bool = False) -> Path:
    """`<run>/<recipe>/model.tflite` with recipe.json, calibration.json and compare.json beside it; returns the folder.

    The comparison with the float32 file, on clips of validation subjects, is a gate: below `recipe.min_centred_cosine` a GateError is raised and
    no model.tflite is left, unless `force`, which keeps it and marks compare.json as failed. A finished quantization is returned as it is.
    """
    if recipe.weights != "int8_per_channel" or recipe.activations != "int8":
        raise UsageError(f"recipe {recipe.recipe} asks for {recipe.weights} x {recipe.activations}", "only int8_per_channel x int8 is built")
    folder = run.quantized(recipe.recipe)
    model = folder / "model.tflite"
    if model.is_file() and read_json(folder / "recipe.json") == to_dict(recipe):
        if not force:
            _require_passed(recipe, Comparison(**read_json(folder / "compare.json")["comparison"]))
        return folder
    model.unlink(missing_ok=True)

    records = read_records(run.records)
    calibration = choose_calibration(records, clips=recipe.calibration_clips, seed=recipe.calibration_seed)
    network = load_network(run.spec.student, run.weights)
    images = image_batches(calibration.pcm, spec=run.spec.student)
    frontend = convert_frontend(run.spec.student.frontend)
    quantized = join_frontend(frontend, convert_network(network, calibration=[image for batch in images for image in batch]))
    reference = join_frontend(frontend, convert_network(network))
    pcm, _ = sample_examples(records, "val", clips=COMPARE_CLIPS, seed=recipe.calibration_seed)
    comparison = compare_files(reference, quantized, pcm=pcm)
    passed = comparison.centred_cosine >= recipe.min_centred_cosine
    write_json(folder / "recipe.json", to_dict(recipe))
    write_json(folder / "calibration.json", {"sha256": calibration.sha256, "clip_ids": calibration.clip_ids})
    write_json(
        folder / "compare.json",
        {"comparison": dataclasses.asdict(comparison), "minimum_centred_cosine": recipe.min_centred_cosine, "passed": passed},
    )
    if not force:
        _require_passed(recipe, comparison)
    write_bytes(model, quantized)
    return folder


def image_batches(pcm: NDArray[np.int16], *, spec: StudentSpec) -> list[Any]:
    """Frontend images float32 `[n, frames, mels, 1]` of int16 `[n, clip_samples]`, in batches."""
    frontend = Frontend(spec.frontend)
    return [frontend(from_int16(pcm[start : start + EMBED_BATCH])).numpy() for start in range(0, len(pcm), EMBED_BATCH)]


def _require_passed(recipe: QuantSpec, comparison: Comparison) -> None:
    if comparison.centred_cosine < recipe.min_centred_cosine:
        raise GateError(
            f"{recipe.recipe}: the mean centred cosine of int8 to float32 embeddings is {comparison.centred_cosine:.4f} "
            f"on {comparison.clips} validation clips, below the gate of {recipe.min_centred_cosine}",
            "train longer, calibrate with more clips, or pass --force to keep a file marked as failed",
        )
