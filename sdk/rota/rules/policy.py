"""The policy document: what may stand in it, and which parts of it are in force.

The document is the same from code, from a file, from the API; ``rota.rules.fields`` lists its keys. Schedules and expressions are
text here; whether they can be understood, the collector says.
"""

from __future__ import annotations

import re

from rota.rules import inflight, values
from rota.rules.declared import Declared
from rota.rules.durations import seconds
from rota.rules.fields import EVERY_GATE, EXAMPLES, FIELDS, GATE_KEYS, LATER, NEVER, REQUIRED, WHEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

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
    checked = _mapping("", "", document, problems)
    problems += _contradictions(checked, {problem.partition(".")[0].partition(":")[0] for problem in problems})
    if problems:
        raise PolicyError(problems)
    return checked


def merge(code: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What is in force: ``stored`` over ``code``, key by key inside ``expect``, ``alert``, ``retry`` and ``tasks``, all
    else as a whole.

    A stored null takes the code's value away.
    """
    merged = dict(code)
    for key, value in stored.items():
        under = merged.get(key) if key in ("expect", "alert", "retry", "tasks") else None
        whole = {**(under or {}), **value} if isinstance(value, dict) else value
        merged[key] = {name: each for name, each in whole.items() if each is not None} if isinstance(whole, dict) else whole
    return {key: value for key, value in merged.items() if value not in (None, {})}


def ordered(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its keys in order, so that the same is spelled the same; but the patterns of ``tasks`` as they stand,
    since the first that matches holds.
    """
    return {key: _sorted(document[key], as_it_stands=key == "tasks") for key in sorted(document)}


def _sorted(value: Any, as_it_stands: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in (value if as_it_stands else sorted(value))}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def from_declared(declared: Declared) -> tuple[dict[str, Any], list[str]]:
    """(document, problems) of what code declares. A value that cannot be used is left out, and said."""
    schedule = _declared_schedule(declared)
    document: dict[str, Any] = {"per": "host"} if declared.named_by == "script" else {}
    if schedule:
        document["schedule"] = schedule
    if declared.max_duration:
        document["expect"] = {"max_duration": declared.max_duration}
    problems: list[str] = []
    kept = _mapping("", "", document, problems)
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


def _mapping(at: str, path: str, given: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
    """What is kept of a mapping. ``at``: where it stands in the document; ``path``: in the table of fields."""
    kept: dict[str, Any] = {}
    for key, value in given.items():
        # YAML 1.1 reads an unquoted on, off, yes or no as a boolean
        name = str(key) if not isinstance(key, bool) else "on" if key else "off"
        place, field = ("%s.%s" % (at, name), "%s.%s" % (path, name)) if at else (name, name)
        kind = _KINDS.get(field)
        if kind is None:
            problems.append(_unknown(place, field, value))
        elif value is None:
            kept[name] = None
        else:
            checked = _value(place, field, kind, value, problems)
            if checked is not None:
                kept[name] = checked
    return kept


def _value(at: str, path: str, kind: str, value: Any, problems: list[str]) -> Any:
    """The value as it is kept; None when it cannot be."""
    if kind in ("mapping", "named"):
        if not isinstance(value, dict):
            problems.append("%s: %s is no mapping%s" % (at, _shown(value), _example(path)))
            return None
        return _mapping(at, path, value, problems) if kind == "mapping" else _named(at, path, value, problems)
    if kind == "list":
        if not isinstance(value, list):
            problems.append("%s: %s is no list%s" % (at, _shown(value), _example(path)))
            return None
        return [_one_of_list("%s[%d]" % (at, i), path, each, problems) for i, each in enumerate(value)]
    problem = values.problem(kind, value)
    if problem:
        problems.append("%s: %s %s" % (at, _shown(value), problem))
        return None
    return [value] if kind in values.LISTS and isinstance(value, str) else value


def _named(at: str, path: str, given: Mapping[Any, Any], problems: list[str]) -> dict[str, Any]:
    """A mapping whose keys are the user's own."""
    kept = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name.strip():
            problems.append("%s: %s is no name: put it in quotes" % (at, _shown(name)))
        elif value is not None:
            kept[name] = _value("%s.%s" % (at, name), path + ".*", "mapping", value, problems)
        else:
            kept[name] = None
    return kept


def _one_of_list(at: str, path: str, given: object, problems: list[str]) -> dict[str, Any]:
    known = len(problems)
    inner = _mapping(at, path + "[]", given, problems) if isinstance(given, dict) else {}
    missing = [name for name in REQUIRED.get(path + "[]", ()) if inner.get(name) is None]
    if len(problems) == known and missing:
        said = "has no %s" % " and no ".join(missing) if isinstance(given, dict) else "is no mapping"
        problems.append("%s: %s %s; write %s" % (at, _shown(given), said, EXAMPLES[path][1:-1]))
    return inner


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
    if document.get("gates") and not any(part.startswith("gates") for part in wrong):
        for number, gate in enumerate(document["gates"]):
            found += _in_gate("gates[%d]" % number, gate, document.get("workflow"))
    if len(document.get("rules") or ()) > inflight.MOST:
        found.append("rules: there are %d; no more than %d are evaluated" % (len(document["rules"]), inflight.MOST))
    return found


def _in_gate(at: str, gate: Mapping[str, Any], workflow: str | None) -> list[str]:
    """Keys that a gate of its kind needs, and those that it cannot have."""
    kind, keys = gate["kind"], GATE_KEYS[gate["kind"]]
    given = [name for name, value in gate.items() if value is not None and name not in EVERY_GATE]
    found = ["%s: %s is no key of a %s gate; it has %s" % (at, name, kind, ", ".join(keys.all()) or "none") for name in given
             if name not in keys.all()]  # fmt: skip
    found += ["%s: a %s gate needs %s" % (at, kind, name) for name in keys.needed if name not in given]
    chosen = [name for name in keys.one_of if name in given]
    if keys.one_of and len(chosen) != 1:
        found.append("%s: it has %s of %s; it needs one" % (at, " and ".join(chosen) or "none", ", ".join(keys.one_of)))
    if keys.some_of and not any(name in given for name in keys.some_of):
        found.append("%s: a %s gate needs one of %s" % (at, kind, ", ".join(keys.some_of)))
    if workflow is not None and workflow in (gate.get("workflow"), *(gate.get("all_of") or ())):
        found.append("%s: %s cannot wait for itself" % (at, _shown(workflow)))
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


def _unknown(at: str, path: str, value: object) -> str:
    if path in NEVER:
        return "%s: %s" % (at, NEVER[path])
    if path in LATER:
        return "%s: not in this version yet" % at
    from difflib import get_close_matches

    parent, _, name = path.rpartition(".")
    known = {path.rpartition(".")[2]: path for path in _KINDS if path.rpartition(".")[0] == parent}
    near = [path for path in _KINDS if path.rpartition(".")[2] == name]  # the right word in the wrong place
    near += [known[each] for each in get_close_matches(name, known, 1, 0.5)]
    said = "did you mean %s?" % near[0] if near else "there are %s" % ", ".join(known)
    return "%s: unknown key, with the value %s; %s" % (at, _shown(value), said)


def _example(path: str) -> str:
    return "; write %s" % EXAMPLES[path] if path in EXAMPLES else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
