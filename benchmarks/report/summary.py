"""A benchmark in one line a model, as the command line prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.format import auroc_text, difference_text
from hearlite.benchmarks.schema.results import Leaking, Results


def summary(results: Results, out: Path) -> dict[str, Any]:
    """Mean AUROC, size and speed of each model, and the paths of what was written."""
    sizes = {model.name: model.bytes for model in results.models}
    judged = {model.name for model in results.models if model.kind != "baseline"}
    times = {row.model: row for row in results.latency}
    leaking = {item.model: item for item in results.leaking}
    carried = {item.model: item for item in results.head_transfer}
    rows: dict[str, Any] = {}
    for score in results.summary:
        auroc, excess, time = score.auroc, score.retention, times.get(score.model)
        text = (
            f"mean AUROC {auroc.value:.3f} [{auroc.low:.3f}, {auroc.high:.3f}]"
            if auroc.shown
            else "mean AUROC not defined"
        )
        if excess.shown and score.model != results.reference:
            text += (
                f", retention {100 * (excess.value or 0):.1f} % [{100 * (excess.low or 0):.1f},"
                f" {100 * (excess.high or 0):.1f}]"
            )
        if score.model in carried:
            text += f", the teacher's head on it {auroc_text(carried[score.model].auroc)}"
        if sizes.get(score.model):
            text += f", {(sizes[score.model] or 0) / 1e6:.2f} MB"
        if time:
            text += f", {time.median_ms:.2f} ms"
        verdicts = [
            f"{pair.verdict} to {pair.to}"
            for pair in results.comparisons
            if pair.model == score.model and score.model in judged
        ]
        if score.model in leaking:
            verdicts.append(_leaking_text(leaking[score.model]))
        rows[score.model] = "; ".join([text, *verdicts])
    return {
        **rows,
        "tasks": len(results.tasks),
        "report": str(out / "report.html"),
        "results": str(out / "results.json"),
    }


def _leaking_text(item: Leaking) -> str:
    return (
        f"LEAKING clip-wise split: {auroc_text(item.auroc)}, {'too good by' if item.flatters else 'no gap shows:'}"
        f" {difference_text(item.gap)}"
    )
