"""What the project promised of cost, held against what was measured. A missed goal carries what explains it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hearlite.benchmarks.cost.reference_models import HEAR
from hearlite.benchmarks.cost.stage_profile import FRONTEND
from hearlite.benchmarks.schema.cost import Cost, Goal, Part, Profile, Speedup

YAMNET = "yamnet"  # a peer by this name is a real file of it (--peer FILE)


@dataclass(frozen=True)
class Faster:
    """A student's int8 file is to be `times` as fast as another model: a call, or a second of sound where the two hear
    differently long.
    """

    size: str
    to: str
    times: float
    per_audio: bool


# The int8 files on a PC's processor, one thread. HeAR's shape is float32: that is what users of HeAR run.
FASTER = (
    Faster("small", HEAR, 150.0, per_audio=False),
    Faster("small", YAMNET, 2.0, per_audio=True),
    Faster("tiny", HEAR, 300.0, per_audio=False),
    Faster("tiny", YAMNET, 5.0, per_audio=True),
    Faster("base", HEAR, 80.0, per_audio=False),
)
FRONTEND_OF, FRONTEND_SHARE, FRONTEND_MS = "small", 0.5, 1.0
ARM_CORE, FEWER_ON_ARM = "Cortex-A76", 1.8  # instructions of the float32 network over the int8 one's


def goals(cost: Cost) -> tuple[Goal, ...]:
    """Every goal whose two models were both measured."""
    found = [goal for wanted in FASTER for goal in _faster(cost, wanted)]
    return (*found, *_frontend(cost), *_fewer_on_arm(cost))


def _faster(cost: Cost, wanted: Faster) -> list[Goal]:
    goals = []
    for pair in cost.speedups:
        if _is_int8(pair.model, wanted.size) and _is(pair.to, wanted.to):
            ratio = pair.ratio_per_audio if wanted.per_audio else pair.ratio
            unit = "a second of sound" if wanted.per_audio else "a call"
            got = (
                f"{ratio:.1f}x [{pair.p5 * ratio / pair.ratio:.1f}, {pair.p95 * ratio / pair.ratio:.1f}] over"
                f" {pair.rounds} rounds"
            )
            met = ratio >= wanted.times
            what = f"faster {unit} than {pair.to}"
            goals.append(
                Goal(
                    pair.model,
                    what,
                    f"at least {wanted.times:g}x",
                    got,
                    met,
                    "" if met else _why(cost, pair, per_audio=wanted.per_audio),
                )
            )
    return goals


def _frontend(cost: Cost) -> list[Goal]:
    goals = []
    for profile in cost.profiles:
        part = next((part for part in profile.stages if part.name == FRONTEND), None)
        if part and _is_int8(profile.model, FRONTEND_OF):
            met = part.share <= FRONTEND_SHARE and part.ms <= FRONTEND_MS
            wanted = f"at most {100 * FRONTEND_SHARE:.0f} % and {FRONTEND_MS:.1f} ms"
            got = f"{100 * part.share:.0f} %, {part.ms:.2f} ms"
            goals.append(
                Goal(
                    profile.model,
                    "frontend's part of the time",
                    wanted,
                    got,
                    met,
                    "" if met else _slowest(profile, part),
                )
            )
    return goals


def _fewer_on_arm(cost: Cost) -> list[Goal]:
    rows = {
        row.model: row.network_instructions
        for row in cost.arm
        if row.core.startswith(ARM_CORE) and row.network_instructions
    }
    goals = []
    for name, own in rows.items():
        wide = rows.get(re.sub(r"_i8(?![a-z0-9]).*\.tflite$", "_f32.tflite", name))
        if wide and _is_int8(name, "[a-z]+"):
            ratio = wide / own
            what = f"fewer instructions of the network on {ARM_CORE} than in float32"
            why = "" if ratio >= FEWER_ON_ARM else "depthwise convolutions have no dot product instruction to use"
            goals.append(
                Goal(name, what, f"at least {FEWER_ON_ARM:g}x", f"{ratio:.2f}x, counted", ratio >= FEWER_ON_ARM, why)
            )
    return goals


def _is_int8(name: str, size: str) -> bool:
    """hearlite_small_2s_i8.tflite, hearlite_small_2s_i8-qat.tflite"""
    return re.search(rf"(^|_){size}_.*_i8(?![a-z0-9])", name) is not None


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.lower().startswith(wanted)


def _why(cost: Cost, pair: Speedup, *, per_audio: bool) -> str:
    """How much less the student computes, how far both are from the peak, and what its frontend alone would allow."""
    limits = {limit.model: limit for limit in cost.limits}
    if pair.model not in limits or pair.to not in limits:
        return "no limit was measured"
    models = {model.name: model for model in cost.models}
    own, other = limits[pair.model], limits[pair.to]
    heard = models[pair.model].audio_s / models[pair.to].audio_s if per_audio else 1.0
    fewer = heard * models[pair.to].macs / models[pair.model].macs
    unit = " a second of sound" if per_audio else ""
    said = (
        f"It computes {fewer:.1f}x fewer multiply-accumulates{unit}, at {100 * own.fraction_of_peak:.0f} % of this"
        f" processor's peak where {pair.to} reaches {100 * other.fraction_of_peak:.0f} %. "
    )
    if own.frontend_share:
        said += (
            "Without any network, its frontend alone would be"
            f" {heard * other.median_ms / (own.frontend_share * own.median_ms):.1f}x faster. "
        )
    return said + own.text


def _slowest(profile: Profile, frontend: Part) -> str:
    rest = [part for part in profile.stages if part is not frontend]
    slow = max(rest, key=lambda part: part.ms)
    return f"the slowest other stage, {slow.name}, takes {slow.ms:.2f} ms"
