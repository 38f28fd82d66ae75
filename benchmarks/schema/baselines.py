"""What a model is to beat: models that learned nothing of sound, by name, and what they are in words."""

from __future__ import annotations

from collections.abc import Iterable

from hearlite.benchmarks.schema.results import ModelInfo
from hearlite.benchmarks.stats.estimates import Score

SPECTRAL, DURATION, PERMUTED = "spectral", "duration only", "permuted labels"  # names among the models
_ALONE = {SPECTRAL: "A spectrogram’s statistics alone", DURATION: "The event’s length alone"}
_WHAT = {
    SPECTRAL: "“spectral” is the mean, deviation, maximum and change of each mel band, nothing learned",
    DURATION: (
        "“duration only” is the length of the annotated event and no sound: what it reaches, any model may owe to"
        " length"
    ),
    PERMUTED: "“permuted labels” is {reference} with shuffled training labels, which must lie near 0.5",
}


def best_baseline(models: Iterable[ModelInfo], scores: Iterable[Score]) -> tuple[str, Score] | None:
    """Return the best baseline, named for the start of a sentence, and its score.

    Permuted labels don't compete: they lie at chance. None where none was measured.
    """
    names = {model.name for model in models if model.kind == "baseline" and model.name != PERMUTED}
    measured = [score for score in scores if score.model in names and score.auroc.shown]
    if not measured:
        return None
    best = max(measured, key=lambda score: score.auroc.value or 0.0)
    return f"{_ALONE.get(best.model, 'The best baseline')} ({best.model})", best


def explained(models: Iterable[ModelInfo], *, reference: str) -> tuple[str, ...]:
    """Return what each baseline among `models` is."""
    return tuple(
        _WHAT[model.name].format(reference=reference)
        for model in models
        if model.kind == "baseline" and model.name in _WHAT
    )
