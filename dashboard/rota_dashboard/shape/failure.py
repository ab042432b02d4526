"""What went wrong in a run, and why, as far as it is known. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from rota_dashboard.shape import links, words
from rota_dashboard.shape.run import Known
from rota_dashboard.shape.runs import WENT_WRONG
from rota_dashboard.shape.words import MEANING, Item, letter, parsed

_WITHOUT_WORDS = {
    "vanished": "The process was there and then was not, and left no word: killed, out of memory, or its host went down.",
    "max_duration": "It ran past its longest duration, and no end was heard of.",
    "process_ended": "The process is gone, and how it ended nobody saw.",
}
_LONGEST_MESSAGE, _LONGEST_STACK = 2_000, 20_000  # characters that are shown
_MESSAGE_LINES = 8
_PROBLEM_STATES = (*WENT_WRONG, "cancelled", "ended")


class Breakage(NamedTuple):
    """Where it broke: the deepest spans that failed, by their start."""

    name: str
    at: datetime


def error(known: Known, broke: Sequence[Breakage], reader: tzinfo) -> Item | None:
    """What went wrong and why, as far as it is known."""
    run = known.run
    if run["state"] not in _PROBLEM_STATES:
        return None
    return {
        "type": run["error_type"] or words.plain(run["state"]).capitalize(),
        "message": _message(run) or _without_message(run),
        "why": " ".join(_why(known, broke, reader)),
        "stack": words.cut((run.get("error_stack") or "").rstrip(), _LONGEST_STACK) or None,
        "tone": MEANING.get(letter(run["state"]), "mute"),
        "good": links.run(known.good["run"]["id"]) if known.good else None,
    }


def _message(run: Item) -> str:
    lines = words.cut(run["error_message"] or "", _LONGEST_MESSAGE).split("\n")
    return "\n".join(lines if len(lines) <= _MESSAGE_LINES else [*lines[: _MESSAGE_LINES - 1], "…"])


def _without_message(run: Item) -> str:
    reason = run["reason"] or ""
    if reason in ("", "exit"):
        return f"It ended with status {run['exit_code']}." if run["exit_code"] else ""
    return _WITHOUT_WORDS.get(reason, reason)


def _why(known: Known, broke: Sequence[Breakage], reader: tzinfo) -> Iterator[str]:
    run = known.run
    asked = next((each["reason"] for each in reversed(known.history) if each["word"] == "cancelling"), None)
    if run["state"] == "cancelled" and asked:
        yield f"It was to end: {asked}."
    same = sum(_alike(run, each) for each in known.failures)
    count = len(known.failures)
    if run["state"] in WENT_WRONG and count == 1:
        yield "Same error as the last failure." if same else "Not the error of the last failure."
    elif run["state"] in WENT_WRONG and count:
        yield f"{f'Same error as {same}' if same else 'Not the error of any'} of the last {count} failures."
    elif run["state"] in WENT_WRONG and known.before:
        before = len(known.before)
        yield f"None of the {before} runs before went wrong." if before > 1 else "The run before did not go wrong."
    if broke:
        first, *others = broke
        more = list(dict.fromkeys(each.name for each in others if each.name != first.name))
        then = f", then in {words.joined(more[:3])}" if more else ""
        yield f"First seen in {first.name} at {words.clock(first.at, reader, seconds=True)}{then}."
    good = known.good["run"] if known.good else None
    if good is not None and good["ended_at"]:
        at = words.moment_within(parsed(good["started_at"] or good["ended_at"]), reader, known.at)
        yield f"The last good run before it ({at}) took {words.length(good['duration_seconds'])}."


def _alike(run: Item, other: Item) -> bool:
    """Whether two runs went wrong in the same way: of one type, with the same words but for the numbers in them."""
    return (run["state"], run["error_type"], _worded(run)) == (other["state"], other["error_type"], _worded(other))


def _worded(run: Item) -> str:
    return re.sub(r"\d+", "#", words.clipped(run["error_message"] or "", 200)) or str(run["exit_code"] or "")
