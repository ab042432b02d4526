"""Requests → what other systems say of the schedules of their workflows, also of those that have not run yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rota.rules.declared import Declared
from rota.wire import names
from rota_collector.decode.events import declared
from rota_collector.decode.told import may_hold, named, text
from rota_collector.journal import Record

_NAME = names.SCHEDULE_EVENT.encode()


class ToldSchedule(NamedTuple):
    """A workflow is scheduled so since ``at_ns`` (Unix time); with an empty ``declared`` it is not, or not any more. ``host``:
    where, of one that is another on each host.
    """

    workflow: str
    declared: Declared
    at_ns: int
    source: str
    host: str | None = None


def schedules(records: Sequence[Record]) -> list[ToldSchedule]:
    """Those in the requests, in the order of arrival. One that names no workflow is none."""
    return [told for record in records if may_hold(record, _NAME) for told in _of_record(record)]


def _of_record(record: Record) -> Iterator[ToldSchedule]:
    for told in named(record, names.SCHEDULE_EVENT):
        own = told.own
        workflow = text(own, names.WORKFLOW)
        if workflow:
            source, host = text(own, names.SOURCE) or "sdk", text(own, names.HOST_NAME)
            yield ToldSchedule(workflow, declared(own) or Declared(), told.at_ns, source, host)
