"""Whether a body can be kept. Everything that passes here is decoded later without an error: it will have been acknowledged."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota_collector.decode import items, otlp_json
from rota_collector.decode.from_json import DIALECTS, Dialect
from rota_collector.decode.json_pieces import json_pieces
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.errors import Malformed
from rota_collector.journal import Signal

_DEEP = 32  # nested lists and maps from which it is worth to look how deep they go
_IDS = attrgetter("trace_id", "span_id")
_REQUESTS: dict[Signal, Any] = {
    Signal.TRACES_PROTO: ExportTraceServiceRequest,
    Signal.TRACES_JSON: ExportTraceServiceRequest,
    Signal.LOGS_PROTO: ExportLogsServiceRequest,
    Signal.LOGS_JSON: ExportLogsServiceRequest,
    Signal.METRICS_PROTO: ExportMetricsServiceRequest,
    Signal.METRICS_JSON: ExportMetricsServiceRequest,
}


class Accepted(NamedTuple):
    """What of a good body is kept: all but ``rejected`` records, and why not those."""

    rejected: int = 0
    reason: str = ""
    items: int = 0  # spans, log records or points, the rejected ones too


def check(signal: Signal, payload: bytes | bytearray) -> Accepted:
    """Decodes the whole body, in pieces that each take a few milliseconds. Raises ``Malformed``."""
    are_spans = signal in (Signal.TRACES_PROTO, Signal.TRACES_JSON)
    without_id = _json_spans_without_id if signal in DIALECTS else _spans_without_id
    count = rejected = 0
    for message in _json(signal, payload) if signal in DIALECTS else _protobuf(_REQUESTS[signal], payload):
        count += items.OF[signal](message)
        rejected += without_id(message) if are_spans else 0
    if not rejected:
        return Accepted(items=count)
    why = f"{rejected} spans have no valid id: a trace id is 16 bytes, a span id 8, and neither is all zero"
    return Accepted(rejected, why, count)


def _protobuf(request: type[Message], payload: bytes | bytearray) -> Iterator[Any]:
    try:
        for piece in pieces(payload, PIECE_BYTES):
            yield request.FromString(bytes(piece))
    except DecodeError as error:
        raise Malformed(f"cannot decode protobuf from {len(payload)} bytes: {error}") from error


def _json(signal: Signal, payload: bytes | bytearray) -> Iterator[Any]:
    dialect = DIALECTS[signal]
    deep = payload.count(b"arrayValue") + payload.count(b"kvlistValue") > _DEEP or b"\\u00" in payload
    for piece in json_pieces(payload, dialect.path, PIECE_BYTES):
        message = otlp_json.decode(dialect.request, piece)
        if deep:
            _encodes(dialect, _REQUESTS[signal], message)
        yield message


def _encodes(dialect: Dialect, request: type[Message], message: Any) -> None:
    """JSON may nest deeper than protobuf parsers follow."""
    try:
        request.FromString(dialect.write(message))
    except (RecursionError, DecodeError) as error:
        raise Malformed("cannot keep OTLP-JSON: attribute values are nested too deep") from error


def _spans_without_id(request: Any) -> int:
    """Looked at as columns first: this is done to every span, and nearly always all are well."""
    rejected = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            ids = list(map(_IDS, scope.spans))
            trace_ids, span_ids = zip(*ids, strict=True) if ids else ((), ())
            if not _all_ids(trace_ids, 16) or not _all_ids(span_ids, 8):
                rejected += sum(not _all_ids((trace_id,), 16) or not _all_ids((span_id,), 8) for trace_id, span_id in ids)
    return rejected


def _all_ids(ids: Collection[bytes], size: int) -> bool:
    return set(map(len, ids)) <= {size} and bytes(size) not in ids


def _json_spans_without_id(request: otlp_json.TraceRequest) -> int:
    return sum(
        not _all_ids((otlp_json.unhex(span.trace_id),), 16) or not _all_ids((otlp_json.unhex(span.span_id),), 8)
        for resource in request.resource_spans or ()
        for scope in resource.scope_spans or ()
        for span in scope.spans or ()
    )
