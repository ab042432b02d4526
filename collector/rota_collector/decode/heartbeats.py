"""Metrics requests → heartbeats of agents: which hosts have one, as the control store has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rota.wire import names
from rota_collector.decode.metrics import METRICS_SIGNALS, messages, strings
from rota_collector.journal import Record

_NAME = names.AGENT_UPTIME.encode()
_NO_RECORDED_VALUE = 1  # DataPointFlags of OTLP


class Heartbeat(NamedTuple):
    """An agent was there, or (``is_last``) ended in good order. ``at_ns``: Unix ns by our clock, whatever the host's says."""

    host: str
    at_ns: int
    is_last: bool


def heartbeats(records: Sequence[Record]) -> list[Heartbeat]:
    """Those in the requests, in the order of arrival."""
    told = [record for record in records if record.signal in METRICS_SIGNALS and _NAME in record.payload]
    return [found for request, received_ns in messages(told) for found in _of_request(request, received_ns)]


def _of_request(request: Any, received_ns: int) -> Iterator[Heartbeat]:
    for resource in request.resource_metrics:
        host = strings(resource.resource).get(names.HOST_NAME)
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            if host and metric.name == names.AGENT_UPTIME and metric.gauge.data_points:
                yield Heartbeat(host, received_ns, bool(metric.gauge.data_points[-1].flags & _NO_RECORDED_VALUE))
