"""Recipes applied to a finished run: a quantized network behind its float32 frontend, gated by a comparison.

The network alone is quantized, from images of calibration clips, and joined behind the frontend: power spectra span 14
decades and must stay float32, while the image after PCEN and log1p is bounded and even, which is where int8 begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite.data.records import Records, read_records, sample_examples
from hearlite.errors import GateError, InputError
from hearlite.files import read_json, write_bytes, write_json
from hearlite.gate import GateResult, evaluate_gate, read_gate_result
from hearlite.quantize.build import TrainingData, build
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import compare_files, compare_layers
from hearlite.quantize.gate import QualityProbe, compare_json, failure, gate_limits, more_telling
from hearlite.quantize.recipe import recipes, require_known
from hearlite.run import Run
from hearlite.serialization import to_dict
from hearlite.spec import QuantSpec
from hearlite.student import load_network
from hearlite.tflite.convert import convert_frontend, convert_network, join_frontend
from hearlite.tflite.model_file import read_tflite
from hearlite.tflite.trial import require_trial
from hearlite.writing import locked

__all__ = ["Attempt", "TrainingData", "quantize", "quantize_auto", "recipes"]

COMPARE_CLIPS = 500  # of validation subjects
LAYER_CLIPS = 64  # of them: tensor by tensor, without delegates, is slow and every clip holds many values


@dataclass(frozen=True)
class Attempt:
    """What `auto` found with one recipe.

    `folder` is None where the gate failed or it could not be tried, and `reason` names it and says why.
    """

    recipe: str
    folder: Path | None
    reason: str = ""


def quantize(
    run: Run,
    *,
    recipe: QuantSpec,
    allow_failed_gate: bool = False,
    training: TrainingData | None = None,
    quality: QualityProbe | None = None,
) -> Path:
    """`<run>/<recipe>/model.tflite` with recipe.json, calibration.json and compare.json beside it; returns the folder.

    The comparison with the float32 file is a gate: the centred cosine on clips of validation subjects, and with
    `quality` the AUROC that probes lose. Where one fails, a GateError that names the worst layer is raised and no
    model.tflite is left, unless `allow_failed_gate`, which keeps it and marks compare.json as failed. A finished
    quantization is returned as it is, after another look when its AUROC loss was not measured by this `quality`.
    `training` is for recipes with qat alone, which raise UsageError without it.
    """
    with locked(run.folder):
        made = _make(_Float(run), recipe, training=training, quality=quality)
        failed = failure(recipe, made.verdict)
        if failed and not allow_failed_gate:
            raise failed
        return made.keep()


def quantize_auto(
    run: Run,
    *,
    recipes: Sequence[QuantSpec],
    allow_failed_gate: bool = False,
    training: TrainingData | None = None,
    quality: QualityProbe | None = None,
) -> tuple[Attempt, ...]:
    """Try the recipes until one passes its gate: the last of the returned is that one.

    When none does, GateError is raised, or with `allow_failed_gate` the one nearest to float32, by centred cosine, is
    kept and marked as failed. What an earlier call has settled is not done again.
    """
    with locked(run.folder):
        return _try(run, recipes, allow_failed_gate=allow_failed_gate, training=training, quality=quality)


def _try(
    run: Run,
    recipes: Sequence[QuantSpec],
    *,
    allow_failed_gate: bool,
    training: TrainingData | None,
    quality: QualityProbe | None,
) -> tuple[Attempt, ...]:
    if settled := _settled(run, recipes, quality=quality):
        return settled
    source, attempts, made = _Float(run), list[Attempt](), list[_Made]()
    for recipe in recipes:
        if recipe.qat.fraction and training is None:
            attempts.append(Attempt(recipe.recipe, None, f"{recipe.recipe}: needs the training data of the run"))
            continue
        made.append(_make(source, recipe, training=training, quality=quality))
        failed = failure(recipe, made[-1].verdict)
        if failed is None:
            return (*attempts, Attempt(recipe.recipe, made[-1].keep()))
        attempts.append(Attempt(recipe.recipe, None, failed.message))
    if not (allow_failed_gate and made):
        reasons = "".join(f"\n  {attempt.reason}" for attempt in attempts)
        raise GateError(
            f"no recipe passes its gate for {run.folder}{reasons}",
            "train longer, or pass --allow-failed-gate to keep the nearest file",
        )
    nearest = max(made, key=lambda one: one.verdict.comparison.centred_cosine)
    return (
        *attempts,
        Attempt(
            nearest.folder.name,
            nearest.keep(),
            f"{nearest.folder.name}: the nearest to float32, kept although it failed its gate",
        ),
    )


@dataclass(frozen=True)
class _Made:
    """A quantized file with its verdict, which is written, while the file itself is perhaps not."""

    folder: Path
    model: bytes
    verdict: GateResult

    def keep(self) -> Path:
        path = self.folder / "model.tflite"
        if not path.is_file():
            write_bytes(path, self.model)
        return self.folder


class _Float:
    """The float32 side of a run, which all recipes share."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def records(self) -> Records:
        return read_records(self.run.records)

    @cached_property
    def frontend(self) -> bytes:
        return convert_frontend(self.run.spec.student.frontend)

    @cached_property
    def file(self) -> bytes:
        return join_frontend(self.frontend, convert_network(load_network(self.run.spec.student, self.run.weights)))

    def validation_clips(self, *, seed: int) -> NDArray[np.int16]:
        return sample_examples(self.records, "val", clips=COMPARE_CLIPS, seed=seed)[0]


def _make(source: _Float, recipe: QuantSpec, *, training: TrainingData | None, quality: QualityProbe | None) -> _Made:
    """Return the file by `recipe`: the existing one, judged again if need be, or a new one.

    Everything beside it is written.
    """
    require_known(recipe)
    folder = source.run.quantized(recipe.recipe)
    return _found(source, folder, recipe, quality=quality) or _new(
        source, folder, recipe, training=training, quality=quality
    )


def _found(source: _Float, folder: Path, recipe: QuantSpec, *, quality: QualityProbe | None) -> _Made | None:
    """Return a finished quantization by the same recipe.

    Measured by another `quality` or none, its AUROC drop is measured again.
    """
    model, path, known = folder / "model.tflite", folder / "compare.json", _known(source.run, recipe)
    if known is None or not model.is_file():
        return None
    content, auroc = read_tflite(model), known.auroc
    require_trial(content, where=str(model))
    if quality is not None and not _measured(known, quality):
        auroc = more_telling(known, quality(source.file, content))
    verdict = evaluate_gate(
        known.comparison, auroc, limits=gate_limits(recipe, source.run.spec.student), layers=known.layers
    )
    if verdict != known:
        if not verdict.passed:
            model.unlink()  # before the verdict: whatever is killed here, no file is left that passes for a good one
        write_json(path, compare_json(verdict, read_json(path)["layers"]))
    return _Made(folder, content, verdict)


def _settled(run: Run, recipes: Sequence[QuantSpec], *, quality: QualityProbe | None) -> tuple[Attempt, ...]:
    """Return what an earlier call of `auto` found, if it is all there and the last passes.

    Else nothing.
    """
    attempts = list[Attempt]()
    for recipe in recipes:
        known, folder = _known(run, recipe), run.quantized(recipe.recipe)
        if known is None or not _measured(known, quality) or known.limits != gate_limits(recipe, run.spec.student):
            break
        failed = failure(recipe, known)
        if failed is None:
            return (*attempts, Attempt(recipe.recipe, folder)) if (folder / "model.tflite").is_file() else ()
        attempts.append(Attempt(recipe.recipe, None, failed.message))
    return ()


def _known(run: Run, recipe: QuantSpec) -> GateResult | None:
    """Return the gate's result of an earlier call on the same recipe, whose file may have been refused.

    None for one of another version.
    """
    folder = run.quantized(recipe.recipe)
    try:
        return (
            read_gate_result(folder / "compare.json") if read_json(folder / "recipe.json") == to_dict(recipe) else None
        )
    except InputError:
        return None


def _measured(known: GateResult, quality: QualityProbe | None) -> bool:
    """Whether it has the AUROC loss that is asked for."""
    return quality is None or (known.auroc is not None and known.auroc.data == quality.data)


def _new(
    source: _Float, folder: Path, recipe: QuantSpec, *, training: TrainingData | None, quality: QualityProbe | None
) -> _Made:
    known = _known(source.run, recipe)
    for name in ("model.tflite", "compare.json"):
        (folder / name).unlink(missing_ok=True)
    calibration = choose_calibration(source.records, clips=recipe.calibration_clips, seed=recipe.calibration_seed)
    built = build(source.run, recipe, pcm=calibration.pcm, training=training)
    quantized = join_frontend(source.frontend, built.network)
    pcm = source.validation_clips(seed=recipe.calibration_seed)
    comparison = compare_files(source.file, quantized, pcm=pcm)
    rounded_from = join_frontend(source.frontend, built.rounded_from)
    layers = compare_layers(rounded_from, quantized, pcm=pcm[:: max(1, len(pcm) // LAYER_CLIPS)])
    # The same recipe makes the same file: without labels, what was measured with them still holds. A refusal stays.
    if quality is None:
        auroc = known.auroc if known else None
    else:
        auroc = more_telling(known, quality(source.file, quantized))
    limits = gate_limits(recipe, source.run.spec.student)
    verdict = evaluate_gate(comparison, auroc, limits=limits, layers=tuple(layer.in_short() for layer in layers))
    write_json(folder / "recipe.json", to_dict(recipe))
    write_json(folder / "calibration.json", {"sha256": calibration.sha256, "clip_ids": calibration.clip_ids})
    write_json(folder / "compare.json", compare_json(verdict, [dataclasses.asdict(layer) for layer in layers]))
    return _Made(folder, quantized, verdict)
