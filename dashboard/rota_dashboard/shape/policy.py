"""The page of a policy: what is in force, a draft of another one, how they differ, and what that would have changed. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from rota.rules.level import LEVELS
from rota_dashboard.shape import form, links, schedules, words
from rota_dashboard.shape.spectrum import MEANS
from rota_dashboard.shape.spelled import spelled
from rota_dashboard.shape.words import Item

_AROUND = 3  # lines of a difference that are the same, above and below
SHOWN_VERSIONS = 50
_WOULD = {
    "wait": "would have waited", "skip": "would have been skipped", "deny": "would have been denied",
    "retry": "would have been tried again", "saved": "would have been saved",
}  # fmt: skip
_TONES = {"saved": "good", "deny": "bad", "skip": "mute", "wait": "warn", "retry": "live"}


class Known(NamedTuple):
    """What the collector said."""

    policy: Item
    versions: list[Item]
    at: datetime


class Draft(NamedTuple):
    """What somebody writes. ``version``, ``base``: of the stored document that it began with; ``serial``: the last edit in it."""

    workflow: str
    version: int
    base: Mapping[str, Any]
    text: str
    why: str = ""
    hint: str = ""
    serial: int = 0
    document: Mapping[str, Any] = {}  # as it was read last


class Examined(NamedTuple):
    """What is known of a draft: as the collector reads it (None: it cannot), and what it would have changed (None: not asked)."""

    item: Item | None
    error: str | None = None
    tested: Item | None = None


def begun(policy: Item) -> Draft:
    """A draft of what is stored."""
    stored = policy["stored"] or {}
    return Draft(policy["workflow"], policy["version"], stored, spelled(stored), document=stored)


def is_untouched(draft: Draft) -> bool:
    """Whether it is what it was begun with."""
    return draft.text == spelled(dict(draft.base))


def with_document(draft: Draft, document: Mapping[str, Any], why: str, hint: str = "") -> Draft:
    """The draft with another document in it."""
    return draft._replace(document=document, text=spelled(dict(document)), why=why, hint=hint, serial=draft.serial + 1)


def with_field(draft: Draft, path: str, value: str, serial: int) -> Draft:
    """The draft after an edit in the form."""
    document = form.edited(dict(draft.document), path, value)
    return draft._replace(document=document, text=spelled(document), serial=serial)


# -- the page ------------------------------------------------------------------------------------------------------------


def head(known: Known, zone: tzinfo, away: str | None) -> Item:
    """Whose policy it is, which version is in force, by whom and why."""
    policy, latest = known.policy, known.versions[0] if known.versions else None
    return {
        "workflow": {"name": policy["workflow"], "href": links.workflow(policy["workflow"])},
        "version": f"v{policy['version']}" if policy["version"] else "no policy yet",
        "level": policy["level"],
        "means": MEANS[policy["level"]],
        "facts": [
            schedules.origin(policy, known.versions, zone),
            *([f"“{latest['reason']}”"] if latest and latest["reason"] else []),
        ],
        "notes": [*policy["problems"], *policy["warnings"]],
        "away": away,
    }


def editor(known: Known, draft: Draft, examined: Examined, *, may: bool, saved: str | None) -> Item:
    """The form and the text, what is wrong with them, how they differ from what is stored, and what that would have changed."""
    policy, item = known.policy, examined.item
    then = item["level"] if item and not item["problems"] else None
    difference = list(compared(draft.base, item["document"])) if item and isinstance(item["document"], dict) else []
    return {
        "workflow": draft.workflow,
        "may": may,
        "serial": draft.serial,
        "text": draft.text,
        "has_comments": any(line.lstrip().startswith("#") or " #" in line for line in draft.text.splitlines()),
        "fields": form.fields(item["document"] if item else {}, policy["declared"] or {}),
        "is_readable": item is not None,
        "levels": list(LEVELS),
        "now": LEVELS.index(policy["level"]),
        "then": None if then is None else LEVELS.index(then),
        "problems": [examined.error] if examined.error else list(item["problems"]) if item else [],
        "warnings": list(item["warnings"]) if item else [],
        "difference": difference,
        "effects": effects(examined.tested) if examined.tested else None,
        "conflict": conflict(known, draft),
        "why": draft.why,
        "hint": draft.hint or None,
        "saved": saved,
        "declared": sorted(policy["declared"] or {}),
        "file": policy["from"],
    }


def conflict(known: Known, draft: Draft) -> str | None:
    """That somebody stored another version since the draft was begun; None: nobody did."""
    if known.policy["version"] == draft.version:
        return None
    latest = known.versions[0] if known.versions else None
    by = f" by {'the code' if latest['origin'] == 'code' else latest['author']}" if latest else ""
    return f"Version {known.policy['version']} was stored{by} while you edited version {draft.version}."


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(``+``, ``-``, a blank, or ``@`` where lines are left out; the line), line by line; nothing when they are the same."""
    old, new = (spelled(each).splitlines() for each in (dict(before), _aligned(after, before)))
    for line in list(difflib.unified_diff(old, new, lineterm="", n=_AROUND))[3:]:  # behind the names and the first place
        yield ("@", "") if line.startswith("@@") else (line[:1], line[1:])


def _aligned(after: Any, before: Any, *, key: str = "") -> Any:
    """``after`` with its keys in the order of ``before``, as another order is no difference; the patterns of ``tasks`` as they
    are, since the first that matches counts.
    """
    if not isinstance(after, Mapping) or not isinstance(before, Mapping):
        return after
    known = [] if key == "tasks" else [each for each in before if each in after]
    names = dict.fromkeys([*known, *after])
    return {name: _aligned(after[name], before.get(name), key=name) for name in names}


def effects(tested: Item) -> Item:
    """What a draft would have changed for the runs of the past; a reason that is that of the next one too is said there."""
    changes = tested["changes"]
    said = [(each["part"], each["reason"]) for each in changes]
    return {
        "runs": words.count(tested["runs"], "run"),
        "rows": [_effect(each, each["reason"] if said[i] not in said[i + 1 :] else "") for i, each in enumerate(changes)],
        "unknown": [{"part": part, "why": why} for part, why in tested["unknown"].items()],
    }


def _effect(change: Item, reason: str) -> Item:
    return {
        "tone": _TONES[change["answer"]],
        "part": change["part"],
        "kind": change["kind"],
        "words": f"{words.count(change['count'], 'run')} {_WOULD[change['answer']]}",
        "reason": reason,
        "last": links.run(change["runs"][-1]) if change["runs"] else None,
    }


def question(draft: Draft, now: str, then: str) -> tuple[str, str] | None:
    """(title, text) of what is asked before a level is raised or lowered; None: it stays."""
    if now == then:
        return None
    is_up = LEVELS.index(then) > LEVELS.index(now)
    title = f"{'Raise' if is_up else 'Lower'} the level to {then}"
    what = _BECOMES[then] if is_up else _NO_MORE[now]
    return title, f"{draft.workflow} goes from {now} to {then}: {what}"


_BECOMES = {
    "expect": "people are told when a run is missed, late or too long.",
    "retry": "what fails is tried again, from its next run on.",
    "gate": "its runs ask before they begin, and may have to wait or be denied, from the next one on.",
    "orchestrate": "every function asks before it runs, from the next run on.",
}
_NO_MORE = {
    "orchestrate": "its functions no longer all ask before they run.",
    "gate": "its runs no longer ask before they begin.",
    "retry": "what fails is no longer tried again.",
    "expect": "nobody is told any more when a run is missed, late or too long.",
}


# -- versions ------------------------------------------------------------------------------------------------------------


def versions(known: Known, zone: tzinfo, *, may: bool) -> Item:
    """Every version with what it changed, the newest first; what people stored can be brought back, but for the present one."""
    found = known.versions[:SHOWN_VERSIONS]
    stored = known.policy["stored"] or {}
    return {
        "may": may,
        "rows": [
            {
                "version": each["version"],
                "who": schedules.author(each),
                "when": words.moment(words.parsed(each["created_at"]), zone, known.at),
                "why": each["reason"] or "",
                "difference": list(compared(_before(known.versions, i), each["policy"])),
                "can_return": each["origin"] == "stored" and each["policy"] != stored,
            }
            for i, each in enumerate(found)
        ],
        "more": max(0, len(known.versions) - len(found)),
    }


def _before(versions: Sequence[Item], place: int) -> Mapping[str, Any]:
    """What was stored, or declared, before that by the same: code and people each change their own."""
    mine = versions[place]["origin"]
    found: Mapping[str, Any] = next((each["policy"] for each in versions[place + 1 :] if each["origin"] == mine), {})
    return found
