"""The report's plots, made of its rows: what each of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearlite.benchmarks.report.cost import SYMBOLS
from hearlite.benchmarks.report.format import bytes_text
from hearlite.benchmarks.report.svg import MARKERS, Series, auroc_svg, reliability_svg, roc_svg, size_svg, snr_svg
from hearlite.benchmarks.schema.baselines import PERMUTED
from hearlite.benchmarks.schema.cost import Latency
from hearlite.benchmarks.schema.results import ModelInfo, Results, TaskResult
from hearlite.benchmarks.stats.estimates import Score
from hearlite.gate import LayerLoss

_ROC_TASKS = 9  # small multiples; the table has all tasks
DOT_TASKS = 24  # more would be a poster
_SNR_LAYERS, _WORST_LAYERS = 80, 3  # the largest student has 60


@dataclass(frozen=True)
class Row:
    """A line of the main table, and a model's colour and symbol throughout the page."""

    model: ModelInfo
    series: Series
    score: Score | None
    latency: Latency | None

    @property
    def symbol(self) -> str:
        """Return the symbol of the model's kind."""
        return SYMBOLS[MARKERS[self.model.kind]]

    @property
    def colour(self) -> str:
        """Return the model's colour as a CSS variable."""
        return self.series.css


def roc(tasks: Sequence[TaskResult], trio: Sequence[Row]) -> list[tuple[TaskResult, str]]:
    """Draw the ROC curves of the first tasks; none of results without curves."""
    series = {row.model.name: row.series for row in trio}
    drawn = []
    for index, task in enumerate(tasks[:_ROC_TASKS]):
        curves = [(series[score.model], score.roc) for score in task.scores if score.model in series]
        if any(curve.true_positive for _, curve in curves):
            drawn.append((task, roc_svg(curves, name=f"roc{index}")))
    return drawn


def reliability(tasks: Sequence[TaskResult], trio: Sequence[Row]) -> list[tuple[TaskResult, str]]:
    """Reliability curves of the first tasks that have them."""
    series = {row.model.name: row.series for row in trio}
    drawn = []
    for index, task in enumerate(tasks[:_ROC_TASKS]):
        curves = [
            (series[score.model], score.calibration.reliability)
            for score in task.scores
            if score.model in series and score.calibration
        ]
        if curves:
            drawn.append((task, reliability_svg(curves, name=f"reliability{index}")))
    return drawn


def dots(results: Results, rows: Sequence[Row]) -> str:
    """AUROC of every model, as a mean and on the first tasks. Empty without tasks."""
    if not results.tasks:
        return ""
    series = {
        row.model.name: row.series for row in rows if row.model.name != PERMUTED
    }  # the line at chance stands for it
    groups = [
        ("mean over all tasks", results.summary),
        *((task.name, task.scores) for task in results.tasks[:DOT_TASKS]),
    ]
    return auroc_svg(
        [
            (label, [(series[score.model], score.auroc) for score in scores if score.model in series])
            for label, scores in groups
        ],
        name="dots",
    )


def quantized(rows: Sequence[Row]) -> list[tuple[Row, tuple[LayerLoss, ...], str]]:
    """Every quantized model with its worst layers, and all of them drawn."""
    found = [(row, row.model.quantization) for row in rows if row.model.quantization]
    shown = [(row, verdict.worst(_WORST_LAYERS), verdict.layers[:_SNR_LAYERS]) for row, verdict in found]
    return [
        (row, worst, snr_svg(row.series, layers, ringed=worst, name=f"snr{index}"))
        for index, (row, worst, layers) in enumerate(shown)
    ]


def sizes(rows: Sequence[Row]) -> str:
    """Empty unless there are two sizes to compare."""
    points = [
        (row.series, row.model.bytes, row.score.auroc)
        for row in rows
        if row.model.bytes and row.score and row.score.auroc.shown
    ]
    baselines = [
        (row.model.name, value)
        for row in rows
        if _is_rival(row) and row.score and (value := row.score.auroc.value) is not None
    ]
    return size_svg(points, baselines=baselines, show_bytes=bytes_text, name="sizes") if len(points) > 1 else ""


def _is_rival(row: Row) -> bool:
    return (
        row.model.kind == "baseline" and row.model.name != PERMUTED and row.score is not None and row.score.auroc.shown
    )
