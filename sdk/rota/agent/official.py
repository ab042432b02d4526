"""The official OTLP exporters, for destinations that are not rota and for gRPC.

They say only that an export failed, not why; why decides whether the lines are at fault. The HTTP session and the
exporters' own log records tell.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Sequence

import grpc

from rota.agent import objects, objects_metrics
from rota.agent.answer import Answer, Unavailable
from rota.agent.target import Target

_REFUSED = (400, 413, 422, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)


class Exporter:
    """Sends the spool lines of one signal through the exporter that the target's protocol asks for."""

    def __init__(self, goal: Target) -> None:
        self._goal = goal
        self._convert = _CONVERT[goal.signal]
        self._exporter = _over_grpc(goal) if goal.protocol == "grpc" else _over_http(goal)
        self.close: Callable[[], None] = self._exporter.shutdown

    def send(self, lines: Sequence[bytes]) -> Answer:
        """Export the lines in one request.

        Raises:
            Unavailable: not accepted now.
        """
        try:
            items = self._convert(lines)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return Answer.REFUSED
        _TOLD.clear()
        result = self._exporter.export(items)
        if result.name == "SUCCESS" and _TOLD.is_success():
            return Answer.ACCEPTED
        if _TOLD.status in _REFUSED:
            return Answer.REFUSED
        raise Unavailable("%s did not take what the OTLP exporter sent: %s" % (self._goal.url, _TOLD.text or result.name))


_CONVERT: dict[str, Callable[[Sequence[bytes]], Any]] = {
    "traces": objects.spans,
    "logs": objects.logs,
    "metrics": objects_metrics.metrics,
}


class _Told(logging.Filter):
    """What the server said to the last export. As a log filter it also keeps the exporters from printing."""

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        self.status: Any = None
        self.text = ""

    def is_success(self) -> bool:
        """A redirect is not one, whatever the exporter thinks."""
        return not isinstance(self.status, int) or 200 <= self.status < 300

    def response(self, response: Any, *_: Any, **__: Any) -> None:
        """A hook of ``requests``."""
        self.status, self.text = response.status_code, "%d %s" % (response.status_code, response.reason)

    def filter(self, record: logging.LogRecord) -> bool:
        """First in the logger's filters, so that it sees even what a later filter drops as a duplicate."""
        codes = [arg for arg in record.args or () if isinstance(arg, grpc.StatusCode)]
        self.status = codes[0] if codes else self.status
        self.text = self.text or record.getMessage()
        return False


_TOLD = _Told()  # one for all: one thread exports


def _over_http(goal: Target) -> Any:
    import requests
    from opentelemetry.exporter.otlp.proto.http import _log_exporter, metric_exporter, trace_exporter

    session = requests.Session()
    session.hooks["response"].append(_TOLD.response)
    make: Any = {
        "traces": trace_exporter.OTLPSpanExporter,
        "logs": _log_exporter.OTLPLogExporter,
        "metrics": metric_exporter.OTLPMetricExporter,
    }[goal.signal]
    _listen(make.__module__)
    return make(endpoint=goal.url, headers=goal.headers, timeout=goal.timeout_seconds, session=session)


def _over_grpc(goal: Target) -> Any:
    from opentelemetry.exporter.otlp.proto.grpc import _log_exporter, metric_exporter, trace_exporter

    _listen("opentelemetry.exporter.otlp.proto.grpc.exporter")
    make: Any = {
        "traces": trace_exporter.OTLPSpanExporter,
        "logs": _log_exporter.OTLPLogExporter,
        "metrics": metric_exporter.OTLPMetricExporter,
    }[goal.signal]
    headers = [(name.lower(), value) for name, value in goal.headers.items()]
    return make(endpoint=goal.url, headers=headers, timeout=goal.timeout_seconds)


def _listen(logger_name: str) -> None:
    filters = logging.getLogger(logger_name).filters
    if _TOLD not in filters:
        filters.insert(0, _TOLD)
