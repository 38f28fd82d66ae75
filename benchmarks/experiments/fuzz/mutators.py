"""Damage bytes and JSON in the ways that files are damaged, and in those that an attacker would choose."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from hearlite.tflite.model_file import save

Rng = np.random.Generator
# Borders of the integers that files hold, and what they mean in a flatbuffer: no tensor, empty, far away.
_INTEGERS = (-(1 << 31), -1_000_000, -2, -1, 0, 1, 2, 3, 127, 255, 65_535, 1 << 20, 1 << 30, (1 << 31) - 1)
_NUMBERS: tuple[Any, ...] = (-1, 0, 1, 2, 1 << 20, 1 << 31, 1 << 62, -1.5, 0.0, 5e-324, 1e-30, 1e30, 1e308, -1e308)
_TEXTS = (
    "", "x", "\0", "../../etc/passwd", "x\x1b[2J\u202e", '"); import os; ("', "<script>alert(1)</script>", "a\nb|c`d",
    "\ud800", "é" * 300, "m" * 5_000, "%s{0}{{ x }}", "$\\frac{x$",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 10**30, 10**400, [], {}, [[]], {"a": 1}, *_NUMBERS, *_TEXTS,
)  # fmt: skip
_LITERALS = (
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "[" * 2_000 + "]" * 2_000, "{", "nul", '"\\u12"', "01",
)  # fmt: skip
_HOLE = "a place for a literal that no JSON writer writes"


def flip_bytes(content: bytes, rng: Rng) -> bytes:
    """Change up to 16 bytes."""
    data = np.frombuffer(content, np.uint8).copy()
    places = rng.integers(0, len(data), rng.integers(1, 17))
    data[places] ^= rng.integers(1, 256, len(places)).astype(np.uint8)
    return data.tobytes()


def set_integer(content: bytes, rng: Rng) -> bytes:
    """Replace one aligned int32, as an index, a length or an offset of a flatbuffer is one."""
    data = bytearray(content)
    place = 4 * int(rng.integers(0, len(data) // 4))
    data[place : place + 4] = int(rng.choice(_INTEGERS)).to_bytes(4, "little", signed=True)
    return bytes(data)


def add_to_integer(content: bytes, rng: Rng) -> bytes:
    """Add a small number to one aligned int32."""
    data = bytearray(content)
    place = 4 * int(rng.integers(0, len(data) // 4))
    value = int.from_bytes(data[place : place + 4], "little") + int(rng.integers(-8, 9))
    data[place : place + 4] = (value % (1 << 32)).to_bytes(4, "little")
    return bytes(data)


def truncate(content: bytes, rng: Rng) -> bytes:
    """Cut the end off."""
    return content[: int(rng.integers(0, len(content)))]


def splice(content: bytes, rng: Rng) -> bytes:
    """Copy a part of the content over another."""
    data, length = bytearray(content), int(rng.integers(1, min(len(content), 256)))
    source, target = (int(place) for place in rng.integers(0, len(data) - length + 1, 2))
    data[target : target + length] = data[source : source + length]
    return bytes(data)


def change_model(content: bytes, rng: Rng) -> bytes:
    """Change one number of a .tflite's tensors, operators or options, so that it is still a flatbuffer."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
    graph = model.subgraphs[int(rng.integers(len(model.subgraphs)))]
    parts = [graph, *graph.tensors, *graph.operators, *model.operatorCodes, *(model.signatureDefs or [])]
    parts += [part.quantization for part in graph.tensors if part.quantization is not None]
    parts += 3 * [part.builtinOptions for part in graph.operators if part.builtinOptions is not None]
    part = parts[int(rng.integers(len(parts)))]
    fields = [name for name, value in vars(part).items() if isinstance(value, (int, np.ndarray)) and np.size(value)]
    if not fields:
        return content
    field = fields[int(rng.integers(len(fields)))]
    value = getattr(part, field)
    number = int(rng.choice(_INTEGERS)) if rng.random() < 0.5 else int(rng.integers(-3, 40))
    if isinstance(value, np.ndarray):
        value = value.copy()
        value[int(rng.integers(len(value)))] = number
        if rng.random() < 0.1:
            value = value[:-1] if rng.random() < 0.5 else np.concatenate([value, value[-1:]])
        number = value
    setattr(part, field, number)
    return save(model)


BYTES: tuple[Callable[[bytes, Rng], bytes], ...] = (flip_bytes, set_integer, add_to_integer, truncate, splice)


def damage(content: bytes, rng: Rng) -> bytes:
    """Damage content by one of BYTES, one time in four by two of them."""
    for _ in range(1 + int(rng.random() < 0.25)):
        content = BYTES[int(rng.integers(len(BYTES)))](content, rng) if len(content) > 8 else content
    return content


def change_json(data: Any, rng: Rng) -> Any:
    """Return a copy of plain data with one value replaced, removed, doubled or added.

    Half of the new values have the type of the old one: they come further than a check of types.
    """
    data = copy.deepcopy(data)
    places = list(_places(data))
    parent, key = places[int(rng.integers(len(places)))]
    how = int(rng.integers(8))
    if how <= 3 and isinstance(parent[key], (str, int, float)) and not isinstance(parent[key], bool):
        allowed = _TEXTS if isinstance(parent[key], str) else _NUMBERS
        if type(parent[key]) is int:
            allowed = tuple(value for value in _NUMBERS if type(value) is int)
        parent[key] = allowed[int(rng.integers(len(allowed)))]
    elif how <= 5:
        parent[key] = copy.deepcopy(_VALUES[int(rng.integers(len(_VALUES)))])
    elif how == 6:
        del parent[key]
    elif isinstance(parent, list):
        parent.extend([copy.deepcopy(parent[key])] * int(rng.integers(1, 40)))
    else:
        parent[f"{key}_{rng.integers(10)}"] = parent[key]
    return data


def damage_model(content: bytes, rng: Rng) -> bytes:
    """Damage a .tflite: its bytes, or one time in two a number whose meaning is known."""
    if rng.random() < 0.5:
        return damage(content, rng)
    try:
        return change_model(content, rng)
    except (OverflowError, TypeError, ValueError):  # a number that the field can't hold
        return damage(content, rng)


def damage_json(data: Any, rng: Rng) -> bytes:
    """Return JSON of plain data that was changed, holds a literal that is none, has a key twice, or lost some bytes."""
    how = rng.random()
    if how < 0.7:
        return json.dumps(change_json(data, rng)).encode()
    if how < 0.85:
        places = list(_places(copied := copy.deepcopy(data)))
        parent, key = places[int(rng.integers(len(places)))]
        parent[key] = _HOLE
        return json.dumps(copied).replace(json.dumps(_HOLE), str(rng.choice(np.asarray(_LITERALS, object)))).encode()
    if how < 0.9 and isinstance(data, dict):
        return json.dumps(data).replace("{", '{"schema": "other", "schema": "twice", ', 1).encode()
    return damage(json.dumps(data).encode(), rng)


def _places(data: Any) -> Any:
    """Yield (parent, key) of every value inside nested lists and dicts."""
    items: list[Any] = list(data.items()) if isinstance(data, dict) else list(enumerate(data))
    for key, value in items:
        yield data, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
