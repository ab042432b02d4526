"""Runs, and slots to which none came, as rows of a list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import Item, letter, parsed

WENT_WRONG = ("failed", "timed_out", "crashed", "upstream_failed")


def outcome(run: Item, verdict: str | None = None) -> str:
    """The outcome of a run: its state, or ``late`` when it succeeded and came late."""
    return "late" if run["state"] == "succeeded" and verdict == "late" else str(run["state"])


def row(run: Item, slot: Item | None, zone: tzinfo, now: datetime, *, with_name: bool = False) -> Item:
    """A run in one line; ``slot`` is the one that it fills."""
    started = run["started_at"] or run["ended_at"]
    at = words.millis(started) or 0
    return {
        "mark": letter(outcome(run, slot["verdict"] if slot else None)),
        "href": links.run(run["id"]),
        "name": run["workflow"] if with_name else None,
        "when": words.moment(parsed(started), zone, now) if started else "–",
        "state": words.plain(run["state"]),
        "verdict": _punctuality(slot),
        "took": run["duration_seconds"],
        "since": at if run["ended_at"] is None else None,
        "note": note(run),
        "at": at,
    }


def note(run: Item) -> str:
    """What else there is to say: the error, the reason, that it took several attempts, who said so."""
    said = [f"attempt {run['attempt']}"] if run["attempt"] > 1 else []
    if run["error_type"] or run["error_message"]:
        said.append(words.clipped(": ".join(filter(None, (run["error_type"], run["error_message"])))))
    elif run["exit_code"] and run["reason"] in (None, "exit"):
        said.append(f"exit status {run['exit_code']}")
    elif run["reason"] not in (None, "exit"):
        said.append(words.plain(run["reason"]))
    if run["host"]:
        said.append(f"on {run['host']}")
    return " · ".join(said)


def _punctuality(slot: Item | None) -> str:
    if slot is None or slot["verdict"] is None:
        return ""
    if slot["verdict"] in ("late", "early") and slot["started_at"]:
        apart = abs((parsed(slot["started_at"]) - parsed(slot["due_at"])).total_seconds())
        return f"{words.length(apart)} {slot['verdict']}"
    return words.plain(slot["verdict"])


def empty_slot(slot: Item, zone: tzinfo, now: datetime) -> Item:
    """A slot to which no run came, in one line."""
    due, deadline = parsed(slot["due_at"]), parsed(slot["deadline_at"])
    said = {"missed": f"no run seen by {words.clock(deadline, zone)}", "unknown": "the collector was away"}
    reason = slot["reason"] or ""
    text = said.get(slot["verdict"], "") if not (slot["verdict"] == "unknown" and "watched" in reason) else reason
    return {
        "mark": letter(slot["verdict"]),
        "href": None,
        "name": None,
        "when": words.moment(due, zone, now),
        "state": words.plain(slot["verdict"]),
        "verdict": "",
        "took": None,
        "since": None,
        "note": " · ".join(filter(None, (text or reason, f"on {slot['host']}" if slot["host"] else ""))),
        "at": words.millis(slot["due_at"]),
    }


def merged(runs: Sequence[Item], slots: Iterable[Item], zone: tzinfo, now: datetime, *, is_last: bool) -> list[Item]:
    """Runs with their slots, and among them the slots to which none came; the newest first.

    Of those, the ones in the time that ``runs`` (one page of them, or the last) cover.
    """
    known = list(slots)
    slot_of = {slot["run_id"]: slot for slot in known if slot["run_id"]}
    rows = [row(run, slot_of.get(run["id"]), zone, now) for run in runs]
    at = round(now.timestamp() * 1000)
    for each in rows:  # one that has no time of its own, as it waits to start, stays where the collector put it
        at = each["at"] = each["at"] or at
    oldest = 0 if is_last or not rows else min(each["at"] for each in rows)
    lonely = [slot for slot in known if slot["run_id"] is None and slot["verdict"] in ("missed", "unknown", "skipped")]
    rows += [each for each in (empty_slot(slot, zone, now) for slot in lonely) if each["at"] >= oldest]
    return sorted(rows, key=lambda each: -each["at"])
