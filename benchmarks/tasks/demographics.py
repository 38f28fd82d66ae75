"""Group people by a metadata column, with ages in bands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AGE_BANDS = (
    2.0,
    12.0,
    18.0,
    65.0,
)  # years: infants, children and adolescents as in ICH E11(R1), the elderly as in ICH E7
OLDEST_YEARS = 110.0  # a higher age is taken for a typing error
AGE_COLUMN = "age"  # its name in every importer of benchmarks/datasets


@dataclass(frozen=True)
class Ages:
    """Age bands of clips."""

    bands: tuple[str, ...]  # [n], "" if the age is unknown or impossible
    impossible: tuple[str, ...]  # as written in the manifest, each once


def subgroup_values(column: str, values: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the subgroup of each clip from a manifest column.

    A column called "age" (in any case) holds years and is converted to bands.

    Parameters
    ----------
    column : str
        Name of the column.
    values : sequence of str [n]
        Its value for each clip.

    Returns
    -------
    groups : tuple of str [n]
        Group of each clip; "" for none.
    notes : tuple of str
        A note on impossible ages, if there are any.
    """
    if column.casefold() != AGE_COLUMN:
        return tuple(str(value).strip() for value in values), ()
    ages = age_bands(values)
    some = ", ".join(repr(age) for age in ages.impossible[:3])
    return ages.bands, (f"impossible ages, in no subgroup: {some}",) if ages.impossible else ()


def age_bands(ages: Sequence[str], *, edges: Sequence[float] = AGE_BANDS) -> Ages:
    """Convert ages to bands such as "12-18" (12 or older, younger than 18).

    Parameters
    ----------
    ages : sequence of str [n]
        Ages in years; "" for unknown.
    edges : sequence of float
        Rising limits between bands, in years.

    Returns
    -------
    Ages
        Band of each clip, and the impossible ages: no number, below 0, or above OLDEST_YEARS.
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
