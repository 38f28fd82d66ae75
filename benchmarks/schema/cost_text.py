"""What limits a model, in words."""

from __future__ import annotations

from hearlite.benchmarks.schema.cost import Profile, RooflineBound

COMPUTE, MEMORY, OVERHEAD = "compute", "memory", "overhead"
_SHOWN = 3  # kinds of operators


def limit_text(found: RooflineBound, profile: Profile | None) -> str:
    """Return a limit in words, also one that an earlier version wrote in others."""
    fractions = {COMPUTE: found.fraction_of_peak, MEMORY: found.memory_ms / found.median_ms if found.median_ms else 0.0}
    return _text(found.bound, fractions, frontend=found.frontend_share, profile=profile)


def _text(bound: str, fractions: dict[str, float], *, frontend: float | None, profile: Profile | None) -> str:
    said = {
        COMPUTE: (
            "Arithmetic: its multiply-accumulates alone take {compute} of the time at this processor's peak (memory:"
            " {memory})."
        ),
        MEMORY: (
            "Memory: moving its weights and activations takes {memory} of the time (arithmetic at peak: {compute})."
        ),
        OVERHEAD: (
            "Neither arithmetic ({compute} of the time at this processor's peak) nor memory ({memory}), but operators"
            " too small or too thin to reach either."
        ),
    }
    beyond = {
        COMPUTE: (
            "No bound: its multiply-accumulates alone would take longer than the call did, so the peak is too low here"
            " (memory: {memory})."
        ),
        MEMORY: (
            "No bound: moving its weights and activations alone would take longer than the call did, so the model of"
            " memory overestimates here (arithmetic at peak: {compute})."
        ),
    }
    words = beyond if fractions.get(bound, 0.0) > 1 else said
    shown = words[bound].format(compute=_percent(fractions[COMPUTE]), memory=_percent(fractions[MEMORY]))
    if frontend is not None:
        shown += f" The frontend takes {_percent(frontend)}."
    kinds = [part for part in profile.operators if part.name != BETWEEN][:_SHOWN] if profile else []
    if kinds:
        shown += f" Most time goes to {', '.join(f'{part.name} ({_percent(part.share)})' for part in kinds)}."
    return shown


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share <= 1 else "all of it"


BETWEEN = "between operators"
