"""The table and the picture of a pooling study, of what pooling.py found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.dot_plot import Dots, write_dots
from hearlite.benchmarks.report.format import auroc_text, difference_text, tasks_text
from hearlite.benchmarks.report.svg import MARKERS
from hearlite.benchmarks.schema.baselines import DURATION
from hearlite.benchmarks.stats.estimates import Estimate


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a line for each method, of the mean over tasks."""
    models = [item["model"] for item in results["mean"][0]["models"]]
    head = [f"{models[0]} | less its single clip", *(f"{name} | less its single clip | less the teacher's" for name in models[1:])]
    lines = [f"| pooling | {' | '.join(head)} |", f"|---|{'---|' * (3 * len(models) - 1)}"]
    for row in results["mean"]:
        cells = []
        for number, item in enumerate(row["models"]):
            cells += [auroc_text(Estimate(**item["auroc"])), difference_text(Estimate(**item["to_single_clip"]))]
            cells += [difference_text(Estimate(**item["to_teacher"]))] if number else []
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    facts = results["records"]
    chosen = [penalty for task in results["tasks"] for penalty in task["attention_penalty"].values()]
    said = f"Mean AUROC of records over {tasks_text(results['tasks'])}: {facts['test']} in test, of "
    said += f"{facts['test_subjects']} subjects, with "
    said += f"{facts['median_clips']:g} clips in the median and {facts['most_clips']} at most. "
    said += (
        f"95 % intervals over test subjects; differences are paired. Attention kept the plain mean in {chosen.count(None)} of {len(chosen)} probes."
    )
    return "\n".join([*lines, "", said, "", *(f"- {method}: {what}" for method, what in results["methods"].items())]) + "\n"


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Mean AUROC by method, models side by side."""
    precision = {item["name"]: item["precision"] for item in results["models"]} | {DURATION: "baseline"}
    series = [
        Dots(item["model"], MARKERS[precision.get(item["model"], "teacher")], [row["models"][number]["auroc"] for row in results["mean"]])
        for number, item in enumerate(results["mean"][0]["models"])
    ]
    facts = results["records"]
    title = f"{results['dataset']['name']}: {facts['test']} test records of {facts['test_subjects']} subjects"
    groups = [(row["method"], "one clip" if row["method"].endswith(" clip") else "all clips") for row in results["mean"]]
    write_dots(series, groups, path, xlabel="mean AUROC over tasks, by record, 95 % interval", title=title, line=0.5)
