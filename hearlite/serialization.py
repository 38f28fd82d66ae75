"""Convert frozen dataclasses to and from JSON and TOML.

Unknown keys, missing fields and wrong types are refused.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from hearlite.errors import InputError
from hearlite.files import LARGEST_JSON_BYTES, read_content, require_plain

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - Python 3.10
    import tomli as tomllib

Spec = TypeVar("Spec")


def to_dict(spec: Any) -> dict[str, Any]:
    """Return a dataclass as plain data that JSON can hold."""
    data: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(spec)))
    return data


def without_defaults(value: Any) -> Any:
    """Return plain data of dataclasses, without the fields that have their default; `from_dict` fills them in again."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: without_defaults(item) for field, item in pairs if item != field.default}
    return [without_defaults(item) for item in value] if isinstance(value, (list, tuple)) else value


def from_dict(kind: type[Spec], data: Any, *, where: str) -> Spec:
    """Build a dataclass from plain data.

    Parameters
    ----------
    kind : type
        The dataclass; nested dataclasses, tuples and `X | None` are supported.
    data : dict
        Its fields by name. The items of `dict` fields are not checked.
    where : str
        Source of the data, for error messages.

    Raises
    ------
    InputError
        When a key is unknown, a required field is missing, or a value has the wrong type.
    """
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a table for {kind.__name__}, got {type(data).__name__}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(data) - set(hints))  # keys are strings, in JSON and in TOML
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r:.80}", f"allowed: {', '.join(sorted(hints))}")
    try:
        return kind(**{key: _value(hints[key], value, where=f"{where}: {key}") for key, value in data.items()})
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, *, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where=where)
    if isinstance(hint, types.UnionType) and types.NoneType in typing.get_args(hint):
        return None if value is None else _value(typing.get_args(hint)[0], value, where=where)  # X | None
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} is {value!r:.200}", "expected a list")
        items = typing.get_args(hint)
        kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
        if len(kinds) != len(value):
            raise InputError(f"{where} has {len(value)} items", f"expected {len(kinds)}")
        return tuple(_value(kind, item, where=where) for kind, item in zip(kinds, value, strict=True))
    hint = typing.get_origin(hint) or hint  # dict[str, Any] -> dict; its items are not checked here
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, where=where)
    if isinstance(hint, (type, types.UnionType)) and (
        not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)
    ):
        raise InputError(f"{where} is {value!r:.200}", f"expected {getattr(hint, '__name__', hint)}")
    return value


def _number(value: float, *, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{where} is not a finite number", "expected float")
    return number


def load_toml(kind: type[Spec], path: Path) -> Spec:
    """Build a dataclass from a TOML file. Raises InputError, which names the file and the key."""
    content = read_content(path, largest=LARGEST_JSON_BYTES)
    try:
        data = tomllib.loads(content.decode("utf-8"))
        require_plain(data)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError, as an integer of 5000 digits is
        raise InputError(f"{path}: not valid TOML: {error!s:.200}") from error
    return from_dict(kind, data, where=str(path))
