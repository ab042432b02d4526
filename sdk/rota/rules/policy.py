"""The policy document: what may stand in it, and which parts of it are in force.

The document is the same from code, from a file, from the API. ``FIELDS`` is its one description: the validator, the JSON
Schema and the reference page follow from it. Schedules are text here; whether they can be understood, the collector says.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rota.rules.declared import Declared
from rota.rules.durations import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

LATER = ("params", "retry", "gates", "tasks", "rules", "trigger", "execute", "expect.rows", "expect.duration_band")
KINDS = ("script", "service", "external", "manual")
WHEN = ("cron", "every", "on_calendar", "after")  # a schedule has one of them
LONGEST_SECONDS = 400 * 86_400  # a duration of a policy; a schedule that comes less than once a year needs no watching by hours
MOST = 1000  # runs in a row


class Field(NamedTuple):
    """One key of the document: its path, what its value must be, and what it says."""

    path: str
    kind: str  # text, duration, length (not 0), count, count or false, texts, steps, mapping, or the allowed words joined by |
    help: str


FIELDS = (
    Field("workflow", "text", "The workflow that the document is of."),
    Field("kind", "|".join(KINDS), "What the workflow is."),
    Field("per", "workflow|host", "`host`: each host is an instance with slots of its own."),
    Field("schedule", "mapping", "When it should run: one of cron, every, on_calendar, after."),
    Field("schedule.cron", "text", "Five fields, or an @ form: `0 2 * * *`, `@daily`."),
    Field("schedule.every", "length", "An interval, counted from the last start."),
    Field("schedule.on_calendar", "texts", "systemd calendar events, one or several."),
    Field("schedule.after", "mapping", "Another workflow's success makes a slot."),
    Field("schedule.after.workflow", "text", "That workflow."),
    Field("schedule.after.within", "length", "How long after it this one may start; `1h` when left out."),
    Field("schedule.tz", "text", "The time zone by name; UTC when left out."),
    Field("schedule.grace", "duration", "How late a run may start. Left out: a tenth of the gap, at least 1m, at most 15m."),
    Field("schedule.early", "duration", "How early a run may start and still fill the slot; the grace when left out."),
    Field("expect", "mapping", "What a run must keep."),
    Field("expect.max_duration", "length", "The longest a run may take."),
    Field("expect.min_duration", "duration", "The shortest a successful run may take."),
    Field("expect.failures", "count or false", "So many failed runs in a row open an incident; 1 when left out, false: none do."),
    Field("expect.successes", "count", "So many successful runs in a row close an incident; 1 when left out."),
    Field("expect.silence", "length", "How long an open run may give no sign of life."),
    Field(
        "expect.upstream", "texts", "Workflows that this one needs: while one of them has an incident, this one's are suppressed."
    ),
    Field("alert", "mapping", "How people are told."),
    Field("alert.channels", "texts", "The channels; all of them when left out, an empty list: nobody is told."),
    Field("alert.remind", "length", "How often people are reminded of an open incident; never when left out."),
    Field("alert.escalate", "steps", "Who is told when nobody acknowledges: a list of {after, to}."),
    Field("alert.escalate[].after", "duration", "How long after the incident was opened."),
    Field("alert.escalate[].to", "text", "The channel."),
    Field("share", "mapping", "What others may do with this workflow: keys for workflows that match these patterns."),
    Field("share.read", "texts", "Who may read its runs and all that is known of it."),
    Field("share.gate", "texts", "Who may wait for it: name it in `schedule.after` and `expect.upstream`."),
    Field("share.trigger", "texts", "Who may start it."),
)
_KINDS = {field.path: field.kind for field in FIELDS}
_INDEX = re.compile(r"\[[0-9]+\]")  # which of a list


class PolicyError(ValueError):
    """A document that cannot be used; ``problems`` has a line for everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def validate(document: object) -> dict[str, Any]:
    """The document with single texts made lists where a list may stand, and nothing else changed. Raises PolicyError."""
    if not isinstance(document, dict):
        raise PolicyError(["a policy is a mapping of keys to values, not %s" % _shown(document)])
    problems: list[str] = []
    checked = _mapping("", document, problems)
    problems += _contradictions(checked, {problem.partition(".")[0].partition(":")[0] for problem in problems})
    if problems:
        raise PolicyError(problems)
    return checked


def merge(code: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What is in force: ``stored`` over ``code``, key by key inside ``expect`` and ``alert``, a schedule as a whole.

    A stored null takes the code's value away.
    """
    merged = dict(code)
    for key, value in stored.items():
        under = merged.get(key) if key in ("expect", "alert") else None
        whole = {**(under or {}), **value} if isinstance(value, dict) else value
        merged[key] = {name: each for name, each in whole.items() if each is not None} if isinstance(whole, dict) else whole
    return {key: value for key, value in merged.items() if value not in (None, {})}


def from_declared(declared: Declared) -> tuple[dict[str, Any], list[str]]:
    """(document, problems) of what code declares. A value that cannot be used is left out, and said."""
    schedule = _declared_schedule(declared)
    document: dict[str, Any] = {"per": "host"} if declared.named_by == "script" else {}
    if schedule:
        document["schedule"] = schedule
    if declared.max_duration:
        document["expect"] = {"max_duration": declared.max_duration}
    problems: list[str] = []
    kept = _mapping("", document, problems)
    if not any(kept.get("schedule", {}).get(name) for name in WHEN):
        kept.pop("schedule", None)  # without its time a zone and a grace say nothing
    return {key: value for key, value in kept.items() if value != {}}, problems


def _declared_schedule(declared: Declared) -> dict[str, Any]:
    if not declared.schedule:
        return {}
    more = {"tz": declared.tz, "grace": declared.grace}
    return {**when_of(declared.schedule), **{key: value for key, value in more.items() if value}}


def when_of(text: str) -> dict[str, Any]:
    """A schedule in one line (``0 2 * * *``, ``@daily``, ``every 5m``, ``Mon..Fri 02:00``) as the document spells it."""
    text = text.strip()
    if text.lower().startswith("every "):
        return {"every": text[6:].strip()}
    if text.startswith("@") or (len(text.split()) == 5 and not set(":;\n") & set(text)):
        return {"cron": text}
    return {"on_calendar": [line.strip() for line in text.replace(";", "\n").splitlines() if line.strip()]}


# -- one value after the other -------------------------------------------------------------------------------------------


def _mapping(path: str, given: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in given.items():
        # YAML 1.1 reads an unquoted on, off, yes or no as a boolean
        name = str(key) if not isinstance(key, bool) else "on" if key else "off"
        at = "%s.%s" % (path, name) if path else name
        kind = _KINDS.get(_INDEX.sub("[]", at))
        if kind is None:
            problems.append(_unknown(at, value))
        elif value is None:
            kept[name] = None
        else:
            checked = _value(at, kind, value, problems)
            if checked is not None:
                kept[name] = checked
    return kept


def _value(at: str, kind: str, value: Any, problems: list[str]) -> Any:
    """The value as it is kept; None when it cannot be."""
    if kind == "mapping":
        if isinstance(value, dict):
            return _mapping(at, value, problems)
        problems.append("%s: %s is no mapping%s" % (at, _shown(value), _hint(at)))
        return None
    if kind == "steps" and isinstance(value, list):
        return [_step("%s[%d]" % (at, i), step, problems) for i, step in enumerate(value)]
    problem = _CHECKS.get(kind, _word)(kind, value)
    if problem:
        problems.append("%s: %s %s" % (at, _shown(value), problem))
        return None
    return [value] if kind == "texts" and isinstance(value, str) else value


def _step(at: str, given: object, problems: list[str]) -> dict[str, Any]:
    known = len(problems)
    step = _mapping(at, given, problems) if isinstance(given, dict) else {}
    if len(problems) == known and (step.get("after") is None or step.get("to") is None):
        problems.append("%s: %s is no step; write {after: 30m, to: oncall}" % (at, _shown(given)))
    return step


def _text(_kind: str, value: object) -> str:
    return "" if isinstance(value, str) and value.strip() else "is no text: put it in quotes"


def _duration(kind: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return "is no duration: write it like 90s, 15m, 2h"
    try:
        length = seconds(str(value))
    except ValueError:
        return "is no duration: write it like 90s, 15m, 2h"
    if length == 0 and kind == "length":
        return "is no length of time: it must be above 0"
    return "" if length <= LONGEST_SECONDS else "is longer than 400 days"


def _count(kind: str, value: object) -> str:
    if value is False and kind == "count or false":
        return ""
    allowed = "is no number from 1 to %d" % MOST + (", and not false" if kind == "count or false" else "")
    return "" if type(value) is int and 1 <= value <= MOST else allowed


def _texts(_kind: str, value: object) -> str:
    many = [value] if isinstance(value, str) else value
    return (
        "" if isinstance(many, list) and all(isinstance(each, str) and each.strip() for each in many) else "is no list of texts"
    )


def _steps(_kind: str, _value: object) -> str:
    return "is no list of steps; write [{after: 30m, to: oncall}]"


def _word(kind: str, value: object) -> str:
    return "" if value in kind.split("|") else "is none of %s" % ", ".join(kind.split("|"))


_CHECKS = {
    "text": _text, "duration": _duration, "length": _duration, "count": _count, "count or false": _count, "texts": _texts,
    "steps": _steps,
}  # fmt: skip


def _contradictions(document: Mapping[str, Any], wrong: set[str]) -> list[str]:
    """What does not go together, in the parts of which nothing is ``wrong`` yet."""
    found: list[str] = []
    if document.get("schedule") is not None and "schedule" not in wrong:
        found += _in_schedule(document["schedule"], document.get("workflow"))
    expect = document.get("expect") or {}
    least, most = (expect.get(name) for name in ("min_duration", "max_duration"))
    if least is not None and most is not None and seconds(str(least)) >= seconds(str(most)):
        found.append("expect.min_duration: %s is not below max_duration %s" % (_shown(least), _shown(most)))
    if document.get("workflow") is not None and document["workflow"] in (expect.get("upstream") or ()):
        found.append("expect.upstream: %s cannot need itself" % _shown(document["workflow"]))
    return found


def _in_schedule(schedule: Mapping[str, Any], workflow: str | None) -> list[str]:
    named = [name for name in WHEN if schedule.get(name) not in (None, [])]
    if len(named) != 1:
        return ["schedule: it has %s of cron, every, on_calendar, after; it needs one" % (" and ".join(named) or "none")]
    if named == ["after"] and not schedule["after"].get("workflow"):
        return ["schedule.after: it names no workflow"]
    if named == ["after"] and schedule["after"]["workflow"] == workflow:
        return ["schedule.after.workflow: a workflow cannot come after itself"]
    return []


def _unknown(at: str, value: object) -> str:
    if at in LATER:
        return "%s: not in this version yet" % at
    from difflib import get_close_matches

    parent, _, name = at.rpartition(".")
    known = {path.rpartition(".")[2]: path for path in _KINDS if path.rpartition(".")[0] == _INDEX.sub("[]", parent)}
    near = [known[each] for each in get_close_matches(name, known, 1, 0.5)]
    near += [path for path in _KINDS if path.rpartition(".")[2] == name]  # the right word in the wrong place
    said = "did you mean %s?" % near[0] if near else "there are %s" % ", ".join(known)
    return "%s: unknown key, with the value %s; %s" % (at, _shown(value), said)


def _hint(at: str) -> str:
    return '; write schedule: {cron: "0 2 * * *"}' if at == "schedule" else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
