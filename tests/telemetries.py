"""Records for a telemetry store to keep, and what it then answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_messages import RUN, T0, log, record, traces

from rota.wire import names
from rota_collector.journal import Record, Signal
from rota_collector.store.telemetry import Telemetry

Opener = Callable[[], Telemetry]  # the fixture ``open_telemetry``


def one(store: Telemetry, query: str) -> Any:
    """The only value of a query."""
    return store.sql(query).rows[0][0]


def column(store: Telemetry, query: str) -> list[Any]:
    return [row[0] for row in store.sql(query).rows]


def trace_record(offset: int, *spans: Span, **above: Any) -> Record:
    return record(traces(*spans, **above), Signal.TRACES_PROTO, offset)


def event(number: int, state: str, seconds: float = 0, **told: Any) -> Any:
    """A run event as a log record: its id is made from ``number``."""
    about = {
        names.EVENT_ID: str(uuid.UUID(int=number + 1)), names.RUN_ID: RUN, names.WORKFLOW: "etl", names.STATE: state,
        **{getattr(names, name.upper()): value for name, value in told.items()},
    }  # fmt: skip
    return log(0, about, event_name=names.RUN_STATE_EVENT, time_unix_nano=T0 + round(seconds * 1e9))
