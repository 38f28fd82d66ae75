"""Recipes as data: quantize/recipes/*.json, or a file of a user's own.

Which of them can be built, and in what order `auto` tries them.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from hearlite.errors import UsageError
from hearlite.files import read_json
from hearlite.quantize.ranges import METHODS
from hearlite.serialization import from_dict
from hearlite.spec import QuantSpec

# Weights and activations that a network can be built with.
SCHEMES = (("int8", "int8"), ("int8", "dynamic"), ("int8", "float32"), ("float16", "float32"))
# Fastest on a phone first, and none of those with int8 weights is larger than float16: what costs training comes before
# what costs speed.
AUTO = ("static_wi8_ai8", "qat_wi8_ai8", "dynamic_wi8_afp32", "weight_only_wi8_afp32", "float16")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")  # also a folder's, inside the run's
_TAKEN = ("auto", "float32", "records")  # mean something else there


def recipes() -> dict[str, QuantSpec]:
    """All recipes by name, from quantize/recipes/*.json."""
    files = [
        item
        for item in resources.files("hearlite.quantize").joinpath("recipes").iterdir()
        if item.name.endswith(".json")
    ]
    found = [read_recipe(Path(str(item))) for item in sorted(files, key=lambda item: item.name)]
    return {spec.recipe: spec for spec in found}


def find_recipe(name: str) -> QuantSpec:
    """Return one of `recipes` by name, or the recipe of a .json file.

    Raises UsageError for anything else.
    """
    known = recipes()
    if name in known:
        return known[name]
    if not name.endswith(".json"):
        raise UsageError(f"recipe is {name!r}", f"use auto, one of {', '.join(known)}, or a .json file")
    recipe = read_recipe(Path(name))
    if recipe.recipe in known and recipe != known[recipe.recipe]:
        raise UsageError(
            f"{name}: its recipe is called {recipe.recipe!r}, as one of hearlite's that differs",
            "give it a name of its own",
        )
    return recipe


def read_recipe(path: Path) -> QuantSpec:
    """Read a recipe from a .json file.

    Raises InputError that names the key, UsageError for a value that is not allowed.
    """
    spec = from_dict(QuantSpec, read_json(path), where=str(path))
    require_known(spec)
    return spec


def require_known(recipe: QuantSpec) -> None:
    """Raise UsageError for a recipe that asks for what is not built."""
    if not _NAME.fullmatch(recipe.recipe) or recipe.recipe in _TAKEN:
        raise UsageError(
            f"a recipe is called {recipe.recipe!r:.80}",
            f"use lower-case letters, digits and _ . - for 'recipe', but none of {', '.join(_TAKEN)}",
        )
    if (recipe.weights, recipe.activations) not in SCHEMES:
        known = ", ".join(f"{weights} x {activations}" for weights, activations in SCHEMES)
        raise UsageError(
            f"recipe {recipe.recipe} asks for {recipe.weights} x {recipe.activations}",
            f"weights x activations are one of {known}",
        )
    if recipe.ranges not in METHODS:
        raise UsageError(
            f"recipe {recipe.recipe} asks for ranges {recipe.ranges!r}", f"use one of {', '.join(METHODS)}"
        )
    if not 50.0 < recipe.percentile <= 100.0:
        raise UsageError(
            f"recipe {recipe.recipe} asks for percentile {recipe.percentile}", "use more than 50 and at most 100"
        )
    if recipe.refit_ridge < 0.0 or recipe.qat.fraction < 0.0 or recipe.calibration_clips < 1:
        raise UsageError(
            f"recipe {recipe.recipe} asks for refit_ridge {recipe.refit_ridge}, qat.fraction {recipe.qat.fraction} and "
            f"calibration_clips {recipe.calibration_clips}",
            "the first two can't be negative and a range needs at least one clip",
        )
    if recipe.qat.fraction and recipe.activations != "int8":
        raise UsageError(
            f"recipe {recipe.recipe} trains for {recipe.activations} activations",
            "qat needs int8 activations; set qat.fraction to 0",
        )
