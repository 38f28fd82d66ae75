"""Numbers as text, for tables that people read. A quality figure without an interval becomes a dash."""

from __future__ import annotations

import math
from collections.abc import Sized

from hearlite.benchmarks.schema.results import ModelInfo
from hearlite.benchmarks.stats.estimates import Estimate

NARROW_SPACE = "\u202f"
MINUS = "\u2212"
NOTHING = "–"

_KNOWN_BY = {  # what a claim that a model has not heard the dataset rests on
    "recordings": "compared by their sound",
    "names": "by the names of subjects; recordings were not compared",
}


def unheard_text(model: ModelInfo, *, dataset: str) -> str:
    """Return what follows the name of a model that has heard nothing of a dataset, and what that claim rests on."""
    what = "recording" if model.heard_by == "recordings" else "subject"
    by = _KNOWN_BY.get(model.heard_by, _KNOWN_BY["names"])
    return f"was distilled on {model.trained_on or 'other recordings'}, without any {what} of {dataset} ({by})."


def auroc_text(estimate: Estimate) -> str:
    """Format an AUROC: 0.912 [0.88, 0.94]."""
    return _text(estimate, digits=3, interval_digits=2)


def difference_text(estimate: Estimate) -> str:
    """Format a difference: −0.012 [−0.020, −0.004]."""
    return _text(estimate, digits=3, interval_digits=3)


def loss_text(estimate: Estimate) -> str:
    """Format an AUROC drop, whose gates are of 0.003: 0.0012 [−0.0004, 0.0028]."""
    return _text(estimate, digits=4, interval_digits=4)


def percent_text(estimate: Estimate) -> str:
    """Format a share: 93 % [88, 97]."""
    return _text(estimate, digits=0, interval_digits=0, scale=100, unit=f"{NARROW_SPACE}%")


def _text(estimate: Estimate, *, digits: int, interval_digits: int, scale: float = 1.0, unit: str = "") -> str:
    """Value and interval, which is rounded outwards so that it never excludes what it holds. No interval, no figure."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return NOTHING
    grain = scale * 10**interval_digits
    tiny = 1e-6  # keeps 0.29 * 100 = 28.999... at 29
    low, high = math.floor(estimate.low * grain + tiny), math.ceil(estimate.high * grain - tiny)
    shown = (_number(bound / 10**interval_digits, interval_digits) for bound in (low, high))
    return f"{_number(estimate.value * scale, digits)}{unit} [{', '.join(shown)}]"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.removeprefix("-")


def bytes_text(size: float | None) -> str:
    """1.6 MB, 430 kB: decimal units, two digits or all of the integer part."""
    if size is None:
        return NOTHING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{_two_digits(size / scale)}{NARROW_SPACE}{unit}"
    return f"{size:.0f}{NARROW_SPACE}B"


def count_text(count: int | None) -> str:
    """Format a count: 1.07 M, 320 k, 12."""
    if count is None:
        return NOTHING
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{_two_digits(count / scale)}{NARROW_SPACE}{unit}"
    return str(count)


def tasks_text(tasks: Sized) -> str:
    """Format a number of tasks: 1 task, 4 tasks."""
    return f"{len(tasks)} task{'' if len(tasks) == 1 else 's'}"


def times_text(ratio: float) -> str:
    """Format a ratio: 758×, 1.4×."""
    return f"{_two_digits(ratio)}×"


def ms_text(milliseconds: float) -> str:
    """Format milliseconds with three significant digits."""
    digits = max(0, 2 - math.floor(math.log10(milliseconds))) if milliseconds > 0 else 0
    return f"{milliseconds:.{min(digits, 4)}f}"


def _two_digits(value: float) -> str:
    if value < 9.95:
        return f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"
    return f"{value:,.0f}".replace(",", NARROW_SPACE)


def p_text(p: float | None) -> str:
    """Format a p-value: p 0.012, p < 0.001."""
    if p is None:
        return NOTHING
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}" if p < 0.1 else f"p {p:.2f}"
