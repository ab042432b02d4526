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
from rota_collector.domain import circles
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
    placed = [(file, each) for file in asked["files"] for each in _documents(file)]
    if not placed:
        where = ", ".join(asked["files"])
        raise documents.Unreadable(f"{where}: there is no document in it; each begins with `workflow: NAME`")
    found = documents.examine_all([each.document for _, each in placed], time.time_ns())
    _add_circles(found)
    items = [_checked(file, each, one) for (file, each), one in zip(placed, found, strict=True)]
    if asked["json"]:
        print(json.dumps(items, indent=2, ensure_ascii=False))
    else:
        _say(items)
    return 1 if any(item["problems"] for item in items) else 0


def _add_circles(found: list[documents.Examined]) -> None:
    """Circles among the documents themselves: what else is stored, only a collector knows."""
    given = {one.workflow: one.document for one in found}
    for one in found:
        if not one.problems:
            one.problems.extend(circles.problems(one.workflow, lambda name: given.get(name, {})))


def _checked(file: str, placed: documents.Placed, one: documents.Examined) -> dict[str, Any]:
    def said(texts: list[str]) -> list[dict[str, Any]]:
        return [{"line": placed.line(text), "text": text} for text in texts]

    name = {"file": file, "line": placed.lines.get(""), "workflow": one.workflow or None}
    return {**name, "problems": said(one.problems), "warnings": said(one.warnings)}


def _say(items: list[dict[str, Any]]) -> None:
    """Each problem on a line of stderr, which begins with its place as compilers write it."""
    for item in items:
        for word, key in (("error", "problems"), ("warning", "warnings")):
            for each in item[key]:
                place = item["file"] if each["line"] is None else f"{item['file']}:{each['line']}"
                _complain(f"{place}: {word}: {item['workflow'] or '(no name)'}: {each['text']}")
                if os.environ.get("GITHUB_ACTIONS") == "true":
                    _annotate(word, item["file"], each)
    if not any(item["problems"] for item in items):
        said = "1 policy is well" if len(items) == 1 else f"{len(items)} policies are well"
        print(f"{said}: {', '.join(item['workflow'] for item in items)}")


def _annotate(word: str, file: str, said: dict[str, Any]) -> None:
    """For GitHub Actions, which shows it at that line of the change. A command of theirs ends with its line."""

    def escaped(text: str, more: str = "") -> str:
        return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)

    line = "" if said["line"] is None else f",line={said['line']}"
    print(f"::{word} file={escaped(file, ':,')}{line}::{escaped(said['text'])}")


def _documents(file: str) -> list[documents.Placed]:
    """The documents of a file (``-``: stdin); a list in it is as good as several. Raises Unreadable."""
    try:
        with open(file, "rb") if file != "-" else sys.stdin.buffer as opened:
            body = opened.read()
    except OSError as error:
        raise documents.Unreadable(f"cannot read {file}: {error.strerror}") from None
    try:
        return documents.read_placed(body, is_json=file.endswith(".json"))
    except documents.Unreadable as error:
        raise documents.Unreadable(f"{file}: {error}") from None


def _complain(text: str) -> None:
    """On stderr, where no character of a file moves the cursor; after what was said before, also where both go to one file."""
    sys.stdout.flush()
    print("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
