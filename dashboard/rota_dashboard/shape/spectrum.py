"""Where every workflow stands between observe and orchestrate, and what the next level would have saved it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

from rota.rules.level import LEVELS
from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import Item, letter

# What each level does for people, in a few words.
MEANS = {
    "observe": "runs are kept and shown",
    "expect": "missed and late ones are told",
    "retry": "failures are tried again",
    "gate": "runs ask before they begin",
    "orchestrate": "every function asks",
}
_WORTH = {
    "expect": "Say when it should run, and a run that stays away is told.",
    "retry": "Nothing failed lately.",
    "gate": "Nothing failed that a gate would have kept away.",
    "orchestrate": "Every function would ask before it runs.",
}


class Known(NamedTuple):
    """What the collector said."""

    workflows: pa.Table
    advice: Item  # of all that failed lately, or whose tasks ask
    at: datetime


def page(known: Known, away: str | None) -> Item:
    """All of it. The same as long as nothing changes: it is then sent once."""
    names, levels, outcomes, tags = (
        known.workflows.column(name).to_pylist() for name in ("name", "level", "outcomes", "tags")
    )  # fmt: skip
    said = {each["workflow"]: each for each in known.advice["items"]}
    steps = [step(level, said.get(name)) for name, level in zip(names, levels, strict=True)]
    return {
        "title": "Where your workflows stand",
        "facts": _facts(len(names), steps, known.advice["since_at"], known.at),
        "told": words.millis(known.advice["at"]),
        "steps": [{"level": each, "means": MEANS[each], "count": levels.count(each)} for each in LEVELS],
        "names": names,
        "tags": tags,
        "levels": [LEVELS.index(each) for each in levels],
        "lasts": [letter(each[-1]) if each else "" for each in outcomes],
        "next": steps,
        "hrefs": [links.policy(name, to=each["to"]) if each["to"] else links.policy(name)
                  for name, each in zip(names, steps, strict=True)],
        "coverage": [_coverage((said.get(name) or {}).get("coverage")) for name in names],
        "away": away,
    }  # fmt: skip


def step(level: str, said: Item | None) -> Item:
    """The next step of a workflow: the level ``to`` which it leads, why, and how many of how many failures it would have saved.

    That which history speaks for, if it speaks for any; else the level above.
    """
    here = LEVELS.index(level)
    pieces = [each for each in (said or {}).get("items", ()) if LEVELS.index(each["level"]) > here]
    if pieces:
        best = pieces[0]
        short = best["reason"].partition(": ")[0]
        return {"to": best["level"], "text": _sentence(short), "more": best["reason"], "saved": best["saved"], "of": best["of"]}
    if level == LEVELS[-1]:
        return {"to": None, "text": "Nothing is above it.", "more": None, "saved": 0, "of": 0}
    above = LEVELS[here + 1]
    failed = (said or {}).get("failed", 0)
    text = _WORTH[above]
    if failed is None and above in ("retry", "gate"):
        text = "It failed, and was not looked at: others failed more often."
    elif failed and above in ("retry", "gate"):
        text = f"{failed} of {words.count(said['runs'] if said else 0, 'run')} failed; nothing tells that it would have helped."
    return {"to": above, "text": text, "more": None, "saved": 0, "of": failed or 0}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _facts(count: int, steps: Sequence[Item], since_at: str, now: datetime) -> list[str]:
    saved, helped = sum(each["saved"] for each in steps), sum(each["saved"] > 0 for each in steps)
    days = max(1, round((now - words.parsed(since_at)).total_seconds() / 86_400))
    found = (
        f"the next step would have saved {words.count(saved, 'run')} of {words.count(helped, 'workflow')} in {days} days"
        if saved
        else f"nothing of the last {days} days asks for another step"
    )
    return [words.count(count, "workflow"), found]


def _coverage(given: Mapping[str, int] | None) -> Item | None:
    """Which part of the functions that really ran asks for permission. 100 % only when all do."""
    if not given or not given["functions"]:
        return None
    asking, functions = given["asking"], given["functions"]
    percent = 100 if asking == functions else min(99, round(100 * asking / functions))
    return {"percent": percent, "words": f"{asking} of {words.count(functions, 'function')} that ran lately ask"}
