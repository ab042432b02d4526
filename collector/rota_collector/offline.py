"""``python -m rota_collector.offline``: what the collector would say of schedules and policies, without one running.

The command line may not import the collector, and the collector knows the calendars: it asks in one JSON object, given as
the only argument, and what is printed here is what people see. Exit status: 0 well, 1 something is wrong.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rota.rules.durations import seconds
from rota_collector.api import documents
from rota_collector.domain.schedule import BadSchedule, Schedule, parse, problems

_SECOND = 10**9


def main(asked: dict[str, Any]) -> int:
    """Answer one question: ``next``, ``check`` or ``policy``."""
    try:
        return {"next": _next, "check": _check, "policy": _policy}[asked["ask"]](asked)
    except (BadSchedule, documents.Unreadable, OSError) as error:
        _complain(str(error))
        return 1


def _next(asked: dict[str, Any]) -> int:
    schedule = parse(asked["schedule"], asked["tz"])
    slots = _coming(schedule, _moment_ns(asked["from"], schedule.tz), asked["count"])
    if asked["json"]:
        print(json.dumps(slots, indent=2))
        return 0
    if not slots:
        _complain(_why_none(schedule))
        return 1
    for slot in slots:
        print(f"{slot['utc']}  {slot['local']}")
    return 0


def _moment_ns(text: str | None, zone: str) -> int:
    """A time as ISO 8601 writes it, in ``zone`` when it names none; now without one."""
    if text is None:
        return time.time_ns()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadSchedule(f"{text!r} is no time. Examples: 2026-01-31T02:00, 2026-01-31T02:00Z") from None
    return round((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * _SECOND)


def _coming(schedule: Schedule, at_ns: int, count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while len(found) < count:
        following = schedule.next_after(at_ns)
        if following is None:
            break
        at_ns = following
        found.append({"utc": _iso(at_ns, "UTC").replace("+00:00", "Z"), "local": _iso(at_ns, schedule.tz)})
    return found


def _iso(at_ns: int, zone: str) -> str:
    at = datetime.fromtimestamp(at_ns // _SECOND, UTC).astimezone(ZoneInfo(zone))
    return at.isoformat(timespec="seconds")


def _why_none(schedule: Schedule) -> str:
    if schedule.kind == "after":
        return f"{schedule.spec!r} has no times of its own: it is due when {schedule.after_workflow} succeeds"
    return f"{schedule.spec!r} never comes (looked 40 years ahead)"


def _check(asked: dict[str, Any]) -> int:
    schedule = parse(asked["schedule"], asked["tz"])
    grace_ns = _grace_ns(asked["grace"])
    print(schedule.words())
    for slot in _coming(schedule, time.time_ns(), 3):
        print(f"  {slot['local']}")
    found = problems(schedule, grace_ns, time.time_ns())
    for problem in found:
        _complain(f"{problem.severity}: {problem.text}")
    return int(any(problem.severity == "error" for problem in found))


def _grace_ns(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return round(seconds(text) * _SECOND)
    except ValueError as error:
        raise BadSchedule(f"grace: {error}") from None


def _policy(asked: dict[str, Any]) -> int:
    with open(asked["file"], "rb") if asked["file"] != "-" else sys.stdin.buffer as file:
        found = documents.examine_all(documents.read(file.read(), is_json=False), time.time_ns())
    if not found:
        raise documents.Unreadable(f"{asked['file']}: there is no document in it")
    for one in found:
        name = one.workflow or "(no name)"
        for text in one.problems:
            _complain(f"{name}: {text}")
        for text in one.warnings:
            _complain(f"{name}: warning: {text}")
    wrong = sum(bool(one.problems) for one in found)
    if not wrong:
        print(
            f"{len(found)} {'policy is' if len(found) == 1 else 'policies are'} well: {', '.join(one.workflow for one in found)}"
        )
    return int(bool(wrong))


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
