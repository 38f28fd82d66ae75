"""report.html from results.json alone: one file that needs nothing from outside, for a screen in light or dark, a phone, or paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.benchmarks.plots import MARKERS, SERIES_COLOURS, Series, auroc_svg, roc_svg, size_svg, snr_svg
from hearlite.benchmarks.probe import PERMUTED
from hearlite.benchmarks.results import read_results
from hearlite.benchmarks.schema import Estimate, Latency, ModelInfo, Results, Score, TaskResult
from hearlite.files import write_bytes
from hearlite.spec import PRECISION_NAMES
from hearlite.verdict import LayerLoss

STUDENT_NAMES = {kind: f"student, {name}" for kind, name in PRECISION_NAMES.items()}
KIND_NAMES = {"teacher": "teacher", "peer": "peer", "baseline": "baseline", **STUDENT_NAMES}
_SYMBOLS = {"o": "●", "s": "■", "D": "◆", "v": "▼", "<": "◀", ">": "▶", "^": "▲", "x": "×"}  # of MARKERS, for the legend
_TEMPLATES = Path(__file__).parent / "templates"
_ROC_TASKS = 9  # small multiples; the table has all tasks
_DOT_TASKS = 24  # more would be a poster
_SNR_LAYERS, _WORST_LAYERS = 80, 3  # the largest student has 60
_NARROW_SPACE = "\u202f"
_MINUS = "\u2212"
_NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """A line of the main table, and a model's colour and symbol throughout the page."""

    model: ModelInfo
    series: Series
    score: Score | None
    latency: Latency | None

    @property
    def symbol(self) -> str:
        return _SYMBOLS[MARKERS[self.model.kind]]

    @property
    def colour(self) -> str:
        return "baseline" if self.model.kind == "baseline" else f"s{self.series.colour % SERIES_COLOURS}"


def write_report(results_path: Path, html_path: Path) -> None:
    """Write report.html from results.json through a temporary file. Raises InputError for a results.json that can't be used."""
    html = render(read_results(results_path))
    write_bytes(html_path, html.encode("utf-8", errors="replace"))  # names may hold lone surrogates


def render(results: Results) -> str:
    """The page. Names in results are hostile input: the template escapes every one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for show in (auroc_text, difference_text, loss_text, percent_text, bytes_text, count_text, times_text, ms_text):
        environment.filters[show.__name__.removesuffix("_text")] = show
    rows = _rows(results)
    by_kind = {kind: next((row for row in rows if row.model.kind == kind), None) for kind in KIND_NAMES}
    reference = next(row for row in rows if row.model.name == results.reference)
    student = by_kind["i8"] or by_kind["f32"]
    trio = [row for row in (reference, by_kind["f32"], by_kind["i8"]) if row]
    return environment.get_template("report.html.j2").render(
        results=results,
        rows=rows,
        trio=trio,
        reference=reference,
        student=student,
        compared=[row for row in rows if row.model.kind != "baseline" and row is not reference],
        kind_names=KIND_NAMES,
        roc=[(task, Markup(svg)) for task, svg in _roc(results.tasks, trio)],
        dots=Markup(_dots(results, rows)),
        dotted=[row for row in rows if row.score and row.model.name != PERMUTED],
        dot_tasks=_DOT_TASKS,
        sizes=Markup(_sizes(rows)),
        quantized=[(row, worst, Markup(svg)) for row, worst, svg in _quantized(rows)],
        estimate=Estimate,
        sized=[row for row in rows if row.model.bytes and row.score and row.score.auroc.shown],
        score_of=lambda task, name: next((score for score in task.scores if score.model == name), None),
    )


def auroc_text(estimate: Estimate) -> str:
    """0.912 [0.88, 0.94]"""
    return _text(estimate, digits=3, interval_digits=2)


def difference_text(estimate: Estimate) -> str:
    """−0.012 [−0.020, −0.004]"""
    return _text(estimate, digits=3, interval_digits=3)


def loss_text(estimate: Estimate) -> str:
    """0.0012 [−0.0004, 0.0028]: gates are of 0.003"""
    return _text(estimate, digits=4, interval_digits=4)


def percent_text(estimate: Estimate) -> str:
    """93 % [88, 97]"""
    return _text(estimate, digits=0, interval_digits=0, scale=100, unit=f"{_NARROW_SPACE}%")


def _text(estimate: Estimate, *, digits: int, interval_digits: int, scale: float = 1.0, unit: str = "") -> str:
    """Value and interval, which is rounded outwards so that it never excludes what it holds. No interval, no figure."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _NOTHING
    grain = scale * 10**interval_digits
    tiny = 1e-6  # keeps 0.29 * 100 = 28.999... at 29
    low, high = math.floor(estimate.low * grain + tiny), math.ceil(estimate.high * grain - tiny)
    shown = (_number(bound / 10**interval_digits, interval_digits) for bound in (low, high))
    return f"{_number(estimate.value * scale, digits)}{unit} [{', '.join(shown)}]"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("-", _MINUS) if float(text) else text.removeprefix("-")


def bytes_text(size: float | None) -> str:
    """1.6 MB, 430 kB: decimal units, two digits or all of the integer part."""
    if size is None:
        return _NOTHING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{_two_digits(size / scale)}{_NARROW_SPACE}{unit}"
    return f"{size:.0f}{_NARROW_SPACE}B"


def count_text(count: int | None) -> str:
    """1.07 M, 320 k, 12"""
    if count is None:
        return _NOTHING
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{_two_digits(count / scale)}{_NARROW_SPACE}{unit}"
    return str(count)


def times_text(ratio: float) -> str:
    """758×, 1.4×"""
    return f"{_two_digits(ratio)}×"


def ms_text(milliseconds: float) -> str:
    """Three significant digits"""
    digits = max(0, 2 - math.floor(math.log10(milliseconds))) if milliseconds > 0 else 0
    return f"{milliseconds:.{min(digits, 4)}f}"


def _two_digits(value: float) -> str:
    if value < 9.95:
        return f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"
    return f"{value:,.0f}".replace(",", _NARROW_SPACE)


def _rows(results: Results) -> list[Row]:
    scores = {score.model: score for score in results.summary}
    latency = {row.model: row for row in results.latency}
    rows = []
    colour = 0
    for model in results.models:
        rows.append(Row(model, Series(model.name, model.kind, colour), scores.get(model.name), latency.get(model.name)))
        colour += model.kind != "baseline"
    return rows


def _roc(tasks: Sequence[TaskResult], trio: Sequence[Row]) -> list[tuple[TaskResult, str]]:
    series = {row.model.name: row.series for row in trio}
    drawn = []
    for index, task in enumerate(tasks[:_ROC_TASKS]):
        curves = [(series[score.model], score.roc) for score in task.scores if score.model in series]
        drawn.append((task, roc_svg(curves, name=f"roc{index}")))
    return drawn


def _dots(results: Results, rows: Sequence[Row]) -> str:
    if not results.tasks:
        return ""
    series = {row.model.name: row.series for row in rows if row.model.name != PERMUTED}  # the line at chance stands for it
    groups = [("mean over all tasks", results.summary), *((task.name, task.scores) for task in results.tasks[:_DOT_TASKS])]
    return auroc_svg(
        [(label, [(series[score.model], score.auroc) for score in scores if score.model in series]) for label, scores in groups], name="dots"
    )


def _quantized(rows: Sequence[Row]) -> list[tuple[Row, tuple[LayerLoss, ...], str]]:
    """Every quantized model with its worst layers, and all of them drawn."""
    found = [(row, row.model.quantization) for row in rows if row.model.quantization]
    shown = [(row, verdict.worst(_WORST_LAYERS), verdict.layers[:_SNR_LAYERS]) for row, verdict in found]
    return [(row, worst, snr_svg(row.series, layers, ringed=worst, name=f"snr{index}")) for index, (row, worst, layers) in enumerate(shown)]


def _sizes(rows: Sequence[Row]) -> str:
    """Empty unless there are two sizes to compare."""
    points = [(row.series, row.model.bytes, row.score.auroc) for row in rows if row.model.bytes and row.score and row.score.auroc.shown]
    return size_svg(points, show_bytes=bytes_text, name="sizes") if len(points) > 1 else ""
