"""The texts that travel with an exported file: model card and NOTICE."""

from __future__ import annotations

from importlib import resources

from hearlite.bundle import Manifest
from hearlite.spec import PRECISION_NAMES
from hearlite.text import code, markdown, one_line


def model_card(manifest: Manifest) -> str:
    """Markdown, from export/templates/card.md.j2."""
    import jinja2

    template = resources.files("hearlite.export").joinpath("templates", "card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"markdown": markdown, "code": code}
    return environment.from_string(template).render(m=manifest, precision=PRECISION_NAMES[manifest.precision])


def notice(manifest: Manifest) -> str:
    """Return what must be passed on with the file: the teacher's terms hold for a student of it."""
    lines = [
        (
            f"{one_line(manifest.name)}: distilled by hearlite {one_line(manifest.hearlite)} (Apache-2.0) from the"
            f" outputs of {one_line(manifest.teacher.name)}."
        ),
        f"Licence of the teacher, which holds for this file: {one_line(manifest.licence)}.",
    ]
    if manifest.notice:
        lines.append(one_line(manifest.notice))
    lines.append("Research tool, not a diagnostic.")
    return "\n".join(lines) + "\n"
