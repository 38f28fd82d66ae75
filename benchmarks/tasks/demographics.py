"""Groups of people by a metadata column; ages become bands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AGE_BANDS = (2.0, 12.0, 18.0, 65.0)  # years: infants, children and adolescents of ICH E11(R1), the elderly of ICH E7
OLDEST_YEARS = 110.0  # who is older mistyped their age
AGE_COLUMN = "age"  # as every importer of datasets/ calls it


@dataclass(frozen=True)
class Ages:
    """The band of every clip, "" where its age is unknown or impossible, and the ages that nobody can have."""

    bands: tuple[str, ...]
    impossible: tuple[str, ...]  # as they stood, each once


def subgroup_values(column: str, values: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (group of every clip, "" for none; notes) of a manifest column.

    A column called "age" holds years and becomes bands.
    """
    if column.casefold() != AGE_COLUMN:
        return tuple(str(value).strip() for value in values), ()
    ages = age_bands(values)
    some = ", ".join(repr(age) for age in ages.impossible[:3])
    return ages.bands, (f"ages that nobody can have, in no subgroup: {some}",) if ages.impossible else ()


def age_bands(ages: Sequence[str], *, edges: Sequence[float] = AGE_BANDS) -> Ages:
    """Ages in years, "" for unknown, as bands such as "12-18" (12 or older, younger than 18).

    What is no number, below 0 or above OLDEST_YEARS is impossible.
    """
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges)),
        f"{edges[-1]:g} or more",
    ]
    bands, impossible = [], dict[str, None]()
    for text in (str(age).strip() for age in ages):
        years = _number(text)
        if text and not 0 <= years <= OLDEST_YEARS:
            impossible[text] = None
        bands.append(
            names[int(np.searchsorted(edges, years, side="right"))] if text and 0 <= years <= OLDEST_YEARS else ""
        )
    return Ages(tuple(bands), tuple(impossible))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
