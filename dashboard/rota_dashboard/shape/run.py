"""The page of a run: its name and state, and its figures. Pure. What went wrong: ``failure``; what was told: ``told``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from rota.rules.usual import outside, usual
from rota.wire import names
from rota_dashboard.shape import links, words
from rota_dashboard.shape.runs import WENT_WRONG
from rota_dashboard.shape.words import MEANING, WAITING, Item, letter, parsed


class Known(NamedTuple):
    """What the collector said of a run."""

    run: Item
    slot: Item | None
    attributes: Mapping[str, Any]
    work: list[Item]
    history: list[Item]
    before: list[Item]  # the runs before it, the newest first
    failures: list[Item]  # of them those that went wrong
    good: Item | None  # the last one before it that succeeded, with its attributes and work
    at: datetime

    @property
    def is_live(self) -> bool:
        """Whether there is more to come."""
        ended = self.run["ended_at"]
        return ended is None or (self.at - parsed(ended)).total_seconds() < 60


# -- the head ------------------------------------------------------------------------------------------------------------


def head(known: Known, reader: tzinfo, away: str | None) -> Item:
    """Its name and its state, in a few facts."""
    run = known.run
    named = run["slot_at"] or run["started_at"] or run["ended_at"]
    state = "late" if run["state"] == "succeeded" and known.slot and known.slot["verdict"] == "late" else run["state"]
    return {
        "workflow": {"name": run["workflow"], "href": links.workflow(run["workflow"])},
        "title": f"Run of {words.moment_within(parsed(named), reader, known.at)}" if named else "Run",
        "state": words.plain(state) + (f" ({words.plain(run['reason'])})" if run["reason"] else ""),
        "tone": MEANING.get(letter(state), "mute"),
        "facts": list(_facts(known, reader)),
        "since": None if run["ended_at"] or not run["started_at"] else words.millis(run["started_at"]),
        "parent": links.run(run["parent_run_id"]) if run["parent_run_id"] else None,
        "tags": run["tags"],
        "id": run["id"],
        "now": known.at.timestamp() * 1000,
        "away": away,
    }


def _facts(known: Known, reader: tzinfo) -> Iterator[str]:
    run, band = known.run, usual_of(known.before)
    if run["started_at"]:
        where = f" on {run['host']}" if run["host"] else ""
        yield f"started {words.clock(parsed(run['started_at']), reader, seconds=True)}{where}"
    if run["attempt"] > 1:
        yield f"attempt {run['attempt']}"
    if run["exit_code"] is not None:
        yield f"exit status {run['exit_code']}"
    if run["duration_seconds"] is not None:
        yield words.length(run["duration_seconds"]) + _against(run, band)
    yield f"told by {run['source']}"


def _against(run: Item, band: tuple[float, float] | None) -> str:
    if band is None:
        return ""
    off = outside(run["duration_seconds"], band)
    verb = (
        ""
        if not off
        else ", longer than usual"
        if off > 0
        else ", stopped early"
        if run["state"] in WENT_WRONG
        else ", shorter than usual"
    )
    return f"{verb} (usual {words.between(*band)})"


def usual_of(before: Iterable[Item]) -> tuple[float, float] | None:
    """The usual band of the successful ones."""
    return usual(
        [run["duration_seconds"] for run in before if run["state"] == "succeeded" and run["duration_seconds"] is not None]
    )


# -- figures -------------------------------------------------------------------------------------------------------------


def figures(known: Known, spans: int) -> list[Item]:
    """Its numbers: time, work, what it recorded, and what it used."""
    run, band = known.run, usual_of(known.before)
    under_way = {"r": "running", WAITING: "waiting"}.get(letter(run["state"]))
    found = [
        {
            "value": under_way if under_way and run["duration_seconds"] is None else words.length(run["duration_seconds"]),
            "label": "duration" + (f", usual {words.between(*band)}" if band else ""),
        },
        {"value": words.count(spans), "label": "span" if spans == 1 else "spans"},
    ]
    found += [{"value": words.count(value), "label": words.plain(name)} for name, value in list(facts(known).items())[:3]]
    memory = known.attributes.get(names.MEMORY_PEAK)
    if isinstance(memory, (int, float)):
        found.append({"value": words.size(memory), "label": "peak memory"})
    share = _cpu_share(known)
    if share is not None:
        found.append({"value": f"{100 * share:.0f} %", "label": "CPU of one core"})
    return found


def facts(known: Known) -> dict[str, float]:
    """The numbers that it recorded: of the run, else those of its tasks, added up."""
    return recorded(known.attributes, known.work)


def recorded(attributes: Mapping[str, Any], work: Iterable[Item]) -> dict[str, float]:
    """The same of any run, from its attributes and its work."""
    own = {name: value for name, value in attributes.items() if "." not in name and _is_number(value)}
    return own or totals(work)


def totals(work: Iterable[Item]) -> dict[str, float]:
    """The numbers that tasks recorded, added up."""
    found: dict[str, float] = {}
    for task in work:
        for name, value in task["facts"].items():
            found[name] = found.get(name, 0) + value
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cpu_share(known: Known) -> float | None:
    used = [known.attributes.get(name) for name in (names.CPU_USER, names.CPU_SYSTEM)]
    took = known.run["duration_seconds"]
    if not took or not all(_is_number(each) for each in used):
        return None
    return float(sum(each for each in used if each is not None)) / float(took)
