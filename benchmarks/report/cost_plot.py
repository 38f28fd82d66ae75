"""The picture of cost: time for a second of sound, file size and, where it was measured, quality in one plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hearlite.benchmarks.report.svg import MARKERS, Series, axes_of
from hearlite.benchmarks.stats.estimates import Estimate

_SMALLEST_POINTS, _POINTS_PER_DECADE = 5.0, 3.0  # of a marker: it grows with the logarithm of the file
_SMALLEST_BYTES = 1e6


@dataclass(frozen=True)
class CostPoint:
    """A model in the plot. Without an estimate its quality is not known."""

    series: Series
    ms_per_audio_s: float
    bytes: int
    estimate: Estimate | None


def cost_svg(points: Sequence[CostPoint], *, show_bytes: Callable[[float], str], show_ms: Callable[[float], str], name: str) -> str:
    """Over time: mean AUROC, markers as large as their files, and models of unknown quality along the bottom; or, where none is known, file size."""
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
                axes.plot([point.ms_per_audio_s] * 2, [point.estimate.low, point.estimate.high], color=point.series.ink, linewidth=1.2)
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
