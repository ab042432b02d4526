"""``python -m rota_collector.offline``: what the collector would say of schedules and policies, without one running.

The command line may not import the collector, and the collector knows the calendars: it asks in one JSON object, given as
the only argument, and what is printed here is what people see. Exit status: 0 well, 1 something is wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rota.rules.durations import seconds
from rota_collector.api import documents
from rota_collector.domain.schedule import BadSchedule, Schedule, parse, problems
from rota_collector.domain.zones import END

_SECOND = 10**9


def main(asked: dict[str, Any]) -> int:
    """Answer one question: ``next``, ``check`` or ``policy``."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # as the command line does
    try:
        status = {"next": _next, "check": _check, "policy": _policy}[asked["ask"]](asked)
        sys.stdout.flush()
        return status
    except (BadSchedule, documents.Unreadable) as error:
        _complain(f"rota: {error}")
        return 1
    except BrokenPipeError:  # `rota schedule next … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _next(asked: dict[str, Any]) -> int:
    schedule = parse(asked["schedule"], asked["tz"])
    slots = _coming(schedule, _moment_ns(asked["from"], schedule.tz), asked["count"])
    if asked["json"]:
        print(json.dumps(slots, indent=2))
    else:
        _print(slots)
    if not slots:
        raise BadSchedule(_why_none(schedule))
    return 0


def _print(slots: list[dict[str, str]]) -> None:
    for slot in slots:
        print(f"{slot['utc']}  {slot['local']}")


def _moment_ns(text: str | None, zone: str) -> int:
    """A time as ISO 8601 writes it, in ``zone`` when it names none; now without one."""
    if text is None:
        return time.time_ns()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadSchedule(f"{text!r} is no time. Examples: 2026-01-31T02:00, 2026-01-31T02:00Z") from None
    if not 1970 < at.year < 2200:
        raise BadSchedule(f"{text!r} is not between 1971 and 2199")
    return round((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * _SECOND)


def _coming(schedule: Schedule, at_ns: int, count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while len(found) < count:
        following = schedule.next_after(at_ns)
        if following is None or following >= END * _SECOND:
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
    return f"{schedule.spec!r} never comes. Check the day and the month"


def _check(asked: dict[str, Any]) -> int:
    schedule = parse(asked["schedule"], asked["tz"])
    grace_ns = _grace_ns(asked["grace"])
    now_ns = time.time_ns()
    found = problems(schedule, grace_ns, now_ns)
    print(schedule.words())
    _print(_coming(schedule, now_ns, 3))
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
    found = documents.examine_all(_documents(asked["file"]), time.time_ns())
    if not found:
        raise documents.Unreadable(f"{asked['file']}: there is no document in it; each begins with `workflow: NAME`")
    for one in found:
        for text in one.problems:
            _complain(f"{one.workflow or '(no name)'}: {text}")
        for text in one.warnings:
            _complain(f"{one.workflow or '(no name)'}: warning: {text}")
    if any(one.problems for one in found):
        return 1
    said = "1 policy is well" if len(found) == 1 else f"{len(found)} policies are well"
    print(f"{said}: {', '.join(one.workflow for one in found)}")
    return 0


def _documents(file: str) -> list[object]:
    """The documents of a file (``-``: stdin); a list in it is as good as several. Raises Unreadable."""
    try:
        with open(file, "rb") if file != "-" else sys.stdin.buffer as opened:
            body = opened.read()
    except OSError as error:
        raise documents.Unreadable(f"cannot read {file}: {error.strerror}") from None
    try:
        found = documents.read(body, is_json=file.endswith(".json"))
    except documents.Unreadable as error:
        raise documents.Unreadable(f"{file}: {error}") from None
    return [each for document in found for each in (document if isinstance(document, list) else [document])]


def _complain(text: str) -> None:
    """On stderr, where no character of a file moves the cursor; after what was said before, also where both go to one file."""
    sys.stdout.flush()
    print("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
