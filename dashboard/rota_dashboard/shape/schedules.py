"""A schedule, and the policy around it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from cron_descriptor import ExpressionDescriptor, FormatError, Options

from rota.rules.durations import seconds
from rota.rules.durations import words as lasting
from rota_dashboard.shape import words
from rota_dashboard.shape.words import Item

_MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_DAILY = ("*", "*", "*")


def in_words(policy: Mapping[str, Any]) -> str:
    """When a workflow should run: ``Every day at 02:00 Europe/Berlin, 15 min grace``."""
    schedule = policy.get("schedule") or {}
    said = _when(schedule)
    if said is None:
        return "Not scheduled"
    more = [f" {schedule['tz']}"] if schedule.get("tz") and ("cron" in schedule or "on_calendar" in schedule) else []
    if schedule.get("grace"):
        more.append(f", {lasting(seconds(str(schedule['grace'])))} grace")
    return said + "".join(more)


def _when(schedule: Mapping[str, Any]) -> str | None:
    if schedule.get("cron"):
        return cron_in_words(str(schedule["cron"]))
    if schedule.get("every"):
        return f"Every {lasting(seconds(str(schedule['every'])))}, from start to start"
    if schedule.get("on_calendar"):
        given = schedule["on_calendar"]
        return "On " + " and ".join([given] if isinstance(given, str) else given)
    if schedule.get("after"):
        after = schedule["after"]
        within = f", within {lasting(seconds(str(after['within'])))}" if after.get("within") else ""
        return f"After {after.get('workflow')} succeeded{within}"
    return None


def cron_in_words(expression: str) -> str:
    """A cron expression in English; as it is when it cannot be put into words."""
    spelled = _MACROS.get(expression.strip().lower(), expression)
    options = Options()
    options.use_24hour_time_format, options.throw_exception_on_parse_error = True, True
    try:
        said = str(ExpressionDescriptor(spelled, options).get_description())
    except (FormatError, ValueError, IndexError, KeyError, TypeError):
        return f"cron {expression}"
    if tuple(spelled.split()[2:]) == _DAILY and said.startswith("At ") and "past the hour" not in said:
        return f"Every day at {said[3:]}"
    return said


def origin(policy: Item, versions: Sequence[Item], zone: tzinfo) -> str:
    """Which policy is in force, and where it came from."""
    if not policy["version"]:
        return "no policy"
    latest = versions[0] if versions else None
    sources = set(policy["source"].values())
    over = " (over the code's own defaults)" if "stored" in sources and policy["declared"] else ""
    if latest is None:
        return f"policy v{policy['version']}"
    at = words.parsed(latest["created_at"])
    who = author(latest)
    by = f"by {who}" if latest["origin"] == "stored" else "declared in code" if who == "code" else f"declared by {who}"
    return f"policy v{policy['version']} {by}, {words.date_of(at, zone)}{over}"


def author(version: Item) -> str:
    """Who made a version of a policy: a person, ``code`` as a run of it said so, or the system that schedules the workflow."""
    is_of_run = version["origin"] == "code" and version["author"].startswith("run ")
    return "code" if is_of_run else str(version["author"])


def keys(policy: Item, versions: Sequence[Item]) -> list[Item]:
    """The policy in force, a key a row, with who set it."""
    declared = next((each for each in versions if each["origin"] == "code"), None)
    by = {"code": f"set by {author(declared) if declared else 'code'}", "stored": "stored"}
    return [
        {"key": path, "value": text, "source": by[_source(policy, top, under)]}
        for top, value in policy["policy"].items()
        for under, each in (value.items() if isinstance(value, dict) else [(None, value)])
        for path, text in _flat(top if under is None else f"{top}.{under}", each)
    ]


def _source(policy: Item, top: str, under: str | None) -> str:
    """Who set a key; of one whose parts come from both, who set this part of it."""
    source = policy["source"].get(top)
    if source in ("code", "stored"):
        return str(source)
    return "stored" if under in ((policy["stored"] or {}).get(top) or {}) else "code"


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}", each)
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        yield path, ", ".join(value) or "none"
    elif isinstance(value, list):
        for i, each in enumerate(value, 1):
            yield from _flat(f"{path}[{i}]", each)
    else:
        yield path, {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def versions(found: Sequence[Item], zone: tzinfo, now: datetime) -> list[Item]:
    """The versions of a policy, the newest first."""
    return [
        {
            "version": f"v{each['version']}",
            "who": author(each),
            "when": words.moment(words.parsed(each["created_at"]), zone, now),
            "why": each["reason"] or "",
        }
        for each in found
    ]
