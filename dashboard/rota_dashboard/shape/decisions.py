"""What gates said to a run and its tasks, and its attempts: rows of tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any

from rota_dashboard.shape import words
from rota_dashboard.shape.told import value_text
from rota_dashboard.shape.words import Item, letter, parsed

SHOWN = 200  # decisions
_LAST_MILLIS = 253_370_764_800_000.0  # of a year with four digits
_SEEING = ("collector", "agent")  # who decides with all facts; everybody else did it while nobody answered
_SAME = ("task", "attempt", "answer", "reason", "source")  # in all of them: it is one row
_TERMINAL = ("go", "skip", "deny")


def attempts(run: Item, reader: tzinfo) -> list[Item]:
    """The attempts of a run, if there was more than one: how each went, and how long until the next."""
    found = run["attempts"]
    if len(found) < 2:
        return []
    return [
        {
            "attempt": each["attempt"],
            "mark": letter(each["state"]),
            "state": words.plain(each["state"]),
            "reason": words.plain(each["reason"] or "") if each["reason"] != each["state"] else "",
            "at": words.clock(parsed(each["started_at"]), reader, seconds=True) if each["started_at"] else "–",
            "took": words.length(each["duration_seconds"]),
            "since": words.millis(each["started_at"]) if each["state"] in ("running", "starting") else None,
            "exit": "–" if each["exit_code"] is None else str(each["exit_code"]),
            "error": words.clipped(": ".join(filter(None, (each["error_type"], each["error_message"])))),
        }
        for each in found
    ]


def decisions(found: Sequence[Item], reader: tzinfo, *, is_live: bool) -> Item:
    """What was decided, in order; what was said many times in a row to one task is one row."""
    folded = list(_folded(found))
    begun = _begun(found)
    over = {_who(each) for each in found if each["answer"] in _TERMINAL}
    rows = [
        {
            "at": words.clock(parsed(each["at"]), reader, seconds=True),
            "who": each["task"],
            "attempt": each["attempt"] if (each["attempt"] or 1) > 1 else None,
            "times": times,
            "answer": each["answer"],
            "gate": _gate(each),
            "reason": each["reason"] or "",
            "waited": _waited(each, begun, times),
            "since": words.millis(each["at"]) if each["answer"] == "wait" and is_live and _who(each) not in over else None,
            "blind": (each["source"] or "collector") not in _SEEING,
            "by": each["source"] or "collector",
            "answers": [_answer(one, reader) for one in each["answers"] or () if isinstance(one, dict)],
        }
        for each, times in folded[:SHOWN]
    ]
    return {"rows": rows, "more": max(0, len(folded) - SHOWN)}


def _who(each: Item) -> tuple[object, ...]:
    return each["attempt"], each["task"], each["ticket"]


def _folded(found: Iterable[Item]) -> Iterator[tuple[Item, int]]:
    """(the first of them, how many) of those in a row that say the same to the same task."""
    for _, group in groupby(found, key=lambda each: [each[name] for name in _SAME]):
        like = list(group)
        yield like[0], len(like)


def _begun(found: Iterable[Item]) -> dict[tuple[object, ...], datetime]:
    """When each who asked was first told to wait."""
    begun: dict[tuple[object, ...], datetime] = {}
    for each in found:
        if each["answer"] == "wait":
            begun.setdefault(_who(each), parsed(each["at"]))
    return begun


def _waited(each: Item, begun: dict[tuple[object, ...], datetime], times: int) -> str:
    """How long whoever asked had waited by then."""
    since = begun.get(_who(each))
    if each["answer"] == "wait" or since is None or times > 1:
        return ""
    return words.length(max(0.0, (parsed(each["at"]) - since).total_seconds()))


def _gate(each: Item) -> str:
    """Which gate decided: its kind, and its place in the policy, counted from 1."""
    if each["gate"] == -1:
        return "pause"
    place = f" {each['gate'] + 1}" if each["gate"] is not None else ""
    return f"{each['kind']}{place}" if each["kind"] else "all" if each["answer"] == "go" else ""


def _answer(one: Item, reader: tzinfo) -> Item:
    """What one gate said, with the facts that it rested on, as far as they are known."""
    facts = one.get("facts")
    found = {
        str(name): value for name, value in (facts if isinstance(facts, dict) else {}).items() if value not in (None, [], {})
    }
    return {
        "kind": str(one.get("kind") or ""),
        "answer": str(one.get("answer") or ""),
        "reason": str(one.get("reason") or ""),
        "facts": [_fact(name, value, reader) for name, value in found.items()],
    }


def _fact(name: str, value: Any, reader: tzinfo) -> Item:
    """Times and lengths of time as people read them."""
    values = value if isinstance(value, list) else [value]
    if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        for ending, shown in (("_ns", lambda each: _moment(each, reader)), ("_seconds", words.length)):
            if name.endswith(ending):
                return {"name": words.plain(name.removesuffix(ending)), "value": ", ".join(map(shown, values))}
    return {"name": words.plain(name), "value": value_text(value)}


def _moment(at_ns: float, reader: tzinfo) -> str:
    at = words.now_of(min(max(at_ns / 1e6, 0.0), _LAST_MILLIS))
    return f"{at.astimezone(reader):%Y-%m-%d %H:%M:%S}"
