"""The picture of a scaling study: time and peak memory over clips, one line a stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.files import replacing

_MARKERS = ("o", "s", "D")


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw the points of scaling.py's results.json, as .svg or .png by the ending of `path`. The dotted line has the slope of linear time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    points = results["points"]
    stages = list(dict.fromkeys(point["stage"] for point in points))
    with mpl.rc_context({**STYLE, "axes.spines.left": True, "axes.grid.axis": "both"}):
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        time_s, memory = figure.subplots(1, 2)
        for stage, colour, marker in zip(stages, COLOURS, _MARKERS, strict=False):
            own = sorted((point for point in points if point["stage"] == stage), key=lambda point: point["clips"])
            clips = [point["clips"] for point in own]
            line: dict[str, Any] = {"color": colour, "marker": marker, "label": stage}
            time_s.plot(clips, [point["seconds"] for point in own], **line)
            memory.plot(clips, [point["peak_bytes"] / 1e9 for point in own], **line)
            time_s.plot(clips, [own[-1]["seconds"] * count / clips[-1] for count in clips], color=colour, linestyle=":", linewidth=1.0)
        time_s.set(xscale="log", yscale="log", xlabel="clips of 2 s", ylabel="seconds (dotted: proportional)")
        memory.set(xscale="log", xlabel="clips of 2 s", ylabel="peak memory, GB")
        memory.set_ylim(bottom=0)
        for axis in (time_s.xaxis, time_s.yaxis, memory.xaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        time_s.legend(frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if path.suffix == ".svg" else None)
