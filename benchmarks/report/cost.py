"""Cost as the report shows it: one row for each model, in the colours that the rest of the page gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hearlite.benchmarks.report.format import bytes_text, ms_text
from hearlite.benchmarks.report.rendering import page
from hearlite.benchmarks.report.svg import MARKERS, CostPoint, Series, cost_svg
from hearlite.benchmarks.schema.cost import (
    ColdStart,
    Cost,
    CrossCheck,
    Footprint,
    Latency,
    Part,
    Profile,
    RooflineBound,
)
from hearlite.benchmarks.schema.cost_text import limit_text
from hearlite.benchmarks.schema.results import CostResults
from hearlite.benchmarks.stats.estimates import Estimate

SYMBOLS = {
    "o": "●",
    "s": "■",
    "D": "◆",
    "v": "▼",
    "<": "◀",
    ">": "▶",
    "^": "▲",
    "x": "×",
    "P": "✚",
}  # of MARKERS, for legends
_SHOWN_PARTS = 8  # of a profile; results.json has all


@dataclass(frozen=True)
class CostRow:
    """Everything about a model's cost."""

    made: Footprint
    series: Series
    latency: Latency | None
    others: tuple[Latency, ...]  # in other runtimes
    alone: ColdStart | None
    cross_check: CrossCheck | None
    limit: RooflineBound | None
    profile: Profile | None

    @property
    def symbol(self) -> str:
        """Return the symbol of the model's kind."""
        return SYMBOLS[MARKERS[self.series.kind]]

    @property
    def colour(self) -> str:
        """Return the model's colour as a CSS variable."""
        return self.series.css

    @property
    def limit_text(self) -> str:
        """Return what limits the model, in words."""
        return limit_text(self.limit, self.profile) if self.limit else ""

    @property
    def ms_per_audio_s(self) -> float | None:
        """Return milliseconds for a second of sound."""
        return self.latency.median_ms / self.made.audio_s if self.latency else None


@dataclass(frozen=True)
class CostView:
    """What cost.html.j2 shows."""

    cost: Cost
    rows: tuple[CostRow, ...]
    plot: str  # SVG; empty with fewer than two models

    def stages(self, row: CostRow) -> tuple[Part, ...]:
        """Return what each stage takes, in order; empty without a profile."""
        return row.profile.stages if row.profile else ()

    def operators(self, row: CostRow) -> tuple[Part, ...]:
        """Return what the slowest kinds of operators take; empty without a profile."""
        return row.profile.operators[:_SHOWN_PARTS] if row.profile else ()


def view_cost(
    cost: Cost, *, series: Mapping[str, Series] | None = None, quality: Mapping[str, Estimate] | None = None
) -> CostView:
    """`series` and `quality` (mean AUROC) by the name of a model, of results that hold both."""
    from markupsafe import Markup

    known = dict(series or {})
    for model in cost.models:
        if model.name not in known:
            known[model.name] = Series(model.name, model.kind, len(known))
    rows = tuple(_row(cost, model, known[model.name]) for model in cost.models)
    points = [
        CostPoint(row.series, row.ms_per_audio_s, row.made.bytes, (quality or {}).get(row.made.name))
        for row in rows
        if row.ms_per_audio_s
    ]
    plot = cost_svg(points, show_bytes=bytes_text, show_ms=ms_text, name="cost") if len(points) > 1 else ""
    return CostView(cost, rows, Markup(plot))


def render_cost(results: CostResults) -> str:
    """Return the page of cost alone."""
    return page("cost_page.html.j2", results=results, view=view_cost(results.cost))


def _row(cost: Cost, model: Footprint, series: Series) -> CostRow:
    timed = [row for row in cost.latency if row.model == model.name]
    return CostRow(
        made=model,
        series=series,
        latency=timed[0] if timed else None,
        others=tuple(timed[1:]),
        alone=next((item for item in cost.cold_starts if item.model == model.name), None),
        cross_check=next((item for item in cost.cross_checks if item.model == model.name), None),
        limit=next((item for item in cost.limits if item.model == model.name), None),
        profile=next((item for item in cost.profiles if item.model == model.name), None),
    )
