"""The policy document as a JSON Schema (2020-12), for editors and pipelines. It follows from ``fields.FIELDS``.

What no schema can say is left to ``policy.validate``: that a duration is not longer than 400 days, that ``min_duration`` is
below ``max_duration``, that no workflow comes after itself.
"""

from __future__ import annotations

from rota.rules import expression, values
from rota.rules.budget import MOST_LEAST
from rota.rules.fields import FIELDS, GATE_KEYS, REQUIRED, WHEN, Field, Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEXT = {"type": "string", "pattern": r"\S"}
_NUMBER = r"[0-9]+(\.[0-9]+)?"
_PARTS = r"(%s\s*([mM][sS]|[mM][iI][nN]|[smhdwSMHDW])\s*)+" % _NUMBER
_SPELLED = r"\s*(%s|%s)\s*" % (_NUMBER, _PARTS)
_DURATION = {"type": "string", "pattern": "^%s$" % _SPELLED}
_LENGTH = {"type": "string", "pattern": r"^\s*(?=.*[1-9])(%s|%s)\s*$" % (_NUMBER, _PARTS)}
_COUNT = {"type": "integer", "minimum": 1, "maximum": values.MOST}
_TEXTS: list[dict[str, Any]] = [_TEXT, {"type": "array", "items": _TEXT}]
_OF_KIND: dict[str, list[dict[str, Any]]] = {
    "text": [_TEXT],
    "duration": [_DURATION, {"type": "number", "minimum": 0, "maximum": values.LONGEST_SECONDS}],
    "length": [_LENGTH, {"type": "number", "exclusiveMinimum": 0, "maximum": values.LONGEST_SECONDS}],
    "count": [_COUNT],
    "count or false": [_COUNT, {"const": False}],
    "texts": _TEXTS,
    "windows": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
    "failures": _TEXTS,
    "factor": [{"type": "number", "minimum": 1, "maximum": values.LARGEST_FACTOR}],
    "fraction": [{"type": "number", "minimum": 0, "maximum": 1}],
    "amount": [{"type": "number", "exclusiveMinimum": 0, "maximum": values.LARGEST_FACTOR}],
    "whole": [{"type": "integer", "minimum": 0, "maximum": values.HIGHEST_PRIORITY}],
    "percent": [{"type": "number", "minimum": 0, "maximum": 100}],
    "least": [{"type": "integer", "minimum": 0, "maximum": MOST_LEAST}],
    "flag": [{"type": "boolean"}],
    "size": [{"type": "string", "pattern": r"^\s*%s\s*[kKmMgGtT]?[iI]?[bB]\s*$" % _NUMBER}],
    "expected": [{"type": ["string", "number", "boolean"]}],
    "unreachable": [{"type": "string", "pattern": r"^(go|skip|deny|wait\((?=.*[1-9])%s\))$" % _SPELLED}],
    "anything": [{}],
    "condition": [{"type": "string", "pattern": r"\S", "maxLength": expression.LONGEST}],
    "action": [{"type": "string", "pattern": r"^\s*(deny|cancel|alert)\s*(\(.*\))?\s*$"}],
}


def schema() -> dict[str, Any]:
    """The schema, made anew: the caller may change it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rota policy",
        "description": "What is expected of a workflow, what it may do, who is told. A null takes away what code declares.",
        **_mapping(""),
    }


def _mapping(path: str) -> dict[str, Any]:
    """An object with the keys right below ``path``."""
    required = list(REQUIRED.get(path, ()))  # keys that null does not stand for either
    keys = {}
    for field in FIELDS:
        parent, _, name = field.path.rpartition(".")
        if parent == path and name != "*":
            allowed = _allowed(field) if name in required else [*_allowed(field), {"type": "null"}]
            keys[name] = {"description": field.help, "anyOf": allowed}
    whole = {"type": "object", "additionalProperties": False, "properties": keys, "required": required}
    if path == "schedule":
        whole["oneOf"] = [{"required": [name], "properties": {name: {"not": {"enum": [None, []]}}}} for name in WHEN]
    if path == "gates[]":
        whole["oneOf"] = [_of_gate(kind, keys) for kind, keys in GATE_KEYS.items()]
    return whole


def _of_gate(kind: str, keys: Keys) -> dict[str, Any]:
    """What holds for gates of one kind beside what is said of each key."""
    foreign = {name for other in GATE_KEYS.values() for name in other.all()} - set(keys.all())
    given = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in keys.one_of or keys.some_of]
    properties: dict[str, Any] = {"kind": {"const": kind}, **{name: {"type": "null"} for name in sorted(foreign)}}
    properties.update({name: {"not": {"type": "null"}} for name in keys.needed})
    whole: dict[str, Any] = {"properties": properties, "required": list(keys.needed)}
    if given:
        whole["oneOf" if keys.one_of else "anyOf"] = given
    return whole


def _allowed(field: Field) -> list[dict[str, Any]]:
    if field.kind == "mapping":
        return [_mapping(field.path)]
    if field.kind == "named":
        return [{"type": "object", "additionalProperties": {"anyOf": [_mapping(field.path + ".*"), {"type": "null"}]},
                 "propertyNames": {"pattern": r"\S"}}]  # fmt: skip
    if field.kind == "list":
        return [{"type": "array", "items": _mapping(field.path + "[]")}]
    return _OF_KIND.get(field.kind) or [{"enum": field.kind.split("|")}]
