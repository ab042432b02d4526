"""A year of a workflow: a cell a day, its worst outcome. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from rota_dashboard.shape import words
from rota_dashboard.shape.words import WORST_FIRST, Item, letter

SHOWN_DAYS = 365


def calendar(days: Iterable[Item], today: date) -> Item:
    """A cell a day, its worst outcome; columns are weeks."""
    found = {date.fromisoformat(each["day"]): each for each in days}
    first = today - timedelta(days=SHOWN_DAYS - 1)
    first -= timedelta(days=first.weekday())
    cells = [_cell(each, found.get(each)) for each in _dates(first, today)]
    return {"cells": cells, "first": first.isoformat(), "months": _months(first, today), "caption": _caption(found.values())}


def _dates(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def counts(day: Item) -> Counter[str]:
    """What there was on a day: runs by their state, and slots to which none came; a late success is late."""
    slots = {verdict: n for verdict, n in day["slots"].items() if verdict in ("missed", "unknown", "skipped")}
    slots["skipped"] = max(0, slots.get("skipped", 0) - day["runs"].get("skipped", 0))  # a run that is skipped has a slot too
    late = min(day["slots"].get("late", 0), day["runs"].get("succeeded", 0))
    found = Counter(day["runs"]) + Counter(slots)
    if late:
        found["late"] += late
        found["succeeded"] -= late
    return +found


def _cell(day: date, found: Item | None) -> list[str]:
    """[letter of its worst outcome, words]"""
    name = f"{day:%a} {day.day} {day:%b %Y}"
    if found is None:
        return ["", f"{name}: nothing"]
    there = counts(found)
    worst = min((letter(each) for each in there), key=WORST_FIRST.index, default="")
    return [worst, f"{name}: " + ", ".join(f"{n:,} {words.plain(each)}" for each, n in there.most_common())]


def _months(first: date, today: date) -> list[list[int | str]]:
    """[column, name] of each month that begins in it."""
    weeks = range((today - first).days // 7 + 1)
    starts = [(week, first + timedelta(days=7 * week)) for week in weeks]
    return [[week, f"{at:%b}"] for (week, at), (_, before) in zip(starts[1:], starts, strict=False) if at.month != before.month]


def _caption(days: Iterable[Item]) -> str:
    total: Counter[str] = sum((counts(day) for day in days), Counter())
    if not total:
        return "One cell a day. Nothing was seen yet."
    why = {"unknown": " (the collector was away)"}
    shown = [f"{n:,} {words.plain(each)}{why.get(each, '')}" for each, n in total.most_common(6)]
    return f"One cell a day, its worst outcome. {', '.join(shown)}."
