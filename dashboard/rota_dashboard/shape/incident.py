"""Incidents: the list, and each of them with what happened to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from rota_dashboard.shape import links, words
from rota_dashboard.shape.causes import Zones, cause, name_of
from rota_dashboard.shape.overview import incident_row, led
from rota_dashboard.shape.words import MEANING, Item, parsed

_LONGEST_ERROR = 4_000  # characters that are shown
FILTERS = {"open": "Open", "closed": "Closed"}


class Known(NamedTuple):
    """What the collector said of an incident."""

    incident: Item
    history: list[Item]
    alerts: list[Item]
    schedule_zone: tzinfo | None
    at: datetime


def listing(page: Item, chosen: str, cursor: str, zone: tzinfo, now: datetime, away: str | None) -> Item:
    """A page of them: leaders first, then those that they speak for, each under its own."""
    items = page["items"]
    rows = [
        {**_row(each, below if each is leader else [], zone, now, is_under=each is not leader), "under": each is not leader}
        for leader, below in led(items)
        for each in (leader, *below)
    ]
    base = "/incidents"
    return {
        "title": _title(items, chosen),
        "filters": [
            {"text": text, "href": base + (f"?show={key}" if key != "open" else ""), "on": key == chosen}
            for key, text in FILTERS.items()
        ],
        "rows": rows,
        "older": f"{base}?show={chosen}&from={page['next']}" if page["next"] else None,
        "newest": f"{base}?show={chosen}" if cursor else None,
        "empty": "Nothing is wrong, as far as anybody knows." if chosen == "open" else "No incident has closed yet.",
        "now": now.timestamp() * 1000,
        "away": away,
    }


def _title(items: Sequence[Item], chosen: str) -> str:
    if chosen == "closed":
        return "Closed incidents"
    return f"{words.count(len(items), 'open incident')}" if items else "Nothing needs you."


def _row(incident: Item, members: Sequence[Item], zone: tzinfo, now: datetime, *, is_under: bool) -> Item:
    row = incident_row(incident, members, zone, now) | {"reach": None}
    if incident["closed_at"]:
        took = (parsed(incident["closed_at"]) - parsed(incident["opened_at"])).total_seconds()
        closed = words.moment_within(parsed(incident["closed_at"]), zone, now)
        note = f"closed {closed} after {words.length(took)}" + (f": {incident['reason']}" if incident["reason"] else "")
        row |= {"since": None, "note": note, "dim": True}
    elif incident["suppressed_by"] or incident["group_id"]:
        explained = "explained by the one above" if is_under else "explained by another one"
        row |= {"note": explained if incident["suppressed_by"] else "one of several", "dim": True}
    return row


def detail(known: Known, zone: tzinfo, away: str | None) -> Item:
    """One incident, whole."""
    incident, now = known.incident, known.at
    said = cause({**incident, "error": None}, Zones(zone, known.schedule_zone), now)  # the whole of it stands below
    leader = incident["group_id"] or incident["suppressed_by"]
    return {
        "name": name_of(incident, incident["members"]),
        "workflow": links.workflow(incident["workflow"]) if incident["workflow"] else None,
        "title": said.title,
        "state": incident["state"],
        "tone": MEANING.get(said.mark, "mute") if incident["state"] == "open" else "mute",
        "detail": said.detail,
        "error": words.cut(incident["error"] or "", _LONGEST_ERROR) or None,
        "facts": list(_facts(incident, zone, now)),
        "since": None if incident["closed_at"] else words.millis(incident["since_at"]),
        "run": links.run(incident["run_id"]) if incident["run_id"] else None,
        "leader": links.incident(leader) if leader else None,
        "timeline": _around(incident, zone),
        "members": [incident_row(each, [], zone, now) for each in incident["members"]],
        "history": [_told(each, zone, now) for each in known.history],
        "alerts": [_alert(each, zone, now) for each in reversed(known.alerts)],
        "now": now.timestamp() * 1000,
        "away": away,
    }


def _facts(incident: Item, zone: tzinfo, now: datetime) -> Iterable[str]:
    def when(field: str) -> str:
        return words.moment_within(parsed(incident[field]), zone, now)

    yield f"since {when('since_at')}"
    if incident["state"] == "acknowledged":
        yield f"acknowledged by {incident['acked_by']}"
    if incident["state"] == "snoozed":
        yield f"snoozed until {when('snoozed_until')}"
    if incident["closed_at"]:
        yield f"closed {when('closed_at')}: {incident['reason'] or 'no reason given'}"
    yield f"people were last told {when('told_at')}" if incident["told_at"] else "nobody was told"


def _around(incident: Item, zone: tzinfo) -> str:
    """The day on which it began, at that time."""
    at = parsed(incident["due_at"] or incident["since_at"]).astimezone(zone)
    return links.timeline(day=at.date().isoformat(), at=f"{at:%H:%M}")


def _told(each: Item, zone: tzinfo, now: datetime) -> Item:
    at = words.moment(parsed(each["at"]), zone, now)
    return {"at": at, "what": words.plain(each["transition"]), "by": each["by"] or "", "why": each["summary"] or ""}


def _alert(each: Item, zone: tzinfo, now: datetime) -> Item:
    when = each["sent_at"] or each["dead_at"] or each["created_at"]
    said = {"sent": "sent", "dead": "given up", "waiting": "waits"}[each["state"]]
    return {
        "at": words.moment(parsed(when), zone, now),
        "channel": each["channel"],
        "what": said,
        "title": each["title"],
        "error": each["error"] or "",
    }
