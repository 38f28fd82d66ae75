"""results.json as small as its tables need: what people read stays, what only plots or audits need is left out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

from hearlite.benchmarks.schema.results import ModelInfo, Results, TaskResult
from hearlite.benchmarks.stats.estimates import Curve, Score

_DIGITS = 5  # significant; intervals are wider than the fourth
_LAYERS = 3  # of a quantized file, the worst
Value = TypeVar("Value")


def slim(results: Results, *, sha256: str) -> Results:
    """Return `results` without curves, calibration, operating points and all but the worst layers, rounded.

    `sha256` is that of the whole results.json, which the slim one names as `slimmed_from`.
    """
    slimmed = dataclasses.replace(
        results,
        models=tuple(_model(model) for model in results.models),
        tasks=tuple(_task(task) for task in results.tasks),
        slimmed_from=sha256,
    )
    return rounded(slimmed)


def _model(model: ModelInfo) -> ModelInfo:
    if model.quantization is None:
        return model
    worst = model.quantization.worst(_LAYERS)
    return dataclasses.replace(model, quantization=dataclasses.replace(model.quantization, layers=tuple(worst)))


def _task(task: TaskResult) -> TaskResult:
    return dataclasses.replace(task, scores=tuple(_score(score) for score in task.scores))


def _score(score: Score) -> Score:
    return dataclasses.replace(score, chosen=(), roc=Curve(), sweep=None, point=None, calibration=None)


def rounded(value: Value) -> Value:
    """Return a copy of plain data, or of dataclasses, with floats rounded to five significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [rounded(item) for item in value]  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(rounded(item) for item in value)  # type: ignore[return-value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields: dict[str, Any] = {item.name: rounded(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
