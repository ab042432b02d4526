"""The policy document as a JSON Schema (2020-12), for editors and pipelines. It follows from ``policy.FIELDS``.

What no schema can say is left to ``policy.validate``: that a duration is not longer than 400 days, that ``min_duration`` is
below ``max_duration``, that no workflow comes after itself.
"""

from __future__ import annotations

from rota.rules import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEXT = {"type": "string", "pattern": r"\S"}
_NUMBER = r"[0-9]+(\.[0-9]+)?"
_PARTS = r"(%s\s*([mM][sS]|[mM][iI][nN]|[smhdwSMHDW])\s*)+" % _NUMBER
_DURATION = {"type": "string", "pattern": r"^\s*(%s|%s)\s*$" % (_NUMBER, _PARTS)}
_LENGTH = {"type": "string", "pattern": r"^\s*(?=.*[1-9])(%s|%s)\s*$" % (_NUMBER, _PARTS)}
_COUNT = {"type": "integer", "minimum": 1, "maximum": policy.MOST}
_REQUIRED = {"schedule.after": ["workflow"], "alert.escalate[]": ["after", "to"]}  # keys that null does not stand for either
_OF_KIND: dict[str, list[dict[str, Any]]] = {
    "text": [_TEXT],
    "duration": [_DURATION, {"type": "number", "minimum": 0, "maximum": policy.LONGEST_SECONDS}],
    "length": [_LENGTH, {"type": "number", "exclusiveMinimum": 0, "maximum": policy.LONGEST_SECONDS}],
    "count": [_COUNT],
    "count or false": [_COUNT, {"const": False}],
    "texts": [_TEXT, {"type": "array", "items": _TEXT}],
}


def schema() -> dict[str, Any]:
    """The schema, made anew: the caller may change it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rota policy",
        "description": "What is expected of a workflow, and how people are told. A null takes away what code declares.",
        **_mapping(""),
    }


def _mapping(path: str) -> dict[str, Any]:
    """An object with the keys right below ``path``."""
    required = _REQUIRED.get(path, [])
    keys = {}
    for field in policy.FIELDS:
        parent, _, name = field.path.rpartition(".")
        if parent == path:
            allowed = _allowed(field) if name in required else [*_allowed(field), {"type": "null"}]
            keys[name] = {"description": field.help, "anyOf": allowed}
    whole = {"type": "object", "additionalProperties": False, "properties": keys, "required": required}
    if path == "schedule":
        whole["oneOf"] = [{"required": [name], "properties": {name: {"not": {"enum": [None, []]}}}} for name in policy.WHEN]
    return whole


def _allowed(field: policy.Field) -> list[dict[str, Any]]:
    if field.kind == "mapping":
        return [_mapping(field.path)]
    if field.kind == "steps":
        return [{"type": "array", "items": _mapping(field.path + "[]")}]
    return _OF_KIND.get(field.kind) or [{"enum": field.kind.split("|")}]
