"""The picture of a robustness study: change in mean AUROC by condition, teacher and students side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.dot_plot import Dots, write_dots
from hearlite.benchmarks.report.svg import MARKERS


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw what `summarize` of robustness_verdicts.py gave, as .svg or .png by the ending of `path`; conditions from top to bottom."""
    kinds = {item["name"]: item["precision"] for item in results["models"]}
    series = [
        Dots(
            f"{model['model']}, clean AUROC {model['clean']['value']:.3f}",
            MARKERS[kinds.get(model["model"], "teacher")],
            [row["change"] for row in model["conditions"]],
        )
        for model in results["results"]
    ]
    title = f"{results['dataset']['name']}: {results['test']['clips']} test clips of {results['test']['subjects']} subjects"
    title += f"; teacher: {results['teacher']['name'].rpartition('/')[2]}"
    groups = [(item["name"], item["kind"]) for item in results["conditions"]]
    xlabel = "mean AUROC of changed test clips less that of clean ones, 95 % interval"
    write_dots(series, groups, path, xlabel=xlabel, title=title, line=0.0)
