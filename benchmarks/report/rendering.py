"""What the report's pages share: their templates, how numbers are shown in them, what kinds of models are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.format import (
    auroc_text,
    bytes_text,
    count_text,
    difference_text,
    loss_text,
    ms_text,
    p_text,
    percent_text,
    times_text,
)
from hearlite.spec import PRECISION_NAMES

STUDENT_NAMES = {kind: f"student, {name}" for kind, name in PRECISION_NAMES.items()}
KIND_NAMES = {"teacher": "teacher", "peer": "peer", "shape": "shape only", "baseline": "baseline", **STUDENT_NAMES}
_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Any:
    """Return a jinja2 Environment over templates/.

    Names in results are hostile input: it escapes every one.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, **content: Any) -> str:
    """Return a page of templates/, with the filters that show numbers."""
    pages = environment()
    for show in (
        auroc_text,
        difference_text,
        loss_text,
        percent_text,
        bytes_text,
        count_text,
        times_text,
        ms_text,
        p_text,
    ):
        pages.filters[show.__name__.removesuffix("_text")] = show
    return str(pages.get_template(template).render(kind_names=KIND_NAMES, **content))
