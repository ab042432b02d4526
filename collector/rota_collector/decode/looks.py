"""Requests → that an observer looked at another system, and so told all that there was to tell by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rota.wire import names
from rota_collector.decode.told import integer, may_hold, named, text
from rota_collector.domain.looking import Look
from rota_collector.journal import Record

_NAME = names.LOOK_EVENT.encode()
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1, 86_400
_MOST_CHARACTERS = 300  # of what went wrong


def looks(records: Sequence[Record]) -> list[Look]:
    """Those in the requests, in the order of arrival. One that names no system is none."""
    return [look for record in records if may_hold(record, _NAME) for look in _of_record(record)]


def _of_record(record: Record) -> Iterator[Look]:
    for told in named(record, names.LOOK_EVENT):
        source, problem = text(told.own, names.SOURCE), text(told.own, names.OBSERVER_PROBLEM)
        if source is None:
            continue
        every = integer(told.own, names.OBSERVER_EVERY, _LONGEST_SECONDS) or _SHORTEST_SECONDS
        yield Look(
            source,
            text(told.own, names.OBSERVER_PLACE) or "",
            text(told.own, names.HOST_NAME) or "",
            text(told.above, names.HOST_NAME) or "",
            min(told.at_ns, record.received_ns),
            record.received_ns,
            max(every, _SHORTEST_SECONDS) * 10**9,
            problem and problem[:_MOST_CHARACTERS],
        )
