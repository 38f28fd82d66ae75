"""Older results.json read as today's: keys that were renamed, and facts that used to stand in notes only."""

from __future__ import annotations

import re
from typing import Any

from hearlite.benchmarks.schema.results import SCHEMA

_RENAMED = {"standin": "surrogate_note", "excess_ratio": "retention", "alone": "cold_starts"}
# Sentences that stood among the notes: the first four are fields now, the last is the table `leaking`.
_FRAMING, _GATE, _ELSEWHERE = "framing of short events: ", "failed its quality gate", "has heard nothing of"
_DISTILLED, _LEAKING = " was distilled on ", "LEAKING figures"
_NAME = re.compile(r"hearlite_(tiny|small|base)_")  # files of version 0.1 had no other names


def upgrade_results(data: dict[str, Any]) -> dict[str, Any]:
    """Return the results.json of `hearlite bench` of version 0.1 as today's."""
    data = _renamed(data)
    notes = [str(note) for note in data["notes"]]
    framing = [note.removeprefix(_FRAMING) for note in notes if note.startswith(_FRAMING)]
    data["dataset"]["framing"] = framing[0] if framing else "context"
    failed = {note.partition(f" {_GATE}")[0] for note in notes if _GATE in note}
    elsewhere = {note.partition(_DISTILLED)[0]: note for note in notes if _ELSEWHERE in note}
    for model in data["models"]:
        if (named := _NAME.match(model["name"])) is not None:
            note = elsewhere.get(model["name"], "")
            model["size"] = named[1]
            model["gate_passed"] = model["name"] not in failed
            model["trained_on_dataset"] = not note
            model["trained_on"] = note.partition(_DISTILLED)[2].partition(" and ")[0]
    data["notes"] = [
        note for note in notes if not any(part in note for part in (_FRAMING, _GATE, _ELSEWHERE, _DISTILLED, _LEAKING))
    ]
    if data.get("cost"):
        data["cost"] = upgrade_cost(data["cost"])
    return {**data, "schema": SCHEMA}


def upgrade_cost(cost: dict[str, Any]) -> dict[str, Any]:
    """Return the cost of version 0.1 as today's: without the project's own goals, with the size of each student."""
    cost = _renamed(cost)
    cost.pop("goals", None)
    for model in cost["models"]:
        if (named := _NAME.match(model["name"])) is not None:
            model["size"] = named[1]
    return cost


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_RENAMED.get(key, key): _renamed(item) for key, item in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value
