"""The pages: each asks the collector, has its answer shaped, and mounts the parts that draw it.

What users wrote is shown by parts that set text, and by elements of Streamlit that take plain text only (st.text).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from time import monotonic
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from rota_dashboard import config, login, parts
from rota_dashboard.client import Collector, CollectorAway, CollectorRefused, Item, KeyNeeded, NotThere
from rota_dashboard.shape import words

REFRESH_SECONDS = 5
_FRESH_SECONDS = 1.5  # what was just asked for by one tab need not be asked for by another
_KEPT = 64  # last answers

Answer = TypeVar("Answer")


class Known(NamedTuple):
    """What the collector said, and, when it does not answer now, what people are told about that."""

    answer: Any
    away: str | None


def collector() -> Collector:
    """The collector, asked with the dashboard's key, or with that of the person who looks."""
    return Collector(config.endpoint(), config.token() or st.context.cookies.get(login.COOKIE, ""))


def zone() -> tzinfo:
    """Where the person who looks is."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError, OSError):
        return UTC


@contextmanager
def calmly() -> Iterator[None]:
    """Says so, without alarm, when nothing can be shown."""
    try:
        yield
    except CollectorAway as away:
        parts.draw("notice", {"title": "The collector does not answer.", "lines": [
            f"{away if away.hint else f'Nobody listens at {away.address}'}. Trying again every {REFRESH_SECONDS} s.",
            f"{away.hint or 'Start it with: rota up'}. Runs are kept on their hosts until then; nothing is lost.",
        ]})  # fmt: skip
    except KeyNeeded as refused:
        parts.draw("login", {"message": str(refused) if collector().token else None})
    except NotThere as refused:
        parts.draw("notice", {"title": "Not found", "lines": [str(refused)], "back": True})
    except CollectorRefused as refused:
        parts.draw("notice", {"title": "The collector refused.", "lines": [str(refused)]})


class _Memory:
    """The last answers, so that a page can still be shown when the collector is away, and two tabs ask once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, ...], tuple[Any, datetime, float]] = OrderedDict()

    def keep(self, key: tuple[str, ...], answer: Any) -> None:
        """Keep an answer; of many, the last."""
        with self._lock:
            self._answers[key] = (answer, datetime.now(UTC), monotonic())
            self._answers.move_to_end(key)
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)

    def last(self, key: tuple[str, ...]) -> tuple[Any, datetime, float] | None:
        """(answer, when it was given, by the monotonic clock too)."""
        with self._lock:
            return self._answers.get(key)

    def forget(self) -> None:
        """Something was changed: what is known may be wrong."""
        with self._lock:
            self._answers.clear()


@st.cache_resource
def memory() -> _Memory:
    """The memory of this process."""
    return _Memory()


def known(ask: Callable[[Collector], Any], *what: str) -> Known:
    """What the collector says, or, when it does not answer, what it said last. Raises CollectorAway when it never did."""
    asked = collector()
    key = (asked.base_url, asked.token, *what)
    last = memory().last(key)
    if last is not None and monotonic() - last[2] < _FRESH_SECONDS:
        return Known(last[0], None)
    try:
        answer = ask(asked)
    except CollectorAway as away:
        if last is None:
            raise
        return Known(last[0], _showing_the_last(away.address, last[1]))
    memory().keep(key, answer)
    return Known(answer, None)


def _showing_the_last(address: str, when: datetime) -> str:
    return (
        f"The collector at {address} does not answer. Showing what was known at {words.clock(when, zone())}. "
        f"Trying again every {REFRESH_SECONDS} s."
    )


def me() -> Item:
    """Who looks, and what they may."""
    found: Item = known(Collector.me, "me").answer
    return found
