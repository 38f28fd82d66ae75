"""Load lists of recipes that differ in a few settings, from benchmarks/experiments/lists/*.toml."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from hearlite.errors import InputError
from hearlite.serialization import from_dict, load_toml, to_dict
from hearlite.spec import StudentSpec, TrainSpec

FOLDER = Path(__file__).parent / "lists"
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")  # also a folder's


@dataclass(frozen=True)
class Variant:
    """A recipe that differs from the default one in a few settings."""

    name: str
    # Values by path, such as train.loss.relational, student.frontend.mels or student.blocks.*.tap.
    overrides: dict[str, Any] = field(default_factory=dict)
    size: str = ""  # of the student that is changed, a key of spec.STUDENTS; "": the command's --size

    def specs(self, student: StudentSpec, train: TrainSpec) -> tuple[StudentSpec, TrainSpec]:
        """Apply the overrides to a student and a training recipe.

        Raises
        ------
        InputError
            A path is no setting of theirs, or its value is of another type.
        """
        data: Any = {"student": to_dict(student), "train": to_dict(train)}
        where = f"variant {self.name!r}"
        for path, value in self.overrides.items():
            data = _replaced(data, path.split("."), value, where=f"{where}: {path}")
        return from_dict(StudentSpec, data["student"], where=where), from_dict(TrainSpec, data["train"], where=where)


@dataclass(frozen=True)
class Variants:
    """The content of a list."""

    variant: tuple[Variant, ...]  # the others are compared with the first


def load_variants(name: str) -> tuple[Variant, ...]:
    """Load a list of variants.

    Parameters
    ----------
    name
        Of a list in experiments/lists, or the path of a .toml.

    Raises
    ------
    InputError
        The list is unknown, empty or invalid, or the name of a variant is repeated or not allowed.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    path = FOLDER / f"{name}.toml" if name in known else Path(name)
    if path.suffix != ".toml":
        raise InputError(f"list of variants is {name!r}", f"use one of {', '.join(known)}, or a .toml")
    variants = load_toml(Variants, path).variant
    names = [variant.name for variant in variants]
    for variant in variants:
        if not _NAME.fullmatch(variant.name) or names.count(variant.name) > 1:
            raise InputError(
                f"{path}: variant {variant.name!r}", "use lower-case letters, digits and . + -, each name once"
            )
        if not isinstance(variant.overrides, dict):
            raise InputError(
                f"{path}: overrides of {variant.name!r} are {variant.overrides!r}",
                "expected a table of paths and values",
            )
    if not variants:
        raise InputError(f"{path}: no [[variant]]", "add one; the others are compared with the first one")
    return variants


def require_listed(only: Collection[str], variants: Sequence[Variant]) -> None:
    """Raise click.UsageError for a name of `--only` that no variant has."""
    names = [variant.name for variant in variants]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise click.UsageError(f"--only {unknown[0]}: not in the list; it has {', '.join(names)}")


def _replaced(data: Any, path: list[str], value: Any, *, where: str) -> Any:
    """Replace the value at `path` in a copy of `data`; * is every item of a list."""
    if not path:
        return value
    head, *rest = path
    if isinstance(data, list) and head == "*":
        return [_replaced(item, rest, value, where=where) for item in data]
    if not isinstance(data, dict) or head not in data:
        allowed = ", ".join(data) if isinstance(data, dict) else "*" if isinstance(data, list) else "nothing below it"
        raise InputError(f"{where}: no setting {head!r} there", f"allowed: {allowed}")
    return {**data, head: _replaced(data[head], rest, value, where=where)}
