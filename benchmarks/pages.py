"""What the report's pages share: their templates, how numbers are shown in them, what kinds of models are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearlite.benchmarks.formats import auroc_text, bytes_text, count_text, difference_text, loss_text, ms_text, p_text, percent_text, times_text
from hearlite.spec import PRECISION_NAMES

STUDENT_NAMES = {kind: f"student, {name}" for kind, name in PRECISION_NAMES.items()}
KIND_NAMES = {"teacher": "teacher", "peer": "peer", "shape": "shape only", "baseline": "baseline", **STUDENT_NAMES}
_TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, **content: Any) -> str:
    """A page of templates/. Names in results are hostile input: the template escapes every one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for show in (auroc_text, difference_text, loss_text, percent_text, bytes_text, count_text, times_text, ms_text, p_text):
        environment.filters[show.__name__.removesuffix("_text")] = show
    return str(environment.get_template(template).render(kind_names=KIND_NAMES, **content))
