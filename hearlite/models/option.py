"""The type of command-line arguments that name a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from click import Context, Parameter


class ModelType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A file or folder, or the name of a model that comes with hearlite or is installed; becomes its path."""

    name = "model"

    def convert(self, value: str | Path, param: Parameter | None, ctx: Context | None) -> Path:
        """Return the path. Raises UsageError for a name that is unknown."""
        from hearlite.models.registry import find_model

        return find_model(value)

    def shell_complete(self, ctx: Context, param: Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names of models, and paths as the shell does."""
        from hearlite.models.registry import known

        names = [CompletionItem(name) for name in known() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="file")]


MODEL = ModelType()
