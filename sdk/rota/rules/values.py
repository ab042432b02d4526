"""What the values of a policy document must be, one after the other: each check says in words what is wrong, or nothing."""

from __future__ import annotations

import re

from rota.rules import inflight, retry, windows
from rota.rules.budget import MOST_LEAST
from rota.rules.durations import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

LONGEST_SECONDS = 400 * 86_400  # a duration of a policy; a schedule that comes less than once a year needs no watching by hours
MOST = 1000  # runs in a row, attempts, places
LARGEST_FACTOR = 1000
HIGHEST_PRIORITY = 100
SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b\s*", re.IGNORECASE)
UNREACHABLE = re.compile(r"go|skip|deny|wait\(\s*([^()]+?)\s*\)")


def size_bytes(text: str) -> int:
    """``10 GB``, ``512MiB`` in bytes. Raises ValueError."""
    found = SIZE.fullmatch(text)
    if found is None:
        raise ValueError("%r is no size: write it like 500MB, 10GiB" % text)
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2].lower() or " "))


def problem(kind: str, value: object) -> str:
    """What is wrong with a value of that kind; empty when nothing is."""
    return CHECKS.get(kind, _word)(kind, value)


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
    return "" if _listed(value) is not None else "is no list of texts"


def _listed(value: object) -> list[str] | None:
    many = [value] if isinstance(value, str) else value
    return many if isinstance(many, list) and all(isinstance(each, str) and each.strip() for each in many) else None


def _windows(_kind: str, value: object) -> str:
    many = _listed(value)
    if many is None:
        return "is no list of texts"
    for each in many:
        try:
            windows.parse(each)
        except ValueError as error:
            return "cannot be used: %s" % error
    return "" if many else "is empty: write [Mon..Fri]"


def _failures(_kind: str, value: object) -> str:
    many = _listed(value)
    if many is None:
        return "is no list of texts"
    return next((said for said in map(_failure, many) if said), "")


def _failure(text: str) -> str:
    try:
        retry.check(text)
    except (ValueError, re.error) as error:
        return "has %r: %s" % (text, error)
    return ""


def _number(lowest: float, highest: float, is_open: bool = False) -> Callable[[str, object], str]:
    said = "is no number %s %g to %g" % ("above" if is_open else "from", lowest, highest)

    def check(_kind: str, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return said
        return "" if (lowest < value if is_open else lowest <= value) and value <= highest else said

    return check


def _whole(highest: int) -> Callable[[str, object], str]:
    def check(_kind: str, value: object) -> str:
        return "" if type(value) is int and 0 <= value <= highest else "is no whole number from 0 to %d" % highest

    return check


def _flag(_kind: str, value: object) -> str:
    return "" if isinstance(value, bool) else "is neither true nor false"


def _size(_kind: str, value: object) -> str:
    return "" if isinstance(value, str) and SIZE.fullmatch(value) else "is no size: write it like 500MB, 10GiB"


def _expected(_kind: str, value: object) -> str:
    return "" if isinstance(value, (str, int, float)) else "is neither a number nor a text"


def _unreachable(_kind: str, value: object) -> str:
    found = UNREACHABLE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return "is none of go, skip, deny, wait(30m)"
    return _duration("length", found[1]) if found[1] else ""


def _condition(_kind: str, value: object) -> str:
    from rota.rules import expression  # costs 5 ms, and few policies have rules

    return _said_by(expression.check, value)


def _action(_kind: str, value: object) -> str:
    return _said_by(inflight.action, value)


def _said_by(check: Callable[[str], object], value: object) -> str:
    if not isinstance(value, str):
        return "is no text: put it in quotes"
    try:
        check(value)
    except ValueError as error:
        return "cannot be used: %s" % error
    return ""


def _anything(_kind: str, _value: object) -> str:
    return ""


def _word(kind: str, value: object) -> str:
    words = kind.split("|")
    return "" if isinstance(value, str) and value in words else "is none of %s" % ", ".join(words)


CHECKS: dict[str, Callable[[str, object], str]] = {
    "text": _text, "duration": _duration, "length": _duration, "count": _count, "count or false": _count, "texts": _texts,
    "windows": _windows, "failures": _failures, "factor": _number(1, LARGEST_FACTOR), "fraction": _number(0, 1),
    "amount": _number(0, LARGEST_FACTOR, is_open=True), "whole": _whole(HIGHEST_PRIORITY),
    "percent": _number(0, 100), "least": _whole(MOST_LEAST), "flag": _flag, "size": _size, "expected": _expected,
    "unreachable": _unreachable, "anything": _anything, "condition": _condition, "action": _action,
}  # fmt: skip
LISTS = ("texts", "windows", "failures")  # of texts, where one may stand alone
