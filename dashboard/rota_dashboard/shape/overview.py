"""The front page: what needs someone, and every workflow in a row. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import pyarrow as pa

from rota.rules.level import LEVELS
from rota.rules.usual import outside
from rota_dashboard.shape import links, words
from rota_dashboard.shape.causes import Zones, cause, name_of
from rota_dashboard.shape.words import BAD_STATES, Item, letter

SHOWN_INCIDENTS = 8
_RUNNING = ("running", "starting", "cancelling")


class Known(NamedTuple):
    """What the collector said."""

    workflows: pa.Table
    incidents: list[Item]  # the open ones, acknowledged and snoozed too
    activity: list[Item]
    at: datetime
    approvals: Item | None = None  # a page of those that wait; None: nobody asked


def head(known: Known, zone: tzinfo, away: str | None) -> Item:
    """The state of everything in a sentence, the last day beside it, and what needs someone."""
    leading = _leading(known.incidents)
    names, due = (known.workflows.column(name).to_pylist() for name in ("name", "next_due_ns"))
    live = sum(state in _RUNNING for state in known.workflows.column("state").to_pylist())
    held = {each["workflow"] for each in known.incidents if each["workflow"]}
    return {
        "title": title([each for each in leading if each["state"] == "open"]),
        "facts": [
            f"{words.count(len(names) - len(held & set(names)))} of {words.count(len(names))} as expected",
            f"{words.count(live)} running now",
        ],
        "approvals": _approvals(known.approvals),
        "next": _next(names, due, known.at),
        "activity": _activity(known.activity),
        "incidents": [
            incident_row(each, members_of(each, known.incidents), zone, known.at) for each in leading[:SHOWN_INCIDENTS]
        ],
        "more": f"all {len(leading)} of them" if len(leading) > SHOWN_INCIDENTS else None,
        "now": known.at.timestamp() * 1000,
        "away": away,
    }


def title(needing: Sequence[Item]) -> str:
    """The page in one sentence, after the incidents that nobody has taken."""
    others = {(each["kind"], each["host"]) for each in needing if not each["workflow"] and each["host"]}
    systems = sum(kind == "observer_silent" for kind, _ in others)
    outages = sum(not (each["workflow"] or each["host"]) for each in needing)
    workflows = len({each["workflow"] for each in needing if each["workflow"]})
    counted = {"workflow": workflows, "host": len(others) - systems, "system": systems, "outage": outages}
    who = words.joined([words.count(number, word) for word, number in counted.items() if number])
    return f"{who} {'needs' if sum(counted.values()) == 1 else 'need'} someone" if who else "Nothing needs you."


def _approvals(found: Item | None) -> str | None:
    """How many runs wait for a person's word, if any does."""
    if not found or not found["items"]:
        return None
    count = len(found["items"])
    return f"{count}{'+' if found['next'] else ''} {'waits' if count == 1 else 'wait'} for approval"


def _leading(incidents: Sequence[Item]) -> list[Item]:
    """Those that nobody else speaks for: the ones that need someone first, the newest of each first."""
    own = [leader for leader, _ in led(incidents)]
    return sorted(own, key=lambda each: (each["state"] != "open", -words.parsed(each["opened_at"]).timestamp()))


def led(items: Sequence[Item]) -> Iterator[tuple[Item, list[Item]]]:
    """Each that nobody else here speaks for, with those that it speaks for. Of a ring that explains itself, the first leads."""
    there, shown = {each["id"] for each in items}, set[str]()
    own = [each for each in items if (each["group_id"] or each["suppressed_by"]) not in there]
    for leader in (*own, *items):
        if leader["id"] not in shown:
            below = [each for each in members_of(leader, items) if each["id"] not in shown]
            shown.update(each["id"] for each in (leader, *below))
            yield leader, below


def members_of(incident: Item, incidents: Sequence[Item]) -> list[Item]:
    """Those that it speaks for, and those that they explain in turn."""
    found, ids = list[Item](), {incident["id"]}
    while more := [each for each in incidents if each["id"] not in ids and ids & {each["suppressed_by"], each["group_id"]}]:
        found += more
        ids.update(each["id"] for each in more)
    return found


def incident_row(incident: Item, members: Sequence[Item], zone: tzinfo, now: datetime) -> Item:
    """An incident in one line, with how many others it speaks for."""
    said = cause(incident, Zones(zone), now)
    return {
        "mark": said.mark,
        "name": name_of(incident, members),
        "href": links.incident(incident["id"]),
        "cause": said.line,
        "reach": _reach(incident, members),
        "since": words.millis(incident["since_at"]),
        "note": _note(incident, zone, now),
        "dim": incident["state"] != "open",
    }


def _reach(incident: Item, members: Sequence[Item]) -> str | None:
    if not members or (incident["workflow"] is None and len(members) == 1):
        return None
    return f"{len(members)} downstream held" if incident["workflow"] else words.count(len(members), "workflow")


def _note(incident: Item, zone: tzinfo, now: datetime) -> str | None:
    if incident["state"] == "acknowledged":
        return f"acknowledged by {incident['acked_by']}"
    if incident["state"] == "snoozed":
        return f"snoozed until {words.moment_within(words.parsed(incident['snoozed_until']), zone, now)}"
    return None


def _next(names: Sequence[str], due_ns: Sequence[int | None], now: datetime) -> Item | None:
    """The workflow that is due next."""
    ahead = [(at, name) for name, at in zip(names, due_ns, strict=True) if at is not None and at >= now.timestamp() * 1e9]
    if not ahead:
        return None
    at_ns, name = min(ahead)
    return {"name": name, "at": at_ns // 10**6, "href": links.workflow(name)}


def _activity(stretches: Iterable[Item]) -> dict[str, list[int]]:
    runs: list[Mapping[str, int]] = [each["runs"] for each in stretches]
    good = [each.get("succeeded", 0) for each in runs]
    bad = [sum(each.get(state, 0) for state in BAD_STATES) for each in runs]
    return {"good": good, "bad": bad, "other": [sum(each.values()) - g - b for each, g, b in zip(runs, good, bad, strict=True)]}


# -- the list ------------------------------------------------------------------------------------------------------------


def rows(known: Known, away: str | None) -> Item:
    """Every workflow, as columns. The same as long as nothing changes: it is then sent once."""
    table = known.workflows
    names, levels, outcomes, paused, tags = (
        table.column(name).to_pylist() for name in ("name", "level", "outcomes", "paused", "tags")
    )
    started, ended, low, high, due = (
        table.column(name).to_pylist() for name in ("started_ns", "ended_ns", "usual_low_ns", "usual_high_ns", "next_due_ns")
    )
    strips = ["".join(map(letter, each)) for each in outcomes]
    took = [None if None in (a, b) or b < a else (b - a) / 1e9 for a, b in zip(started, ended, strict=True)]
    bands = [None if a is None else (a / 1e9, b / 1e9) for a, b in zip(low, high, strict=True)]
    open_of = _worst_incidents(known.incidents)
    return {
        "names": names,
        "tags": tags,
        "levels": [LEVELS.index(each) for each in levels],
        "strips": strips,
        "ranks": [_rank(name, strip, open_of) for name, strip in zip(names, strips, strict=True)],
        "started": _scaled(started, 1e6),
        "took": took,
        "usual": bands,
        "off": [_off(*each, known.at) for each in zip(strips, started, took, bands, strict=True)],
        "due": _scaled(due, 1e6),
        "paused": paused,
        "away": away,
    }


def _off(strip: str, started_ns: int | None, took: float | None, band: tuple[float, float] | None, now: datetime) -> int:
    """Whether the last run took, or takes, longer (1) or shorter (-1) than usual. What failed early tells nothing."""
    last = strip[-1:]
    if last == "r" and started_ns is not None:
        took = now.timestamp() - started_ns / 1e9
    found = outside(took, band) if took is not None and band is not None else 0
    return found if found > 0 or last in "sl" else 0


def _scaled(values: Iterable[Any], by: float) -> list[float | None]:
    return [None if each is None else each / by for each in values]


def _worst_incidents(incidents: Sequence[Item]) -> dict[str, bool]:
    """Workflow with an open incident → whether it is one that nobody has taken."""
    found: dict[str, bool] = {}
    leading = {leader["id"] for leader, _ in led(incidents)}
    for each in incidents:
        if each["workflow"]:
            is_free = each["state"] == "open" and each["id"] in leading
            found[each["workflow"]] = found.get(each["workflow"], False) or is_free
    return found


def _rank(name: str, strip: str, open_of: Mapping[str, bool]) -> int:
    """Who comes first: 0 nobody has taken it, 1 somebody has, 2 its last occurrence went wrong, 3 was late, 4 runs, 5 is fine."""
    if name in open_of:
        return 0 if open_of[name] else 1
    last = strip[-1:]
    return 2 if last and last in "fmtcu" else 3 if last == "l" else 4 if last == "r" else 5
