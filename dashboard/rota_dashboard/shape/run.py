"""The page of a run: what went wrong first, then its figures, and all that was told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from rota.rules.fold import TERMINAL
from rota.rules.usual import outside, usual
from rota.wire import names
from rota_dashboard.shape import links, words
from rota_dashboard.shape.runs import WENT_WRONG
from rota_dashboard.shape.words import MEANING, Item, letter, parsed

_WITHOUT_WORDS = {
    "vanished": "The process was there and then was not, and left no word: killed, out of memory, or its host went down.",
    "max_duration": "It ran past its longest duration, and no end was heard of.",
    "process_ended": "The process is gone, and how it ended nobody saw.",
}
_PROBLEM_STATES = (*WENT_WRONG, "cancelled", "ended")


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


class Breakage(NamedTuple):
    """Where it broke: the deepest spans that failed, by their start."""

    name: str
    at: datetime


# -- the head ------------------------------------------------------------------------------------------------------------


def head(known: Known, broke: Sequence[Breakage], reader: tzinfo, away: str | None) -> Item:
    """Its name and state, what went wrong, and its figures."""
    run = known.run
    named = run["slot_at"] or run["started_at"] or run["ended_at"]
    state = "late" if run["state"] == "succeeded" and known.slot and known.slot["verdict"] == "late" else run["state"]
    return {
        "workflow": {"name": run["workflow"], "href": links.workflow(run["workflow"])},
        "title": f"Run of {words.moment(parsed(named), reader, known.at).lower()}" if named else "Run",
        "state": words.plain(state) + (f" ({words.plain(run['reason'])})" if run["reason"] else ""),
        "tone": MEANING.get(letter(state), "mute"),
        "facts": list(_facts(known, reader)),
        "since": None if run["ended_at"] or not run["started_at"] else words.millis(run["started_at"]),
        "parent": links.run(run["parent_run_id"]) if run["parent_run_id"] else None,
        "tags": run["tags"],
        "id": run["id"],
        "error": error(known, broke, reader),
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


# -- what went wrong -----------------------------------------------------------------------------------------------------


def error(known: Known, broke: Sequence[Breakage], reader: tzinfo) -> Item | None:
    """What went wrong and why, as far as it is known."""
    run = known.run
    if run["state"] not in _PROBLEM_STATES:
        return None
    return {
        "type": run["error_type"] or words.plain(run["state"]).capitalize(),
        "message": run["error_message"] or _WITHOUT_WORDS.get(run["reason"] or "", run["reason"] or _by_status(run)),
        "why": " ".join(_why(known, broke, reader)),
        "stack": (run.get("error_stack") or "").rstrip() or None,
        "tone": MEANING.get(letter(run["state"]), "mute"),
        "good": links.run(known.good["run"]["id"]) if known.good else None,
    }


def _by_status(run: Item) -> str:
    return f"It ended with status {run['exit_code']}." if run["exit_code"] else ""


def _why(known: Known, broke: Sequence[Breakage], reader: tzinfo) -> Iterator[str]:
    run = known.run
    same = sum(_alike(run, each) for each in known.failures)
    if known.failures and run["state"] in WENT_WRONG:
        count = len(known.failures)
        yield (
            f"Same error as {same} of the last {count} failures."
            if same
            else f"Not the error of any of the last {words.count(count, 'failure')}."
        )
    elif run["state"] in WENT_WRONG and known.before:
        yield f"None of the {words.count(len(known.before), 'run')} before went wrong."
    if broke:
        first, *others = broke
        more = list(dict.fromkeys(each.name for each in others if each.name != first.name))
        then = f", then in {words.joined(more[:3])}" if more else ""
        yield f"First seen in {first.name} at {words.clock(first.at, reader, seconds=True)}{then}."
    good = known.good["run"] if known.good else None
    if good is not None and good["ended_at"]:
        at = words.moment(parsed(good["started_at"] or good["ended_at"]), reader, known.at).lower()
        yield f"The last good run before it ({at}) took {words.length(good['duration_seconds'])}."


def _alike(run: Item, other: Item) -> bool:
    """Whether two runs went wrong in the same way: of one type, with the same words but for the numbers in them."""
    return (run["state"], run["error_type"], _worded(run)) == (other["state"], other["error_type"], _worded(other))


def _worded(run: Item) -> str:
    text = words.clipped(run["error_message"] or str(run["exit_code"] or ""), 200)
    return "".join("#" if character.isdigit() else character for character in text)


# -- figures -------------------------------------------------------------------------------------------------------------


def figures(known: Known, spans: int) -> list[Item]:
    """Its numbers: time, work, what it recorded, and what it used."""
    run, band = known.run, usual_of(known.before)
    found = [
        {
            "value": words.length(run["duration_seconds"])
            if run["duration_seconds"] is not None
            else "running"
            if run["state"] not in TERMINAL
            else "–",
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
    own = {name: value for name, value in known.attributes.items() if "." not in name and _is_number(value)}
    return own or totals(known.work)


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


# -- all that was told ---------------------------------------------------------------------------------------------------

_OWN = ("rota.", "cicd.")  # told elsewhere on the page


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
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def history(found: Iterable[Item], reader: tzinfo) -> list[Item]:
    """What was told and decided, in order: when, what, by whom, why."""
    return [
        {
            "at": words.clock(parsed(each["at"]), reader, seconds=True),
            "mark": letter(each["word"]) if each["kind"] != "incident" else "",
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
        "stack": stack.rstrip() or None,
        "attributes": [{"name": name, "value": value_text(value)} for name, value in sorted(found["attributes"].items())],
    }


def series(found: Iterable[Item]) -> list[Item]:
    """What was measured, for drawing: [ms, value] each."""
    return [
        {
            "name": each["name"]
            + "".join(
                f" · {value_text(value)}" for name, value in sorted(each["attributes"].items()) if not name.startswith(_OWN)
            ),
            "points": [[at / 1e6, value] for at, value in each["points"]],
            "last": _measured(each["points"][-1][1], each["unit"]),
            "most": _measured(max(value for _, value in each["points"]), each["unit"]),
        }
        for each in found
        if len(each["points"]) > 1
    ]


def _measured(value: float, unit: str | None) -> str:
    if unit == "By":
        return words.size(value)
    return f"{words.length(value)}" if unit == "s" else f"{words.count(value)} {unit or ''}".strip()
