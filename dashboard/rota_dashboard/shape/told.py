"""All that was told of a run: attributes, history, single spans, measurements. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from rota.wire import names
from rota_dashboard.shape import words
from rota_dashboard.shape.words import Item, letter, parsed

_OWN = ("rota.", "cicd.")  # told elsewhere on the page
_LONGEST_VALUE, _LONGEST_STACK = 2_000, 20_000  # characters that are shown


def attributes(found: Mapping[str, Any]) -> list[Item]:
    """What else is known of it: the facts that it recorded first, then by name."""
    shown = {name: value for name, value in found.items() if not name.startswith(_OWN) and not name.startswith("exception.")}
    return [
        {"name": name, "value": value_text(value)}
        for name, value in sorted(shown.items(), key=lambda each: ("." in each[0], each[0]))
    ]


def value_text(value: Any) -> str:
    """A value as one reads it."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {value_text(each)}" for name, each in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else words.cut(str(value), _LONGEST_VALUE)


def history(found: Iterable[Item], reader: tzinfo) -> list[Item]:
    """What was told and decided, in order: when, what, by whom, why."""
    return [
        {
            "at": words.clock(parsed(each["at"]), reader, seconds=True),
            "mark": letter(each["word"]) if each["kind"] not in ("incident", "decision") else "",
            "what": _told(each),
            "by": each["said_by"] or "",
            "why": words.plain(each["reason"] or "") if each["kind"] != "incident" else (each["detail"] or ""),
        }
        for each in found
    ]


def _told(each: Item) -> str:
    word = words.plain(each["word"] or "")
    if each["kind"] == "slot":
        return f"slot: {word}"
    if each["kind"] == "incident":
        return f"incident {word}"
    if each["kind"] == "decision":
        return f"gates: {word}" + (f" ({each['detail']})" if each["detail"] else "")
    return word + (f" (attempt {each['attempt']})" if each["attempt"] and each["attempt"] > 1 else "")


def span(found: Item, reader: tzinfo) -> Item:
    """One span, whole."""
    problems = [event["attributes"] for event in found["events"] if event.get("name") == "exception"]
    stack = next((str(each.get(names.EXCEPTION_STACK) or "") for each in problems), "")
    return {
        "name": found["name"],
        "facts": [
            words.length(found["duration_seconds"]),
            f"started {words.clock(parsed(found['started_at']), reader, seconds=True)}",
            *([str(found["kind"])] if found["kind"] not in ("internal", "unspecified") else []),
        ],
        "error": ": ".join(filter(None, (str(found["attributes"].get(names.ERROR_TYPE) or ""), found["status_message"])))
        if found["status"] == "error"
        else None,
        "stack": words.cut(stack.rstrip(), _LONGEST_STACK) or None,
        "attributes": [{"name": name, "value": value_text(value)} for name, value in sorted(found["attributes"].items())],
    }


def series(found: Iterable[Item]) -> list[Item]:
    """What was measured, for drawing: [ms, value] each. What was measured to be no number is a gap."""
    known = ((each, [[at / 1e6, value] for at, value in each["points"] if value is not None]) for each in found)
    return [
        {
            "name": each["name"]
            + "".join(
                f" · {value_text(value)}" for name, value in sorted(each["attributes"].items()) if not name.startswith(_OWN)
            ),
            "points": points,
            "last": _measured(points[-1][1], each["unit"]),
            "most": _measured(max(value for _, value in points), each["unit"]),
        }
        for each, points in known
        if len(points) > 1
    ]


def _measured(value: float, unit: str | None) -> str:
    if unit == "By":
        return words.size(value)
    if unit == "s":
        return words.length(value)
    is_plain = unit in (None, "", "1") or unit.startswith("{")  # UCUM's 1, and its annotations: the name says what is counted
    return words.count(value) if is_plain else f"{words.count(value)} {unit}"
