"""Schedules of AWS and of Quartz in cron's own words: those count days of the week from 1, and write ``?`` for any."""

from __future__ import annotations

import re

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LAST = (59, 23, 31, 12, 7)  # minute, hour, day of the month, month, day of the week


def of_quartz(expression: str) -> str | None:
    """Of six or seven fields, seconds first; None where cron has no words for it, as for any second but 0.

    Args:
        expression: such as ``0 0 2 ? * MON-FRI``.
    """
    fields = expression.split()
    return of_fields(fields[1:]) if len(fields) in (6, 7) and fields[0] == "0" else None


def of_fields(fields: list[str]) -> str | None:
    """Minute, hour, day of the month, month, day of the week and perhaps year; None where cron has no words: a year, L, W or #.

    Args:
        fields: in which ``a/n`` means from a on.
    """
    if len(fields) not in (5, 6) or fields[5:] not in ([], ["*"], ["?"]):
        return None
    spoken = [_field(field.upper(), number) for number, field in enumerate(fields[:5])]
    return None if None in spoken else " ".join(map(str, spoken))


def _field(field: str, number: int) -> str | None:
    if field in ("*", "?"):
        return "*"
    parts = [_part(part, _LAST[number], of_week=number == 4) for part in field.split(",")]
    return None if None in parts else ",".join(map(str, parts))


def _part(part: str, last: int, *, of_week: bool) -> str | None:
    found = re.fullmatch(r"(\*|\d+|[A-Z]{3})(?:-(\d+|[A-Z]{3}))?(?:/(\d+))?", part)
    if found is None or found[3] == "0":
        return None
    begin, end, step = found.groups()
    if begin == "*":
        return None if end else "*" + ("/" + step if step and int(step) > 1 else "")
    if not of_week:
        return begin + ("-" + (end or str(last)) if end or step else "") + ("/" + step if step else "")
    first, final = _day(begin), _day(end) if end else last if step else _day(begin)
    if first is None or final is None or final < first:
        return None
    return ",".join(str(day - 1) for day in range(first, final + 1, int(step or 1)))


def _day(word: str) -> int | None:
    if word.isdigit():
        return int(word) if 1 <= int(word) <= 7 else None
    return _DAYS.index(word) + 1 if word in _DAYS else None
