"""Dots with intervals, one group of them for each row: the picture that studies share. A file of its own, on white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlite.writing import replacing

# Of the report's light theme (templates/style.css).
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
_STEP_IN, _GAP_IN, _KIND_GAP_IN = (
    0.09,
    0.10,
    0.10,
)  # inches: between models, between groups, and more of it between kinds

Interval = Mapping[str, float | None]  # value, low, high, as results.json has them


@dataclass(frozen=True)
class Dots:
    """A model's figures, one for each group."""

    label: str
    marker: str  # matplotlib's
    figures: Sequence[Interval]


def write_dots(
    series: Sequence[Dots], groups: Sequence[tuple[str, str]], path: Path, *, xlabel: str, title: str, line: float
) -> None:
    """Draw groups (name, kind) from top to bottom as .svg or .png, by the ending of `path`.

    Kinds stand apart. A figure without interval is not drawn.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tops, bottom = _places([kind for _, kind in groups], models=len(series))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, bottom + 0.3 + 0.2 * len(series)), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for number, item in enumerate(series):
            style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)]}
            for top, found in zip(tops, item.figures, strict=True):
                y = top + number * _STEP_IN
                value, low, high = (found[key] for key in ("value", "low", "high"))
                if value is not None and low is not None and high is not None:
                    axes.plot([low, high], [y, y], linewidth=1.3, solid_capstyle="butt", **style)
                    axes.plot(value, y, marker=item.marker, markersize=3.6, **style)
            axes.plot([], [], marker=item.marker, markersize=4.5, linewidth=1.3, label=item.label, **style)
        axes.axvline(line, color=_SOFT, linewidth=0.8)
        middle = (len(series) - 1) * _STEP_IN / 2
        axes.set_yticks([top + middle for top in tops], [name for name, _ in groups])
        axes.set(ylim=(bottom, 0.0), xlabel=xlabel)
        figure.legend(loc="outside upper left", frameon=False, title=title, alignment="left")
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _places(kinds: Sequence[str], *, models: int) -> tuple[list[float], float]:
    """Return the height of each group's first model in inches from the top, and where the last one ends."""
    y, tops = _GAP_IN, []
    for before, kind in zip([kinds[0], *kinds], kinds, strict=False):
        y += _KIND_GAP_IN * (kind != before)
        tops.append(y)
        y += models * _STEP_IN + _GAP_IN
    return tops, y
