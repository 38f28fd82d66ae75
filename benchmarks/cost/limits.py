"""Why a model is not faster, by the roofline (Williams et al. 2009, doi:10.1145/1498765.1498785): compute, memory, or everything around them."""

from __future__ import annotations

from hearlite.benchmarks.cost.operator_profile import BETWEEN
from hearlite.benchmarks.cost.roofline import bandwidth
from hearlite.benchmarks.cost.stage_profile import FRONTEND
from hearlite.benchmarks.schema.cost import Ceiling, Footprint, Latency, Limit, Profile

COMPUTE, MEMORY, OVERHEAD = "compute", "memory", "overhead"
_NEAR = 0.5  # a bound that explains half of the time is what limits a model; a good kernel rarely passes 0.9 of either
_SHOWN = 3  # kinds of operators


def limit(model: Footprint, row: Latency, *, ceiling: Ceiling, profile: Profile | None, bandwidth_bytes_per_s: float | None = None) -> Limit:
    """The least time that arithmetic and memory allow, beside the measured one, in words. The bandwidth is measured unless it is given."""
    speed = bandwidth_bytes_per_s or bandwidth(model.weight_bytes + model.activation_peak_bytes)
    compute_ms = 1e3 * (model.int8_macs / ceiling.int8_macs_per_s + (model.macs - model.int8_macs) / ceiling.float32_macs_per_s)
    memory_ms = 1e3 * model.moved_bytes / speed
    frontend = next((part.share for part in profile.stages if part.name == FRONTEND), None) if profile else None
    fractions = {COMPUTE: compute_ms / row.median_ms, MEMORY: memory_ms / row.median_ms}
    nearest = max(fractions, key=lambda bound: fractions[bound])
    bound = nearest if fractions[nearest] >= _NEAR else OVERHEAD
    return Limit(
        model=model.name,
        median_ms=row.median_ms,
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        bandwidth_bytes_per_s=speed,
        fraction_of_peak=fractions[COMPUTE],
        frontend_share=frontend,
        bound=bound,
        text=_text(bound, fractions, frontend=frontend, profile=profile),
    )


def limit_text(found: Limit, profile: Profile | None) -> str:
    """A limit in words, also one that an earlier version wrote down in others."""
    fractions = {COMPUTE: found.fraction_of_peak, MEMORY: found.memory_ms / found.median_ms if found.median_ms else 0.0}
    return _text(found.bound, fractions, frontend=found.frontend_share, profile=profile)


def _text(bound: str, fractions: dict[str, float], *, frontend: float | None, profile: Profile | None) -> str:
    said = {
        COMPUTE: "Arithmetic: its multiply-accumulates alone take {compute} of the time at this processor's peak (memory: {memory}).",
        MEMORY: "Memory: moving its weights and activations takes {memory} of the time (arithmetic at peak: {compute}).",
        OVERHEAD: "Neither arithmetic ({compute} of the time at this processor's peak) nor memory ({memory}), but operators too small or too thin to "
        "reach either.",
    }
    beyond = {
        COMPUTE: "No bound: its multiply-accumulates alone would take longer than the call did, so the peak is too low here (memory: {memory}).",
        MEMORY: "No bound: moving its weights and activations alone would take longer than the call did, so the model of memory overestimates here "
        "(arithmetic at peak: {compute}).",
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
