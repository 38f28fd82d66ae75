"""Plots of the report as inline SVG: transparent, in the page's CSS colours and font."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hearlite.benchmarks.stats.estimates import Curve, Estimate, Reliability
from hearlite.gate import LayerLoss

# By kind of model: colour is never the only difference.
MARKERS = {
    "teacher": "o",
    "f32": "s",
    "i8": "D",
    "d8": "v",
    "w8": "<",
    "f16": ">",
    "peer": "^",
    "shape": "P",
    "baseline": "x",
}
SERIES_COLOURS = 6  # --s0 ... --s5 in the template, then they repeat
_INK, _GRID, _BASELINE = (
    "#0a0b01",
    "#0a0b02",
    "#0a0b03",
)  # stand-ins that no theme has; replaced by what CSS decides in light and dark
_CSS = {_INK: "currentColor", _GRID: "var(--grid)", _BASELINE: "var(--baseline)"} | {
    f"#0a0c{k:02x}": f"var(--s{k})" for k in range(SERIES_COLOURS)
}
_LONGEST_LABEL = 44
_BESIDE = 0.018  # of the axis of probability, between models; bins are 0.1 wide
_HIGHEST_SNR_DB = 90.0  # of float16 weights; a tensor that is the same in both files has no end
_STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, in the page's font, nothing embedded
    "svg.hashsalt": "hearlite",  # the same results give the same bytes
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    **{key: _INK for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")},
}


@dataclass(frozen=True)
class Series:
    """A model in a plot. `colour` counts models that are neither teacher nor baseline."""

    name: str
    kind: str
    colour: int

    @property
    def css(self) -> str:
        """The page's variable for it, without "--". The teacher is drawn in ink: no student shares its colour."""
        return {"baseline": "baseline", "teacher": "ink"}.get(self.kind, f"s{self.colour % SERIES_COLOURS}")

    @property
    def ink(self) -> str:
        """Return the colour, as a CSS variable."""
        return {"baseline": _BASELINE, "teacher": _INK}.get(self.kind, f"#0a0c{self.colour % SERIES_COLOURS:02x}")


def roc_svg(curves: Sequence[tuple[Series, Curve]], *, name: str) -> str:
    """ROC curves of one task, one line per model. `name` makes the ids of this picture unique in the page."""
    with axes_of(2.5, 2.5) as (axes, finish):
        axes.plot([0, 1], [0, 1], color=_GRID, linewidth=1.2)
        for series, curve in curves:
            style = {"f32": "--", "i8": "-"}.get(series.kind, "-")
            width = 2.2 if series.kind == "teacher" else 1.4
            axes.plot(curve.false_positive, curve.true_positive, color=series.ink, linestyle=style, linewidth=width)
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
            xlabel="false positive rate",
            ylabel="true positive rate",
        )
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        return finish(name)


def reliability_svg(curves: Sequence[tuple[Series, Reliability]], *, name: str) -> str:
    """Draw the share of positives over predicted probability, with intervals.

    Bins without one are left out. On the diagonal a model is calibrated.

    Models stand a little beside each other, so that no interval hides another.
    """
    with axes_of(2.5, 2.5) as (axes, finish):
        axes.plot([0, 1], [0, 1], color=_GRID, linewidth=1.2)
        for number, (series, curve) in enumerate(curves):
            beside = _BESIDE * (number - (len(curves) - 1) / 2)
            moved = [at + beside for at in curve.predicted]
            bins = [
                item for item in zip(moved, curve.observed, curve.low, curve.high, strict=True) if item[2] is not None
            ]
            for at, _, low, high in bins:
                axes.plot([at, at], [low, high], color=series.ink, linewidth=1.0, solid_capstyle="butt")
            style = {
                "color": series.ink,
                "linewidth": 1.0,
                "linestyle": {"f32": "--"}.get(series.kind, "-"),
                "marker": MARKERS[series.kind],
            }
            axes.plot([item[0] for item in bins], [item[1] for item in bins], markersize=3.5, **style)
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
            xlabel="predicted probability",
            ylabel="share of positives",
        )
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        return finish(name)


def auroc_svg(rows: Sequence[tuple[str, Sequence[tuple[Series, Estimate]]]], *, name: str) -> str:
    """Draw AUROC with interval, one group of dots per (task, [(model, estimate)]).

    Estimates without an interval are left out.
    """
    step, gap = 0.13, 0.34  # inches: between models, and for the label above each task
    height = sum(len(scores) * step + gap for _, scores in rows) + 0.45
    with axes_of(5.0, height) as (axes, finish):
        y = 0.0
        lowest = 0.5
        for label, scores in rows:
            y += gap
            axes.annotate(_label(label), (0.0, y + 0.05), xycoords=("axes fraction", "data"), fontsize=9, va="bottom")
            # Chance, drawn group by group: it would run through the labels.
            axes.plot(
                [0.5, 0.5], [y + step / 2, y + step * (len(scores) + 0.5)], color=_INK, linewidth=0.8, linestyle=":"
            )
            for series, estimate in scores:
                y += step
                if estimate.value is None or estimate.low is None or estimate.high is None:
                    continue
                lowest = min(lowest, estimate.low)
                axes.plot([estimate.low, estimate.high], [y, y], color=series.ink, linewidth=1.4, solid_capstyle="butt")
                axes.plot(estimate.value, y, color=series.ink, marker=MARKERS[series.kind], markersize=4.5)
        axes.set(
            ylim=(y + 0.15, 0.0),
            xlim=(max(0.0, lowest - 0.02), 1.005),
            yticks=[],
            xlabel="AUROC on test subjects, 95 % interval (dotted: chance)",
        )
        axes.spines["left"].set_visible(False)
        return finish(name)


def size_svg(
    points: Sequence[tuple[Series, int, Estimate]],
    *,
    baselines: Sequence[tuple[str, float]],
    show_bytes: Callable[[float], str],
    name: str,
) -> str:
    """Draw mean AUROC over the file's size in bytes, on a logarithmic axis.

    Baselines, which have no file, are dotted lines at their mean AUROC.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    with axes_of(5.0, 3.3) as (axes, finish):
        sizes = [size for _, size, _ in points]
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 3, max(sizes) * 3)
        for series, size, estimate in points:
            if estimate.value is None or estimate.low is None or estimate.high is None:
                continue
            axes.plot(
                [size, size], [estimate.low, estimate.high], color=series.ink, linewidth=1.4, solid_capstyle="butt"
            )
            axes.plot(size, estimate.value, color=series.ink, marker=MARKERS[series.kind], markersize=7)
        for label, value in baselines:
            axes.axhline(value, color=_BASELINE, linewidth=1.2, linestyle=":")
            axes.annotate(_label(label), (0.01, value), xycoords=("axes fraction", "data"), fontsize=8, va="bottom")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: show_bytes(size)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="file size", ylabel="mean AUROC, 95 % interval")
        return finish(name)


def snr_svg(series: Series, layers: Sequence[LayerLoss], *, ringed: Sequence[LayerLoss], name: str) -> str:
    """Draw signal over quantization noise of each layer's output, inherited noise included.

    In order of execution from top to bottom.
    """
    with axes_of(5.0, 0.15 * len(layers) + 0.6) as (axes, finish):
        shown = [min(max(layer.snr_db, 0.0), _HIGHEST_SNR_DB) for layer in layers]
        axes.plot(
            shown, range(len(layers)), color=series.ink, linewidth=1.0, marker=MARKERS[series.kind], markersize=3.5
        )
        rings = [index for index, layer in enumerate(layers) if layer in ringed]
        axes.plot(
            [shown[index] for index in rings],
            rings,
            color=_INK,
            linestyle="",
            marker="o",
            markersize=9,
            markerfacecolor="none",
        )
        axes.set_yticks(range(len(layers)), [_label(layer.layer) for layer in layers], fontsize=7)
        most = "lose most by themselves" if any(layer.lost > 0 for layer in ringed) else "most noise"
        axes.set(ylim=(len(layers) - 0.5, -0.5), xlim=(0.0, max(shown, default=0.0) + 3.0))
        axes.set_xlabel(
            f"signal over quantization noise, that of layers before included, dB\n(ringed: {most})", fontsize=8
        )
        axes.grid(visible=False, axis="y")
        return finish(name)


@contextmanager
def axes_of(width_in: float, height_in: float) -> Iterator[tuple[Any, Callable[[str], str]]]:
    """Axes of a new figure, and what turns it into SVG for a given name."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    def finish(name: str) -> str:
        target = io.StringIO()
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=none)
        return _inline(target.getvalue(), name=name)

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has the glyph
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure.add_subplot(), finish


def _inline(svg: str, *, name: str) -> str:
    """Return the <svg> element alone, sized by the page, with ids of its own and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for stand_in, colour in _CSS.items():
        svg = svg.replace(stand_in, colour)
    return svg


def _label(text: str) -> str:
    """Return a name as one line of printable text."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _LONGEST_LABEL else plain[: _LONGEST_LABEL - 1] + "…"


_SMALLEST_POINTS, _POINTS_PER_DECADE = 5.0, 3.0  # of a marker: it grows with the logarithm of the file
_SMALLEST_BYTES = 1e6


@dataclass(frozen=True)
class CostPoint:
    """A model in the plot. Without an estimate its quality is not known."""

    series: Series
    ms_per_audio_s: float
    bytes: int
    estimate: Estimate | None


def cost_svg(
    points: Sequence[CostPoint], *, show_bytes: Callable[[float], str], show_ms: Callable[[float], str], name: str
) -> str:
    """Draw mean AUROC over time, with markers as large as their files.

    Models of unknown quality stand along the bottom; where no quality is known, the height is the file's size.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    judged = [point for point in points if point.estimate and point.estimate.shown]
    with axes_of(6.5, 3.8) as (axes, finish):
        axes.set_xscale("log")
        times = [point.ms_per_audio_s for point in points]
        axes.set_xlim(min(times) / 2, max(times) * 2)
        floor = min((_low(point.estimate) for point in judged), default=0.0) - 0.03
        for point in points:
            style = {"color": point.series.ink, "marker": MARKERS[point.series.kind], "clip_on": False}
            if not judged:
                axes.plot(point.ms_per_audio_s, point.bytes, markersize=7, **style)
            elif point in judged:
                assert point.estimate is not None
                axes.plot(
                    [point.ms_per_audio_s] * 2,
                    [point.estimate.low, point.estimate.high],
                    color=point.series.ink,
                    linewidth=1.2,
                )
                axes.plot(point.ms_per_audio_s, point.estimate.value, markersize=_points(point.bytes), **style)
            else:
                axes.plot(point.ms_per_audio_s, floor, markersize=_points(point.bytes), markerfacecolor="none", **style)
        if judged:
            axes.set_ylim(bottom=floor)
            axes.set_ylabel("mean AUROC, 95 % interval (bottom line: not measured)")
        else:
            axes.set_yscale("log")
            axes.set_ylabel("file size")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda size, _: show_bytes(size)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("milliseconds of one thread for a second of sound")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: show_ms(ms)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        return finish(name)


def _low(estimate: Estimate | None) -> float:
    return estimate.low if estimate and estimate.low is not None else 0.0


def _points(size: int) -> float:
    return _SMALLEST_POINTS + _POINTS_PER_DECADE * max(0.0, math.log10(size / _SMALLEST_BYTES))
