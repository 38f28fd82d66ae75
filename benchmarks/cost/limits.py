"""Why a model is not faster, by the roofline (Williams et al. 2009, doi:10.1145/1498765.1498785): compute, memory, or everything around them."""

from __future__ import annotations

import dataclasses

from hearlite.benchmarks.cost.roofline import bandwidth
from hearlite.benchmarks.cost.stage_profile import FRONTEND
from hearlite.benchmarks.schema.cost import Ceiling, Footprint, Latency, Limit, Profile
from hearlite.benchmarks.schema.cost_text import COMPUTE, MEMORY, OVERHEAD, limit_text

_NEAR = 0.5  # a bound that explains half of the time is what limits a model; a good kernel rarely passes 0.9 of either


def limit(model: Footprint, row: Latency, *, ceiling: Ceiling, profile: Profile | None, bandwidth_bytes_per_s: float | None = None) -> Limit:
    """The least time that arithmetic and memory allow, beside the measured one, in words. The bandwidth is measured unless it is given."""
    speed = bandwidth_bytes_per_s or bandwidth(model.weight_bytes + model.activation_peak_bytes)
    compute_ms = 1e3 * (model.int8_macs / ceiling.int8_macs_per_s + (model.macs - model.int8_macs) / ceiling.float32_macs_per_s)
    memory_ms = 1e3 * model.moved_bytes / speed
    frontend = next((part.share for part in profile.stages if part.name == FRONTEND), None) if profile else None
    fractions = {COMPUTE: compute_ms / row.median_ms, MEMORY: memory_ms / row.median_ms}
    nearest = max(fractions, key=lambda bound: fractions[bound])
    bound = nearest if fractions[nearest] >= _NEAR else OVERHEAD
    found = Limit(
        model=model.name,
        median_ms=row.median_ms,
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        bandwidth_bytes_per_s=speed,
        fraction_of_peak=fractions[COMPUTE],
        frontend_share=frontend,
        bound=bound,
        text="",
    )
    return dataclasses.replace(found, text=limit_text(found, profile))
