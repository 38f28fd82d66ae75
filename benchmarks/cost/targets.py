"""The project's own targets for time and instructions, held against a results.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hearlite.benchmarks.cost.stage_profile import FRONTEND
from hearlite.benchmarks.schema.cost import Cost, Footprint, Part, Profile, Speedup
from hearlite.benchmarks.schema.io import is_cost, read_cost, read_data, read_results
from hearlite.errors import GateError, InputError
from hearlite.serialization import load_toml

TARGETS = Path(__file__).with_name("targets.toml")


@dataclass(frozen=True)
class Faster:
    """An int8 file of `size` is to be `times` as fast as another model, per "call" or per "second" of sound."""

    size: str
    than: str  # name of a reference shape, or how the name of a peer's file begins
    times: float
    per: str


@dataclass(frozen=True)
class FrontendTarget:
    """The frontend of an int8 file of `size` is to take at most this share of a call, and this long."""

    size: str
    max_share: float
    max_ms: float


@dataclass(frozen=True)
class ArmTarget:
    """Every int8 network is to execute `ratio` times fewer instructions on `core` than its float32 one."""

    core: str
    ratio: float


@dataclass(frozen=True)
class Targets:
    """The whole of targets.toml."""

    faster: tuple[Faster, ...]
    frontend: FrontendTarget
    arm: ArmTarget


@dataclass(frozen=True)
class Outcome:
    """One target on one model: what was measured, and if it was missed, what explains it."""

    model: str
    what: str
    target: str
    measured: str
    met: bool
    why: str = ""


def check_targets(cost: Cost, targets: Targets) -> tuple[Outcome, ...]:
    """Return the outcome of every target whose models were all measured."""
    models = {model.name: model for model in cost.models}
    faster = [outcome for target in targets.faster for outcome in _faster(cost, models, target)]
    return (*faster, *_frontend(cost, models, targets.frontend), *_fewer_on_arm(cost, models, targets.arm))


def _faster(cost: Cost, models: dict[str, Footprint], target: Faster) -> list[Outcome]:
    outcomes = []
    for pair in cost.speedups:
        if _is_int8(models[pair.model], target.size) and pair.to.lower().startswith(target.than):
            per_audio = target.per == "second"
            ratio = pair.ratio_per_audio if per_audio else pair.ratio
            low, high = (end * ratio / pair.ratio for end in (pair.p5, pair.p95))
            what = f"faster {'a second of sound' if per_audio else 'a call'} than {pair.to}"
            measured = f"{ratio:.1f}x [{low:.1f}, {high:.1f}] over {pair.rounds} rounds"
            met = ratio >= target.times
            why = "" if met else _explain_speed(cost, models, pair, per_audio=per_audio)
            outcomes.append(Outcome(pair.model, what, f"at least {target.times:g}x", measured, met, why))
    return outcomes


def _frontend(cost: Cost, models: dict[str, Footprint], target: FrontendTarget) -> list[Outcome]:
    outcomes = []
    for profile in cost.profiles:
        part = next((part for part in profile.stages if part.name == FRONTEND), None)
        if part and _is_int8(models[profile.model], target.size):
            met = part.share <= target.max_share and part.ms <= target.max_ms
            wanted = f"at most {100 * target.max_share:.0f} % and {target.max_ms:.1f} ms"
            measured = f"{100 * part.share:.0f} %, {part.ms:.2f} ms"
            why = "" if met else _slowest(profile, part)
            outcomes.append(Outcome(profile.model, "frontend's share of the time", wanted, measured, met, why))
    return outcomes


def _fewer_on_arm(cost: Cost, models: dict[str, Footprint], target: ArmTarget) -> list[Outcome]:
    counts = {
        row.model: row.network_instructions
        for row in cost.arm
        if row.core.startswith(target.core) and row.network_instructions and row.model in models
    }
    floats = {models[name].size: count for name, count in counts.items() if models[name].kind == "f32"}
    outcomes = []
    for name, count in counts.items():
        model = models[name]
        if model.kind == "i8" and model.size in floats:
            ratio = floats[model.size] / count
            met = ratio >= target.ratio
            what = f"fewer instructions of the network on {target.core} than in float32"
            why = "" if met else "depthwise convolutions have no dot product instruction to use"
            outcomes.append(Outcome(name, what, f"at least {target.ratio:g}x", f"{ratio:.2f}x, counted", met, why))
    return outcomes


def _is_int8(model: Footprint, size: str) -> bool:
    return model.kind == "i8" and model.size == size


def _explain_speed(cost: Cost, models: dict[str, Footprint], pair: Speedup, *, per_audio: bool) -> str:
    """Say how much less the student computes, how far both are from the peak, and what its frontend alone allows."""
    bounds = {bound.model: bound for bound in cost.limits}
    if pair.model not in bounds or pair.to not in bounds:
        return "no limit was measured"
    own, other = bounds[pair.model], bounds[pair.to]
    longer = models[pair.model].audio_s / models[pair.to].audio_s if per_audio else 1.0
    fewer = longer * models[pair.to].macs / models[pair.model].macs
    text = (
        f"It computes {fewer:.1f}x fewer multiply-accumulates{' a second of sound' if per_audio else ''}, at"
        f" {100 * own.fraction_of_peak:.0f} % of this processor's peak, where {pair.to} reaches"
        f" {100 * other.fraction_of_peak:.0f} %. "
    )
    if own.frontend_share:
        alone = longer * other.median_ms / (own.frontend_share * own.median_ms)
        text += f"Without any network, its frontend alone would be {alone:.1f}x faster. "
    return text + own.text


def _slowest(profile: Profile, frontend: Part) -> str:
    slow = max((part for part in profile.stages if part is not frontend), key=lambda part: part.ms)
    return f"the slowest other stage, {slow.name}, takes {slow.ms:.2f} ms"


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--targets", "targets_file", type=click.Path(path_type=Path), default=TARGETS, help="TOML of targets.")
def command(results: Path, targets_file: Path) -> None:
    """Hold the cost in RESULTS, a results.json, against the project's own targets. Exit 4 when one is missed."""
    cost = read_cost(results).cost if is_cost(read_data(results)) else read_results(results).cost
    if cost is None:
        raise InputError(f"{results}: holds no cost", "give the results.json of hearlite cost, or of bench --cost")
    outcomes = check_targets(cost, load_toml(Targets, targets_file))
    for item in outcomes:
        verdict = "met" if item.met else "MISSED"
        click.echo(f"{verdict}: {item.model}, {item.what}: {item.measured}, target {item.target}")
        if item.why:
            click.echo(f"  {item.why}")
    missed = [item for item in outcomes if not item.met]
    if missed:
        raise GateError(f"{len(missed)} of {len(outcomes)} targets are missed", "the lines above say what limits each")
