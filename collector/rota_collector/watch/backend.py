"""An OTLP backend that somebody else runs: one POST, and what came back of it."""

from __future__ import annotations

import gzip
from typing import Any

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from rota_collector import __version__
from rota_collector.domain.export import NO_ANSWER, Answer, Verdict, verdict
from rota_collector.targets import Target

_RESPONSES: dict[str, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}
_LONGEST_ANSWER = 4 << 20  # bytes, as the specification limits it
_LONGEST_MESSAGE = 300
_GZIP_LEVEL = 3
_FIXED = {
    "content-type": "application/x-protobuf",
    "content-encoding": "gzip",
    "user-agent": f"rota-collector/{__version__}",
}


class Backend:
    """Sends to one target; for one thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session = requests.Session()
        self._session.headers.update({**target.headers, **_FIXED})
        self._session.verify = target.certificate or True
        if target.client_certificate:
            self._session.cert = (
                (target.client_certificate, target.client_key) if target.client_key else target.client_certificate
            )

    def send(self, signal: str, body: bytes) -> Answer:
        """POST a protobuf request of ``signal`` (traces, logs, metrics). Raises nothing for what the network or backend does."""
        url, timeout = f"{self._target.endpoint}/v1/{signal}", self._target.timeout_seconds
        packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        try:
            with self._session.post(url, packed, timeout=timeout, stream=True, allow_redirects=False) as response:
                answered = response.raw.read(_LONGEST_ANSWER, decode_content=True)
        except (requests.RequestException, OSError, ValueError) as error:
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE])
        except Exception as error:  # noqa: BLE001 - urllib3 has errors of its own, and a broken answer must not end the forwarding
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE])
        if verdict(response.status_code) is Verdict.TAKEN:
            return _partial(signal, response.status_code, answered)
        return Answer(response.status_code, _words(answered), response.headers.get("retry-after", "").strip())

    def close(self) -> None:
        """End its connections."""
        self._session.close()


def _partial(signal: str, status: int, body: bytes) -> Answer:
    """A request that was taken, perhaps not all of it."""
    kind, rejected = _RESPONSES[signal]
    try:
        partial = kind.FromString(body).partial_success
    except DecodeError:
        return Answer(status)  # a backend that answers in its own words
    return Answer(status, partial.error_message[:_LONGEST_MESSAGE], rejected=getattr(partial, rejected))


def _words(body: bytes) -> str:
    """What the backend says of a refusal: a google.rpc.Status, else the beginning of a text."""
    try:
        message = Status.FromString(body).message
    except DecodeError:
        message = ""
    return " ".join((message or body.decode("utf-8", "replace")).split())[:_LONGEST_MESSAGE]
