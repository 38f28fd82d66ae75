"""The picture of a robustness study: change in mean AUROC by condition, teacher and students side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.plots import MARKERS
from hearlite.files import replacing

# Of the report's light theme (templates/report.html.j2): this picture is a file of its own, on white.
COLOURS = ("#0067b3", "#c2410c", "#087f5b", "#8e44ad", "#b8860b", "#c2255c")
_INK, _SOFT, _GRID = "#1c2024", "#59636e", "#dfe3e8"
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hearlite",  # the same results give the same bytes
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "ytick.major.size": 0.0,
    **{key: _INK for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")},
}
_STEP_IN, _GAP_IN, _KIND_GAP_IN = 0.09, 0.10, 0.10  # inches: between models, between conditions, and more of it between kinds


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw what `summarize` of robustness_verdicts.py gave, as .svg or .png by the ending of `path`; conditions from top to bottom."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    models, conditions = results["results"], results["conditions"]
    kinds = {item["name"]: item["precision"] for item in results["models"]}
    tops, bottom = _places(conditions, models=len(models))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, bottom + 0.9), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for number, model in enumerate(models):
            ink = COLOURS[number % len(COLOURS)]
            marker = MARKERS[kinds.get(model["model"], "teacher")]
            for top, row in zip(tops, model["conditions"], strict=True):
                y, change = top + number * _STEP_IN, row["change"]
                if change["low"] is not None:
                    axes.plot([change["low"], change["high"]], [y, y], color=ink, linewidth=1.3, solid_capstyle="butt")
                axes.plot(change["value"], y, color=ink, marker=marker, markersize=3.6)
            label = f"{model['model']}, clean AUROC {model['clean']['value']:.3f}"
            axes.plot([], [], color=ink, marker=marker, markersize=4.5, linewidth=1.3, label=label)
        axes.axvline(0.0, color=_SOFT, linewidth=0.8)
        middle = (len(models) - 1) * _STEP_IN / 2
        axes.set_yticks([top + middle for top in tops], [item["name"] for item in conditions])
        axes.set(ylim=(bottom, 0.0), xlabel="mean AUROC of changed test clips less that of clean ones, 95 % interval")
        title = f"{results['dataset']['name']}: {results['test']['clips']} test clips of {results['test']['subjects']} subjects"
        title += f"; teacher: {results['teacher']['name'].rpartition('/')[2]}"
        figure.legend(loc="outside upper left", frameon=False, title=title, alignment="left")
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _places(conditions: list[dict[str, Any]], *, models: int) -> tuple[list[float], float]:
    """The height of each condition's first model, inches from the top, and where the last one ends."""
    y, tops = _GAP_IN, []
    for before, condition in zip([conditions[0], *conditions], conditions, strict=False):
        y += _KIND_GAP_IN * (condition["kind"] != before["kind"])
        tops.append(y)
        y += models * _STEP_IN + _GAP_IN
    return tops, y
