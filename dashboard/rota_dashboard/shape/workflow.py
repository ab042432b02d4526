"""The page of a workflow: how it is doing, how it did, and what is expected of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from rota.rules.usual import LATEST, median, percentile
from rota_dashboard.shape import links, runs, schedules, words
from rota_dashboard.shape.causes import Zones, cause, zone
from rota_dashboard.shape.words import MEANING, Item, letter, parsed

BARS = 120  # runs whose durations are drawn
FILTERS = {"": "All", "bad": "Went wrong", "running": "Running", "succeeded": "Succeeded"}
STATES = {"": None, "bad": list(runs.WENT_WRONG), "running": ["running", "starting"], "succeeded": ["succeeded"]}


class Known(NamedTuple):
    """What the collector said of a workflow."""

    workflow: Item
    policy: Item
    versions: list[Item]
    days: list[Item]
    signals: Item
    latest: list[Item]  # the last BARS runs
    slots: list[Item]
    incidents: list[Item]  # open ones
    at: datetime


def slot_zone(policy: Mapping[str, Item]) -> tzinfo | None:
    """The zone of its schedule; None: it names none."""
    return zone((policy.get("schedule") or {}).get("tz"))


# -- the head ------------------------------------------------------------------------------------------------------------


def head(known: Known, reader: tzinfo, away: str | None) -> Item:
    """Its name, how it is, what is expected of it, and what is wrong."""
    workflow, policy = known.workflow, known.policy
    hosts = [host for host, _ in Counter(run["host"] for run in known.latest[:LATEST] if run["host"]).most_common(3)]
    prefix, _, _ = workflow["name"].rpartition(".")
    state = workflow["outcomes"][-1] if workflow["outcomes"] else None
    return {
        "crumb": prefix,
        "name": workflow["name"],
        "state": words.plain(state) if state else "never ran",
        "tone": MEANING.get(letter(state), "mute"),
        "paused": workflow["paused"],
        "level": workflow["level"],
        "policy": links.policy(workflow["name"]),
        "facts": [
            schedules.in_words(policy["policy"]),
            *([f"runs on {words.joined(hosts)}"] if hosts else []),
            schedules.origin(policy, known.versions, reader),
        ],
        "due": None if workflow["paused"] else words.millis(workflow["next_due_at"]),
        "tags": workflow["tags"],
        "lamps": [lamp(each) for each in known.signals["levels"]],
        "causes": [problem(each, known, reader) for each in known.incidents],
        "now": known.at.timestamp() * 1000,
        "away": away,
    }


def lamp(level: Item) -> Item:
    """What a level reports, for a lamp: hollow when it does not."""
    said = words.joined(level["signals"]) or "does not report"
    more = "; something went wrong there in the last run" if level["is_failing"] else ""
    return {"level": level["level"], "on": bool(level["signals"]), "bad": level["is_failing"], "says": said + more}


def problem(incident: Item, known: Known, reader: tzinfo) -> Item:
    """An open incident, with what a person wants to know next."""
    said = cause(incident, Zones(reader, slot_zone(known.policy["policy"])), known.at)
    return {
        "href": links.incident(incident["id"]),
        "title": said.title,
        "tone": MEANING.get(said.mark, "mute"),
        "detail": " ".join(filter(None, [_sentence(said.detail), *_context(incident, known, reader)])),
        "run": links.run(incident["run_id"]) if incident["run_id"] else None,
        "state": None if incident["state"] == "open" else incident["state"],
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) or not text else ".")


def _context(incident: Item, known: Known, reader: tzinfo) -> Iterator[str]:
    good = next((run for run in known.latest if run["state"] == "succeeded" and run["ended_at"]), None)
    if good is not None:
        yield f"The last run that succeeded ended {words.moment_within(parsed(good['ended_at']), reader, known.at)}."
    if incident["suppressed_by"]:
        yield "A workflow that this one needs is broken, so nobody was told."
    elif incident["group_id"]:
        yield "It is one of several with a common cause."


# -- figures -------------------------------------------------------------------------------------------------------------


def figures(known: Known, reader: tzinfo) -> list[Item]:
    """Five numbers that say how it usually goes."""
    good = [run for run in known.latest if run["state"] == "succeeded"]
    took = sorted(run["duration_seconds"] for run in good if run["duration_seconds"] is not None)
    rate = known.workflow["success_rate_30d"]
    streak = next((i for i, run in enumerate(known.latest) if run["state"] in runs.WENT_WRONG), len(known.latest))
    before = f"{'at least ' if streak == len(known.latest) >= BARS else ''}{streak}"
    return [
        {"value": "–" if rate is None else words.percent(rate), "label": "succeeded, 30 days"},
        {"value": words.length(median(took) if took else None), "label": "median duration"},
        {"value": words.length(percentile(took, 0.95) if took else None), "label": "95th percentile"},
        {"value": before, "label": "runs since one went wrong"},
        {"value": _usual_start(known.latest, reader), "label": "usual start"},
    ]


def _usual_start(latest: Sequence[Item], reader: tzinfo) -> str:
    """The time of day at which it starts, if there is one: when half of its starts lie within an hour around it."""
    local = [parsed(run["started_at"]).astimezone(reader) for run in latest if run["started_at"]]
    minutes = [at.hour * 60 + at.minute + at.second / 60 for at in local]
    best: tuple[int, float] = (0, 0.0)
    for each in minutes:
        near = sum(min(abs(each - other), 1440 - abs(each - other)) <= 30 for other in minutes)
        best = max(best, (near, each))
    if len(minutes) < 3 or best[0] * 2 < len(minutes):
        return "–"
    around = sorted((other - best[1] + 720) % 1440 - 720 for other in minutes if abs((other - best[1] + 720) % 1440 - 720) <= 30)
    middle = round(best[1] + median(around)) % 1440
    return f"{middle // 60:02}:{middle % 60:02}"


# -- the list of its runs -----------------------------------------------------------------------------------------------


def history(known: Known, listed: Item, chosen: str, cursor: str | None, reader: tzinfo) -> Item:
    """The runs, a page of them, with the filter that was chosen."""
    base = links.workflow(known.workflow["name"])
    slots = known.slots if not chosen and not cursor else [slot for slot in known.slots if slot["run_id"]]
    rows = runs.merged(listed["items"], slots, reader, known.at, is_last=listed["next"] is None)
    more = f"&show={chosen}" if chosen else ""
    return {
        "filters": [
            {"text": text, "href": base + (f"&show={key}" if key else ""), "on": key == chosen} for key, text in FILTERS.items()
        ],
        "rows": rows,
        "older": f"{base}{more}&from={listed['next']}" if listed["next"] else None,
        "newest": f"{base}{more}" if cursor else None,
    }
