"""What is wrong, in words and with a shape: incidents as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rota_dashboard.shape import words
from rota_dashboard.shape.words import Item, letter

# kind → the letter of its shape
_MARKS = {
    "missed": "m",
    "failed": "f",
    "too_long": "t",
    "too_short": "l",
    "silent": "?",
    "host_silent": "m",
    "observer_silent": "?",
    "downtime": "?",
    "rule": "l",
}
_TITLES = {
    "failed": "Failed",
    "too_long": "Takes too long",
    "too_short": "Ended too soon",
    "silent": "Is silent",
    "rule": "A rule objects",
    "host_silent": "The host is silent",
    "observer_silent": "Nobody looks at it",
}


_STREAK = re.compile(r"(\d+) runs in a row failed")
_MEANWHILE = re.compile(r"while [^,]+")
_ENDING = re.compile(r"the run (failed|crashed|timed out|upstream failed)")


class Zones(NamedTuple):
    """Where the reader is, and where the schedule is (None: the same)."""

    reader: tzinfo
    schedule: tzinfo | None = None

    @property
    def of_slots(self) -> tzinfo:
        """The zone in which slots are named."""
        return self.schedule or self.reader


class Cause(NamedTuple):
    """What is wrong: a shape, a title, and the rest in a sentence."""

    mark: str
    title: str
    detail: str

    @property
    def line(self) -> str:
        """Both in one line."""
        return f"{self.title}: {self.detail}" if self.detail else self.title


def cause(incident: Item, zones: Zones, now: datetime) -> Cause:
    """What an incident is about."""
    kind, detail = incident["kind"], incident["summary"]
    title = _TITLES.get(kind, words.plain(kind).capitalize())
    if kind == "missed" and incident["due_at"]:
        title = f"Missed its {_slot(words.parsed(incident['due_at']), zones.of_slots, now)}"
    mark = _MARKS.get(kind, "w")
    if kind == "downtime":
        meanwhile = _MEANWHILE.search(detail)
        title, detail = "Did not run, or was not heard of" + (f", {meanwhile[0]}" if meanwhile else ""), ""
    if kind == "failed":
        mark, title, detail = _failed(detail)
    if incident["error"]:
        detail = f"{detail}: {words.clipped(incident['error'])}" if detail else words.clipped(incident["error"])
    return Cause(mark, title, detail)


def _slot(due: datetime, zone: tzinfo, now: datetime) -> str:
    """Its time of day is enough while nobody would take it for another one."""
    day, at = words.day(due, zone, now), words.clock(due, zone)
    if day == "Today" or abs((now - due).total_seconds()) < 20 * 3600:
        return f"{at} slot"
    return f"slot of {'yesterday' if day == 'Yesterday' else day} {at}"


def _failed(summary: str) -> tuple[str, str, str]:
    """(mark, title, detail) of what the collector says: ``the run crashed``, ``3 runs in a row failed``."""
    streak, ending = _STREAK.fullmatch(summary), _ENDING.fullmatch(summary)
    if streak:
        return "f", f"Failed {streak[1]} times in a row", ""
    if ending:
        return letter(ending[1].replace(" ", "_")), ending[1].capitalize(), ""
    return "f", "Failed", summary


def name_of(incident: Item, members: Sequence[Item] = ()) -> str:
    """Whose incident it is: of a workflow, on a host where each has its own; of a host; of several, ``members``."""
    workflow, host = incident["workflow"], incident["host"]
    if workflow:
        return f"{workflow} on {host}" if host else str(workflow)
    names = sorted({each["workflow"] for each in members if each["workflow"]})
    return str(host or (names[0] if len(names) == 1 else f"{len(names)} workflows" if names else "several workflows"))


def zone(name: str | None) -> tzinfo | None:
    """A zone by its name; None: there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
