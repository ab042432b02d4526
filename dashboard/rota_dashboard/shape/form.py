"""The usual keys of a policy as fields of a form: two ways into one document. Pure.

``values`` reads the fields of a document, ``edited`` makes another document of it with one field changed. What no field is for
stays as it is.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rota.rules.fields import FIELDS, WHEN
from rota_dashboard.shape.words import Item

Document = dict[str, Any]

_HELP = {field.path: field.help for field in FIELDS}
_NUMBERS = "0123456789."


class Field(NamedTuple):
    """One field. ``path``: where its value stands; of a gate ``gates:KIND.KEY``, of the functions that ask ``permit``."""

    path: str
    level: str
    label: str
    example: str = ""
    choices: tuple[str, ...] = ()  # empty: a text
    of_numbers: bool = False
    of_lists: bool = False

    @property
    def help(self) -> str:
        """What it says, as the reference has it."""
        if self.path in _OWN_HELP:
            return _OWN_HELP[self.path]
        is_of_gate = self.path.startswith("gates:")
        return _HELP["gates[]." + self.path.rpartition(".")[2] if is_of_gate else self.path]


WHEN_KIND, WHEN_TEXT, PERMIT = "when", "when.text", "permit"
_OWN_HELP = {
    WHEN_KIND: _HELP["schedule"],
    WHEN_TEXT: "The cron expression, the interval, the calendar event, or the workflow that it comes after.",
    PERMIT: _HELP["tasks"] + " Several: with commas.",
}
_AFTER = "after"
FIELDS_OF_FORM = (
    Field(WHEN_KIND, "expect", "Schedule", choices=("none", *WHEN)),
    Field(WHEN_TEXT, "expect", "When", "0 2 * * *"),
    Field("schedule.tz", "expect", "Time zone", "Europe/Berlin"),
    Field("schedule.grace", "expect", "Grace", "15m"),
    Field("expect.max_duration", "expect", "Longest run", "2h"),
    Field("retry.attempts", "retry", "Attempts", "3", of_numbers=True),
    Field("retry.wait", "retry", "Wait", "30s"),
    Field("retry.backoff", "retry", "Backoff", "2", of_numbers=True),
    Field("gates:concurrency.limit", "gate", "At once", "1", of_numbers=True),
    Field("gates:upstream.workflow", "gate", "After", "ingest.orders"),
    Field("gates:window.only", "gate", "Only then", "Mon..Fri 08:00-18:00", of_lists=True),
    Field("gates:window.not", "gate", "Not then", "Sat..Sun", of_lists=True),
    Field("gates:approval.role", "gate", "Approval by", choices=("nobody", "operate", "admin")),
    Field("gates:approval.within", "gate", "Within", "4h"),
    Field(PERMIT, "orchestrate", "Functions that ask", "load_*"),
    Field("alert.channels", "alert", "Channels", "ops", of_lists=True),
)
_BY_PATH = {field.path: field for field in FIELDS_OF_FORM}


def fields(document: object, by_code: Document) -> list[Item]:
    """The form for a document; what code declares stands there as what is usual."""
    own, declared = values(document if isinstance(document, dict) else {}), values(by_code)
    return [
        {
            "path": field.path, "level": field.level, "label": field.label, "value": own[field.path],
            "usual": declared[field.path] or (field.example and f"e.g. {field.example}"), "choices": list(field.choices),
            "declared": declared[field.path] if field.choices and declared[field.path] != field.choices[0] else "",
            "help": field.help,
        }
        for field in FIELDS_OF_FORM
    ]  # fmt: skip


def values(document: Document) -> dict[str, str]:
    """What stands in each field, as text; empty: nothing. What is no such document has nothing in that place."""
    return {field.path: _shown(_get(document, field.path)) for field in FIELDS_OF_FORM}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _get(document: Document, path: str) -> Any:
    if path in (WHEN_KIND, WHEN_TEXT):
        kind, text = _when(document)
        return kind if path == WHEN_KIND else text
    if path == PERMIT:
        return _asking(document)
    if path.startswith("gates:"):
        kind, _, key = path.removeprefix("gates:").partition(".")
        gate = _gate(document, kind)
        return (gate.get(key) or "operate" if key == "role" else gate.get(key)) if gate is not None else None
    parent, _, key = path.partition(".")
    return _mapping(document, parent).get(key)


def _when(document: Document) -> tuple[str, Any]:
    schedule = _mapping(document, "schedule")
    kind = next((each for each in WHEN if schedule.get(each) not in (None, [])), "none")
    given = schedule.get(kind)
    return kind, given.get("workflow") if isinstance(given, dict) else given


def _asking(document: Document) -> list[str]:
    tasks = _mapping(document, "tasks")
    return [pattern for pattern, terms in tasks.items() if isinstance(terms, dict) and terms.get("permit") is True]


def _mapping(document: Document, key: str) -> Document:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _gates(document: Document) -> list[Any]:
    found = document.get("gates")
    return found if isinstance(found, list) else []


def _gate(document: Document, kind: str) -> Document | None:
    """The first gate of a kind."""
    return next((each for each in _gates(document) if isinstance(each, dict) and each.get("kind") == kind), None)


# -- one field changed ---------------------------------------------------------------------------------------------------


def edited(document: Document, path: str, text: str) -> Document:
    """The document with another value in a field; an empty one takes it out, and what is empty then too. A path that is no field
    changes nothing.
    """
    field = _BY_PATH.get(path)
    if field is None:
        return document
    value = _value(field, text.strip())
    if path in (WHEN_KIND, WHEN_TEXT):
        return _with_when(document, path, text.strip())
    if path == PERMIT:
        return _with_asking(document, _list(text))
    if path.startswith("gates:"):
        kind, _, key = path.removeprefix("gates:").partition(".")
        return _with_gate(document, kind, key, value)
    parent, _, key = path.partition(".")
    return _put(document, parent, _put(_mapping(document, parent), key, value))


def _value(field: Field, text: str) -> Any:
    """What a text stands for; a number that is none stays a text, and is said to be wrong."""
    if not text or text in ("nobody", "none"):
        return None
    if field.of_lists:
        return _list(text)
    if field.of_numbers and set(text) <= set(_NUMBERS) and text.count(".") <= 1 and text.strip("."):
        return float(text) if "." in text else int(text)
    return text


def _list(text: str) -> list[str]:
    return [each for each in map(str.strip, text.split(",")) if each]


def _put(document: Document, key: str, value: Any) -> Document:
    """With a value in its old place, or last; None and what is empty are left out."""
    found = {**document, key: value}
    return {name: each for name, each in found.items() if name != key or each not in (None, {}, [])}


def _with_when(document: Document, path: str, text: str) -> Document:
    schedule, (kind, given) = _mapping(document, "schedule"), _when(document)
    if path == WHEN_KIND:
        rest = {key: each for key, each in schedule.items() if key not in WHEN}
        if text not in WHEN:
            return _put(document, "schedule", None)
        return _put(document, "schedule", {text: _when_value(text, given if isinstance(given, str) else "", {}), **rest})
    kind = "cron" if kind == "none" and text else kind
    if kind == "none":
        return document
    return _put(document, "schedule", {**schedule, kind: _when_value(kind, text, _mapping(schedule, _AFTER))})


def _when_value(kind: str, text: str, after: Document) -> Any:
    """An empty text stays, so that the choice of a kind is not lost; it is said to be no schedule yet."""
    return {**after, "workflow": text} if kind == _AFTER else text


def _with_asking(document: Document, patterns: list[str]) -> Document:
    tasks = _mapping(document, "tasks")
    kept: Document = {}
    for pattern, terms in tasks.items():
        rest = {key: each for key, each in terms.items() if key != "permit"} if isinstance(terms, dict) else terms
        if pattern in patterns:
            kept[pattern] = {"permit": True, **rest} if isinstance(rest, dict) else {"permit": True}
        elif rest or rest is None:
            kept[pattern] = rest
    return _put(document, "tasks", kept | {pattern: {"permit": True} for pattern in patterns if pattern not in kept})


def _with_gate(document: Document, kind: str, key: str, value: Any) -> Document:
    """The first gate of the kind changed, made, or, when nothing is left of it, taken out."""
    gates, gate = _gates(document), _gate(document, kind)
    if kind == "approval" and key == "within" and gate is None and value is None:
        return document
    if gate is None:
        return document if value is None else _put(document, "gates", [*gates, {"kind": kind, key: value}])
    changed = _put(gate, key, value)
    is_over = changed.keys() <= {"kind"} if kind != "approval" else key == "role" and value is None
    rest = [changed if each is gate else each for each in gates if not (is_over and each is gate)]
    return _put(document, "gates", rest)
