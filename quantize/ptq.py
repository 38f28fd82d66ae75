"""One recipe applied to a finished run: a quantized network behind its float32 frontend, with the comparison that gates it.

The network alone is quantized, from images of calibration clips, and joined behind the frontend: power spectra span 14 decades and must stay
float32, while the image after PCEN and log1p is bounded and even, which is where int8 begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hearlite.audio import from_int16
from hearlite.convert import (
    convert_frontend,
    convert_network,
    convert_network_dynamic,
    convert_network_float16,
    join_frontend,
    quantize_calibrated,
)
from hearlite.errors import GateError, UsageError
from hearlite.files import read_json, write_bytes, write_json
from hearlite.frontend_tf import Frontend
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import Comparison, LayerComparison, compare_files, compare_layers, worst_layers
from hearlite.quantize.finetune import train_quantized
from hearlite.quantize.qat import ranges_of
from hearlite.quantize.recipe import AUTO, LEARNED, recipes, require_known
from hearlite.quantize.static import Quantized, quantize_static
from hearlite.quantize.weight_only import weight_only
from hearlite.records import read_records, sample_examples
from hearlite.run import Run
from hearlite.spec import MIN_CENTRED_COSINE, QuantSpec, StudentSpec, to_dict
from hearlite.student import EMBED_BATCH, load_network

__all__ = ["Attempt", "Training", "image_batches", "quantize", "quantize_auto", "recipes"]

COMPARE_CLIPS = 500  # of validation subjects
LAYER_CLIPS = 64  # of them: tensor by tensor, without delegates, is slow and every clip holds many values


class Training(Protocol):
    """What quantization-aware distillation needs of the distill stage, handed in by the caller since stages don't import each other."""

    def batch(self, step: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """PCM `[n, clip_samples]` and targets `[n, dim]` of a step, the same whenever it is asked."""

    def loss(self, prediction: Any, target: Any) -> Any:
        """The distillation loss of two `[n, dim]`, a TensorFlow scalar."""


@dataclass(frozen=True)
class Attempt:
    """What `auto` found with one recipe; `folder` is None where the gate failed or the recipe could not be tried, and `reason` says why."""

    recipe: str
    folder: Path | None
    reason: str = ""


def quantize(run: Run, *, recipe: QuantSpec, force: bool = False, training: Training | None = None) -> Path:
    """`<run>/<recipe>/model.tflite` with recipe.json, calibration.json and compare.json beside it; returns the folder.

    The comparison with the float32 file, on clips of validation subjects, is a gate: below `minimum_cosine` a GateError that names the worst layer
    is raised and no model.tflite is left, unless `force`, which keeps it and marks compare.json as failed. A finished quantization is returned as
    it is. `training` is for recipes with qat alone, which raise UsageError without it.
    """
    require_known(recipe)
    folder = run.quantized(recipe.recipe)
    model = folder / "model.tflite"
    minimum = minimum_cosine(recipe, run.spec.student)
    if model.is_file() and read_json(folder / "recipe.json") == to_dict(recipe):
        if not force:
            found = read_json(folder / "compare.json")
            _require_passed(recipe, Comparison(**found["comparison"]), [LayerComparison(**layer) for layer in found["worst_layers"]], minimum=minimum)
        return folder
    model.unlink(missing_ok=True)

    records = read_records(run.records)
    calibration = choose_calibration(records, clips=recipe.calibration_clips, seed=recipe.calibration_seed)
    frontend = convert_frontend(run.spec.student.frontend)
    built = _build(run, recipe, pcm=calibration.pcm, training=training)
    quantized = join_frontend(frontend, built.network)
    reference = join_frontend(frontend, convert_network(load_network(run.spec.student, run.weights)))
    pcm, _ = sample_examples(records, "val", clips=COMPARE_CLIPS, seed=recipe.calibration_seed)
    comparison = compare_files(reference, quantized, pcm=pcm)
    layers = compare_layers(join_frontend(frontend, built.rounded_from), quantized, pcm=pcm[:: max(1, len(pcm) // LAYER_CLIPS)])
    worst = worst_layers(layers)
    write_json(folder / "recipe.json", to_dict(recipe))
    write_json(folder / "calibration.json", {"sha256": calibration.sha256, "clip_ids": calibration.clip_ids})
    write_json(
        folder / "compare.json",
        {
            "comparison": dataclasses.asdict(comparison),
            "minimum_centred_cosine": minimum,
            "passed": comparison.centred_cosine >= minimum,
            "worst_layers": [dataclasses.asdict(layer) for layer in worst],
            "layers": [dataclasses.asdict(layer) for layer in layers],
        },
    )
    if not force:
        _require_passed(recipe, comparison, worst, minimum=minimum)
    write_bytes(model, quantized)
    return folder


def quantize_auto(run: Run, *, training: Training | None = None) -> tuple[Attempt, ...]:
    """Try the recipes of AUTO until one passes its gate: the last of the returned is that one. Raises GateError when none does."""
    known, attempts = recipes(), list[Attempt]()
    for name in AUTO:
        if known[name].qat.fraction and training is None:
            attempts.append(Attempt(name, None, "needs the training data of the run"))
            continue
        try:
            attempts.append(Attempt(name, quantize(run, recipe=known[name], training=training)))
            return tuple(attempts)
        except GateError as error:
            attempts.append(Attempt(name, None, error.message))
    raise GateError(
        f"no recipe passes its gate for {run.folder}: {attempts[-1].reason}", "train longer, or pass --recipe with --force to keep a file"
    )


def minimum_cosine(recipe: QuantSpec, student: StudentSpec) -> float:
    """The recipe's own gate, or the one of the student's size."""
    return MIN_CENTRED_COSINE[student.size] if recipe.min_centred_cosine is None else recipe.min_centred_cosine


def image_batches(pcm: NDArray[np.int16], *, spec: StudentSpec) -> list[Any]:
    """Frontend images float32 `[n, frames, mels, 1]` of int16 `[n, clip_samples]`, in batches."""
    frontend = Frontend(spec.frontend)
    return [frontend(from_int16(pcm[start : start + EMBED_BATCH])).numpy() for start in range(0, len(pcm), EMBED_BATCH)]


def _build(run: Run, recipe: QuantSpec, *, pcm: NDArray[np.int16], training: Training | None) -> Quantized:
    """The network by `recipe`, calibrated with int16 `pcm` where it needs ranges."""
    network = load_network(run.spec.student, run.weights)
    ranges: dict[str, tuple[float, float]] = {}
    if recipe.qat.fraction:
        network, ranges = _train(run, network, recipe, training=training)
    plain = convert_network(network)
    if recipe.ranges == LEARNED:
        return Quantized(quantize_calibrated(plain, ranges_of(plain, ranges, output=network.layers[-1].name)), plain)
    if recipe.weights == "float16":
        return Quantized(convert_network_float16(network), plain)
    if recipe.activations == "dynamic":
        return Quantized(convert_network_dynamic(network), plain)
    if recipe.activations == "float32":
        return Quantized(weight_only(plain), plain)
    return quantize_static(plain, np.concatenate(image_batches(pcm, spec=run.spec.student)), recipe=recipe)


def _train(run: Run, network: Any, recipe: QuantSpec, *, training: Training | None) -> tuple[Any, dict[str, tuple[float, float]]]:
    """Quantization-aware distillation, resumed where a kill left it: the network and the ranges that it has learned."""
    if training is None:
        raise UsageError(f"recipe {recipe.recipe} trains, and was given no training data", "use static_wi8_ai8, or quantize the run by command")
    trained = train_quantized(
        network,
        student=run.spec.student,
        train=run.spec.train,
        qat=recipe.qat,
        batch=training.batch,
        loss=training.loss,
        checkpoint=run.quantized(recipe.recipe) / "qat_state.npz",
    )
    return trained.network, trained.ranges


def _require_passed(recipe: QuantSpec, comparison: Comparison, worst: Sequence[LayerComparison], *, minimum: float) -> None:
    if comparison.centred_cosine >= minimum:
        return
    blame = f"; the worst layer is {worst[0].layer} ({worst[0].snr_db:.0f} dB: {worst[0].cause})" if worst else ""
    raise GateError(
        f"{recipe.recipe}: the mean centred cosine of its embeddings to the float32 ones is {comparison.centred_cosine:.4f} "
        f"on {comparison.clips} validation clips, below the gate of {minimum}{blame}",
        f"{_remedy(recipe, worst)}, or pass --force to keep a file marked as failed",
    )


def _remedy(recipe: QuantSpec, worst: Sequence[LayerComparison]) -> str:
    """What to try next."""
    if recipe.weights != "int8" or recipe.activations != "int8":
        return "train longer"
    if recipe.qat.fraction:
        return "train longer, or keep activations in float32: --recipe weight_only_wi8_afp32"
    if worst and worst[0].cause.startswith("range too wide") and recipe.ranges == "minmax":
        return "set ranges to 'mse' in the recipe, or learn around it: --recipe qat_wi8_ai8"
    return "train longer, learn around it with --recipe qat_wi8_ai8, or let --recipe auto find one that passes"
