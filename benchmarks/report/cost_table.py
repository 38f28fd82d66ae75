"""Cost as a table of the README, from a results.json: who measured what on what stands above it."""

from __future__ import annotations

from collections.abc import Sequence

from hearlite.benchmarks.schema.cost import ArmRow, Cost, Footprint, Latency

_TITLES = ("model", "hears", "a call", "a second of sound", "faster a call", "file", "parameters", "MACs a call", "memory", "load", "limited by")


def cost_table(name: str, cost: Cost) -> str:
    """One row a model, in the first runtime, and the goals. `name` is the folder of the results.json."""
    first = cost.latency[0]
    rows = {row.model: row for row in reversed(cost.latency)}  # of the first runtime
    most = max(row.runs for row in cost.latency)
    lines = [
        f"\n**Cost of a call: {first.device}, {first.runtime}, {cost.threads} thread{'s' if cost.threads > 1 else ''}, {most} interleaved runs, "
        f"{first.date}** ([results.json](benchmarks/results/{name}/results.json)). Medians, 5 % and 95 % in brackets.\n",
        f"| {' | '.join(_TITLES)} |",
        f"|{len(_TITLES) * '---|'}",
        *(_row(cost, model, rows[model.name], most=most) for model in cost.models if model.name in rows),
        f"\n“Faster” is a call, to {first.ratio_to}, whatever either hears in it. A shape is a public architecture "
        "in float32 with random weights: nothing is said of its quality. Memory: the most that "
        "opening and running it adds to a process that has the runtime. Limited by: what explains most of the time, the report says how.\n",
    ]
    lines += _arm(cost.arm)
    if cost.goals:
        lines += ["| goal | wanted | measured | met |", f"|{4 * '---|'}"]
        lines += [f"| {goal.model}: {goal.what} | {goal.wanted} | {goal.got} | {'yes' if goal.met else 'no'} |" for goal in cost.goals]
        lines += ["", *(f"`{goal.model}`, {goal.what}: {goal.why}" for goal in cost.goals if goal.why)]
    return "\n".join(lines).rstrip() + "\n"


def _named(model: Footprint) -> str:
    shape = f", {model.note.partition(':')[0]}" if model.note else ""
    return f"{model.name}{shape}{', without its spectrogram' if len(model.input_shape) > 2 else ''}"


def _arm(rows: Sequence[ArmRow]) -> list[str]:
    if not rows:
        return []
    made_by = "; ".join(dict.fromkeys(row.made_by for row in rows))
    return [
        f"**Emulated ARM cores, 1 thread; {made_by}.** Instructions are counted, the same in every run; times are {rows[0].label}.\n",
        "| model | core | instructions a call | of them the network | ms a call, estimated | outputs beside x86's |",
        f"|{6 * '---|'}",
        *(_arm_row(row) for row in rows),
        "",
    ]


def _arm_row(row: ArmRow) -> str:
    network = f"{row.network_instructions / 1e6:.2f} M" if row.network_instructions else ""
    times = f"{row.ms[0]:.2f} - {row.ms[1]:.2f}" if row.ms else ""
    cells = (row.model, row.core, f"{row.instructions / 1e6:.2f} M", network, times, row.parity)
    return f"| {' | '.join(cells)} |"


def _row(cost: Cost, model: Footprint, row: Latency, *, most: int) -> str:
    alone = next((item for item in cost.alone if item.model == model.name), None)
    limit = next((item for item in cost.limits if item.model == model.name), None)
    cells = (
        _named(model),
        f"{model.audio_s:.3g} s",
        f"{row.median_ms:.2f} ms [{row.p5_ms:.2f}, {row.p95_ms:.2f}]{f', {row.runs} runs' if row.runs != most else ''}",
        f"{row.median_ms / model.audio_s:.2f} ms",
        "" if row.model == row.ratio_to else f"{row.ratio:.1f}x",
        f"{model.bytes / 1e6:.2f} MB",
        f"{model.parameters / 1e6:.2f} M",
        f"{model.macs / 1e6:.0f} M",
        f"{alone.peak_bytes / 1e6:.0f} MB" if alone and alone.peak_bytes is not None else "",
        f"{alone.load_ms:.0f} ms" if alone else "",
        f"{limit.bound}, {100 * limit.fraction_of_peak:.0f} % of peak" if limit else "",
    )
    return f"| {' | '.join(cells)} |"
