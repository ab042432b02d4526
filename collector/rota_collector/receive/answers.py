"""The bodies that OTLP answers have, in the encoding of the caller."""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from rota_collector.decode import Accepted
from rota_collector.errors import CollectorError, Malformed, NoKey, Refused, TooOften

RETRY_SECONDS = 5  # how long a client is asked to wait when nothing can be kept
_LONGEST_MESSAGE = 1000  # it may quote what was sent; answers stay far below the 4 MiB that clients read
# Codes of google.rpc.Status.
INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 3, 7, 8, 12, 14, 16


class Kind(StrEnum):
    """What is exported: the last part of the path."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


_RESPONSES: dict[Kind, tuple[Any, str]] = {
    Kind.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Kind.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    Kind.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}


def accepted(kind: Kind, outcome: Accepted, *, as_json: bool) -> bytes:
    """An Export*ServiceResponse; ``partial_success`` is set only when something was rejected."""
    if not outcome.rejected:
        return b"{}" if as_json else b""
    response, rejected = _RESPONSES[kind]
    partial = {rejected: outcome.rejected, "error_message": outcome.reason}
    if not as_json:
        return bytes(response(partial_success=partial).SerializeToString())
    words = rejected.split("_")
    name = words[0] + "".join(map(str.capitalize, words[1:]))
    return json.dumps({"partialSuccess": {name: str(outcome.rejected), "errorMessage": outcome.reason}}).encode()


def malformed(error: Malformed) -> Status:
    """Says where in the body the error is."""
    violation = BadRequest.FieldViolation(field=error.field[:_LONGEST_MESSAGE], description=str(error)[:_LONGEST_MESSAGE])
    return _status(INVALID_ARGUMENT, str(error), BadRequest(field_violations=[violation]))


def unavailable(error: CollectorError) -> Status:
    """Asks to send again later."""
    return _status(UNAVAILABLE, str(error), RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))


def of_refused(error: Refused) -> tuple[int, Status, tuple[bytes, bytes]]:
    """The HTTP status, the body, and a header for a sender that may not send this. Too often is 503: older exporters take 429
    as final, and drop what they have.
    """
    if isinstance(error, TooOften):
        return 503, too_often(error, UNAVAILABLE), (b"retry-after", b"%d" % error.retry_seconds)
    if isinstance(error, NoKey):
        return 401, refused(UNAUTHENTICATED, str(error)), (b"www-authenticate", b"Bearer")
    return 403, refused(PERMISSION_DENIED, str(error)), (b"cache-control", b"no-store")


def too_often(error: TooOften, code: int = RESOURCE_EXHAUSTED) -> Status:
    """Asks to send again when the key may."""
    return _status(code, str(error), RetryInfo(retry_delay=Duration(seconds=error.retry_seconds)))


def refused(code: int, message: str) -> Status:
    """Sending the same again would not help."""
    return Status(code=code, message=message[:_LONGEST_MESSAGE])


def encode(status: Status, *, as_json: bool) -> bytes:
    """A Status as the body of an answer."""
    if not as_json:
        return bytes(status.SerializeToString())
    details = [_json_detail(detail) for detail in status.details]
    body = {"code": status.code, "message": status.message} | ({"details": details} if details else {})
    return json.dumps(body).encode()


def _status(code: int, message: str, detail: Message) -> Status:
    packed = AnyMessage()
    packed.Pack(detail)
    return Status(code=code, message=message[:_LONGEST_MESSAGE], details=[packed])


def _json_detail(detail: Any) -> dict[str, Any]:
    """An Any as protobuf's JSON mapping spells the two kinds that we send."""
    for kind in (BadRequest(), RetryInfo()):
        if detail.Unpack(kind):
            fields: dict[str, Any] = (
                {"fieldViolations": [{"field": v.field, "description": v.description} for v in kind.field_violations]}
                if isinstance(kind, BadRequest)
                else {"retryDelay": f"{kind.retry_delay.seconds}s"}
            )
            return {"@type": detail.type_url} | fields
    return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}
